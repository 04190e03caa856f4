//! What windlass has written down, read from its database while it runs.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use windlass::deploy::event::Outcome;
use windlass::deploy::plan::Step;
use windlass::deploy::status::{Position, State, Status};
use windlass::store::format;

/// A deployment as the database has it.
pub struct Told {
    pub id: String,
    pub project: String,
    pub status: Status,
    /// As they were written.
    pub events: Vec<String>,
}

/// The journal of a host, and who has still to reach an outcome.
#[derive(PartialEq, Eq, Clone, Debug)]
pub struct Progress {
    rows: i64,
    pub unfinished: Vec<String>,
}

fn open(state: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(state.join("windlass.db"), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.busy_timeout(std::time::Duration::from_secs(30))?;
    // What is read is of one moment.
    connection.execute_batch("BEGIN")?;
    Ok(connection)
}

/// How far windlass has come.
pub fn progress(state: &Path) -> rusqlite::Result<Progress> {
    let connection = open(state)?;
    let rows = connection.query_row("SELECT coalesce(max(number), 0) FROM journal", [], |row| row.get(0))?;
    let mut statement = connection.prepare("SELECT id FROM deployments WHERE state IN ('queued', 'running')")?;
    let unfinished = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(Progress { rows, unfinished })
}

/// Every deployment, the oldest first.
pub fn read(state: &Path) -> rusqlite::Result<Vec<Told>> {
    let connection = open(state)?;
    let mut deployments = connection.prepare("SELECT number, id, project, status FROM deployments ORDER BY number")?;
    let mut journal = connection.prepare("SELECT event FROM journal WHERE deployment = ? ORDER BY number")?;
    let mut rows = deployments.query([])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        let (number, status): (i64, String) = (row.get(0)?, row.get(3)?);
        let events = journal.query_map([number], |row| row.get(0))?.collect::<Result<_, _>>()?;
        let status = format::read_status(&status).unwrap_or_else(|error| panic!("{error}: {status}"));
        all.push(Told { id: row.get(1)?, project: row.get(2)?, status, events });
    }
    Ok(all)
}

/// What SQLite itself says against the file.
pub fn damage(state: &Path) -> rusqlite::Result<Option<String>> {
    let said: String = open(state)?.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    Ok((said != "ok").then_some(said))
}

impl Told {
    pub fn outcome(&self) -> Option<Outcome> {
        match self.status.state {
            State::Finished(outcome) => Some(outcome),
            State::Queued | State::Running => None,
        }
    }

    /// Whether its status is what follows from its events. One whose events were forgotten proves nothing.
    pub fn replays(&self) -> Result<(), String> {
        let Some((first, others)) = self.events.split_first() else { return Ok(()) };
        let parse = |text: &String| format::read_event(text).map_err(|error| format!("{error}: {text}"));
        let mut status = Status::begin(&parse(first)?).map_err(|error| error.to_string())?;
        for event in others {
            status.apply(&parse(event)?).map_err(|error| error.to_string())?;
        }
        if status == self.status { Ok(()) } else { Err(format!("replayed: {status:?}, written: {:?}", self.status)) }
    }

    /// Whether its plan forward is at the step that replaces containers.
    pub fn is_replacing(&self) -> bool {
        let Some(course) = &self.status.course else { return false };
        let Position::In(at) = course.at else { return false };
        course.back.is_none() && matches!(course.plan.steps.get(at), Some(Step::Apply { .. }))
    }
}
