//! Bytes that must never be seen.

use std::fmt;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// Secret bytes. They are overwritten when they are dropped, and nothing prints or serialises them.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// A secret for work whose result is thrown away. It is as long as a generated bearer's text, because to hash a
    /// shorter one takes less time.
    pub(super) fn dummy() -> Self {
        Self::new(vec![0x5a; 64])
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether somebody knows it. Takes as long for a wrong text as for the right one.
    pub(super) fn is(&self, claimed: &str) -> bool {
        // A comparison of the texts themselves would give away the secret's length.
        let (claimed, known) = (Sha256::digest(claimed), Sha256::digest(self.as_bytes()));
        claimed.as_slice().ct_eq(known.as_slice()).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}
