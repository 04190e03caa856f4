//! Findings: what was looked at on this host before a deployment is tried, and whether it is in order.

use serde::Serialize;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Whether it is in order.
    pub severity: Severity,
    /// In one line: which thing; where it is not in order, also what is wrong and how to fix it.
    pub what: String,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It is in order.
    Ok,
    /// Worth knowing.
    Warning,
    /// A deployment would fail.
    Error,
}

impl Finding {
    pub(crate) const fn ok(what: String) -> Self {
        Self { severity: Severity::Ok, what }
    }

    pub(crate) const fn error(what: String) -> Self {
        Self { severity: Severity::Error, what }
    }

    pub(crate) const fn warning(what: String) -> Self {
        Self { severity: Severity::Warning, what }
    }
}
