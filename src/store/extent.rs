//! How much windlass remembers, and how large that is on disk.

use rusqlite::Connection;

use super::{Store, StoreError, database};

/// How much there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// On disk, the log included.
    pub bytes: u64,
    /// How many deployments are remembered.
    pub deployments: u64,
}

impl Store {
    /// How much there is.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn extent(&self) -> Result<Extent, StoreError> {
        let files = database::files(&self.0.state_dir);
        let measure = move |connection: &Connection| {
            let mut statement = connection.prepare_cached("SELECT count(*) FROM deployments")?;
            let deployments = statement.query_row([], |row| row.get::<_, i64>(0))?.unsigned_abs();
            let bytes = files.iter().filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum();
            Ok(Extent { bytes, deployments })
        };
        self.0.reader.read(measure).await
    }
}
