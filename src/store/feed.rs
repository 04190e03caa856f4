//! The journal for readers that want all of it, whatever it is about, and go on where they were after a restart.

use rusqlite::{Connection, Row, params};
use tokio::sync::watch;

use super::column::{Json, Name, Time};
use super::{Store, StoreError, format, rows};
use crate::deploy::event::Event;
use crate::deploy::incident::{HostEvent, ProjectEvent};
use crate::model::{DeploymentId, ProjectName, Timestamp};

/// One row of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Its number, which grows over all rows.
    pub seq: i64,
    /// When it was written.
    pub at: Timestamp,
    /// What it is about, and what happened.
    pub what: What,
}

/// What a row is about, and what happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A deployment.
    Deployment {
        /// Which one.
        id: DeploymentId,
        /// Whose.
        project: ProjectName,
        /// What happened.
        event: Event,
    },
    /// A project.
    Project {
        /// Which one.
        project: ProjectName,
        /// What happened.
        event: ProjectEvent,
    },
    /// The host.
    Host(HostEvent),
    /// What was written cannot be read: a disk has damaged it, or another version of windlass has written it.
    Unreadable,
}

/// A reader with a name, whose place in the journal is on disk.
pub struct Feed {
    store: Store,
    newest_row: watch::Receiver<i64>,
    name: String,
    /// The last row that was given out.
    after: i64,
}

impl Store {
    /// The reader of that name, where it was. A new one begins with what comes from now on.
    ///
    /// # Errors
    /// When its place cannot be read, or, of a new one, not be written.
    pub async fn feed(&self, name: &str) -> Result<Feed, StoreError> {
        let (name, newest_row) = (name.to_owned(), self.newest_row());
        let begin = {
            let name = name.clone();
            move |connection: &Connection| {
                const NEW: &str = "INSERT OR IGNORE INTO feeds (name, after) VALUES (?, ?)";
                connection.prepare_cached(NEW)?.execute(params![name, rows::newest(connection)?])?;
                let mut statement = connection.prepare_cached("SELECT after FROM feeds WHERE name = ?")?;
                Ok(statement.query_row([&name], |row| row.get(0))?)
            }
        };
        let after = self.0.writer.write(begin).await?;
        Ok(Feed { store: self.clone(), newest_row, name, after })
    }

    /// Writes down what happened to a project.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn tell_of_project(&self, project: &ProjectName, event: &ProjectEvent) -> Result<(), StoreError> {
        let (project, text, clock) = (project.clone(), format::project_event(event)?, self.0.clock.clone());
        let write = move |connection: &Connection| rows::insert_about(connection, Some(&project), clock.now(), &text);
        self.0.writer.write(write).await
    }

    /// Writes down what happened to the host.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn tell_of_host(&self, event: &HostEvent) -> Result<(), StoreError> {
        let (text, clock) = (format::host_event(event)?, self.0.clock.clone());
        self.0
            .writer
            .write(move |connection: &Connection| rows::insert_about(connection, None, clock.now(), &text))
            .await
    }

    async fn told(&self, after: i64, limit: usize) -> Result<Vec<Told>, StoreError> {
        const SQL: &str = "SELECT journal.number, journal.at, journal.event, deployments.id,
                coalesce(deployments.project, journal.project) AS project
            FROM journal LEFT JOIN deployments ON deployments.number = journal.deployment
            WHERE journal.number > ? ORDER BY journal.number LIMIT ?";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let read = move |connection: &Connection| {
            let mut statement = connection.prepare_cached(SQL)?;
            let rows = statement.query_map(params![after, limit], told)?;
            Ok(rows.collect::<Result<_, _>>()?)
        };
        self.0.reader.read(read).await
    }
}

impl Feed {
    /// What comes next, at most `limit` rows: waits until there is something.
    ///
    /// Nothing is lost when this is given up half-way. What was given out comes again after a restart, unless
    /// [`Feed::reached`] has written down that it was dealt with.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn next(&mut self, limit: usize) -> Result<Vec<Told>, StoreError> {
        loop {
            // What is written from here on counts again.
            self.newest_row.mark_unchanged();
            let told = self.store.told(self.after, limit).await?;
            if let Some(last) = told.last() {
                self.after = last.seq;
                return Ok(told);
            }
            self.newest_row.changed().await.map_err(|_| StoreError::Closed)?;
        }
    }

    /// Writes down that all up to the row `seq` was dealt with.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn reached(&self, seq: i64) -> Result<(), StoreError> {
        const SQL: &str = "UPDATE feeds SET after = max(after, ?) WHERE name = ?";
        let name = self.name.clone();
        let write = move |connection: &Connection| {
            connection.prepare_cached(SQL)?.execute(params![seq, name])?;
            Ok(())
        };
        self.store.0.writer.write(write).await
    }
}

fn told(row: &Row<'_>) -> rusqlite::Result<Told> {
    let (seq, Time(at)) = (row.get("number")?, row.get("at")?);
    let what = what(row).unwrap_or_else(|error| {
        tracing::error!(row = seq, %error, "a row of the journal cannot be read");
        What::Unreadable
    });
    Ok(Told { seq, at, what })
}

fn what(row: &Row<'_>) -> rusqlite::Result<What> {
    let project = row.get::<_, Option<Name<ProjectName>>>("project")?.map(|Name(project)| project);
    let Some(project) = project else {
        let Json(event) = row.get("event")?;
        return Ok(What::Host(event));
    };
    let Some(Name(id)) = row.get::<_, Option<Name<DeploymentId>>>("id")? else {
        let Json(event) = row.get("event")?;
        return Ok(What::Project { project, event });
    };
    let Json(event) = row.get("event")?;
    Ok(What::Deployment { id, project, event })
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::super::tests::{DAY, TestStore};
    use super::*;
    use crate::deploy::gate::Freeze;

    fn shop() -> ProjectName {
        "shop".parse().unwrap()
    }

    fn started() -> HostEvent {
        HostEvent::Started { version: "1.2.3".to_owned() }
    }

    fn frozen() -> Freeze {
        Freeze { reason: Some("stocktaking".to_owned()), by: "ann".to_owned(), since: Timestamp::MIN, until: None }
    }

    async fn all(feed: &mut Feed) -> Vec<What> {
        feed.next(100).await.unwrap().into_iter().map(|told| told.what).collect()
    }

    #[tokio::test]
    async fn a_reader_is_told_of_deployments_of_projects_and_of_the_host_in_their_order() {
        let fixture = TestStore::new();
        fixture.new_one("site").await;
        let mut feed = fixture.store.feed("test").await.unwrap();
        assert!(feed.next(100).now_or_never().is_none(), "a new reader begins with what comes from now on");
        fixture.store.tell_of_host(&started()).await.unwrap();
        let mut deployment = fixture.new_one("shop").await;
        fixture.store.append(&mut deployment, Event::Started).await.unwrap();
        fixture.store.freeze(&shop(), frozen()).await.unwrap();
        let refused = ProjectEvent::Refused {
            by: "ci".to_owned(),
            delivery: Some("run-1".parse().unwrap()),
            problem: "frozen".to_owned(),
            reason: "the project is frozen".to_owned(),
        };
        fixture.store.tell_of_project(&shop(), &refused).await.unwrap();
        assert!(fixture.store.unfreeze(&shop(), "bob").await.unwrap());
        assert!(!fixture.store.unfreeze(&shop(), "bob").await.unwrap(), "nothing ends, and nothing is told");
        let told = all(&mut feed).await;
        let of_project = |event| What::Project { project: shop(), event };
        assert_eq!(told.len(), 6);
        assert_eq!(told[0], What::Host(started()));
        assert!(matches!(&told[1], What::Deployment { id, event: Event::Queued { .. }, .. } if *id == deployment.id));
        assert!(matches!(&told[2], What::Deployment { project, event: Event::Started, .. } if *project == shop()));
        assert_eq!(told[3], of_project(ProjectEvent::Frozen(frozen())));
        assert_eq!(told[4], of_project(refused));
        assert_eq!(told[5], of_project(ProjectEvent::Unfrozen { by: "bob".to_owned() }));
        assert_eq!(fixture.store.events(&deployment.id, 0, 100).await.unwrap().len(), 2, "its own, and no other");
    }

    #[tokio::test]
    async fn after_a_restart_a_reader_goes_on_after_what_it_has_dealt_with() {
        let fixture = TestStore::new();
        let mut feed = fixture.store.feed("test").await.unwrap();
        for _ in 0..3 {
            fixture.store.tell_of_host(&started()).await.unwrap();
        }
        let told = feed.next(2).await.unwrap();
        assert_eq!(told.len(), 2);
        feed.reached(told[0].seq).await.unwrap();
        assert_eq!(feed.next(100).await.unwrap().len(), 1, "what was given out does not come again");
        drop(feed);
        let fixture = fixture.reopen();
        let mut feed = fixture.store.feed("test").await.unwrap();
        assert_eq!(feed.next(100).await.unwrap()[0].seq, told[1].seq);
        feed.reached(told[0].seq).await.unwrap();
        let mut other = fixture.store.feed("another").await.unwrap();
        assert!(other.next(100).now_or_never().is_none(), "each has a place of its own");
    }

    #[tokio::test]
    async fn a_reader_that_waits_is_woken() {
        let fixture = TestStore::new();
        let mut feed = fixture.store.feed("test").await.unwrap();
        let event = started();
        let write = async {
            tokio::task::yield_now().await;
            fixture.store.tell_of_host(&event).await.unwrap();
        };
        let (told, ()) = futures_util::future::join(all(&mut feed), write).await;
        assert_eq!(told, [What::Host(started())]);
    }

    #[tokio::test]
    async fn a_row_that_cannot_be_read_holds_nobody_up() {
        let fixture = TestStore::new();
        let mut feed = fixture.store.feed("test").await.unwrap();
        fixture.store.tell_of_host(&started()).await.unwrap();
        fixture.store.tell_of_host(&started()).await.unwrap();
        let damage =
            |connection: &Connection| Ok(connection.execute("UPDATE journal SET event = '{' WHERE number = 1", [])?);
        assert_eq!(fixture.store.0.writer.write(damage).await.unwrap(), 1);
        assert_eq!(all(&mut feed).await, [What::Unreadable, What::Host(started())]);
    }

    #[tokio::test]
    async fn what_is_old_and_about_no_deployment_is_forgotten_but_for_the_newest_row() {
        let fixture = TestStore::new();
        for _ in 0..3 {
            fixture.store.tell_of_host(&started()).await.unwrap();
        }
        fixture.time.fetch_add(91 * DAY, std::sync::atomic::Ordering::SeqCst);
        let now = fixture.store.0.clock.now();
        let forget_all = move |connection: &Connection| rows::forget(connection, now, 100);
        assert_eq!(fixture.store.0.writer.write(forget_all).await.unwrap(), 2);
        fixture.store.tell_of_host(&started()).await.unwrap();
        let again = move |connection: &Connection| rows::forget(connection, now, 100);
        assert_eq!(fixture.store.0.writer.write(again).await.unwrap(), 1);
    }
}
