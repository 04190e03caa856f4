//! `windlass refused`: why callers were refused of late.

use super::exit::Exit;
use super::output::{Output, Style};
use super::table::{Cell, Table};
use super::when::Now;
use crate::client::{Client, Failure, Request};
use crate::model::ProjectName;
use crate::wire::view::RefusedCallers;

/// Of which project.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The answer 401 goes to a caller that no key has proven, and does not show the reason. windlass remembers the last 200 of
these, and the last 200 of those that a key has proven, since it was started.

Examples:
  windlass refused
  windlass refused shop --json | jq -r '.refused[].reason'")]
pub(super) struct Args {
    /// Of this project alone
    project: Option<ProjectName>,
    /// Cut nothing, however wide that gets
    #[arg(long)]
    wide: bool,
}

pub(super) async fn run(args: Args, client: &Client, output: &mut Output) -> Result<Exit, Failure> {
    let query = args.project.as_ref().map_or_else(String::new, |project| format!("?project={project}"));
    let request = Request::get("who was refused cannot be shown", format!("/v1/refused{query}"))?;
    let found: RefusedCallers = client.ask(&request).await?;
    if output.is_json() {
        output.document(&found);
        return Ok(Exit::Succeeded);
    }
    if found.refused.is_empty() {
        output.remark("no caller was refused since windlass was started");
        return Ok(Exit::Succeeded);
    }
    let now = Now::here();
    let when = now.heading("WHEN");
    let mut table = Table::new(&[&when, "PROJECT", "FROM", "ANSWER", "TIMES"]);
    for refused in &found.refused {
        table.row(vec![
            Cell::plain(now.both(refused.at)),
            Cell::plain(refused.project.as_ref().map_or("-", ProjectName::as_str)),
            Cell::plain(&refused.from),
            Cell::new(Style::Bad, refused.status.to_string()),
            Cell::plain(refused.times.to_string()),
        ]);
        table.note(Style::Plain, &refused.reason, "");
    }
    table.print(output.width().filter(|_| !args.wide), output);
    Ok(Exit::Succeeded)
}
