//! The journal: what each deployment said, in the order in which it was said.

use rusqlite::{Connection, Row, params};

use super::column::{Json, Time};
use super::deployments::{Deployment, find};
use super::{Store, StoreError, format, rows};
use crate::deploy::event::Event;
use crate::model::{DeploymentId, Timestamp};

/// One row of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number, which grows over all deployments: what a reader names to go on after it.
    pub seq: i64,
    /// When it was written.
    pub at: Timestamp,
    /// What was said.
    pub event: Event,
}

impl Store {
    /// Takes down the next event of a deployment, and the number of its row. `deployment` is then as it is on disk.
    ///
    /// What is on disk decides whether the event can follow, not the caller's copy of it: the copy may be behind,
    /// where a note was taken by somebody else or an earlier call was given up while it waited.
    ///
    /// # Errors
    /// [`StoreError::Illegal`] when the event cannot follow. Whatever the error, nothing is written then, and
    /// `deployment` is as it was.
    pub async fn append(&self, deployment: &mut Deployment, event: Event) -> Result<i64, StoreError> {
        let (id, clock) = (deployment.id.clone(), self.0.clock.clone());
        let text = format::event(&event)?;
        let write = move |connection: &Connection| {
            let mut deployment = find(connection, &id)?.ok_or(StoreError::Unknown(id))?;
            let before = deployment.clone();
            let at = clock.now();
            deployment.status.apply(&event)?;
            match event {
                Event::Started => deployment.started_at = Some(at),
                Event::Finished { .. } => deployment.finished_at = Some(at),
                _ => {}
            }
            let seq = rows::insert(connection, deployment.order, at, &text)?;
            if deployment != before {
                update(connection, &deployment)?;
            }
            Ok((seq, deployment))
        };
        let (seq, written) = self.0.writer.write(write).await?;
        *deployment = written;
        Ok(seq)
    }

    /// What a deployment said after the row `after`, at most `limit` entries, the oldest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn events(&self, id: &DeploymentId, after: i64, limit: usize) -> Result<Vec<Entry>, StoreError> {
        const SQL: &str = "SELECT * FROM journal
            WHERE deployment = (SELECT number FROM deployments WHERE id = ?1) AND number > ?2
            ORDER BY number LIMIT ?3";
        let (id, limit) = (id.clone(), i64::try_from(limit).unwrap_or(i64::MAX));
        let read = move |connection: &Connection| {
            let mut statement = connection.prepare_cached(SQL)?;
            let read = |row: &Row<'_>| entry(row).or_else(|error| unreadable(row, &id, &error));
            let entries = statement.query_map(params![id.as_str(), after, limit], read)?;
            Ok(entries.collect::<Result<_, _>>()?)
        };
        self.0.reader.read(read).await
    }
}

impl Store {
    /// What was said last while the step that the deployment is in was carried out, or since its turn came.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn last_words(&self, id: &DeploymentId) -> Result<Option<String>, StoreError> {
        const SQL: &str = "SELECT event FROM journal
            WHERE deployment = (SELECT number FROM deployments WHERE id = ?) ORDER BY number DESC LIMIT 50";
        let id = id.clone();
        let read = move |connection: &Connection| {
            let mut statement = connection.prepare_cached(SQL)?;
            let events = statement.query_map([id.as_str()], |row| row.get(0).map(|Json(event)| event))?;
            for event in events.flatten() {
                match event {
                    Event::Said { line: words, .. } | Event::Noted { text: words } => return Ok(Some(words)),
                    Event::StepStarted { .. } | Event::Started => break,
                    _ => {}
                }
            }
            Ok(None)
        };
        self.0.reader.read(read).await
    }
}

fn update(connection: &Connection, deployment: &Deployment) -> Result<(), StoreError> {
    const SQL: &str =
        "UPDATE deployments SET state = ?2, status = ?3, started_at = ?4, finished_at = ?5 WHERE number = ?1";
    let status = format::status(&deployment.status)?;
    connection.prepare_cached(SQL)?.execute(params![
        deployment.order,
        deployment.status.state.as_str(),
        status,
        deployment.started_at.map(Timestamp::as_millis),
        deployment.finished_at.map(Timestamp::as_millis),
    ])?;
    Ok(())
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let Time(at) = row.get("at")?;
    let Json(event) = row.get("event")?;
    Ok(Entry { seq: row.get("number")?, at, event })
}

/// In the place of a row that a disk has damaged, or another version of windlass has written: it hides no other.
fn unreadable(row: &Row<'_>, deployment: &DeploymentId, error: &rusqlite::Error) -> rusqlite::Result<Entry> {
    tracing::error!(%deployment, %error, "a row of this deployment's journal cannot be read");
    let at = row.get("at").map_or(Timestamp::MIN, |Time(at)| at);
    let text = "what was written here cannot be read".to_owned();
    Ok(Entry { seq: row.get("number")?, at, event: Event::Noted { text } })
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::super::tests::TestStore;
    use super::*;
    use crate::deploy::event::Outcome;
    use crate::deploy::status::tests::{good_history, replay};
    use crate::deploy::status::{State, Status};

    fn finished(outcome: Outcome) -> Event {
        Event::Finished { outcome, reason: None }
    }

    fn noted(text: &str) -> Event {
        Event::Noted { text: text.to_owned() }
    }

    /// A whole good deployment, as it goes from event to event.
    async fn succeed(fixture: &TestStore, project: &str) -> Deployment {
        let mut deployment = fixture.new_one(project).await;
        for event in good_history().into_iter().skip(1).chain([finished(Outcome::Succeeded)]) {
            fixture.store.append(&mut deployment, event).await.unwrap();
        }
        deployment
    }

    #[tokio::test]
    async fn the_status_on_disk_is_the_fold_of_the_events_on_disk() {
        let fixture = TestStore::new();
        let deployment = succeed(&fixture, "shop").await;
        let entries = fixture.store.events(&deployment.id, 0, usize::MAX).await.unwrap();
        let events: Vec<Event> = entries.into_iter().map(|entry| entry.event).collect();
        assert_eq!(replay(&events).unwrap(), deployment.status);
        let fixture = fixture.reopen();
        assert_eq!(fixture.store.deployment(&deployment.id).await.unwrap(), Some(deployment));
    }

    #[tokio::test]
    async fn an_event_that_cannot_follow_is_refused_and_writes_nothing() {
        let fixture = TestStore::new();
        let mut deployment = fixture.new_one("shop").await;
        let before = deployment.clone();
        let refused = fixture.store.append(&mut deployment, finished(Outcome::Succeeded)).await;
        assert!(matches!(refused, Err(StoreError::Illegal(_))), "{refused:?}");
        assert_eq!(deployment, before);
        assert_eq!(fixture.store.deployment(&before.id).await.unwrap(), Some(before));
        assert_eq!(fixture.store.events(&deployment.id, 0, 9).await.unwrap().len(), 1);
        assert_eq!(*fixture.store.newest_row().borrow(), 1);
    }

    #[tokio::test]
    async fn a_copy_that_is_behind_is_brought_up_to_date_and_loses_nobody_elses_events() {
        let fixture = TestStore::new();
        let mut runner = fixture.new_one("shop").await;
        let mut other = runner.clone();
        fixture.store.append(&mut runner, Event::Started).await.unwrap();
        fixture.store.append(&mut other, noted("hello")).await.unwrap();
        assert_eq!(other.status.state, State::Running);
        assert_eq!(fixture.store.deployment(&other.id).await.unwrap(), Some(other.clone()));
        let mut behind = Deployment { status: Status { state: State::Queued, ..other.status.clone() }, ..other };
        let refused = fixture.store.append(&mut behind, Event::Started).await;
        assert!(matches!(refused, Err(StoreError::Illegal(_))), "{refused:?}");
    }

    #[tokio::test]
    async fn a_call_that_was_given_up_while_it_waited_is_done_all_the_same() {
        let fixture = TestStore::new();
        let mut deployment = fixture.new_one("shop").await;
        let (given_up, not_before) = std::sync::mpsc::channel::<()>();
        let wait = fixture.store.0.writer.write(move |_| Ok(not_before.recv().is_err()));
        assert!(std::pin::pin!(wait).now_or_never().is_none());
        assert!(fixture.store.append(&mut deployment, Event::Started).now_or_never().is_none());
        drop(given_up);
        assert_eq!(deployment.status.state, State::Queued, "nobody was told");
        let release = Event::Resolved { images: vec![] };
        fixture.store.append(&mut deployment, release).await.unwrap();
        assert_eq!(deployment.status.state, State::Running);
        assert_eq!(fixture.store.events(&deployment.id, 0, 9).await.unwrap().len(), 3);
    }

    #[tokio::test]
    async fn a_deployment_that_was_never_accepted_has_no_journal() {
        let fixture = TestStore::new();
        let mut stranger = fixture.new_one("shop").await;
        stranger.id = DeploymentId::new(stranger.created_at);
        let refused = fixture.store.append(&mut stranger, Event::Started).await;
        assert!(matches!(&refused, Err(StoreError::Unknown(id)) if *id == stranger.id), "{refused:?}");
        assert!(fixture.store.events(&stranger.id, 0, 9).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn an_event_that_cannot_be_read_hides_no_other() {
        let fixture = TestStore::new();
        let deployment = succeed(&fixture, "shop").await;
        let whole = fixture.store.events(&deployment.id, 0, usize::MAX).await.unwrap();
        let number = whole[2].seq;
        let damage = move |connection: &Connection| {
            Ok(connection.execute("UPDATE journal SET event = '{\"event\":\"new\"}' WHERE number = ?1", [number])?)
        };
        assert_eq!(fixture.store.0.writer.write(damage).await.unwrap(), 1);
        let mut damaged = fixture.store.events(&deployment.id, 0, usize::MAX).await.unwrap();
        assert!(matches!(&damaged[2].event, Event::Noted { text } if text.contains("cannot be read")), "{damaged:?}");
        damaged[2].event = whole[2].event.clone();
        assert_eq!(damaged, whole);
    }

    #[tokio::test]
    async fn events_are_those_of_one_deployment_after_a_row_and_no_more_than_asked_for() {
        let fixture = TestStore::new();
        let (mut one, mut two) = (fixture.new_one("shop").await, fixture.new_one("site").await);
        let first = fixture.store.append(&mut one, noted("1")).await.unwrap();
        fixture.store.append(&mut two, noted("other")).await.unwrap();
        let second = fixture.store.append(&mut one, noted("2")).await.unwrap();
        fixture.store.append(&mut one, noted("3")).await.unwrap();
        let entries = fixture.store.events(&one.id, first, 1).await.unwrap();
        let at = fixture.store.0.clock.now();
        assert_eq!(entries, [Entry { seq: second, at, event: noted("2") }]);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_late_and_slow_reader_that_follows_the_bell_loses_nothing() {
        let fixture = TestStore::new();
        let mut deployment = fixture.new_one("shop").await;
        let mut noisy = fixture.new_one("site").await;
        fixture.store.append(&mut deployment, Event::Started).await.unwrap();
        let (id, store) = (deployment.id.clone(), fixture.store.clone());
        let write = async {
            for number in 0..200 {
                fixture.store.append(&mut deployment, noted(&number.to_string())).await.unwrap();
                fixture.store.append(&mut noisy, noted("elsewhere")).await.unwrap();
            }
            let end = Event::Finished { outcome: Outcome::Cancelled, reason: None };
            fixture.store.append(&mut deployment, end).await.unwrap();
        };
        let read = async {
            let mut newest_row = store.newest_row();
            let mut heard: Vec<Entry> = Vec::new();
            while !heard.last().is_some_and(|entry| matches!(entry.event, Event::Finished { .. })) {
                let after = heard.last().map_or(0, |entry| entry.seq);
                let news = store.events(&id, after, 7).await.unwrap();
                if news.is_empty() {
                    newest_row.changed().await.unwrap();
                }
                heard.extend(news);
            }
            heard
        };
        let (heard, ()) = futures_util::future::join(read, write).await;
        assert!(heard.is_sorted_by(|one, next| one.seq < next.seq));
        let notes = heard.iter().filter_map(|entry| match &entry.event {
            Event::Noted { text } => text.parse::<usize>().ok(),
            _ => None,
        });
        assert!(notes.eq(0..200), "each once, in order");
        assert_eq!(heard.len(), 203);
    }
}
