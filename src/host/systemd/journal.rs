//! What a unit said last, by its journal.

use std::time::Duration;

use super::facts::UnitFacts;
use crate::deploy::event::Evidence;
use crate::host::health::watch::LOG_LINES;
use crate::host::program::exec::{ExecError, Output, Run};
use crate::host::{HostError, LogSink, LogWish};
use crate::model::{UnitName, one_line};

/// The journal helps, but nobody waits for it.
const JOURNAL: Duration = Duration::from_secs(10);
/// For as long as anybody watches.
const FOLLOWING: Duration = Duration::from_secs(7 * 24 * 60 * 60);
const LONGEST_LINE: usize = 1000;

/// What a unit said last.
pub(in crate::host) async fn evidence(unit: &UnitFacts) -> Evidence {
    Evidence {
        name: unit.name.to_string(),
        state: unit.state_words(),
        log: journal(&unit.name).await,
        health: Vec::new(),
    }
}

/// Hands on what a unit prints. Lines that come faster than they are taken are lost here: the journal has them.
pub(in crate::host) async fn log(unit: &str, wish: LogWish, sink: &LogSink) -> Result<(), HostError> {
    let mut more: Vec<String> = wish.since.iter().map(|since| format!("--since=@{}", since.as_seconds())).collect();
    more.extend(wish.follow.then(|| "--follow".to_owned()));
    let hand_on = |line: &str| sink.try_hand_on(unit, line);
    let deadline = if wish.follow { FOLLOWING } else { JOURNAL };
    let output = read(unit, wish.lines, more, deadline, Some(&hand_on)).await;
    let failed = |reason| HostError::failed(format!("failed to read the journal of {unit}"), reason);
    let output = output.map_err(|error| failed(error.to_string()))?;
    if output.status.success() { Ok(()) } else { Err(failed(output.stderr.last_lines(2))) }
}

/// The last lines of a unit's journal, or why there are none.
async fn journal(unit: &UnitName) -> Vec<String> {
    match read(unit.as_str(), LOG_LINES, Vec::new(), JOURNAL, None).await {
        Ok(output) if output.status.success() && !output.stdout.bytes().is_empty() => {
            let text = String::from_utf8_lossy(output.stdout.bytes());
            text.lines().map(|line| one_line(line, LONGEST_LINE)).collect()
        }
        Ok(output) if output.status.success() => {
            vec!["(its journal has no lines that this user may read: is it in the group systemd-journal?)".to_owned()]
        }
        Ok(output) => vec![format!("(its journal cannot be read: {})", output.stderr.last_lines(2))],
        Err(error) => vec![format!("(its journal cannot be read: {error})")],
    }
}

/// Has `journalctl` print the last `lines` of a unit, with `more` options.
async fn read(
    unit: &str,
    lines: usize,
    more: Vec<String>,
    deadline: Duration,
    on_line: Option<&(dyn Fn(&str) + Send + Sync)>,
) -> Result<Output, ExecError> {
    let mut arguments = ["--quiet", "--no-pager", "--output=cat"].map(str::to_owned).to_vec();
    arguments.extend([format!("--lines={lines}"), format!("--unit={unit}")]);
    arguments.extend(more);
    let run = Run {
        program: "journalctl",
        arguments: &arguments,
        directory: None,
        environment: &[],
        input: None,
        deadline,
        keep: LOG_LINES * LONGEST_LINE,
        on_line,
        record: None,
    };
    run.output().await
}
