//! The way from what was received to what is proven, as types.

use std::fmt;

use bytes::Bytes;

use crate::model::{Digest, KeyId};

use super::identity::Identity;
use super::key::Key;
use super::reason::Reason;
use super::scope::Scope;

/// The proof that a key of this project made `T`. Only [`verify`](super::verify) gives one away.
#[derive(Debug, Clone)]
pub struct Verified<T> {
    key: KeyId,
    scope: Scope,
    value: T,
}

impl<T> Verified<T> {
    pub(super) fn new(key: &Key, value: T) -> Self {
        Self { key: key.id.clone(), scope: key.scope.clone(), value }
    }

    /// Whose key it was.
    #[must_use]
    pub fn key(&self) -> &KeyId {
        &self.key
    }

    /// What that key may do.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// What was proven.
    #[must_use]
    pub fn get(&self) -> &T {
        &self.value
    }

    /// What was proven, without the proof.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.value
    }
}

/// An authentic request.
#[derive(Clone, PartialEq, Eq)]
pub struct Delivery {
    /// What makes it the same delivery as another one.
    pub identity: Identity,
    /// As it was signed; empty when somebody reads.
    pub body: Bytes,
    /// Of the body.
    pub body_digest: Digest,
}

impl Delivery {
    pub(super) fn new(identity: Identity, body: Bytes) -> Self {
        let body_digest = Digest::of(&body);
        Self { identity, body, body_digest }
    }
}

/// A request that no key proves. It tells its caller nothing else, whatever was wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not authentic")]
pub struct NotAuthentic(Reason);

impl NotAuthentic {
    pub(super) fn new(reason: Reason) -> Self {
        Self(reason)
    }

    /// There is no key that could prove it.
    #[must_use]
    pub fn no_key() -> Self {
        Self(Reason::NoKey)
    }

    /// What was wrong, for a log line that only the host's operators see: one of a few fixed sentences.
    #[must_use]
    pub fn reason(&self) -> impl fmt::Display + use<> {
        self.0
    }
}

// The body is as long as its sender likes.
impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Delivery({:?}, {} bytes, {})", self.identity, self.body.len(), self.body_digest)
    }
}
