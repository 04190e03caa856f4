//! What happens to a project or to the host, besides deployments.

use super::gate::Freeze;
use crate::model::DeliveryId;

/// What happened to a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProjectEvent {
    /// It takes no deployments from now on.
    Frozen(Freeze),
    /// It takes deployments again.
    Unfrozen {
        /// Who ended the freeze.
        by: String,
    },
    /// A delivery that was authentic did not become a deployment.
    Refused {
        /// The key's id, or the operator.
        by: String,
        /// The delivery's id, where it had one.
        delivery: Option<DeliveryId>,
        /// The stable name of the reason.
        problem: String,
        /// The reason, in one line.
        reason: String,
    },
}

/// What happened to the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostEvent {
    /// windlass has started and takes deployments.
    Started {
        /// Its version.
        version: String,
    },
}
