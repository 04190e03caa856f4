//! The only code that touches the machine: the engine, Compose, units, health checks, programs.
//!
//! [`Host`] is what the rest of windlass asks of a machine. The real one is `machine::Machine`.

pub mod credentials;
pub mod machine;
pub mod polkit;
pub mod record;
pub mod survey;

mod apply;
mod compose;
mod container;
mod containers;
mod dependencies;
mod docker;
mod driver;
mod exec;
mod ghosts;
mod health;
mod hints;
mod impostors;
mod leftovers;
mod lifecycle;
mod pins;
mod ports;
mod probe;
mod quadlet;
mod resources;
mod restart;
mod runs;
mod select;
mod snapshot;
mod surroundings;
mod systemd;
mod units;
mod watch;

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::mpsc;

use crate::deploy::event::{Evidence, Outcome, Transfer};
use crate::deploy::plan::{Change, Step};
use crate::deploy::sharing::Uses;
use crate::deploy::snapshot::{Instance, Snapshot};
use crate::deploy::spec::ProjectSpec;
use crate::lanes::Lease;
use crate::model::{ImageReference, PinnedImage, Repository, one_line};

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
        narrator: &Narrator,
    ) -> Result<(), HostError>;

    /// Runs the project's own command for the end of a deployment, if it has one. Called before the outcome is told,
    /// and again when windlass was stopped in between; nothing of what comes back changes the outcome.
    async fn conclude(
        &self,
        lease: &Lease,
        spec: &ProjectSpec,
        end: &End,
        narrator: &Narrator,
    ) -> Result<(), HostError>;

    /// Lets go of kept images of this project that are not among `keep`, and removes them where nothing uses them. Says
    /// what it removes.
    async fn retain(
        &self,
        lease: &Lease,
        spec: &ProjectSpec,
        keep: &[PinnedImage],
        narrator: &Narrator,
    ) -> Result<(), HostError>;

    /// What runs of this project right now, read from the machine.
    async fn observe(&self, spec: &ProjectSpec) -> Result<Vec<Instance>, HostError>;
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

/// Takes what is worth telling while a step is carried out. Never blocks, never fails.
#[derive(Debug, Clone)]
pub struct Narrator(mpsc::UnboundedSender<Remark>);

/// Something worth telling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remark {
    /// One line. The narrator has taken the control characters out of it.
    Line(String),
    /// How far a pull is; only the newest counts.
    Transfer(Transfer),
}

impl Narrator {
    /// A narrator and the end at which its remarks come out.
    #[must_use]
    pub fn new() -> (Self, mpsc::UnboundedReceiver<Remark>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }

    /// One line; control characters become spaces, and what is longer than 1,000 characters is cut.
    pub fn say(&self, line: &str) {
        // Nobody listens any more only when the step was given up.
        let _ = self.0.send(Remark::Line(one_line(line, 1000)));
    }

    /// How far a pull is.
    pub fn transfer(&self, transfer: Transfer) {
        let _ = self.0.send(Remark::Transfer(transfer));
    }
}

/// Why the machine did not do what was asked. Each message names the thing and the reason, and the fix where there
/// is one.
#[derive(Debug, Clone, thiserror::Error)]
pub enum HostError {
    /// The engine stumbled over what somebody else does with it just then.
    #[error("the engine reported a transient error: {reason}")]
    EngineDisturbed {
        /// What it said.
        reason: String,
    },
    /// The system has no file descriptors, processes or memory left; that passes.
    #[error("this host lacks resources: {reason}")]
    Short {
        /// What could not be done, and what the system said.
        reason: String,
    },
    /// The engine does not answer; it may come back.
    #[error("the engine does not answer: {reason}")]
    EngineAway {
        /// What was tried and came back.
        reason: String,
    },
    /// The registry does not answer, or answers that it cannot just now; it may come back.
    #[error("the registry of {image} does not answer: {reason}")]
    RegistryAway {
        /// What was asked for.
        image: String,
        /// What came back.
        reason: String,
    },
    /// The registry does not know the image, or does not show it to these credentials.
    #[error("cannot resolve {image}: {reason}")]
    NotResolved {
        /// What was asked for.
        image: String,
        /// What the registry said, and the fix.
        reason: String,
    },
    /// Tag and digest do not agree.
    #[error("{image} is {found}, not the digest that was named with it")]
    Mismatch {
        /// What was asked for.
        image: String,
        /// What the tag is.
        found: String,
    },
    /// The image could not be brought here.
    #[error("pulling {image} failed: {reason}")]
    Pull {
        /// What was pulled.
        image: String,
        /// What the engine said, and the fix.
        reason: String,
    },
    /// The engine refused an operation.
    #[error("failed to {operation}: {reason}")]
    Engine {
        /// What was being done, in a few words.
        operation: String,
        /// What the engine said.
        reason: String,
    },
    /// What windlass wrote down about images cannot be read or written.
    #[error("the record of images cannot be read or written: {reason}")]
    Record {
        /// What the store said.
        reason: String,
    },
    /// The target cannot be moved as it is configured.
    #[error("{reason}")]
    Target {
        /// What is wrong and how to fix it.
        reason: String,
    },
    /// Compose refused.
    #[error("docker compose {command} failed: {reason}")]
    Compose {
        /// The subcommand.
        command: &'static str,
        /// The last lines of what it said.
        reason: String,
    },
    /// systemd did not do it, or what is pinned for it cannot be written.
    #[error("failed to {operation}: {reason}")]
    Unit {
        /// What was being done, in a few words.
        operation: String,
        /// What systemd said, and the fix where it is known.
        reason: String,
    },
    /// One of the project's own commands failed.
    #[error("{program} failed: {reason}")]
    Command {
        /// Which one.
        program: String,
        /// Its exit code and what it said last, or why it was not run.
        reason: String,
    },
    /// What was put into service does not work.
    #[error("{reason}")]
    Unhealthy {
        /// Which service, and what happened to it.
        reason: String,
        /// What its containers said last.
        evidence: Vec<Evidence>,
    },
}

impl HostError {
    /// Whether the same step may well succeed in a while.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::EngineDisturbed { .. } | Self::Short { .. } | Self::EngineAway { .. } | Self::RegistryAway { .. }
        )
    }

    /// Whether trying again may help where the alternative is a service that is down. What a program of the project's
    /// own or a unit said is its answer, and a target that is configured wrongly does not change by itself.
    #[must_use]
    pub const fn is_worth_insisting(&self) -> bool {
        match self {
            Self::Engine { .. } | Self::Compose { .. } | Self::Pull { .. } | Self::Unhealthy { .. } => true,
            _ => self.is_passing(),
        }
    }

    /// What the containers said last, where that is known.
    #[must_use]
    pub fn evidence(&self) -> &[Evidence] {
        match self {
            Self::Unhealthy { evidence, .. } => evidence,
            _ => &[],
        }
    }
}

/// The cause at the bottom of an error: what lies above it says only that something was sent in vain.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// A machine that many may ask.
pub type SharedHost = Arc<dyn Host>;
