//! Forgets old deployments and their journals: a little at a time, and while nobody waits for the writer.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::column::Time;
use super::error::StoreError;
use super::rows;
use crate::model::{Clock, Timestamp};

/// How much of each project is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// So many deployments, the newest ones; no fewer than [`WAY_BACK`].
    pub deployments: usize,
    /// And none that was accepted longer ago.
    pub age: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Self { deployments: 1000, age: Duration::from_secs(90 * 24 * 60 * 60) }
    }
}

/// So many of a project's newest deployments, and so many of those that succeeded, stay however old they are: among them is
/// every release that a rollback can go to, and every image that is kept for it.
pub const WAY_BACK: usize = 100;

/// Journal rows that are deleted in one go: a hook that comes meanwhile waits as long as for another hook's commit.
const PORTION: usize = 256;
/// Deployments that are looked for in one go.
const SOME: usize = 32;

/// What is still to be looked through.
pub(super) struct Upkeep {
    retention: Retention,
    clock: Clock,
    /// All deployments up to this one have been seen; nothing before the first look.
    seen: Option<i64>,
    /// Projects that may have too much.
    due: Vec<String>,
}

impl Upkeep {
    pub(super) fn new(retention: Retention, clock: Clock) -> Self {
        let deployments = retention.deployments.max(WAY_BACK);
        Self { retention: Retention { deployments, ..retention }, clock, seen: None, due: Vec::new() }
    }

    /// Forgets a little. Whether there may be more to forget.
    pub(super) fn go_on(&mut self, connection: &Connection) -> bool {
        self.forget_some(connection).unwrap_or_else(|error| {
            // Nothing depends on it. There is another try when the projects are deployed to again.
            tracing::warn!(%error, "old deployments could not be forgotten");
            self.due.clear();
            false
        })
    }

    fn forget_some(&mut self, connection: &Connection) -> Result<bool, StoreError> {
        if self.due.is_empty() {
            self.look(connection)?;
        }
        let Some(project) = self.due.last() else { return Ok(false) };
        rows::forget(connection, self.oldest(), PORTION)?;
        let mut old = self.too_old(connection, project)?;
        old.truncate(SOME);
        if old.is_empty() {
            self.due.pop();
        } else {
            let transaction = connection.unchecked_transaction()?;
            forget(&transaction, &old)?;
            transaction.commit()?;
        }
        Ok(true)
    }

    /// Finds the projects that were deployed to since the last look.
    fn look(&mut self, connection: &Connection) -> Result<(), StoreError> {
        const ALL: &str = "SELECT DISTINCT project FROM deployments";
        const NEW: &str = "SELECT DISTINCT project FROM deployments WHERE number > ?1";
        let newest = "SELECT coalesce(max(number), 0) FROM deployments";
        let newest = connection.prepare_cached(newest)?.query_row([], |row| row.get::<_, i64>(0))?;
        self.due = match self.seen {
            Some(seen) if seen == newest => return Ok(()),
            Some(seen) => names(connection, NEW, params![seen])?,
            None => names(connection, ALL, [])?,
        };
        self.seen = Some(newest);
        Ok(())
    }

    /// The deployments of `project` that are remembered no longer, the oldest first.
    fn too_old(&self, connection: &Connection, project: &str) -> Result<Vec<i64>, StoreError> {
        const OLDEST: &str = "SELECT number, state, created_at FROM deployments
            WHERE project = ? AND number <= ? ORDER BY number";
        const NEWEST: &str = "SELECT number FROM deployments WHERE project = ? ORDER BY number DESC LIMIT 1 OFFSET ?";
        const GOOD: &str = "SELECT number FROM deployments WHERE project = ? AND state = 'succeeded'
            ORDER BY number DESC LIMIT 1 OFFSET ?";
        let beyond = |sql: &str, kept: usize| -> Result<Option<i64>, StoreError> {
            let kept = i64::try_from(kept).unwrap_or(i64::MAX);
            Ok(connection.prepare_cached(sql)?.query_row(params![project, kept], |row| row.get(0)).optional()?)
        };
        let Some(last) = beyond(NEWEST, WAY_BACK)? else { return Ok(Vec::new()) };
        let too_many = beyond(NEWEST, self.retention.deployments)?;
        let good = beyond(GOOD, WAY_BACK)?;
        let oldest = self.oldest();
        // The number of the newest row must not be given again, or a reader would miss the one that gets it.
        let newest_row = "SELECT deployment FROM journal ORDER BY number DESC LIMIT 1";
        let newest_row = connection.prepare_cached(newest_row)?.query_row([], |row| row.get(0)).optional()?;
        let newest_row: Option<i64> = newest_row.flatten();

        let mut statement = connection.prepare_cached(OLDEST)?;
        let mut rows = statement.query(params![project, last])?;
        let mut old = Vec::new();
        while let Some(row) = rows.next()? {
            let (number, state): (i64, String) = (row.get(0)?, row.get(1)?);
            let Time(created_at) = row.get(2)?;
            if too_many.is_none_or(|too_many| number > too_many) && created_at >= oldest {
                break;
            }
            let stays = match state.as_str() {
                "queued" | "running" => true,
                "succeeded" => good.is_none_or(|good| number > good),
                _ => false,
            };
            if !stays && Some(number) != newest_row {
                old.push(number);
            }
        }
        Ok(old)
    }

    /// A clock that has no later time to tell is wrong, and nothing is old by it.
    fn oldest(&self) -> Timestamp {
        let now = self.clock.now();
        if now == Timestamp::MAX { Timestamp::MIN } else { now.minus(self.retention.age) }
    }
}

fn names(connection: &Connection, sql: &str, values: impl rusqlite::Params) -> Result<Vec<String>, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    Ok(statement.query_map(values, |row| row.get(0))?.collect::<Result<_, _>>()?)
}

/// Deletes the deployments of these numbers with their journals, as far as a portion goes.
fn forget(connection: &Connection, numbers: &[i64]) -> Result<(), StoreError> {
    const JOURNAL: &str = "DELETE FROM journal WHERE number IN
        (SELECT number FROM journal WHERE deployment = ? ORDER BY number LIMIT ?)";
    let mut left = PORTION;
    for number in numbers {
        let limit = i64::try_from(left).unwrap_or(i64::MAX);
        left = left.saturating_sub(connection.prepare_cached(JOURNAL)?.execute(params![number, limit])?);
        if left == 0 {
            break;
        }
        connection.prepare_cached("DELETE FROM deployments WHERE number = ?")?.execute([number])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::super::tests::{DAY, TestStore, delivery, request};
    use super::super::{Acceptance, Deployment, Filter};
    use super::*;
    use crate::deploy::event::{Event, Outcome};
    use crate::deploy::status::tests::good_history;

    const SMALL: Retention = Retention { deployments: 150, age: Duration::from_secs(90 * 24 * 60 * 60) };

    async fn ended(fixture: &TestStore, project: &str, outcome: Outcome) -> Deployment {
        let mut deployment = fixture.new_one(project).await;
        let end = Event::Finished { outcome, reason: None };
        let events = match outcome {
            Outcome::Succeeded => good_history().into_iter().skip(1).chain([end]).collect(),
            _ => vec![end],
        };
        for event in events {
            fixture.store.append(&mut deployment, event).await.unwrap();
        }
        deployment
    }

    async fn several(fixture: &TestStore, project: &str, outcome: Outcome, count: usize) -> Vec<Deployment> {
        join_all((0..count).map(|_| ended(fixture, project, outcome))).await
    }

    /// What is remembered of a project once there is nothing more to forget, the newest first.
    async fn remembered(fixture: &TestStore, project: &str) -> Vec<Deployment> {
        let filter = Filter { project: Some(project.parse().unwrap()), limit: usize::MAX, ..Filter::default() };
        let mut before = usize::MAX;
        loop {
            // The portions come while the queue is empty: so when nothing changes over several of them, that is all.
            for _ in 0..50 {
                fixture.store.answers().await;
                tokio::task::yield_now().await;
            }
            let all = fixture.store.deployments(&filter).await.unwrap();
            if all.len() == before {
                return all;
            }
            before = all.len();
        }
    }

    async fn journal_rows(fixture: &TestStore) -> i64 {
        let count = |connection: &Connection| {
            Ok(connection.query_row("SELECT count(*) FROM journal", [], |row| row.get::<_, i64>(0))?)
        };
        fixture.store.0.reader.read(count).await.unwrap()
    }

    #[tokio::test]
    async fn of_each_project_the_newest_are_remembered_and_their_journals() {
        let fixture = TestStore::with(SMALL);
        let other = ended(&fixture, "site", Outcome::Cancelled).await;
        let mut all = several(&fixture, "shop", Outcome::Cancelled, 400).await;
        all.reverse();
        all.truncate(SMALL.deployments);
        assert_eq!(remembered(&fixture, "shop").await, all);
        assert_eq!(remembered(&fixture, "site").await, [other]);
        assert_eq!(journal_rows(&fixture).await, 2 * 151);
        assert_eq!(fixture.store.extent().await.unwrap().deployments, 151);
    }

    #[tokio::test]
    async fn what_is_older_is_forgotten_but_for_what_a_way_back_needs_and_what_is_not_over() {
        let fixture = TestStore::with(SMALL);
        let open = fixture.new_one("shop").await;
        let good = several(&fixture, "shop", Outcome::Succeeded, WAY_BACK + 10).await;
        several(&fixture, "shop", Outcome::Superseded, 20).await;
        fixture.pass(91 * DAY);
        let young = several(&fixture, "shop", Outcome::Cancelled, WAY_BACK).await;
        let mut stay = vec![open];
        stay.extend(good.into_iter().skip(10));
        stay.extend(young);
        stay.reverse();
        assert_eq!(remembered(&fixture, "shop").await, stay);
        let fixture = fixture.reopen();
        assert_eq!(remembered(&fixture, "shop").await, stay);
    }

    #[tokio::test]
    async fn a_delivery_is_known_for_thirty_days_though_its_deployment_is_forgotten() {
        let fixture = TestStore::with(SMALL);
        let Acceptance::New(mut first) = fixture.accept(request("shop", delivery("a", "x"))).await else { panic!() };
        let end = Event::Finished { outcome: Outcome::Cancelled, reason: None };
        fixture.store.append(&mut first, end).await.unwrap();
        several(&fixture, "shop", Outcome::Cancelled, SMALL.deployments).await;
        remembered(&fixture, "shop").await;
        assert_eq!(fixture.store.deployment(&first.id).await.unwrap(), None);
        assert!(fixture.store.events(&first.id, 0, 9).await.unwrap().is_empty());
        for body in ["x", "y"] {
            assert_eq!(fixture.accept(request("shop", delivery("a", body))).await, Acceptance::Replayed(None));
        }
    }

    #[tokio::test]
    async fn no_number_is_given_twice() {
        let fixture = TestStore::with(SMALL);
        let mut talks_on = ended(&fixture, "shop", Outcome::Cancelled).await;
        several(&fixture, "shop", Outcome::Cancelled, WAY_BACK).await;
        let note = Event::Noted { text: "late".to_owned() };
        let newest = fixture.store.append(&mut talks_on, note).await.unwrap();
        fixture.pass(91 * DAY);
        let fixture = fixture.reopen();
        remembered(&fixture, "shop").await;
        let next = fixture.new_one("site").await;
        assert!(fixture.store.events(&next.id, 0, 1).await.unwrap()[0].seq > newest);
    }

    #[tokio::test]
    async fn a_wrong_clock_makes_nothing_old() {
        let fixture = TestStore::with(SMALL);
        several(&fixture, "shop", Outcome::Cancelled, WAY_BACK + 1).await;
        fixture.time.store(i64::MAX, std::sync::atomic::Ordering::Relaxed);
        fixture.new_one("site").await;
        let fixture = fixture.reopen();
        assert_eq!(remembered(&fixture, "shop").await.len(), WAY_BACK + 1);
    }

    #[tokio::test]
    async fn the_size_on_disk_is_bounded_however_long_it_goes_on() {
        let fixture = TestStore::with(SMALL);
        let mut sizes = Vec::new();
        for _ in 0..4 {
            fixture.pass(2 * DAY);
            several(&fixture, "shop", Outcome::Succeeded, 200).await;
            remembered(&fixture, "shop").await;
            sizes.push(fixture.store.extent().await.unwrap().bytes);
        }
        // The log is written back at some size, and never before.
        let log = 5 << 20;
        assert!(sizes[3] <= sizes[1] + sizes[1] / 10 + log && sizes[0] > 0, "{sizes:?}");
        let pages =
            |connection: &Connection| Ok(connection.query_row("PRAGMA page_count", [], |row| row.get::<_, i64>(0))?);
        assert!(fixture.store.0.reader.read(pages).await.unwrap() < 2 * 1024, "8 MB for 150 deployments");
    }
}
