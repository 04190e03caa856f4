//! Wall-clock time in milliseconds, and the one way to ask for it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A moment: milliseconds since the Unix epoch. Written as RFC 3339 in UTC with three decimals.
///
/// It is never before 1970 nor after 9999, so that whatever is written can be read back.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The earliest.
    pub const MIN: Self = Self(0);
    /// The latest that RFC 3339 can write in every time zone.
    pub const MAX: Self = Self(253_402_207_200_000);

    /// From milliseconds since the epoch; the nearest moment there is.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        if millis < Self::MIN.0 {
            Self::MIN
        } else if millis > Self::MAX.0 {
            Self::MAX
        } else {
            Self(millis)
        }
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    #[must_use]
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// This moment, `duration` later.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self::from_millis(self.0.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// This moment, `duration` earlier.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self::from_millis(self.0.saturating_sub(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// As HTTP writes it.
    #[must_use]
    pub fn http_date(self) -> String {
        self.written("%a, %d %b %Y %H:%M:%S GMT")
    }

    fn written(self, format: &str) -> String {
        // Every moment there is has a date.
        jiff::Timestamp::from_millisecond(self.0).map(|moment| moment.strftime(format).to_string()).unwrap_or_default()
    }

    /// How long after `earlier` this is; nothing when the clock went backwards in between.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written("%Y-%m-%dT%H:%M:%S%.3fZ"))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for Timestamp {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, jiff::Error> {
        text.parse::<jiff::Timestamp>().map(|moment| Self::from_millis(moment.as_millisecond()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// Where the time comes from: the system's clock in the daemon, one that a test can move elsewhere.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// The system's clock.
    #[must_use]
    pub fn system() -> Self {
        #[expect(clippy::disallowed_methods, reason = "this is the clock that everybody else is given")]
        Self::reading(SystemTime::now)
    }

    /// A clock that reads another one. A time that no [`Timestamp`] can be is the nearest that one can be, and the log
    /// says once that the clock is wrong, until it is right again.
    fn reading(now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        let wrong = AtomicBool::new(false);
        Self::new(move || {
            let millis = millis_of(now());
            let moment = Timestamp::from_millis(millis);
            let is_wrong = moment.0 != millis;
            if wrong.swap(is_wrong, Ordering::Relaxed) != is_wrong {
                if is_wrong {
                    tracing::error!(
                        "the system's clock is wrong: it is not within the years 1970 to 9999, so windlass takes the \
                         time to be {moment}; set the clock, until then no signature with a time is accepted"
                    );
                } else {
                    tracing::info!("the system's clock is within the years 1970 to 9999 again");
                }
            }
            moment
        })
    }

    /// A clock that asks `now` each time.
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// What time it is.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

fn millis_of(moment: SystemTime) -> i64 {
    match moment.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |millis| -millis - 1),
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({})", self.now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_is_written_in_utc_with_milliseconds_and_reads_back() {
        let moment = Timestamp::from_millis(1_763_680_202_120);
        assert_eq!(moment.to_string(), "2025-11-20T23:10:02.120Z");
        assert_eq!(moment.to_string().parse::<Timestamp>().ok(), Some(moment));
    }

    #[test]
    fn whatever_a_moment_is_made_of_it_is_written_so_that_it_reads_back() {
        let moments =
            [i64::MIN, -1, 0, 1, 253_402_300_800_000, 300_000_000_000_000, i64::MAX].map(Timestamp::from_millis);
        let later = moments.map(|moment| moment.plus(Duration::MAX));
        let earlier = moments.map(|moment| moment.minus(Duration::MAX));
        for moment in [moments, later, earlier].concat() {
            assert_eq!(moment.to_string().parse::<Timestamp>().ok(), Some(moment), "{moment}");
            assert!(!moment.http_date().is_empty());
        }
        assert_eq!((earlier[6], later[0]), (Timestamp::MIN, Timestamp::MAX));
        assert_eq!(Timestamp::MAX.as_seconds(), jiff::Timestamp::MAX.as_second());
        assert_eq!("0001-01-01T00:00:00Z".parse::<Timestamp>().ok(), Some(Timestamp::MIN));
    }

    #[test]
    fn a_system_clock_that_is_wrong_by_thousands_of_years_stops_nobody() {
        let year = Duration::from_secs(31_556_952);
        let clock = |now: SystemTime| Clock::reading(move || now).now();
        assert_eq!(clock(UNIX_EPOCH + year * 9_000), Timestamp::MAX);
        assert_eq!(clock(UNIX_EPOCH - year * 9_000), Timestamp::MIN);
        assert_eq!(clock(UNIX_EPOCH - Duration::from_nanos(1)), Timestamp::MIN);
        assert_eq!(clock(UNIX_EPOCH + Duration::from_millis(5)), Timestamp::from_millis(5));
    }

    #[test]
    fn a_date_is_written_as_http_wants_it() {
        let moment = Timestamp::from_millis(784_111_777_999);
        assert_eq!(moment.http_date(), "Sun, 06 Nov 1994 08:49:37 GMT");
    }

    #[test]
    fn a_clock_that_went_backwards_measures_nothing_rather_than_something_huge() {
        let (early, late) = (Timestamp::from_millis(5), Timestamp::from_millis(9));
        assert_eq!(early.since(late), Duration::ZERO);
        assert_eq!(late.since(early), Duration::from_millis(4));
    }
}
