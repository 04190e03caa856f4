//! Bytes that must never be seen.

use std::fmt;

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
    pub(super) fn of_nobody() -> Self {
        Self::new(vec![0x5a; 64])
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}
