//! Values that are written as text and mean more: durations, sizes, counts, addresses, moments.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};
use serde::{Serialize, Serializer};

use crate::model::Timestamp;

/// What a text means, or in a few words why it means nothing.
pub(crate) trait Written: Sized {
    /// What it is, in a word or two.
    const KIND: &'static str;

    /// What belongs there, with an example.
    const EXPECTED: &'static str;

    /// A regular expression that matches all texts that mean something, and as few others as it can.
    const PATTERN: &'static str;

    fn read(text: &str) -> Result<Self, String>;

    /// What to write instead of a bare number, where that can be said.
    fn instead_of(_number: i64) -> Option<String> {
        None
    }
}

/// Gives types that are written as text their `Deserialize` and their `JsonSchema`.
macro_rules! written {
    ($($name:ty),+ $(,)?) => {$(
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                $crate::config::document::value::text_schema(
                    <$name as $crate::config::document::value::Written>::KIND,
                    <$name as $crate::config::document::value::Written>::PATTERN,
                )
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any($crate::config::document::value::TextOnly(std::marker::PhantomData))
            }
        }
    )+};
}
pub(crate) use written;

/// The schema of a text.
pub(crate) fn text_schema(kind: &str, pattern: &str) -> Schema {
    json_schema!({ "type": "string", "title": kind, "pattern": pattern })
}

/// Reads a text, and tells whoever wrote a number what to write.
pub(crate) struct TextOnly<T>(pub(crate) PhantomData<T>);

impl<T: Written> Visitor<'_> for TextOnly<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        T::read(text).map_err(E::custom)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        let wrong_type = || E::invalid_type(Unexpected::Signed(number), &self);
        Err(T::instead_of(number).map_or_else(wrong_type, E::custom))
    }
}

/// How long something may take: never nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Deadline(pub(crate) Duration);

/// How long something is waited for, or not at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pause(pub(crate) Duration);

/// A number of bytes, at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) usize);

/// How many, at least one and at most [`MOST`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Count(pub(crate) usize);

/// An address and port to listen on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct ListenAddress(pub(crate) SocketAddr);

/// A day, which is its beginning in UTC, or a moment with its offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment(pub(crate) Timestamp);

/// A path, not yet made absolute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct FilePath(pub(crate) PathBuf);

written!(Deadline, Pause, Size, ListenAddress, FilePath);

/// No queue or number of connections means more; what is counted with it may overflow beyond.
const MOST: usize = 100_000;
const A_DURATION: &str = r#"a duration with its unit, such as "10s" or "1m 30s""#;
/// As humantime reads it.
const DURATION_PATTERN: &str = concat!(
    r"^\s*([0-9][0-9\s]*(\.[0-9\s]+)?(nanos|nsec|ns|usec|us|µs|millis|msec|ms|seconds?|secs?|s|minutes?|mins?|m|",
    r"hours?|hrs?|h|days?|d|weeks?|wks?|w|months?|M|years?|yrs?|y)\s*)+$"
);
/// What is longer is a slip: to humantime `10M` is ten months.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

impl Written for Pause {
    const KIND: &'static str = "duration";
    const EXPECTED: &'static str = A_DURATION;
    const PATTERN: &'static str = DURATION_PATTERN;

    fn read(text: &str) -> Result<Self, String> {
        if let Some(instead) = text.parse().ok().and_then(Self::instead_of) {
            return Err(instead);
        }
        let duration = humantime::parse_duration(text).map_err(|_| format!("{text:?} is not {A_DURATION}"))?;
        if duration > LONGEST {
            return Err(format!("{text:?} is longer than 7 days; `m` is a minute, `M` a month"));
        }
        Ok(Self(duration))
    }

    fn instead_of(number: i64) -> Option<String> {
        (number >= 0).then(|| format!("a duration has a unit: write \"{number}s\""))
    }
}

impl Written for Deadline {
    const KIND: &'static str = "duration";
    const EXPECTED: &'static str = A_DURATION;
    const PATTERN: &'static str = DURATION_PATTERN;

    fn read(text: &str) -> Result<Self, String> {
        let Pause(duration) = Pause::read(text)?;
        if duration.is_zero() { Err("must be greater than zero".to_owned()) } else { Ok(Self(duration)) }
    }

    fn instead_of(number: i64) -> Option<String> {
        Pause::instead_of(number)
    }
}

impl Written for Size {
    const KIND: &'static str = "size";
    const EXPECTED: &'static str = r#"a size with its unit, such as "64KiB" or "1MiB""#;
    const PATTERN: &'static str = r"^0*[1-9][0-9]*\s*(B|KiB|MiB|GiB)$";

    fn read(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not {}", Self::EXPECTED);
        let (number, unit) = text.split_at(text.bytes().take_while(u8::is_ascii_digit).count());
        let number: usize = number.parse().map_err(|_| wrong())?;
        if unit.is_empty() {
            return Err(a_size_has_a_unit(number));
        }
        let unit = match unit.trim_start() {
            "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return Err(format!("{}; the units are B, KiB, MiB and GiB", wrong())),
        };
        match number.checked_mul(unit) {
            Some(bytes) if bytes > 0 => Ok(Self(bytes)),
            Some(_) => Err("must be greater than zero".to_owned()),
            None => Err(wrong()),
        }
    }

    fn instead_of(number: i64) -> Option<String> {
        (number >= 0).then(|| a_size_has_a_unit(number))
    }
}

impl Serialize for Pause {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_duration(self.0))
    }
}

impl Serialize for Deadline {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Pause(self.0).serialize(serializer)
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
        let (unit, bytes) = units.into_iter().find(|(_, bytes)| self.0.is_multiple_of(*bytes)).unwrap_or(("B", 1));
        serializer.collect_str(&format_args!("{}{unit}", self.0 / bytes))
    }
}

fn a_size_has_a_unit(number: impl fmt::Display) -> String {
    format!("a size has a unit: write \"{number}B\", \"{number}KiB\" or \"{number}MiB\"")
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // By way of i64, so that a negative number is told the same as zero. The environment has only texts, which
        // its reader turns into numbers when it is asked for one.
        struct Number;
        impl Visitor<'_> for Number {
            type Value = Count;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a number from 1 to {MOST}")
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Count, E> {
                let count = usize::try_from(number).ok().filter(|count| (1..=MOST).contains(count));
                count.map(Count).ok_or_else(|| E::custom(format!("must be from 1 to {MOST}, not {number}")))
            }
        }
        deserializer.deserialize_i64(Number)
    }
}

impl JsonSchema for Count {
    fn schema_name() -> Cow<'static, str> {
        "Count".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": 1, "maximum": MOST })
    }
}

impl JsonSchema for Moment {
    fn schema_name() -> Cow<'static, str> {
        "Moment".into()
    }

    /// A date of TOML's own is a text to the programs that look at files with a schema.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        text_schema("date", r"^[+-]?[0-9]+-?[0-9]{2}-?[0-9]{2}")
    }
}

impl Written for ListenAddress {
    const KIND: &'static str = "IP address and port";
    const EXPECTED: &'static str = r#"an IP address and a port, such as "127.0.0.1:9010" or "[::]:9010""#;
    const PATTERN: &'static str = r"^([0-9.]+|\[[0-9A-Fa-f:.%]+\]):[0-9]+$";

    fn read(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| format!("{text:?} is not {}", Self::EXPECTED))
    }
}

impl Written for FilePath {
    const KIND: &'static str = "path";
    const EXPECTED: &'static str = "a path";
    const PATTERN: &'static str = r"^[^\u0000]+$";

    fn read(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.contains('\0') {
            Err(format!("{text:?} is not a path"))
        } else {
            Ok(Self(text.into()))
        }
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// TOML has dates of its own, and people quote them all the same.
        #[derive(serde::Deserialize)]
        #[serde(untagged, expecting = "expected a date such as 2027-01-31, or 2027-01-31T12:00:00Z")]
        enum Either {
            Toml(toml::value::Datetime),
            Text(String),
        }
        let text = match Either::deserialize(deserializer)? {
            Either::Toml(datetime) => datetime.to_string(),
            Either::Text(text) => text,
        };
        read_moment(&text).map(Self).map_err(D::Error::custom)
    }
}

fn read_moment(text: &str) -> Result<Timestamp, String> {
    let wrong = || format!("{text:?} is not a date such as 2027-01-31, or 2027-01-31T12:00:00Z");
    if text.len() == "2027-01-31".len() {
        let date: jiff::civil::Date = text.parse().map_err(|_| wrong())?;
        let start = date.to_zoned(jiff::tz::TimeZone::UTC).map_err(|_| wrong())?;
        return Ok(Timestamp::from_millis(start.timestamp().as_millisecond()));
    }
    text.parse().map_err(|_| match text.parse::<jiff::civil::DateTime>() {
        Ok(_) => format!("{text:?} lacks its offset: write {text}Z for UTC"),
        Err(_) => wrong(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    struct Only<T> {
        v: T,
    }

    fn read<T: serde::de::DeserializeOwned>(value: &str) -> Result<T, String> {
        toml::from_str::<Only<T>>(&format!("v = {value}")).map(|only| only.v).map_err(|e| e.message().to_owned())
    }

    #[test]
    fn a_duration_has_a_unit_and_ends_within_a_week() {
        for (text, seconds) in [("10s", 10), ("1m 30s", 90), ("10m", 600), ("7d", 604_800), ("0s", 0)] {
            assert_eq!(read(&format!("{text:?}")), Ok(Pause(Duration::from_secs(seconds))));
        }
        for (value, why) in [
            ("10", r#"a duration has a unit: write "10s""#),
            (r#""10""#, r#"a duration has a unit: write "10s""#),
            (r#""soon""#, r#""soon" is not a duration with its unit, such as "10s" or "1m 30s""#),
            (r#""""#, r#""" is not a duration with its unit, such as "10s" or "1m 30s""#),
            (r#""10M""#, r#""10M" is longer than 7 days; `m` is a minute, `M` a month"#),
            ("-1", r#"invalid type: integer `-1`, expected a duration with its unit, such as "10s" or "1m 30s""#),
            ("true", r#"invalid type: boolean `true`, expected a duration with its unit, such as "10s" or "1m 30s""#),
        ] {
            assert_eq!(read::<Pause>(value), Err(why.to_owned()), "{value}");
            assert_eq!(read::<Deadline>(value), Err(why.to_owned()), "{value}");
        }
        assert_eq!(read::<Deadline>("\"0s\""), Err("must be greater than zero".to_owned()));
    }

    #[test]
    fn a_size_has_a_binary_unit_and_is_not_nothing() {
        for (text, bytes) in [("1MiB", 1 << 20), ("64 KiB", 65_536), ("2GiB", 2 << 30), ("1B", 1)] {
            assert_eq!(read(&format!("{text:?}")), Ok(Size(bytes)));
        }
        let not = |text: &str| format!(r#"{text:?} is not a size with its unit, such as "64KiB" or "1MiB""#);
        for (value, why) in [
            ("1024", r#"a size has a unit: write "1024B", "1024KiB" or "1024MiB""#.to_owned()),
            (r#""1MB""#, not("1MB") + "; the units are B, KiB, MiB and GiB"),
            (r#""MiB""#, not("MiB")),
            (r#""-1B""#, not("-1B")),
            (r#""18446744073709551615GiB""#, not("18446744073709551615GiB")),
            (r#""0KiB""#, "must be greater than zero".to_owned()),
        ] {
            assert_eq!(read::<Size>(value), Err(why), "{value}");
        }
    }

    #[test]
    fn a_count_is_a_number_from_one() {
        assert_eq!(read("1"), Ok(Count(1)));
        for (value, why) in [
            ("0", "must be from 1 to 100000, not 0"),
            ("-3", "must be from 1 to 100000, not -3"),
            ("100001", "must be from 1 to 100000, not 100001"),
            ("\"2\"", "invalid type: string \"2\", expected a number from 1 to 100000"),
            ("2.5", "invalid type: floating point `2.5`, expected a number from 1 to 100000"),
        ] {
            assert_eq!(read::<Count>(value), Err(why.to_owned()), "{value}");
        }
    }

    #[test]
    fn a_key_expires_at_the_beginning_of_a_day_in_utc_or_at_a_moment() {
        for (value, moment) in [
            ("2027-01-31", "2027-01-31T00:00:00.000Z"),
            ("\"2027-01-31\"", "2027-01-31T00:00:00.000Z"),
            ("2027-01-31T12:00:00+01:00", "2027-01-31T11:00:00.000Z"),
            ("\"2027-01-31 12:00:00Z\"", "2027-01-31T12:00:00.000Z"),
        ] {
            assert_eq!(read::<Moment>(value).unwrap().0.to_string(), moment, "{value}");
        }
        let not = |text: &str| format!("{text:?} is not a date such as 2027-01-31, or 2027-01-31T12:00:00Z");
        for (value, why) in [
            (
                "2027-01-31T12:00:00",
                "\"2027-01-31T12:00:00\" lacks its offset: write 2027-01-31T12:00:00Z for UTC".to_owned(),
            ),
            ("\"2027-02-30\"", not("2027-02-30")),
            ("12:00:00", not("12:00:00")),
            ("\"never\"", not("never")),
            ("\"in a while\"", not("in a while")),
            ("2027", "expected a date such as 2027-01-31, or 2027-01-31T12:00:00Z".to_owned()),
        ] {
            assert_eq!(read::<Moment>(value).map(|moment| moment.0), Err(why), "{value}");
        }
    }

    #[test]
    fn an_address_to_listen_on_has_a_port_and_no_name() {
        assert_eq!(read::<ListenAddress>("\"[::1]:9010\"").unwrap().0.port(), 9010);
        for bad in ["9010", "\":9010\"", "\"localhost:9010\"", "\"127.0.0.1\"", "\"/run/x.sock\""] {
            assert!(read::<ListenAddress>(bad).unwrap_err().contains("an IP address and a port"), "{bad}");
        }
    }

    #[test]
    fn a_path_is_not_empty() {
        assert_eq!(read("\"a b\""), Ok(FilePath("a b".into())));
        assert_eq!(read::<FilePath>("\"\""), Err("\"\" is not a path".to_owned()));
        assert!(read::<FilePath>("\"a\\u0000b\"").is_err());
    }
}
