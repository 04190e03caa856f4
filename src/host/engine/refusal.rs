//! What the engine says instead of an answer, and what it means.

use bollard::errors::Error;

use crate::host::HostError;
use crate::host::error::innermost;

/// What came back instead of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Nothing, or half an answer.
    Away(String),
    /// A status and a message.
    Status(u16, String),
    /// An error in the middle of an answer that had begun well.
    Stream(String),
    /// Something that windlass does not understand.
    Odd(String),
}

impl Refusal {
    pub(super) fn is_about_the_version(&self) -> bool {
        matches!(self, Self::Status(400, message) if message.contains("client version"))
    }

    /// Whether what was asked for is not there.
    pub(super) fn is_absence(&self) -> bool {
        matches!(self, Self::Status(404, _))
    }

    /// Whether there is a container of that name already. Podman has no status of its own for it.
    pub(super) fn is_name_taken(&self) -> bool {
        matches!(self, Self::Status(409, _))
            || matches!(self, Self::Status(500, message) if message.contains("already in use"))
    }

    pub(super) fn at(self, address: &str) -> Self {
        match self {
            Self::Away(reason) => Self::Away(format!("{address}: {reason}")),
            other => other,
        }
    }

    /// The failure of `operation`, said to people.
    pub(super) fn during(self, operation: &str) -> HostError {
        match self {
            Self::Away(reason) => HostError::engine_away(reason),
            Self::Status(_, reason) | Self::Stream(reason) | Self::Odd(reason) => {
                HostError::failed(format!("failed to {operation}"), reason)
            }
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match error {
            Error::DockerResponseServerError { status_code, message } => {
                Self::Status(status_code, message.trim().to_owned())
            }
            Error::DockerStreamError { error } => Self::Stream(error),
            Error::JsonDataError { message, .. } => Self::Odd(format!("unexpected answer: {message}")),
            Error::JsonSerdeError { err } => Self::Odd(format!("unexpected answer: {err}")),
            other => Self::Away(innermost(&other)),
        }
    }
}

/// Whether the engine's complaint is about another image than the one that was asked for: Podman looks through all of
/// them, and stumbles over one that is made or removed just then. One that was asked for and is not there is an absence
/// with it, too.
pub(in crate::host) fn is_about_an_image_that_comes_or_goes(complaint: &str) -> bool {
    ["image not known", "locating item named"].iter().any(|words| complaint.contains(words))
}
