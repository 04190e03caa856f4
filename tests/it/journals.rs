//! States that earlier versions have written: they are read, and their journals replay, for ever.

use std::fs;
use std::path::Path;

use rusqlite::Connection;
use windlass::deploy::event::Event;
use windlass::deploy::incident::{HostEvent, ProjectEvent};
use windlass::deploy::status::Status;
use windlass::model::{Clock, Timestamp};
use windlass::store::{Deployment, Filter, Store, What, format};

/// Opens a recorded state a minute after it was recorded.
fn open(recorded: &str) -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let sql = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/journals").join(recorded);
    let database = Connection::open(directory.path().join("windlass.db")).unwrap();
    database.execute_batch(&fs::read_to_string(sql).unwrap()).unwrap();
    let last: i64 = database.query_row("SELECT max(at) FROM journal", [], |row| row.get(0)).unwrap();
    database.close().unwrap();
    let store = Store::open(directory.path(), Clock::new(move || Timestamp::from_millis(last + 60_000))).unwrap();
    (directory, store)
}

/// What follows from a deployment's events, as they are read now.
async fn replayed(store: &Store, deployment: &Deployment) -> Status {
    let entries = store.events(&deployment.id, 0, usize::MAX).await.unwrap();
    let (first, others) = entries.split_first().unwrap();
    let mut status = Status::begin(&first.event).unwrap();
    for entry in others {
        let text = format!("{:?}", entry.event);
        assert!(!matches!(&entry.event, Event::Noted { text } if text.contains("cannot be read")), "{text}");
        status.apply(&entry.event).unwrap_or_else(|error| panic!("{error}: {text}"));
    }
    status
}

/// Every JSON in a recorded state, and whether it is a status.
fn documents(recorded: &str) -> Vec<(bool, String)> {
    let (directory, store) = open(recorded);
    drop(store);
    let database = Connection::open(directory.path().join("windlass.db")).unwrap();
    let mut documents = Vec::new();
    for (is_status, sql) in
        [(true, "SELECT status FROM deployments"), (false, "SELECT event FROM journal WHERE deployment IS NOT NULL")]
    {
        let mut statement = database.prepare(sql).unwrap();
        let texts: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
        documents.extend(texts.into_iter().map(|text| (is_status, text)));
    }
    documents
}

#[test]
fn what_is_written_now_has_the_words_of_what_was_written_then() {
    for recorded in ["format-3.sql", "format-4.sql"] {
        let documents = documents(recorded);
        assert!(documents.len() > 100, "{recorded}: {}", documents.len());
        for (is_status, text) in documents {
            let again = if is_status {
                format::status(&format::read_status(&text).unwrap())
            } else {
                format::event(&format::read_event(&text).unwrap())
            };
            let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
            assert_eq!(parse(&again.unwrap()), parse(&text));
        }
    }
}

/// Replays each journal of a recorded state, and says what became of each deployment.
async fn replay_all(store: &Store) -> String {
    let mut deployments = store.deployments(&Filter { limit: 100, ..Filter::default() }).await.unwrap();
    deployments.reverse();
    let mut told = Vec::new();
    for deployment in &deployments {
        let status = replayed(store, deployment).await;
        assert_eq!(status, deployment.status, "{}", deployment.id);
        let steps = status.course.as_ref().map_or(0, |course| course.plan.steps.len());
        let resumed = if status.resumed > 0 { ", resumed" } else { "" };
        let back = status.rollback.as_ref().map_or("", |_| ", back by command");
        told.push(format!("{} {}, {steps} steps{resumed}{back}", deployment.project, status.state.as_str()));
    }
    told.join("\n")
}

#[tokio::test]
async fn a_state_of_format_3_is_read_and_each_of_its_journals_replays() {
    let (_directory, store) = open("format-3.sql");
    insta::assert_snapshot!(replay_all(&store).await, @r"
    shop succeeded, 5 steps
    shop succeeded, 5 steps
    shop rolled_back, 5 steps
    shop abandoned, 0 steps
    shop succeeded, 5 steps, back by command
    site succeeded, 6 steps
    site succeeded, 6 steps
    shop succeeded, 5 steps
    shop succeeded, 5 steps, resumed
    shop superseded, 0 steps
    shop succeeded, 5 steps
    fail rolled_back, 5 steps
    fail rollback_failed, 5 steps
    shop cancelled, 5 steps
    ");
    let frozen = store.frozen(&"site".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(frozen.reason.as_deref(), Some("moving the database"));
}

#[tokio::test]
async fn a_state_of_format_4_is_read_and_each_of_its_journals_replays() {
    let (directory, store) = open("format-4.sql");
    insta::assert_snapshot!(replay_all(&store).await, @r"
    shop succeeded, 5 steps
    shop succeeded, 5 steps
    shop rolled_back, 5 steps
    shop abandoned, 0 steps
    shop succeeded, 5 steps, back by command
    site succeeded, 5 steps
    shop succeeded, 5 steps, resumed
    shop cancelled, 5 steps
    ");
    // A reader that was there from the beginning.
    let database = Connection::open(directory.path().join("windlass.db")).unwrap();
    database.execute_batch("INSERT INTO feeds VALUES ('test', 0)").unwrap();
    let mut feed = store.feed("test").await.unwrap();
    let mut besides = Vec::new();
    for told in feed.next(1000).await.unwrap() {
        match told.what {
            What::Deployment { .. } => {}
            What::Project { event: ProjectEvent::Frozen(freeze), .. } => besides.push(freeze.reason.unwrap()),
            What::Project { event: ProjectEvent::Refused { by, problem, .. }, .. } => {
                besides.push(format!("{by}: {problem}"));
            }
            What::Project { event: ProjectEvent::Unfrozen { .. }, project } => besides.push(project.to_string()),
            What::Host(HostEvent::Started { version }) => besides.push(version),
            What::Unreadable => panic!("row {} cannot be read", told.seq),
        }
    }
    assert_eq!(besides, ["0.1.0", "moving the database", "ci: frozen", "shop", "0.1.0"]);
}
