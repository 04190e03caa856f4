//! Who keeps a place when places run short: nobody waits for one, and nobody can fill them all.
//!
//! A caller that has proven nothing yet always gets a place. What makes room for it is the oldest of those that have
//! proven nothing either: of the same network where that has more than its share, else of all. A caller that has proven
//! a key keeps its place; but no key has more than its share, and all keys together leave some places to newcomers. So a
//! network never loses more than what it holds without a proof, however many callers are behind one address.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// One network and one key each have at most this part of all places.
const SHARE: usize = 8;
/// This part of all places is left to callers that have proven nothing yet.
const NEWCOMERS: usize = 4;

/// A number of places. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Places(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    most: usize,
    state: Mutex<State>,
    /// Counts those who were told to go and have not gone yet as well.
    open: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    /// How many have a place, and may keep it because of where they come from.
    trusted: usize,
    /// Those who have proven nothing, in the order in which they came.
    unproven: BTreeMap<u64, Unproven>,
    of_network: HashMap<IpAddr, usize>,
    /// The key that each of the others has proven.
    proven: HashMap<u64, String>,
    of_key: HashMap<String, usize>,
}

#[derive(Debug)]
struct Unproven {
    network: IpAddr,
    lost: CancellationToken,
}

/// A place that is taken until this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Places,
    number: u64,
    /// Nothing for a caller that is trusted as it comes.
    network: Option<IpAddr>,
    lost: CancellationToken,
    /// Whether the key that was proven last had its share already.
    is_surplus: AtomicBool,
    permit: Option<OwnedSemaphorePermit>,
}

impl Places {
    /// Room for `most`.
    #[must_use]
    pub fn new(most: usize) -> Self {
        let most = most.max(1);
        Self(Arc::new(Shared { most, state: Mutex::default(), open: Arc::new(Semaphore::new(most)) }))
    }

    /// Takes a place for a caller from `address`; without one it is a process of this host, which is trusted. Waits only
    /// for whoever makes room to be gone, or for room among those that are trusted.
    pub(super) async fn enter(&self, address: Option<IpAddr>) -> Place {
        let mut place = self.admit(address.map(network_of));
        // Never closed.
        place.permit = Arc::clone(&self.0.open).acquire_owned().await.ok();
        place
    }

    fn admit(&self, network: Option<IpAddr>) -> Place {
        let lost = CancellationToken::new();
        let mut state = self.state();
        let number = state.next;
        state.next += 1;
        match network {
            None => state.trusted += 1,
            Some(network) => {
                state.queue(number, network, lost.clone());
                let of_network = state.of_network.get(&network).copied().unwrap_or_default();
                // A proxy on this host speaks for everybody.
                if of_network > self.share() && !network.is_loopback() {
                    state.drop_oldest(Some(network));
                }
            }
        }
        if state.taken() > self.0.most {
            state.drop_oldest(None);
        }
        Place { places: self.clone(), number, network, lost, is_surplus: AtomicBool::new(false), permit: None }
    }

    /// Lets the oldest that has proven nothing go, for a need of the caller's own.
    pub(super) fn make_room(&self) {
        self.state().drop_oldest(None);
    }

    /// Whether it is time to keep no connection open that need not be.
    pub(super) fn are_short(&self) -> bool {
        self.state().taken() >= self.0.most - self.0.most / NEWCOMERS
    }

    fn share(&self) -> usize {
        (self.0.most / SHARE).max(1)
    }

    fn most_proven(&self) -> usize {
        (self.0.most - self.0.most.div_ceil(NEWCOMERS)).max(1)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Until it has to be left at once.
    pub(super) async fn lost(&self) {
        self.lost.cancelled().await;
    }

    /// The caller has proven `key`. Keeps the place for it, unless that key has its share already.
    pub(super) fn prove(&self, key: &str) {
        let Some(network) = self.network else { return };
        let mut state = self.places.state();
        if self.lost.is_cancelled() || state.proven.get(&self.number).is_some_and(|known| known == key) {
            return;
        }
        state.forget(self.number);
        let of_key = state.of_key.get(key).copied().unwrap_or_default();
        let is_surplus = of_key >= self.places.share() || state.proven.len() >= self.places.most_proven();
        self.is_surplus.store(is_surplus, Ordering::Relaxed);
        if !is_surplus {
            state.proven.insert(self.number, key.to_owned());
            state.of_key.insert(key.to_owned(), of_key + 1);
        } else {
            state.queue(self.number, network, self.lost.clone());
        }
    }

    /// Whether a key was proven that holds its share of places already.
    pub(super) fn is_surplus(&self) -> bool {
        self.is_surplus.load(Ordering::Relaxed)
    }

    /// Whether it will not be lost.
    pub(super) fn is_kept(&self) -> bool {
        self.network.is_none() || self.places.state().proven.contains_key(&self.number)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.places.state();
        match self.network {
            None => state.trusted = state.trusted.saturating_sub(1),
            Some(_) => drop(state.forget(self.number)),
        }
    }
}

impl State {
    fn taken(&self) -> usize {
        self.trusted + self.unproven.len() + self.proven.len()
    }

    fn queue(&mut self, number: u64, network: IpAddr, lost: CancellationToken) {
        self.unproven.insert(number, Unproven { network, lost });
        *self.of_network.entry(network).or_default() += 1;
    }

    fn drop_oldest(&mut self, network: Option<IpAddr>) {
        let oldest = self.unproven.iter().find(|(_, one)| network.is_none_or(|network| one.network == network));
        if let Some(number) = oldest.map(|(number, _)| *number)
            && let Some(gone) = self.forget(number)
        {
            gone.lost.cancel();
        }
    }

    fn forget(&mut self, number: u64) -> Option<Unproven> {
        if let Some(key) = self.proven.remove(&number) {
            count_down(&mut self.of_key, &key);
        }
        let gone = self.unproven.remove(&number)?;
        count_down(&mut self.of_network, &gone.network);
        Some(gone)
    }
}

fn count_down<K: Eq + std::hash::Hash + Clone>(counts: &mut HashMap<K, usize>, of: &K) {
    if let Some(count) = counts.get_mut(of) {
        *count -= 1;
        if *count == 0 {
            counts.remove(of);
        }
    }
}

/// What belongs to one caller: of IPv6 everybody has at least a /64.
pub(super) fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(most: usize) -> Places {
        Places::new(most)
    }

    fn enter(places: &Places, address: &str) -> Place {
        places.admit(Some(network_of(address.parse().unwrap())))
    }

    fn lost(places: &[Place]) -> Vec<usize> {
        (0..places.len()).filter(|index| places[*index].lost.is_cancelled()).collect()
    }

    #[test]
    fn a_newcomer_always_gets_in_and_the_oldest_that_proved_nothing_goes() {
        let places = places(8);
        let mut all: Vec<Place> = (0..8).map(|n| enter(&places, &format!("192.0.2.{n}"))).collect();
        all[0].prove("shop/ci");
        assert_eq!(lost(&all), [0_usize; 0]);
        all.push(enter(&places, "192.0.2.8"));
        assert_eq!(lost(&all), [1]);
        all.push(enter(&places, "192.0.2.9"));
        assert_eq!(lost(&all), [1, 2]);
        drop(all.remove(0));
        all.push(enter(&places, "192.0.2.10"));
        assert_eq!(lost(&all), [0, 1], "there was a place");
    }

    #[test]
    fn a_network_that_has_more_than_its_share_loses_its_own_oldest() {
        let places = places(16);
        let other = enter(&places, "198.51.100.1");
        let all: Vec<Place> = (0..5).map(|n| enter(&places, &format!("2001:db8:1:2::{n}"))).collect();
        assert_eq!(lost(&all), [0, 1, 2]);
        assert!(!other.lost.is_cancelled());
        // Whoever has proven a key is not counted: of many callers behind one address only those who proved nothing.
        let proven: Vec<Place> = (0..4).map(|_| enter(&places, "203.0.113.1")).collect();
        proven[2].prove("shop/ci");
        proven[3].prove("blog/ci");
        let more: Vec<Place> = (0..2).map(|_| enter(&places, "203.0.113.1")).collect();
        assert_eq!((lost(&proven), lost(&more)), (vec![0, 1], vec![]));
    }

    #[test]
    fn a_proxy_on_this_host_has_all_places_for_its_callers() {
        let places = places(16);
        for address in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            let all: Vec<Place> = (0..16).map(|_| enter(&places, address)).collect();
            assert_eq!(lost(&all), [0_usize; 0], "{address}");
        }
    }

    #[test]
    fn no_key_holds_more_than_its_share_and_all_keys_leave_room_for_newcomers() {
        let places = places(16);
        let of_one: Vec<Place> = (0..4).map(|_| enter(&places, "127.0.0.1")).collect();
        of_one.iter().for_each(|place| place.prove("shop/ci"));
        let kept = |all: &[Place]| all.iter().filter(|place| place.is_kept()).count();
        assert_eq!(kept(&of_one), 2);
        let of_many: Vec<Place> = (0..12).map(|_| enter(&places, "127.0.0.1")).collect();
        of_many.iter().enumerate().for_each(|(n, place)| place.prove(&format!("p{n}/ci")));
        assert_eq!(kept(&of_many), 10, "a quarter of all places is for newcomers");
        let newcomer = enter(&places, "127.0.0.1");
        assert_eq!((lost(&of_one), kept(&of_many)), (vec![2], 10));
        assert!(!newcomer.lost.is_cancelled());
        // A place that was left counts no more.
        drop(of_one);
        newcomer.prove("shop/ci");
        assert!(newcomer.is_kept());
    }

    #[test]
    fn a_place_counts_for_the_key_that_was_proven_last() {
        let places = places(8);
        let (one, other) = (enter(&places, "127.0.0.1"), enter(&places, "127.0.0.1"));
        one.prove("shop/ci");
        other.prove("shop/ci");
        assert!(one.is_kept() && !other.is_kept());
        one.prove("blog/ci");
        other.prove("shop/ci");
        assert!(one.is_kept() && other.is_kept());
        other.prove("blog/ci");
        assert!(!other.is_kept(), "that key has its share");
    }

    #[tokio::test]
    async fn a_process_of_this_host_is_never_told_to_go() {
        let places = places(2);
        let (one, two) = (places.enter(None).await, places.enter(None).await);
        let mut third = std::pin::pin!(places.enter(None));
        assert!(futures_util::poll!(&mut third).is_pending(), "there is room for two");
        assert!(one.is_kept() && two.is_kept());
        drop(one);
        assert!(third.await.is_kept());
    }

    #[test]
    fn whoever_has_a_network_of_addresses_is_one_caller_and_an_address_counts_the_same_however_it_is_written() {
        let network = |text: &str| network_of(text.parse().unwrap()).to_string();
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(network("2001:db8:1:3::"), "2001:db8:1:3::");
        assert_eq!(network("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(network("::1"), "::1");
    }
}
