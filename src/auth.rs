//! Who may call: an untrusted request in, a [`Verified`] delivery out; the same schemes sign, for the client.
//!
//! Every scheme works in the same three steps: what a request claims is read from its head, the claim is proven with
//! each key of that scheme, and only a proven claim is looked at for its age. A key has one scheme, given in the
//! configuration. Headers never choose it, or a caller could pick the weakest. Schemes come in families, which meet in
//! `proof.rs`: of one that signs with a code, all that is its own is a row in `mac/row.rs`.
//!
//! One answer for every refusal is not enough: how long it takes must not say either whether a project exists or
//! which schemes its keys have. So a request does the same work for no key as for one, and [`plausible`] does not
//! ask for the keys at all. Each further key of one scheme costs one more code over the body: that a project has
//! several can still be measured with long bodies.

mod address_token;
mod caller;
mod cannot_sign;
mod fingerprint;
mod header;
mod hex;
mod identity;
mod key;
mod key_text;
mod mac;
mod proof;
mod reason;
mod request;
mod scheme;
mod scope;
mod secret;
mod token;
mod verified;

use std::hint::black_box;

use http::HeaderMap;
use http::request::Parts;

use crate::model::{DeliveryId, Timestamp};

use proof::Proof;
use reason::Reason;

pub use address_token::AddressToken;
pub use caller::Caller;
pub use cannot_sign::CannotSign;
pub use fingerprint::Fingerprint;
pub use identity::Identity;
pub use key::Key;
pub use key_text::KeyError;
pub use request::Request;
pub use scheme::{Scheme, SchemeError};
pub use scope::{Permission, Scope};
pub use secret::Secret;
pub use verified::{Delivery, NotAuthentic, Verified};

/// Whether the head alone has the form of a request that some key could prove: asked before the body is read, so that
/// a caller with nothing to show is not told to go on and send it.
#[must_use]
pub fn plausible(head: &Parts) -> bool {
    Scheme::all().any(|scheme| scheme.is_claimed(head).is_ok())
}

/// Proves a request with the keys of its project; an unknown project has none.
///
/// # Errors
/// [`NotAuthentic`] when no key proves it, or only one that has expired, or when it was not signed just now.
pub fn verify(keys: &[Key], request: &Request<'_>, now: Timestamp) -> Result<Verified<Delivery>, NotAuthentic> {
    let (mut proven, mut refused) = (None, Reason::Missing);
    // All are tried in every case.
    for scheme in Scheme::all() {
        match prove(scheme, keys, request, now) {
            Ok(proof) => proven = proven.or(Some(proof)),
            Err(reason) => refused = refused.max(reason),
        }
    }
    let (key, identity) = proven.ok_or_else(|| NotAuthentic::new(refused))?;
    Ok(Verified::new(key, Delivery::new(identity, request.body.clone())))
}

/// The headers that make `body` authentic: for the command, and for whoever tests what comes after [`verify`].
///
/// # Errors
/// [`CannotSign`] when the scheme signs the id, and the id has the text that separates it from what follows, or when
/// the key or the id cannot stand in a header.
pub fn sign(key: &Key, id: &DeliveryId, body: &[u8], now: Timestamp) -> Result<HeaderMap, CannotSign> {
    key.proof.sign(id, body, now)
}

/// Proves a request with those keys that have this scheme.
fn prove<'k>(
    scheme: Scheme,
    keys: &'k [Key],
    request: &Request<'_>,
    now: Timestamp,
) -> Result<(&'k Key, Identity), Reason> {
    let mut refused = None;
    for key in keys.iter().filter(|key| key.scheme() == scheme) {
        match key.check(request, now) {
            Ok(identity) => return Ok((key, identity)),
            Err(reason) => refused = refused.max(Some(reason)),
        }
    }
    Err(refused.unwrap_or_else(|| {
        // Done for the time that it takes: whatever it proves, there is no key.
        let thrown_away = black_box(Proof::dummy(scheme).check(request, now));
        thrown_away.map_or_else(|reason| reason.min(Reason::NoKey), |_| Reason::NoKey)
    }))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;
    use proptest::sample::{Index, select};

    use super::*;

    pub(super) const NOW: i64 = 1_767_225_600;
    const BODY: &[u8] = br#"{"image":"ghcr.io/acme/shop-api:main-3f2a91c"}"#;

    pub(super) fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    pub(super) fn key(scheme: Scheme, text: &str) -> Key {
        Key::new("ci".parse().unwrap(), scheme, text, None, Scope::default()).unwrap()
    }

    /// The headers of one request, in which a name may stand twice.
    pub(super) fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        headers
    }

    /// The head of a request with these headers.
    pub(super) fn head(headers: HeaderMap) -> Parts {
        let (mut head, ()) = http::Request::new(()).into_parts();
        head.headers = headers;
        head
    }

    /// What comes of a request at [`NOW`]. Whatever verifies must have been plausible.
    pub(super) fn judge(keys: &[Key], headers: &HeaderMap, body: &[u8]) -> Result<Identity, Reason> {
        judge_at(keys, headers, body, at(NOW))
    }

    pub(super) fn judge_at(keys: &[Key], headers: &HeaderMap, body: &[u8], now: Timestamp) -> Result<Identity, Reason> {
        let (head, body) = (head(headers.clone()), Bytes::copy_from_slice(body));
        match verify(keys, &Request { head: &head, body: &body }, now) {
            Ok(verified) => {
                assert!(plausible(&head), "what is authentic was not plausible");
                assert_eq!(verified.get().body, body);
                assert_eq!(verified.get().body_digest, crate::model::Digest::of(&body));
                Ok(verified.into_inner().identity)
            }
            Err(refused) => {
                assert_eq!(refused.to_string(), "not authentic");
                let reasons = [
                    Reason::Missing,
                    Reason::Malformed,
                    Reason::Repeated,
                    Reason::NoKey,
                    Reason::Unproven,
                    Reason::Expired,
                    Reason::Old,
                    Reason::Early,
                ];
                Err(reasons.into_iter().find(|reason| refused == NotAuthentic::new(*reason)).unwrap())
            }
        }
    }

    fn one_of_each(seed: u8) -> [Key; 3] {
        let secret = |n: u8| hex::encode(&[seed + n; 32]);
        let standard = format!("whsec_{}", "A".repeat(40) + &char::from(b'A' + seed).to_string().repeat(4));
        [key(Scheme::STANDARD, &standard), key(Scheme::GITHUB, &secret(1)), key(Scheme::BEARER, &secret(2))]
    }

    fn id() -> DeliveryId {
        "msg_1".parse().unwrap()
    }

    #[test]
    fn only_the_key_that_signed_proves_a_request_whatever_the_other_schemes_are() {
        let (ours, theirs) = (one_of_each(0), one_of_each(1));
        for (i, signer) in ours.iter().enumerate() {
            let headers = sign(signer, &id(), BODY, at(NOW)).unwrap();
            for (j, judged) in ours.iter().enumerate() {
                let verdict = judge(std::slice::from_ref(judged), &headers, BODY);
                if i == j { assert!(verdict.is_ok(), "{verdict:?}") } else { assert_eq!(verdict, Err(Reason::NoKey)) }
            }
            assert!(judge(&ours, &headers, BODY).is_ok());
            assert_eq!(judge(&theirs, &headers, BODY), Err(Reason::Unproven));
        }
    }

    #[test]
    fn one_text_as_the_secret_of_two_schemes_still_proves_only_its_own() {
        let text = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let keys: Vec<Key> = Scheme::all().map(|scheme| key(scheme, text)).collect();
        for signer in &keys {
            let headers = sign(signer, &id(), BODY, at(NOW)).unwrap();
            for judged in keys.iter().filter(|judged| judged.scheme() != signer.scheme()) {
                assert_eq!(judge(std::slice::from_ref(judged), &headers, BODY), Err(Reason::NoKey));
            }
        }
    }

    #[test]
    fn an_unknown_project_has_no_key_and_not_even_the_one_that_does_its_work_proves_anything() {
        for scheme in Scheme::all() {
            let nobody = Key { proof: Proof::dummy(scheme), ..key(scheme, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw") };
            let headers = sign(&nobody, &id(), BODY, at(NOW)).unwrap();
            assert!(judge(std::slice::from_ref(&nobody), &headers, BODY).is_ok());
            assert_eq!(judge(&[], &headers, BODY), Err(Reason::NoKey));
        }
    }

    #[test]
    fn two_keys_overlap_until_the_old_one_expires() {
        for (old, new) in one_of_each(0).into_iter().zip(one_of_each(1)) {
            let old = Key { id: "old".parse().unwrap(), expires: Some(at(NOW)), ..old };
            let signed_with = |key: &Key, now| sign(key, &id(), BODY, now).unwrap();
            let (before, after) = (Timestamp::from_millis(NOW * 1000 - 1), at(NOW));
            let keys = [old.clone(), new.clone()];
            for (signer, now, expected) in [
                (&old, before, Ok("old")),
                (&new, before, Ok("ci")),
                (&old, after, Err(NotAuthentic::new(Reason::Expired))),
                (&new, after, Ok("ci")),
            ] {
                let (head, body) = (head(signed_with(signer, now)), Bytes::from_static(BODY));
                let verdict = verify(&keys, &Request { head: &head, body: &body }, now);
                assert_eq!(verdict.as_ref().map(|verified| verified.key().as_str()), expected.as_ref().copied());
            }
        }
    }

    #[test]
    fn the_proof_carries_the_scope_of_the_key_that_gave_it() {
        let narrow = Scope { may: vec![Permission::Read], tags: vec!["v*".to_owned()] };
        let [wide, other, _] = one_of_each(0);
        let other = Key { scope: narrow.clone(), ..other };
        let (head, body) = (head(sign(&other, &id(), b"", at(NOW)).unwrap()), Bytes::new());
        let verified = verify(&[wide, other], &Request { head: &head, body: &body }, at(NOW)).unwrap();
        assert_eq!(verified.scope(), &narrow);
    }

    #[test]
    fn a_request_without_any_signature_is_refused_before_its_body_is_read() {
        for (lines, expected) in [
            (&[][..], false),
            (&[("content-type", "application/json"), ("x-github-event", "push")], false),
            (&[("webhook-id", "a"), ("webhook-timestamp", "1")], false),
            (&[("x-hub-signature-256", "sha256=")], false),
            (&[("x-hub-signature", "sha1=01dc10d0c83e72ed246219cdd91669667fe2ca59")], false),
            (&[("authorization", "Basic dXNlcjpwYXNz")], false),
            (&[("authorization", "Bearer x")], true),
        ] {
            let headers = headers(lines);
            assert_eq!(plausible(&head(headers.clone())), expected, "{lines:?}");
            if !expected {
                assert!(judge(&one_of_each(0), &headers, BODY).unwrap_err() < Reason::NoKey, "{lines:?}");
            }
        }
    }

    #[test]
    fn of_two_proofs_the_one_that_names_the_delivery_counts() {
        let keys = one_of_each(0);
        let mut all = HeaderMap::new();
        for key in keys.iter().rev() {
            all.extend(sign(key, &id(), BODY, at(NOW)).unwrap());
        }
        assert_eq!(judge(&keys, &all, BODY), Ok(Identity::Id(id())));
        assert_eq!(judge(&keys[1..], &all, BODY), Ok(Identity::Body));
    }

    #[test]
    fn what_is_printed_of_a_request_shows_neither_a_token_nor_the_body() {
        let mut head = head(headers(&[("authorization", "Bearer canary-canary-canary-canary")]));
        head.uri = "/canary?token=canary".parse().unwrap();
        let body = Bytes::from_static(b"canary");
        let request = Request { head: &head, body: &body };
        let keys = [key(Scheme::BEARER, "canary-canary-canary-canary")];
        let verified = verify(&keys, &request, at(NOW)).unwrap();
        let refused = verify(&[], &request, at(NOW)).unwrap_err();
        let signed = sign(&keys[0], &id(), &body, at(NOW)).unwrap();
        let printed = format!("{request:?} {verified:?} {refused:?} {} {signed:?} {keys:?}", refused.reason());
        assert!(!printed.contains("canary"), "{printed}");
        assert!(printed.contains("Request(1 headers, 6 bytes)"), "{printed}");
    }

    fn any_key() -> impl Strategy<Value = Key> {
        select(one_of_each(0).to_vec())
    }

    proptest! {
        #[test]
        fn what_is_signed_is_authentic_for_as_long_as_the_clocks_may_differ(
            key in any_key(),
            id in "[!-\\-/-~]{1,256}",
            body in proptest::collection::vec(any::<u8>(), 0..200),
            millis in 1_000_000..4_000_000_000_000_i64,
            drift in -300_i64..=300,
        ) {
            let signed = Timestamp::from_millis(millis);
            let id: DeliveryId = id.parse().unwrap();
            let headers = sign(&key, &id, &body, signed).unwrap();
            let expected = if key.scheme() == Scheme::GITHUB { Identity::Body } else { Identity::Id(id) };
            prop_assert_eq!(judge_at(&[key], &headers, &body, at(signed.as_seconds() + drift)), Ok(expected));
        }

        #[test]
        fn a_signed_request_with_any_byte_changed_is_refused(
            key in any_key(),
            body in proptest::collection::vec(any::<u8>(), 1..200),
            part in any::<Index>(),
            position in any::<Index>(),
            change in 1..=255_u8,
        ) {
            let mut changed_headers = sign(&key, &id(), &body, at(NOW)).unwrap();
            let mut changed_body = body.clone();
            // A bearer proves neither its body nor its Idempotency-Key.
            let mut parts: Vec<Option<HeaderName>> = changed_headers.keys().cloned().map(Some).collect();
            parts.retain(|part| part.as_ref().is_none_or(|name| name != "idempotency-key"));
            if key.scheme() != Scheme::BEARER { parts.push(None); }
            match part.get(&parts) {
                None => changed_body[position.index(body.len())] ^= change,
                Some(name) => {
                    let mut value = changed_headers[name].as_bytes().to_vec();
                    let position = position.index(value.len());
                    let before = value[position];
                    value[position] ^= change;
                    // Here upper case and lower case say the same.
                    let caseless = match key.scheme().as_str() {
                        "standard" => false,
                        "github" => position >= "sha256=".len(),
                        "bearer" => position < "Bearer".len(),
                        other => panic!("what is caseless in {other}?"),
                    };
                    prop_assume!(!(caseless && before.eq_ignore_ascii_case(&value[position])));
                    // What cannot stand in a header at all, HTTP has refused before.
                    let Ok(value) = HeaderValue::from_bytes(&value) else { return Ok(()) };
                    changed_headers.insert(name, value);
                }
            }
            prop_assert!(judge(&[key], &changed_headers, &changed_body).is_err(), "{changed_headers:?}");
        }

        #[test]
        fn no_header_makes_the_readers_panic(
            name in select(vec![
                "webhook-id", "webhook-timestamp", "webhook-signature", "x-hub-signature-256", "authorization", "idempotency-key",
            ]),
            value in proptest::collection::vec(any::<u8>(), 0..80),
        ) {
            let keys = one_of_each(0);
            let mut headers = HeaderMap::new();
            for key in &keys { headers.extend(sign(key, &id(), BODY, at(NOW)).unwrap()); }
            if let Ok(value) = HeaderValue::from_bytes(&value) { headers.insert(HeaderName::from_static(name), value); }
            let _ = judge(&keys, &headers, BODY);
        }
    }
}
