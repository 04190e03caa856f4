//! Why a request is not authentic: for the log of the host, never for the caller.

/// Why a request is not authentic, in the order of how far it came: of several, the last says most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub(super) enum Reason {
    #[error("the headers of a signature, or the token, are missing")]
    Missing,
    #[error("a header is malformed")]
    Malformed,
    #[error("a header is repeated")]
    Repeated,
    #[error("there is no such project, or it has no key of the scheme that the headers belong to")]
    NoKey,
    #[error("no key of the project proves it: it was made with another secret, or the body was changed on the way")]
    Unproven,
    #[error("the key that proves the request has expired")]
    Expired,
    #[error("signed too long ago: repeated by somebody, or one of the two clocks is wrong")]
    Old,
    #[error("signed in the future: one of the two clocks is wrong")]
    Early,
}
