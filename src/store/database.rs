//! The file: where it is, who may open it, and how SQLite is told to treat it.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::{StoreError, journal, schema};

const FILE: &str = "windlass.db";

/// Pages in the write-ahead log before they are written back: 16 MiB. Larger than SQLite's own 1,000, because writing
/// back waits for the disk twice, and while many hooks come in, it would do so several times a second.
const CHECKPOINT: u32 = 4_000;

/// What stays of the log's file after it was written back.
const LOG_SIZE: u32 = 16 << 20;

/// Statements that are kept prepared: more than there are.
const STATEMENTS: usize = 48;

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
        let newest = journal::newest(&writing)?;
        let reading = connect(&path, OpenFlags::SQLITE_OPEN_READ_ONLY, -1024)?;
        Ok(Opened { writing, reading, newest, lock })
    };
    open().map_err(|source: StoreError| StoreError::Open { path: path.clone(), source: Box::new(source) })
}

fn make_directory(directory: &Path) -> Result<(), StoreError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(StoreError::system("make the state directory"))
}

/// Two windlasses on one database would each think that they alone change the host.
///
/// The lock is on the directory: closing a second handle of the database file would let go of SQLite's own locks.
fn lock(directory: &Path) -> Result<Lock, StoreError> {
    let handle = File::open(directory).map_err(StoreError::system("open the state directory"))?;
    match handle.try_lock() {
        Ok(()) => Ok(Lock { _directory: handle }),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse { directory: directory.to_owned() }),
        Err(TryLockError::Error(error)) => Err(StoreError::system("lock the state directory")(error)),
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

/// Commits go into a log and wait for the disk; readers see the last commit meanwhile.
fn write_ahead(connection: &Connection) -> Result<(), StoreError> {
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        // Some network and overlay file systems cannot share memory between connections.
        let error = std::io::Error::new(ErrorKind::Unsupported, "the file system has no shared memory");
        return Err(StoreError::system("set up a write-ahead log")(error));
    }
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT)?;
    connection.pragma_update_and_check(None, "journal_size_limit", LOG_SIZE, |_| Ok(()))?;
    Ok(())
}
