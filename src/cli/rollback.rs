//! `windlass rollback`: puts an earlier release back into service.

use super::deploy::Waiting;
use super::exit::Exit;
use super::output::{Output, Style};
use super::plan;
use super::table::{self, Cell, Table};
use crate::client::{Client, Failure, Request};
use crate::model::{Clock, DeploymentId, ProjectName, Timestamp, one_line};
use crate::wire::request::RollbackBody;
use crate::wire::view::{ReleaseView, WaysBack};

/// Which project, and how far back.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without --to it goes to the newest release that succeeded; where that runs already, to the one before it. A release that
was gone back from is passed over until it is deployed again. A rollback passes a freeze.

A rollback is a deployment of its own: it is proven like any other, and undone when it does not work.

Examples:
  windlass rollback shop                                     to the release before the one that runs
  windlass rollback shop --list                              where it can go, and where not
  windlass rollback shop --dry-run                           what it would do
  windlass rollback shop --to 01jd5zk3v8x2m4n6p8q0r2s4t6     to the release of that deployment")]
pub(super) struct Args {
    /// The project
    project: ProjectName,
    /// The deployment whose release shall run again
    #[arg(long, value_name = "ID")]
    to: Option<DeploymentId>,
    /// List the releases that a rollback can go to, and why it does not go to the others
    #[arg(long, conflicts_with_all = ["to", "dry_run", "wait", "no_wait"])]
    list: bool,
    /// Show what would be done, and change nothing
    #[arg(long, conflicts_with_all = ["wait", "no_wait"])]
    dry_run: bool,
    #[command(flatten)]
    waiting: Waiting,
}

pub(super) async fn run(args: Args, client: &Client, output: &mut Output) -> Result<Exit, Failure> {
    let path = format!("/v1/projects/{}/rollback", args.project);
    if args.list {
        return list(&args.project, &path, client, output).await;
    }
    let body = RollbackBody { to: args.to };
    if args.dry_run {
        let failing = format!("a rollback of {} cannot be planned", args.project);
        let request = Request::post(failing, format!("{path}?dry_run=1"), &body)?;
        return plan::show(&client.ask(&request).await?, output);
    }
    let failing = format!("{} was not rolled back", args.project);
    args.waiting.see_through(client, Request::post(failing, path, &body)?, output).await
}

async fn list(project: &ProjectName, path: &str, client: &Client, output: &mut Output) -> Result<Exit, Failure> {
    let request = Request::get(format!("the releases of {project} cannot be listed"), path)?;
    let ways: WaysBack = client.ask(&request).await?;
    if output.is_json() {
        output.document(&ways);
        return Ok(Exit::Succeeded);
    }
    match (&ways.next, &ways.refused) {
        (Some(next), _) => {
            let words = one_line(&next.in_words(&ways.release), 1000);
            output.line(format_args!("windlass rollback {project} goes {words}"));
        }
        (None, Some(refused)) => {
            output.line(format_args!("windlass rollback {project} goes nowhere: {}", one_line(refused, 1000)))
        }
        (None, None) => {}
    }
    if !ways.releases.is_empty() {
        output.line("");
        table_of(&ways, Clock::system().now()).print(output);
    }
    Ok(Exit::Succeeded)
}

fn table_of(ways: &WaysBack, now: Timestamp) -> Table {
    let mut table = Table::new(&["ID", "STATUS", "RELEASE", "AGE", "ROLLBACK"]);
    for view in &ways.releases {
        table.row(vec![
            Cell::new(Style::Dim, view.deployment.as_str()),
            Cell::status(view.status),
            Cell::plain(table::images(&view.release)),
            Cell::plain(table::age(now, view.at)),
            standing(ways, view),
        ]);
    }
    table
}

fn standing(ways: &WaysBack, view: &ReleaseView) -> Cell {
    let is_next = ways.next.as_ref().is_some_and(|next| next.to == view.deployment);
    match (&view.reason, is_next, ways.runs(view)) {
        (_, true, _) => Cell::new(Style::Good, "next"),
        (None, false, true) => Cell::plain("runs now"),
        (None, false, false) => Cell::plain("candidate"),
        (Some(reason), false, true) => Cell::new(Style::Dim, format!("no: {reason}; runs now")),
        (Some(reason), false, false) => Cell::new(Style::Dim, format!("no: {reason}")),
    }
}
