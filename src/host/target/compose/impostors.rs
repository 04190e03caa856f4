//! Containers that Compose would take for a project's own although it did not make them: a container inherits the labels
//! of its image.

use crate::host::HostError;
use crate::host::engine::client::Engine;
use crate::host::engine::container::ContainerFacts;

/// What is wrong with each of them, and the fix: Compose would stop or remove them, or let them stand for a service.
pub(super) async fn find(engine: &Engine, project: &str) -> Result<Vec<String>, HostError> {
    let impostors = engine.impostors(project).await?;
    Ok(impostors.iter().map(|container| complaint(container, project)).collect())
}

fn complaint(container: &ContainerFacts, project: &str) -> String {
    let ContainerFacts { name, image, .. } = container;
    format!(
        "docker compose would take the container {name} for one of the project {project}, because of the labels of its \
         image {image}: remove it (docker rm --force {name}), or create it with --label com.docker.compose.project="
    )
}
