//! Why the machine did not do what was asked.

use std::fmt;

use crate::deploy::event::Evidence;

/// Why the machine did not do what was asked. Each message names the thing and the reason, and the fix where there
/// is one.
#[derive(Debug, Clone)]
pub struct HostError {
    kind: Kind,
    /// What was not done; empty where the reason says so.
    what: String,
    reason: String,
    evidence: Vec<Evidence>,
}

/// What may be expected of another try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Passing,
    Failed,
    Refused,
    Unhealthy,
}

impl HostError {
    /// Something is away or busy: the same step may well succeed in a while.
    pub fn passing(what: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::new(Kind::Passing, what.into(), reason.into())
    }

    /// The engine, Compose or a registry did not do it, for a reason that may be gone the next time.
    pub fn failed(what: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::new(Kind::Failed, what.into(), reason.into())
    }

    /// Another try gets the same answer: of the project's own program, of a unit, or because of the configuration.
    /// `what` is empty where the reason says what was not done.
    pub fn refused(what: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::new(Kind::Refused, what.into(), reason.into())
    }

    /// What was put into service does not work: which service, what happened to it, and what its containers said last.
    pub fn unhealthy(reason: impl Into<String>, evidence: Vec<Evidence>) -> Self {
        Self { evidence, ..Self::new(Kind::Unhealthy, String::new(), reason.into()) }
    }

    /// The engine does not answer; it may come back.
    pub fn engine_away(reason: impl Into<String>) -> Self {
        Self::passing("the engine does not answer", reason)
    }

    /// The system has no file descriptors, processes or memory left; that passes.
    pub(super) fn short_of_resources(reason: impl Into<String>) -> Self {
        Self::passing("this host lacks resources", reason)
    }

    const fn new(kind: Kind, what: String, reason: String) -> Self {
        Self { kind, what, reason, evidence: Vec::new() }
    }

    /// Whether the same step may well succeed in a while.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        matches!(self.kind, Kind::Passing)
    }

    /// Whether trying again may help where the alternative is a service that is down. What a program of the project's
    /// own or a unit said is its answer, and a target that is configured wrongly does not change by itself.
    #[must_use]
    pub const fn is_worth_insisting(&self) -> bool {
        !matches!(self.kind, Kind::Refused)
    }

    /// What the containers said last, where that is known.
    #[must_use]
    pub fn evidence(&self) -> &[Evidence] {
        &self.evidence
    }
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.what.as_str() {
            "" => f.write_str(&self.reason),
            what => write!(f, "{what}: {}", self.reason),
        }
    }
}

impl std::error::Error for HostError {}

/// The cause at the bottom of an error: what lies above it says only that something was sent in vain.
pub(super) fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
