//! Which containers of this host are a Compose project's: those that Compose made, and not each one that is labelled so.

use std::collections::BTreeSet;

use futures_util::future::try_join_all;

use crate::host::HostError;
use crate::host::engine::client::Engine;
use crate::host::engine::container::{ContainerFacts, State};
use crate::host::engine::containers::{Listed, with_algorithm};
use crate::host::engine::labels::{COMPOSE, IMAGE, NO_ONE_OFF, PROJECT, SERVICE, WORKING_DIRECTORY};

impl Engine {
    /// The containers of all services of the Compose project, one-off ones left out.
    pub(super) async fn containers(&self, project: &str) -> Result<Vec<ContainerFacts>, HostError> {
        let listed = self.list_services(project).await?;
        self.look_at(listed.iter()).await
    }

    /// The containers of these services of the Compose project, one-off ones left out.
    pub(super) async fn containers_of(
        &self,
        project: &str,
        services: &[String],
    ) -> Result<Vec<ContainerFacts>, HostError> {
        let listed = self.list_services(project).await?;
        let is_wanted = |container: &&Listed| {
            let service = container.labels.get(SERVICE);
            service.is_some_and(|service| services.contains(service))
        };
        self.look_at(listed.iter().filter(is_wanted)).await
    }

    async fn list_services(&self, project: &str) -> Result<Vec<Listed>, HostError> {
        Ok(self.list_compose(vec![format!("{PROJECT}={project}"), NO_ONE_OFF.to_owned()]).await?.0)
    }

    /// Containers that Compose takes for the project's, although their images alone say so.
    pub(super) async fn impostors(&self, project: &str) -> Result<Vec<ContainerFacts>, HostError> {
        let (_, impostors) = self.list_compose(vec![format!("{PROJECT}={project}"), NO_ONE_OFF.to_owned()]).await?;
        self.look_at(impostors.iter()).await
    }

    /// The ids of containers that are listed as the Compose project's, and do not exist.
    pub(super) async fn ghosts(&self, project: &str) -> Result<Vec<String>, HostError> {
        let listed = self.list(&[("label", &[format!("{PROJECT}={project}")])]).await?;
        let looked_at = try_join_all(listed.iter().map(|container| self.container(&container.id))).await?;
        let absent = looked_at.into_iter().zip(listed).filter(|(found, _)| found.is_none());
        Ok(absent.map(|(_, container)| container.id).collect())
    }

    /// Each Compose project that has containers, with the directory that they are from. As their labels say it, which is
    /// a hint.
    pub(super) async fn compose_directories(&self) -> Result<BTreeSet<(String, String)>, HostError> {
        let (listed, _) = self.list_compose(vec![WORKING_DIRECTORY.to_owned(), NO_ONE_OFF.to_owned()]).await?;
        let of_one = |mut one: Listed| Some((one.labels.remove(PROJECT)?, one.labels.remove(WORKING_DIRECTORY)?));
        Ok(listed.into_iter().filter_map(of_one).collect())
    }

    /// The containers that run and are not of the Compose project, as far as their labels say so.
    pub(super) async fn foreign(&self, project: &str) -> Result<Vec<Foreign>, HostError> {
        let mut listed = self.list(&[]).await?;
        listed.retain(|container| container.labels.get(PROJECT).is_none_or(|its| its != project));
        let looked_at = try_join_all(listed.iter().map(|container| self.container(&container.id))).await?;
        let foreign = looked_at.into_iter().zip(listed).filter_map(|(facts, mut container)| {
            let facts = facts.filter(|facts| facts.state == State::Running)?;
            Some(Foreign { container: facts, project: container.labels.remove(PROJECT) })
        });
        Ok(foreign.collect())
    }

    /// The names of the Compose projects that have containers from `directory`.
    pub(super) async fn projects_of(&self, directory: &str) -> Result<Vec<String>, HostError> {
        let labels = vec![format!("{WORKING_DIRECTORY}={directory}"), NO_ONE_OFF.to_owned()];
        let mut projects: Vec<String> = self
            .list_compose(labels)
            .await?
            .0
            .into_iter()
            .filter_map(|mut container| container.labels.remove(PROJECT))
            .collect();
        projects.sort();
        projects.dedup();
        Ok(projects)
    }

    /// The containers with these labels: those that Compose made, and those whose images alone have such labels.
    async fn list_compose(&self, labels: Vec<String>) -> Result<(Vec<Listed>, Vec<Listed>), HostError> {
        let listed = self.list(&[("label", &labels)]).await?;
        let made_by_compose = try_join_all(listed.iter().map(|container| self.is_made_by_compose(container))).await?;
        let (made, others): (Vec<_>, Vec<_>) = listed.into_iter().zip(made_by_compose).partition(|(_, made)| *made);
        let containers = |listed: Vec<(Listed, bool)>| listed.into_iter().map(|(container, _)| container).collect();
        Ok((containers(made), containers(others)))
    }

    /// Whether Compose wrote the labels. A container inherits those of its image, which anybody may have written.
    async fn is_made_by_compose(&self, container: &Listed) -> Result<bool, HostError> {
        let image_id = with_algorithm(container.image_id.clone());
        // No image can contain its own id.
        if container.labels.get(IMAGE) == Some(&image_id) {
            return Ok(true);
        }
        let Some(image) = self.image(&image_id).await? else { return Ok(false) };
        let is_its_own =
            |(name, value): (&String, &String)| name.starts_with(COMPOSE) && image.labels.get(name) != Some(value);
        Ok(container.labels.iter().any(is_its_own))
    }
}

/// A container of somebody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Foreign {
    pub(super) container: ContainerFacts,
    /// Of Compose, where a label names one.
    pub(super) project: Option<String>,
}

/// The container that stands for a service: the newest.
pub(super) fn representative<'a>(containers: &'a [ContainerFacts], service: &str) -> Option<&'a ContainerFacts> {
    containers.iter().filter(|container| container.service == service).max_by_key(|container| &container.created)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::engine::container::tests::container;

    #[test]
    fn the_newest_container_stands_for_its_service() {
        let old = container("api");
        let new = ContainerFacts { id: "new".to_owned(), created: "2026-11-20T11:00:00Z".to_owned(), ..old.clone() };
        let containers = [new, old, container("web")];
        assert_eq!(representative(&containers, "api").map(|container| container.id.as_str()), Some("new"));
        assert!(representative(&containers, "db").is_none());
    }
}
