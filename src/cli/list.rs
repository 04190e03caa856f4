//! `windlass list`: deployments, newest first.

use serde_json::Value;

use super::exit::Exit;
use super::output::{Output, Style};
use super::table::{self, Cell, Table};
use super::when::{self, Now};
use crate::client::{Client, Failure, Request};
use crate::model::{DeploymentId, ProjectName};
use crate::wire::release::RequestedBy;
use crate::wire::state::StatusWord;
use crate::wire::view::{DeploymentView, Deployments};

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
    #[arg(long, short = 'n', value_name = "N", default_value_t = 20)]
    limit: u32,
    /// Older than this deployment
    #[arg(long, value_name = "ID")]
    before: Option<DeploymentId>,
    /// Cut nothing, and show where the builds can be looked at
    #[arg(long)]
    wide: bool,
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
        args.project.as_ref().map(|project| format!("&project={project}")),
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
        let width = output.width().filter(|_| !args.wide);
        let columns = Columns { project: args.project.is_none(), wide: width.is_none() };
        table_of(&deployments, &Now::here(), columns).print(width, output);
    }
    Ok(Exit::Succeeded)
}

/// Who asked: the key or the user that is known, and in parentheses whom they name.
fn by(requested_by: &RequestedBy) -> String {
    let RequestedBy { key, actor, on_behalf_of, .. } = requested_by;
    let (known, named) = match key {
        Some(key) => (Some(key.as_str()), actor),
        None => (actor.as_deref(), on_behalf_of),
    };
    let known = known.unwrap_or("-");
    named.as_ref().map_or_else(|| known.to_owned(), |named| format!("{known} ({named})"))
}

/// What a table of deployments shows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Columns {
    /// Whether each row names its project.
    pub(super) project: bool,
    /// Whether ids are shown in full, and where the builds can be looked at.
    pub(super) wide: bool,
}

/// Deployments as a table: under each that did not succeed stands why.
pub(super) fn table_of(deployments: &[DeploymentView], now: &Now, columns: Columns) -> Table {
    let when = now.heading("WHEN");
    let mut headings = vec![when.as_str(), "ID", "STATUS", "RELEASE", "TOOK", "BY", "COMMIT"];
    if columns.project {
        headings.insert(2, "PROJECT");
    }
    if columns.wide {
        headings.push("BUILD");
    }
    let mut table = Table::new(&headings).whole(&[&when, "ID", "STATUS", "TOOK"]);
    for view in deployments {
        let took = view.started_at.zip(view.finished_at).map(|(start, end)| when::duration(end.since(start)));
        let back = if view.rollback.is_some() { "back to " } else { "" };
        let commit = view.requested_by.commit.as_deref();
        let commit = commit.map(|commit| if columns.wide { commit } else { commit.get(..7).unwrap_or(commit) });
        let mut cells = vec![
            Cell::plain(now.both(view.created_at)),
            Cell::new(Style::Dim, if columns.wide { view.id.as_str() } else { table::short_id(&view.id) }),
            Cell::status(view.status),
            Cell::plain(back.to_owned() + &table::tags(&view.release)),
            Cell::plain(took.as_deref().unwrap_or("-")),
            Cell::new(Style::Dim, by(&view.requested_by)),
            Cell::new(Style::Dim, commit.unwrap_or("-")),
        ];
        if columns.project {
            cells.insert(2, Cell::plain(view.project.as_str()));
        }
        if columns.wide {
            cells.push(Cell::new(Style::Dim, view.requested_by.run_url.as_deref().unwrap_or("-")));
        }
        table.row(cells);
        if let Some(reason) = &view.reason {
            table.note(Style::Dim, reason, "");
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_known_stands_before_who_is_only_named() {
        let told = |key: Option<&str>, actor: Option<&str>, on_behalf_of: Option<&str>| {
            by(&RequestedBy {
                key: key.map(|key| key.parse().unwrap()),
                actor: actor.map(str::to_owned),
                on_behalf_of: on_behalf_of.map(str::to_owned),
                ..RequestedBy::default()
            })
        };
        assert_eq!(told(Some("ci"), Some("root"), None), "ci (root)");
        assert_eq!(told(Some("ci"), None, None), "ci");
        assert_eq!(told(None, Some("root"), Some("alice")), "root (alice)");
        assert_eq!(told(None, Some("root"), None), "root");
        assert_eq!(told(None, None, None), "-");
    }
}
