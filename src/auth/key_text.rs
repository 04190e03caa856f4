//! What stands in a key file, and the secret that it stands for.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, PAD, STANDARD};

use super::{Secret, hex};

/// How a key file writes a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum KeyText {
    /// `whsec_` and the secret in base64, as Standard Webhooks has it: at most 64 bytes.
    Whsec,
    /// The secret as it is, on one line.
    Line,
    /// The same, of characters that can stand in a header.
    Graphic,
}

/// Why the content of a key file is not a key. It never shows what stands in the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Nothing stands there.
    #[error("the key is empty: make one with `windlass key new`")]
    Empty,
    /// So short that it could be found by trying.
    #[error("the key has {bytes} bytes, and fewer than {least} can be guessed: make one with `windlass key new`")]
    TooShort {
        /// How many it has.
        bytes: usize,
        /// How many it needs.
        least: usize,
    },
    /// Longer than its scheme allows.
    #[error("the key has {bytes} bytes, and its scheme allows {most}: make one with `windlass key new`")]
    TooLong {
        /// How many it has.
        bytes: usize,
        /// How many it may have.
        most: usize,
    },
    /// A key of another scheme, or one that lost its beginning.
    #[error("a key of scheme `standard` begins with `whsec_`: copy all of it, or name the scheme that it is for")]
    NoPrefix,
    /// What follows the prefix is damaged.
    #[error("what follows `whsec_` is not base64: copy the key again, all of it, on one line")]
    NotBase64,
    /// White space at an end, of which nobody can say whether it was meant.
    #[error("the key begins or ends with white space, or with an empty line: write it without")]
    Blank,
    /// Characters that a sender would not have in its own copy.
    #[error(
        "the key has characters that cannot be part of it, such as a second line: write it as plain text, on one line"
    )]
    NotPlain,
    /// The system gave no random bytes.
    #[error("the system gives no random bytes to make a key of: {0}")]
    NoRandomness(getrandom::Error),
}

/// What the Standard Webhooks specification allows.
const MOST_WHSEC_BYTES: usize = 64;
/// A token has to fit into a header; what is longer is some other file.
const MOST_TEXT_BYTES: usize = 1024;
const WHSEC: &str = "whsec_";
/// Editors put it before a text in UTF-8 and show nothing.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// Some senders show a key without the `=` at its end: there is only one way to put them back.
const KEY_BASE64: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, PAD.with_decode_padding_mode(DecodePaddingMode::Indifferent));

impl KeyText {
    /// The secret that the content of a key file stands for, however short it is. A newline at the end is not part of it.
    pub(super) fn read(self, content: &str) -> Result<Secret, KeyError> {
        let line = content.strip_suffix('\n').unwrap_or(content);
        let text = line.strip_suffix('\r').unwrap_or(line);
        if text.trim().is_empty() {
            return Err(KeyError::Empty);
        }
        if text.trim() != text {
            return Err(KeyError::Blank);
        }
        let (secret, most) = match self {
            Self::Whsec => (decode_whsec(text)?, MOST_WHSEC_BYTES),
            Self::Line if text.chars().any(|c| c.is_control() || c == BYTE_ORDER_MARK) => {
                return Err(KeyError::NotPlain);
            }
            Self::Graphic if !text.bytes().all(|b| b.is_ascii_graphic()) => return Err(KeyError::NotPlain),
            Self::Line | Self::Graphic => (Secret::new(text.as_bytes().to_vec()), MOST_TEXT_BYTES),
        };
        match secret.as_bytes().len() {
            0 => Err(KeyError::Empty),
            bytes if bytes > most => Err(KeyError::TooLong { bytes, most }),
            _ => Ok(secret),
        }
    }

    /// Writes a new secret of these random bytes. As a text, it is their hexadecimal digits.
    pub(super) fn write(self, random: &[u8]) -> String {
        match self {
            Self::Whsec => format!("{WHSEC}{}", STANDARD.encode(random)),
            Self::Line | Self::Graphic => hex::encode(random),
        }
    }

    /// A secret that was read as such a text, as [`KeyText::Whsec`] would read it from the same file, where it can be
    /// read so.
    pub(super) fn decoded(self, secret: &Secret) -> Secret {
        let decoded = match self {
            Self::Whsec => None,
            Self::Line | Self::Graphic => {
                std::str::from_utf8(secret.as_bytes()).ok().and_then(|text| decode_whsec(text).ok())
            }
        };
        decoded.unwrap_or_else(|| secret.clone())
    }
}

fn decode_whsec(text: &str) -> Result<Secret, KeyError> {
    let encoded = text.strip_prefix(WHSEC).ok_or(KeyError::NoPrefix)?;
    KEY_BASE64.decode(encoded).map(Secret::new).map_err(|_| KeyError::NotBase64)
}
