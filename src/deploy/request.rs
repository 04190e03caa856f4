//! What somebody asks for, admitted: authentic, understood and allowed.

use crate::deploy::event::{RequestedBy, Wanted};
use crate::model::{DeliveryId, Digest, ProjectName};

/// A request that may be written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeployRequest {
    /// Of which project.
    pub project: ProjectName,
    /// What shall be put into service.
    pub wanted: Wanted,
    /// Who asked.
    pub requested_by: RequestedBy,
    /// Its place in the sender's own order. One lower than the newest accepted of the project is stale.
    pub sequence: Option<u64>,
    /// What makes a second request the same one.
    pub repetition: Repetition,
}

/// What makes a second request the same as the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repetition {
    /// Nothing: each request is one of its own.
    Never,
    /// The delivery's id; with another body it is a conflict.
    Id {
        /// As it was signed, or named beside a bearer token.
        id: DeliveryId,
        /// Of the body as it was received.
        body: Digest,
    },
    /// The body: nothing else was signed. Seen again when it is no longer the project's newest, it is a replay.
    Body(Digest),
}
