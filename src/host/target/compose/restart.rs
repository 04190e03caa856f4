//! Restarts the services that ask for it when one that they depend on was replaced (`depends_on` with `restart: true`), as
//! `docker compose up` of the whole project does.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::dependencies::{Needed, Readiness, readiness};
use super::model::Model;
use crate::host::engine::client::Engine;
use crate::host::engine::container::{ContainerFacts, State};
use crate::host::health::judge::judge;
use crate::host::health::verdict::Verdict;
use crate::host::{HostError, Reporter};
use crate::model::Timestamp;

/// Between two looks at a service that others wait for.
const LOOK: Duration = Duration::from_millis(100);

/// A container that has run since before what it follows was replaced.
#[derive(Debug, PartialEq, Eq)]
struct Follower<'a> {
    container: &'a ContainerFacts,
    /// What it follows.
    needed: Needed,
}

/// Restarts the containers of services that did not move, where one that did and that they follow is younger than they.
/// So it may be asked again after a crash. Gives the ids of those that were restarted.
pub(super) async fn followers(
    engine: &Engine,
    model: &Model,
    moved: &[String],
    limit: Duration,
    reporter: &Reporter,
) -> Result<Vec<String>, HostError> {
    let containers = engine.containers(&model.name).await?;
    let mut restarted = Vec::new();
    for Follower { container, needed } in outlived(model, &containers, moved) {
        if is_ready(engine, &model.name, &needed, limit).await? {
            reporter.say(&format!("restarting {}, because {} was replaced", container.name, needed.service));
            engine.restart_container(container).await?;
            restarted.push(container.id.clone());
        } else {
            reporter.say(&format!("{} is not restarted: {} is not ready", container.name, needed.service));
        }
    }
    Ok(restarted)
}

/// Of the containers that were `restarted`, those that have failed since.
pub(super) fn fallen<'a>(
    containers: &'a [ContainerFacts],
    restarted: &BTreeSet<String>,
) -> impl Iterator<Item = &'a ContainerFacts> {
    containers.iter().filter(move |container| {
        let is_down = matches!(container.state, State::Exited | State::Dead);
        restarted.contains(&container.id) && is_down && matches!(judge(container), Verdict::Bad(_))
    })
}

fn outlived<'a>(model: &Model, containers: &'a [ContainerFacts], moved: &[String]) -> Vec<Follower<'a>> {
    let mut followers = Vec::new();
    for (name, service) in model.services.iter().filter(|(name, _)| !moved.contains(name)) {
        let followed = service.depends_on.iter().filter(|(other, how)| how.restart && moved.contains(other));
        for (other, how) in followed {
            let made = of(containers, other).filter_map(|container| container.created.parse::<Timestamp>().ok()).max();
            let is_older = |container: &&ContainerFacts| {
                container.state == State::Running && container.started_at.parse().ok().is_some_and(|at| Some(at) < made)
            };
            for container in of(containers, name).filter(is_older) {
                if followers.iter().all(|known: &Follower<'_>| known.container.id != container.id) {
                    let needed = Needed { service: other.clone(), conditions: BTreeSet::from([how.condition]) };
                    followers.push(Follower { container, needed });
                }
            }
        }
    }
    followers
}

fn of<'a>(containers: &'a [ContainerFacts], service: &str) -> impl Iterator<Item = &'a ContainerFacts> {
    containers.iter().filter(move |container| container.service == service)
}

/// Waits until what is followed is as far as its followers need it; whether it came so far.
async fn is_ready(engine: &Engine, project: &str, needed: &Needed, limit: Duration) -> Result<bool, HostError> {
    let begun = Instant::now();
    loop {
        let containers = engine.containers_of(project, std::slice::from_ref(&needed.service)).await?;
        match readiness(&containers, needed) {
            Readiness::Ready => return Ok(true),
            Readiness::NotYet if begun.elapsed() < limit => sleep(LOOK).await,
            Readiness::NotYet | Readiness::Failed(_) => return Ok(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::engine::container::RestartPolicy;
    use crate::host::engine::container::tests::container;
    use crate::host::target::compose::model::tests::model;

    #[test]
    fn who_asks_for_it_and_is_older_is_restarted() {
        let model = model(
            r#"{"name":"shop","services":{"web":{},"api":{},
            "worker":{"depends_on":{"web":{"condition":"service_healthy","restart":true},"api":{"restart":true}}},
            "other":{"depends_on":{"web":{"restart":false}}}}}"#,
        );
        let at = |service: &str, created: &str, started: &str| ContainerFacts {
            created: created.to_owned(),
            started_at: started.to_owned(),
            ..container(service)
        };
        let web = at("web", "2026-11-20T11:00:00.5Z", "2026-11-20T11:00:01Z");
        let worker = at("worker", "2026-11-20T09:00:00Z", "2026-11-20T10:00:00Z");
        let all = [
            web.clone(),
            at("api", "2026-11-20T08:00:00Z", "2026-11-20T08:00:01Z"),
            worker.clone(),
            container("other"),
        ];
        let names = |containers: &[ContainerFacts], moved: &[&str]| {
            let moved: Vec<String> = moved.iter().map(|name| (*name).to_owned()).collect();
            let found = outlived(&model, containers, &moved);
            found.iter().map(|one| format!("{} after {:?}", one.container.service, one.needed)).collect::<Vec<_>>()
        };
        let [one] = &names(&all, &["web", "api"])[..] else { panic!() };
        assert!(one.starts_with("worker after") && one.contains("\"web\"") && one.contains("Healthy"), "{one}");
        assert_eq!(names(&all, &["api"]), [""; 0], "it was not replaced since");
        assert_eq!(names(&all, &["web", "worker"]), [""; 0], "Compose sees to what moves together");
        let restarted = at("worker", "2026-11-20T09:00:00Z", "2026-11-20T11:00:02Z");
        assert_eq!(names(&[web.clone(), restarted], &["web"]), [""; 0]);
        let stopped = ContainerFacts { state: State::Exited, ..worker };
        assert_eq!(names(&[web, stopped], &["web"]), [""; 0]);
    }

    #[test]
    fn what_was_restarted_and_fails_is_found_and_what_was_down_before_is_not() {
        let at = |state, exit_code, policy| [ContainerFacts { state, exit_code, policy, ..container("worker") }];
        let restarted = BTreeSet::from([container("worker").id]);
        for (containers, is_fallen) in [
            (at(State::Exited, 1, RestartPolicy::No), true),
            (at(State::Exited, 0, RestartPolicy::No), false),
            (at(State::Exited, 1, RestartPolicy::Always), false),
            (at(State::Running, 0, RestartPolicy::No), false),
        ] {
            assert_eq!(fallen(&containers, &restarted).count(), usize::from(is_fallen), "{containers:?}");
            assert_eq!(fallen(&containers, &BTreeSet::new()).count(), 0, "{containers:?}");
        }
    }
}
