//! How much windlass remembers, and how large that is on disk.

use nix::sys::statvfs::statvfs;
use rusqlite::Connection;

use super::{Store, StoreError, database};

/// How much there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// On disk, the log included.
    pub bytes: u64,
    /// How much room is left there for anybody, where the system says so.
    pub free_bytes: Option<u64>,
    /// How many deployments are remembered.
    pub deployments: u64,
}

impl Store {
    /// How much there is.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn extent(&self) -> Result<Extent, StoreError> {
        let (files, directory) = (database::files(&self.0.state_dir), self.0.state_dir.clone());
        let measure = move |connection: &Connection| {
            let mut statement = connection.prepare_cached("SELECT count(*) FROM deployments")?;
            let deployments = statement.query_row([], |row| row.get::<_, i64>(0))?.unsigned_abs();
            let bytes = files.iter().filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum();
            let free_bytes = statvfs(&directory).ok().map(|disk| disk.blocks_available() * disk.fragment_size());
            Ok(Extent { bytes, free_bytes, deployments })
        };
        self.0.reader.read(measure).await
    }
}
