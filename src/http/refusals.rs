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
        let hash = self.hasher.hash_one(network_of(address));
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let index = usize::try_from(hash % PLACES as u64).unwrap_or_default();
        let Some(place) = places.get_mut(index) else { return false };
        if place.since.is_none_or(|since| now.duration_since(since) >= SPAN) {
            *place = Place { since: Some(now), count: 0 };
        }
        place.count = place.count.saturating_add(1);
        place.count > MOST
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
}
