//! From a release to its plan: first whether others are in the way, then what runs, then what will be done.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::execution::Execution;
use super::guard::Failure;
use super::{Runner, past_of};
use crate::deploy::plan::{self, Plan};
use crate::deploy::rollout::Rollout;
use crate::deploy::sharing::conflict;
use crate::deploy::snapshot::Snapshot;
use crate::deploy::spec::ProjectSpec;
use crate::deploy::way_back::History;
use crate::host::HostError;
use crate::model::{PinnedImage, Repository};

impl Runner {
    /// What runs, and what will be done to put `release` into service.
    pub(super) async fn prepare(
        &self,
        spec: &ProjectSpec,
        release: &[PinnedImage],
    ) -> Result<(Snapshot, Plan), HostError> {
        let snapshot = self.snapshot(spec, &Repository::of_all(release)).await?;
        let plan = plan::forward(release, &snapshot, Rollout::of(spec));
        Ok((snapshot, plan))
    }

    /// What runs of the services that use one of `repositories`.
    pub(super) async fn snapshot(
        &self,
        spec: &ProjectSpec,
        repositories: &[Repository],
    ) -> Result<Snapshot, HostError> {
        self.find_conflict(spec, repositories).await?;
        let mut snapshot = self.0.host.snapshot(spec, repositories).await?;
        // These are words for people, on which nothing depends.
        if let Ok(past) = self.past(&spec.name, None).await {
            let past: Vec<_> = past.iter().map(past_of).collect();
            let history = History::read(&past, &spec.images);
            snapshot.deployed =
                snapshot.previous().iter().filter_map(|image| history.deployed_as(image)).cloned().collect();
        }
        Ok(snapshot)
    }

    /// Fails where another project starts something else by a name that this release would be given.
    async fn find_conflict(&self, spec: &ProjectSpec, repositories: &[Repository]) -> Result<(), HostError> {
        let catalog = self.catalog();
        let neighbours: Vec<&ProjectSpec> = catalog
            .values()
            .map(|project| &*project.spec)
            .filter(|other| other.name != spec.name && other.images.iter().any(|image| repositories.contains(image)))
            .collect();
        if neighbours.is_empty() {
            return Ok(());
        }
        let own = self.0.host.uses(spec, repositories).await?;
        let theirs = join_all(neighbours.iter().map(|other| self.0.host.uses(other, repositories))).await;
        // What cannot be read now, and never could since windlass was started, cannot be started either.
        let theirs =
            neighbours.iter().zip(&theirs).filter_map(|(other, uses)| Some((&other.name, uses.as_ref().ok()?)));
        match conflict(&spec.name, &own, theirs) {
            Some(reason) => Err(HostError::refused("", reason)),
            None => Ok(()),
        }
    }
}

impl Execution {
    /// As [`Runner::prepare`], with a claim to all that will be changed.
    pub(super) async fn prepare(&mut self, release: &[PinnedImage]) -> Result<(Snapshot, Plan), Failure> {
        let (runner, spec) = (Runner(Arc::clone(&self.inner)), Arc::clone(&self.spec));
        loop {
            let claimed = self.claim().await?;
            let prepared = self.insist(|| runner.prepare(&spec, release)).await?;
            // The snapshot has read the files anew, and they may have another name for the project than before.
            if self.places().await? == claimed {
                return Ok(prepared);
            }
            if Instant::now() >= self.deadline {
                return Err(Failure::TimedOut(spec.timeout));
            }
        }
    }

    /// Waits until nobody else changes what this deployment will change, and lets nobody else until it has ended. The
    /// wait takes nothing from the deployment's own time.
    pub(super) async fn claim(&mut self) -> Result<BTreeSet<String>, Failure> {
        let places = self.places().await?;
        if let Some(holder) = self.lease.holder(&places).filter(|holder| holder != self.lease.project()) {
            self.note(format!("waiting for {holder}, which changes the same: {}", join(&places))).await;
        }
        let begun = Instant::now();
        let guard = self.guard();
        guard.wait(self.lease.claim(places.clone())).await?;
        self.deadline += begun.elapsed();
        Ok(places)
    }

    async fn places(&mut self) -> Result<BTreeSet<String>, Failure> {
        let (host, spec) = (Arc::clone(&self.inner.host), Arc::clone(&self.spec));
        self.insist(|| host.places(&spec)).await
    }
}

fn join(places: &BTreeSet<String>) -> String {
    places.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}
