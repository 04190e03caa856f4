//! A key: who it is, how it proves a request, how long it is good, and what it may do.

use super::fingerprint::Fingerprint;
use super::hex;
use super::identity::Identity;
use super::key_text::KeyError;
use super::proof::Proof;
use super::reason::Reason;
use super::request::Request;
use super::scheme::Scheme;
use super::scope::Scope;
use crate::model::{KeyId, Timestamp};

/// Who may call: an id, a proof, a scope.
#[derive(Debug, Clone)]
pub struct Key {
    /// How logs and answers call it.
    pub id: KeyId,
    /// It is good before this moment and no longer at it; without one it is good for ever.
    pub expires: Option<Timestamp>,
    /// What it may do.
    pub scope: Scope,
    /// How it proves a request. Fixed here, never guessed from headers.
    pub(super) proof: Proof,
}

/// Shorter secrets can be found by trying; the Standard Webhooks specification draws the same line.
pub(super) const LEAST_BYTES: usize = 24;

impl Key {
    /// A key from the content of its file, in which a newline at the end is not part of the key.
    ///
    /// # Errors
    /// [`KeyError`] says why the content cannot be a key of this scheme.
    pub fn new(
        id: KeyId,
        scheme: Scheme,
        content: &str,
        expires: Option<Timestamp>,
        scope: Scope,
    ) -> Result<Self, KeyError> {
        let proof = Proof::read(scheme, content)?;
        match proof.secret().as_bytes().len() {
            bytes if bytes < LEAST_BYTES => Err(KeyError::TooShort { bytes, least: LEAST_BYTES }),
            _ => Ok(Self { id, expires, scope, proof }),
        }
    }

    /// A new secret of 256 random bits, as the text that belongs into a key file.
    ///
    /// # Errors
    /// [`KeyError::NoRandomness`] when the system gives none.
    pub fn generate(scheme: Scheme) -> Result<String, KeyError> {
        let mut random = zeroize::Zeroizing::new([0; 32]);
        getrandom::fill(random.as_mut_slice()).map_err(KeyError::NoRandomness)?;
        Ok(scheme.key_text().write(random.as_slice()))
    }

    /// How it proves a request.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.proof.scheme()
    }

    /// The secret of a key that signs, as hex digits: for whoever signs with another program. Nothing for one that is
    /// sent as it is.
    #[must_use]
    pub fn reveal_hex(&self) -> Option<zeroize::Zeroizing<String>> {
        match &self.proof {
            Proof::Mac(_, secret) => Some(hex::encode(secret.as_bytes()).into()),
            Proof::Token(..) => None,
        }
    }

    /// What this key has in common with all keys of the same secret, whatever their schemes, and with no other: who
    /// may use the one could use the others. To find such keys among many.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(self.scheme().key_text(), self.proof.secret())
    }

    /// Whether it proves a request. An expired key is tried as well: that a caller still uses the old one is what its
    /// owner has to learn.
    pub(super) fn check(&self, request: &Request<'_>, now: Timestamp) -> Result<Identity, Reason> {
        let identity = self.proof.check(request, now)?;
        if self.expires.is_some_and(|expires| expires <= now) { Err(Reason::Expired) } else { Ok(identity) }
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD as BASE64;

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
                Scheme::STANDARD,
                STANDARD_TEXT,
                &b"1\xf2\x90\xf6\xbf\x06)\x8a\xabO\x08\xd4<?\x08,\xf6H\xa3b\xda-\xa4\xb0"[..],
            ),
            (Scheme::GITHUB, PLAIN_TEXT, PLAIN_TEXT.as_bytes()),
            (Scheme::BEARER, TOKEN, TOKEN.as_bytes()),
        ] {
            for end in ["", "\n", "\r\n"] {
                let key = key(scheme, &format!("{text}{end}")).unwrap();
                assert_eq!(key.proof.secret().as_bytes(), secret, "{scheme} {end:?}");
            }
        }
    }

    #[test]
    fn a_standard_key_is_read_with_and_without_the_padding_at_its_end() {
        let padded = format!("whsec_{}", BASE64.encode([9; 32]));
        assert!(padded.ends_with('='));
        for text in [&*padded, padded.trim_end_matches('=')] {
            assert_eq!(key(Scheme::STANDARD, text).unwrap().proof.secret().as_bytes(), [9; 32]);
        }
    }

    #[test]
    fn what_cannot_be_a_key_is_refused_with_its_reason() {
        const STANDARD: Scheme = Scheme::STANDARD;
        const GITHUB: Scheme = Scheme::GITHUB;
        const BEARER: Scheme = Scheme::BEARER;
        let standard = |bytes: usize| format!("whsec_{}", BASE64.encode(vec![7; bytes]));
        let short = |bytes| KeyError::TooShort { bytes, least: 24 };
        for (scheme, text, why) in [
            (STANDARD, String::new(), KeyError::Empty),
            (GITHUB, String::new(), KeyError::Empty),
            (BEARER, String::new(), KeyError::Empty),
            (GITHUB, "\n".to_owned(), KeyError::Empty),
            (GITHUB, " ".repeat(30), KeyError::Empty),
            (STANDARD, "whsec_".to_owned(), KeyError::Empty),
            (STANDARD, standard(1), short(1)),
            (STANDARD, standard(23), short(23)),
            (GITHUB, "x".repeat(23), short(23)),
            (BEARER, "x".repeat(23) + "\n", short(23)),
            (STANDARD, standard(65), KeyError::TooLong { bytes: 65, most: 64 }),
            (GITHUB, "x".repeat(1025), KeyError::TooLong { bytes: 1025, most: 1024 }),
            (BEARER, "x".repeat(1025), KeyError::TooLong { bytes: 1025, most: 1024 }),
            (STANDARD, BASE64.encode([7; 32]), KeyError::NoPrefix),
            (STANDARD, standard(32).replace("whsec_", "whsk_"), KeyError::NoPrefix),
            (STANDARD, standard(32).replace("whsec_", "whpk_"), KeyError::NoPrefix),
            (STANDARD, standard(32).replace("whsec_", "WHSEC_"), KeyError::NoPrefix),
            (STANDARD, "whsec_not base64 at all, not at all".to_owned(), KeyError::NotBase64),
            (STANDARD, standard(32).replace("Bw", "_-"), KeyError::NotBase64),
            (STANDARD, standard(24) + "\n" + &standard(24), KeyError::NotBase64),
            (GITHUB, format!("{PLAIN_TEXT} "), KeyError::Blank),
            (GITHUB, format!(" {PLAIN_TEXT}"), KeyError::Blank),
            (GITHUB, format!("{PLAIN_TEXT}\n\n"), KeyError::Blank),
            (BEARER, format!("{TOKEN}\t\n"), KeyError::Blank),
            (STANDARD, format!("\n{STANDARD_TEXT}\n"), KeyError::Blank),
            (GITHUB, format!("{PLAIN_TEXT}\n{PLAIN_TEXT}\n"), KeyError::NotPlain),
            (GITHUB, format!("{PLAIN_TEXT}\0"), KeyError::NotPlain),
            (GITHUB, format!("\u{feff}{PLAIN_TEXT}"), KeyError::NotPlain),
            (BEARER, PLAIN_TEXT.to_owned(), KeyError::NotPlain),
            (BEARER, format!("{TOKEN}ü"), KeyError::NotPlain),
            (BEARER, format!("{TOKEN}\x7f"), KeyError::NotPlain),
        ] {
            assert_eq!(key(scheme, &text).unwrap_err(), why, "{scheme} {text:?}");
        }
        for (scheme, text) in [
            (STANDARD, standard(24)),
            (STANDARD, standard(64)),
            (GITHUB, "x".repeat(24)),
            (GITHUB, "schlüssel-für-die-werft-01".to_owned()),
            (BEARER, "x".repeat(1024)),
        ] {
            assert!(key(scheme, &text).is_ok(), "{scheme} {text:?}");
        }
    }

    #[test]
    fn neither_a_key_nor_the_reason_why_it_is_none_shows_the_secret() {
        for (scheme, text) in [
            (Scheme::STANDARD, "whsec_canarycanarycanarycanarycanary12".to_owned()),
            (Scheme::STANDARD, "whsec_canary".to_owned()),
            (Scheme::STANDARD, "whsec_canary!".to_owned()),
            (Scheme::STANDARD, "canary".to_owned()),
            (Scheme::GITHUB, "canary ".repeat(5) + "canary"),
            (Scheme::GITHUB, "canary".to_owned()),
            (Scheme::GITHUB, "canary\ncanary".to_owned()),
            (Scheme::BEARER, "canary".repeat(5)),
            (Scheme::BEARER, "canary".repeat(200)),
            (Scheme::BEARER, "canary\t".to_owned()),
        ] {
            let printed = match key(scheme, &text) {
                Ok(key) => {
                    let bytes = format!("{:?}", key.proof.secret().as_bytes());
                    let printed = format!("{key:?} {key:#?} {:?} {:?}", key.proof.secret(), key.fingerprint());
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
        for scheme in Scheme::all() {
            let (one, two) = (Key::generate(scheme).unwrap(), Key::generate(scheme).unwrap());
            assert_ne!(one, two);
            let (one, two) = (key(scheme, &one).unwrap(), key(scheme, &(two + "\n")).unwrap());
            assert_ne!(one.fingerprint(), two.fingerprint());
            let expected = if scheme == Scheme::STANDARD { 32 } else { 64 };
            assert_eq!(one.proof.secret().as_bytes().len(), expected);
        }
    }

    #[test]
    fn one_secret_used_twice_is_found_whatever_the_schemes_are() {
        let keys: Vec<_> = Scheme::all().map(|scheme| key(scheme, STANDARD_TEXT).unwrap()).collect();
        for one in &keys {
            for two in &keys {
                assert_eq!(one.fingerprint(), two.fingerprint(), "{} {}", one.scheme(), two.scheme());
            }
            assert_ne!(one.fingerprint(), key(Scheme::GITHUB, PLAIN_TEXT).unwrap().fingerprint());
        }
        let zero_added = |zeros: usize| format!("whsec_{}", BASE64.encode([vec![7; 24], vec![0; zeros]].concat()));
        let (one, two) = (key(Scheme::STANDARD, &zero_added(0)), key(Scheme::STANDARD, &zero_added(3)));
        assert_eq!(one.unwrap().fingerprint(), two.unwrap().fingerprint(), "to HMAC they are the same");
    }
}
