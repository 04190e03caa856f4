//! A token in the address, as docker-puller's callers send it: a secret that every proxy on the way may write down.
//!
//! It proves as little as `bearer` does: who calls, and nothing about the request. So it is not a scheme that a key can
//! have, and what it may ask for is fixed elsewhere, word by word.

use crate::model::KeyId;

use super::reason::Reason;
use super::{
    Delivery, Fingerprint, Key, KeyError, NotAuthentic, Permission, Request, Scheme, Scope, Verified, bearer, key,
};

/// A secret that callers write into the address.
#[derive(Debug, Clone)]
pub struct Token(Key);

impl Token {
    /// As many as a key needs.
    pub const LEAST_BYTES: usize = key::LEAST_BYTES;

    /// A token from the content of its file, however short: whether a short one is good enough is for the caller to say.
    ///
    /// # Errors
    /// [`KeyError`] says why the content cannot be a token.
    pub fn new(id: KeyId, secret_text: &str) -> Result<Self, KeyError> {
        let (secret, most) = key::read(Scheme::Bearer, secret_text)?;
        let bytes = secret.as_bytes().len();
        if bytes > most {
            return Err(KeyError::TooLong { bytes, most });
        }
        let scope = Scope { may: vec![Permission::Deploy], tags: Vec::new() };
        Ok(Self(Key { id, scheme: Scheme::Bearer, expires: None, scope, secret }))
    }

    /// How many bytes it has, when these are so few that it could be found by trying: fewer than [`Token::LEAST_BYTES`].
    #[must_use]
    pub fn too_short(&self) -> Option<usize> {
        Some(self.0.secret.as_bytes().len()).filter(|bytes| *bytes < Self::LEAST_BYTES)
    }

    /// As of a [`Key`].
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.0.fingerprint()
    }

    /// Proves a request by all the tokens that its address has. Of two, a proxy may have checked the other one.
    ///
    /// # Errors
    /// [`NotAuthentic`] unless there is one and it is this.
    pub fn verify(&self, claimed: &[&str], request: &Request<'_>) -> Result<Verified<Delivery>, NotAuthentic> {
        match claimed {
            [] => Err(NotAuthentic::new(Reason::Missing)),
            [claimed] if self.0.secret.is(claimed) => {
                Ok(Verified::new(&self.0, Delivery::new(bearer::identity(&request.head.headers), request.body.clone())))
            }
            [_] => Err(NotAuthentic::new(Reason::Unproven)),
            _ => Err(NotAuthentic::new(Reason::Repeated)),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::tests::{head, headers};
    use super::super::{Identity, Scope};
    use super::*;

    fn token(text: &str) -> Result<Token, KeyError> {
        Token::new("docker-puller".parse().unwrap(), text)
    }

    #[test]
    fn the_one_token_proves_who_calls_and_nothing_else_does() {
        let ours = token("abc123\n").unwrap();
        let (head, body) = (head(headers(&[("idempotency-key", "run-1")])), Bytes::from_static(b"myhook1"));
        let verify = |claimed: &[&str]| ours.verify(claimed, &Request { head: &head, body: &body });
        let verified = verify(&["abc123"]).unwrap();
        assert_eq!(verified.get().identity, Identity::Id("run-1".parse().unwrap()));
        assert_eq!((verified.key().as_str(), &verified.scope().may[..]), ("docker-puller", &[Permission::Deploy][..]));
        assert_ne!(verified.scope(), &Scope::default(), "it reads nothing");
        for claimed in [&[][..], &[""], &["abc12"], &["abc1234"], &["ABC123"], &["abc123", "abc123"], &["abc123", "x"]]
        {
            assert!(verify(claimed).is_err(), "{claimed:?}");
        }
        assert!(!format!("{ours:?} {verified:?}").contains("abc123"));
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
        let text = Key::generate(Scheme::Standard).unwrap();
        let key = Key::new("ci".parse().unwrap(), Scheme::Standard, &text, None, Scope::default()).unwrap();
        assert!(token(&text).unwrap().fingerprint() == key.fingerprint());
    }
}
