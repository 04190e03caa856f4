//! Limits how many connections are open, without making a new one wait.
//!
//! A new connection always gets a place. If all places are taken, the oldest connection that has proven no key is closed; a
//! network that holds more than its share of unproven connections loses its own oldest first. A connection that has proven
//! a key is never closed for room. One key keeps at most its share of places, and all keys together leave a part of them to
//! unproven connections. A network is never refused, because a proxy or a NAT may stand for many callers.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// One network without a proof, and one key, each hold at most this part of all places.
const SHARE: usize = 8;
/// This part of all places is left to connections that have proven no key.
const UNPROVEN: usize = 4;

/// A number of places. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Places(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    most: usize,
    state: Mutex<State>,
    /// Also counts connections that are being closed for room.
    open: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    /// How many places processes of this host have.
    trusted: usize,
    /// Connections that have proven no key, the oldest first.
    unproven: BTreeMap<u64, Unproven>,
    of_network: HashMap<IpAddr, usize>,
    /// The key of each connection that has proven one.
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
    /// `None` for a process of this host.
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

    /// Takes a place for a connection from `address`, or from a process of this host if there is none. Waits only until the
    /// connection that makes room is closed; a process of this host waits for a free place.
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

    /// Closes the oldest connection that has proven no key.
    pub(super) fn make_room(&self) {
        self.state().drop_oldest(None);
    }

    /// Whether unproven connections should end with their next answer.
    pub(super) fn are_short(&self) -> bool {
        self.state().taken() >= self.0.most - self.0.most / UNPROVEN
    }

    fn share(&self) -> usize {
        (self.0.most / SHARE).max(1)
    }

    fn most_proven(&self) -> usize {
        (self.0.most - self.0.most.div_ceil(UNPROVEN)).max(1)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Returns when the connection has to be closed.
    pub(super) async fn lost(&self) {
        self.lost.cancelled().await;
    }

    /// Records that the connection has proven `key`, which keeps its place unless the key has its share already.
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

    /// Whether the key that was proven last has its share already.
    pub(super) fn is_surplus(&self) -> bool {
        self.is_surplus.load(Ordering::Relaxed)
    }

    /// Whether the connection will not be closed for room.
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

/// The network of an address: an IPv6 /64, because one caller has at least that.
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
    fn a_new_connection_always_gets_a_place_and_the_oldest_unproven_one_is_closed() {
        let places = places(8);
        let mut all: Vec<Place> = (0..8).map(|n| enter(&places, &format!("192.0.2.{n}"))).collect();
        all[0].prove("shop/ci");
        assert_eq!(lost(&all), [0_usize; 0]);
        all.push(enter(&places, "192.0.2.8"));
        assert_eq!(lost(&all), [1]);
        all[1].prove("blog/ci");
        assert!(!all[1].is_kept(), "it is being closed");
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
        // Of many callers behind one address, only the unproven connections count.
        let proven: Vec<Place> = (0..4).map(|_| enter(&places, "203.0.113.1")).collect();
        proven[2].prove("shop/ci");
        proven[3].prove("blog/ci");
        let more: Vec<Place> = (0..2).map(|_| enter(&places, "203.0.113.1")).collect();
        assert_eq!((lost(&proven), lost(&more)), (vec![0, 1], vec![]));
    }

    #[test]
    fn the_addresses_of_this_host_have_no_share() {
        let places = places(16);
        for address in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            let all: Vec<Place> = (0..16).map(|_| enter(&places, address)).collect();
            assert_eq!(lost(&all), [0_usize; 0], "{address}");
        }
    }

    #[test]
    fn a_key_keeps_at_most_its_share_and_all_keys_leave_places_to_unproven_connections() {
        let places = places(16);
        let of_one: Vec<Place> = (0..4).map(|_| enter(&places, "127.0.0.1")).collect();
        of_one.iter().for_each(|place| place.prove("shop/ci"));
        let kept = |all: &[Place]| all.iter().filter(|place| place.is_kept()).count();
        assert_eq!(kept(&of_one), 2);
        let of_many: Vec<Place> = (0..12).map(|_| enter(&places, "127.0.0.1")).collect();
        of_many.iter().enumerate().for_each(|(n, place)| place.prove(&format!("p{n}/ci")));
        assert_eq!(kept(&of_many), 10, "a quarter of all places is left");
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
    async fn a_process_of_this_host_is_never_closed_for_room() {
        let places = places(2);
        let (one, two) = (places.enter(None).await, places.enter(None).await);
        let mut third = std::pin::pin!(places.enter(None));
        assert!(futures_util::poll!(&mut third).is_pending(), "there is room for two");
        assert!(one.is_kept() && two.is_kept());
        drop(one);
        assert!(third.await.is_kept());
        drop(two);
        let others: Vec<Place> = (0..2).map(|n| enter(&places, &format!("192.0.2.{n}"))).collect();
        assert_eq!(lost(&others), [0_usize; 0], "they have left their places");
    }

    #[test]
    fn an_ipv6_network_is_one_caller_and_an_address_counts_the_same_in_every_notation() {
        let network = |text: &str| network_of(text.parse().unwrap()).to_string();
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(network("2001:db8:1:3::"), "2001:db8:1:3::");
        assert_eq!(network("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(network("::1"), "::1");
    }
}
