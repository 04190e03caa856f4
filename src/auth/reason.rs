//! Why a request is not authentic: for the log of the host, never for the caller.

/// Why a request is not authentic, in the order of how far it came: of several, the last says most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub(super) enum Reason {
    #[error("no scheme finds all of its headers")]
    Missing,
    #[error("a header is malformed")]
    Malformed,
    #[error("a header is repeated")]
    Repeated,
    #[error("the project is unknown or has no key of the scheme that the headers belong to")]
    NoKey,
    #[error("no key of the scheme proves the request")]
    Unproven,
    #[error("the key that proves the request has expired")]
    Expired,
    #[error("signed too long ago: repeated by somebody, or one of the two clocks is wrong")]
    Old,
    #[error("signed in the future: one of the two clocks is wrong")]
    Early,
}
