//! The only code that touches the machine: the engine, Compose, units, health checks, programs.
//!
//! [`Host`] is what the rest of windlass asks of a machine. The real one is `machine::Machine`.

pub mod finding;
mod logs;
pub mod machine;

mod engine;
mod error;
mod health;
mod lifecycle;
mod program;
mod reporter;
mod systemd;
mod target;

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;

use crate::deploy::event::Outcome;
use crate::deploy::plan::{Change, Step};
use crate::deploy::sharing::Uses;
use crate::deploy::snapshot::{Instance, Snapshot};
use crate::deploy::spec::ProjectSpec;
use crate::lanes::Lease;
use crate::model::{ImageReference, PinnedImage, Repository};

pub use engine::{EngineVersion, credentials, record};
pub use error::HostError;
pub use logs::{LogLine, LogSink, LogWish};
pub use reporter::{Remark, Reporter};
pub use systemd::polkit;

/// A machine that runs projects.
///
/// Every method may be dropped half-way: what it started is then stopped or harmless. [`Host::perform`] may be
/// called again for a step that had been begun or even finished.
#[async_trait]
pub trait Host: Send + Sync + 'static {
    /// Asks the registry, with the host's credentials, what `image` is right now. For an image that names a tag and
    /// a digest, both must agree. A digest alone is confirmed without the registry where the image is here already.
    async fn resolve(&self, image: &ImageReference) -> Result<PinnedImage, HostError>;

    /// What a deployment of the project changes as a whole: its Compose project, its units. In words that are the same
    /// for every project that changes it. From memory where the machine was asked before; a snapshot asks anew.
    async fn places(&self, spec: &ProjectSpec) -> Result<BTreeSet<String>, HostError>;

    /// The names by which the project finds images of `repositories`, and what it starts from each. Read anew; where
    /// that fails, as it was last.
    async fn uses(&self, spec: &ProjectSpec, repositories: &[Repository]) -> Result<Uses, HostError>;

    /// What about the project here is odd, and keeps no deployment from being tried.
    async fn warnings(&self, spec: &ProjectSpec) -> Result<Vec<String>, HostError>;

    /// What is there now of the services that use one of `repositories`. Changes nothing.
    async fn snapshot(&self, spec: &ProjectSpec, repositories: &[Repository]) -> Result<Snapshot, HostError>;

    /// Whether all containers that `snapshot` saw are still the same ones.
    async fn is_untouched(&self, spec: &ProjectSpec, snapshot: &Snapshot) -> Result<bool, HostError>;

    /// Carries out one step. The lease proves that nobody else is changing this project.
    async fn perform(
        &self,
        lease: &Lease,
        spec: &ProjectSpec,
        step: &Step,
        reporter: &Reporter,
    ) -> Result<(), HostError>;

    /// Runs the project's own command for the end of a deployment, if it has one. Called before the outcome is told,
    /// and again when windlass was stopped in between; nothing of what comes back changes the outcome.
    async fn conclude(
        &self,
        lease: &Lease,
        spec: &ProjectSpec,
        end: &End,
        reporter: &Reporter,
    ) -> Result<(), HostError>;

    /// Lets go of kept images of this project that are not among `keep`, and removes them where nothing uses them. Says
    /// what it removes.
    async fn retain(
        &self,
        lease: &Lease,
        spec: &ProjectSpec,
        keep: &[PinnedImage],
        reporter: &Reporter,
    ) -> Result<(), HostError>;

    /// What runs of this project right now, read from the machine.
    async fn observe(&self, spec: &ProjectSpec) -> Result<Vec<Instance>, HostError>;

    /// Hands on what that prints. Ends with the last line, or where more is wanted when nothing prints any more.
    async fn logs(&self, spec: &ProjectSpec, wish: LogWish, sink: &LogSink) -> Result<(), HostError>;
}

/// How a deployment ends, for the project's own commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// The outcome.
    pub outcome: Outcome,
    /// Why, unless it succeeded.
    pub reason: Option<String>,
    /// What it was to change; nothing comes where that was not found out.
    pub change: Change,
}

/// A machine that many may ask.
pub type SharedHost = Arc<dyn Host>;
