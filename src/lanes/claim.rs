//! What one deployment changes on the host, and nobody else meanwhile: a Compose project, a unit.
//!
//! Several projects may change the same place. Lanes are theirs; a claim is for the place, and comes after the lease.
//! A deployment that waits for its claim holds nothing that another one waits for, no place and none of the
//! `concurrency`, so there is no circle of waiting. Claims are granted in the order in which they were asked for.

use std::collections::{BTreeMap, BTreeSet};

use tokio::sync::oneshot;

use crate::model::ProjectName;

/// What is held and waited for, over all projects. The one whose turn comes is sent a `G`.
#[derive(Debug)]
pub(super) struct Claims<G> {
    held: BTreeMap<String, ProjectName>,
    next_ticket: u64,
    waiting: BTreeMap<u64, Claimant<G>>,
}

/// A deployment that waits.
#[derive(Debug)]
pub(super) struct Claimant<G> {
    project: ProjectName,
    pub(super) places: BTreeSet<String>,
    pub(super) turn: oneshot::Sender<G>,
}

impl<G> Default for Claims<G> {
    fn default() -> Self {
        Self { held: BTreeMap::new(), next_ticket: 0, waiting: BTreeMap::new() }
    }
}

impl<G> Claims<G> {
    /// Lets a deployment wait for all these places.
    pub(super) fn enter(&mut self, project: ProjectName, places: BTreeSet<String>) -> oneshot::Receiver<G> {
        let (turn, granted) = oneshot::channel();
        self.waiting.insert(self.next_ticket, Claimant { project, places, turn });
        self.next_ticket += 1;
        granted
    }

    /// Who holds one of these places.
    pub(super) fn holder(&self, places: &BTreeSet<String>) -> Option<&ProjectName> {
        places.iter().find_map(|place| self.held.get(place))
    }

    /// Takes out the first that may go on, and holds its places: nobody holds one of them, and nobody who came before waits
    /// for one.
    pub(super) fn next(&mut self) -> Option<Claimant<G>> {
        // Of one that is gone only its end of the channel is left.
        self.waiting.retain(|_, claimant| !claimant.turn.is_closed());
        let mut taken: BTreeSet<&String> = self.held.keys().collect();
        let mut ready = None;
        for (ticket, claimant) in &self.waiting {
            if claimant.places.iter().all(|place| !taken.contains(place)) {
                ready = Some(*ticket);
                break;
            }
            taken.extend(&claimant.places);
        }
        let claimant = self.waiting.remove(&ready?)?;
        let held = claimant.places.iter().map(|place| (place.clone(), claimant.project.clone()));
        self.held.extend(held);
        Some(claimant)
    }

    /// Gives places back.
    pub(super) fn release(&mut self, places: &BTreeSet<String>) {
        self.held.retain(|place, _| !places.contains(place));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::super::Lanes;
    use super::super::tests::{enter, lease};

    fn places(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn is_ready(future: std::pin::Pin<&mut impl Future>) -> bool {
        matches!(future.poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(_))
    }

    #[test]
    fn one_place_is_changed_by_one_at_a_time_whatever_the_project() {
        let lanes = Lanes::new(2, 32);
        let mut web = lease(&mut enter(&lanes, "web", 1, &["a"])).unwrap();
        let mut api = lease(&mut enter(&lanes, "api", 2, &["b"])).unwrap();
        assert_eq!(web.holder(&places(&["shop"])), None);
        assert!(is_ready(pin!(web.claim(places(&["shop"])))));
        assert_eq!(api.holder(&places(&["shop"])), Some("web".parse().unwrap()));
        let mut waiting = Box::pin(api.claim(places(&["shop"])));
        assert!(!is_ready(waiting.as_mut()));
        drop(web);
        assert!(is_ready(waiting.as_mut()));
    }

    #[test]
    fn one_that_waits_for_its_place_lets_others_go_on() {
        let lanes = Lanes::new(2, 32);
        let mut web = lease(&mut enter(&lanes, "web", 1, &["a"])).unwrap();
        let mut api = lease(&mut enter(&lanes, "api", 2, &["b"])).unwrap();
        assert!(is_ready(pin!(web.claim(places(&["shop"])))));
        let mut waiting = Box::pin(api.claim(places(&["shop"])));
        assert!(!is_ready(waiting.as_mut()));
        let mut other = lease(&mut enter(&lanes, "other", 3, &["c"])).expect("a seat is free");
        assert!(is_ready(pin!(other.claim(places(&["elsewhere"])))));
        // The place is free now, and no seat.
        let third = lanes.reserve(&"third".parse().unwrap()).unwrap();
        let mut third =
            third.confirm(crate::model::DeploymentId::new(crate::model::Timestamp::from_millis(0)), 4, [].into());
        drop(web);
        assert!(is_ready(waiting.as_mut()), "it comes before those that have not begun");
        assert!(lease(&mut third).is_none());
        drop(other);
        assert!(lease(&mut third).is_some());
    }

    #[test]
    fn claims_are_granted_in_their_order_and_one_that_is_gone_holds_nobody_up() {
        let lanes = Lanes::new(4, 32);
        let mut held = lease(&mut enter(&lanes, "held", 1, &["i"])).unwrap();
        let mut first = lease(&mut enter(&lanes, "first", 2, &["i"])).unwrap();
        let mut second = lease(&mut enter(&lanes, "second", 3, &["i"])).unwrap();
        let mut third = lease(&mut enter(&lanes, "third", 4, &["i"])).unwrap();
        assert!(is_ready(pin!(held.claim(places(&["x"])))));
        let mut first_waits = Box::pin(first.claim(places(&["x", "y"])));
        let mut second_waits = Box::pin(second.claim(places(&["y"])));
        let mut third_waits = Box::pin(third.claim(places(&["z"])));
        assert!(!is_ready(first_waits.as_mut()));
        assert!(!is_ready(second_waits.as_mut()), "somebody who came before waits for y");
        assert!(is_ready(third_waits.as_mut()));
        drop(first_waits);
        drop(first);
        assert!(is_ready(second_waits.as_mut()));
    }

    #[test]
    fn another_claim_gives_the_first_one_back() {
        let lanes = Lanes::new(1, 32);
        let mut one = lease(&mut enter(&lanes, "one", 1, &["i"])).unwrap();
        let mut two = enter(&lanes, "two", 2, &["i"]);
        for place in ["x", "y"] {
            assert!(is_ready(pin!(one.claim(places(&[place])))));
        }
        assert_eq!((one.holder(&places(&["x"])), one.is_claimed()), (None, true));
        assert_eq!(one.holder(&places(&["y"])), Some("one".parse().unwrap()));
        assert!(lease(&mut two).is_none(), "the seat is taken again");
    }
}
