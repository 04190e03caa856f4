//! Puts services of a compose project into service, and takes them out again.

use std::ops::Range;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::command::{ComposeCommand, ComposeError};
use super::dependencies::{Needed, Readiness, are_as_the_files_say, missing, needed_by, one_shots_first, readiness};
use super::ghosts;
use super::leftovers;
use super::model::{Model, ModelService};
use crate::deploy::event::Evidence;
use crate::host::engine::client::Engine;
use crate::host::engine::container::{ContainerFacts, State};
use crate::host::engine::credentials::CredentialStore;
use crate::host::engine::pins;
use crate::host::health::watch::{LOG_LINES, MOST_EVIDENCE};
use crate::host::program::runs::Runs;
use crate::host::{HostError, Reporter};
use crate::lanes::Lease;
use crate::model::{ImageReference, ProjectName};

/// Between two looks at a service that others wait for.
const LOOK: Duration = Duration::from_millis(100);
/// Podman's words for a container that it does not remove before those that live in its namespaces.
const JOINED_FIRST: &str = "has dependent containers which must be removed before it";
/// And for one that a restart policy has started again between Compose's stopping and removing it.
const UP_AGAIN: &str = "cannot be removed without force";
/// What the engine says while somebody else, such as an operator or an earlier Compose, changes the same containers.
const PASSING: [&str; 6] = [
    "already in use by",
    "is already in progress",
    "no such container",
    "marked for removal",
    "is not running",
    "cannot remove a running container",
];
/// The versions of Compose whose `up --no-deps` notes a configuration without dependencies.
const HASHES_DEPENDENCIES: Range<(u32, u32)> = (2, 26)..(2, 30);
/// How often Compose is called for one replacement, and after how long.
const ATTEMPTS: u32 = 6;
const PAUSE: Duration = Duration::from_secs(1);

/// What it takes.
pub(super) struct Apply<'a> {
    pub(super) engine: &'a Engine,
    pub(super) compose: &'a ComposeCommand<'a>,
    pub(super) credentials: &'a CredentialStore,
    pub(super) runs: &'a Runs,
    /// The windlass project.
    pub(super) project: &'a ProjectName,
    /// For all of it.
    pub(super) limit: Duration,
    /// Whether this is the way back.
    pub(super) back: bool,
    pub(super) reporter: &'a Reporter,
}

impl Apply<'_> {
    /// Brings up what `services` need and is not there, then the services themselves. A container whose image and
    /// configuration did not change is left as it is.
    pub(super) async fn services(&self, model: &Model, services: &[String]) -> Result<(), HostError> {
        let begun = Instant::now();
        self.clear(model, services).await?;
        let before = self.engine.containers(&model.name).await?;
        for needed in missing(model, &before, services) {
            self.bring_up(model, &needed).await?;
        }
        let (first, rest) = one_shots_first(model, services);
        let applied = async {
            for needed in &first {
                self.run_to_its_end(model, &before, needed).await?;
            }
            let scales = scales(model, &before, &rest);
            self.replace(&scales.iter().map(String::as_str).collect::<Vec<_>>(), model, &before, &rest).await?;
            self.recreate_what_is_not_pinned(model, &rest).await?;
            if self.back {
                self.outlast_a_stop(model, &before, &rest, begun).await?;
            }
            self.rejoin(model, &before, &rest).await
        };
        match applied.await {
            Err(ComposeError::Host(error)) => Err(error),
            Err(refused @ ComposeError::Refused { .. }) => Err(self.explain(refused.into(), model, services).await),
            Ok(()) => Ok(()),
        }
    }

    /// Has Compose bring up these services and nothing else.
    async fn up(&self, model: &Model, options: &[&str], services: &[String]) -> Result<(), ComposeError> {
        let mut options = options.to_vec();
        if !self.sees_what_they_need(model, services).await? {
            options.push("--no-deps");
        }
        let record = self.runs.begin(self.project, self.back)?;
        self.compose.up(&options, services, self.limit, record, self.reporter).await
    }

    /// Whether Compose is called without `--no-deps`, by which some versions note another configuration than that of the
    /// files: they would replace the containers once more when an operator brings the project up. Only where everything
    /// that the services need is as the files say, so that Compose leaves it alone.
    async fn sees_what_they_need(&self, model: &Model, services: &[String]) -> Result<bool, HostError> {
        let needed = needed_by(model, services);
        let is_such = |version| HASHES_DEPENDENCIES.contains(version);
        if needed.is_empty() || !self.compose.version().await.as_ref().is_ok_and(is_such) {
            return Ok(false);
        }
        let hashes = self.compose.config_hashes().await?;
        let containers = self.engine.containers_of(&model.name, &needed).await?;
        if !are_as_the_files_say(model, &hashes, &containers, &needed) {
            return Ok(false);
        }
        for service in &needed {
            let own = containers.iter().filter(|container| container.service == *service);
            if self.are_pinned(model, service, own).await? != Some(true) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn clear(&self, model: &Model, services: &[String]) -> Result<(), HostError> {
        leftovers::clear(self.engine, model, services, self.reporter).await
    }

    /// Runs a service that ends by itself and that others of this release wait for, while they are still what they were.
    async fn run_to_its_end(
        &self,
        model: &Model,
        before: &[ContainerFacts],
        needed: &Needed,
    ) -> Result<(), ComposeError> {
        let service = std::slice::from_ref(&needed.service);
        self.reporter.say(&format!("running {} before the services that wait for it", needed.service));
        self.replace(&[], model, before, service).await?;
        Ok(self.until_ready(model, needed).await?)
    }

    /// Has Compose replace the services' containers. What passes by itself is tried again: a removal that is under way,
    /// a name that another Compose holds for a moment. Podman removes no container in whose namespaces others live, and
    /// none that restarts in a loop faster than Compose can remove it.
    async fn replace(
        &self,
        options: &[&str],
        model: &Model,
        before: &[ContainerFacts],
        services: &[String],
    ) -> Result<(), ComposeError> {
        let mut attempts = 1..ATTEMPTS;
        loop {
            let result = self.up(model, options, services).await;
            let Err(ComposeError::Refused { reason, .. }) = &result else { return result };
            if attempts.next().is_none() {
                return result;
            }
            let in_the_way = if reason.contains(JOINED_FIRST) {
                let joined: Vec<String> =
                    services.iter().flat_map(|host| joined(model, before, services, host)).collect();
                self.engine.containers_of(&model.name, &joined).await?
            } else if reason.contains(UP_AGAIN) {
                let containers = self.engine.containers_of(&model.name, services).await?;
                containers.into_iter().filter(|container| reason.contains(&container.id)).collect()
            } else if PASSING.iter().any(|words| reason.to_lowercase().contains(words)) {
                self.reporter.say(&format!("{reason}; trying again"));
                sleep(PAUSE).await;
                Vec::new()
            } else {
                return result;
            };
            self.clear(model, services).await?;
            for container in &in_the_way {
                self.reporter.say(&format!("removing {}, which blocks the replacement", container.name));
                self.engine.remove_container(container).await?;
            }
        }
    }

    /// Replaces once more what was not made from the pinned image. Compose goes by labels that it wrote on a container,
    /// and one that was interrupted may have written what was not so; the engine knows what a container was made from.
    async fn recreate_what_is_not_pinned(&self, model: &Model, services: &[String]) -> Result<(), ComposeError> {
        let mut containers = self.engine.containers_of(&model.name, services).await?;
        let is_there = |service: &String| containers.iter().any(|container| container.service == *service);
        if !leftovers::leftovers(model, &containers).is_empty() || !services.iter().all(is_there) {
            // Somebody else, or the engine with the call of a Compose that is gone, came to an end late.
            self.clear(model, services).await?;
            self.up(model, &[], services).await?;
            containers = self.engine.containers_of(&model.name, services).await?;
        }
        let mut others = Vec::new();
        for service in services {
            let own = containers.iter().filter(|container| container.service == *service);
            if self.are_pinned(model, service, own).await? == Some(false) {
                others.push(service.clone());
            }
        }
        if others.is_empty() {
            return Ok(());
        }
        self.reporter.say(&format!("{} was not made from the pinned image: replacing it again", others.join(", ")));
        self.up(model, &["--force-recreate"], &others).await
    }

    /// Whether all these containers of `service` were made from what the files' reference is on this host. Nothing where
    /// it has none, or the reference means nothing here.
    async fn are_pinned(
        &self,
        model: &Model,
        service: &str,
        containers: impl Iterator<Item = &ContainerFacts> + Send,
    ) -> Result<Option<bool>, HostError> {
        let image = model.services.get(service).and_then(|service| service.image.as_deref());
        let Some(reference) = image.and_then(|image| ImageReference::parse_familiar(image).ok()) else {
            return Ok(None);
        };
        if self.engine.image(&reference.to_string()).await?.is_none() {
            return Ok(None);
        }
        for container in containers {
            if !pins::starts(self.engine, &reference, &container.image_id).await? {
                return Ok(Some(false));
            }
        }
        Ok(Some(true))
    }

    /// Waits until no container of before can be on its way down any more, and starts again one that was. What was
    /// interrupted may have asked the engine to stop it. Usually the successor that Compose made first tells so; but
    /// somebody may have removed that, and a stop does not show before the grace period is over.
    async fn outlast_a_stop(
        &self,
        model: &Model,
        before: &[ContainerFacts],
        services: &[String],
        begun: Instant,
    ) -> Result<(), ComposeError> {
        let is_old = |container: &&ContainerFacts| {
            let is_it = |old: &ContainerFacts| old.id == container.id && old.started_at == container.started_at;
            before.iter().any(|old| is_it(old) && old.state == State::Running)
        };
        let mut is_told = false;
        loop {
            let containers = self.engine.containers_of(&model.name, services).await?;
            let old: Vec<&ContainerFacts> = containers.iter().filter(is_old).collect();
            let grace = old.iter().map(|container| container.grace()).max().unwrap_or_default();
            let limit = (grace + PAUSE).min(self.limit / 2);
            if let Some(stopped) = old.iter().find(|container| container.state != State::Running) {
                self.reporter.say(&format!("{} has stopped: starting it again", stopped.name));
                self.up(model, &[], services).await?;
            }
            if old.is_empty() || begun.elapsed() > limit {
                return Ok(());
            }
            if !is_told {
                let names: Vec<&str> = old.iter().map(|container| container.name.as_str()).collect();
                let limit = humantime::format_duration(limit);
                self.reporter.say(&format!("waiting up to {limit}: {} may have been asked to stop", names.join(", ")));
                is_told = true;
            }
            sleep(LOOK).await;
        }
    }

    /// What Compose says when a container does not come up is seldom why. The container knows.
    async fn explain(&self, error: HostError, model: &Model, services: &[String]) -> HostError {
        let ghosts = ghosts::find(self.engine, &model.name).await.unwrap_or_default();
        if let Some(reason) = ghosts.into_iter().next() {
            return ComposeError::Refused { command: "up", reason }.into();
        }
        let containers = match self.engine.containers_of(&model.name, services).await {
            Ok(containers) => containers,
            // Then that is why.
            Err(away) if away.is_passing() => return away,
            Err(_) => return error,
        };
        let is_broken = |container: &ContainerFacts| !container.works();
        let mut broken: Vec<ContainerFacts> = containers.into_iter().filter(is_broken).collect();
        // One that was never started waited for another one that failed.
        broken.sort_by_key(|container| container.state == State::Created && container.error.is_empty());
        let Some(first) = broken.first() else { return error };
        let said = error.to_string();
        let is_told = !first.error.is_empty() && said.contains(&first.error);
        let words = if is_told { first.state_word() } else { first.state_words() };
        let reason = format!("{said}; {} is {words}", first.name);
        HostError::unhealthy(reason, self.evidence(&broken).await)
    }

    async fn evidence(&self, containers: &[ContainerFacts]) -> Vec<Evidence> {
        let mut evidence = Vec::new();
        for container in containers.iter().take(MOST_EVIDENCE) {
            evidence.push(container.evidence(self.engine.log_tail(&container.id, LOG_LINES).await));
        }
        evidence
    }

    /// Starts one service that others need, and waits until it has done what they need.
    async fn bring_up(&self, model: &Model, needed: &Needed) -> Result<(), HostError> {
        let service = &needed.service;
        self.reporter.say(&format!("{service} is needed and not there: bringing it up"));
        let image = model.services.get(service).and_then(|service| service.image.as_deref());
        if let Some(reference) = image.and_then(|image| ImageReference::parse_familiar(image).ok()) {
            self.have_image(&reference).await?;
        }
        self.up(model, &["--no-recreate"], std::slice::from_ref(service)).await?;
        self.until_ready(model, needed).await
    }

    async fn until_ready(&self, model: &Model, needed: &Needed) -> Result<(), HostError> {
        let service = &needed.service;
        let begun = Instant::now();
        loop {
            let containers = self.engine.containers_of(&model.name, std::slice::from_ref(service)).await?;
            match readiness(&containers, needed) {
                Readiness::Ready => return Ok(()),
                Readiness::NotYet if begun.elapsed() < self.limit => sleep(LOOK).await,
                Readiness::NotYet => {
                    let limit = humantime::format_duration(self.limit);
                    let reason = format!("{service}, which is needed, is not ready after {limit}");
                    return Err(self.failure(reason, &containers).await);
                }
                Readiness::Failed(reason) => return Err(self.failure(reason, &containers).await),
            }
        }
    }

    /// Has the image of a service here that others need: with the same credentials as for a release.
    async fn have_image(&self, reference: &ImageReference) -> Result<(), HostError> {
        if self.engine.image(&reference.to_string()).await?.is_some() {
            return Ok(());
        }
        let login = self.credentials.login(reference.repository().host()).await;
        self.engine.pull_as_named(reference, &login, self.reporter).await
    }

    async fn failure(&self, reason: String, containers: &[ContainerFacts]) -> HostError {
        HostError::unhealthy(reason, self.evidence(containers).await)
    }

    /// Replaces the containers that lived in a namespace of one that was replaced: they would be cut off for good.
    async fn rejoin(&self, model: &Model, before: &[ContainerFacts], services: &[String]) -> Result<(), ComposeError> {
        let joined = |host: &String| joined(model, before, services, host);
        if services.iter().all(|service| joined(service).is_empty()) {
            return Ok(());
        }
        let after = self.engine.containers_of(&model.name, services).await?;
        let ids = |containers: &[ContainerFacts], service: &str| {
            let own = containers.iter().filter(|container| container.service == service);
            let mut ids: Vec<String> = own.map(|container| container.id.clone()).collect();
            ids.sort();
            ids
        };
        let replaced = services.iter().filter(|service| ids(before, service) != ids(&after, service));
        let mut cut_off: Vec<String> = replaced.flat_map(joined).collect();
        cut_off.sort();
        cut_off.dedup();
        if cut_off.is_empty() {
            return Ok(());
        }
        self.up(model, &["--force-recreate"], &cut_off).await
    }
}

/// The services with containers that live in a namespace of the service `host`, and do not move with it.
fn joined(model: &Model, containers: &[ContainerFacts], moved: &[String], host: &str) -> Vec<String> {
    let is_there = |name: &str| containers.iter().any(|container| container.service == name);
    let lives_there =
        |(name, service): &(&String, &ModelService)| service.lives_in(host) && !moved.contains(name) && is_there(name);
    model.services.iter().filter(lives_there).map(|(name, _)| name.clone()).collect()
}

/// `--scale` for services that somebody has scaled up by hand beyond what the files say: a release does not shrink them.
fn scales(model: &Model, containers: &[ContainerFacts], services: &[String]) -> Vec<String> {
    let mut options = Vec::new();
    for service in services {
        // While Compose replaces a container, the old and the new one have the same number.
        let mut numbers: Vec<u32> = containers
            .iter()
            .filter(|container| container.service == *service)
            .map(|container| container.number)
            .collect();
        numbers.sort_unstable();
        numbers.dedup();
        let asked = model.services.get(service).map_or(1, ModelService::replicas);
        if u32::try_from(numbers.len()).is_ok_and(|found| found > asked) {
            options.extend(["--scale".to_owned(), format!("{service}={}", numbers.len())]);
        }
    }
    options
}

/// Stops and removes the services' containers, and lets `unpin` mean nothing any more on this host. Volumes stay.
pub(super) async fn remove(
    engine: &Engine,
    lease: &Lease,
    compose_project: &str,
    services: &[String],
    unpin: &[ImageReference],
    reporter: &Reporter,
) -> Result<(), HostError> {
    if !services.is_empty() {
        for container in engine.containers_of(compose_project, services).await? {
            reporter.say(&format!("removing {}", container.name));
            engine.remove_container(&container).await?;
        }
    }
    for reference in unpin {
        engine.unpin(lease.project(), reference).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::engine::container::tests::container;
    use crate::host::target::compose::model::tests::model;

    #[test]
    fn who_lives_with_a_service_and_stays_behind_is_known() {
        let model = model(
            r#"{"name":"shop","services":{"api":{},"web":{},"vpn":{"network_mode":"service:web"},
            "gone":{"network_mode":"service:web"},"moved":{"pid":"service:web"},"other":{"ipc":"service:api"}}}"#,
        );
        let containers = ["api", "web", "vpn", "moved", "other"].map(container);
        assert_eq!(joined(&model, &containers, &["web".to_owned(), "moved".to_owned()], "web"), ["vpn"]);
    }

    #[test]
    fn a_service_that_was_scaled_up_by_hand_stays_so() {
        let model = model(r#"{"name":"shop","services":{"api":{},"web":{"scale":3}}}"#);
        let numbered = |service: &str, number| ContainerFacts { number, ..container(service) };
        let services = ["api".to_owned(), "web".to_owned()];
        let scales = |containers: &[ContainerFacts]| scales(&model, containers, &services).join(" ");
        assert_eq!(scales(&[]), "");
        assert_eq!(scales(&[numbered("api", 1), numbered("web", 1)]), "");
        assert_eq!(scales(&[numbered("api", 1), numbered("api", 2)]), "--scale api=2");
        assert_eq!(scales(&[numbered("api", 1), numbered("api", 1)]), "", "one of them is about to be replaced");
    }
}
