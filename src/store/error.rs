//! Why the store could not do what it was asked.

use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::ErrorCode;

use crate::deploy::status::IllegalEvent;
use crate::model::DeploymentId;

/// Why the store could not do what it was asked. Nothing was written then.
///
/// Can be cloned, because one failed commit fails everybody who had a part in it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The database could not be opened.
    #[error("failed to open {}", path.display())]
    Open {
        /// The database file.
        path: PathBuf,
        /// Why.
        source: Box<StoreError>,
    },
    /// The disk is full, read-only, failing, or the file is held by somebody else. It may pass.
    #[error("the state database cannot be written or read just now")]
    Full(#[source] Arc<rusqlite::Error>),
    /// Somebody has taken the file away from under a windlass that uses it. It passes with the next start.
    #[error("{} was removed or replaced while windlass uses it: restart windlass", path.display())]
    Moved {
        /// The database file.
        path: PathBuf,
    },
    /// What is in the file is not what was written there.
    #[error("the state database is damaged; restore it from a backup, or move it away to start over")]
    Corrupt(#[source] Arc<rusqlite::Error>),
    /// The file belongs to another program.
    #[error("this is a database of another program")]
    Foreign,
    /// A newer windlass has changed the database.
    #[error("it was written by a newer windlass: its format is {found}, and this one knows up to {known}")]
    Newer {
        /// What the file says.
        found: i64,
        /// What this windlass knows.
        known: i64,
    },
    /// Another windlass uses the same state directory.
    #[error("another windlass is using {}", directory.display())]
    InUse {
        /// The directory.
        directory: PathBuf,
    },
    /// A file or directory could not be made or opened, or a thread not be started.
    #[error("failed to {operation}")]
    System {
        /// What was being done, in a few words.
        operation: &'static str,
        /// Why.
        source: Arc<std::io::Error>,
    },
    /// The history would not be one that can happen.
    #[error(transparent)]
    Illegal(#[from] IllegalEvent),
    /// There is no such deployment.
    #[error("there is no deployment {0}")]
    Unknown(DeploymentId),
    /// A value could not be put into writing.
    #[error("failed to serialize an event")]
    Encode(#[source] Arc<serde_json::Error>),
    /// The store is gone: its thread has ended.
    #[error("the store is closed")]
    Closed,
    /// SQLite refused for a reason that is a mistake of windlass.
    #[error("the state database refused")]
    Refused(#[source] Arc<rusqlite::Error>),
}

impl StoreError {
    /// Whether it is for want of room or access, so that the same may well succeed once somebody has made some.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        matches!(self, Self::Full(_) | Self::Moved { .. })
    }

    pub(super) fn system(operation: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::System { operation, source: Arc::new(source) }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::Error;
        let code = error.sqlite_error_code();
        let unreadable = matches!(
            error,
            Error::FromSqlConversionFailure(..) | Error::InvalidColumnType(..) | Error::IntegralValueOutOfRange(..)
        );
        let error = Arc::new(error);
        match code {
            Some(
                ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::ReadOnly
                | ErrorCode::CannotOpen
                | ErrorCode::PermissionDenied
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::OutOfMemory,
            ) => Self::Full(error),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt(error),
            _ if unreadable => Self::Corrupt(error),
            _ => Self::Refused(error),
        }
    }
}

impl From<serde_json::Error> for StoreError {
    fn from(error: serde_json::Error) -> Self {
        Self::Encode(Arc::new(error))
    }
}
