//! Counts what the doors answered. A fixed number of counters, whatever callers do.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::StatusCode;

/// The statuses that a hook answers with; any other is counted at the end.
const STATUSES: [u16; 18] = [200, 202, 400, 401, 403, 404, 405, 408, 409, 413, 414, 415, 422, 423, 429, 431, 503, 0];

/// As many refused callers are mentioned in the log, in each span of time.
const MENTIONS: u64 = 10;
const SPAN: Duration = Duration::from_secs(10);

/// What was counted since the start.
#[derive(Debug, Default)]
pub(super) struct Tally {
    hooks: [AtomicU64; STATUSES.len()],
    not_authentic: AtomicU64,
    mentions: Mutex<Mentions>,
}

#[derive(Debug, Default)]
struct Mentions {
    since: Option<Instant>,
    seen: u64,
}

impl Tally {
    /// A request to a hook was answered.
    pub(super) fn answered(&self, status: StatusCode) {
        let place = STATUSES.iter().position(|known| *known == status.as_u16()).unwrap_or(STATUSES.len() - 1);
        if let Some(count) = self.hooks.get(place) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A caller proved nothing. Says whether to mention it in the log, and how many were left out since the last one.
    pub(super) fn not_authentic(&self) -> Option<u64> {
        self.not_authentic.fetch_add(1, Ordering::Relaxed);
        let mut mentions = self.mentions.lock().unwrap_or_else(PoisonError::into_inner);
        mentions.next(Instant::now())
    }

    /// How many requests to hooks were answered, by status. What never happened is left out.
    pub(super) fn hooks(&self) -> impl Iterator<Item = (&'static str, u64)> {
        const NAMES: [&str; STATUSES.len()] = [
            "200", "202", "400", "401", "403", "404", "405", "408", "409", "413", "414", "415", "422", "423", "429",
            "431", "503", "other",
        ];
        NAMES
            .into_iter()
            .zip(&self.hooks)
            .map(|(name, count)| (name, count.load(Ordering::Relaxed)))
            .filter(|(_, count)| *count > 0)
    }

    /// How many callers proved nothing.
    pub(super) fn refused(&self) -> u64 {
        self.not_authentic.load(Ordering::Relaxed)
    }
}

impl Mentions {
    fn next(&mut self, now: Instant) -> Option<u64> {
        let fresh = self.since.is_none_or(|since| now.duration_since(since) >= SPAN);
        let left_out = self.seen.saturating_sub(MENTIONS);
        if fresh {
            *self = Self { since: Some(now), seen: 1 };
            return Some(left_out);
        }
        self.seen += 1;
        (self.seen <= MENTIONS).then_some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_refusals_is_counted_in_full_and_mentioned_in_part() {
        let start = Instant::now();
        let mut mentions = Mentions::default();
        let said: Vec<u64> = (0..1000).filter_map(|_| mentions.next(start)).collect();
        assert_eq!(said, [0; 10]);
        assert_eq!(mentions.next(start + SPAN), Some(990));
        assert_eq!(mentions.next(start + SPAN), Some(0));

        let tally = Tally::default();
        for status in [StatusCode::ACCEPTED, StatusCode::ACCEPTED, StatusCode::IM_A_TEAPOT] {
            tally.answered(status);
        }
        assert_eq!(tally.hooks().collect::<Vec<_>>(), [("202", 2), ("other", 1)]);
    }
}
