//! What the row `standard` promises.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::HeaderValue;

use super::super::tests::{NOW, at, headers, judge, judge_at, key};
use super::super::{CannotSign, Identity, Scheme, sign};
use super::Reason;
use super::code::Code;
use super::row::STANDARD;
use crate::model::{DeliveryId, Timestamp};

const ID: &str = "webhook-id";
const TIMESTAMP: &str = "webhook-timestamp";
const SIGNATURE: &str = "webhook-signature";

const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const BODY: &[u8] = br#"{"test": 2432232314}"#;
const CODE: &str = "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
const SENT: &str = "1614265330";
const MESSAGE: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";

fn verdict(id: &str, timestamp: &str, signatures: &str) -> Result<Identity, Reason> {
    let headers = headers(&[(ID, id), (TIMESTAMP, timestamp), (SIGNATURE, signatures)]);
    judge_at(&[key(Scheme::STANDARD, KEY)], &headers, BODY, at(1_614_265_330))
}

fn message() -> Identity {
    Identity::Id(MESSAGE.parse().unwrap())
}

// The libraries of the specification for JavaScript and Rust; the key of GitLab's documentation.
#[test]
fn what_the_specification_and_gitlab_sign_is_authentic_and_signed_here_in_the_same_way() {
    for (secret, id, seconds, body, signature) in [
        (KEY, MESSAGE, 1_614_265_330, BODY, format!("v1,{CODE}")),
        (
            "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
            "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            1_649_367_553,
            br#"{"email":"test@example.com","username":"test_user"}"#,
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=".to_owned(),
        ),
        (
            "whsec_dGVzdHRlc3R0ZXN0dGVzdHRlc3R0ZXN0dGVzdHRlc3Q=",
            "f5e5f430-f57b-4e6e-9fac-d9128cd7232f",
            1_767_225_600,
            br#"{"object_kind":"pipeline","object_attributes":{"id":31,"status":"success"}}"#,
            "v1,+rNmanO8fACljnQduv8A8Kk43G1HnU+b+VKYv73ulWE=".to_owned(),
        ),
    ] {
        let key = key(Scheme::STANDARD, secret);
        let id: DeliveryId = id.parse().unwrap();
        let received = headers(&[(ID, id.as_str()), (TIMESTAMP, &seconds.to_string()), (SIGNATURE, &signature)]);
        assert_eq!(sign(&key, &id, body, at(seconds)).unwrap(), received);
        assert_eq!(judge_at(&[key], &received, body, at(seconds)), Ok(Identity::Id(id)));
    }
}

#[test]
fn each_of_the_three_headers_stands_exactly_once() {
    let signatures = format!("v1,{CODE}");
    let all = [(ID, MESSAGE), (TIMESTAMP, SENT), (SIGNATURE, &*signatures)];
    let judge = |lines: &[(&'static str, &str)]| {
        judge_at(&[key(Scheme::STANDARD, KEY)], &headers(lines), BODY, at(1_614_265_330))
    };
    assert_eq!(judge(&all), Ok(message()));
    for (i, line) in all.into_iter().enumerate() {
        let without: Vec<_> = all.into_iter().filter(|other| other.0 != line.0).collect();
        assert_eq!(judge(&without), Err(Reason::Missing), "{line:?}");
        for other in [line.1, "", "x"] {
            let (mut after, mut before) = (all.to_vec(), all.to_vec());
            after.push((line.0, other));
            before.insert(i, (line.0, other));
            assert_eq!(judge(&after), Err(Reason::Repeated), "{line:?} {other:?}");
            assert_eq!(judge(&before), Err(Reason::Repeated), "{line:?} {other:?}");
        }
    }
}

#[test]
fn one_right_code_in_a_short_list_is_enough_and_only_version_v1_counts() {
    let good = format!("v1,{CODE}");
    let bad = format!("v1,{}", BASE64.encode([7; 32]));
    let asymmetric = "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==";
    let list = |entry: &str, times| vec![entry; times].join(" ");
    for accepted in [
        good.clone(),
        format!("{bad} {bad} {good} {bad}"),
        format!("{asymmetric} v2,whatever {good}"),
        format!("v1 {good} v1,, v1,%%"),
        format!("{} {good}", list(&bad, 15)),
    ] {
        assert_eq!(verdict(MESSAGE, SENT, &accepted), Ok(message()), "{accepted}");
    }
    for (refused, why) in [
        (bad.clone(), Reason::Unproven),
        (format!("{} {good}", list(&bad, 16)), Reason::Malformed),
        (format!("{good} {}", list(&bad, 16)), Reason::Malformed),
        (list(&bad, 100_000), Reason::Malformed),
        (asymmetric.to_owned(), Reason::Malformed),
        (format!("v1a,{CODE}"), Reason::Malformed),
        (format!("v2,{CODE}"), Reason::Malformed),
        (format!("V1,{CODE}"), Reason::Malformed),
        (format!("v1={CODE}"), Reason::Malformed),
        (format!("v1 {CODE}"), Reason::Malformed),
        (format!("v1, {CODE}"), Reason::Malformed),
        (CODE.to_owned(), Reason::Malformed),
        (String::new(), Reason::Malformed),
        ("v1".to_owned(), Reason::Malformed),
        ("v1,".to_owned(), Reason::Malformed),
        (",".to_owned(), Reason::Malformed),
        ("v1,,".to_owned(), Reason::Malformed),
        (format!("{good},{good}"), Reason::Malformed),
        (format!("{good}, {good}x"), Reason::Malformed),
        (format!("{good} "), Reason::Malformed),
        (format!(" {good}"), Reason::Malformed),
        (format!("{good}  {good}"), Reason::Malformed),
        (format!("{good}\t"), Reason::Malformed),
        (format!("{good}A"), Reason::Malformed),
        (format!("{good}="), Reason::Malformed),
        (format!("v1,{}", &CODE[..43]), Reason::Malformed),
        (format!("v1,{}", &CODE[..8]), Reason::Malformed),
        // Decoders that forgive unused bits would take this for the same code.
        (format!("v1,{}F=", &CODE[..42]), Reason::Malformed),
        (format!("v1,{}", CODE.replace('/', "_").replace('+', "-")), Reason::Malformed),
        (format!("v1,{}ü", CODE), Reason::Malformed),
        ("v1,83484cf52b04f8e4cf2531adfed9882ad4b2665137b852442d594d20e2c9d4e1".to_owned(), Reason::Malformed),
    ] {
        assert_eq!(verdict(MESSAGE, SENT, &refused), Err(why), "{:.200}", refused);
    }
}

#[test]
fn a_delivery_is_good_for_300_seconds_before_and_after_it_was_signed_and_no_longer() {
    let key = [key(Scheme::STANDARD, KEY)];
    for (sent, expected) in [
        (NOW - 301, Err(Reason::Old)),
        (NOW - 300, Ok(())),
        (NOW - 299, Ok(())),
        (NOW, Ok(())),
        (NOW + 299, Ok(())),
        (NOW + 300, Ok(())),
        (NOW + 301, Err(Reason::Early)),
        (0, Err(Reason::Old)),
    ] {
        let signed = sign(&key[0], &"a".parse().unwrap(), b"", at(sent)).unwrap();
        assert_eq!(judge(&key, &signed, b"").map(drop), expected, "{}", sent - NOW);
    }
    // Far ends of the number are only far away: nothing overflows on the way.
    for (sent, why) in [(i64::MAX, Reason::Early), (1_000, Reason::Old)] {
        let signature = BASE64.encode(STANDARD.code(key[0].proof.secret(), "a", &sent.to_string(), b"").as_bytes());
        let headers = headers(&[(ID, "a"), (TIMESTAMP, &sent.to_string()), (SIGNATURE, &format!("v1,{signature}"))]);
        for now in [Timestamp::MIN, at(NOW), Timestamp::MAX] {
            let expected = if now < at(1_000) { Reason::Early } else { why };
            assert_eq!(judge_at(&key, &headers, b"", now), Err(expected), "{sent} at {now}");
        }
    }
}

/// Even with the right code: the claim itself is out of form.
#[test]
fn a_time_has_one_form_and_an_id_cannot_be_read_in_two_ways() {
    let key = key(Scheme::STANDARD, KEY);
    let verdict = |id: &str, timestamp: &str| {
        let mac = Code::of(key.proof.secret(), &[id.as_bytes(), b".", timestamp.as_bytes(), b".", BODY]);
        verdict(id, timestamp, &format!("v1,{}", BASE64.encode(mac.as_bytes())))
    };
    let longest = "i".repeat(256);
    for id in [MESSAGE, "a", &*longest, "f5e5f430-f57b-4e6e-9fac-d9128cd7232f", "~!{}:/,"] {
        assert_eq!(verdict(id, SENT), Ok(Identity::Id(id.parse().unwrap())), "{id}");
    }
    let ten_kilobytes = "i".repeat(10_240);
    for id in ["", ".", "a.b", "a.", ".a", "a b", " a", "a\t", "ä", &format!("{longest}i"), &ten_kilobytes] {
        assert_eq!(verdict(id, SENT), Err(Reason::Malformed), "{id:?}");
    }
    for timestamp in [
        "",
        " ",
        "-1",
        "-9223372036854775808",
        "9223372036854775808",
        "99999999999999999999",
        "1e9",
        "0x65",
        "1614265330.0",
        "+1614265330",
        " 1614265330",
        "1614265330 ",
        "0001614265330",
        "01614265330",
        "00",
        "1_614_265_330",
        "1614265330s",
        "１６１４２６５３３０",
        "2021-02-25T15:02:10Z",
    ] {
        assert_eq!(verdict(MESSAGE, timestamp), Err(Reason::Malformed), "{timestamp:?}");
    }
    // Milliseconds are a number too, of a time far away.
    assert_eq!(verdict(MESSAGE, "1614265330000"), Err(Reason::Early));
}

#[test]
fn a_control_byte_cannot_even_stand_in_a_header() {
    for id in ["a\0b", "a\nb", "a\r\nb", "a\x7fb"] {
        assert!(HeaderValue::from_str(id).is_err() && id.parse::<DeliveryId>().is_err(), "{id:?}");
    }
}

#[test]
fn the_parts_of_what_is_signed_cannot_be_shifted_into_each_other() {
    let key = [key(Scheme::STANDARD, KEY)];
    let signed = sign(&key[0], &"a".parse().unwrap(), b"5.body", at(NOW)).unwrap();
    let signature = signed[SIGNATURE].to_str().unwrap();
    let now = NOW.to_string();
    for (id, timestamp, body) in [
        (&*format!("a.{now}"), "5", &b"body"[..]),
        ("a", &*format!("{now}.5"), b"body"),
        ("", &*format!("a.{now}"), b"5.body"),
    ] {
        let headers = headers(&[(ID, id), (TIMESTAMP, timestamp), (SIGNATURE, signature)]);
        assert_eq!(judge_at(&key, &headers, body, at(5)), Err(Reason::Malformed), "{id} {timestamp}");
    }
}

#[test]
fn an_id_with_a_dot_is_not_signed_because_nobody_would_accept_it() {
    let refused = sign(&key(Scheme::STANDARD, KEY), &"a.b".parse().unwrap(), BODY, at(NOW));
    assert!(matches!(refused, Err(CannotSign::Id("."))), "{refused:?}");
}
