//! One deployment a project at a time, a bounded number over all projects, and the newest of those waiting wins.
//!
//! A [`Slot`] is taken before a deployment is written down, so that a full queue is refused and not stored. When it
//! is on disk the slot is confirmed, and the deployment waits for its [`Lease`], which proves whose turn it is.
//!
//! The races, and what becomes of them:
//! - Two deployments of one project are accepted at the same time. Their order is the store's, and a later one does
//!   not start while one with a slot taken earlier is still being written: so the older cannot come after the newer.
//! - A newer one is confirmed before an older one. The older finds itself superseded when it is confirmed.
//! - A waiting one is cancelled or superseded while its turn comes. Both happen under one lock: it gets a lease or an
//!   end, never both. A lease that nobody took any more is given back.
//!
//! A newer deployment supersedes a waiting one only when it moves all that the other would have moved: a hook for one
//! image never swallows a hook for another. The one that runs is never superseded.
//!
//! Two projects may move parts of one thing: `claim` is for that.

mod claim;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use claim::Claims;
use tokio::sync::oneshot;

use crate::model::{DeploymentId, ProjectName, Repository};

/// The queues of all projects.
#[derive(Debug, Clone)]
pub struct Lanes(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    /// Deployments that may still start, over all projects.
    free: usize,
    /// Deployments that may wait, in each project.
    longest_queue: usize,
    next_ticket: u64,
    lanes: HashMap<ProjectName, Lane>,
    claims: Claims<Grant>,
}

#[derive(Debug, Default)]
struct Lane {
    running: bool,
    pending: BTreeSet<u64>,
    /// By the store's order.
    waiting: BTreeMap<i64, Waiter>,
}

#[derive(Debug)]
struct Waiter {
    id: DeploymentId,
    /// What it would move; nothing for one that had begun already, and neither supersedes nor is superseded.
    moves: Option<BTreeSet<Repository>>,
    /// Slots taken before this ticket may still turn out to be older.
    horizon: u64,
    turn: oneshot::Sender<Turn>,
}

/// What became of a deployment's wait.
#[derive(Debug)]
pub enum Turn {
    /// It is its turn.
    Lease(Lease),
    /// A newer one makes it needless.
    Superseded {
        /// The newer one.
        by: DeploymentId,
    },
    /// It was cancelled by [`Lanes::cancel`].
    Cancelled,
}

/// The project's queue is full.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{waiting} deployments are waiting for {project} already")]
pub struct QueueFull {
    /// Whose queue.
    pub project: ProjectName,
    /// How many wait.
    pub waiting: usize,
}

/// A place in a project's queue for a deployment that is being written down. Given back when dropped.
#[derive(Debug)]
pub struct Slot {
    lanes: Lanes,
    project: ProjectName,
    ticket: u64,
}

/// The proof that nobody else is changing this project. The next one's turn comes when it is dropped.
#[derive(Debug)]
pub struct Lease {
    lanes: Lanes,
    project: ProjectName,
    deployment: DeploymentId,
    /// Given back before the seat: whoever waits for it comes before those that have not begun.
    claim: Option<Claim>,
    /// Nothing while it waits for a claim.
    seat: Option<Seat>,
}

/// Places that nobody else may change until this is dropped.
#[derive(Debug)]
struct Claim {
    lanes: Lanes,
    places: BTreeSet<String>,
}

/// One of those that may be carried out at once. Given back when dropped.
#[derive(Debug)]
struct Seat(Lanes);

/// A claim, and the seat with which to go on.
#[derive(Debug)]
struct Grant {
    claim: Claim,
    seat: Seat,
}

impl Lanes {
    /// Queues of at most `longest_queue` waiting a project, and `concurrency` running over all. Both at least 1.
    #[must_use]
    pub fn new(concurrency: usize, longest_queue: usize) -> Self {
        Self(Arc::new(Mutex::new(State {
            free: concurrency.max(1),
            longest_queue: longest_queue.max(1),
            next_ticket: 0,
            lanes: HashMap::new(),
            claims: Claims::default(),
        })))
    }

    /// Takes a place in the queue of `project`.
    ///
    /// # Errors
    /// [`QueueFull`] when as many wait as may.
    pub fn reserve(&self, project: &ProjectName) -> Result<Slot, QueueFull> {
        let mut state = self.lock();
        let longest = state.longest_queue;
        let ticket = state.next_ticket;
        let lane = state.lanes.entry(project.clone()).or_default();
        // Those that are being written are not counted: most of a crowd may be copies of one delivery.
        let waiting = lane.waiting.len();
        if waiting >= longest {
            return Err(QueueFull { project: project.clone(), waiting });
        }
        lane.pending.insert(ticket);
        state.next_ticket += 1;
        Ok(Slot { lanes: self.clone(), project: project.clone(), ticket })
    }

    /// Takes a place without asking whether there is one: for what was accepted before windlass was restarted.
    #[must_use]
    pub fn reserve_again(&self, project: &ProjectName) -> Slot {
        let mut state = self.lock();
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        state.lanes.entry(project.clone()).or_default().pending.insert(ticket);
        drop(state);
        Slot { lanes: self.clone(), project: project.clone(), ticket }
    }

    /// Ends the wait of a deployment, if it waits.
    pub fn cancel(&self, project: &ProjectName, id: &DeploymentId) -> bool {
        let mut state = self.lock();
        let Some(lane) = state.lanes.get_mut(project) else { return false };
        let Some(order) = lane.waiting.iter().find(|(_, waiter)| waiter.id == *id).map(|(order, _)| *order) else {
            return false;
        };
        let cancelled = lane.waiting.remove(&order).is_some_and(|waiter| waiter.turn.send(Turn::Cancelled).is_ok());
        state.tidy(project);
        cancelled
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics half-way through a change, so a poisoned lock guards a whole state.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets go on or start whatever may now.
    fn advance(&self) {
        let mut state = self.lock();
        while state.free > 0 {
            if let Some(claimant) = state.claims.next() {
                state.free -= 1;
                drop(state);
                let claim = Claim { lanes: self.clone(), places: claimant.places };
                // Takes the lock when the claimant is gone.
                drop(claimant.turn.send(Grant { claim, seat: Seat(self.clone()) }));
                state = self.lock();
                continue;
            }
            let Some((project, Waiter { id: deployment, turn, .. })) = state.start_one() else { return };
            state.free -= 1;
            let seat = Some(Seat(self.clone()));
            let lease = Lease { lanes: self.clone(), project, deployment, claim: None, seat };
            // Dropping a lease takes the lock, so a lease that nobody waits for any more is dropped without it.
            drop(state);
            drop(turn.send(Turn::Lease(lease)));
            state = self.lock();
        }
    }
}

impl State {
    /// Picks the oldest deployment whose turn it is, over all projects.
    fn start_one(&mut self) -> Option<(ProjectName, Waiter)> {
        let ready = |lane: &Lane| {
            let (order, waiter) = lane.waiting.first_key_value()?;
            let settled = lane.pending.first().is_none_or(|ticket| *ticket >= waiter.horizon);
            (!lane.running && settled).then_some(*order)
        };
        let project = self
            .lanes
            .iter()
            .filter_map(|(name, lane)| Some((ready(lane)?, name)))
            .min()
            .map(|(_, name)| name.clone())?;
        let lane = self.lanes.get_mut(&project)?;
        let (_, waiter) = lane.waiting.pop_first()?;
        lane.running = true;
        Some((project, waiter))
    }

    fn tidy(&mut self, project: &ProjectName) {
        let idle = |lane: &Lane| !lane.running && lane.pending.is_empty() && lane.waiting.is_empty();
        if self.lanes.get(project).is_some_and(idle) {
            self.lanes.remove(project);
        }
    }
}

impl Slot {
    /// The deployment is on disk: `order` is its place in the store, `moves` what it would move. The receiver gives
    /// its [`Turn`].
    #[must_use]
    pub fn confirm(self, id: DeploymentId, order: i64, moves: BTreeSet<Repository>) -> oneshot::Receiver<Turn> {
        self.enter(id, order, Some(moves))
    }

    /// The deployment had begun before windlass was restarted: it must come to its end, whatever else waits.
    #[must_use]
    pub fn take_up_again(self, id: DeploymentId, order: i64) -> oneshot::Receiver<Turn> {
        self.enter(id, order, None)
    }

    fn enter(self, id: DeploymentId, order: i64, moves: Option<BTreeSet<Repository>>) -> oneshot::Receiver<Turn> {
        let (turn, receiver) = oneshot::channel();
        let mut state = self.lanes.lock();
        let horizon = state.next_ticket;
        let lane = state.lanes.entry(self.project.clone()).or_default();
        lane.pending.remove(&self.ticket);

        let newer = lane.waiting.range(order..).find(|(_, newer)| makes_needless(newer.moves.as_ref(), moves.as_ref()));
        if let Some(by) = newer.map(|(_, waiter)| waiter.id.clone()) {
            let _ = turn.send(Turn::Superseded { by });
        } else {
            let covered =
                lane.waiting.range(..order).filter(|(_, older)| makes_needless(moves.as_ref(), older.moves.as_ref()));
            let needless: Vec<i64> = covered.map(|(order, _)| *order).collect();
            for older in needless {
                if let Some(waiter) = lane.waiting.remove(&older) {
                    let _ = waiter.turn.send(Turn::Superseded { by: id.clone() });
                }
            }
            lane.waiting.insert(order, Waiter { id, moves, horizon, turn });
        }
        drop(state);
        // Dropping the slot starts what may start.
        receiver
    }
}

/// Whether the newer one moves all that the older one would have moved.
fn makes_needless(newer: Option<&BTreeSet<Repository>>, older: Option<&BTreeSet<Repository>>) -> bool {
    matches!((newer, older), (Some(newer), Some(older)) if newer.is_superset(older))
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.lanes.lock();
        if let Some(lane) = state.lanes.get_mut(&self.project) {
            lane.pending.remove(&self.ticket);
        }
        state.tidy(&self.project);
        drop(state);
        self.lanes.advance();
    }
}

impl Lease {
    /// Whose turn it is.
    #[must_use]
    pub fn project(&self) -> &ProjectName {
        &self.project
    }

    /// Whose turn it is, of the project's deployments.
    #[must_use]
    pub fn deployment(&self) -> &DeploymentId {
        &self.deployment
    }

    /// Whether places were claimed with it.
    #[must_use]
    pub const fn is_claimed(&self) -> bool {
        self.claim.is_some()
    }

    /// Who is changing one of `places` just now.
    #[must_use]
    pub fn holder(&self, places: &BTreeSet<String>) -> Option<ProjectName> {
        self.lanes.lock().claims.holder(places).cloned()
    }

    /// Waits until nobody else changes one of `places`, and holds them until another claim is made or the lease ends.
    pub async fn claim(&mut self, places: BTreeSet<String>) {
        self.claim = None;
        let granted = self.lanes.lock().claims.enter(self.project.clone(), places);
        // With the seat given back, whoever may go on does: this one at once, when nobody is in its way.
        self.seat = None;
        if let Ok(Grant { claim, seat }) = granted.await {
            self.claim = Some(claim);
            self.seat = Some(seat);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut state = self.lanes.lock();
        if let Some(lane) = state.lanes.get_mut(&self.project) {
            lane.running = false;
        }
        state.tidy(&self.project);
        drop(state);
        self.lanes.advance();
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.lanes.lock().claims.release(&self.places);
        self.lanes.advance();
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.lock().free += 1;
        self.0.advance();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    fn id() -> DeploymentId {
        DeploymentId::new(Timestamp::from_millis(0))
    }

    fn moves(names: &[&str]) -> BTreeSet<Repository> {
        names.iter().map(|name| format!("r.io/{name}").parse().unwrap()).collect()
    }

    pub(super) fn enter(lanes: &Lanes, project: &str, order: i64, names: &[&str]) -> oneshot::Receiver<Turn> {
        lanes.reserve(&project.parse().unwrap()).unwrap().confirm(id(), order, moves(names))
    }

    pub(super) fn lease(turn: &mut oneshot::Receiver<Turn>) -> Option<Lease> {
        match turn.try_recv() {
            Ok(Turn::Lease(lease)) => Some(lease),
            _ => None,
        }
    }

    #[test]
    fn the_newest_waiting_one_wins_and_the_running_one_is_left_alone() {
        let lanes = Lanes::new(2, 32);
        let running = lease(&mut enter(&lanes, "shop", 1, &["api"])).unwrap();
        let mut second = enter(&lanes, "shop", 2, &["api"]);
        let mut third = enter(&lanes, "shop", 3, &["api"]);
        assert!(matches!(second.try_recv(), Ok(Turn::Superseded { .. })));
        assert!(third.try_recv().is_err());
        drop(running);
        assert!(lease(&mut third).is_some());
    }

    #[test]
    fn a_hook_for_one_image_does_not_swallow_a_hook_for_another() {
        let lanes = Lanes::new(1, 32);
        let running = lease(&mut enter(&lanes, "shop", 1, &["api"])).unwrap();
        let mut api = enter(&lanes, "shop", 2, &["api"]);
        let mut both = enter(&lanes, "shop", 3, &["api", "web"]);
        let mut web = enter(&lanes, "shop", 4, &["web"]);
        assert!(matches!(api.try_recv(), Ok(Turn::Superseded { .. })));
        drop(running);
        let both = lease(&mut both).unwrap();
        assert!(web.try_recv().is_err());
        drop(both);
        assert!(lease(&mut web).is_some());
    }

    #[test]
    fn one_that_had_begun_before_a_restart_is_not_superseded() {
        let lanes = Lanes::new(1, 32);
        let project: ProjectName = "shop".parse().unwrap();
        let elsewhere = lease(&mut enter(&lanes, "other", 1, &["a"])).unwrap();
        let mut begun = lanes.reserve_again(&project).take_up_again(id(), 2);
        let mut newer = enter(&lanes, "shop", 3, &["a"]);
        drop(elsewhere);
        let first = lease(&mut begun).unwrap();
        assert!(newer.try_recv().is_err());
        drop(first);
        assert!(lease(&mut newer).is_some());
    }

    #[test]
    fn an_older_one_never_starts_after_a_newer_one() {
        let lanes = Lanes::new(2, 32);
        let older = lanes.reserve(&"shop".parse().unwrap()).unwrap();
        let mut newer = enter(&lanes, "shop", 2, &["web"]);
        assert!(newer.try_recv().is_err(), "the older one is still being written down");
        let mut older = older.confirm(id(), 1, moves(&["api", "web"]));
        let first = lease(&mut older).unwrap();
        assert!(newer.try_recv().is_err());
        drop(first);
        assert!(lease(&mut newer).is_some());

        let late = lanes.reserve(&"shop".parse().unwrap()).unwrap();
        let _newest = enter(&lanes, "shop", 9, &["web"]);
        let mut late = late.confirm(id(), 8, moves(&["web"]));
        assert!(matches!(late.try_recv(), Ok(Turn::Superseded { .. })));
    }

    #[test]
    fn projects_do_not_wait_for_each_other_up_to_the_concurrency() {
        let lanes = Lanes::new(2, 32);
        let one = lease(&mut enter(&lanes, "one", 1, &["a"])).unwrap();
        let _two = lease(&mut enter(&lanes, "two", 2, &["a"])).unwrap();
        let mut three = enter(&lanes, "three", 3, &["a"]);
        assert!(three.try_recv().is_err());
        drop(one);
        assert!(lease(&mut three).is_some());
    }

    #[test]
    fn a_full_queue_is_refused_until_there_is_room() {
        let lanes = Lanes::new(1, 2);
        let project: ProjectName = "shop".parse().unwrap();
        let running = lease(&mut enter(&lanes, "shop", 1, &["a"])).unwrap();
        let mut second = enter(&lanes, "shop", 2, &["b"]);
        let _third = enter(&lanes, "shop", 3, &["c"]);
        assert_eq!(lanes.reserve(&project).unwrap_err().waiting, 2);
        drop(running);
        assert!(lanes.reserve(&project).is_ok());
        assert!(lease(&mut second).is_some());
    }

    #[test]
    fn copies_of_one_delivery_do_not_fill_the_queue() {
        let lanes = Lanes::new(1, 2);
        let project: ProjectName = "shop".parse().unwrap();
        let copies: Vec<Slot> = (0..50).map(|_| lanes.reserve(&project).unwrap()).collect();
        drop(copies);
        assert!(lease(&mut enter(&lanes, "shop", 1, &["a"])).is_some());
    }

    #[test]
    fn a_lease_that_nobody_took_is_given_back() {
        let lanes = Lanes::new(1, 32);
        let running = lease(&mut enter(&lanes, "one", 1, &["a"])).unwrap();
        drop(enter(&lanes, "two", 2, &["a"]));
        let mut three = enter(&lanes, "three", 3, &["a"]);
        drop(running);
        assert!(lease(&mut three).is_some());
    }

    #[test]
    fn a_cancelled_one_gets_no_lease() {
        let lanes = Lanes::new(1, 32);
        let running = lease(&mut enter(&lanes, "shop", 1, &["a"])).unwrap();
        let project = "shop".parse().unwrap();
        let waiting = id();
        let mut turn = lanes.reserve(&project).unwrap().confirm(waiting.clone(), 2, moves(&["a"]));
        assert!(lanes.cancel(&project, &waiting));
        assert!(!lanes.cancel(&project, &waiting));
        drop(running);
        assert!(matches!(turn.try_recv(), Ok(Turn::Cancelled)));
        assert!(lanes.0.lock().unwrap().lanes.is_empty(), "an idle lane is forgotten");
    }
}
