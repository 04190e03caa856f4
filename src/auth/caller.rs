//! Who asks, as far as it was proven.

use super::{Delivery, Verified};
use crate::model::KeyId;

/// Who asks for something.
#[derive(Debug, Clone)]
pub enum Caller {
    /// A sender that has proven a key, or another secret of this host.
    Key(Verified<Delivery>),
    /// The user who the kernel says is at the other end of the operators' socket.
    Operator(String),
}

impl Caller {
    /// The key that was proven.
    #[must_use]
    pub fn key(&self) -> Option<&KeyId> {
        match self {
            Self::Key(verified) => Some(verified.key()),
            Self::Operator(_) => None,
        }
    }
}
