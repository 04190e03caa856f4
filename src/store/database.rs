//! The file: where it is, who may open it, and how SQLite is told to treat it.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};

use super::error::StoreError;
use super::{rows, schema};

const FILE: &str = "windlass.db";

/// What stays of the log's file after it was written back.
const LOG_SIZE: u32 = 16 << 20;

/// Statements that are kept prepared: more than there are.
const STATEMENTS: usize = 48;

/// How long another windlass on the same directory is waited for.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);
const LOCK_INTERVAL: Duration = Duration::from_millis(10);

/// An open database.
pub(super) struct Opened {
    pub(super) writing: Connection,
    pub(super) reading: Connection,
    /// The number of the newest journal row.
    pub(super) newest: i64,
    pub(super) lock: Lock,
}

/// Held on the directory as long as the store is open. The system lets go of it when the process dies.
#[derive(Debug)]
pub(super) struct Lock {
    _directory: File,
}

pub(super) fn open(state_dir: &Path) -> Result<Opened, StoreError> {
    let path = state_dir.join(FILE);
    let open = || {
        make_directory(state_dir)?;
        let lock = lock(state_dir)?;
        make_file(&path)?;
        let mut writing = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE, -1024)?;
        write_ahead(&writing)?;
        schema::migrate(&mut writing)?;
        let newest = rows::newest(&writing)?;
        let reading = connect(&path, OpenFlags::SQLITE_OPEN_READ_ONLY, -1024)?;
        Ok(Opened { writing, reading, newest, lock })
    };
    open().map_err(|source: StoreError| StoreError::Open { path: path.clone(), source: Box::new(source) })
}

/// The database and its log.
pub(super) fn files(state_dir: &Path) -> [PathBuf; 2] {
    [state_dir.join(FILE), state_dir.join(format!("{FILE}-wal"))]
}

fn make_directory(directory: &Path) -> Result<(), StoreError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(StoreError::system("make the state directory"))
}

/// Two windlasses on one database would each think that they alone change the host.
///
/// The lock is on the directory: closing a second handle of the database file would let go of SQLite's own locks.
///
/// A program that was being started when its windlass died holds a copy of the lock until it has been: a moment.
fn lock(directory: &Path) -> Result<Lock, StoreError> {
    let handle = File::open(directory).map_err(StoreError::system("open the state directory"))?;
    let deadline = Instant::now() + LOCK_TIMEOUT;
    loop {
        match handle.try_lock() {
            Ok(()) => return Ok(Lock { _directory: handle }),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => std::thread::sleep(LOCK_INTERVAL),
            Err(TryLockError::WouldBlock) => return Err(StoreError::InUse { directory: directory.to_owned() }),
            Err(TryLockError::Error(error)) => return Err(StoreError::system("lock the state directory")(error)),
        }
    }
}

/// Whether a windlass has the directory.
pub(super) fn is_in_use(directory: &Path) -> io::Result<bool> {
    match File::open(directory)?.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Makes the file before SQLite does, so that it is nobody else's to read; SQLite gives its log the same mode.
fn make_file(path: &Path) -> Result<(), StoreError> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(StoreError::system("make the database file")(error)),
    }
}

/// A connection that keeps at most `cache` in memory: in pages, or in KiB when negative.
fn connect(path: &Path, access: OpenFlags, cache: i32) -> Result<Connection, StoreError> {
    // Each connection stays with one thread, so SQLite need not guard it.
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    // Somebody may be looking at it with another tool.
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "cache_size", cache)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(connection)
}

/// Commits go into a log and wait for the disk; readers see the last commit meanwhile. The log is written back every 1,000
/// pages, as SQLite has it: more at once would make fewer hooks wait, but those for longer.
fn write_ahead(connection: &Connection) -> Result<(), StoreError> {
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        // Some network and overlay file systems cannot share memory between connections.
        let error = std::io::Error::new(ErrorKind::Unsupported, "the file system has no shared memory");
        return Err(StoreError::system("set up a write-ahead log")(error));
    }
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update_and_check(None, "journal_size_limit", LOG_SIZE, |_| Ok(()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use tempfile::TempDir;

    use super::super::tests::{TestStore, delivery, request};
    use super::super::{Acceptance, Store};
    use super::*;
    use crate::model::Clock;

    fn refused(directory: &Path) -> StoreError {
        match Store::open(directory, Clock::system()).unwrap_err() {
            StoreError::Open { path, source } if path == directory.join(FILE) => *source,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn what_is_made_is_for_the_owner_alone() {
        let above = tempfile::tempdir().unwrap();
        let directory = above.path().join("lib/windlass");
        let store = Store::open(&directory, Clock::system()).unwrap();
        store.accept(request("shop", delivery("a", "x"))).await.unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&directory), 0o700);
        for file in ["windlass.db", "windlass.db-wal", "windlass.db-shm"] {
            assert_eq!(mode(&directory.join(file)), 0o600, "{file}");
        }
        drop(store);
        assert!(!directory.join("windlass.db-wal").exists(), "the log is written back at the end");
    }

    #[test]
    fn two_stores_do_not_share_a_directory() {
        let fixture = TestStore::new();
        assert!(matches!(refused(fixture.directory.path()), StoreError::InUse { .. }));
        fixture.reopen();
    }

    #[test]
    fn a_lock_that_is_let_go_of_in_a_moment_is_waited_for() {
        let TestStore { directory, store, .. } = TestStore::new();
        let held = File::open(directory.path()).unwrap();
        drop(store);
        held.try_lock().unwrap();
        std::thread::scope(|scope| {
            let opening = scope.spawn(|| Store::open(directory.path(), Clock::system()).unwrap());
            std::thread::sleep(LOCK_INTERVAL * 3);
            assert!(!opening.is_finished(), "somebody else holds it");
            held.unlock().unwrap();
        });
    }

    #[test]
    fn a_file_that_is_no_database_or_a_part_of_one_is_damaged() {
        let fixture = TestStore::new();
        let (path, directory) = (fixture.directory.path().join(FILE), fixture.directory);
        drop(fixture.store);
        let whole = std::fs::read(&path).unwrap();
        let mut scribbled = whole.clone();
        scribbled[..16].copy_from_slice(b"not a database!!");
        for content in [b"this is not a database, as anybody can see".to_vec(), scribbled, whole[..8192].to_vec()] {
            std::fs::write(&path, content).unwrap();
            let error = refused(directory.path());
            assert!(matches!(error, StoreError::Corrupt(_)), "{error:?}");
        }
        std::fs::write(&path, whole).unwrap();
        Store::open(directory.path(), Clock::system()).unwrap();
    }

    #[test]
    fn a_database_of_a_newer_windlass_or_of_somebody_else_is_left_alone() {
        let fixture = TestStore::new();
        let (path, directory) = (fixture.directory.path().join(FILE), fixture.directory);
        drop(fixture.store);
        let change = |sql: &str| Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        change("PRAGMA user_version = 99");
        let error = refused(directory.path());
        assert!(matches!(error, StoreError::Newer { found: 99, .. }), "{error:?}");
        change("PRAGMA application_id = 5");
        let error = refused(directory.path());
        assert!(matches!(error, StoreError::Foreign), "{error:?}");
        change("PRAGMA application_id = 0");
        let error = refused(directory.path());
        assert!(matches!(error, StoreError::Foreign), "{error:?}");
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_named_with_its_reason() {
        let above = tempfile::tempdir().unwrap();
        std::fs::write(above.path().join("file"), "").unwrap();
        let error = Store::open(&above.path().join("file/state"), Clock::system()).unwrap_err();
        let text = format!("{:#}", anyhow::Error::new(error));
        assert!(text.contains("file/state/windlass.db: failed to make the state directory: Not a directory"), "{text}");
    }

    /// What a power cut would leave: the database as it was, and so much of the log as had been written.
    fn cut_off(fixture: &TestStore, log: &[u8]) -> (TempDir, Store) {
        let elsewhere = tempfile::tempdir().unwrap();
        std::fs::copy(fixture.directory.path().join(FILE), elsewhere.path().join(FILE)).unwrap();
        std::fs::write(elsewhere.path().join("windlass.db-wal"), log).unwrap();
        let store = Store::open(elsewhere.path(), Clock::system()).unwrap();
        (elsewhere, store)
    }

    #[tokio::test]
    async fn after_a_power_cut_all_that_was_answered_is_there_and_nothing_is_there_by_half() {
        let fixture = TestStore::new();
        let log = fixture.directory.path().join("windlass.db-wal");
        let mut answered = Vec::new();
        for number in 0..12 {
            let acceptance = fixture.accept(request("shop", delivery(&number.to_string(), "x"))).await;
            let Acceptance::New(deployment) = acceptance else { panic!("{acceptance:?}") };
            answered.push((deployment, std::fs::metadata(&log).unwrap().len()));
        }
        let whole = std::fs::read(&log).unwrap();
        for cut in (0..whole.len()).step_by(1999).chain([whole.len()]) {
            let mut log = whole[..cut].to_vec();
            // The disk may hold anything where the last write did not get to.
            log.extend_from_slice(&[0xa5; 3000]);
            let (_elsewhere, store) = cut_off(&fixture, &log);
            let there = store.unfinished().await.unwrap();
            let durable = answered.iter().filter(|(_, end)| *end <= u64::try_from(cut).unwrap()).count();
            assert!(there.len() >= durable, "{} of {durable} after {cut} bytes", there.len());
            for (number, deployment) in there.iter().enumerate() {
                assert_eq!(*deployment, answered[number].0);
                assert_eq!(store.events(&deployment.id, 0, 9).await.unwrap().len(), 1);
            }
            let next = store.accept(request("shop", delivery(&there.len().to_string(), "x"))).await.unwrap();
            assert!(matches!(next, Acceptance::New(_)), "{next:?}");
            if let Some(last) = there.len().checked_sub(1) {
                let again = store.accept(request("shop", delivery(&last.to_string(), "x"))).await.unwrap();
                assert_eq!(again, Acceptance::Joined(there[last].clone()));
            }
        }
    }
}
