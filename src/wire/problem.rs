//! Errors as RFC 9457 problem details.

use serde::{Deserialize, Serialize};

/// `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// `urn:windlass:problem:NAME`; stable.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in words; stable.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened this time and what to do about it.
    pub detail: String,
    /// The deployment that it is about, where there is one: its JSON, or its id alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<serde_json::Value>,
}

/// What every `type` begins with.
pub const URN: &str = "urn:windlass:problem:";

impl Problem {
    /// A problem of the kind `name`.
    #[must_use]
    pub fn new(status: u16, name: &str, title: &str, detail: impl Into<String>) -> Self {
        Self { kind: format!("{URN}{name}"), title: title.to_owned(), status, detail: detail.into(), deployment: None }
    }

    /// The kind without what all have in common.
    #[must_use]
    pub fn name(&self) -> &str {
        self.kind.strip_prefix(URN).unwrap_or(&self.kind)
    }
}
