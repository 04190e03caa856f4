//! What one look at a container or a unit says.

/// Whether it works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::host) enum Verdict {
    /// It works, as far as one look can tell.
    Good,
    /// It may still come to work.
    Wait(String),
    /// It will not come to work by itself.
    Bad(String),
}
