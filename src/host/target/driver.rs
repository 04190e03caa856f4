//! What every kind of target can do: the trait [`Driver`].

use std::collections::BTreeSet;
use std::path::Path;

use async_trait::async_trait;

use crate::deploy::plan::{Change, Expected, Source};
use crate::deploy::sharing::Uses;
use crate::deploy::snapshot::{Instance, Snapshot};
use crate::host::finding::Finding;
use crate::host::{HostError, LogSink, LogWish, Reporter};
use crate::lanes::Lease;
use crate::model::{ImageReference, Repository};

/// One project's target on this machine. What `Host` promises of its methods holds here as well.
#[async_trait]
pub(in crate::host) trait Driver: Send + Sync {
    /// Where the project's own commands are run.
    fn directory(&self) -> &Path;

    /// What is changed as a whole, in words that are the same for every project that changes it.
    async fn places(&self) -> Result<BTreeSet<String>, HostError>;

    /// The names by which images of `repositories` are found, and what is started from each.
    async fn uses(&self, repositories: &[Repository]) -> Result<Uses, HostError>;

    /// What is odd here, and keeps no deployment from being tried.
    async fn warnings(&self) -> Result<Vec<String>, HostError> {
        Ok(Vec::new())
    }

    /// What is there now of all that uses one of `repositories`.
    async fn snapshot(&self, repositories: &[Repository]) -> Result<Snapshot, HostError>;

    /// Whether all that `snapshot` saw is still the same. Of what is no container this is not known.
    async fn is_untouched(&self, _snapshot: &Snapshot) -> Result<bool, HostError> {
        Ok(false)
    }

    /// Lets `reference` mean `source` wherever the target looks it up.
    async fn pin(&self, reference: &ImageReference, source: &Source) -> Result<(), HostError>;

    /// Puts what is pinned into service.
    async fn apply(
        &self,
        lease: &Lease,
        services: &[String],
        change: &Change,
        reporter: &Reporter,
    ) -> Result<(), HostError>;

    /// Returns when the services have proven to work.
    async fn await_healthy(
        &self,
        services: &[String],
        expected: &[Expected],
        reporter: &Reporter,
    ) -> Result<(), HostError>;

    /// Takes services out again, and lets `unpin` mean nothing any more.
    async fn remove(
        &self,
        lease: &Lease,
        services: &[String],
        unpin: &[ImageReference],
        reporter: &Reporter,
    ) -> Result<(), HostError>;

    /// What runs.
    async fn observe(&self) -> Result<Vec<Instance>, HostError>;

    /// Hands on what the instance `name` prints.
    async fn log(&self, name: &str, wish: LogWish, sink: &LogSink) -> Result<(), HostError>;

    /// All that would make a deployment fail.
    async fn survey(&self) -> Vec<Finding>;

    /// What a deployment moves, each by a name that is the same for all projects of this host. Nothing where that cannot
    /// be found out.
    async fn moved(&self) -> Vec<String>;
}
