//! Limits how often each key may ask for a deployment: a burst as large as a minute's worth, then at that rate.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const SPAN: Duration = Duration::from_secs(60);

/// What each key has used up.
#[derive(Debug)]
pub(super) struct Rates {
    /// How much of its time a key uses up with one request.
    each: Duration,
    /// Until when the time of each key is used up. There is at most one entry a key.
    used: Mutex<HashMap<String, Instant>>,
}

impl Rates {
    /// At most `per_minute` for each key.
    pub(super) fn new(per_minute: usize) -> Self {
        let each = SPAN / u32::try_from(per_minute).unwrap_or(u32::MAX).max(1);
        Self { each, used: Mutex::default() }
    }

    /// Counts a request of `key`, or says how long the key has to wait.
    pub(super) fn take(&self, key: &str, now: Instant) -> Result<(), Duration> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.retain(|_, until| *until > now);
        let until = used.get(key).copied().unwrap_or(now) + self.each;
        let wait = until.duration_since(now).saturating_sub(SPAN);
        if !wait.is_zero() {
            return Err(wait);
        }
        used.insert(key.to_owned(), until);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_a_minutes_worth_at_once_and_then_one_after_the_other() {
        let (rates, begin) = (Rates::new(60), Instant::now());
        let taken = |now, key: &str| (0..1000).take_while(|_| rates.take(key, now).is_ok()).count();
        assert_eq!(taken(begin, "shop/ci"), 60);
        assert_eq!(rates.take("shop/ci", begin), Err(Duration::from_secs(1)));
        assert_eq!(taken(begin, "shop/other"), 60, "each key has its own");
        assert_eq!(taken(begin + Duration::from_millis(999), "shop/ci"), 0);
        assert_eq!(taken(begin + Duration::from_secs(5), "shop/ci"), 5);
        assert_eq!(taken(begin + Duration::from_secs(500), "shop/ci"), 60);
        assert_eq!(rates.used.lock().unwrap().len(), 1, "what is over is forgotten");
    }
}
