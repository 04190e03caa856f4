//! How often each address of late proved nothing. Whoever tries without end is told to stop trying.
//!
//! Every request is verified all the same, and a proven one is served: behind a proxy all callers have one address, and
//! nobody there shall be able to lock the others out. The memory is fixed, whatever callers do: addresses that fall on the
//! same place share it, which at worst changes how a refusal is worded.

use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::places::network_of;

/// So many refusals of one address in a [`SPAN`] are answered as what they are.
const MOST: u32 = 600;
pub(super) const SPAN: Duration = Duration::from_secs(60);
const PLACES: usize = 1024;

/// After so many refusals in a [`SPAN`] a token of docker-puller is checked a second later, after twice as many two seconds
/// later, and so on.
const SLOWER_AFTER: u32 = 20;
const SLOWEST: Duration = Duration::from_secs(10);

/// Counts refusals. The hash has a key of its own at each start, so that nobody can choose an address to share a place.
#[derive(Debug)]
pub(super) struct Refusals {
    hasher: RandomState,
    places: Mutex<Vec<Place>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Place {
    since: Option<Instant>,
    count: u32,
}

impl Default for Refusals {
    fn default() -> Self {
        Self { hasher: RandomState::new(), places: Mutex::new(vec![Place::default(); PLACES]) }
    }
}

impl Refusals {
    /// Counts one more of `address`, and says whether these are too many.
    pub(super) fn too_many(&self, address: IpAddr, now: Instant) -> bool {
        self.count(address, now, 1) > MOST
    }

    /// How long to wait before a token from `address` is checked. A right token waits as long as a wrong one.
    pub(super) fn delay(&self, address: IpAddr, now: Instant) -> Duration {
        let steps = self.count(address, now, 0) / SLOWER_AFTER;
        (Duration::from_secs(1) * steps).min(SLOWEST)
    }

    /// Adds `more`, and says how many there are in this span.
    fn count(&self, address: IpAddr, now: Instant, more: u32) -> u32 {
        let hash = self.hasher.hash_one(network_of(address));
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let index = usize::try_from(hash % PLACES as u64).unwrap_or_default();
        let Some(place) = places.get_mut(index) else { return 0 };
        if place.since.is_none_or(|since| now.duration_since(since) >= SPAN) {
            *place = Place { since: Some(now), count: 0 };
        }
        place.count = place.count.saturating_add(more);
        place.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_never_stops_is_told_so_until_the_minute_is_over_and_others_are_not() {
        let (refusals, begin) = (Refusals::default(), Instant::now());
        let [one, other] = ["192.0.2.1", "192.0.2.2"].map(|address| address.parse().unwrap());
        for _ in 0..MOST {
            assert!(!refusals.too_many(one, begin));
        }
        assert!(refusals.too_many(one, begin + SPAN / 2));
        assert!(!refusals.too_many(one, begin + SPAN));
        let same_place =
            |a, b| refusals.hasher.hash_one(a) % PLACES as u64 == refusals.hasher.hash_one(b) % PLACES as u64;
        assert!(!refusals.too_many(other, begin) || same_place(one, other));
    }

    #[test]
    fn guesses_are_looked_at_later_and_later_until_the_minute_is_over() {
        let (refusals, begin) = (Refusals::default(), Instant::now());
        let address = "192.0.2.1".parse().unwrap();
        let delays: Vec<u64> = (0..300)
            .map(|_| {
                refusals.too_many(address, begin);
                refusals.delay(address, begin).as_secs()
            })
            .collect();
        assert_eq!([0, 18, 19, 38, 39, 199, 299].map(|index: usize| delays[index]), [0, 0, 1, 1, 2, 10, 10]);
        assert_eq!(refusals.delay(address, begin + SPAN), Duration::ZERO);
    }
}
