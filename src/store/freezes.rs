//! Freezes: a project that nobody may deploy to for a while.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::column::Time;
use super::{Store, StoreError, format, rows};
use crate::deploy::gate::Freeze;
use crate::deploy::incident::ProjectEvent;
use crate::model::{ProjectName, Timestamp};

impl Store {
    /// Lets `project` take no deployments from now on. A freeze of before is replaced.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn freeze(&self, project: &ProjectName, freeze: Freeze) -> Result<(), StoreError> {
        const SQL: &str = "INSERT OR REPLACE INTO freezes (project, reason, by, since, until) VALUES (?, ?, ?, ?, ?)";
        let (project, clock) = (project.clone(), self.0.clock.clone());
        let write = move |connection: &Connection| {
            let event = format::project_event(&ProjectEvent::Frozen(freeze.clone()))?;
            let Freeze { reason, by, since, until } = freeze;
            let until = until.map(Timestamp::as_millis);
            connection.prepare_cached(SQL)?.execute(params![project.as_str(), reason, by, since.as_millis(), until])?;
            rows::insert_about(connection, Some(&project), clock.now(), &event)
        };
        self.0.writer.write(write).await
    }

    /// Lets `project` take deployments again, as `by` says. Whether it was frozen.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn unfreeze(&self, project: &ProjectName, by: &str) -> Result<bool, StoreError> {
        let event = format::project_event(&ProjectEvent::Unfrozen { by: by.to_owned() })?;
        let (project, clock) = (project.clone(), self.0.clock.clone());
        let write = move |connection: &Connection| {
            let was = frozen(connection, &project, clock.now())?.is_some();
            connection.prepare_cached("DELETE FROM freezes WHERE project = ?")?.execute([project.as_str()])?;
            if was {
                rows::insert_about(connection, Some(&project), clock.now(), &event)?;
            }
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
    let read = |row: &Row<'_>| Ok(freeze(row).unwrap_or_else(|error| unreadable(project, &error)));
    Ok(statement.query_row(params![project.as_str(), now.as_millis()], read).optional()?)
}

fn freeze(row: &Row<'_>) -> rusqlite::Result<Freeze> {
    let Time(since) = row.get("since")?;
    let until = row.get::<_, Option<Time>>("until")?.map(|Time(at)| at);
    Ok(Freeze { reason: row.get("reason")?, by: row.get("by")?, since, until })
}

/// What is known of a freeze whose row a disk has damaged: that there is one. It freezes its project and hides nothing.
fn unreadable(project: &ProjectName, error: &rusqlite::Error) -> Freeze {
    tracing::error!(%project, %error, "the stored freeze of this project cannot be read: it stays frozen until it is unfrozen");
    let reason = "the stored freeze cannot be read; unfreeze ends it".to_owned();
    Freeze { reason: Some(reason), by: "?".to_owned(), since: Timestamp::MIN, until: None }
}

#[cfg(test)]
mod tests {
    use super::super::tests::TestStore;
    use super::*;

    #[tokio::test]
    async fn a_freeze_that_cannot_be_read_freezes_its_project_and_hides_nothing() {
        let fixture = TestStore::new();
        let (damaged, whole): (ProjectName, ProjectName) = ("shop".parse().unwrap(), "site".parse().unwrap());
        let freeze = Freeze { reason: None, by: "ann".to_owned(), since: Timestamp::MIN, until: None };
        fixture.store.freeze(&damaged, freeze.clone()).await.unwrap();
        fixture.store.freeze(&whole, freeze.clone()).await.unwrap();
        let damage = |connection: &Connection| {
            Ok(connection.execute("UPDATE freezes SET by = CAST(x'ff' AS TEXT) WHERE project = 'shop'", [])?)
        };
        assert_eq!(fixture.store.0.writer.write(damage).await.unwrap(), 1);
        assert!(fixture.store.frozen(&damaged).await.unwrap().is_some());
        assert_eq!(fixture.store.frozen(&whole).await.unwrap(), Some(freeze));
        assert!(fixture.store.unfreeze(&damaged, "ann").await.unwrap());
        fixture.new_one("shop").await;
    }

    #[tokio::test]
    async fn a_moment_that_an_older_windlass_wrote_and_nobody_can_write_is_read_as_the_last_one() {
        let fixture = TestStore::new();
        let project: ProjectName = "shop".parse().unwrap();
        let freeze = |connection: &Connection| {
            Ok(connection.execute("INSERT INTO freezes VALUES ('shop', NULL, 'ann', 0, 285776000000000)", [])?)
        };
        fixture.store.0.writer.write(freeze).await.unwrap();
        let until = fixture.store.frozen(&project).await.unwrap().unwrap().until.unwrap();
        assert_eq!(until.to_string().parse::<Timestamp>().ok(), Some(until));
    }
}
