//! What an interrupted replacement leaves behind in a compose project, and how it is cleared away.
//!
//! Compose replaces a container in five calls: it creates the successor under a name of its own, stops the old container,
//! removes it, renames the successor, starts it. The engine goes on with a call after Compose is gone. So an old
//! container with a successor may be on its way down, however well it looks: only stopping it to the end is certain.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::model::{Model, ModelService};
use crate::host::engine::client::Engine;
use crate::host::engine::container::{ContainerFacts, State};
use crate::host::{HostError, Reporter};

/// How long another Compose, such as an operator's own, gets to finish a replacement.
const OTHERS: Duration = Duration::from_secs(1);
/// How long the engine gets to finish a removal.
const REMOVAL: Duration = Duration::from_secs(30);
/// Between two looks at it.
const LOOK: Duration = Duration::from_millis(100);

/// A container that an interrupted replacement left behind.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Leftover<'a> {
    /// It was created and never started, and the container that it was to replace is there.
    Successor {
        /// The new one.
        container: &'a ContainerFacts,
        /// The old one.
        of: &'a ContainerFacts,
    },
    /// The container that it was to replace is gone, and it has not got that one's name.
    Unnamed {
        /// The new one.
        container: &'a ContainerFacts,
        /// The name that is its own.
        name: &'a str,
    },
}

/// The leftovers among the containers of some services.
pub(super) fn leftovers<'a>(model: &Model, containers: &'a [ContainerFacts]) -> Vec<Leftover<'a>> {
    let leftover = |container: &'a ContainerFacts| {
        let (id, name) = successor_name(&container.name)?;
        match containers.iter().find(|other| other.id.starts_with(id)) {
            Some(of) => (container.state == State::Created).then_some(Leftover::Successor { container, of }),
            None => {
                let is_free = !containers.iter().any(|other| other.name == name);
                (is_free && is_name_of(model, container, name)).then_some(Leftover::Unnamed { container, name })
            }
        }
    };
    containers.iter().filter_map(leftover).collect()
}

/// The containers that are or were in service: a successor that was never started is not what ran.
pub(super) fn without_successors(model: &Model, containers: Vec<ContainerFacts>) -> Vec<ContainerFacts> {
    let successor = |leftover: Leftover<'_>| match leftover {
        Leftover::Successor { container, .. } => Some(container.id.clone()),
        Leftover::Unnamed { .. } => None,
    };
    let successors: Vec<String> = leftovers(model, &containers).into_iter().filter_map(successor).collect();
    containers.into_iter().filter(|container| !successors.contains(&container.id)).collect()
}

/// The parts of the name that Compose gives a successor: the beginning of the old container's id, and its name.
fn successor_name(name: &str) -> Option<(&str, &str)> {
    let (id, name) = name.split_once('_')?;
    let is_id = id.len() == 12 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    is_id.then_some((id, name))
}

/// Whether Compose gives this name to that container of a service.
fn is_name_of(model: &Model, container: &ContainerFacts, name: &str) -> bool {
    let ContainerFacts { service, number, .. } = container;
    let chosen = model.services.get(service).and_then(ModelService::container_name);
    chosen.map_or_else(
        || {
            ["-", "_"].iter().any(|separator| {
                name == [&model.name, service, &number.to_string()].map(String::as_str).join(separator)
            })
        },
        |chosen| name == chosen,
    )
}

/// Whether a replacement of `services` was interrupted: it left something behind, or made a container that it did not
/// start. One that the engine could not start is another matter.
pub(super) async fn are_there(engine: &Engine, model: &Model, services: &[String]) -> Result<bool, HostError> {
    let containers = engine.containers_of(&model.name, services).await?;
    Ok(!leftovers(model, &containers).is_empty() || containers.iter().any(ContainerFacts::was_never_started))
}

/// Clears away what an interrupted replacement of `services` left behind, so that Compose finds each container under its
/// name and none on its way down.
pub(super) async fn clear(
    engine: &Engine,
    model: &Model,
    services: &[String],
    reporter: &Reporter,
) -> Result<(), HostError> {
    let is_dying = |containers: &[ContainerFacts]| containers.iter().any(|container| container.state == State::Dead);
    let mut containers = engine.containers_of(&model.name, services).await?;
    if !is_dying(&containers) && leftovers(model, &containers).is_empty() {
        return Ok(());
    }
    sleep(OTHERS).await;
    let begun = Instant::now();
    loop {
        containers = engine.containers_of(&model.name, services).await?;
        if !is_dying(&containers) || begun.elapsed() > REMOVAL {
            break;
        }
        sleep(LOOK).await;
    }
    for leftover in leftovers(model, &containers) {
        match leftover {
            Leftover::Successor { container, of } => {
                reporter.say(&format!("stopping {}: its replacement was interrupted", of.name));
                // First, so that an interruption in between finds the successor again.
                engine.stop_container(of).await?;
                reporter.say(&format!("removing {}, which was never started", container.name));
                engine.remove_unstarted(container).await?;
            }
            Leftover::Unnamed { container, name } => {
                reporter.say(&format!("renaming {} to {name}: its replacement was interrupted", container.name));
                engine.rename_container(container, name).await?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::engine::container::tests::container;
    use crate::host::target::compose::model::tests::model;

    fn named(id: &str, name: &str, state: State) -> ContainerFacts {
        ContainerFacts { id: id.to_owned(), name: name.to_owned(), state, ..container("web") }
    }

    fn found(containers: &[ContainerFacts]) -> Vec<String> {
        let model = model(r#"{"name":"shop","services":{"web":{},"db":{"container_name":"database"}}}"#);
        let words = |leftover: &Leftover<'_>| match leftover {
            Leftover::Successor { container, of } => format!("{} of {}", container.id, of.id),
            Leftover::Unnamed { container, name } => format!("{} is {name}", container.id),
        };
        leftovers(&model, containers).iter().map(words).collect()
    }

    #[test]
    fn a_successor_that_was_never_started_is_left_over() {
        let old = named("8fc34fcda572aa08", "shop-web-1", State::Running);
        let new = named("aa08b000f9df8fc3", "8fc34fcda572_shop-web-1", State::Created);
        assert_eq!(found(&[old.clone(), new.clone()]), ["aa08b000f9df8fc3 of 8fc34fcda572aa08"]);
        let started = ContainerFacts { state: State::Running, ..new };
        assert!(found(&[old.clone(), started]).is_empty());
        assert!(found(&[old, named("bb", "shop-web-2", State::Created)]).is_empty(), "an ordinary name");
    }

    #[test]
    fn a_successor_whose_predecessor_is_gone_gets_its_name() {
        let new = named("aa08b000f9df8fc3", "8fc34fcda572_shop-web-1", State::Created);
        assert_eq!(found(std::slice::from_ref(&new)), ["aa08b000f9df8fc3 is shop-web-1"]);
        let underscores = ContainerFacts { name: "8fc34fcda572_shop_web_1".to_owned(), ..new.clone() };
        assert_eq!(found(&[underscores]), ["aa08b000f9df8fc3 is shop_web_1"]);
        let chosen =
            ContainerFacts { service: "db".to_owned(), name: "8fc34fcda572_database".to_owned(), ..new.clone() };
        assert_eq!(found(&[chosen]), ["aa08b000f9df8fc3 is database"]);
        let other = ContainerFacts { name: "8fc34fcda572_tools".to_owned(), ..new.clone() };
        assert!(found(&[other]).is_empty(), "somebody's own name");
        assert!(found(&[new, named("cc", "shop-web-1", State::Running)]).is_empty(), "the name is taken");
    }
}
