//! Watches services until they are proven to work, or are known not to.

use std::collections::HashMap;
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use super::HostError;
use super::container::ContainerFacts;
use super::docker::Engine;
use super::health::{Mark, Steadiness, Verdict, fingerprint, interval, judge};
use super::probe;
use crate::deploy::event::Evidence;
use crate::deploy::plan::{Expected, Source};
use crate::deploy::spec::{Health, Probe};
use crate::model::Digest;

/// How many lines of a container's log are evidence.
pub(crate) const LOG_LINES: usize = 50;
/// Of how many containers: a service of fifty that fail alike is explained by some.
pub(crate) const WITNESSES: usize = 5;
/// Between two probes that pass, while a release settles.
const REPROBE: Duration = Duration::from_secs(1);

/// What is watched.
pub(crate) struct Watch<'a> {
    pub(crate) engine: &'a Engine,
    /// The Compose project.
    pub(crate) project: &'a str,
    pub(crate) services: &'a [String],
    pub(crate) expected: &'a [Expected],
    pub(crate) health: &'a Health,
    pub(crate) directory: &'a Path,
}

/// What one look at all of it says.
enum Look {
    Good(Vec<Mark>),
    Wait(String),
    Bad(String),
}

/// Which of the images that containers were made from are the expected ones.
type Provenance = HashMap<(String, String), bool>;

impl Watch<'_> {
    /// Returns when the services have worked for as long as they must.
    pub(crate) async fn until_healthy(&self) -> Result<(), HostError> {
        let begun = Instant::now();
        let mut provenance = Provenance::new();
        let mut probing = self.health.probe.as_ref().map(|probe| Probing::new(probe, self.directory));
        let mut steadiness = Steadiness::default();
        loop {
            let mut reason = String::new();
            let containers = match self.engine.containers_of(self.project, self.services).await {
                Ok(containers) => containers,
                // An engine that is restarted comes back, and its containers with it.
                Err(away) if away.is_passing() && begun.elapsed() < self.health.within => {
                    steadiness.lose();
                    sleep(interval(begun.elapsed()).max(Duration::from_millis(250))).await;
                    continue;
                }
                Err(error) => return Err(error),
            };
            match self.look(&containers, &mut provenance).await? {
                Look::Bad(why) => return Err(self.failure(why, &containers).await),
                Look::Good(marks) => steadiness.see(marks, Instant::now()),
                Look::Wait(why) => {
                    steadiness.lose();
                    reason = why;
                }
            }
            if let Some(probing) = &mut probing {
                reason = if reason.is_empty() { probing.trouble() } else { reason };
                probing.begin(steadiness.is_seen(), interval(begun.elapsed()));
            }
            let since = steadiness.since(probing.is_some());
            let left = since.map(|since| self.health.settle.saturating_sub(since.elapsed()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(());
            }
            if since.is_none() && begun.elapsed() >= self.health.within {
                let within = humantime::format_duration(self.health.within);
                return Err(self.failure(format!("not healthy within {within}: {reason}"), &containers).await);
            }
            let pause = interval(begun.elapsed()).min(left.unwrap_or(Duration::MAX));
            match &mut probing {
                None => sleep(pause).await,
                Some(probing) => {
                    if let Some((begun, passed)) = probing.pause(pause).await {
                        steadiness.probe(begun, passed, Instant::now());
                    }
                }
            }
        }
    }

    /// Looks at each container once.
    async fn look(&self, containers: &[ContainerFacts], provenance: &mut Provenance) -> Result<Look, HostError> {
        if let Some(absent) = self.services.iter().find(|name| !containers.iter().any(|one| one.service == **name)) {
            return Ok(Look::Bad(format!("the service {absent} has no container")));
        }
        let mut waiting = None;
        for container in containers {
            if !self.is_as_expected(container, provenance).await? {
                let expected = self.expected_of(container).map(ToString::to_string).unwrap_or_default();
                return Ok(Look::Bad(format!(
                    "{} was made from {} ({}) and not from {expected}",
                    container.name, container.image, container.image_id
                )));
            }
            match judge(container) {
                Verdict::Good => {}
                Verdict::Wait(why) => waiting = waiting.or(Some(format!("{}: {why}", container.name))),
                Verdict::Bad(why) => return Ok(Look::Bad(format!("{} does not work: {why}", container.name))),
            }
        }
        Ok(waiting.map_or_else(|| Look::Good(fingerprint(containers)), Look::Wait))
    }

    fn expected_of(&self, container: &ContainerFacts) -> Option<&Source> {
        self.expected.iter().find(|expected| expected.service == container.service).map(|expected| &expected.image)
    }

    /// Whether a container was made from what its service must be made from.
    async fn is_as_expected(&self, container: &ContainerFacts, provenance: &mut Provenance) -> Result<bool, HostError> {
        let Some(source) = self.expected_of(container) else { return Ok(true) };
        let key = (container.service.clone(), container.image_id.clone());
        if let Some(known) = provenance.get(&key) {
            return Ok(*known);
        }
        let mut good = match source {
            Source::Local(id) => id.as_str() == container.image_id,
            // With the containerd image store an image's id is the registry's digest.
            Source::Registry(pinned) => pinned.digest.as_str() == container.image_id,
        };
        if !good {
            let id = self.engine.image_of(source).await?.map(|image| image.id);
            good = id.as_ref().map(Digest::as_str) == Some(container.image_id.as_str());
        }
        if let (false, Source::Registry(pinned)) = (good, source) {
            let image = self.engine.image(&container.image_id).await?;
            good = image.is_some_and(|image| image.is(pinned.image.repository(), &pinned.digest));
        }
        provenance.insert(key, good);
        Ok(good)
    }

    /// The failure for `reason`, with what the containers said last: those that do not work, if it is about them.
    async fn failure(&self, reason: String, containers: &[ContainerFacts]) -> HostError {
        let mut witnesses: Vec<(u8, &ContainerFacts)> = containers
            .iter()
            .map(|container| match judge(container) {
                Verdict::Bad(_) => (0, container),
                Verdict::Wait(_) => (1, container),
                Verdict::Good => (2, container),
            })
            .collect();
        witnesses.sort_by_key(|(rank, _)| *rank);
        if witnesses.first().is_some_and(|(rank, _)| *rank < 2) {
            witnesses.retain(|(rank, _)| *rank < 2);
        }
        let evidence = witnesses.into_iter().take(WITNESSES).map(|(_, container)| self.evidence(container));
        HostError::Unhealthy { reason, evidence: join_all(evidence).await }
    }

    async fn evidence(&self, container: &ContainerFacts) -> Evidence {
        container.evidence(self.engine.log_tail(&container.id, LOG_LINES).await)
    }
}

/// One try, and how it ends.
type Attempt<'a> = Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;

/// A project's own probe, tried now and again beside the looks at the containers.
struct Probing<'a> {
    probe: &'a Probe,
    directory: &'a Path,
    under_way: Option<(Instant, Attempt<'a>)>,
    last: Option<(Instant, Result<(), String>)>,
}

impl<'a> Probing<'a> {
    fn new(probe: &'a Probe, directory: &'a Path) -> Self {
        Self { probe, directory, under_way: None, last: None }
    }

    /// Why it is not good, as far as that is known.
    fn trouble(&self) -> String {
        match &self.last {
            Some((_, Ok(()))) => String::new(),
            Some((_, Err(why))) => format!("{} fails: {why}", probe::name(self.probe)),
            None => format!("{} has not passed yet", probe::name(self.probe)),
        }
    }

    /// Begins a try if it is time for one.
    fn begin(&mut self, wanted: bool, pause: Duration) {
        let due = self
            .last
            .as_ref()
            .is_none_or(|(ended, result)| ended.elapsed() >= if result.is_ok() { REPROBE } else { pause });
        if wanted && due && self.under_way.is_none() {
            self.under_way = Some((Instant::now(), Box::pin(probe::try_once(self.probe, self.directory))));
        }
    }

    /// Waits so long, or until a try ends: then says when it began and whether it passed.
    async fn pause(&mut self, pause: Duration) -> Option<(Instant, bool)> {
        let Some((begun, attempt)) = &mut self.under_way else {
            sleep(pause).await;
            return None;
        };
        let begun = *begun;
        let result = tokio::select! {
            () = sleep(pause) => return None,
            result = attempt => result,
        };
        self.under_way = None;
        let passed = result.is_ok();
        self.last = Some((Instant::now(), result));
        Some((begun, passed))
    }
}
