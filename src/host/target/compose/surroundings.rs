//! What else on this host has to do with a compose project: containers from its directory under another name, and
//! containers of others from the images that it pins. Labels tell where to look; what follows is a hint, never evidence.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::project_containers::Foreign;
use crate::host::HostError;
use crate::host::engine::client::Engine;
use crate::model::ImageReference;

/// That the project's own containers are found under another name of the Compose project, and what to set, if so. Only
/// where nothing runs under the name that it has now.
pub(super) async fn other_name(engine: &Engine, project: &str, directory: &Path) -> Result<Option<String>, HostError> {
    let labelled = engine.compose_directories().await?;
    if labelled.iter().any(|(name, _)| name == project) {
        return Ok(None);
    }
    let here = canonical(directory).await;
    let mut others = BTreeSet::new();
    for (name, its) in &labelled {
        if canonical(Path::new(its)).await == here {
            others.insert(name.as_str());
        }
    }
    let Some(first) = others.first() else { return Ok(None) };
    let names = others.iter().copied().collect::<Vec<_>>().join(", ");
    Ok(Some(format!(
        "containers from {} run as the Compose project {names}, and none as {project}, so that a deployment would start \
         everything a second time: set project_name = {first:?}, or take them down with `docker compose -p {first} down`",
        directory.display()
    )))
}

/// Links followed, where that is possible: one directory has one name then.
async fn canonical(path: &Path) -> PathBuf {
    tokio::fs::canonicalize(path).await.unwrap_or_else(|_| path.to_owned())
}

/// Containers that run from one of `references`, and are not of the Compose project.
pub(super) async fn other_users(
    engine: &Engine,
    project: &str,
    references: &BTreeSet<ImageReference>,
) -> Result<Vec<String>, HostError> {
    let foreign = engine.foreign(project).await?;
    Ok(references.iter().filter_map(|reference| shared(reference, &foreign)).collect())
}

fn shared(reference: &ImageReference, foreign: &[Foreign]) -> Option<String> {
    let users: Vec<String> = foreign
        .iter()
        .filter(|foreign| foreign.container.reference().as_ref() == Some(reference))
        .map(|Foreign { container, project }| match project {
            Some(project) => format!("{} (Compose project {project})", container.name),
            None => container.name.clone(),
        })
        .collect();
    if users.is_empty() {
        return None;
    }
    Some(format!(
        "{} was started from {reference} too, which a deployment gives another meaning: where that is not meant, let the \
         compose file of this project name a tag of its own",
        users.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::engine::container::ContainerFacts;
    use crate::host::engine::container::tests::container;

    #[test]
    fn who_else_was_started_from_a_name_is_told() {
        let foreign = |name: &str, image: &str, project: Option<&str>| Foreign {
            container: ContainerFacts { name: name.to_owned(), image: image.to_owned(), ..container("web") },
            project: project.map(str::to_owned),
        };
        let foreign = [
            foreign("staging-web-1", "r.io/app:live", Some("staging")),
            foreign("by-hand", "r.io/app:live", None),
            foreign("other", "r.io/app:v1", None),
            foreign("nameless", "sha256:abc", None),
        ];
        let found = |reference: &str| shared(&reference.parse().unwrap(), &foreign);
        let said = found("r.io/app:live").unwrap();
        assert!(
            said.starts_with("staging-web-1 (Compose project staging), by-hand was started from r.io/app:live"),
            "{said}"
        );
        assert_eq!(found("r.io/app:prod"), None);
    }
}
