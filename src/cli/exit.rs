//! How the command ends: the codes that scripts depend on.

use std::process::ExitCode;

use crate::client::Kind;
use crate::wire::state::Outcome;
use crate::wire::state::StatusWord;

/// One ending. The numbers are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Exit {
    /// It did what it was asked for.
    Succeeded = 0,
    /// Something of windlass itself went wrong.
    Internal = 1,
    /// The command line cannot be understood. clap ends with the same number.
    Usage = 2,
    /// Something of what was asked about is not well.
    NotWell = 3,
    /// windlass answered, and said no.
    Refused = 10,
    /// No key proved the request.
    NotAuthentic = 11,
    /// There was no answer.
    Unreachable = 12,
    /// It failed before anything was touched.
    Abandoned = 20,
    /// It failed, and what ran before runs again.
    RolledBack = 21,
    /// It failed, and a person is needed.
    RollbackFailed = 22,
    /// A newer one took its place.
    Superseded = 23,
    /// Somebody cancelled it.
    Cancelled = 24,
    /// It goes on; the waiting ended.
    StillRunning = 30,
}

impl From<Outcome> for Exit {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Succeeded => Self::Succeeded,
            Outcome::Abandoned => Self::Abandoned,
            Outcome::RolledBack => Self::RolledBack,
            Outcome::RollbackFailed => Self::RollbackFailed,
            Outcome::Superseded => Self::Superseded,
            Outcome::Cancelled => Self::Cancelled,
        }
    }
}

impl From<Kind> for Exit {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Internal => Self::Internal,
            Kind::Usage => Self::Usage,
            Kind::Refused => Self::Refused,
            Kind::NotAuthentic => Self::NotAuthentic,
            Kind::Unreachable => Self::Unreachable,
            Kind::Ended(outcome) => outcome.into(),
        }
    }
}

impl From<StatusWord> for Exit {
    fn from(status: StatusWord) -> Self {
        match status {
            StatusWord::Queued | StatusWord::Running => Self::StillRunning,
            StatusWord::Ended(outcome) => outcome.into(),
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_ends_the_command_with_its_own_number() {
        let code = |status: StatusWord| Exit::from(status) as u8;
        assert_eq!(code(StatusWord::Queued), 30);
        assert_eq!(code(StatusWord::Running), 30);
        for (outcome, expected) in [
            (Outcome::Succeeded, 0),
            (Outcome::Abandoned, 20),
            (Outcome::RolledBack, 21),
            (Outcome::RollbackFailed, 22),
            (Outcome::Superseded, 23),
            (Outcome::Cancelled, 24),
        ] {
            assert_eq!(code(StatusWord::Ended(outcome)), expected, "{outcome}");
        }
    }

    #[test]
    fn each_kind_of_failure_ends_the_command_with_its_own_number() {
        for (kind, expected) in [
            (Kind::Internal, 1),
            (Kind::Usage, 2),
            (Kind::Refused, 10),
            (Kind::NotAuthentic, 11),
            (Kind::Unreachable, 12),
            (Kind::Ended(Outcome::RolledBack), 21),
        ] {
            assert_eq!(Exit::from(kind) as u8, expected, "{kind:?}");
        }
    }
}
