//! The words for how a deployment, and a part of a project, is doing.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::deploy::event;
use crate::deploy::snapshot;
use crate::deploy::status::State;

/// `queued`, `running` or an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatusWord {
    /// Waiting for its turn.
    Queued,
    /// Being carried out.
    Running,
    /// An [`Outcome`].
    #[serde(untagged)]
    Ended(Outcome),
}

/// How a deployment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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

/// Whether one part of a project does its work.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// It does, or has done what it had to.
    Working,
    /// It is coming up, and may not do its work yet.
    Starting,
    /// It does not.
    Broken,
    /// Nobody can say.
    #[default]
    #[serde(other)]
    Unknown,
}

impl Outcome {
    /// The outcome as scripts know it: `succeeded`, `rolled_back`, …
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.core().as_str()
    }

    const fn core(self) -> event::Outcome {
        match self {
            Self::Succeeded => event::Outcome::Succeeded,
            Self::Abandoned => event::Outcome::Abandoned,
            Self::RolledBack => event::Outcome::RolledBack,
            Self::RollbackFailed => event::Outcome::RollbackFailed,
            Self::Superseded => event::Outcome::Superseded,
            Self::Cancelled => event::Outcome::Cancelled,
        }
    }
}

impl From<event::Outcome> for Outcome {
    fn from(outcome: event::Outcome) -> Self {
        match outcome {
            event::Outcome::Succeeded => Self::Succeeded,
            event::Outcome::Abandoned => Self::Abandoned,
            event::Outcome::RolledBack => Self::RolledBack,
            event::Outcome::RollbackFailed => Self::RollbackFailed,
            event::Outcome::Superseded => Self::Superseded,
            event::Outcome::Cancelled => Self::Cancelled,
        }
    }
}

impl From<StatusWord> for State {
    fn from(word: StatusWord) -> Self {
        match word {
            StatusWord::Queued => Self::Queued,
            StatusWord::Running => Self::Running,
            StatusWord::Ended(outcome) => Self::Finished(outcome.core()),
        }
    }
}

impl From<State> for StatusWord {
    fn from(state: State) -> Self {
        match state {
            State::Queued => Self::Queued,
            State::Running => Self::Running,
            State::Finished(outcome) => Self::Ended(outcome.into()),
        }
    }
}

impl From<snapshot::Condition> for Condition {
    fn from(condition: snapshot::Condition) -> Self {
        match condition {
            snapshot::Condition::Working => Self::Working,
            snapshot::Condition::Starting => Self::Starting,
            snapshot::Condition::Broken => Self::Broken,
            snapshot::Condition::Unknown => Self::Unknown,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for StatusWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Queued => f.write_str("queued"),
            Self::Running => f.write_str("running"),
            Self::Ended(outcome) => outcome.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_is_one_word_in_json_in_text_and_in_the_core() {
        for outcome in [
            event::Outcome::Succeeded,
            event::Outcome::Abandoned,
            event::Outcome::RolledBack,
            event::Outcome::RollbackFailed,
            event::Outcome::Superseded,
            event::Outcome::Cancelled,
        ] {
            let word = StatusWord::Ended(outcome.into());
            assert_eq!(serde_json::to_value(word).unwrap(), outcome.as_str());
            assert_eq!(serde_json::from_value::<StatusWord>(outcome.as_str().into()).unwrap(), word);
            assert_eq!(word.to_string(), outcome.as_str());
        }
    }

    #[test]
    fn a_condition_of_a_newer_windlass_is_unknown() {
        assert_eq!(serde_json::from_str::<Condition>("\"drained\"").unwrap(), Condition::Unknown);
        assert_eq!(serde_json::from_str::<Condition>("\"broken\"").unwrap(), Condition::Broken);
    }
}
