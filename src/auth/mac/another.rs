//! Another sender is another row, and nothing else: rows that only this test has.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::super::tests::{NOW, at, head, headers, key};
use super::super::{Identity, Key, Request, Scheme, prove, sign};
use super::Reason;
use super::row::{Encoding, Part, Row, tests::must_be_sound};
use crate::auth::key_text::KeyText;

/// Bare digits of the body.
const GITEA: Row = Row {
    name: "gitea",
    header: "x-gitea-signature",
    prefix: "",
    separator: None,
    encoding: Encoding::Hex,
    signed: &[Part::Body],
    key: KeyText::Line,
};

/// Bare base64 of the body.
const SHOPIFY: Row = Row {
    name: "shopify",
    header: "x-shopify-hmac-sha256",
    encoding: Encoding::Base64,
    key: KeyText::Graphic,
    ..GITEA
};

/// A version, the time, the body.
const SLACK: Row = Row {
    name: "slack",
    header: "x-slack-signature",
    prefix: "v0=",
    signed: &[
        Part::Text("v0:"),
        Part::Time { header: "x-slack-request-timestamp", tolerance: 60 },
        Part::Text(":"),
        Part::Body,
    ],
    ..GITEA
};

/// Several versions in one header.
const CIRCLECI: Row =
    Row { name: "circleci", header: "circleci-signature", prefix: "v1=", separator: Some(','), ..GITEA };

/// An id, and no time.
const WITH_ID: Row = Row {
    name: "with-id",
    header: "x-signature",
    signed: &[Part::Id("x-id"), Part::Text("/"), Part::Body],
    key: KeyText::Whsec,
    ..SLACK
};

const ROWS: [&Row; 5] = [&GITEA, &SHOPIFY, &SLACK, &CIRCLECI, &WITH_ID];

const BODY: &[u8] = br#"{"image":"ghcr.io/acme/shop-api:main-3f2a91c"}"#;

fn new_key(row: &'static Row) -> Key {
    key(Scheme::Mac(row), &Key::generate(Scheme::Mac(row)).unwrap())
}

fn signed(key: &Key, body: &[u8], seconds: i64) -> HeaderMap {
    sign(key, &"run-1".parse().unwrap(), body, at(seconds)).unwrap()
}

fn verdict(row: &'static Row, keys: &[Key], headers: &HeaderMap, body: &[u8]) -> Result<Identity, Reason> {
    let (head, body) = (head(headers.clone()), Bytes::copy_from_slice(body));
    let claimed = Scheme::Mac(row).is_claimed(&head);
    let proven = prove(Scheme::Mac(row), keys, &Request { head: &head, body: &body }, at(NOW));
    // What the head alone shows is told without a key.
    assert_eq!(claimed.err(), proven.as_ref().err().copied().filter(|reason| *reason < Reason::NoKey));
    proven.map(|(_, identity)| identity)
}

fn replaced(headers: &HeaderMap, name: &'static str, value: &str) -> HeaderMap {
    let mut headers = headers.clone();
    headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    headers
}

fn is_timed(row: &Row) -> bool {
    row.signed.iter().any(|part| matches!(part, Part::Time { .. }))
}

// gitea (deliver.go), the Slack SDK for Python.
#[test]
fn what_others_sign_is_authentic() {
    let body = br#"{"image":"registry.example/team/web@sha256:97fc222cee7991b5b061d4d4afdb5f3428fcb0c9054e1690313786befa1e4e36"}"#;
    let code = "29bea311aacdb6f3b9f50b6dbb6abed8415b6b810a50a72bf3f1aaa0593b0004";
    let gitea = key(Scheme::Mac(&GITEA), "0123456789abcdef0123456789abcdef");
    let received = headers(&[("x-gitea-signature", code), ("x-gogs-signature", code)]);
    assert_eq!(verdict(&GITEA, &[gitea], &received, body), Ok(Identity::Body));

    let body = b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&\
        channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=\
        https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=\
        398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    let slack = key(Scheme::Mac(&SLACK), "8f742231b10e8888abcd99yyyzzz85a5");
    let received = headers(&[
        ("x-slack-request-timestamp", "1531420618"),
        ("x-slack-signature", "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"),
    ]);
    assert_eq!(signed(&slack, body, 1_531_420_618), received);
    assert_eq!(verdict(&SLACK, &[slack], &received, body), Err(Reason::Old));
}

#[test]
fn what_a_row_signs_it_proves_and_no_other_row_does() {
    for row in ROWS {
        must_be_sound(row);
        let key = [new_key(row)];
        let headers = signed(&key[0], BODY, NOW);
        let id = || Identity::Id("run-1".parse().unwrap());
        let expected = if row.name == "with-id" { id() } else { Identity::Body };
        assert_eq!(verdict(row, &key, &headers, BODY), Ok(expected), "{}", row.name);
        for other in ROWS.into_iter().chain(super::row::ROWS.iter().copied()).filter(|other| other.name != row.name) {
            assert_eq!(verdict(other, &key, &headers, BODY), Err(Reason::Missing), "{} {}", row.name, other.name);
        }
    }
}

#[test]
fn what_differs_from_what_a_row_says_is_refused() {
    for row in ROWS {
        let (key, other) = ([new_key(row)], [new_key(row)]);
        let good = signed(&key[0], BODY, NOW);
        let code = good[row.header].to_str().unwrap();
        let mut elsewhere = good.clone();
        elsewhere.insert("x-other-signature", elsewhere[row.header].clone());
        elsewhere.remove(row.header);
        let mut repeated = good.clone();
        repeated.append(row.header, good[row.header].clone());
        let bare = &code[row.prefix.len()..];
        for (headers, why) in [
            (elsewhere, Reason::Missing),
            (repeated, Reason::Repeated),
            (replaced(&good, row.header, ""), Reason::Malformed),
            (replaced(&good, row.header, &format!("v9={bare}")), Reason::Malformed),
            (replaced(&good, row.header, &format!("{} {bare}", row.prefix)), Reason::Malformed),
            (replaced(&good, row.header, &format!("{code}{bare}")), Reason::Malformed),
            (replaced(&good, row.header, &code[..code.len() - 1]), Reason::Malformed),
            (signed(&other[0], BODY, NOW), Reason::Unproven),
            (signed(&key[0], b"{}", NOW), Reason::Unproven),
        ] {
            assert_eq!(verdict(row, &key, &headers, BODY), Err(why), "{}: {headers:?}", row.name);
        }
        assert_eq!(verdict(row, &key, &good, &[BODY, b"\n"].concat()), Err(Reason::Unproven), "{}", row.name);
        assert_eq!(verdict(row, &other, &good, BODY), Err(Reason::Unproven), "{}", row.name);
        assert_eq!(verdict(row, &[], &good, BODY), Err(Reason::NoKey), "{}", row.name);
    }
}

#[test]
fn a_time_and_an_id_count_where_a_row_signs_them() {
    for row in ROWS {
        let key = [new_key(row)];
        for (sent, why) in [(NOW - 61, Reason::Old), (NOW + 61, Reason::Early)] {
            let verdict = verdict(row, &key, &signed(&key[0], BODY, sent), BODY);
            assert_eq!(verdict.err(), is_timed(row).then_some(why), "{}", row.name);
        }
        assert!(verdict(row, &key, &signed(&key[0], BODY, NOW - 60), BODY).is_ok(), "{}", row.name);
    }
    let slack = [new_key(&SLACK)];
    let later = replaced(&signed(&slack[0], BODY, NOW - 61), "x-slack-request-timestamp", &NOW.to_string());
    assert_eq!(verdict(&SLACK, &slack, &later, BODY), Err(Reason::Unproven));

    let with_id = [new_key(&WITH_ID)];
    let renamed = replaced(&signed(&with_id[0], BODY, NOW), "x-id", "run-2");
    assert_eq!(verdict(&WITH_ID, &with_id, &renamed, BODY), Err(Reason::Unproven));
    let refused = sign(&with_id[0], &"run/1".parse().unwrap(), BODY, at(NOW)).unwrap_err();
    assert_eq!(refused.to_string(), "a delivery id that is signed has no `/` in it");
}

#[test]
fn of_several_codes_one_has_to_be_right() {
    let key = [new_key(&CIRCLECI)];
    let good = signed(&key[0], BODY, NOW);
    let code = good[CIRCLECI.header].to_str().unwrap();
    let wrong = format!("v1={}", "0".repeat(64));
    for (list, expected) in [
        (format!("v2=whatever,{code}"), Ok(Identity::Body)),
        (format!("{wrong},{code},{wrong}"), Ok(Identity::Body)),
        (format!("{wrong},{wrong}"), Err(Reason::Unproven)),
        (format!("{code}, {wrong}"), Ok(Identity::Body)),
        (format!("{code},"), Err(Reason::Malformed)),
        (vec![code; 17].join(","), Err(Reason::Malformed)),
    ] {
        assert_eq!(verdict(&CIRCLECI, &key, &replaced(&good, CIRCLECI.header, &list), BODY), expected, "{list}");
    }
}

#[test]
fn a_key_is_written_read_and_shown_as_its_row_says() {
    for row in ROWS {
        let text = Key::generate(Scheme::Mac(row)).unwrap();
        assert_eq!(text.starts_with("whsec_"), row.name == "with-id", "{}", row.name);
        let key = key(Scheme::Mac(row), &text);
        assert_eq!(key.scheme().as_str(), row.name);
        assert_eq!(key.reveal_hex().unwrap().len(), if row.name == "with-id" { 64 } else { 128 }, "{}", row.name);
    }
}
