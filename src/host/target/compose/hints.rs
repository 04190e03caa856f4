//! What compose files say that works against a release: pure, for `windlass check`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::model::{Model, ModelService};
use super::select::candidates;
use crate::deploy::spec::{Compose, Health, ProjectSpec};
use crate::model::{ImageReference, Repository};

/// What Docker takes where the files do not say it.
const INTERVAL: Duration = Duration::from_secs(30);
const RETRIES: u32 = 3;

/// All hints about the services that the project moves.
pub(super) fn of_model(model: &Model, compose: &Compose, spec: &ProjectSpec) -> Vec<String> {
    let moved: Vec<(String, ImageReference)> =
        candidates(model, compose).into_iter().filter(|(_, image)| spec.images.contains(image.repository())).collect();
    let mut hints = Vec::new();
    for (name, _) in &moved {
        if let Some(service) = model.services.get(name) {
            hints.extend(pull_policy(name, service));
            hints.extend(patience(name, service, &spec.health));
        }
    }
    hints.extend(several_tags(&moved));
    hints.extend(left_out(model, &moved));
    hints
}

/// A policy with which the operator's own `docker compose up` goes past what is pinned.
fn pull_policy(name: &str, service: &ModelService) -> Option<String> {
    let policy = service.pull_policy.as_deref()?;
    let (does, instead) = match policy {
        "" | "missing" | "if_not_present" | "never" => return None,
        "build" => ("builds the image again", "leave it out"),
        _ => ("pulls what the tag means in the registry", "write \"missing\", or leave it out"),
    };
    Some(format!(
        "the service {name} has pull_policy: {policy}, so that your own `docker compose up` {does} and replaces the release \
         that was deployed: {instead}"
    ))
}

/// A health check that may take longer than windlass waits for it.
fn patience(name: &str, service: &ModelService, health: &Health) -> Option<String> {
    let check = service.healthcheck.as_ref().filter(|check| !check.is_off())?;
    let duration = |text: &Option<String>| text.as_ref().and_then(|text| humantime::parse_duration(text).ok());
    let start_period = duration(&check.start_period).unwrap_or_default();
    let interval = duration(&check.interval).filter(|interval| !interval.is_zero()).unwrap_or(INTERVAL);
    let retries = check.retries.filter(|retries| *retries > 0).unwrap_or(RETRIES);
    let longest = start_period + interval * retries;
    (longest > health.within).then(|| {
        let [start_period, interval, longest, within] =
            [start_period, interval, longest, health.within].map(humantime::format_duration);
        format!(
            "the service {name} may become healthy within {longest} by its own health check (start_period {start_period}, \
             {retries} retries every {interval}), and a deployment waits for {within}: set `within = \"{longest}\"` in \
             [projects.NAME.health], or make the check quicker"
        )
    })
}

/// One repository by several tags: a release of it moves them all.
fn several_tags(moved: &[(String, ImageReference)]) -> Vec<String> {
    let mut by_repository: BTreeMap<&Repository, BTreeMap<&ImageReference, &str>> = BTreeMap::new();
    for (name, reference) in moved {
        by_repository.entry(reference.repository()).or_default().entry(reference).or_insert(name);
    }
    let of_one = |(repository, references): (&Repository, BTreeMap<&ImageReference, &str>)| {
        let users: Vec<String> = references.iter().map(|(reference, name)| format!("{name} as {reference}")).collect();
        (references.len() > 1).then(|| {
            format!(
                "services name {repository} by several tags ({}), and a release of it moves them all: where that is not \
                 meant, list in `services` those that it may move",
                users.join(", ")
            )
        })
    };
    by_repository.into_iter().filter_map(of_one).collect()
}

/// Services that the project does not move, and that are started from a name that it pins.
fn left_out(model: &Model, moved: &[(String, ImageReference)]) -> Vec<String> {
    let pinned: BTreeSet<&ImageReference> = moved.iter().map(|(_, reference)| reference).collect();
    let is_moved = |name: &String| moved.iter().any(|(moved, _)| moved == name);
    let others = model.services.iter().filter(|(name, _)| !is_moved(name));
    let hint = |(name, service): (&String, &ModelService)| {
        let reference = ImageReference::parse_familiar(service.image.as_deref()?).ok()?;
        pinned.contains(&reference).then(|| {
            format!(
                "the service {name} is started from {reference} as well, and is not among `services`: your next \
                 `docker compose up` starts it from the release that was deployed; add it, or give it a tag of its own"
            )
        })
    };
    others.filter_map(hint).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::spec::tests::{compose_of_shop, shop};
    use crate::host::target::compose::model::tests::model;

    /// The hints about a service `api` that also says `more`.
    fn hints(more: &str) -> Vec<String> {
        let files = format!(r#"{{"services":{{"api":{{"image":"ghcr.io/acme/api:live"{more}}}}}}}"#);
        of_model(&model(&files), &compose_of_shop(), &shop())
    }

    #[test]
    fn a_pull_policy_that_goes_past_the_pin_is_told_with_what_to_write() {
        for policy in ["always", "daily", "weekly", "every_12h", "refresh", "build"] {
            let found = hints(&format!(r#","pull_policy":"{policy}""#));
            assert!(matches!(&found[..], [one] if one.contains(policy) && one.contains("leave it out")), "{found:?}");
        }
        for policy in ["missing", "if_not_present", "never"] {
            assert_eq!(hints(&format!(r#","pull_policy":"{policy}""#)), [""; 0], "{policy}");
        }
        assert_eq!(hints(""), [""; 0]);
    }

    #[test]
    fn a_health_check_that_takes_longer_than_a_deployment_waits_is_told() {
        let check = |check: &str| hints(&format!(r#","healthcheck":{{"test":["CMD","true"],{check}}}"#));
        let [slow] = &check(r#""start_period":"5m0s","interval":"10s","retries":3"#)[..] else { panic!() };
        assert!(slow.contains("healthy within 5m 30s") && slow.contains("waits for 1m"), "{slow}");
        assert_eq!(check(r#""interval":"500ms""#), [""; 0]);
        let [default] = &check(r#""timeout":"1s""#)[..] else { panic!() };
        assert!(default.contains("3 retries every 30s"), "{default}");
        assert_eq!(check(r#""interval":"5m0s","disable":true"#), [""; 0]);
        assert_eq!(hints(r#","healthcheck":{"test":["NONE"]}"#), [""; 0]);
    }

    #[test]
    fn several_tags_of_one_repository_and_services_that_stay_behind_are_told() {
        let files = r#"{"services":{"api":{"image":"ghcr.io/acme/api:live"},"old":{"image":"ghcr.io/acme/api:other"},
            "worker":{"image":"ghcr.io/acme/api:live"},"db":{"image":"postgres"}}}"#;
        let all = of_model(&model(files), &compose_of_shop(), &shop());
        assert!(
            matches!(&all[..], [one] if one.contains("api as ghcr.io/acme/api:live, old as ghcr.io/acme/api:other")),
            "{all:?}"
        );
        let only = Compose { services: vec!["api".to_owned()], ..compose_of_shop() };
        let left = of_model(&model(files), &only, &shop());
        assert!(
            matches!(&left[..], [one] if one.contains("the service worker is started from ghcr.io/acme/api:live")),
            "{left:?}"
        );
    }
}
