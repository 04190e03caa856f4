//! Deployments as rows, and the questions about them.

use rusqlite::types::{ToSql, Value};
use rusqlite::{Connection, OptionalExtension as _, Row};

use super::column::{Json, Name, Time};
use super::rows::events_of;
use super::{Store, StoreError};
use crate::deploy::event::Outcome;
use crate::deploy::status::{State, Status};
use crate::model::{DeploymentId, ProjectName, Timestamp};

const UNFINISHED: &str = "SELECT * FROM deployments WHERE state IN ('queued', 'running') ORDER BY number";

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
    /// Whose id begins or ends with these characters.
    pub id: Option<String>,
    /// At most as many.
    pub limit: usize,
    /// Accepted before this one. Before one that is not known there is nothing.
    pub before: Option<DeploymentId>,
}

impl Default for Filter {
    fn default() -> Self {
        Self { project: None, status: None, id: None, limit: 50, before: None }
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
        self.0.reader.read(|connection| many(connection, UNFINISHED, &[], usize::MAX)).await
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
            // What is not even a project's name is nobody's.
            let Ok(Name(project)) = row.get(0) else { return Ok(None) };
            Ok(Some((project, row.get(1)?, row.get::<_, i64>(2)?.unsigned_abs())))
        };
        let read = move |connection: &Connection| {
            let mut statement = connection.prepare_cached(SQL)?;
            Ok(statement.query_map([], count)?.filter_map(Result::transpose).collect::<Result<_, _>>()?)
        };
        self.0.reader.read(read).await
    }

    /// The deployments of `project` that succeeded, the newest first: its good releases.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn succeeded(&self, project: &ProjectName, limit: usize) -> Result<Vec<Deployment>, StoreError> {
        let status = Some(State::Finished(Outcome::Succeeded));
        self.deployments(&Filter { project: Some(project.clone()), status, limit, ..Filter::default() }).await
    }
}

/// The deployment of that name, as the connection sees it.
pub(super) fn find(connection: &Connection, id: &DeploymentId) -> Result<Option<Deployment>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT * FROM deployments WHERE id = ?1")?;
    Ok(statement.query_row([id.as_str()], |row| deployment(connection, row)).optional()?)
}

/// The deployment with that number, unless it was forgotten.
pub(super) fn numbered(connection: &Connection, number: i64) -> Result<Option<Deployment>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT * FROM deployments WHERE number = ?1")?;
    Ok(statement.query_row([number], |row| deployment(connection, row)).optional()?)
}

fn list(connection: &Connection, filter: &Filter) -> Result<Vec<Deployment>, StoreError> {
    let (sql, values) = question(filter);
    let values: Vec<&dyn ToSql> = values.iter().map(|value| value as &dyn ToSql).collect();
    many(connection, &sql, &values, filter.limit)
}

/// The question that `filter` asks, but for its limit. Only what is known at compile time becomes SQL.
fn question(filter: &Filter) -> (String, Vec<Value>) {
    let mut sql = "SELECT * FROM deployments WHERE ".to_owned();
    let mut values = Vec::new();
    if let Some(project) = &filter.project {
        sql.push_str("project = ? AND ");
        values.push(Value::from(project.to_string()));
    }
    if let Some(state) = filter.status {
        sql.push_str("state = ? AND ");
        values.push(Value::from(state.as_str().to_owned()));
    }
    if let Some(part) = &filter.id {
        sql.push_str("? IN (substr(id, 1, ?), substr(id, -?)) AND ");
        let length = Value::from(i64::try_from(part.len()).unwrap_or(i64::MAX));
        values.extend([Value::from(part.clone()), length.clone(), length]);
    }
    if let Some(before) = &filter.before {
        sql.push_str("number < (SELECT number FROM deployments WHERE id = ?) AND ");
        values.push(Value::from(before.to_string()));
    }
    sql.push_str("TRUE ORDER BY number DESC");
    (sql, values)
}

/// The first that can be read, at most `limit`. A row that a disk has damaged, or another version of windlass has
/// written, hides no other and takes no other's place.
fn many(
    connection: &Connection,
    sql: &str,
    values: &[&dyn ToSql],
    limit: usize,
) -> Result<Vec<Deployment>, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(values)?;
    let mut readable = Vec::new();
    while readable.len() < limit
        && let Some(row) = rows.next()?
    {
        match deployment(connection, row) {
            Ok(deployment) => readable.push(deployment),
            Err(error) => {
                let text = |column| row.get(column).unwrap_or_else(|_| "?".to_owned());
                let (id, project) = (text("id"), text("project"));
                tracing::error!(deployment = id, project, %error, "the stored deployment is invalid: it is left as it is, manual action required");
            }
        }
    }
    Ok(readable)
}

fn deployment(connection: &Connection, row: &Row<'_>) -> rusqlite::Result<Deployment> {
    let Name(id) = row.get("id")?;
    let Name(project) = row.get("project")?;
    let state: String = row.get("state")?;
    let status = match row.get::<_, Json<Status>>("status") {
        Ok(Json(status)) if status.state.as_str() == state => status,
        damaged => match replayed(connection, row.get("number")?) {
            Some(status) => {
                tracing::warn!(deployment = %id, %project, "the stored status is damaged: it was rebuilt from the journal");
                status
            }
            None => damaged?.0,
        },
    };
    let Time(created_at) = row.get("created_at")?;
    let started_at = row.get::<_, Option<Time>>("started_at")?.map(|Time(at)| at);
    let finished_at = row.get::<_, Option<Time>>("finished_at")?.map(|Time(at)| at);
    Ok(Deployment { id, order: row.get("number")?, project, status, created_at, started_at, finished_at })
}

/// The status that follows from a deployment's journal; nothing where that cannot be read either.
fn replayed(connection: &Connection, number: i64) -> Option<Status> {
    Status::replay(&events_of(connection, number).ok()?).ok()?
}

#[cfg(test)]
mod tests {
    use super::super::tests::{TestStore, request};
    use super::*;
    use crate::deploy::event::Event;
    use crate::deploy::request::Repetition;
    use crate::deploy::status::tests::good_history;

    fn ids(deployments: &[Deployment]) -> Vec<&str> {
        deployments.iter().map(|deployment| deployment.id.as_str()).collect()
    }

    /// How SQLite would look for it.
    fn plan(connection: &Connection, sql: &str, values: &[Value]) -> String {
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let values = rusqlite::params_from_iter(values);
        let lines = statement.query_map(values, |row| row.get::<_, String>("detail")).unwrap();
        lines.collect::<Result<Vec<_>, _>>().unwrap().join("; ")
    }

    #[tokio::test]
    async fn a_list_is_newest_first_and_goes_on_before_its_last() {
        let fixture = TestStore::new();
        let mut all = Vec::new();
        for project in ["shop", "site", "shop", "shop"] {
            all.push(fixture.new_one(project).await);
        }
        all.reverse();
        let shop = Filter { project: Some("shop".parse().unwrap()), limit: 2, ..Filter::default() };
        assert_eq!(ids(&fixture.store.deployments(&Filter::default()).await.unwrap()), ids(&all));
        let page = fixture.store.deployments(&shop).await.unwrap();
        assert_eq!(ids(&page), [all[0].id.as_str(), all[1].id.as_str()]);
        let rest = Filter { before: Some(page[1].id.clone()), ..shop };
        assert_eq!(ids(&fixture.store.deployments(&rest).await.unwrap()), [all[3].id.as_str()]);
        let nowhere = Filter { before: Some(DeploymentId::new(all[0].created_at)), ..Filter::default() };
        assert!(fixture.store.deployments(&nowhere).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn each_state_is_found_by_its_name() {
        let fixture = TestStore::new();
        let queued = fixture.new_one("shop").await;
        let mut running = fixture.new_one("shop").await;
        fixture.store.append(&mut running, Event::Started).await.unwrap();
        let mut gone = fixture.new_one("shop").await;
        fixture.store.append(&mut gone, Event::superseded(&queued.id)).await.unwrap();
        let mut good = fixture.new_one("shop").await;
        for event in good_history().into_iter().skip(1) {
            fixture.store.append(&mut good, event).await.unwrap();
        }
        let succeeded = Event::Finished { outcome: Outcome::Succeeded, reason: None };
        fixture.store.append(&mut good, succeeded).await.unwrap();
        for found in [&queued, &running, &gone, &good] {
            let filter = Filter { status: Some(found.status.state), ..Filter::default() };
            assert_eq!(fixture.store.deployments(&filter).await.unwrap(), std::slice::from_ref(found));
        }
        assert_eq!(fixture.store.unfinished().await.unwrap(), [queued, running]);
        assert_eq!(fixture.store.succeeded(&good.project, 9).await.unwrap(), std::slice::from_ref(&good));
        assert_eq!(fixture.store.newest(&good.project).await.unwrap(), Some(good.clone()));
        assert!(fixture.store.succeeded(&"site".parse().unwrap(), 9).await.unwrap().is_empty());
    }

    /// Damages the status of a deployment, and what `sql` damages besides.
    async fn damage(fixture: &TestStore, order: i64, sql: &'static str) {
        let damage = move |connection: &Connection| {
            connection.execute("UPDATE deployments SET status = '{\"state\":' WHERE number = ?1", [order])?;
            Ok(connection.execute_batch(sql)?)
        };
        fixture.store.0.writer.write(damage).await.unwrap();
    }

    #[tokio::test]
    async fn a_damaged_status_is_rebuilt_from_the_journal() {
        let fixture = TestStore::new();
        let mut shop = fixture.new_one("shop").await;
        for event in &good_history()[1..4] {
            fixture.store.append(&mut shop, event.clone()).await.unwrap();
        }
        damage(&fixture, shop.order, "").await;
        assert_eq!(fixture.store.unfinished().await.unwrap(), std::slice::from_ref(&shop));
        assert_eq!(fixture.store.deployment(&shop.id).await.unwrap(), Some(shop.clone()));
        let cancelled = Event::Finished { outcome: Outcome::Cancelled, reason: None };
        fixture.store.append(&mut shop, cancelled).await.unwrap();
        assert!(fixture.store.unfinished().await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_status_that_its_row_contradicts_is_rebuilt_from_the_journal() {
        let fixture = TestStore::new();
        let mut shop = fixture.new_one("shop").await;
        fixture.store.append(&mut shop, Event::Started).await.unwrap();
        let order = shop.order;
        let finish = move |connection: &Connection| {
            let sql =
                "UPDATE deployments SET status = json_set(status, '$.state', json('{\"finished\":\"succeeded\"}'))
                WHERE number = ?1";
            Ok(connection.execute(sql, [order])?)
        };
        assert_eq!(fixture.store.0.writer.write(finish).await.unwrap(), 1);
        assert_eq!(fixture.store.deployment(&shop.id).await.unwrap(), Some(shop.clone()));
        assert_eq!(fixture.store.unfinished().await.unwrap(), [shop]);
    }

    #[tokio::test]
    async fn one_that_cannot_be_read_hides_no_other() {
        let fixture = TestStore::new();
        let damaged = fixture.new_one("shop").await;
        let whole = fixture.new_one("site").await;
        damage(&fixture, damaged.order, "UPDATE journal SET event = '{' WHERE deployment = 1").await;
        assert_eq!(fixture.store.unfinished().await.unwrap(), std::slice::from_ref(&whole));
        assert_eq!(fixture.store.deployments(&Filter::default()).await.unwrap(), [whole]);
        let error = fixture.store.deployment(&damaged.id).await.unwrap_err();
        assert!(matches!(error, StoreError::Corrupt(_)), "{error:?}");
    }

    #[tokio::test]
    async fn one_that_cannot_be_read_takes_no_others_place_in_a_list() {
        let fixture = TestStore::new();
        let whole = fixture.new_one("shop").await;
        let damaged = fixture.new_one("shop").await;
        let sql = "UPDATE journal SET event = '{' WHERE deployment = 2;
            INSERT INTO deployments VALUES (9, 'x', 'No Project', 'queued', '', 0, 0, 0)";
        damage(&fixture, damaged.order, sql).await;
        assert_eq!(fixture.store.newest(&whole.project).await.unwrap(), Some(whole.clone()));
        assert_eq!(fixture.store.counts().await.unwrap(), [(whole.project, "queued".to_owned(), 2)]);
    }

    #[tokio::test]
    async fn the_times_are_those_of_the_events() {
        let fixture = TestStore::new();
        let mut deployment = fixture.new_one("shop").await;
        fixture.pass(5);
        fixture.store.append(&mut deployment, Event::Started).await.unwrap();
        fixture.pass(7);
        let end = Event::Finished { outcome: Outcome::Cancelled, reason: None };
        fixture.store.append(&mut deployment, end).await.unwrap();
        fixture.pass(9);
        let note = Event::Noted { text: "late".to_owned() };
        fixture.store.append(&mut deployment, note).await.unwrap();
        let started = deployment.created_at.plus(std::time::Duration::from_millis(5));
        let finished = started.plus(std::time::Duration::from_millis(7));
        assert_eq!((deployment.started_at, deployment.finished_at), (Some(started), Some(finished)));
        assert_eq!(fixture.store.deployment(&deployment.id).await.unwrap(), Some(deployment));
    }

    #[tokio::test]
    async fn nothing_is_found_by_looking_at_everything() {
        let fixture = TestStore::new();
        fixture.accept(request("shop", Repetition::Never)).await;
        let plans = |connection: &Connection| {
            for known in 0..8 {
                let filter = Filter {
                    id: None,
                    project: (known & 1 != 0).then(|| "shop".parse().unwrap()),
                    status: (known & 2 != 0).then_some(State::Queued),
                    before: (known & 4 != 0).then(|| DeploymentId::new(Timestamp::from_millis(0))),
                    limit: 50,
                };
                let (sql, values) = question(&filter);
                let plan = plan(connection, &sql, &values);
                // Without any condition the newest rows are the newest rows, and the limit ends the scan.
                assert!(!plan.contains("SCAN") || known == 0, "{sql}: {plan}");
                assert!(!plan.contains("TEMP B-TREE"), "{sql}: {plan}");
                let by_both = plan.contains("deployments_by_project_and_state");
                assert_eq!(by_both, known & 3 == 3, "{sql}: {plan}");
            }
            assert!(!plan(connection, UNFINISHED, &[]).contains("SCAN"));
            Ok(())
        };
        fixture.store.0.reader.read(plans).await.unwrap();
    }
}
