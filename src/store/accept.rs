//! Accepting a request: the delivery, the deployment and its first event are written together or not at all.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::deployments::{Deployment, numbered};
use super::freezes::frozen;
use super::{Store, StoreError, format, rows};
use crate::deploy::event::Event;
use crate::deploy::gate::{self, Closed, Facts, Gate, Passage};
use crate::deploy::request::{DeployRequest, Repetition};
use crate::deploy::status::Status;
use crate::model::{Clock, DeploymentId, ProjectName, Timestamp};

/// How long delivery ids are kept: 30 days are promised, and clocks are set now and then.
const KEPT: Duration = Duration::from_secs(35 * 24 * 60 * 60);

/// Old delivery ids are forgotten at each deployment whose number is a multiple of this, as many as twice its number
/// at a time: so they never pile up, and nobody ever waits for a long clearing.
const FORGET_EVERY: i64 = 64;

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acceptance {
    /// It is a new deployment, and on disk.
    New(Deployment),
    /// It was made before, and this is its deployment.
    Joined(Deployment),
    /// The delivery was made before with another body; this is that one's deployment.
    Conflict(DeploymentId),
    /// The same was sent before, and something newer was accepted since. What was sent may have been refused, or its
    /// deployment forgotten: then there is none.
    Replayed(Option<DeploymentId>),
    /// The same was sent before, and asked for nothing to be deployed.
    UsedUp,
    /// The project's gate is closed for it.
    Refused(Closed),
}

impl Store {
    /// Takes a request down, unless something is against it. A known delivery is known first of all, whatever else has
    /// changed since; then the gate decides.
    ///
    /// # Errors
    /// When it cannot be written. A caller who is told so may try again with the same delivery.
    pub async fn accept(&self, request: DeployRequest) -> Result<Acceptance, StoreError> {
        let clock = self.0.clock.clone();
        self.0.writer.write(move |connection| accept(connection, &clock, request)).await
    }

    /// Takes note of a delivery that was refused. It may be sent again until something newer of its project is accepted.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn refuse(&self, project: &ProjectName, repetition: Repetition) -> Result<(), StoreError> {
        self.note(project, repetition, refused).await
    }

    /// Takes note of a delivery that asked for nothing to be deployed. Sent again, it deploys nothing either.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn use_up(&self, project: &ProjectName, repetition: Repetition) -> Result<(), StoreError> {
        self.note(project, repetition, used_up).await
    }

    async fn note(
        &self,
        project: &ProjectName,
        repetition: Repetition,
        note: fn(&Connection, &ProjectName, &Key<'_>, Timestamp) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        if repetition == Repetition::Never {
            return Ok(());
        }
        let (project, clock) = (project.clone(), self.0.clock.clone());
        let write = move |connection: &Connection| match Key::of(&repetition) {
            Some(key) => note(connection, &project, &key, clock.now()),
            None => Ok(()),
        };
        self.0.writer.write(write).await
    }

    /// What the gate has to know of `project` now.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn facts(&self, project: &ProjectName) -> Result<Facts, StoreError> {
        let (project, now) = (project.clone(), self.0.clock.now());
        self.0.reader.read(move |connection| facts(connection, &project, now)).await
    }

    /// What a request leads to that repeats a known delivery; nothing when it is a new one. Writes nothing.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn known(
        &self,
        project: &ProjectName,
        repetition: &Repetition,
    ) -> Result<Option<Acceptance>, StoreError> {
        let (project, repetition) = (project.clone(), repetition.clone());
        let find = move |connection: &Connection| match Key::of(&repetition) {
            Some(key) => recall(connection, &project, &key),
            None => Ok(None),
        };
        self.0.reader.read(find).await
    }
}

fn accept(connection: &Connection, clock: &Clock, request: DeployRequest) -> Result<Acceptance, StoreError> {
    let now = clock.now();
    let key = Key::of(&request.repetition);
    if let Some(key) = &key
        && let Some(known) = recall(connection, &request.project, key)?
    {
        return Ok(known);
    }
    let facts = facts(connection, &request.project, now)?;
    // What has to wait does so when its turn has come.
    if let Gate::Refuse(closed) = gate::decide(Passage::of_request(&request), Some(&facts)) {
        if let Some(key) = &key {
            refused(connection, &request.project, key, now)?;
        }
        return Ok(Acceptance::Refused(closed));
    }
    if let Some(sequence) = request.sequence.filter(|sequence| facts.newest_sequence != Some(*sequence)) {
        take_sequence(connection, &request.project, sequence)?;
    }
    let deployment = create(connection, now, &request)?;
    if let Some(freeze) = facts.freeze {
        let text = format!("the project is {freeze}; an operator's rollback passes the freeze");
        rows::insert(connection, deployment.order, now, &format::event(&Event::Noted { text })?)?;
    }
    if let Some(key) = &key {
        remember(connection, &deployment, key)?;
    }
    if deployment.order % FORGET_EVERY == 0 {
        forget(connection, now)?;
    }
    Ok(Acceptance::New(deployment))
}

/// What the gate has to know of `project` at `now`.
fn facts(connection: &Connection, project: &ProjectName, now: Timestamp) -> Result<Facts, StoreError> {
    let freeze = frozen(connection, project, now)?;
    Ok(Facts { freeze, newest_sequence: newest_sequence(connection, project)? })
}

/// What a delivery is known by.
struct Key<'a> {
    sender: &'a str,
    kind: &'static str,
    key: &'a str,
    /// What has to be the same as well.
    body: &'a str,
}

impl<'a> Key<'a> {
    fn of(repetition: &'a Repetition) -> Option<Self> {
        match repetition {
            Repetition::Never => None,
            Repetition::Id { key: sender, id, body } => {
                Some(Self { sender: sender.as_str(), kind: "id", key: id.as_str(), body: body.as_str() })
            }
            Repetition::Body { key: sender, body } => {
                Some(Self { sender: sender.as_str(), kind: "body", key: body.as_str(), body: "" })
            }
        }
    }
}

/// What a delivery that was made before leads to now. One that was refused, and that nothing newer followed, is as good
/// as one that was never made.
fn recall(connection: &Connection, project: &ProjectName, key: &Key<'_>) -> Result<Option<Acceptance>, StoreError> {
    // Of those that were made before windlass wrote it down, it is not known whose they are.
    const KNOWN: &str = "SELECT deployment, newest, body FROM deliveries
        WHERE project = ? AND kind = ? AND key = ? AND sender IN (?, '')";
    let mut statement = connection.prepare_cached(KNOWN)?;
    let known = statement.query_row(params![project.as_str(), key.kind, key.key, key.sender], |row| {
        let same_body = row.get_ref(2)?.as_str()? == key.body;
        Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<i64>>(1)?, same_body))
    });
    Ok(match known.optional()? {
        None => None,
        Some((None, None, _)) => Some(Acceptance::UsedUp),
        Some((None, Some(at_that_time), _)) => {
            (newest(connection, project)? > at_that_time).then_some(Acceptance::Replayed(None))
        }
        Some((Some(order), _, same_body)) => Some(match numbered(connection, order)? {
            None => Acceptance::Replayed(None),
            Some(deployment) if !same_body => Acceptance::Conflict(deployment.id),
            Some(deployment) if key.kind == "body" && order != newest(connection, project)? => {
                Acceptance::Replayed(Some(deployment.id))
            }
            Some(deployment) => Acceptance::Joined(deployment),
        }),
    })
}

/// The number of the project's newest deployment; 0 before there is one.
fn newest(connection: &Connection, project: &ProjectName) -> Result<i64, StoreError> {
    const SQL: &str = "SELECT coalesce(max(number), 0) FROM deployments WHERE project = ?";
    Ok(connection.prepare_cached(SQL)?.query_row([project.as_str()], |row| row.get(0))?)
}

/// Of one that is known already nothing changes.
fn refused(connection: &Connection, project: &ProjectName, key: &Key<'_>, now: Timestamp) -> Result<(), StoreError> {
    const SQL: &str = "INSERT OR IGNORE INTO deliveries (project, sender, kind, key, body, newest, at)
        VALUES (?, ?, ?, ?, ?, ?, ?)";
    let newest = newest(connection, project)?;
    let Key { sender, kind, key, body } = key;
    connection.prepare_cached(SQL)?.execute(params![
        project.as_str(),
        sender,
        kind,
        key,
        body,
        newest,
        now.as_millis()
    ])?;
    Ok(())
}

/// Of one that has a deployment nothing changes.
fn used_up(connection: &Connection, project: &ProjectName, key: &Key<'_>, now: Timestamp) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO deliveries (project, sender, kind, key, body, at) VALUES (?, ?, ?, ?, ?, ?)
        ON CONFLICT DO UPDATE SET newest = NULL";
    let Key { sender, kind, key, body } = key;
    connection.prepare_cached(SQL)?.execute(params![project.as_str(), sender, kind, key, body, now.as_millis()])?;
    Ok(())
}

/// The newest sequence number of the project. SQLite's integers are signed; the larger half of ours is negative there.
fn newest_sequence(connection: &Connection, project: &ProjectName) -> Result<Option<u64>, StoreError> {
    const SQL: &str = "SELECT newest FROM sequences WHERE project = ?";
    let mut statement = connection.prepare_cached(SQL)?;
    Ok(statement.query_row([project.as_str()], |row| row.get(0)).optional()?.map(i64::cast_unsigned))
}

fn take_sequence(connection: &Connection, project: &ProjectName, sequence: u64) -> Result<(), StoreError> {
    const SQL: &str = "INSERT OR REPLACE INTO sequences (project, newest) VALUES (?, ?)";
    connection.prepare_cached(SQL)?.execute(params![project.as_str(), sequence.cast_signed()])?;
    Ok(())
}

fn create(connection: &Connection, now: Timestamp, request: &DeployRequest) -> Result<Deployment, StoreError> {
    const SQL: &str = "INSERT INTO deployments (id, project, state, status, created_at) VALUES (?, ?, ?, ?, ?)";
    let event = Event::Queued {
        wanted: request.wanted.clone(),
        requested_by: request.requested_by.clone(),
        rollback: request.rollback.clone(),
    };
    let status = Status::begin(&event)?;
    let id = DeploymentId::new(now);
    let order = connection.prepare_cached(SQL)?.insert(params![
        id.as_str(),
        request.project.as_str(),
        status.state.as_str(),
        format::status(&status)?,
        now.as_millis(),
    ])?;
    rows::insert(connection, order, now, &format::event(&event)?)?;
    let project = request.project.clone();
    Ok(Deployment { id, order, project, status, created_at: now, started_at: None, finished_at: None })
}

fn remember(connection: &Connection, deployment: &Deployment, key: &Key<'_>) -> Result<(), StoreError> {
    // It may have been refused before, and with another body.
    const SQL: &str = "INSERT OR REPLACE INTO deliveries (project, sender, kind, key, body, deployment, at)
        VALUES (?, ?, ?, ?, ?, ?, ?)";
    let Key { sender, kind, key, body } = key;
    connection.prepare_cached(SQL)?.execute(params![
        deployment.project.as_str(),
        sender,
        kind,
        key,
        body,
        deployment.order,
        deployment.created_at.as_millis(),
    ])?;
    Ok(())
}

/// Forgets some of the delivery ids that are too old, the oldest first.
fn forget(connection: &Connection, now: Timestamp) -> Result<(), StoreError> {
    const SQL: &str = "DELETE FROM deliveries WHERE (project, kind, key, sender) IN (
            SELECT project, kind, key, sender FROM deliveries WHERE kind = 'id' AND at < ? ORDER BY at LIMIT ?)";
    let kept = i64::try_from(KEPT.as_millis()).unwrap_or(i64::MAX);
    let oldest = now.as_millis().saturating_sub(kept);
    connection.prepare_cached(SQL)?.execute(params![oldest, FORGET_EVERY * 2])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::super::tests::{DAY, TestStore, delivery, delivery_of, request};
    use super::*;
    use crate::deploy::event::RequestedBy;
    use crate::deploy::gate::Freeze;
    use crate::model::Digest;

    fn body(text: &str) -> Repetition {
        Repetition::Body { key: "ci".parse().unwrap(), body: Digest::of(text.as_bytes()) }
    }

    fn sequenced(project: &str, sequence: u64) -> DeployRequest {
        DeployRequest { sequence: Some(sequence), ..request(project, Repetition::Never) }
    }

    fn frozen_by_ann(until: Option<Timestamp>) -> Freeze {
        Freeze { reason: Some("audit".to_owned()), by: "ann".to_owned(), since: Timestamp::from_millis(0), until }
    }

    #[track_caller]
    fn new(acceptance: Acceptance) -> Deployment {
        let Acceptance::New(deployment) = acceptance else { panic!("{acceptance:?}") };
        deployment
    }

    #[tokio::test]
    async fn the_same_delivery_joins_its_deployment_and_another_body_is_a_conflict() {
        let fixture = TestStore::new();
        let first = new(fixture.accept(request("shop", delivery("a", "x"))).await);
        assert_eq!(fixture.accept(request("shop", delivery("a", "x"))).await, Acceptance::Joined(first.clone()));
        assert_eq!(fixture.accept(request("shop", delivery("a", "y"))).await, Acceptance::Conflict(first.id.clone()));
        let elsewhere = new(fixture.accept(request("site", delivery("a", "x"))).await);
        assert_ne!(elsewhere.id, first.id, "delivery ids are a project's own");
        new(fixture.accept(request("shop", delivery("b", "x"))).await);
        assert_eq!(
            fixture.accept(request("shop", delivery("a", "x"))).await,
            Acceptance::Joined(first),
            "newest or not"
        );
    }

    #[tokio::test]
    async fn a_body_joins_while_its_deployment_is_the_newest_and_is_a_replay_afterwards() {
        let fixture = TestStore::new();
        let first = new(fixture.accept(request("shop", body("x"))).await);
        fixture.new_one("site").await;
        assert_eq!(fixture.accept(request("shop", body("x"))).await, Acceptance::Joined(first.clone()));
        fixture.new_one("shop").await;
        assert_eq!(fixture.accept(request("shop", body("x"))).await, Acceptance::Replayed(Some(first.id)));
    }

    #[tokio::test]
    async fn a_delivery_id_is_its_keys_own() {
        let fixture = TestStore::new();
        let narrow = new(fixture.accept(request("shop", delivery_of("narrow", "run-1", "x"))).await);
        let ci = new(fixture.accept(request("shop", delivery_of("ci", "run-1", "y"))).await);
        for (key, body, its) in [("narrow", "x", narrow), ("ci", "y", ci)] {
            assert_eq!(fixture.accept(request("shop", delivery_of(key, "run-1", body))).await, Acceptance::Joined(its));
        }
    }

    #[tokio::test]
    async fn what_was_refused_may_come_again_until_something_newer_is_accepted_and_is_a_replay_afterwards() {
        let project = "shop".parse().unwrap();
        for repetition in [delivery("a", "x"), body("x")] {
            let fixture = TestStore::new();
            fixture.new_one("shop").await;
            fixture.store.freeze(&project, frozen_by_ann(None)).await.unwrap();
            for _ in 0..2 {
                let refused = fixture.accept(request("shop", repetition.clone())).await;
                assert!(matches!(refused, Acceptance::Refused(Closed::Frozen(_))), "{refused:?}");
            }
            fixture.store.unfreeze(&project, "ann").await.unwrap();
            fixture.new_one("site").await;
            assert_eq!(fixture.store.known(&project, &repetition).await.unwrap(), None, "of another project");
            fixture.new_one("shop").await;
            assert_eq!(fixture.accept(request("shop", repetition.clone())).await, Acceptance::Replayed(None));
            assert_eq!(fixture.store.known(&project, &repetition).await.unwrap(), Some(Acceptance::Replayed(None)));
            let fixture = fixture.reopen();
            assert_eq!(fixture.accept(request("shop", repetition)).await, Acceptance::Replayed(None));
        }
    }

    #[tokio::test]
    async fn what_was_refused_and_comes_again_in_time_is_a_deployment_like_any_other() {
        let project = "shop".parse().unwrap();
        for repetition in [delivery("a", "x"), body("x")] {
            let fixture = TestStore::new();
            fixture.store.refuse(&project, repetition.clone()).await.unwrap();
            let deployment = new(fixture.accept(request("shop", repetition.clone())).await);
            fixture.store.refuse(&project, repetition.clone()).await.unwrap();
            assert_eq!(fixture.accept(request("shop", repetition)).await, Acceptance::Joined(deployment));
        }
    }

    #[tokio::test]
    async fn a_stale_body_is_a_replay_once_something_newer_was_accepted() {
        let fixture = TestStore::new();
        new(fixture.accept(sequenced("shop", 7)).await);
        let stale = DeployRequest { sequence: Some(3), ..request("shop", body("x")) };
        assert_eq!(fixture.accept(stale.clone()).await, Acceptance::Refused(Closed::Stale { newest: 7 }));
        assert_eq!(fixture.accept(stale.clone()).await, Acceptance::Refused(Closed::Stale { newest: 7 }));
        fixture.new_one("shop").await;
        assert_eq!(fixture.accept(stale).await, Acceptance::Replayed(None));
    }

    #[tokio::test]
    async fn what_asked_for_no_deployment_deploys_nothing_when_it_comes_again_and_another_one_does() {
        let project = "shop".parse().unwrap();
        for (repetition, other) in [(delivery("a", "x"), delivery("b", "x")), (body("x"), body("y"))] {
            let fixture = TestStore::new();
            fixture.store.refuse(&project, repetition.clone()).await.unwrap();
            for _ in 0..2 {
                fixture.store.use_up(&project, repetition.clone()).await.unwrap();
                assert_eq!(fixture.accept(request("shop", repetition.clone())).await, Acceptance::UsedUp);
            }
            let deployment = new(fixture.accept(request("shop", other.clone())).await);
            // A plan of what was deployed changes nothing about it.
            fixture.store.use_up(&project, other.clone()).await.unwrap();
            assert_eq!(fixture.accept(request("shop", other)).await, Acceptance::Joined(deployment));
        }
    }

    #[tokio::test]
    async fn a_known_delivery_can_be_asked_for_without_writing() {
        let fixture = TestStore::new();
        let project = "shop".parse().unwrap();
        let a = delivery("a", "x");
        assert_eq!(fixture.store.known(&project, &a).await.unwrap(), None);
        let first = new(fixture.accept(request("shop", a.clone())).await);
        assert_eq!(fixture.store.known(&project, &a).await.unwrap(), Some(Acceptance::Joined(first)));
        assert_eq!(fixture.store.known(&project, &Repetition::Never).await.unwrap(), None);
        assert_eq!(*fixture.store.newest_row().borrow(), 1);
    }

    #[tokio::test]
    async fn an_id_that_reads_like_a_body_is_not_taken_for_one() {
        let fixture = TestStore::new();
        let digest = Digest::of(b"x");
        let by_body = new(fixture
            .accept(request("shop", Repetition::Body { key: "ci".parse().unwrap(), body: digest.clone() }))
            .await);
        let by_id = new(fixture.accept(request("shop", delivery(digest.as_str(), "x"))).await);
        assert_ne!(by_body.id, by_id.id);
    }

    #[tokio::test]
    async fn only_a_lower_sequence_of_the_same_project_is_stale() {
        let fixture = TestStore::new();
        for (project, sequence, stale) in [
            ("shop", 7, None),
            ("shop", 6, Some(7)),
            ("shop", 7, None),
            ("site", 1, None),
            ("shop", u64::MAX, None),
            ("shop", i64::MAX.cast_unsigned() + 1, Some(u64::MAX)),
            ("shop", u64::MAX, None),
            ("shop", 8, Some(u64::MAX)),
        ] {
            let newest = match fixture.accept(sequenced(project, sequence)).await {
                Acceptance::New(_) => None,
                Acceptance::Refused(Closed::Stale { newest }) => Some(newest),
                other => panic!("{other:?}"),
            };
            assert_eq!(newest, stale, "{project} {sequence}");
        }
        fixture.new_one("shop").await;
    }

    #[tokio::test]
    async fn an_operators_sequence_counts_though_it_is_lower() {
        let fixture = TestStore::new();
        new(fixture.accept(sequenced("shop", u64::MAX)).await);
        let operator = DeployRequest { requested_by: RequestedBy::default(), ..sequenced("shop", 5) };
        new(fixture.accept(operator).await);
        assert_eq!(fixture.accept(sequenced("shop", 4)).await, Acceptance::Refused(Closed::Stale { newest: 5 }));
        new(fixture.accept(sequenced("shop", 6)).await);
    }

    #[tokio::test]
    async fn a_frozen_project_takes_nothing_new_and_still_knows_its_deliveries() {
        let fixture = TestStore::new();
        let known = DeployRequest { sequence: Some(1), ..request("shop", delivery("a", "x")) };
        let first = new(fixture.accept(known.clone()).await);
        new(fixture.accept(sequenced("shop", 5)).await);
        let freeze = frozen_by_ann(None);
        fixture.store.freeze(&"shop".parse().unwrap(), freeze.clone()).await.unwrap();
        assert_eq!(fixture.accept(known).await, Acceptance::Joined(first), "though frozen, and stale by now");
        assert_eq!(
            fixture.accept(sequenced("shop", 1)).await,
            Acceptance::Refused(Closed::Frozen(freeze.clone())),
            "before stale"
        );
        assert_eq!(fixture.accept(sequenced("shop", 9)).await, Acceptance::Refused(Closed::Frozen(freeze)));
        fixture.new_one("site").await;
        assert!(fixture.store.unfreeze(&"shop".parse().unwrap(), "ann").await.unwrap());
        new(fixture.accept(sequenced("shop", 6)).await);
    }

    #[tokio::test]
    async fn a_freeze_ends_by_itself() {
        let fixture = TestStore::new();
        let project = "shop".parse().unwrap();
        let until = fixture.store.0.clock.now().plus(Duration::from_secs(60));
        fixture.store.freeze(&project, frozen_by_ann(Some(until))).await.unwrap();
        fixture.pass(59_999);
        assert!(matches!(
            fixture.accept(request("shop", Repetition::Never)).await,
            Acceptance::Refused(Closed::Frozen(_))
        ));
        fixture.pass(1);
        fixture.new_one("shop").await;
    }

    #[tokio::test]
    async fn what_is_refused_leaves_nothing_behind() {
        let fixture = TestStore::new();
        new(fixture.accept(sequenced("shop", 7)).await);
        let stale = DeployRequest { sequence: Some(3), ..request("shop", delivery("a", "x")) };
        assert_eq!(fixture.accept(stale).await, Acceptance::Refused(Closed::Stale { newest: 7 }));
        let again = DeployRequest { sequence: Some(7), ..request("shop", delivery("a", "other")) };
        new(fixture.accept(again).await);
        assert_eq!(*fixture.store.newest_row().borrow(), 2);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn fifty_at_once_of_one_delivery_make_one_deployment() {
        let fixture = TestStore::new();
        let all = join_all((0..50).map(|_| fixture.store.accept(request("shop", delivery("a", "x"))))).await;
        let (mut made, mut joined) = (Vec::new(), Vec::new());
        for acceptance in all {
            match acceptance.unwrap() {
                Acceptance::New(deployment) => made.push(deployment),
                Acceptance::Joined(deployment) => joined.push(deployment),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((made.len(), joined.len()), (1, 49));
        assert!(joined.iter().all(|deployment| *deployment == made[0]));
        assert_eq!(*fixture.store.newest_row().borrow(), 1);
    }

    #[tokio::test]
    async fn delivery_ids_are_kept_for_thirty_days_and_bodies_for_ever() {
        let fixture = TestStore::new();
        let first = new(fixture.accept(request("shop", delivery("a", "x"))).await);
        let signed = new(fixture.accept(request("site", body("x"))).await);
        fixture.pass(30 * DAY);
        for _ in 0..FORGET_EVERY {
            fixture.new_one("other").await;
        }
        assert_eq!(fixture.accept(request("shop", delivery("a", "x"))).await, Acceptance::Joined(first));
        fixture.pass(6 * DAY);
        for _ in 0..FORGET_EVERY {
            fixture.new_one("other").await;
        }
        new(fixture.accept(request("shop", delivery("a", "x"))).await);
        assert_eq!(fixture.accept(request("site", body("x"))).await, Acceptance::Joined(signed));
    }

    #[tokio::test]
    async fn a_clock_that_goes_backwards_does_not_change_the_order() {
        let fixture = TestStore::new();
        let early = fixture.new_one("shop").await;
        fixture.pass(-DAY);
        let late = fixture.new_one("shop").await;
        assert!(late.created_at < early.created_at && late.order > early.order);
        assert_eq!(fixture.store.newest(&late.project).await.unwrap(), Some(late));
    }
}
