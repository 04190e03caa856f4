//! Moments as people read them: in a time zone, to the second or to the minute.

use jiff::tz::TimeZone;

use super::Timestamp;

/// The time zone in which somebody is told of moments.
#[derive(Debug, Clone)]
pub struct Zone(TimeZone);

impl Zone {
    /// Coordinated Universal Time: of one who tells people anywhere.
    #[must_use]
    pub const fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// The zone of this system, else UTC.
    #[must_use]
    pub fn of_system() -> Self {
        Self(TimeZone::try_system().unwrap_or(TimeZone::UTC))
    }

    /// `22:31:19`.
    #[must_use]
    pub fn time(&self, at: Timestamp) -> String {
        self.written(at, "%H:%M:%S")
    }

    /// `2026-11-26 22:31:19 UTC`.
    #[must_use]
    pub fn in_full(&self, at: Timestamp) -> String {
        self.written(at, "%Y-%m-%d %H:%M:%S %Z")
    }

    /// `2026-11-26 22:31 UTC`.
    #[must_use]
    pub fn to_the_minute(&self, at: Timestamp) -> String {
        self.written(at, "%Y-%m-%d %H:%M %Z")
    }

    /// `22:31` of the same day as `now`, else `11-25 22:31`, of another year `2025-11-25`.
    #[must_use]
    pub fn beside(&self, at: Timestamp, now: Timestamp) -> String {
        let same = |format: &str| self.written(at, format) == self.written(now, format);
        match (same("%Y"), same("%m-%d")) {
            (true, true) => self.written(at, "%H:%M"),
            (true, false) => self.written(at, "%m-%d %H:%M"),
            (false, _) => self.written(at, "%Y-%m-%d"),
        }
    }

    /// `UTC`, as the zone is called at that moment.
    #[must_use]
    pub fn name(&self, at: Timestamp) -> String {
        self.written(at, "%Z")
    }

    fn written(&self, at: Timestamp, format: &str) -> String {
        // Every moment there is has a date in every zone.
        let moment = jiff::Timestamp::from_millisecond(at.as_millis());
        moment.map(|moment| moment.to_zoned(self.0.clone()).strftime(format).to_string()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_told_with_its_zone_and_a_near_one_without_what_is_known() {
        let zone = Zone(TimeZone::fixed(jiff::tz::offset(2)));
        let at: Timestamp = "2026-11-26T22:31:19.250Z".parse().unwrap();
        assert_eq!(Zone::utc().in_full(at), "2026-11-26 22:31:19 UTC");
        assert_eq!(zone.in_full(at), "2026-11-27 00:31:19 +02");
        assert_eq!((zone.time(at), zone.to_the_minute(at)), ("00:31:19".to_owned(), "2026-11-27 00:31 +02".to_owned()));
        let beside = |now: &str| zone.beside(at, now.parse().unwrap());
        assert_eq!(beside("2026-11-27T20:00:00Z"), "00:31");
        assert_eq!(beside("2026-11-26T20:00:00Z"), "11-27 00:31");
        assert_eq!(beside("2027-11-26T20:00:00Z"), "2026-11-27");
    }
}
