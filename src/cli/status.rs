//! `windlass status`: what runs, since when, whether it is well, what was last, and what to do.

mod one;
mod state;

use super::exit::Exit;
use super::output::{Output, Style};
use super::table::{Cell, Table, tags};
use super::when::Now;
use crate::client::{Client, Failure, Request};
use crate::model::{ProjectName, one_line};
use crate::wire::state::{Outcome, StatusWord};
use crate::wire::view::{BrokenConfiguration, ProjectView, Projects, StateView};

use state::{Rank, State};

/// Of which project.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
With --check the exit code is 3 when a project is down, broken or cannot be read, when a rollback has failed, or when the
configuration on disk is broken.

Examples:
  windlass status                    all projects, the worst first
  windlass status shop               one, with its last deployments
  windlass status --check >/dev/null || echo 'somebody should look'
  windlass status shop --json | jq .project.running")]
pub(super) struct Args {
    /// One project, in detail
    project: Option<ProjectName>,
    /// Cut nothing, however wide that gets
    #[arg(long)]
    wide: bool,
    /// End with 3 when something is not well
    #[arg(long)]
    check: bool,
}

/// With less room than this a host is nearly full, in bytes.
const LITTLE_ROOM: u64 = 256 * 1024 * 1024;

pub(super) async fn run(args: Args, client: &Client, output: &mut Output) -> Result<Exit, Failure> {
    let width = output.width().filter(|_| !args.wide);
    let is_well = match args.project {
        Some(project) => one::show(&project, width, client, output).await?,
        None => all(width, client, output).await?,
    };
    Ok(if args.check && !is_well { Exit::NotWell } else { Exit::Succeeded })
}

/// Shows all projects; whether all is well.
async fn all(width: Option<usize>, client: &Client, output: &mut Output) -> Result<bool, Failure> {
    client.must_show_all()?;
    let request = Request::get("the projects cannot be shown", "/v1/projects?running=1")?;
    let found: Projects = client.ask(&request).await?;
    let now = Now::here();
    let mut rows: Vec<(State, &ProjectView)> =
        found.projects.iter().map(|project| (State::of(project), project)).collect();
    rows.sort_by_key(|(state, project)| (state.rank, &project.name));
    let is_well = found.broken_configuration.is_none() && rows.iter().all(|(state, _)| state.is_well());
    if output.is_json() {
        output.document(&found);
        return Ok(is_well);
    }
    for line in of_host(&found, &now) {
        let line = one_line(&line, 1000);
        output.line(output.paint(Style::Bad, &line));
    }
    if rows.is_empty() {
        output.remark("there are no projects yet; windlass init PROJECT --compose DIR makes one");
        return Ok(is_well);
    }
    table_of(&rows, &now).print(width, output);
    if let Some(state) = found.state {
        output.line("");
        output.line(output.paint(Style::Dim, &size(state)));
    }
    Ok(is_well)
}

fn table_of(rows: &[(State, &ProjectView)], now: &Now) -> Table {
    let last = now.heading("LAST");
    let mut table = Table::new(&["PROJECT", "RUNS", "SINCE", "STATE", &last]).whole(&["SINCE", "STATE"]);
    for (state, project) in rows {
        let (style, last) = last_of(project, now);
        table.row(vec![
            Cell::plain(project.name.as_str()),
            Cell::plain(state.runs.as_deref().unwrap_or("-")),
            Cell::plain(project.since.map_or_else(|| "-".to_owned(), |since| now.age(since))),
            Cell::new(state.style, &state.word),
            Cell::new(style, last),
        ]);
        if let Some(problem) = &state.problem {
            let style = if state.rank == Rank::Well { Style::Dim } else { Style::Bad };
            table.note(style, &problem.what, &problem.next);
        }
    }
    table
}

/// The last deployment, or the freeze that lets no other come: `v2 rolled back 00:06 (8m)`.
fn last_of(project: &ProjectView, now: &Now) -> (Style, String) {
    if let Some(freeze) = &project.frozen {
        let until = freeze.until.map_or_else(String::new, |until| format!(" until {}", now.moment(until)));
        let reason = freeze.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
        return (Style::Busy, format!("frozen by {}{until}{reason}", freeze.by));
    }
    let Some(newest) = &project.newest else { return (Style::Dim, "never deployed".to_owned()) };
    let (what, at) = (tags(&newest.release), newest.finished_at.unwrap_or(newest.created_at));
    let at = now.both(at);
    let back = if newest.rollback.is_some() { "back to " } else { "" };
    match newest.status {
        StatusWord::Queued => (Style::Busy, format!("{back}{what} queued {at}")),
        StatusWord::Running => {
            let phase = newest.phase.as_deref().unwrap_or("running").replace('_', " ");
            (Style::Busy, format!("{back}{what} {phase} {at}"))
        }
        StatusWord::Ended(Outcome::Succeeded) => (Style::Plain, format!("{back}{what} {at}")),
        StatusWord::Ended(outcome) => {
            let style = if outcome == Outcome::RollbackFailed { Style::Bad } else { Style::Plain };
            (style, format!("{back}{what} {} {at}", outcome.as_str().replace('_', " ")))
        }
    }
}

/// What is wrong with the host as a whole.
fn of_host(found: &Projects, now: &Now) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(BrokenConfiguration { problem, in_force_since }) = &found.broken_configuration {
        let since = now.moment(*in_force_since);
        lines.push(format!("! the configuration on disk is broken, the one of {since} is in force: {problem}"));
    }
    if let Some(why) = state::nothing_answers(&found.projects) {
        lines.push(format!("! {why}"));
    }
    if let Some(free) = found.state.and_then(|state| state.free_bytes).filter(|free| *free < LITTLE_ROOM) {
        lines.push(format!("! the disk of the state directory is nearly full: {} are free", megabytes(free)));
    }
    lines
}

/// `state: 1204 deployments, 12.3 MB on disk`.
fn size(StateView { bytes, deployments, .. }: StateView) -> String {
    let word = if deployments == 1 { "deployment" } else { "deployments" };
    format!("state: {deployments} {word}, {} on disk", megabytes(bytes))
}

fn megabytes(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a tenth of a megabyte is all that is shown")]
    let megabytes = bytes as f64 / 1e6;
    format!("{megabytes:.1} MB")
}
