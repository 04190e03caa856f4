//! `windlass list`: deployments, newest first.

use serde_json::Value;

use super::client::{Client, Request};
use super::exit::Exit;
use super::failure::Failure;
use super::output::{Output, Style};
use super::table::{self, Cell, Table};
use crate::model::{Clock, DeploymentId, ProjectName, Timestamp};
use crate::wire::view::{DeploymentView, Deployments, StatusWord};

/// Which deployments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  windlass list --project shop --status rolled_back
  windlass list --limit 100 --json | jq -r '.deployments[].id'")]
pub(super) struct Args {
    /// Of this project alone
    #[arg(long, value_name = "PROJECT")]
    project: Option<ProjectName>,
    /// With this status alone: queued, running, succeeded, abandoned, rolled_back, …
    #[arg(long, value_name = "STATUS", value_parser = status)]
    status: Option<StatusWord>,
    /// How many
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: u32,
    /// Older than this deployment
    #[arg(long, value_name = "ID")]
    before: Option<DeploymentId>,
}

fn status(text: &str) -> Result<StatusWord, String> {
    serde_json::from_value(Value::from(text)).map_err(|_| {
        "it is queued, running, succeeded, abandoned, rolled_back, rollback_failed, superseded or cancelled".to_owned()
    })
}

pub(super) async fn run(args: Args, client: &Client, output: &mut Output) -> Result<Exit, Failure> {
    if args.project.is_none() {
        client.must_show_all()?;
    }
    // All of them are words without anything that a query would have to escape.
    let mut path = format!("/v1/deployments?limit={}", args.limit);
    let more = [
        args.project.map(|project| format!("&project={project}")),
        args.status.map(|status| format!("&status={status}")),
        args.before.map(|before| format!("&before={before}")),
    ];
    path.extend(more.into_iter().flatten());
    let request = Request::get("the deployments cannot be listed", path)?;
    let found: Deployments = client.ask(&request).await?;
    if output.is_json() {
        output.document(&found);
        return Ok(Exit::Succeeded);
    }
    let Deployments { deployments } = found;
    if deployments.is_empty() {
        output.remark("no such deployments");
    } else {
        table_of(&deployments, Clock::system().now(), true).print(output);
    }
    Ok(Exit::Succeeded)
}

/// Deployments as a table; of one project, its name need not stand in each row.
pub(super) fn table_of(deployments: &[DeploymentView], now: Timestamp, of_many: bool) -> Table {
    let mut headings = vec!["ID", "STATUS", "RELEASE", "AGE", "TOOK", "BY"];
    if of_many {
        headings.insert(1, "PROJECT");
    }
    let mut table = Table::new(&headings);
    for view in deployments {
        let took = view.started_at.zip(view.finished_at).map(|(start, end)| table::duration(end.since(start)));
        let by = &view.requested_by;
        let by = by.actor.as_deref().or(by.key.as_ref().map(|key| key.as_str()));
        let mut cells = vec![
            Cell::new(Style::Dim, view.id.as_str()),
            Cell::status(view.status),
            Cell::plain(table::images(&view.release)),
            Cell::plain(table::age(now, view.created_at)),
            Cell::plain(took.as_deref().unwrap_or("-")),
            Cell::new(Style::Dim, by.unwrap_or("-")),
        ];
        if of_many {
            cells.insert(1, Cell::plain(view.project.as_str()));
        }
        table.row(cells);
    }
    table
}
