//! A token in the address, as docker-puller's callers send it: a secret that every proxy on the way may write down.
//!
//! It proves as little as `bearer` does: who calls, and nothing about the request. So it is not a scheme that a key can
//! have, and what it may ask for is fixed elsewhere, word by word.

use super::key::{Key, LEAST_BYTES};
use super::key_text::KeyError;
use super::proof::Proof;
use super::request::Request;
use super::scheme::Scheme;
use super::scope::{Permission, Scope};
use super::token::Place;
use super::{Delivery, Fingerprint, NotAuthentic, Verified};
use crate::model::{KeyId, Timestamp};

/// A secret that callers write into the address.
#[derive(Debug, Clone)]
pub struct AddressToken(Key);

impl AddressToken {
    /// As many as a key needs.
    pub const LEAST_BYTES: usize = LEAST_BYTES;

    /// A token from the content of its file, however short: whether a short one is good enough is for the caller to say.
    ///
    /// # Errors
    /// [`KeyError`] says why the content cannot be a token.
    pub fn new(id: KeyId, content: &str) -> Result<Self, KeyError> {
        let proof = Proof::read(Scheme::Token(Place::Address), content)?;
        let scope = Scope { may: vec![Permission::Deploy], tags: Vec::new() };
        Ok(Self(Key { id, expires: None, scope, proof }))
    }

    /// How many bytes it has, when these are so few that it could be found by trying: fewer than
    /// [`AddressToken::LEAST_BYTES`].
    #[must_use]
    pub fn too_short(&self) -> Option<usize> {
        Some(self.0.proof.secret().as_bytes().len()).filter(|bytes| *bytes < Self::LEAST_BYTES)
    }

    /// As of a [`Key`].
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.0.fingerprint()
    }

    /// Proves a request by the token in its address.
    ///
    /// # Errors
    /// [`NotAuthentic`] unless there is one and it is this.
    pub fn verify(&self, request: &Request<'_>, now: Timestamp) -> Result<Verified<Delivery>, NotAuthentic> {
        let identity = self.0.check(request, now).map_err(NotAuthentic::new)?;
        Ok(Verified::new(&self.0, Delivery::new(identity, request.body.clone())))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::Identity;
    use super::super::tests::{NOW, at, head, headers};
    use super::*;

    fn token(text: &str) -> Result<AddressToken, KeyError> {
        AddressToken::new("docker-puller".parse().unwrap(), text)
    }

    #[test]
    fn the_one_token_proves_who_calls_and_nothing_else_does() {
        let ours = token("abc123\n").unwrap();
        let body = Bytes::from_static(b"myhook1");
        let verify = |claimed: &[&str]| {
            let mut head = head(headers(&[("idempotency-key", "run-1")]));
            let claimed: Vec<String> = claimed.iter().map(|token| format!("token={token}")).collect();
            head.uri = format!("/?{}", claimed.join("&")).parse().unwrap();
            ours.verify(&Request { head: &head, body: &body }, at(NOW))
        };
        let verified = verify(&["abc123"]).unwrap();
        assert_eq!(verified.get().identity, Identity::Id("run-1".parse().unwrap()));
        assert_eq!((verified.key().as_str(), &verified.scope().may[..]), ("docker-puller", &[Permission::Deploy][..]));
        assert_ne!(verified.scope(), &Scope::default(), "it reads nothing");
        for claimed in [&[][..], &[""], &["abc12"], &["abc1234"], &["ABC123"], &["abc123", "abc123"], &["abc123", "x"]]
        {
            assert!(verify(claimed).is_err(), "{claimed:?}");
        }
        assert!(!format!("{ours:?} {verified:?}").contains("abc123"));
        let mut bearer = head(headers(&[("authorization", "Bearer abc123"), ("token", "abc123")]));
        bearer.uri = "/abc123".parse().unwrap();
        assert!(ours.verify(&Request { head: &bearer, body: &body }, at(NOW)).is_err());
    }

    #[test]
    fn a_short_token_is_one_and_is_known_to_be_short() {
        assert_eq!(token("abc123").unwrap().too_short(), Some(6));
        assert_eq!(token(&"x".repeat(24)).unwrap().too_short(), None);
        for bad in ["", "\n", " ", "a b", "a\nb", "ä", &"x".repeat(1025)] {
            assert!(token(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_token_that_is_a_key_as_well_is_the_same_secret() {
        let text = Key::generate(Scheme::STANDARD).unwrap();
        let key = Key::new("ci".parse().unwrap(), Scheme::STANDARD, &text, None, Scope::default()).unwrap();
        assert!(token(&text).unwrap().fingerprint() == key.fingerprint());
    }
}
