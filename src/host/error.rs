//! Why the machine did not do what was asked.

use crate::deploy::event::Evidence;

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
pub(super) fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
