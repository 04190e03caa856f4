//! The only thread that writes: it commits together what is waiting together, and answers when that is on disk.
//!
//! A commit costs one wait for the disk, whatever it contains; so the more callers there are, the less each one waits.
//! Each job runs inside a savepoint of its own: one that fails takes nothing back but itself.

use std::sync::mpsc::Receiver;

use rusqlite::Connection;
use tokio::sync::{oneshot, watch};

use super::StoreError;
use super::worker::Worker;

/// Jobs in one commit: enough to make the disk's part small, few enough that nobody waits long for the others.
const BATCH: usize = 128;

/// Changes the database.
pub(super) struct Writer(Worker<Job>);

/// Something to be written. Without a connection it only says why there is none.
type Job = Box<dyn FnOnce(Result<&Connection, StoreError>) -> Ran + Send>;

/// A job that was run and has not been answered yet.
struct Ran {
    failure: Option<StoreError>,
    answer: Answer,
}

/// Tells whoever waits what became of the commit.
type Answer = Box<dyn FnOnce(Result<(), StoreError>)>;

impl Writer {
    pub(super) fn start(connection: Connection, bell: watch::Sender<i64>) -> Result<Self, StoreError> {
        let serve = move |jobs: Receiver<Job>| {
            while let Ok(first) = jobs.recv() {
                commit_together(&connection, std::iter::once(first).chain(jobs.try_iter().take(BATCH - 1)));
                ring(&connection, &bell);
            }
        };
        Ok(Self(Worker::start("store", serve)?))
    }

    /// Does `work` in a transaction, and answers when it is on disk. An error takes back all that `work` did.
    ///
    /// Once this was polled the work is done, even if nobody waits for the answer any more.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.0.send(Box::new(move |connection| {
            let result = connection.and_then(work);
            let failure = result.as_ref().err().cloned();
            let answer = move |committed: Result<(), StoreError>| {
                let _ = reply.send(result.and_then(|value| committed.map(|()| value)));
            };
            Ran { failure, answer: Box::new(answer) }
        }));
        answer.await.unwrap_or(Err(StoreError::Closed))
    }
}

fn commit_together(connection: &Connection, jobs: impl Iterator<Item = Job>) {
    let mut written: Vec<Answer> = Vec::new();
    for job in jobs {
        let Ran { failure, answer } = job(begin(connection).map(|()| connection));
        let Some(failure) = failure.or_else(|| run(connection, "RELEASE job").err()) else {
            written.push(answer);
            continue;
        };
        let undone = run(connection, "ROLLBACK TO job").and_then(|()| run(connection, "RELEASE job"));
        if undone.is_err() {
            // A full disk may make SQLite take back the whole transaction, and with it what the others wrote.
            roll_back(connection);
            for lost in written.drain(..) {
                lost(Err(failure.clone()));
            }
        }
        answer(Err(failure));
    }
    let committed = end(connection);
    for answer in written {
        answer(committed.clone());
    }
}

fn begin(connection: &Connection) -> Result<(), StoreError> {
    if connection.is_autocommit() {
        run(connection, "BEGIN IMMEDIATE")?;
    }
    run(connection, "SAVEPOINT job")
}

fn end(connection: &Connection) -> Result<(), StoreError> {
    if connection.is_autocommit() {
        // Nothing was begun, or the last job lost everything.
        return Ok(());
    }
    run(connection, "COMMIT").inspect_err(|_| roll_back(connection))
}

fn roll_back(connection: &Connection) {
    if !connection.is_autocommit() {
        // An error means that there is nothing left to roll back.
        let _ = run(connection, "ROLLBACK");
    }
}

fn run(connection: &Connection, sql: &str) -> Result<(), StoreError> {
    connection.prepare_cached(sql)?.execute([])?;
    Ok(())
}

/// Tells the readers, when there is something new to read.
fn ring(connection: &Connection, bell: &watch::Sender<i64>) {
    // Should the question fail, the next commit rings for this one too.
    let Ok(newest) = super::journal::newest(connection) else { return };
    bell.send_if_modified(|rung| {
        let news = newest > *rung;
        *rung = newest.max(*rung);
        news
    });
}
