//! Finds secrets that are the same without showing them.

use std::fmt;

use super::Secret;
use super::key_text::KeyText;
use super::mac::code::Code;

/// Stands for a secret in comparisons within this process. Nothing shows it, and nothing stores it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of a secret that was read from a text of this kind.
    pub(super) fn of(text: KeyText, secret: &Secret) -> Self {
        // By what they sign: to HMAC, a secret with zero bytes added at its end is still the same secret.
        Self(*Code::of(&text.decoded(secret), &[b"windlass: the same secret?"]).as_bytes())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint")
    }
}
