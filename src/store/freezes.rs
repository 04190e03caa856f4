//! Freezes: a project that nobody may deploy to for a while.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::column::Time;
use super::{Store, StoreError};
use crate::model::{ProjectName, Timestamp};

/// Why a project takes no deployments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freeze {
    /// What was said about it.
    pub reason: Option<String>,
    /// Who did it.
    pub by: String,
    /// From when.
    pub since: Timestamp,
    /// Until when; nothing when somebody has to end it.
    pub until: Option<Timestamp>,
}

impl Store {
    /// Lets `project` take no deployments from now on. A freeze of before is replaced.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn freeze(&self, project: &ProjectName, freeze: Freeze) -> Result<(), StoreError> {
        const SQL: &str = "INSERT OR REPLACE INTO freezes (project, reason, by, since, until) VALUES (?, ?, ?, ?, ?)";
        let project = project.clone();
        let write = move |connection: &Connection| {
            let Freeze { reason, by, since, until } = freeze;
            let until = until.map(Timestamp::as_millis);
            connection.prepare_cached(SQL)?.execute(params![project.as_str(), reason, by, since.as_millis(), until])?;
            Ok(())
        };
        self.0.writer.write(write).await
    }

    /// Lets `project` take deployments again. Whether it was frozen.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn unfreeze(&self, project: &ProjectName) -> Result<bool, StoreError> {
        let (project, clock) = (project.clone(), self.0.clock.clone());
        let write = move |connection: &Connection| {
            let was = frozen(connection, &project, clock.now())?.is_some();
            connection.prepare_cached("DELETE FROM freezes WHERE project = ?")?.execute([project.as_str()])?;
            Ok(was)
        };
        self.0.writer.write(write).await
    }

    /// Why `project` takes no deployments; nothing when it does.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn frozen(&self, project: &ProjectName) -> Result<Option<Freeze>, StoreError> {
        let (project, now) = (project.clone(), self.0.clock.now());
        self.0.reader.read(move |connection| frozen(connection, &project, now)).await
    }
}

/// The freeze of `project` that is in force at `now`.
pub(super) fn frozen(
    connection: &Connection,
    project: &ProjectName,
    now: Timestamp,
) -> Result<Option<Freeze>, StoreError> {
    const SQL: &str = "SELECT * FROM freezes WHERE project = ? AND (until IS NULL OR until > ?)";
    let mut statement = connection.prepare_cached(SQL)?;
    Ok(statement.query_row(params![project.as_str(), now.as_millis()], freeze).optional()?)
}

fn freeze(row: &Row<'_>) -> rusqlite::Result<Freeze> {
    let Time(since) = row.get("since")?;
    let until = row.get::<_, Option<Time>>("until")?.map(|Time(at)| at);
    Ok(Freeze { reason: row.get("reason")?, by: row.get("by")?, since, until })
}
