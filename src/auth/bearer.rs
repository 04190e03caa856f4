//! Scheme `bearer`: `Authorization: Bearer` and the secret itself, for callers that cannot sign.
//!
//! It says who calls and nothing about the body, which is why it must travel over TLS. There is no replay to
//! defend, since whoever sees one request can make any other. A caller that wants its repetition recognised names
//! the delivery in `Idempotency-Key`; the value is taken as it stands, quotes included.

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::model::DeliveryId;

use super::claim;
use super::reason::Reason;
use super::{CannotSign, Identity, Scheme, Secret};

const IDEMPOTENCY_KEY: &str = "idempotency-key";

pub(super) struct Claim<'h> {
    token: &'h str,
    identity: Identity,
}

impl<'h> claim::Claim<'h> for Claim<'h> {
    const SCHEME: Scheme = Scheme::Bearer;

    fn read(headers: &'h HeaderMap) -> Result<Self, Reason> {
        let credentials = claim::only(headers, AUTHORIZATION.as_str())?;
        let (scheme, token) = credentials.split_once(' ').ok_or(Reason::Malformed)?;
        // HTTP compares the scheme's name without regard to case and allows several spaces after it.
        let token = token.trim_start_matches(' ');
        if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() {
            return Err(Reason::Malformed);
        }
        Ok(Self { token, identity: identity(headers) })
    }

    fn is_made_with(&self, secret: &Secret, _body: &[u8]) -> bool {
        secret.is(self.token)
    }

    fn identity(self) -> Identity {
        self.identity
    }
}

/// What whoever sends the secret itself wants to be known by.
pub(super) fn identity(headers: &HeaderMap) -> Identity {
    match claim::only(headers, IDEMPOTENCY_KEY) {
        Ok(id) => id.parse().map_or(Identity::Unusable, Identity::Id),
        Err(Reason::Missing) => Identity::None,
        Err(_) => Identity::Unusable,
    }
}

pub(super) fn sign(secret: &Secret, id: &DeliveryId) -> Result<HeaderMap, CannotSign> {
    let mut credentials = HeaderValue::from_bytes(&[b"Bearer ", secret.as_bytes()].concat())?;
    credentials.set_sensitive(true);
    Ok(HeaderMap::from_iter([
        (AUTHORIZATION, credentials),
        (HeaderName::from_static(IDEMPOTENCY_KEY), HeaderValue::from_str(id.as_str())?),
    ]))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{NOW, at, headers, judge, key};
    use super::*;

    const TOKEN: &str = "5e0f-correct-horse-battery-staple";

    fn verdict(lines: &[(&'static str, &str)]) -> Result<Identity, Reason> {
        judge(&[key(Scheme::Bearer, TOKEN)], &headers(lines), b"{}")
    }

    #[test]
    fn the_token_is_the_proof_and_the_word_before_it_has_no_case() {
        for good in ["Bearer ", "bearer ", "BEARER ", "Bearer   "] {
            assert_eq!(verdict(&[("authorization", &format!("{good}{TOKEN}"))]), Ok(Identity::None), "{good}");
        }
        for (value, why) in [
            (String::new(), Reason::Malformed),
            ("Bearer".to_owned(), Reason::Malformed),
            ("Bearer ".to_owned(), Reason::Malformed),
            (TOKEN.to_owned(), Reason::Malformed),
            (format!("Bearer\t{TOKEN}"), Reason::Malformed),
            (format!("Bearer{TOKEN}"), Reason::Malformed),
            (format!(" Bearer {TOKEN}"), Reason::Malformed),
            (format!("Basic {TOKEN}"), Reason::Malformed),
            (format!("Token {TOKEN}"), Reason::Malformed),
            (format!("Bearer {TOKEN}ü"), Reason::Malformed),
            (format!("Bearer {TOKEN} "), Reason::Unproven),
            (format!("Bearer {TOKEN},"), Reason::Unproven),
            (format!("Bearer {TOKEN}, Bearer {TOKEN}"), Reason::Unproven),
            (format!("Bearer Bearer {TOKEN}"), Reason::Unproven),
            (format!("Bearer \"{TOKEN}\""), Reason::Unproven),
            (format!("Bearer {TOKEN}{TOKEN}"), Reason::Unproven),
            (format!("Bearer {}", &TOKEN[1..]), Reason::Unproven),
            (format!("Bearer {}", &TOKEN[..TOKEN.len() - 1]), Reason::Unproven),
            (format!("Bearer {}", TOKEN.to_uppercase()), Reason::Unproven),
        ] {
            assert_eq!(verdict(&[("authorization", &value)]), Err(why), "{value:?}");
        }
    }

    #[test]
    fn the_token_stands_once_and_in_its_own_header() {
        let (good, bad) = (format!("Bearer {TOKEN}"), "Bearer something-else-something-else");
        for (lines, why) in [
            (&[][..], Reason::Missing),
            (&[("authorization", &*good), ("authorization", bad)], Reason::Repeated),
            (&[("authorization", bad), ("authorization", &good)], Reason::Repeated),
            (&[("authorization", &good), ("authorization", &good)], Reason::Repeated),
            (&[("proxy-authorization", &good)], Reason::Missing),
            (&[("x-gitlab-token", TOKEN)], Reason::Missing),
        ] {
            assert_eq!(verdict(lines), Err(why), "{lines:?}");
        }
    }

    #[test]
    fn an_idempotency_key_that_cannot_be_one_is_said_and_not_passed_over() {
        let long = "i".repeat(257);
        let credentials = format!("Bearer {TOKEN}");
        let with = |more: &[(&'static str, &str)]| verdict(&[&[("authorization", &*credentials)], more].concat());
        for good in ["run-1841.2", "\"8e03978e-40d5-43dd-bc93-6894a57f9324\""] {
            assert_eq!(with(&[(IDEMPOTENCY_KEY, good)]), Ok(Identity::Id(good.parse().unwrap())), "{good}");
        }
        for bad in ["", "a b", "ä", "a\tb", &long] {
            assert_eq!(with(&[(IDEMPOTENCY_KEY, bad)]), Ok(Identity::Unusable), "{bad}");
        }
        assert_eq!(with(&[(IDEMPOTENCY_KEY, "a"), (IDEMPOTENCY_KEY, "a")]), Ok(Identity::Unusable));
        assert_eq!(with(&[]), Ok(Identity::None));
    }

    #[test]
    fn a_header_that_holds_the_token_is_marked_as_not_to_be_shown() {
        let key = key(Scheme::Bearer, TOKEN);
        let signed = super::super::sign(&key, &"a".parse().unwrap(), b"", at(NOW)).unwrap();
        assert!(signed[AUTHORIZATION].is_sensitive());
        assert!(judge(&[key], &signed, b"").is_ok());
    }
}
