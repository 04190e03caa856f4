//! `windlass rollback`: puts an earlier release back into service.

use super::deploy::Waiting;
use super::exit::Exit;
use super::output::{Output, Style};
use super::plan;
use super::table::{self, Cell, Table, wrapped};
use super::when::Now;
use super::which::Which;
use crate::client::{Client, Failure, Request};
use crate::model::{ProjectName, one_line};
use crate::wire::request::RollbackBody;
use crate::wire::text::short;
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
    /// The deployment whose release shall run again: its id, or the first or last characters of it
    #[arg(long, value_name = "ID")]
    to: Option<Which>,
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
    let failing = format!("{} was not rolled back", args.project);
    let to = match args.to {
        None => None,
        Some(which) => Some(which.id(client, &failing, "is known", |_| true).await?),
    };
    let body = RollbackBody { to };
    if args.dry_run {
        let failing = format!("a rollback of {} cannot be planned", args.project);
        let request = Request::post(failing, format!("{path}?dry_run=1"), &body)?;
        return plan::show(&client.ask(&request).await?, output);
    }
    args.waiting.see_through(client, &args.project, Request::post(failing, path, &body)?, output).await
}

async fn list(project: &ProjectName, path: &str, client: &Client, output: &mut Output) -> Result<Exit, Failure> {
    let request = Request::get(format!("the releases of {project} cannot be listed"), path)?;
    let ways: WaysBack = client.ask(&request).await?;
    if output.is_json() {
        output.document(&ways);
        return Ok(Exit::Succeeded);
    }
    let goes = match (&ways.next, &ways.refused) {
        (Some(next), _) => Some(next.in_words(&ways.release)),
        (None, Some(refused)) => Some(format!("nowhere: {refused}")),
        (None, None) => None,
    };
    if let Some(goes) = goes {
        let words = one_line(&format!("windlass rollback {project} goes {goes}"), 1000);
        wrapped(&words, output.width()).iter().for_each(|line| output.line(line));
    }
    if !ways.releases.is_empty() {
        output.line("");
        let width = output.width();
        table_of(&ways, &Now::here(), width.is_none()).print(width, output);
    }
    Ok(Exit::Succeeded)
}

fn table_of(ways: &WaysBack, now: &Now, wide: bool) -> Table {
    let when = now.heading("WHEN");
    let mut table = Table::new(&[&when, "ID", "STATUS", "RELEASE", "ROLLBACK"]).whole(&[&when, "ID", "STATUS"]);
    for view in &ways.releases {
        table.row(vec![
            Cell::plain(now.both(view.at)),
            Cell::new(Style::Dim, if wide { view.deployment.as_str() } else { table::short_id(&view.deployment) }),
            Cell::status(view.status),
            Cell::plain(short(&view.release)),
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
