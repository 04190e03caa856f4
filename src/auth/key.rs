//! A key: who it is, how it proves a request, how long it is good, and what it may do.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, PAD, STANDARD};

use crate::model::{KeyId, Timestamp};

use super::mac::Mac;
use super::reason::Reason;
use super::{Secret, hex};

/// Who may call: an id, a scheme, a secret, a scope.
#[derive(Debug, Clone)]
pub struct Key {
    /// How logs and answers call it.
    pub id: KeyId,
    /// How it proves a request. Fixed here, never guessed from headers.
    pub scheme: Scheme,
    /// It is good before this moment and no longer at it; without one it is good for ever.
    pub expires: Option<Timestamp>,
    /// What it may do.
    pub scope: Scope,
    pub(super) secret: Secret,
}

/// Stands for a secret in comparisons within this process. Nothing shows it, and nothing stores it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

/// How a key proves a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Standard Webhooks: signs id, time and body.
    Standard,
    /// As GitHub signs: the body alone.
    Github,
    /// The secret itself, sent along: signs nothing.
    Bearer,
}

/// What a key can be allowed to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Permission {
    /// To ask for a deployment.
    Deploy,
    /// To look at deployments.
    Read,
}

/// What a key may do within its project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// Both, unless it is said.
    pub may: Vec<Permission>,
    /// Globs of tags, narrower than the project's own; none means all that the project allows.
    pub tags: Vec<String>,
}

/// Why a text is not a scheme.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a scheme is `standard`, `github` or `bearer`")]
pub struct SchemeError;

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

/// Shorter secrets can be found by trying; the Standard Webhooks specification draws the same line.
pub(super) const LEAST_BYTES: usize = 24;
/// What the Standard Webhooks specification allows.
const MOST_STANDARD_BYTES: usize = 64;
/// A bearer's token has to fit into a header; what is longer is some other file.
const MOST_TEXT_BYTES: usize = 1024;
const STANDARD_PREFIX: &str = "whsec_";

/// Some senders show a key without the `=` at its end: there is only one way to put them back.
const KEY_BASE64: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, PAD.with_decode_padding_mode(DecodePaddingMode::Indifferent));

impl Key {
    /// A key from the content of its file, in which a newline at the end is not part of the key.
    ///
    /// # Errors
    /// [`KeyError`] says why the content cannot be a key of this scheme.
    pub fn new(
        id: KeyId,
        scheme: Scheme,
        secret_text: &str,
        expires: Option<Timestamp>,
        scope: Scope,
    ) -> Result<Self, KeyError> {
        let (secret, most) = read(scheme, secret_text)?;
        match secret.as_bytes().len() {
            bytes if bytes < LEAST_BYTES => Err(KeyError::TooShort { bytes, least: LEAST_BYTES }),
            bytes if bytes > most => Err(KeyError::TooLong { bytes, most }),
            _ => Ok(Self { id, scheme, expires, scope, secret }),
        }
    }

    /// A new secret of 256 random bits, as the text that belongs into a key file.
    ///
    /// # Errors
    /// [`KeyError::NoRandomness`] when the system gives none.
    pub fn generate(scheme: Scheme) -> Result<String, KeyError> {
        let mut random = zeroize::Zeroizing::new([0; 32]);
        getrandom::fill(random.as_mut_slice()).map_err(KeyError::NoRandomness)?;
        Ok(match scheme {
            Scheme::Standard => format!("{STANDARD_PREFIX}{}", STANDARD.encode(random.as_slice())),
            Scheme::Github | Scheme::Bearer => hex::encode(random.as_slice()),
        })
    }

    /// The secret of a key that signs, as hex digits: for whoever signs with another program. Nothing for one that is
    /// sent as it is.
    #[must_use]
    pub fn reveal_hex(&self) -> Option<zeroize::Zeroizing<String>> {
        match self.scheme {
            Scheme::Standard | Scheme::Github => Some(hex::encode(self.secret.as_bytes()).into()),
            Scheme::Bearer => None,
        }
    }

    /// What this key has in common with all keys of the same secret, whatever their schemes, and with no other: who
    /// may use the one could use the others. To find such keys among many.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        // By what they sign: to HMAC, a secret with zero bytes added at its end is still the same secret.
        Fingerprint(*Mac::of(&self.material(), &[b"windlass: the same secret?"]).as_bytes())
    }

    pub(super) fn check_in_force(&self, now: Timestamp) -> Result<(), Reason> {
        if self.expires.is_some_and(|expires| expires <= now) { Err(Reason::Expired) } else { Ok(()) }
    }

    /// The secret as scheme `standard` would read it from the same file, where it can be read so.
    fn material(&self) -> Secret {
        let as_standard = match self.scheme {
            Scheme::Standard => None,
            Scheme::Github | Scheme::Bearer => {
                std::str::from_utf8(self.secret.as_bytes()).ok().and_then(|text| decode_standard(text).ok())
            }
        };
        as_standard.map_or_else(|| self.secret.clone(), Secret::new)
    }
}

/// The secret that the content of a key file stands for, however short it is, and how many bytes it may have.
pub(super) fn read(scheme: Scheme, secret_text: &str) -> Result<(Secret, usize), KeyError> {
    let line = secret_text.strip_suffix('\n').unwrap_or(secret_text);
    let text = line.strip_suffix('\r').unwrap_or(line);
    if text.trim().is_empty() {
        return Err(KeyError::Empty);
    }
    if text.trim() != text {
        return Err(KeyError::Blank);
    }
    let (bytes, most) = match scheme {
        Scheme::Standard => (decode_standard(text)?, MOST_STANDARD_BYTES),
        Scheme::Github if text.chars().any(|c| c.is_control() || c == BYTE_ORDER_MARK) => {
            return Err(KeyError::NotPlain);
        }
        Scheme::Bearer if !text.bytes().all(|b| b.is_ascii_graphic()) => return Err(KeyError::NotPlain),
        Scheme::Github | Scheme::Bearer => (text.as_bytes().to_vec(), MOST_TEXT_BYTES),
    };
    if bytes.is_empty() { Err(KeyError::Empty) } else { Ok((Secret::new(bytes), most)) }
}

/// Editors put it before a text in UTF-8 and show nothing.
const BYTE_ORDER_MARK: char = '\u{feff}';

fn decode_standard(text: &str) -> Result<Vec<u8>, KeyError> {
    let encoded = text.strip_prefix(STANDARD_PREFIX).ok_or(KeyError::NoPrefix)?;
    KEY_BASE64.decode(encoded).map_err(|_| KeyError::NotBase64)
}

impl Scheme {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Standard, Self::Github, Self::Bearer];

    /// Its name in configuration files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Github => "github",
            Self::Bearer => "bearer",
        }
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint")
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scheme {
    type Err = SchemeError;

    fn from_str(text: &str) -> Result<Self, SchemeError> {
        Self::ALL.into_iter().find(|scheme| scheme.as_str() == text).ok_or(SchemeError)
    }
}

impl Scope {
    /// Whether it allows this.
    #[must_use]
    pub fn allows(&self, permission: Permission) -> bool {
        self.may.contains(&permission)
    }
}

impl Default for Scope {
    fn default() -> Self {
        Self { may: vec![Permission::Deploy, Permission::Read], tags: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STANDARD_TEXT: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const PLAIN_TEXT: &str = "It's a Secret to Everybody";
    const TOKEN: &str = "5e0f-correct-horse-battery-staple";

    fn key(scheme: Scheme, text: &str) -> Result<Key, KeyError> {
        Key::new("ci".parse().unwrap(), scheme, text, None, Scope::default())
    }

    #[test]
    fn a_newline_at_the_end_of_the_file_is_not_part_of_the_key() {
        for (scheme, text, secret) in [
            (
                Scheme::Standard,
                STANDARD_TEXT,
                &b"1\xf2\x90\xf6\xbf\x06)\x8a\xabO\x08\xd4<?\x08,\xf6H\xa3b\xda-\xa4\xb0"[..],
            ),
            (Scheme::Github, PLAIN_TEXT, PLAIN_TEXT.as_bytes()),
            (Scheme::Bearer, TOKEN, TOKEN.as_bytes()),
        ] {
            for end in ["", "\n", "\r\n"] {
                let key = key(scheme, &format!("{text}{end}")).unwrap();
                assert_eq!(key.secret.as_bytes(), secret, "{scheme} {end:?}");
            }
        }
    }

    #[test]
    fn a_standard_key_is_read_with_and_without_the_padding_at_its_end() {
        let padded = format!("whsec_{}", STANDARD.encode([9; 32]));
        assert!(padded.ends_with('='));
        for text in [&*padded, padded.trim_end_matches('=')] {
            assert_eq!(key(Scheme::Standard, text).unwrap().secret.as_bytes(), [9; 32]);
        }
    }

    #[test]
    fn what_cannot_be_a_key_is_refused_with_its_reason() {
        use Scheme::{Bearer, Github, Standard};
        let standard = |bytes: usize| format!("whsec_{}", STANDARD.encode(vec![7; bytes]));
        let short = |bytes| KeyError::TooShort { bytes, least: 24 };
        for (scheme, text, why) in [
            (Standard, String::new(), KeyError::Empty),
            (Github, String::new(), KeyError::Empty),
            (Bearer, String::new(), KeyError::Empty),
            (Github, "\n".to_owned(), KeyError::Empty),
            (Github, " ".repeat(30), KeyError::Empty),
            (Standard, "whsec_".to_owned(), KeyError::Empty),
            (Standard, standard(1), short(1)),
            (Standard, standard(23), short(23)),
            (Github, "x".repeat(23), short(23)),
            (Bearer, "x".repeat(23) + "\n", short(23)),
            (Standard, standard(65), KeyError::TooLong { bytes: 65, most: 64 }),
            (Github, "x".repeat(1025), KeyError::TooLong { bytes: 1025, most: 1024 }),
            (Bearer, "x".repeat(1025), KeyError::TooLong { bytes: 1025, most: 1024 }),
            (Standard, STANDARD.encode([7; 32]), KeyError::NoPrefix),
            (Standard, standard(32).replace("whsec_", "whsk_"), KeyError::NoPrefix),
            (Standard, standard(32).replace("whsec_", "whpk_"), KeyError::NoPrefix),
            (Standard, standard(32).replace("whsec_", "WHSEC_"), KeyError::NoPrefix),
            (Standard, "whsec_not base64 at all, not at all".to_owned(), KeyError::NotBase64),
            (Standard, standard(32).replace("Bw", "_-"), KeyError::NotBase64),
            (Standard, standard(24) + "\n" + &standard(24), KeyError::NotBase64),
            (Github, format!("{PLAIN_TEXT} "), KeyError::Blank),
            (Github, format!(" {PLAIN_TEXT}"), KeyError::Blank),
            (Github, format!("{PLAIN_TEXT}\n\n"), KeyError::Blank),
            (Bearer, format!("{TOKEN}\t\n"), KeyError::Blank),
            (Standard, format!("\n{STANDARD_TEXT}\n"), KeyError::Blank),
            (Github, format!("{PLAIN_TEXT}\n{PLAIN_TEXT}\n"), KeyError::NotPlain),
            (Github, format!("{PLAIN_TEXT}\0"), KeyError::NotPlain),
            (Github, format!("\u{feff}{PLAIN_TEXT}"), KeyError::NotPlain),
            (Bearer, PLAIN_TEXT.to_owned(), KeyError::NotPlain),
            (Bearer, format!("{TOKEN}ü"), KeyError::NotPlain),
            (Bearer, format!("{TOKEN}\x7f"), KeyError::NotPlain),
        ] {
            assert_eq!(key(scheme, &text).unwrap_err(), why, "{scheme} {text:?}");
        }
        for (scheme, text) in [
            (Standard, standard(24)),
            (Standard, standard(64)),
            (Github, "x".repeat(24)),
            (Github, "schlüssel-für-die-werft-01".to_owned()),
            (Bearer, "x".repeat(1024)),
        ] {
            assert!(key(scheme, &text).is_ok(), "{scheme} {text:?}");
        }
    }

    #[test]
    fn neither_a_key_nor_the_reason_why_it_is_none_shows_the_secret() {
        for (scheme, text) in [
            (Scheme::Standard, "whsec_canarycanarycanarycanarycanary12".to_owned()),
            (Scheme::Standard, "whsec_canary".to_owned()),
            (Scheme::Standard, "whsec_canary!".to_owned()),
            (Scheme::Standard, "canary".to_owned()),
            (Scheme::Github, "canary ".repeat(5) + "canary"),
            (Scheme::Github, "canary".to_owned()),
            (Scheme::Github, "canary\ncanary".to_owned()),
            (Scheme::Bearer, "canary".repeat(5)),
            (Scheme::Bearer, "canary".repeat(200)),
            (Scheme::Bearer, "canary\t".to_owned()),
        ] {
            let printed = match key(scheme, &text) {
                Ok(key) => {
                    let bytes = format!("{:?}", key.secret.as_bytes());
                    let printed = format!("{key:?} {key:#?} {:?} {:?}", key.secret, key.fingerprint());
                    assert!(!printed.contains(&bytes[1..12]), "{printed}");
                    printed
                }
                Err(why) => format!("{why} {why:?}"),
            };
            assert!(!printed.contains("canary"), "{printed}");
        }
    }

    #[test]
    fn a_generated_key_is_a_key_and_never_the_same_twice() {
        for scheme in Scheme::ALL {
            let (one, two) = (Key::generate(scheme).unwrap(), Key::generate(scheme).unwrap());
            assert_ne!(one, two);
            let (one, two) = (key(scheme, &one).unwrap(), key(scheme, &(two + "\n")).unwrap());
            assert_ne!(one.fingerprint(), two.fingerprint());
            let expected = if scheme == Scheme::Standard { 32 } else { 64 };
            assert_eq!(one.secret.as_bytes().len(), expected);
        }
    }

    #[test]
    fn one_secret_used_twice_is_found_whatever_the_schemes_are() {
        let keys: Vec<_> = Scheme::ALL.into_iter().map(|scheme| key(scheme, STANDARD_TEXT).unwrap()).collect();
        for one in &keys {
            for two in &keys {
                assert_eq!(one.fingerprint(), two.fingerprint(), "{} {}", one.scheme, two.scheme);
            }
            assert_ne!(one.fingerprint(), key(Scheme::Github, PLAIN_TEXT).unwrap().fingerprint());
        }
        let zero_added = |zeros: usize| format!("whsec_{}", STANDARD.encode([vec![7; 24], vec![0; zeros]].concat()));
        let (one, two) = (key(Scheme::Standard, &zero_added(0)), key(Scheme::Standard, &zero_added(3)));
        assert_eq!(one.unwrap().fingerprint(), two.unwrap().fingerprint(), "to HMAC they are the same");
    }

    #[test]
    fn a_scheme_is_read_by_the_name_that_it_is_written_by() {
        for scheme in Scheme::ALL {
            assert_eq!(scheme.to_string().parse(), Ok(scheme));
        }
        for bad in ["", "Standard", "GITHUB", "gitlab"] {
            assert_eq!(bad.parse::<Scheme>(), Err(SchemeError), "{bad}");
        }
    }

    #[test]
    fn a_scope_allows_what_it_names_and_by_default_both() {
        let read = Scope { may: vec![Permission::Read], tags: Vec::new() };
        assert!(read.allows(Permission::Read) && !read.allows(Permission::Deploy));
        assert!(Scope::default().allows(Permission::Read) && Scope::default().allows(Permission::Deploy));
    }
}
