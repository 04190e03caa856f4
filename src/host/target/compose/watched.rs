//! Looks at the containers of services: whether they work, and whether they were made from what they must be.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use tokio::time::Instant;

use super::restart::fallen;
use crate::deploy::event::Evidence;
use crate::deploy::plan::{Expected, Source};
use crate::host::HostError;
use crate::host::engine::client::Engine;
use crate::host::engine::container::ContainerFacts;
use crate::host::health::judge::{fingerprint, judge};
use crate::host::health::verdict::Verdict;
use crate::host::health::watch::{LOG_LINES, Look, MOST_EVIDENCE, Subject};

/// How long another Compose may take to start what it has made, once the old container has stopped.
const OTHERS: Duration = Duration::from_secs(3);

/// The containers of some services of a compose project.
pub(super) struct Containers<'a> {
    engine: &'a Engine,
    /// The Compose project.
    project: String,
    services: &'a [String],
    /// The ids of containers that were restarted with one of these.
    restarted: BTreeSet<String>,
    expected: &'a [Expected],
    provenance: Provenance,
    /// As they were at the last look.
    seen: Vec<ContainerFacts>,
    /// Since when one is there that nobody has started.
    half_replaced: Option<Instant>,
}

/// Which of the images that containers were made from are the expected ones.
type Provenance = HashMap<(String, String), bool>;

impl<'a> Containers<'a> {
    /// Those of `services`, to be made from what is `expected`, and those that were restarted with them.
    pub(super) fn new(
        engine: &'a Engine,
        project: String,
        services: &'a [String],
        restarted: BTreeSet<String>,
        expected: &'a [Expected],
    ) -> Self {
        Self {
            engine,
            project,
            services,
            restarted,
            expected,
            provenance: Provenance::new(),
            seen: Vec::new(),
            half_replaced: None,
        }
    }

    /// Looks at each container once.
    async fn judge(&mut self, all: &[ContainerFacts]) -> Result<Look, HostError> {
        if let Some(fallen) = fallen(all, &self.restarted).next() {
            let (name, words) = (&fallen.name, fallen.state_words());
            return Ok(Look::Bad(format!("{name} does not work since it was restarted: {words}")));
        }
        let moved = all.iter().filter(|container| self.services.contains(&container.service));
        let containers = &*moved.cloned().collect::<Vec<_>>();
        if let Some(absent) = self.services.iter().find(|name| !containers.iter().any(|one| one.service == **name)) {
            return Ok(Look::Bad(format!("the service {absent} has no container")));
        }
        if let Some(reason) = self.half_replaced(containers) {
            return Ok(Look::Bad(reason));
        }
        let mut waiting = None;
        for container in containers {
            if !self.is_as_expected(container).await? {
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

    /// That a replacement which somebody else began is not going on: it starts the new container as soon as the old one has
    /// had its time to stop.
    fn half_replaced(&mut self, containers: &[ContainerFacts]) -> Option<String> {
        let Some(new) = containers.iter().find(|container| container.was_never_started()) else {
            self.half_replaced = None;
            return None;
        };
        let since = *self.half_replaced.get_or_insert_with(Instant::now);
        let grace = containers.iter().map(ContainerFacts::grace).max().unwrap_or_default();
        (since.elapsed() > grace + OTHERS).then(|| format!("{} was created but never started", new.name))
    }

    fn expected_of(&self, container: &ContainerFacts) -> Option<&Source> {
        self.expected.iter().find(|expected| expected.service == container.service).map(|expected| &expected.image)
    }

    /// Whether a container was made from what its service must be made from.
    async fn is_as_expected(&mut self, container: &ContainerFacts) -> Result<bool, HostError> {
        let Some(source) = self.expected_of(container) else { return Ok(true) };
        let key = (container.service.clone(), container.image_id.clone());
        if let Some(known) = self.provenance.get(&key) {
            return Ok(*known);
        }
        let good = self.engine.is(&container.image_id, source).await?;
        self.provenance.insert(key, good);
        Ok(good)
    }
}

#[async_trait]
impl Subject for Containers<'_> {
    async fn look(&mut self) -> Result<Look, HostError> {
        let mut containers = self.engine.containers_of(&self.project, self.services).await?;
        if !self.restarted.is_empty() {
            let all = self.engine.containers(&self.project).await?;
            containers.extend(all.into_iter().filter(|one| self.restarted.contains(&one.id)));
        }
        let look = self.judge(&containers).await;
        self.seen = containers;
        look
    }

    async fn evidence(&self) -> Vec<Evidence> {
        let mut shown: Vec<(u8, &ContainerFacts)> = self
            .seen
            .iter()
            .map(|container| match judge(container) {
                Verdict::Bad(_) => (0, container),
                Verdict::Wait(_) => (1, container),
                Verdict::Good => (2, container),
            })
            .collect();
        shown.sort_by_key(|(rank, _)| *rank);
        if shown.first().is_some_and(|(rank, _)| *rank < 2) {
            shown.retain(|(rank, _)| *rank < 2);
        }
        let evidence = shown
            .into_iter()
            .take(MOST_EVIDENCE)
            .map(|(_, container)| async { container.evidence(self.engine.log_tail(&container.id, LOG_LINES).await) });
        join_all(evidence).await
    }
}
