//! What windlass remembers: deployments, their journals, deliveries and freezes, in one SQLite database.
//!
//! The only code that knows SQL. What a method that writes has answered is on disk and survives a power cut; what it
//! has not answered is there whole or not at all. Journal rows are the stream; [`Store::newest_row`] only says that there
//! are new ones.

pub mod format;

mod accept;
mod feed;
mod journal;
mod rows;

mod deployments;
mod extent;
mod freezes;
mod images;

mod retention;

mod reader;
mod worker;
mod writer;

mod column;
mod database;
mod error;
mod schema;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::watch;

pub use accept::Acceptance;
pub use deployments::{Deployment, Filter};
pub use error::StoreError;
pub use extent::Extent;
pub use feed::{Feed, Told, What};
pub use journal::Entry;
pub use retention::{Retention, WAY_BACK};

use crate::model::Clock;

/// The store. Clones are the same one; dropping the last of them writes everything back and closes the file.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

// Dropped in this order: SQLite tidies the write-ahead log away when the last connection closes, which has to be one
// that may write; and nobody else may come in before that is over.
struct Inner {
    clock: Clock,
    reader: reader::Reader,
    writer: writer::Writer,
    newest_row: watch::Sender<i64>,
    state_dir: PathBuf,
    _lock: database::Lock,
}

impl Store {
    /// Opens the database in `state_dir`, creates what is missing and brings an older one up to date.
    ///
    /// # Errors
    /// [`StoreError::Open`], whose source says why: no access, damaged, in use, or written by a newer windlass.
    pub fn open(state_dir: &Path, clock: Clock) -> Result<Self, StoreError> {
        Self::open_with(state_dir, clock, Retention::default())
    }

    /// The same, where something else is remembered than by default.
    ///
    /// # Errors
    /// As those of [`Store::open`].
    pub fn open_with(state_dir: &Path, clock: Clock, retention: Retention) -> Result<Self, StoreError> {
        let database::Opened { writing, reading, newest, lock } = database::open(state_dir)?;
        let newest_row = watch::Sender::new(newest);
        let writer =
            writer::Writer::start(writing, newest_row.clone(), retention::Upkeep::new(retention, clock.clone()))?;
        let reader = reader::Reader::start(reading)?;
        let state_dir = state_dir.to_owned();
        Ok(Self(Arc::new(Inner { clock, reader, writer, newest_row, state_dir, _lock: lock })))
    }

    /// Answers when the writer has come to this question, whatever it can do then.
    pub async fn answers(&self) {
        let _ = self.0.writer.write(|_| Ok(())).await;
    }

    /// The number of the newest journal row, as of the last commit. Take the receiver first and read then: so nothing falls
    /// in between.
    #[must_use]
    pub fn newest_row(&self) -> watch::Receiver<i64> {
        self.0.newest_row.subscribe()
    }
}

/// Whether a windlass has its store in `state_dir` and runs. Changes nothing.
///
/// # Errors
/// When the directory cannot be opened.
pub fn is_in_use(state_dir: &Path) -> std::io::Result<bool> {
    database::is_in_use(state_dir)
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store(at {})", *self.0.newest_row.borrow())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use tempfile::TempDir;

    use super::*;
    use crate::deploy::event::{RequestedBy, Wanted};
    use crate::deploy::request::{DeployRequest, Repetition};
    use crate::model::{Digest, Timestamp};

    pub(super) const DAY: i64 = 24 * 60 * 60 * 1000;

    /// A store in a directory of its own, and a clock that stands still until it is moved.
    pub(super) struct TestStore {
        pub(super) directory: TempDir,
        pub(super) time: Arc<AtomicI64>,
        pub(super) store: Store,
        retention: Retention,
    }

    impl TestStore {
        pub(super) fn new() -> Self {
            Self::with(Retention::default())
        }

        pub(super) fn with(retention: Retention) -> Self {
            let directory = tempfile::tempdir().unwrap();
            let time = Arc::new(AtomicI64::new(1_760_000_000_000));
            let store = Store::open_with(directory.path(), clock(&time), retention).unwrap();
            Self { directory, time, store, retention }
        }

        pub(super) fn pass(&self, millis: i64) {
            self.time.fetch_add(millis, Ordering::Relaxed);
        }

        pub(super) fn reopen(self) -> Self {
            let Self { directory, time, store, retention } = self;
            drop(store);
            let store = Store::open_with(directory.path(), clock(&time), retention).unwrap();
            Self { directory, time, store, retention }
        }

        pub(super) async fn accept(&self, request: DeployRequest) -> Acceptance {
            self.store.accept(request).await.unwrap()
        }

        pub(super) async fn new_one(&self, project: &str) -> Deployment {
            match self.accept(request(project, Repetition::Never)).await {
                Acceptance::New(deployment) => deployment,
                other => panic!("{other:?}"),
            }
        }
    }

    fn clock(time: &Arc<AtomicI64>) -> Clock {
        let time = Arc::clone(time);
        Clock::new(move || Timestamp::from_millis(time.load(Ordering::Relaxed)))
    }

    pub(super) fn request(project: &str, repetition: Repetition) -> DeployRequest {
        let wanted = Wanted::Images(vec!["r.io/api:v2".parse().unwrap()]);
        let requested_by = RequestedBy { key: Some("ci".parse().unwrap()), ..RequestedBy::default() };
        DeployRequest {
            project: project.parse().unwrap(),
            wanted,
            requested_by,
            sequence: None,
            repetition,
            rollback: None,
        }
    }

    pub(super) fn delivery(id: &str, body: &str) -> Repetition {
        delivery_of("ci", id, body)
    }

    pub(super) fn delivery_of(key: &str, id: &str, body: &str) -> Repetition {
        let body = Digest::of(body.as_bytes());
        Repetition::Id { key: key.parse().unwrap(), id: id.parse().unwrap(), body }
    }

    #[tokio::test]
    async fn what_was_answered_is_there_after_the_store_was_closed_and_opened_again() {
        let fixture = TestStore::new();
        let deployment = fixture.new_one("shop").await;
        let fixture = fixture.reopen();
        assert_eq!(fixture.store.deployment(&deployment.id).await.unwrap(), Some(deployment));
        assert_eq!(*fixture.store.newest_row().borrow(), 1);
    }
}
