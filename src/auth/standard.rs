//! Scheme `standard`: the symmetric signatures (`v1`) of the Standard Webhooks specification.
//!
//! Signed is `ID.TIMESTAMP.BODY`. The id names the delivery, the time ends its use: neither may be read in two
//! ways, so an id has no `.` and a time is written as the one decimal number that it is.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::model::{DeliveryId, Timestamp};

use super::claim;
use super::mac::Mac;
use super::reason::Reason;
use super::{CannotSign, Identity, Scheme, Secret};

const ID: &str = "webhook-id";
const TIMESTAMP: &str = "webhook-timestamp";
const SIGNATURE: &str = "webhook-signature";

/// How far the sender's clock and ours may be apart, in seconds: 300 are still accepted, 301 are not. The
/// specification's libraries use the same.
const TOLERANCE: u64 = 300;

/// A sender that changes its key signs with both for a while, which makes two. A longer list is somebody's attempt.
const MOST_SIGNATURES: usize = 16;

pub(super) struct Claim<'h> {
    id: DeliveryId,
    timestamp: &'h str,
    seconds: i64,
    codes: Vec<[u8; 32]>,
}

impl<'h> claim::Claim<'h> for Claim<'h> {
    const SCHEME: Scheme = Scheme::Standard;

    fn read(headers: &'h HeaderMap) -> Result<Self, Reason> {
        let (id, timestamp, signatures) =
            (claim::only(headers, ID)?, claim::only(headers, TIMESTAMP)?, claim::only(headers, SIGNATURE)?);
        let id = id.parse().ok().filter(can_be_signed).ok_or(Reason::Malformed)?;
        let seconds = read_seconds(timestamp).ok_or(Reason::Malformed)?;
        let codes = read_codes(signatures).ok_or(Reason::Malformed)?;
        Ok(Self { id, timestamp, seconds, codes })
    }

    fn is_made_with(&self, secret: &Secret, body: &[u8]) -> bool {
        let mac = code(secret, &self.id, self.timestamp, body);
        // No early end: which of the codes is right is nobody's business.
        self.codes.iter().fold(false, |found, code| found | mac.is(code))
    }

    fn check_time(&self, now: Timestamp) -> Result<(), Reason> {
        let now = now.as_seconds();
        if now.abs_diff(self.seconds) <= TOLERANCE {
            Ok(())
        } else if self.seconds < now {
            Err(Reason::Old)
        } else {
            Err(Reason::Early)
        }
    }

    fn identity(self) -> Identity {
        Identity::Id(self.id)
    }
}

pub(super) fn sign(secret: &Secret, id: &DeliveryId, body: &[u8], now: Timestamp) -> Result<HeaderMap, CannotSign> {
    if !can_be_signed(id) {
        return Err(CannotSign::Id);
    }
    let timestamp = now.as_seconds().to_string();
    let signature = format!("v1,{}", STANDARD.encode(code(secret, id, &timestamp, body).as_bytes()));
    Ok(HeaderMap::from_iter([
        (HeaderName::from_static(ID), HeaderValue::from_str(id.as_str())?),
        (HeaderName::from_static(TIMESTAMP), HeaderValue::try_from(timestamp)?),
        (HeaderName::from_static(SIGNATURE), HeaderValue::try_from(signature)?),
    ]))
}

fn code(secret: &Secret, id: &DeliveryId, timestamp: &str, body: &[u8]) -> Mac {
    Mac::of(secret, &[id.as_str().as_bytes(), b".", timestamp.as_bytes(), b".", body])
}

fn can_be_signed(id: &DeliveryId) -> bool {
    !id.as_str().contains('.')
}

/// Seconds since the epoch, in the only form that has one reading: no sign, no blank, no leading zero.
fn read_seconds(text: &str) -> Option<i64> {
    let canonical = text == "0" || !text.starts_with('0');
    if canonical && text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// The codes of version `v1`. Other versions are passed over, as the specification wants it: a sender may add
/// newer ones. Nothing at all when the list itself is out of form.
fn read_codes(list: &str) -> Option<Vec<[u8; 32]>> {
    let mut codes = Vec::new();
    for (position, entry) in list.split(' ').enumerate() {
        if position == MOST_SIGNATURES || entry.is_empty() {
            return None;
        }
        let code = entry.strip_prefix("v1,").and_then(|code| STANDARD.decode(code).ok());
        codes.extend(code.and_then(|code| <[u8; 32]>::try_from(code).ok()));
    }
    // A claim that holds no code would still be worth a computation over the body, and prove nothing.
    if codes.is_empty() { None } else { Some(codes) }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{NOW, at, headers, judge, judge_at, key};
    use super::*;

    const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const CODE: &str = "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    const SENT: &str = "1614265330";
    const MESSAGE: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";

    fn verdict(id: &str, timestamp: &str, signatures: &str) -> Result<Identity, Reason> {
        let headers = headers(&[(ID, id), (TIMESTAMP, timestamp), (SIGNATURE, signatures)]);
        judge_at(&[key(Scheme::Standard, KEY)], &headers, BODY, at(1_614_265_330))
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
            let key = key(Scheme::Standard, secret);
            let id: DeliveryId = id.parse().unwrap();
            let received = headers(&[(ID, id.as_str()), (TIMESTAMP, &seconds.to_string()), (SIGNATURE, &signature)]);
            assert_eq!(sign(&key.secret, &id, body, at(seconds)).unwrap(), received);
            assert_eq!(judge_at(&[key], &received, body, at(seconds)), Ok(Identity::Id(id)));
        }
    }

    #[test]
    fn each_of_the_three_headers_stands_exactly_once() {
        let signatures = format!("v1,{CODE}");
        let all = [(ID, MESSAGE), (TIMESTAMP, SENT), (SIGNATURE, &*signatures)];
        let judge = |lines: &[(&'static str, &str)]| {
            judge_at(&[key(Scheme::Standard, KEY)], &headers(lines), BODY, at(1_614_265_330))
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
        let bad = format!("v1,{}", STANDARD.encode([7; 32]));
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
        let key = [key(Scheme::Standard, KEY)];
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
            let signed = sign(&key[0].secret, &"a".parse().unwrap(), b"", at(sent)).unwrap();
            assert_eq!(judge(&key, &signed, b"").map(drop), expected, "{}", sent - NOW);
        }
        // Far ends of the number are only far away: nothing overflows on the way.
        for (sent, why) in [(i64::MAX, Reason::Early), (1_000, Reason::Old)] {
            let signature =
                STANDARD.encode(code(&key[0].secret, &"a".parse().unwrap(), &sent.to_string(), b"").as_bytes());
            let headers =
                headers(&[(ID, "a"), (TIMESTAMP, &sent.to_string()), (SIGNATURE, &format!("v1,{signature}"))]);
            for now in [Timestamp::MIN, at(NOW), Timestamp::MAX] {
                let expected = if now < at(1_000) { Reason::Early } else { why };
                assert_eq!(judge_at(&key, &headers, b"", now), Err(expected), "{sent} at {now}");
            }
        }
    }

    /// Even with the right code: the claim itself is out of form.
    #[test]
    fn a_time_has_one_form_and_an_id_cannot_be_read_in_two_ways() {
        let secret = key(Scheme::Standard, KEY).secret;
        let verdict = |id: &str, timestamp: &str| {
            let mac = Mac::of(&secret, &[id.as_bytes(), b".", timestamp.as_bytes(), b".", BODY]);
            verdict(id, timestamp, &format!("v1,{}", STANDARD.encode(mac.as_bytes())))
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
        let key = [key(Scheme::Standard, KEY)];
        let signed = sign(&key[0].secret, &"a".parse().unwrap(), b"5.body", at(NOW)).unwrap();
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
        let refused = sign(&Secret::dummy(), &"a.b".parse().unwrap(), BODY, at(NOW));
        assert!(matches!(refused, Err(CannotSign::Id)), "{refused:?}");
    }
}
