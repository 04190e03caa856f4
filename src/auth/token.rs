//! The family `Token`: the secret itself, sent along by callers that cannot sign.
//!
//! It says who calls and nothing about the body, which is why it must travel over TLS. There is no replay to
//! defend, since whoever sees one request can make any other. A caller that wants its repetition recognised names
//! the delivery in `Idempotency-Key`; the value is taken as it stands, quotes included.

use std::borrow::Cow;

use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};

use super::Secret;
use super::cannot_sign::CannotSign;
use super::header::only;
use super::identity::Identity;
use super::reason::Reason;
use super::request::Request;
use crate::model::DeliveryId;

const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Where the token stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// `Authorization: Bearer TOKEN` (RFC 6750).
    Authorization,
    /// `/?token=TOKEN` or `/TOKEN/PROJECT/NAME`, where every proxy on the way may write it down.
    Address,
}

impl Place {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Authorization => "bearer",
            Self::Address => "address",
        }
    }
}

/// The token that a request has in this place.
pub(super) fn read(place: Place, head: &Parts) -> Result<Cow<'_, str>, Reason> {
    match place {
        Place::Authorization => read_bearer(&head.headers).map(Cow::Borrowed),
        Place::Address => read_address(&head.uri),
    }
}

/// Whether who made the request knows the secret.
pub(super) fn check(place: Place, secret: &Secret, request: &Request<'_>) -> Result<Identity, Reason> {
    if !secret.is(&read(place, request.head)?) {
        return Err(Reason::Unproven);
    }
    Ok(match only(&request.head.headers, IDEMPOTENCY_KEY) {
        Ok(id) => id.parse().map_or(Identity::Unusable, Identity::Id),
        Err(Reason::Missing) => Identity::None,
        Err(_) => Identity::Unusable,
    })
}

/// The headers of a request with this token. What stands in the address is for who writes that.
pub(super) fn sign(place: Place, secret: &Secret, id: &DeliveryId) -> Result<HeaderMap, CannotSign> {
    let id = (HeaderName::from_static(IDEMPOTENCY_KEY), HeaderValue::from_str(id.as_str())?);
    let mut headers = HeaderMap::from_iter([id]);
    if place == Place::Authorization {
        let mut credentials = HeaderValue::from_bytes(&[b"Bearer ", secret.as_bytes()].concat())?;
        credentials.set_sensitive(true);
        headers.insert(AUTHORIZATION, credentials);
    }
    Ok(headers)
}

fn read_bearer(headers: &HeaderMap) -> Result<&str, Reason> {
    let credentials = only(headers, AUTHORIZATION.as_str())?;
    let (scheme, token) = credentials.split_once(' ').ok_or(Reason::Malformed)?;
    // HTTP compares the scheme's name without regard to case and allows several spaces after it.
    let token = token.trim_start_matches(' ');
    if scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() { Ok(token) } else { Err(Reason::Malformed) }
}

fn read_address(uri: &Uri) -> Result<Cow<'_, str>, Reason> {
    let segments: Vec<&str> = uri.path().split('/').collect();
    match *segments {
        ["", ""] => {
            let query = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
            let mut tokens = query.filter(|(name, _)| name == "token").map(|(_, token)| token);
            let token = tokens.next().ok_or(Reason::Missing)?;
            // Of two, a proxy may have checked the other one.
            if tokens.next().is_some() { Err(Reason::Repeated) } else { Ok(token) }
        }
        ["", token, _, _] => Ok(token.into()),
        _ => Err(Reason::Missing),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Scheme;
    use super::super::tests::{NOW, at, head, headers, judge, key};
    use super::*;

    const TOKEN: &str = "5e0f-correct-horse-battery-staple";

    fn verdict(lines: &[(&'static str, &str)]) -> Result<Identity, Reason> {
        judge(&[key(Scheme::BEARER, TOKEN)], &headers(lines), b"{}")
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
        let key = key(Scheme::BEARER, TOKEN);
        let signed = super::super::sign(&key, &"a".parse().unwrap(), b"", at(NOW)).unwrap();
        assert!(signed[AUTHORIZATION].is_sensitive());
        assert!(judge(&[key], &signed, b"").is_ok());
    }

    #[test]
    fn a_token_in_the_address_stands_once_and_where_its_callers_write_it() {
        let read = |address: &str| {
            let mut head = head(HeaderMap::new());
            head.uri = address.parse().unwrap();
            read(Place::Address, &head).map(Cow::into_owned)
        };
        for (address, token) in [
            ("/?token=a%20b%2Bc+d&hook=x", Ok("a b+c d")),
            ("/?hook=x&token=", Ok("")),
            ("/a%20b/shop/x", Ok("a%20b")),
            ("/abc/shop/x?token=other", Ok("abc")),
            ("/", Err(Reason::Missing)),
            ("/?hook=token", Err(Reason::Missing)),
            ("/?Token=abc", Err(Reason::Missing)),
            ("/?token=abc&token=abc", Err(Reason::Repeated)),
            ("/?token=abc&hook=x&%74oken=", Err(Reason::Repeated)),
            ("/abc", Err(Reason::Missing)),
            ("/abc/shop", Err(Reason::Missing)),
            ("/abc/shop/x/", Err(Reason::Missing)),
            ("/v1?token=abc", Err(Reason::Missing)),
        ] {
            assert_eq!(read(address), token.map(str::to_owned), "{address}");
        }
    }

    #[test]
    fn a_token_for_the_address_is_in_no_header() {
        let headers = sign(Place::Address, &Secret::new(TOKEN.into()), &"a".parse().unwrap()).unwrap();
        assert_eq!(headers, HeaderMap::from_iter([("idempotency-key".parse().unwrap(), "a".parse().unwrap())]));
    }
}
