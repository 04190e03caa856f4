//! How our values stand in a column, and how they are read back.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ValueRef};

use super::format;
use crate::deploy::event::Event;
use crate::deploy::incident::{HostEvent, ProjectEvent};
use crate::deploy::status::Status;
use crate::model::Timestamp;

/// A column that holds JSON.
pub(super) struct Json<T>(pub(super) T);

/// A column that holds one of our names.
pub(super) struct Name<T>(pub(super) T);

/// A column that holds a moment, in milliseconds.
pub(super) struct Time(pub(super) Timestamp);

impl FromSql for Json<Event> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        format::read_event(value.as_str()?).map(Self).map_err(FromSqlError::other)
    }
}

impl FromSql for Json<ProjectEvent> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        format::read_project_event(value.as_str()?).map(Self).map_err(FromSqlError::other)
    }
}

impl FromSql for Json<HostEvent> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        format::read_host_event(value.as_str()?).map(Self).map_err(FromSqlError::other)
    }
}

impl FromSql for Json<Status> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        format::read_status(value.as_str()?).map(Self).map_err(FromSqlError::other)
    }
}

impl<T: TryFrom<String, Error: std::error::Error + Send + Sync + 'static>> FromSql for Name<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        T::try_from(value.as_str()?.to_owned()).map(Self).map_err(FromSqlError::other)
    }
}

impl FromSql for Time {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_i64().map(Timestamp::from_millis).map(Self)
    }
}
