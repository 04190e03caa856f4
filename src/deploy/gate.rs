//! Whether a deployment may pass: decided from facts alone, when it is asked for and again when its turn comes.

use std::fmt;

use super::request::DeployRequest;
use super::status::Status;
use crate::model::Timestamp;

/// Why a project takes no deployments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freeze {
    /// What was said about it.
    pub reason: Option<String>,
    /// Who did it.
    pub by: String,
    /// From when.
    pub since: Timestamp,
    /// Until when; nothing when somebody has to end it.
    pub until: Option<Timestamp>,
}

/// What the gate has to know of a project.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The freeze that is in force.
    pub freeze: Option<Freeze>,
    /// The highest sequence that was accepted, or the one that an operator has set.
    pub newest_sequence: Option<u64>,
}

/// What asks to pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passage {
    is_rollback: bool,
    is_operators: bool,
    sequence: Option<u64>,
}

/// What the gate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gate {
    /// It may pass.
    Open,
    /// It may not pass yet.
    Wait {
        /// Why.
        why: &'static str,
        /// Until when; nothing when nobody knows.
        until: Option<Timestamp>,
    },
    /// It may not pass.
    Refuse(Closed),
}

/// Why something may not pass.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Closed {
    /// The project takes no deployments.
    #[error("the project is {0}")]
    Frozen(Freeze),
    /// A later one in the sender's order was accepted before.
    #[error(
        "sequence {newest} was accepted before, which is newer; where that one was a mistake, an operator on the host \
         sets another: windlass deploy PROJECT IMAGE --sequence NUMBER"
    )]
    Stale {
        /// The latest.
        newest: u64,
    },
}

impl Passage {
    /// What was asked for just now.
    #[must_use]
    pub fn of_request(request: &DeployRequest) -> Self {
        Self {
            is_rollback: request.rollback.is_some(),
            is_operators: request.requested_by.key.is_none(),
            sequence: request.sequence,
        }
    }

    /// What was accepted, and has its turn now. Its sequence was looked at then.
    #[must_use]
    pub fn of_turn(status: &Status) -> Self {
        let is_operators = status.requested_by.key.is_none();
        Self { is_rollback: status.rollback.is_some(), is_operators, sequence: None }
    }
}

/// Whether `passage` may pass, by the facts of its project; nothing where these cannot be read. An operator's rollback
/// passes a freeze, and an operator's sequence counts from then on, lower or not: so a mistaken one is corrected.
#[must_use]
pub fn decide(passage: Passage, facts: Option<&Facts>) -> Gate {
    let Some(Facts { freeze, newest_sequence }) = facts else {
        return Gate::Wait { why: "it cannot be read whether the project is frozen", until: None };
    };
    match (freeze, passage.sequence, newest_sequence) {
        (Some(freeze), _, _) if !passage.is_rollback => Gate::Refuse(Closed::Frozen(freeze.clone())),
        (_, Some(sequence), Some(newest)) if sequence < *newest && !passage.is_operators => {
            Gate::Refuse(Closed::Stale { newest: *newest })
        }
        _ => Gate::Open,
    }
}

/// `frozen by ann since 2026-…, until 2026-…: audit`.
impl fmt::Display for Freeze {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "frozen by {} since {}", self.by, self.since)?;
        if let Some(until) = self.until {
            write!(f, ", until {until}")?;
        }
        match &self.reason {
            Some(reason) => write!(f, ": {reason}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(is_rollback: bool, is_operators: bool, sequence: Option<u64>) -> Passage {
        Passage { is_rollback, is_operators, sequence }
    }

    fn facts(is_frozen: bool, newest_sequence: Option<u64>) -> Facts {
        let freeze = Freeze { reason: None, by: "ann".to_owned(), since: Timestamp::MIN, until: None };
        Facts { freeze: is_frozen.then_some(freeze), newest_sequence }
    }

    #[test]
    fn a_freeze_refuses_all_but_a_rollback_and_comes_before_the_sequence() {
        let frozen = facts(true, Some(7));
        for (passage, is_open) in [
            (asked(false, false, None), false),
            (asked(false, false, Some(1)), false),
            (asked(false, true, Some(9)), false),
            (asked(true, true, None), true),
        ] {
            match decide(passage, Some(&frozen)) {
                Gate::Open => assert!(is_open, "{passage:?}"),
                Gate::Refuse(Closed::Frozen(_)) => assert!(!is_open, "{passage:?}"),
                other => panic!("{passage:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_sequence_that_is_behind_is_stale_unless_an_operator_sets_it() {
        let newest = facts(false, Some(7));
        let stale = Gate::Refuse(Closed::Stale { newest: 7 });
        assert_eq!(decide(asked(false, false, Some(6)), Some(&newest)), stale);
        assert_eq!(decide(asked(false, true, Some(6)), Some(&newest)), Gate::Open);
        for sequence in [None, Some(7), Some(8)] {
            assert_eq!(decide(asked(false, false, sequence), Some(&newest)), Gate::Open);
        }
        assert_eq!(decide(asked(false, false, Some(0)), Some(&facts(false, None))), Gate::Open);
    }

    #[test]
    fn what_cannot_be_read_is_waited_for() {
        assert!(matches!(decide(asked(false, false, None), None), Gate::Wait { until: None, .. }));
    }
}
