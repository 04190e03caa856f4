//! What a service needs and is not there yet: pure, from what Compose makes of its files and what runs.

use std::collections::{BTreeMap, BTreeSet};

use super::model::{Condition, Model, ModelService};
use super::project_containers::representative;
use crate::host::engine::container::{ContainerFacts, Health, State};

/// A service that must come up first, and what others wait for in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Needed {
    pub(super) service: String,
    pub(super) conditions: BTreeSet<Condition>,
}

/// How far a service is towards what is needed of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Readiness {
    Ready,
    NotYet,
    Failed(String),
}

/// What `services` need, directly or through others, and nothing of which is there; in the order in which it must come
/// up. What is there is left alone, and so is what it needs in turn.
pub(super) fn missing(model: &Model, containers: &[ContainerFacts], services: &[String]) -> Vec<Needed> {
    let mut search = Search { model, containers, moved: services, found: BTreeMap::new(), order: Vec::new() };
    for service in services {
        search.follow(service);
    }
    let Search { mut found, order, .. } = search;
    order.into_iter().filter_map(|service| Some(Needed { conditions: found.remove(&service)?, service })).collect()
}

/// Those of `services` that end by themselves, that others of them wait for, and that need none of the others: these
/// are run before anything is replaced. In the order in which they must run, and then the rest.
pub(super) fn one_shots_first(model: &Model, services: &[String]) -> (Vec<Needed>, Vec<String>) {
    let is_awaited = |name: &String| {
        let others = services.iter().filter_map(|service| model.services.get(service));
        others
            .filter_map(|service| service.depends_on.get(name))
            .any(|dependency| dependency.condition == Condition::Completed)
    };
    let (mut first, mut rest): (Vec<String>, Vec<String>) = services.iter().cloned().partition(is_awaited);
    // What needs one of the rest must come after it, and so must what needs that in turn.
    let needs = |name: &String, of: &[String]| {
        model.services.get(name).is_some_and(|service| service.depends_on.keys().any(|other| of.contains(other)))
    };
    while let Some(at) = first.iter().position(|name| needs(name, &rest)) {
        rest.push(first.remove(at));
    }
    let mut ordered: Vec<String> = Vec::new();
    while let Some(at) = first.iter().position(|name| !needs(name, &first)) {
        ordered.push(first.remove(at));
    }
    // A circle, which Compose refuses by itself.
    rest.append(&mut first);
    let completed = |service| Needed { service, conditions: [Condition::Completed].into() };
    (ordered.into_iter().map(completed).collect(), rest)
}

/// All that `services` need, directly or through others, themselves left out.
pub(super) fn needed_by(model: &Model, services: &[String]) -> Vec<String> {
    let mut found: BTreeSet<&String> = BTreeSet::new();
    let mut open: Vec<&String> = services.iter().collect();
    while let Some(service) = open.pop() {
        let needs = model.services.get(service).into_iter().flat_map(|service| service.depends_on.keys());
        open.extend(needs.filter(|name| model.services.contains_key(*name) && found.insert(name)));
    }
    found.into_iter().filter(|name| !services.contains(name)).cloned().collect()
}

/// Whether each container of `needed` is there, works, and was made from what the files say, of which `hashes` are the
/// hashes: Compose has nothing to do there.
pub(super) fn are_as_the_files_say(
    model: &Model,
    hashes: &BTreeMap<String, String>,
    containers: &[ContainerFacts],
    needed: &[String],
) -> bool {
    needed.iter().all(|service| {
        let own: Vec<&ContainerFacts> = containers.iter().filter(|container| container.service == *service).collect();
        let asked = model.services.get(service).map_or(1, ModelService::replicas);
        let is_so = |container: &&ContainerFacts| {
            container.state == State::Running
                && container.works()
                && container.health != Some(Health::Starting)
                && hashes.get(service) == Some(&container.config_hash)
        };
        u32::try_from(own.len()).is_ok_and(|found| found == asked) && own.iter().all(is_so)
    })
}

/// The services that `services` need and whose container is paused: Compose can neither start nor wake it.
pub(super) fn paused(model: &Model, containers: &[ContainerFacts], services: &[String]) -> Vec<String> {
    let needed: BTreeSet<&String> = services
        .iter()
        .filter_map(|name| model.services.get(name))
        .flat_map(|service| service.depends_on.keys())
        .collect();
    let is_paused = |container: &&ContainerFacts| {
        container.state == State::Paused
            && needed.contains(&container.service)
            && !services.contains(&container.service)
    };
    let told = |container: &ContainerFacts| {
        let ContainerFacts { name, service, .. } = container;
        format!("{name} is paused, and other services need {service}: run `docker unpause {name}`")
    };
    containers.iter().filter(is_paused).map(told).collect()
}

struct Search<'a> {
    model: &'a Model,
    containers: &'a [ContainerFacts],
    moved: &'a [String],
    found: BTreeMap<String, BTreeSet<Condition>>,
    order: Vec<String>,
}

impl Search<'_> {
    fn follow(&mut self, service: &str) {
        let Some(model) = self.model.services.get(service) else { return };
        for (name, dependency) in &model.depends_on {
            // Compose itself orders what is moved together, and has refused files that need what they do not have.
            let known = self.model.services.get(name).is_some_and(|service| service.replicas() > 0);
            if !known || self.moved.contains(name) || is_there(self.containers, name, dependency.condition) {
                continue;
            }
            let first_seen = !self.found.contains_key(name);
            self.found.entry(name.clone()).or_default().insert(dependency.condition);
            if first_seen {
                self.follow(name);
                self.order.push(name.clone());
            }
        }
    }
}

/// Whether something of the service is there that serves: it runs, or it has done what it had to.
fn is_there(containers: &[ContainerFacts], service: &str, condition: Condition) -> bool {
    let mut own = containers.iter().filter(|container| container.service == service);
    match condition {
        Condition::Started | Condition::Healthy => own.any(|container| container.state == State::Running),
        Condition::Completed => {
            own.any(|container| container.state == State::Running)
                || representative(containers, service).is_some_and(has_completed)
        }
    }
}

fn has_completed(container: &ContainerFacts) -> bool {
    container.state == State::Exited && container.exit_code == 0
}

/// How far `needed` is.
pub(super) fn readiness(containers: &[ContainerFacts], needed: &Needed) -> Readiness {
    let Some(container) = representative(containers, &needed.service) else {
        return Readiness::Failed(format!("{} has no container", needed.service));
    };
    let failed = || Readiness::Failed(format!("{}, which is needed, is {}", container.name, container.state_words()));
    let mut readiness = Readiness::Ready;
    for condition in &needed.conditions {
        match (condition, container.state) {
            (Condition::Started, _) => {}
            (Condition::Completed, State::Exited) if has_completed(container) => {}
            (_, State::Exited) => return failed(),
            (_, State::Created) if !container.error.is_empty() => return failed(),
            (Condition::Healthy, State::Running) => match container.health {
                // Without a health check to wait for, running is all there is to see.
                None | Some(Health::Healthy) => {}
                Some(Health::Starting) => readiness = Readiness::NotYet,
                Some(Health::Unhealthy) => return failed(),
            },
            _ => readiness = Readiness::NotYet,
        }
    }
    readiness
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::host::engine::container::tests::container;
    use crate::host::target::compose::model::tests::model;

    const FILES: &str = r#"{"name":"shop","services":{
        "web":{"depends_on":{"api":{"condition":"service_started"},"cache":{"condition":"service_started"}}},
        "api":{"depends_on":{"db":{"condition":"service_healthy"},"migrate":{"condition":"service_completed_successfully"}}},
        "migrate":{"depends_on":{"db":{"condition":"service_started"}}},
        "db":{},"cache":{"scale":0},"loose":{"depends_on":{"gone":{"required":false}}}}}"#;

    fn missing_of(containers: &[ContainerFacts], services: &[&str]) -> Vec<String> {
        let services: Vec<String> = services.iter().map(|service| (*service).to_owned()).collect();
        let needed = missing(&model(FILES), containers, &services);
        needed.into_iter().map(|needed| format!("{} {:?}", needed.service, needed.conditions)).collect()
    }

    #[test]
    fn what_is_missing_comes_up_in_order() {
        let all = ["db {Healthy, Started}", "migrate {Completed}", "api {Started}"];
        assert_eq!(missing_of(&[], &["web"]), all);
        assert_eq!(missing_of(&[], &["api"]), all[..2]);
        assert_eq!(missing_of(&[], &["api", "web"]), all[..2]);
        assert!(missing_of(&[], &["loose", "db"]).is_empty());
    }

    #[test]
    fn all_that_a_service_needs_is_found() {
        let model = model(FILES);
        let needed = |services: &[&str]| {
            needed_by(&model, &services.iter().map(|service| (*service).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(needed(&["web"]), ["api", "cache", "db", "migrate"]);
        assert_eq!(needed(&["web", "api"]), ["cache", "db", "migrate"]);
        assert!(needed(&["db", "loose"]).is_empty());
    }

    #[test]
    fn what_is_needed_is_as_the_files_say_when_compose_would_leave_it_alone() {
        let model = model(r#"{"name":"shop","services":{"db":{},"queue":{"scale":2}}}"#);
        let hashes: BTreeMap<String, String> =
            ["db", "queue"].map(|service| (service.to_owned(), format!("hash of {service}"))).into();
        let db = ContainerFacts { uptime: Duration::from_secs(60), ..container("db") };
        let holds = |containers: &[ContainerFacts], needed: &str| {
            are_as_the_files_say(&model, &hashes, containers, &[needed.to_owned()])
        };
        assert!(holds(std::slice::from_ref(&db), "db"));
        assert!(holds(&[container("queue"), container("queue")], "queue"));
        assert!(!holds(&[container("queue")], "queue"), "there are too few");
        assert!(!holds(&[], "db"), "it is not there");
        for other in [
            ContainerFacts { config_hash: "another".to_owned(), ..db.clone() },
            ContainerFacts { state: State::Exited, ..db.clone() },
            ContainerFacts { state: State::Paused, ..db.clone() },
            ContainerFacts { health: Some(Health::Starting), ..db.clone() },
            ContainerFacts { health: Some(Health::Unhealthy), ..db },
        ] {
            assert!(!holds(std::slice::from_ref(&other), "db"), "{other:?}");
        }
    }

    #[test]
    fn what_runs_or_has_done_its_work_is_left_alone() {
        let (api, db) = (container("api"), container("db"));
        let done = ContainerFacts { state: State::Exited, ..container("migrate") };
        let failed = ContainerFacts { exit_code: 1, ..done.clone() };
        assert!(missing_of(&[api], &["web"]).is_empty(), "what a running service needs is its own affair");
        assert!(missing_of(&[db.clone(), done.clone()], &["api"]).is_empty());
        assert_eq!(missing_of(&[db, failed], &["api"]), ["migrate {Completed}"]);
        assert_eq!(missing_of(&[done], &["api"]), ["db {Healthy}"]);
        let stopped = ContainerFacts { state: State::Exited, exit_code: 0, ..container("db") };
        assert_eq!(missing_of(&[stopped], &["migrate"]), ["db {Started}"]);
    }

    #[test]
    fn a_one_shot_that_others_wait_for_runs_before_anything_is_replaced() {
        let model = model(
            r#"{"name":"shop","services":{
            "web":{"depends_on":{"migrate":{"condition":"service_completed_successfully"},
                "seed":{"condition":"service_completed_successfully"},"cache":{"condition":"service_started"}}},
            "migrate":{"depends_on":{"prepare":{"condition":"service_completed_successfully"}}},
            "seed":{"depends_on":{"api":{"condition":"service_started"}}},
            "prepare":{},"api":{},"cache":{},"report":{}}}"#,
        );
        let split = |services: &[&str]| {
            let services: Vec<String> = services.iter().map(|service| (*service).to_owned()).collect();
            let (first, rest) = one_shots_first(&model, &services);
            (first.into_iter().map(|needed| needed.service).collect::<Vec<_>>().join(" "), rest.join(" "))
        };
        let both = |first: &str, rest: &str| (first.to_owned(), rest.to_owned());
        assert_eq!(split(&["web", "migrate"]), both("migrate", "web"));
        assert_eq!(split(&["migrate", "prepare", "web"]), both("prepare migrate", "web"));
        assert_eq!(split(&["web", "seed", "api"]), both("", "web api seed"), "it needs what is replaced");
        assert_eq!(split(&["migrate", "cache"]), both("", "migrate cache"), "nobody of these waits for it");
    }

    #[test]
    fn what_is_paused_and_needed_is_told() {
        let paused_one = ContainerFacts { state: State::Paused, ..container("db") };
        let containers = [container("api"), paused_one];
        let of = |services: &[&str]| {
            let services: Vec<String> = services.iter().map(|service| (*service).to_owned()).collect();
            paused(&model(FILES), &containers, &services)
        };
        assert_eq!(of(&["api"]), ["shop-db-1 is paused, and other services need db: run `docker unpause shop-db-1`"]);
        assert_eq!(of(&["cache"]), [""; 0]);
        assert_eq!(of(&["db"]), [""; 0], "it is replaced");
    }

    #[test]
    fn readiness_is_what_the_condition_asks_for() {
        let needed = |condition| Needed { service: "db".to_owned(), conditions: [condition].into() };
        let running = container("db");
        let with = |health| ContainerFacts { health: Some(health), ..running.clone() };
        let exited = |exit_code| ContainerFacts { state: State::Exited, exit_code, ..running.clone() };
        for (container, condition, expected) in [
            (running.clone(), Condition::Started, "ready"),
            (running.clone(), Condition::Healthy, "ready"),
            (with(Health::Starting), Condition::Healthy, "not yet"),
            (with(Health::Unhealthy), Condition::Healthy, "failed"),
            (with(Health::Starting), Condition::Started, "ready"),
            (exited(1), Condition::Healthy, "failed"),
            (running.clone(), Condition::Completed, "not yet"),
            (exited(0), Condition::Completed, "ready"),
            (exited(2), Condition::Completed, "failed"),
        ] {
            let found = match readiness(&[container], &needed(condition)) {
                Readiness::Ready => "ready",
                Readiness::NotYet => "not yet",
                Readiness::Failed(_) => "failed",
            };
            assert_eq!(found, expected, "{condition:?}");
        }
        assert!(matches!(readiness(&[], &needed(Condition::Started)), Readiness::Failed(_)));
    }
}
