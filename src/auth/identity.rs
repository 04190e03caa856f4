//! What makes two deliveries the same one.

use crate::model::DeliveryId;

/// What makes two deliveries the same one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// An id that the caller gave: signed, or as the `Idempotency-Key` of a bearer.
    Id(DeliveryId),
    /// The body: the scheme signs no id, so that an id beside the body could be anybody's.
    Body,
    /// Nothing: each delivery is a new one. A bearer that sends no `Idempotency-Key` asks for this.
    None,
    /// The caller is who it says, but its `Idempotency-Key` stands there twice or cannot be a delivery id. To go on
    /// without one would deploy twice what the caller wanted once.
    Unusable,
}
