//! `windlass config show`: which value each setting has, and where it is from.

use serde_json::json;

use super::exit::Exit;
use super::global::Global;
use super::output::{Output, Style};
use super::table::{Cell, Table};
use crate::client::{Failure, Kind};
use crate::config::effective::{Effective, Source, effective};
use crate::model::Clock;

/// What about the configuration.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Show the settings of this host as they are on disk, and where each is from
    #[command(after_help = "\
What is in registries and projects is in the files that are named. `windlass check` says whether the daemon has read the
configuration as it is on disk.")]
    Show,
}

pub(super) fn run(command: &Command, global: &Global, output: &mut Output) -> Result<Exit, Failure> {
    let Command::Show = command;
    let (settings, projects) =
        effective(global.config.as_deref(), std::env::vars_os().collect(), Clock::system().now()).map_err(|error| {
            Failure::new(Kind::Refused, "the configuration cannot be used", error)
                .fix("windlass check says where and why")
        })?;
    if output.is_json() {
        output.document(&json!({ "settings": settings, "projects": projects }));
        return Ok(Exit::Succeeded);
    }
    let mut table = Table::new(&["KEY", "VALUE", "FROM"]);
    for Effective { key, value, from } in &settings {
        let (style, from) = match from {
            Source::Default => (Style::Dim, "default".to_owned()),
            Source::File(file, line) => (Style::Plain, format!("{}:{line}", file.display())),
            Source::Environment(name) => (Style::Busy, format!("environment: {name}")),
        };
        table.row(vec![
            Cell::new(style, key),
            Cell::new(style, value.as_deref().unwrap_or("-")),
            Cell::new(style, from),
        ]);
    }
    for (project, file) in &projects {
        table.row(vec![
            Cell::plain(format!("projects.{project}")),
            Cell::plain("-"),
            Cell::plain(file.display().to_string()),
        ]);
    }
    table.print(output.width(), output);
    Ok(Exit::Succeeded)
}
