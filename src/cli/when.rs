//! Moments and lengths of time as tables say them.

use std::time::Duration;

use crate::model::{Timestamp, Zone};

/// How long ago something was, in one unit: `12s`, `3m`, `5h`, `2d`.
pub(super) fn age(now: Timestamp, then: Timestamp) -> String {
    let seconds = now.since(then).as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// When something was, and how long ago: `00:06 (8m)`.
pub(super) fn both(zone: &Zone, now: Timestamp, then: Timestamp) -> String {
    format!("{} ({})", zone.beside(then, now), age(now, then))
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
        let now = Timestamp::from_millis(1_000_000_000);
        let ago = |seconds: i64| Timestamp::from_millis(now.as_millis() - seconds * 1000);
        let told: Vec<String> =
            [0, 59, 60, 3599, 3600, 172_799, 172_800, -5].into_iter().map(|seconds| age(now, ago(seconds))).collect();
        assert_eq!(told, ["0s", "59s", "1m", "59m", "1h", "47h", "2d", "0s"]);
        assert_eq!(duration(Duration::from_millis(1240)), "1.2s");
        assert_eq!(duration(Duration::from_secs(125)), "2m 5s");
        assert_eq!(both(&Zone::utc(), now, ago(480)), "13:38 (8m)");
    }
}
