//! Everything that a deployment can say.

use std::fmt;

use super::plan::Plan;
use super::snapshot::Snapshot;
use super::spec::Target;
use crate::model::{DeliveryId, DeploymentId, ImageReference, KeyId, PinnedImage, Timestamp};

/// One entry of a deployment's journal.
///
/// Written before the effect that it announces, so that the journal is never behind the machine. The last one is
/// [`Event::Finished`], always, and nothing follows it but [`Event::Noted`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Accepted, and on disk.
    Queued {
        /// What shall be put into service.
        wanted: Wanted,
        /// Who asked.
        requested_by: RequestedBy,
        /// Where from and where to, where an operator goes back.
        rollback: Option<Rollback>,
    },
    /// It is this deployment's turn.
    Started,
    /// The images are fixed by digest.
    Resolved {
        /// The release.
        images: Vec<PinnedImage>,
    },
    /// The way back is known, and what will be done.
    Planned {
        /// What runs now.
        snapshot: Snapshot,
        /// What will be done.
        plan: Plan,
        /// How and where. A journal of an earlier version has none.
        target: Option<Target>,
    },
    /// A step of the plan in force begins: the forward one, or after [`Event::RollingBack`] that one.
    StepStarted {
        /// From 0.
        step: usize,
    },
    /// How far a pull is.
    Progress {
        /// From 0.
        step: usize,
        /// Layers and bytes.
        transfer: Transfer,
    },
    /// Something worth a line while a step is carried out.
    Said {
        /// From 0.
        step: usize,
        /// One line, without control characters.
        line: String,
    },
    /// The step had its effect.
    StepFinished {
        /// From 0.
        step: usize,
    },
    /// The step did not have its effect.
    StepFailed {
        /// From 0.
        step: usize,
        /// Why.
        reason: String,
        /// What the containers said last.
        evidence: Vec<Evidence>,
    },
    /// What ran before is being put back.
    RollingBack {
        /// Why.
        cause: Cause,
        /// What will be done for it.
        plan: Plan,
    },
    /// windlass itself was stopped in the middle and has come back.
    Resumed,
    /// Worth knowing, and without any consequence.
    Noted {
        /// One line.
        text: String,
    },
    /// How it ended.
    Finished {
        /// The outcome.
        outcome: Outcome,
        /// Why, unless it succeeded.
        reason: Option<String>,
    },
}

/// What shall be put into service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// To be resolved by the registry when the turn has come.
    Images(Vec<ImageReference>),
    /// A release of before, fixed already.
    Release(Vec<PinnedImage>),
}

/// A rollback by command: what it goes back from, and to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollback {
    /// What ran when it was asked for, of the repositories that it moves; nothing where nothing ran, or nobody knows.
    pub from: Vec<PinnedImage>,
    /// The deployment whose release shall run again.
    pub to: DeploymentId,
    /// When that one ended.
    pub deployed_at: Timestamp,
}

/// Who asked for a deployment, and what they said about it. None of it becomes a path, an argument or a word of a
/// shell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestedBy {
    /// The key that signed; nothing for an operator on the host.
    pub key: Option<KeyId>,
    /// The delivery's id.
    pub delivery: Option<DeliveryId>,
    /// The commit that was built.
    pub commit: Option<String>,
    /// The git reference that was built.
    pub git_ref: Option<String>,
    /// The user that the system knows at the other end of the operators' socket; with a key, whom the sender names.
    pub actor: Option<String>,
    /// Whom an operator names besides. Nobody has looked whether it is true.
    pub on_behalf_of: Option<String>,
    /// Where the build can be looked at.
    pub run_url: Option<String>,
}

/// How far a pull is. Bytes are as the engine counts them: compressed, while downloading.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Transfer {
    /// Layers that are there.
    pub layers_done: u32,
    /// Layers that are known.
    pub layers: u32,
    /// Bytes that are there.
    pub bytes_done: u64,
    /// Bytes that are known.
    pub bytes: u64,
}

/// What a container or unit said last, for the one who has to find out why.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Of which one.
    pub name: String,
    /// Its state in words: `exited (1)`, `restarted 3 times`, `unhealthy`.
    pub state: String,
    /// The last lines of its log.
    pub log: Vec<String>,
    /// The last results of its health check.
    pub health: Vec<String>,
}

/// Why a deployment is rolled back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// A step failed, or the time was over.
    Failed(String),
    /// Somebody cancelled it.
    Cancelled(String),
}

/// How a deployment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The release runs, proven.
    Succeeded,
    /// It failed before anything was touched.
    Abandoned,
    /// It failed, and what ran before runs again, proven.
    RolledBack,
    /// It failed, and so did putting back what ran before. A person is needed.
    RollbackFailed,
    /// A newer one took its place before its turn came.
    Superseded,
    /// Somebody cancelled it; what ran before runs.
    Cancelled,
}

impl Outcome {
    /// The outcome as scripts know it: `succeeded`, `rolled_back`, …
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Abandoned => "abandoned",
            Self::RolledBack => "rolled_back",
            Self::RollbackFailed => "rollback_failed",
            Self::Superseded => "superseded",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Cause {
    /// The reason in words.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Failed(reason) | Self::Cancelled(reason) => reason,
        }
    }

    /// How a deployment ends that was rolled back for this.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        match self {
            Self::Failed(_) => Outcome::RolledBack,
            Self::Cancelled(_) => Outcome::Cancelled,
        }
    }
}

impl Event {
    /// The end of one that a newer one made needless.
    #[must_use]
    pub fn superseded(by: &DeploymentId) -> Self {
        Self::Finished { outcome: Outcome::Superseded, reason: Some(format!("superseded by {by}")) }
    }
}
