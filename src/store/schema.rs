//! The tables, as a list of changes that is only ever added to: databases of every age are out there.

use rusqlite::Connection;

use super::error::StoreError;

/// What makes format n + 1 of format n. Never reordered, never edited.
const MIGRATIONS: &[&str] = &[FIRST, IMAGES, DELIVERIES_OF_KEYS, FEEDS];

/// Marks the file as ours: `wndl`.
const APPLICATION: i64 = 0x776e_646c;

// The number of a deployment is its place in the order of acceptance, and the number of a journal row is what readers
// follow by: both are SQLite's row numbers, which grow as long as the newest rows are never deleted. Every index ends
// in the row number without being told so.
//
// `status` is the materialised fold of the journal. `state` repeats a part of it, to be found by.
//
// A delivery is known by its id, or by its body where nothing else was signed. The former are forgotten after a time:
// they are signed together with a time, or defend against nothing. A body is never forgotten: whoever recorded it
// could send it again at any time.
const FIRST: &str = "
CREATE TABLE deployments (
    number      INTEGER PRIMARY KEY,
    id          TEXT NOT NULL UNIQUE,
    project     TEXT NOT NULL,
    state       TEXT NOT NULL,
    status      TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    started_at  INTEGER,
    finished_at INTEGER
) STRICT;
CREATE INDEX deployments_by_project ON deployments (project);
CREATE INDEX deployments_by_project_and_state ON deployments (project, state);
CREATE INDEX deployments_by_state ON deployments (state);

CREATE TABLE journal (
    number      INTEGER PRIMARY KEY,
    deployment  INTEGER NOT NULL REFERENCES deployments (number),
    at          INTEGER NOT NULL,
    event       TEXT NOT NULL
) STRICT;
CREATE INDEX journal_by_deployment ON journal (deployment);

CREATE TABLE deliveries (
    project     TEXT NOT NULL,
    kind        TEXT NOT NULL CHECK (kind IN ('id', 'body')),
    key         TEXT NOT NULL,
    body        TEXT NOT NULL,
    deployment  INTEGER NOT NULL REFERENCES deployments (number),
    at          INTEGER NOT NULL,
    PRIMARY KEY (project, kind, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX deliveries_to_forget ON deliveries (at) WHERE kind = 'id';

CREATE TABLE sequences (
    project     TEXT PRIMARY KEY,
    newest      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE freezes (
    project     TEXT PRIMARY KEY,
    reason      TEXT,
    by          TEXT NOT NULL,
    since       INTEGER NOT NULL,
    until       INTEGER
) STRICT, WITHOUT ROWID;
";

// Which image of this host a registry's digest is, as the engine said it. The row number says which was noted last.
const IMAGES: &str = "
CREATE TABLE images (
    number      INTEGER PRIMARY KEY,
    repository  TEXT NOT NULL,
    digest      TEXT NOT NULL,
    id          TEXT NOT NULL,
    UNIQUE (repository, digest)
) STRICT;
CREATE INDEX images_by_id ON images (id);
";

// Delivery ids are a key's own: what one key has sent says nothing about what another one sends. Of the deliveries of
// before it is not known whose they were, so they count for every key: their `sender` is empty.
//
// A delivery without a deployment was refused, and counts until the project has a deployment newer than `newest`; or it
// asked for nothing to be deployed, and never counts: then `newest` is NULL.
//
// The deployment may be forgotten before the delivery is, so nothing references it. Of a body, `key` says it all.
const DELIVERIES_OF_KEYS: &str = "
CREATE TABLE deliveries_of_keys (
    project     TEXT NOT NULL,
    sender      TEXT NOT NULL,
    kind        TEXT NOT NULL CHECK (kind IN ('id', 'body')),
    key         TEXT NOT NULL,
    body        TEXT NOT NULL,
    deployment  INTEGER,
    newest      INTEGER,
    at          INTEGER NOT NULL,
    PRIMARY KEY (project, kind, key, sender)
) STRICT, WITHOUT ROWID;
INSERT INTO deliveries_of_keys
    SELECT project, '', kind, key, CASE kind WHEN 'id' THEN body ELSE '' END, deployment, NULL, at FROM deliveries;
DROP TABLE deliveries;
ALTER TABLE deliveries_of_keys RENAME TO deliveries;
CREATE INDEX deliveries_to_forget ON deliveries (at) WHERE kind = 'id';
";

// The journal is about deployments, about projects (then `project` names one), and about the host. A feed is a reader of
// all of it that goes on after a restart: `after` is the last row that it has dealt with.
const FEEDS: &str = "
CREATE TABLE journal_of_all (
    number      INTEGER PRIMARY KEY,
    deployment  INTEGER REFERENCES deployments (number),
    project     TEXT,
    at          INTEGER NOT NULL,
    event       TEXT NOT NULL,
    CHECK (deployment IS NULL OR project IS NULL)
) STRICT;
INSERT INTO journal_of_all SELECT number, deployment, NULL, at, event FROM journal;
DROP TABLE journal;
ALTER TABLE journal_of_all RENAME TO journal;
CREATE INDEX journal_by_deployment ON journal (deployment);
CREATE INDEX journal_of_no_deployment ON journal (at) WHERE deployment IS NULL;

CREATE TABLE feeds (
    name        TEXT PRIMARY KEY,
    after       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";

/// Brings the database up to date, wholly or not at all.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let found: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    check_owner(&transaction)?;
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    if found < known {
        for migration in MIGRATIONS.iter().skip(usize::try_from(found).unwrap_or(0)) {
            transaction.execute_batch(migration)?;
        }
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", known)?;
    }
    transaction.commit()?;
    Ok(())
}

fn check_owner(connection: &Connection) -> Result<(), StoreError> {
    let application: i64 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let empty: bool = connection.query_row("SELECT NOT EXISTS (SELECT 1 FROM sqlite_schema)", [], |row| row.get(0))?;
    if application == APPLICATION || (application == 0 && empty) { Ok(()) } else { Err(StoreError::Foreign) }
}

#[cfg(test)]
mod tests {
    use super::super::Acceptance;
    use super::super::tests::{TestStore, delivery, delivery_of, request};
    use super::*;
    use crate::model::Digest;

    #[test]
    fn a_database_of_the_first_format_is_brought_up_to_date_and_loses_nothing() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(FIRST).unwrap();
        connection.execute_batch("INSERT INTO sequences VALUES ('shop', 7)").unwrap();
        connection.pragma_update(None, "application_id", APPLICATION).unwrap();
        connection.pragma_update(None, "user_version", 1).unwrap();
        migrate(&mut connection).unwrap();
        migrate(&mut connection).unwrap();
        let ask = |sql| connection.query_row::<i64, _, _>(sql, [], |row| row.get(0)).unwrap();
        assert_eq!(ask("SELECT newest FROM sequences WHERE project = 'shop'"), 7);
        assert_eq!(ask("SELECT count(*) FROM images"), 0);
    }

    #[tokio::test]
    async fn the_deliveries_of_an_older_windlass_are_known_whichever_key_sends_them_again() {
        let fixture = TestStore::new();
        let deployment = fixture.new_one("shop").await;
        let order = deployment.order;
        let (first, body) = (FIRST.split_once("CREATE TABLE deliveries").unwrap().1, Digest::of(b"x"));
        let (table, _) = first.split_once("CREATE TABLE sequences").unwrap();
        let table = format!("DROP TABLE feeds; DROP TABLE deliveries; CREATE TABLE deliveries{table}");
        let step_back = move |connection: &Connection| {
            connection.execute_batch(&table)?;
            let insert = "INSERT INTO deliveries VALUES ('shop', ?, ?, ?, ?, 5)";
            connection.execute(insert, rusqlite::params!["id", "a", body.as_str(), order])?;
            connection.execute(insert, rusqlite::params!["body", body.as_str(), body.as_str(), order])?;
            Ok(connection.pragma_update(None, "user_version", 2)?)
        };
        fixture.store.0.writer.write(step_back).await.unwrap();
        let fixture = fixture.reopen();
        for key in ["ci", "other"] {
            let joined = Acceptance::Joined(deployment.clone());
            assert_eq!(fixture.accept(request("shop", delivery_of(key, "a", "x"))).await, joined);
            let body = crate::deploy::request::Repetition::Body { key: key.parse().unwrap(), body: Digest::of(b"x") };
            assert_eq!(fixture.accept(request("shop", body)).await, joined);
        }
        assert_eq!(fixture.accept(request("shop", delivery("a", "y"))).await, Acceptance::Conflict(deployment.id));
    }
}
