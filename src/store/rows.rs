//! Rows of the journal, as SQL adds, finds and deletes them.

use rusqlite::{Connection, params};

use super::column::Json;
use super::error::StoreError;
use crate::deploy::event::Event;
use crate::model::{ProjectName, Timestamp};

/// Adds a row about a deployment, and gives its number.
pub(super) fn insert(connection: &Connection, order: i64, at: Timestamp, event: &str) -> Result<i64, StoreError> {
    const SQL: &str = "INSERT INTO journal (deployment, at, event) VALUES (?, ?, ?)";
    Ok(connection.prepare_cached(SQL)?.insert(params![order, at.as_millis(), event])?)
}

/// The number of the newest row; 0 before there is one.
pub(super) fn newest(connection: &Connection) -> Result<i64, StoreError> {
    let mut statement = connection.prepare_cached("SELECT coalesce(max(number), 0) FROM journal")?;
    Ok(statement.query_row([], |row| row.get(0))?)
}

/// All that the deployment with that number said.
pub(super) fn events_of(connection: &Connection, number: i64) -> Result<Vec<Event>, StoreError> {
    const SQL: &str = "SELECT * FROM journal WHERE deployment = ?1 ORDER BY number";
    let mut statement = connection.prepare_cached(SQL)?;
    let events = statement.query_map([number], |row| row.get("event").map(|Json(event)| event))?;
    Ok(events.collect::<Result<_, _>>()?)
}

/// Adds a row about a project, or about the host where none is named.
pub(super) fn insert_about(
    connection: &Connection,
    project: Option<&ProjectName>,
    at: Timestamp,
    event: &str,
) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO journal (project, at, event) VALUES (?, ?, ?)";
    let project = project.map(ProjectName::as_str);
    connection.prepare_cached(SQL)?.execute(params![project, at.as_millis(), event])?;
    Ok(())
}

/// Deletes at most `limit` rows that are about no deployment and older than `oldest`, but never the newest row of all:
/// its number must not be given again, or a reader would miss the one that gets it. How many were deleted.
pub(super) fn forget(connection: &Connection, oldest: Timestamp, limit: usize) -> Result<usize, StoreError> {
    const SQL: &str = "DELETE FROM journal WHERE number IN (
            SELECT number FROM journal WHERE deployment IS NULL AND at < ? ORDER BY at LIMIT ?
        ) AND number < (SELECT max(number) FROM journal)";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    Ok(connection.prepare_cached(SQL)?.execute(params![oldest.as_millis(), limit])?)
}
