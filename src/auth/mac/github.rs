//! What the row `github` promises.

use super::super::tests::{NOW, at, headers, judge, key};
use super::super::{Identity, Scheme, sign};
use super::Reason;

const SIGNATURE: &str = "x-hub-signature-256";

const SECRET: &str = "It's a Secret to Everybody";
const BODY: &[u8] = b"Hello, World!";
const HEX: &str = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

fn verdict(lines: &[(&'static str, &str)], body: &[u8]) -> Result<Identity, Reason> {
    judge(&[key(Scheme::GITHUB, SECRET)], &headers(lines), body)
}

#[test]
fn what_github_documents_and_gitea_sends_is_authentic() {
    let hub = format!("sha256={HEX}");
    let sha1 = "sha1=01dc10d0c83e72ed246219cdd91669667fe2ca59";
    let as_sent = [
        ("x-github-event", "push"),
        ("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958"),
        ("x-hub-signature", sha1),
        (SIGNATURE, &hub),
    ];
    assert_eq!(verdict(&as_sent, BODY), Ok(Identity::Body));

    let gitea = key(Scheme::GITHUB, "0123456789abcdef0123456789abcdef");
    let body = br#"{"image":"registry.example/team/web@sha256:97fc222cee7991b5b061d4d4afdb5f3428fcb0c9054e1690313786befa1e4e36"}"#;
    let code = "sha256=29bea311aacdb6f3b9f50b6dbb6abed8415b6b810a50a72bf3f1aaa0593b0004";
    assert_eq!(judge(&[gitea], &headers(&[(SIGNATURE, code)]), body), Ok(Identity::Body));
}

#[test]
fn the_digits_may_be_upper_case_and_nothing_else_may_differ() {
    let upper = format!("sha256={}", HEX.to_uppercase());
    assert_eq!(verdict(&[(SIGNATURE, &upper)], BODY), Ok(Identity::Body));
    for (value, why) in [
        (String::new(), Reason::Malformed),
        ("sha256=".to_owned(), Reason::Malformed),
        (HEX.to_owned(), Reason::Malformed),
        (format!("sha1={HEX}"), Reason::Malformed),
        ("sha1=01dc10d0c83e72ed246219cdd91669667fe2ca59".to_owned(), Reason::Malformed),
        ("sha256=01dc10d0c83e72ed246219cdd91669667fe2ca59".to_owned(), Reason::Malformed),
        (format!("SHA256={HEX}"), Reason::Malformed),
        (format!("sha256:{HEX}"), Reason::Malformed),
        (format!("sha256={HEX} "), Reason::Malformed),
        (format!(" sha256={HEX}"), Reason::Malformed),
        (format!("sha256={HEX}\t"), Reason::Malformed),
        (format!("sha256= {HEX}"), Reason::Malformed),
        (format!("sha256={HEX}0"), Reason::Malformed),
        (format!("sha256={HEX}00"), Reason::Malformed),
        (format!("sha256={HEX}ü"), Reason::Malformed),
        (format!("sha256={}", &HEX[..8]), Reason::Malformed),
        (format!("sha256={}", &HEX[..63]), Reason::Malformed),
        (format!("sha256={}", "g".repeat(64)), Reason::Malformed),
        (format!("sha256={HEX},sha256={HEX}"), Reason::Malformed),
        (format!("sha256={HEX}, sha256={HEX}"), Reason::Malformed),
        (format!("sha256={HEX},{HEX}"), Reason::Malformed),
        // The code under the empty key.
        ("sha256=2bbcfa9524f3218c7a34b30e6936f8b1a4516cb097f1a85a1c7d98b5977ec769".to_owned(), Reason::Unproven),
    ] {
        assert_eq!(verdict(&[(SIGNATURE, &value)], BODY), Err(why), "{value:?}");
    }
}

#[test]
fn the_code_stands_once_and_in_its_own_header() {
    let (good, bad) = (format!("sha256={HEX}"), format!("sha256={}", "0".repeat(64)));
    for (lines, why) in [
        (&[][..], Reason::Missing),
        (&[(SIGNATURE, &*good), (SIGNATURE, &*bad)], Reason::Repeated),
        (&[(SIGNATURE, &bad), (SIGNATURE, &good)], Reason::Repeated),
        (&[(SIGNATURE, &good), (SIGNATURE, &good)], Reason::Repeated),
        (&[("x-hub-signature", &good)], Reason::Missing),
        (&[("x-hub-signature", "sha1=01dc10d0c83e72ed246219cdd91669667fe2ca59")], Reason::Missing),
        (&[("x-gitea-signature", HEX)], Reason::Missing),
        (&[("x-gitlab-token", SECRET)], Reason::Missing),
        (&[("webhook-signature", &good)], Reason::Missing),
        (&[("authorization", &good)], Reason::Malformed),
    ] {
        assert_eq!(verdict(lines, BODY), Err(why), "{lines:?}");
    }
}

#[test]
fn another_body_is_refused_even_if_it_says_the_same() {
    let keys = [key(Scheme::GITHUB, SECRET)];
    let signed = sign(&keys[0], &"a".parse().unwrap(), b"{\"a\": 1}\n", at(NOW)).unwrap();
    assert_eq!(judge(&keys, &signed, b"{\"a\": 1}\n"), Ok(Identity::Body));
    for other in [&b"{\"a\": 1}"[..], b"{\"a\":1}", b"{\"a\": 1}\r\n", b"{\"a\": 1}\n\n", b"\n{\"a\": 1}\n", b""] {
        assert_eq!(judge(&keys, &signed, other), Err(Reason::Unproven), "{other:?}");
    }
}

#[test]
fn an_empty_body_is_signed_like_any_other() {
    let keys = [key(Scheme::GITHUB, SECRET)];
    let signed = sign(&keys[0], &"a".parse().unwrap(), b"", at(NOW)).unwrap();
    assert_eq!(judge(&keys, &signed, b""), Ok(Identity::Body));
}
