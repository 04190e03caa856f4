//! The only thread that writes: it commits together what is waiting together, and answers when that is on disk.
//!
//! A commit costs one wait for the disk, whatever it contains; so the more callers there are, the less each one waits.
//! Whoever has an answer often comes again at once, so as many jobs are waited for, for a moment, as came the last time:
//! to go ahead with the first few would make all the others wait for two commits.
//! Each job runs inside a savepoint of its own: one that fails takes nothing back but itself.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::{oneshot, watch};

use super::error::StoreError;
use super::retention::Upkeep;
use super::worker::Worker;

/// Jobs in one commit: enough to make the disk's part small, few enough that nobody waits long for the others.
const BATCH: usize = 128;

/// How long jobs that are expected are waited for at most, and never longer than the last commit took: where the disk
/// is fast there is little to gain, and nobody who is alone shall notice.
const PATIENCE: Duration = Duration::from_millis(1);

/// Upkeep is done while nobody waits. Where somebody always does, it is done after so many commits: else the database
/// would grow for as long as that lasts.
const UPKEEP_EVERY: usize = 32;

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
    pub(super) fn start(
        connection: Connection,
        newest_row: watch::Sender<i64>,
        mut upkeep: Upkeep,
    ) -> Result<Self, StoreError> {
        let place = Place::of(&connection)?;
        let serve = move |jobs: Receiver<Job>| {
            let (mut expected, mut commit, mut put_off) = (1, Duration::ZERO, 0);
            loop {
                let first = match jobs.try_recv() {
                    Err(TryRecvError::Disconnected) => return,
                    Err(TryRecvError::Empty) => {
                        put_off = 0;
                        if upkeep.go_on(&connection) {
                            continue;
                        }
                        let Ok(job) = jobs.recv() else { return };
                        job
                    }
                    Ok(job) => {
                        if put_off == UPKEEP_EVERY {
                            put_off = 0;
                            upkeep.go_on(&connection);
                        }
                        put_off += 1;
                        job
                    }
                };
                let until = Instant::now() + commit.min(PATIENCE);
                let mut batch = Batch { first: Some(first), queue: &jobs, taken: 0, expected, until };
                commit = commit_together(&connection, &place, &newest_row, &mut batch);
                expected = batch.taken;
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

/// The jobs of one commit, as they come.
struct Batch<'q> {
    first: Option<Job>,
    queue: &'q Receiver<Job>,
    taken: usize,
    /// How many are waited for.
    expected: usize,
    until: Instant,
}

impl Iterator for Batch<'_> {
    type Item = Job;

    fn next(&mut self) -> Option<Job> {
        if self.taken == BATCH {
            return None;
        }
        let next = self.first.take().or_else(|| self.queue.try_recv().ok());
        let next = next.or_else(|| {
            let left = self.until.saturating_duration_since(Instant::now());
            if self.taken < self.expected { self.queue.recv_timeout(left).ok() } else { None }
        });
        self.taken += usize::from(next.is_some());
        next
    }
}

/// Does all jobs in one transaction, and answers when it is on disk. Gives the time that the commit itself took.
fn commit_together(
    connection: &Connection,
    place: &Place,
    newest_row: &watch::Sender<i64>,
    jobs: &mut impl Iterator<Item = Job>,
) -> Duration {
    let mut written: Vec<Answer> = Vec::new();
    for job in jobs {
        let Ran { failure, answer } = job(place.is_there().and_then(|()| begin(connection)).map(|()| connection));
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
    let start = Instant::now();
    let committed = end(connection);
    let took = start.elapsed();
    // Before the answers, so that whoever has one finds the number of its row announced.
    announce(connection, newest_row);
    for answer in written {
        answer(committed.clone());
    }
    took
}

/// Where the database was opened. What is written to a file that was removed or replaced since is lost with the process.
struct Place {
    path: PathBuf,
    /// Device and inode.
    file: (u64, u64),
}

impl Place {
    fn of(connection: &Connection) -> Result<Self, StoreError> {
        let path = PathBuf::from(connection.path().unwrap_or_default());
        let file = std::fs::metadata(&path).map_err(StoreError::system("look at the state database"))?;
        Ok(Self { path, file: (file.dev(), file.ino()) })
    }

    fn is_there(&self) -> Result<(), StoreError> {
        let found = std::fs::metadata(&self.path).is_ok_and(|found| (found.dev(), found.ino()) == self.file);
        if found { Ok(()) } else { Err(StoreError::Moved { path: self.path.clone() }) }
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
fn announce(connection: &Connection, newest_row: &watch::Sender<i64>) {
    // Should the question fail, the next commit announces this one too.
    let Ok(newest) = super::rows::newest(connection) else { return };
    newest_row.send_if_modified(|announced| {
        let news = newest > *announced;
        *announced = newest.max(*announced);
        news
    });
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::super::tests::{TestStore, request};
    use super::super::{Acceptance, Deployment, Store};
    use super::*;
    use crate::deploy::request::Repetition;

    type Work = Box<dyn FnOnce(&Connection) -> Result<(), StoreError> + Send>;

    fn refusal() -> StoreError {
        StoreError::from(rusqlite::Error::InvalidQuery)
    }

    /// Lets the thread wait in a first job until all `works` are in its queue: so they share one commit.
    async fn in_one_commit(store: &Store, works: Vec<Work>) -> Vec<Result<(), StoreError>> {
        let (queued, all_queued) = std::sync::mpsc::channel::<()>();
        let first = store.0.writer.write(move |_| {
            // The sender is dropped, and that is the sign.
            let _ = all_queued.recv();
            Ok(())
        });
        let rest = join_all(works.into_iter().map(|work| store.0.writer.write(work)));
        let sign = async move { drop(queued) };
        futures_util::future::join3(first, rest, sign).await.1
    }

    #[tokio::test]
    async fn nothing_is_written_to_a_database_that_was_taken_away() {
        let fixture = TestStore::new();
        fixture.new_one("shop").await;
        let (path, aside) = (fixture.directory.path().join("windlass.db"), fixture.directory.path().join("aside"));
        std::fs::rename(&path, &aside).unwrap();
        let refused = || async { fixture.store.accept(request("shop", Repetition::Never)).await.unwrap_err() };
        assert!(matches!(refused().await, StoreError::Moved { .. }));
        std::fs::copy(&aside, &path).unwrap();
        let error = refused().await;
        assert!(error.is_full() && error.to_string().ends_with("restart windlass"), "{error}");
        std::fs::rename(&aside, &path).unwrap();
        fixture.new_one("shop").await;
    }

    fn note(project: &'static str, then: Result<(), &'static str>) -> Work {
        Box::new(move |connection| {
            connection.execute("INSERT INTO sequences VALUES (?, 1)", [project])?;
            match then {
                Ok(()) => Ok(()),
                Err(sql) => {
                    connection.execute_batch(sql)?;
                    Err(refusal())
                }
            }
        })
    }

    async fn noted(store: &Store) -> Vec<String> {
        let ask = |connection: &Connection| {
            let mut statement = connection.prepare("SELECT project FROM sequences ORDER BY project")?;
            Ok(statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
        };
        store.0.reader.read(ask).await.unwrap()
    }

    #[tokio::test]
    async fn a_job_that_fails_takes_nothing_back_but_itself() {
        let fixture = TestStore::new();
        let works = vec![note("a", Ok(())), note("b", Err("")), note("c", Ok(()))];
        let answers: Vec<bool> = in_one_commit(&fixture.store, works).await.iter().map(Result::is_ok).collect();
        assert_eq!(answers, [true, false, true]);
        assert_eq!(noted(&fixture.store).await, ["a", "c"]);
    }

    #[tokio::test]
    async fn whoever_loses_the_whole_commit_is_told_and_those_after_it_are_not_touched() {
        let fixture = TestStore::new();
        let works = vec![note("a", Ok(())), note("b", Err("ROLLBACK")), note("c", Ok(()))];
        let answers: Vec<bool> = in_one_commit(&fixture.store, works).await.iter().map(Result::is_ok).collect();
        assert_eq!(answers, [false, false, true]);
        assert_eq!(noted(&fixture.store).await, ["c"]);
    }

    #[tokio::test]
    async fn the_bell_rings_when_all_that_belongs_together_is_on_disk_and_not_before() {
        let fixture = TestStore::new();
        let mut newest_row = fixture.store.newest_row();
        let heard = newest_row.clone();
        let (queued, all_queued) = std::sync::mpsc::channel::<()>();
        let wait = fixture.store.0.writer.write(move |_| Ok(all_queued.recv().is_err()));
        let accepts = join_all((0..5).map(|_| fixture.store.accept(request("shop", Repetition::Never))));
        let meanwhile = fixture.store.0.writer.write(move |_| Ok(*heard.borrow()));
        let sign = async move { drop(queued) };
        let (_, accepted, meanwhile, ()) = futures_util::future::join4(wait, accepts, meanwhile, sign).await;
        assert!(accepted.iter().all(Result::is_ok));
        assert_eq!(meanwhile.unwrap(), 0);
        assert_eq!(*newest_row.borrow_and_update(), 5);
    }

    #[tokio::test]
    async fn on_a_full_disk_what_was_written_can_be_read_and_it_goes_on_when_there_is_room() {
        let fixture = TestStore::new();
        let limit = |pages: &'static str| {
            fixture.store.0.writer.write(move |connection| {
                let sql = format!("PRAGMA max_page_count = {pages}");
                Ok(connection.query_row(&sql, [], |row| row.get::<_, i64>(0))?)
            })
        };
        let full = limit("1").await.unwrap();
        assert!(full > 1, "SQLite sets it to what is in use");

        let (mut kept, mut refused): (Vec<Deployment>, usize) = (Vec::new(), 0);
        while refused == 0 {
            let all = join_all((0..40).map(|_| fixture.store.accept(request("shop", Repetition::Never)))).await;
            for acceptance in all {
                match acceptance {
                    Ok(Acceptance::New(deployment)) => kept.push(deployment),
                    Err(error) if error.is_full() => refused += 1,
                    other => panic!("{other:?}"),
                }
            }
        }
        kept.sort_by_key(|deployment| deployment.order);
        assert_eq!(fixture.store.unfinished().await.unwrap(), kept);
        assert_eq!(*fixture.store.newest_row().borrow(), i64::try_from(kept.len()).unwrap());

        limit("1000000").await.unwrap();
        kept.push(fixture.new_one("shop").await);
        let fixture = fixture.reopen();
        assert_eq!(fixture.store.unfinished().await.unwrap(), kept);
    }

    #[tokio::test]
    async fn a_thread_that_died_leaves_nobody_waiting() {
        let fixture = TestStore::new();
        let died = fixture.store.0.writer.write::<()>(|_| panic!("on purpose")).await;
        assert!(matches!(died, Err(StoreError::Closed)), "{died:?}");
        let refused = fixture.store.accept(request("shop", Repetition::Never)).await;
        assert!(matches!(refused, Err(StoreError::Closed)), "{refused:?}");
    }
}
