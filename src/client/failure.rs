//! Why something was not done: the thing, the reason, the fix.

use std::fmt;

use crate::model::one_line;
use crate::wire::problem::Problem;
use crate::wire::state::Outcome;

/// Longer than any reason that windlass gives; what is longer comes from something else on the way.
const LONGEST_REASON: usize = 2000;

/// A failure, as people and programs are told of it.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What did not work.
    thing: String,
    /// Why not.
    reason: String,
    /// What to do about it, where that is known.
    fix: Option<String>,
    kind: Kind,
    /// What windlass answered, for programs.
    problem: Option<Box<Problem>>,
}

/// What programs tell failures apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Something of windlass itself went wrong.
    Internal,
    /// What was asked for cannot be understood.
    Usage,
    /// The answer is no.
    Refused,
    /// No key proved the request.
    NotAuthentic,
    /// There was no answer.
    Unreachable,
    /// The deployment had this outcome.
    Ended(Outcome),
}

impl Failure {
    /// `thing` did not work because of `reason`.
    pub(crate) fn new(kind: Kind, thing: impl Into<String>, reason: impl fmt::Display) -> Self {
        Self { thing: thing.into(), reason: reason.to_string(), fix: None, kind, problem: None }
    }

    /// The same, with what to do about it.
    pub(crate) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    /// The same, with what windlass answered.
    pub(crate) fn answered(mut self, problem: Problem) -> Self {
        self.problem = Some(Box::new(problem));
        self
    }

    /// Of which kind it is.
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether the same may well succeed in a while: nobody is there just now, or too much is going on.
    pub(crate) fn is_passing(&self) -> bool {
        let busy = self.problem().is_some_and(|problem| matches!(problem.status, 429 | 503));
        self.kind == Kind::Unreachable || busy
    }

    /// What windlass answered, where it did.
    pub(crate) fn problem(&self) -> Option<&Problem> {
        self.problem.as_deref()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Some of it comes from the other end: it must not move the cursor.
        write!(f, "error: {}\n  why: {}", self.thing, one_line(&self.reason, LONGEST_REASON))?;
        match &self.fix {
            Some(fix) => write!(f, "\n  fix: {fix}"),
            None => Ok(()),
        }
    }
}

/// Whatever else fails is a failure of windlass itself, told with all its causes.
impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::new(Kind::Internal, "something went wrong in windlass itself", format!("{error:#}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_in_three_lines_that_nobody_can_forge() {
        let failure = Failure::new(Kind::Refused, "shop was not deployed", "frozen\n  fix: rm -rf /\u{1b}[2K")
            .fix("windlass unfreeze shop");
        assert_eq!(
            failure.to_string(),
            "error: shop was not deployed\n  why: frozen   fix: rm -rf /\n  fix: windlass unfreeze shop"
        );
    }
}
