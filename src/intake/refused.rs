//! Why a delivery does not get what it asks for.

use std::time::Duration;

use crate::deploy::gate::Closed;
use crate::deploy::request::Refusal;
use crate::model::{DeploymentId, Timestamp};
use crate::runner::SubmitError;
use crate::store::StoreError;

/// Why a delivery that is authentic does not get what it asks for. What it says is what the caller reads.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// It is not understood, or not allowed.
    #[error(transparent)]
    Refusal(#[from] Refusal),
    /// Its key asks too often.
    #[error("this key asks for deployments too often: try again in {} s", whole_seconds(*.wait))]
    TooOften {
        /// How long to wait.
        wait: Duration,
    },
    /// It was not taken.
    #[error("{}", not_taken(.error))]
    NotTaken {
        /// Why.
        error: SubmitError,
        /// When.
        now: Timestamp,
    },
    /// What it asks for cannot be planned.
    #[error("{0}")]
    Unplannable(String),
    /// The engine or the registry does not answer.
    #[error("{0}")]
    Away(String),
    /// Nothing could be read or written.
    #[error("{0}; nothing was changed: try again")]
    Store(#[from] StoreError),
}

impl Refused {
    /// The engine or the registry took longer than a plan may take.
    #[must_use]
    pub fn no_answer(within: Duration) -> Self {
        Self::Away(format!("no answer within {} s", within.as_secs()))
    }

    /// What scripts know it by. Names are only ever added.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Refusal(Refusal::NotUnderstood(_)) => "not_understood",
            Self::Refusal(Refusal::KeyMayNot { .. }) => "forbidden",
            Self::Refusal(
                Refusal::Image { .. } | Refusal::Digest { .. } | Refusal::DigestsDiffer | Refusal::NamedTwice { .. },
            ) => "bad_image",
            Self::Refusal(Refusal::NotAllowed(_)) => "not_allowed",
            Self::TooOften { .. } => "too_often",
            Self::NotTaken { error, .. } => match error {
                SubmitError::Closing => "closing",
                SubmitError::QueueFull(_) => "queue_full",
                SubmitError::Conflict(_) => "conflict",
                SubmitError::Replayed(_) | SubmitError::UsedUp => "replayed",
                SubmitError::Refused(Closed::Stale { .. }) => "stale",
                SubmitError::Refused(Closed::Frozen(_)) => "frozen",
                SubmitError::Store(_) => "storage",
            },
            Self::Unplannable(_) => "unresolvable",
            Self::Away(_) => "away",
            Self::Store(_) => "storage",
        }
    }

    /// Whether those who look after the project want to know of it: it is about what was asked for, and not about how
    /// often, or about the host.
    #[must_use]
    pub const fn is_news(&self) -> bool {
        match self {
            Self::Refusal(_) => true,
            Self::NotTaken { error, .. } => !matches!(error, SubmitError::Closing | SubmitError::Store(_)),
            Self::TooOften { .. } | Self::Unplannable(_) | Self::Away(_) | Self::Store(_) => false,
        }
    }

    /// In how many seconds it is worth trying again, as far as that is known.
    #[must_use]
    pub fn retry_after(&self) -> Option<u64> {
        match self {
            Self::NotTaken { error: SubmitError::Refused(Closed::Frozen(freeze)), now } => {
                freeze.until.map(|until| until.since(*now).as_secs().saturating_add(1))
            }
            Self::NotTaken { error: SubmitError::Closing, .. } => Some(10),
            Self::TooOften { wait } => Some(whole_seconds(*wait)),
            _ => None,
        }
    }

    /// The deployment that it is about.
    #[must_use]
    pub const fn deployment(&self) -> Option<&DeploymentId> {
        match self {
            Self::NotTaken { error: SubmitError::Conflict(other) | SubmitError::Replayed(Some(other)), .. } => {
                Some(other)
            }
            _ => None,
        }
    }

    /// What went wrong in the store, which the caller reads nothing about.
    #[must_use]
    pub const fn store_error(&self) -> Option<&StoreError> {
        match self {
            Self::Store(error) | Self::NotTaken { error: SubmitError::Store(error), .. } => Some(error),
            _ => None,
        }
    }
}

fn not_taken(error: &SubmitError) -> String {
    match error {
        SubmitError::Replayed(_) | SubmitError::UsedUp => format!(
            "{error}: to deploy it, send it under another delivery id, or, where only the body is signed, let the body \
             differ, by `run_url` or a higher `sequence`"
        ),
        SubmitError::Store(_) => format!("{error}; nothing was changed: try again"),
        _ => error.to_string(),
    }
}

fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}
