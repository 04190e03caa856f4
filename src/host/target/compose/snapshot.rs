//! What there is of a project on this host: before a release moves it, and whenever somebody asks.

use std::collections::BTreeMap;

use futures_util::future::{try_join, try_join_all};

use super::leftovers::without_successors;
use super::model::Model;
use super::project_containers::representative;
use super::select::Selected;
use crate::deploy::snapshot::{Before, Instance, Present, Service, Snapshot};
use crate::deploy::spec::{Compose, ProjectSpec};
use crate::host::HostError;
use crate::host::engine::client::Engine;
use crate::host::engine::container::{ContainerFacts, State};
use crate::host::engine::images::ImageFacts;
use crate::host::engine::pins;
use crate::model::{Digest, LocalImage};

/// The selected services as they are.
pub(super) async fn take(engine: &Engine, model: &Model, selected: &[Selected]) -> Result<Snapshot, HostError> {
    let pins = try_join_all(selected.iter().map(|service| pins::meaning(engine, &service.reference)));
    let names: Vec<String> = selected.iter().map(|service| service.name.clone()).collect();
    let (containers, pins) = try_join(engine.containers_of(&model.name, &names), pins).await?;
    let containers = without_successors(model, containers);
    let services = selected.iter().zip(pins).map(|(service, pinned)| async {
        let before = match representative(&containers, &service.name) {
            Some(facts) => Before::Present(present(engine, service, facts, &containers).await?),
            None => Before::Absent,
        };
        let (name, reference) = (service.name.clone(), service.reference.clone());
        Ok::<_, HostError>(Service { name, reference, pinned, before })
    });
    Ok(Snapshot::of(try_join_all(services).await?))
}

async fn present(
    engine: &Engine,
    service: &Selected,
    facts: &ContainerFacts,
    all: &[ContainerFacts],
) -> Result<Present, HostError> {
    let image = match engine.image(&facts.image_id).await? {
        Some(image) => engine.local(&image, service.reference.repository()).await?,
        None => LocalImage { id: image_id(facts)?, digest: None },
    };
    let own = || all.iter().filter(|other| other.service == service.name);
    let mut ids: Vec<String> = own().map(|container| container.id.clone()).collect();
    ids.sort();
    let (works, ended) = (own().all(ContainerFacts::works), own().all(|container| container.state == State::Exited));
    Ok(Present { image: Some(image), works, ended, ids })
}

/// Whether each container that `snapshot` saw of a service is there, no matter what there is besides, and runs if it did.
/// One that ran and was stopped is not untouched, although a job that has ended as well looks the same.
pub(super) async fn is_untouched(engine: &Engine, snapshot: &Snapshot) -> Result<bool, HostError> {
    for service in &snapshot.services {
        let present = service.before.present().filter(|present| !present.ids.is_empty());
        let Some(present) = present else { return Ok(false) };
        for id in &present.ids {
            match engine.container(id).await? {
                Some(facts) if !present.works || is_as_it_was(&facts, present) => {}
                _ => return Ok(false),
            }
        }
    }
    Ok(true)
}

fn is_as_it_was(facts: &ContainerFacts, before: &Present) -> bool {
    facts.works() && (facts.state == State::Exited) == before.ended
}

fn image_id(facts: &ContainerFacts) -> Result<Digest, HostError> {
    facts.image_id.parse().map_err(|_| {
        let reason = format!("{:?} is not the id of an image", facts.image_id);
        HostError::failed(format!("failed to look at {}", facts.name), reason)
    })
}

/// The containers of `project` that are made from one of the project's images.
pub(super) async fn observe(
    engine: &Engine,
    project: &str,
    spec: &ProjectSpec,
    compose: &Compose,
) -> Result<Vec<Instance>, HostError> {
    let is_ours = |container: &ContainerFacts| {
        let of_service = compose.services.is_empty() || compose.services.contains(&container.service);
        of_service && container.reference().is_some_and(|reference| spec.images.contains(reference.repository()))
    };
    let mut ours: Vec<ContainerFacts> = engine.containers(project).await?.into_iter().filter(is_ours).collect();
    ours.sort_by(|one, other| (&one.service, one.number, &one.name).cmp(&(&other.service, other.number, &other.name)));

    let mut images: BTreeMap<&str, Option<ImageFacts>> = BTreeMap::new();
    for container in &ours {
        if !images.contains_key(container.image_id.as_str()) {
            images.insert(&container.image_id, engine.image(&container.image_id).await?);
        }
    }
    let instances = ours.iter().map(|container| async {
        let image = images.get(container.image_id.as_str()).and_then(Option::as_ref);
        let digest = match (image, container.reference()) {
            (Some(image), Some(reference)) => {
                engine.local(image, reference.repository()).await?.digest.map(String::from)
            }
            _ => None,
        };
        Ok::<_, HostError>(Instance {
            name: container.name.clone(),
            service: container.service.clone(),
            image: container.image.clone(),
            digest: digest.unwrap_or_else(|| container.image_id.clone()),
            state: container.state_words(),
            condition: container.condition(),
            pinned: match container.reference().filter(|reference| reference.digest().is_none()) {
                Some(reference) => Some(pins::starts(engine, &reference, &container.image_id).await?),
                None => None,
            },
        })
    });
    try_join_all(instances).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::engine::container::tests::container;
    use crate::model::Digest;

    #[test]
    fn a_container_that_ran_and_was_stopped_is_not_as_it_was_and_a_job_that_ended_is() {
        let image = LocalImage { id: Digest::of(b"id"), digest: None };
        let before = |ended| Present { image: Some(image.clone()), works: true, ended, ids: Vec::new() };
        let at = |state, exit_code| ContainerFacts { state, exit_code, ..container("web") };
        for (now, ended, is_same) in [
            (at(State::Running, 0), false, true),
            (at(State::Exited, 0), false, false),
            (at(State::Exited, 0), true, true),
            (at(State::Exited, 1), true, false),
            (at(State::Running, 0), true, false),
        ] {
            assert_eq!(is_as_it_was(&now, &before(ended)), is_same, "{now:?}, had ended: {ended}");
        }
    }
}
