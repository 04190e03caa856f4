//! Deployments as rows, and the questions about them.

use rusqlite::types::ToSql;
use rusqlite::{Connection, OptionalExtension as _, Row};

use super::column::{Json, Name, Time};
use super::{Store, StoreError};
use crate::deploy::event::Outcome;
use crate::deploy::status::{State, Status};
use crate::model::{DeploymentId, ProjectName, Timestamp};

/// A deployment as it is on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// Its name.
    pub id: DeploymentId,
    /// Its place in the order in which deployments were accepted, over all projects. Clocks have no say in it.
    pub order: i64,
    /// Whose it is.
    pub project: ProjectName,
    /// What follows from its events.
    pub status: Status,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When its turn came.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

/// Which deployments to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// Of this project alone.
    pub project: Option<ProjectName>,
    /// In this state alone.
    pub status: Option<State>,
    /// At most as many.
    pub limit: usize,
    /// Accepted before this one. Before one that is not known there is nothing.
    pub before: Option<DeploymentId>,
}

impl Default for Filter {
    fn default() -> Self {
        Self { project: None, status: None, limit: 50, before: None }
    }
}

impl Store {
    /// The deployment of that name.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn deployment(&self, id: &DeploymentId) -> Result<Option<Deployment>, StoreError> {
        let id = id.clone();
        self.0.reader.read(move |connection| find(connection, &id)).await
    }

    /// What `filter` lets through, the newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn deployments(&self, filter: &Filter) -> Result<Vec<Deployment>, StoreError> {
        let filter = filter.clone();
        self.0.reader.read(move |connection| list(connection, &filter)).await
    }

    /// What has no outcome yet, the oldest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn unfinished(&self) -> Result<Vec<Deployment>, StoreError> {
        const SQL: &str = "SELECT * FROM deployments WHERE state IN ('queued', 'running') ORDER BY number";
        self.0.reader.read(|connection| many(connection, SQL, &[])).await
    }

    /// The deployment of `project` that was accepted last.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn newest(&self, project: &ProjectName) -> Result<Option<Deployment>, StoreError> {
        let filter = Filter { project: Some(project.clone()), limit: 1, ..Filter::default() };
        Ok(self.deployments(&filter).await?.into_iter().next())
    }

    /// How many deployments there are, by project and by state as scripts know it.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn counts(&self) -> Result<Vec<(ProjectName, String, u64)>, StoreError> {
        const SQL: &str = "SELECT project, state, count(*) FROM deployments GROUP BY project, state";
        let count = |row: &Row<'_>| {
            let Name(project) = row.get(0)?;
            Ok((project, row.get(1)?, row.get::<_, i64>(2)?.unsigned_abs()))
        };
        let read = move |connection: &Connection| {
            let mut statement = connection.prepare_cached(SQL)?;
            Ok(statement.query_map([], count)?.collect::<Result<_, _>>()?)
        };
        self.0.reader.read(read).await
    }

    /// The deployments of `project` that succeeded, the newest first: its good releases.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn succeeded(&self, project: &ProjectName, limit: usize) -> Result<Vec<Deployment>, StoreError> {
        let status = Some(State::Finished(Outcome::Succeeded));
        self.deployments(&Filter { project: Some(project.clone()), status, limit, before: None }).await
    }
}

/// The deployment of that name, as the connection sees it.
pub(super) fn find(connection: &Connection, id: &DeploymentId) -> Result<Option<Deployment>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT * FROM deployments WHERE id = ?1")?;
    Ok(statement.query_row([id.as_str()], deployment).optional()?)
}

/// The deployment with that number.
pub(super) fn numbered(connection: &Connection, number: i64) -> Result<Deployment, StoreError> {
    let mut statement = connection.prepare_cached("SELECT * FROM deployments WHERE number = ?1")?;
    Ok(statement.query_row([number], deployment)?)
}

fn list(connection: &Connection, filter: &Filter) -> Result<Vec<Deployment>, StoreError> {
    let limit = i64::try_from(filter.limit).unwrap_or(i64::MAX);
    let mut sql = "SELECT * FROM deployments WHERE ".to_owned();
    let mut values: Vec<&dyn ToSql> = Vec::new();
    let project = filter.project.as_ref().map(ProjectName::as_str);
    let state = filter.status.map(state_name);
    let before = filter.before.as_ref().map(DeploymentId::as_str);
    if let Some(project) = &project {
        sql.push_str("project = ? AND ");
        values.push(project);
    }
    if let Some(state) = &state {
        sql.push_str("state = ? AND ");
        values.push(state);
    }
    if let Some(before) = &before {
        sql.push_str("number < (SELECT number FROM deployments WHERE id = ?) AND ");
        values.push(before);
    }
    sql.push_str("TRUE ORDER BY number DESC LIMIT ?");
    values.push(&limit);
    many(connection, &sql, &values)
}

fn many(connection: &Connection, sql: &str, values: &[&dyn ToSql]) -> Result<Vec<Deployment>, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    Ok(statement.query_map(values, deployment)?.collect::<Result<_, _>>()?)
}

fn deployment(row: &Row<'_>) -> rusqlite::Result<Deployment> {
    let Name(id) = row.get("id")?;
    let Name(project) = row.get("project")?;
    let Json(status) = row.get("status")?;
    let Time(created_at) = row.get("created_at")?;
    let started_at = row.get::<_, Option<Time>>("started_at")?.map(|Time(at)| at);
    let finished_at = row.get::<_, Option<Time>>("finished_at")?.map(|Time(at)| at);
    Ok(Deployment { id, order: row.get("number")?, project, status, created_at, started_at, finished_at })
}

/// The state as it stands in its column: as scripts know it.
pub(super) const fn state_name(state: State) -> &'static str {
    match state {
        State::Queued => "queued",
        State::Running => "running",
        State::Finished(outcome) => outcome.as_str(),
    }
}
