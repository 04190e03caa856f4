//! A content digest, as the OCI image specification writes it: `sha256:` and 64 lower-case hex digits.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::Digest as _;

/// What an image is, whatever it is called. Only SHA-256 is known to the engines that windlass drives.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

/// Why a text is not a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// The algorithm is not `sha256`.
    #[error("a digest begins with `sha256:`")]
    Algorithm,
    /// The encoded part is not 64 lower-case hex digits.
    #[error("a sha256 digest has 64 lower-case hex digits after the colon")]
    Hex,
}

impl Digest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(format!("sha256:{}", hex(&sha2::Sha256::digest(bytes))))
    }

    /// The whole text, algorithm included.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first 12 hex digits: what people read out to each other.
    #[must_use]
    pub fn short(&self) -> &str {
        self.0.get(7..19).unwrap_or(&self.0)
    }

    /// The hex digits without the algorithm.
    #[must_use]
    pub fn encoded(&self) -> &str {
        self.0.get(7..).unwrap_or(&self.0)
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let encoded = text.strip_prefix("sha256:").ok_or(DigestError::Algorithm)?;
        let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if encoded.len() != 64 || !encoded.bytes().all(is_hex) {
            return Err(DigestError::Hex);
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for Digest {
    type Error = DigestError;

    fn try_from(text: String) -> Result<Self, DigestError> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_of_nothing_is_the_known_one() {
        assert_eq!(Digest::of(b"").as_str(), "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }

    #[test]
    fn only_sha256_with_64_lower_case_digits_is_a_digest() {
        let good = Digest::of(b"x");
        assert_eq!(good.as_str().parse::<Digest>(), Ok(good.clone()));
        let hex63 = &good.as_str()[..70];
        let upper = good.as_str().to_uppercase().replace("SHA256", "sha256");
        for (text, why) in [
            (hex63, DigestError::Hex),
            (&format!("{good}0"), DigestError::Hex),
            (&upper, DigestError::Hex),
            ("sha1:da39a3ee5e6b4b0d3255bfef95601890afd80709", DigestError::Algorithm),
            ("md5:d41d8cd98f00b204e9800998ecf8427e", DigestError::Algorithm),
            ("", DigestError::Algorithm),
        ] {
            assert_eq!(text.parse::<Digest>(), Err(why), "{text}");
        }
    }
}
