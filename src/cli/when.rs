//! Moments and lengths of time as tables say them.

use std::time::Duration;

use crate::model::{Clock, Timestamp, Zone};

/// The moment at which something is shown, in the zone of this system.
#[derive(Debug)]
pub(super) struct Now {
    pub(super) zone: Zone,
    at: Timestamp,
}

impl Now {
    /// This moment.
    pub(super) fn here() -> Self {
        Self { zone: Zone::of_system(), at: Clock::system().now() }
    }

    /// A heading of moments, with their zone: `WHEN (UTC)`.
    pub(super) fn heading(&self, word: &str) -> String {
        format!("{word} ({})", self.zone.name(self.at))
    }

    /// How long ago something was, in one unit: `12s`, `3m`, `5h`, `2d`.
    pub(super) fn age(&self, then: Timestamp) -> String {
        let seconds = self.at.since(then).as_secs();
        match seconds {
            0..60 => format!("{seconds}s"),
            60..3600 => format!("{}m", seconds / 60),
            3600..172_800 => format!("{}h", seconds / 3600),
            _ => format!("{}d", seconds / 86_400),
        }
    }

    /// When something was or will be, as short as it can be said today: `00:06`.
    pub(super) fn moment(&self, at: Timestamp) -> String {
        self.zone.beside(at, self.at)
    }

    /// When something was, and how long ago: `00:06 (8m)`.
    pub(super) fn both(&self, then: Timestamp) -> String {
        format!("{} ({})", self.moment(then), self.age(then))
    }
}

/// A length of time as it is written on the command line. It is sent as it stands: the other end reads it in the same way.
pub(super) fn written(text: &str) -> Result<String, humantime::DurationError> {
    humantime::parse_duration(text).map(|_| text.to_owned())
}

/// How long something took: `1.2s`, `2m 5s`.
pub(super) fn duration(duration: Duration) -> String {
    match duration.as_secs() {
        0..60 => format!("{:.1}s", duration.as_secs_f64()),
        seconds => format!("{}m {}s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_told_in_one_unit() {
        let now = Now { zone: Zone::utc(), at: Timestamp::from_millis(1_000_000_000) };
        let ago = |seconds: i64| Timestamp::from_millis(now.at.as_millis() - seconds * 1000);
        let told: Vec<String> =
            [0, 59, 60, 3599, 3600, 172_799, 172_800, -5].into_iter().map(|seconds| now.age(ago(seconds))).collect();
        assert_eq!(told, ["0s", "59s", "1m", "59m", "1h", "47h", "2d", "0s"]);
        assert_eq!((now.both(ago(480)), now.heading("WHEN")), ("13:38 (8m)".to_owned(), "WHEN (UTC)".to_owned()));
        assert_eq!(duration(Duration::from_millis(1240)), "1.2s");
        assert_eq!(duration(Duration::from_secs(125)), "2m 5s");
    }
}
