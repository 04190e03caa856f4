//! `windlass logs`: what a project's containers or units print.

use super::exit::Exit;
use super::output::{Output, Style};
use super::when;
use crate::client::{Client, Failure, Kind, Request};
use crate::model::{ProjectName, one_line};
use crate::wire::view::LogLineView;

/// Of which project, and which lines.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
These are the lines of what runs now. Those of a release that failed are in `windlass follow PROJECT`.

Examples:
  windlass logs shop
  windlass logs shop --follow --since 10m")]
pub(super) struct Args {
    /// The project
    project: ProjectName,
    /// Show new lines as they come, until Ctrl-C
    #[arg(long, short)]
    follow: bool,
    /// Only lines that are not older, such as 10m or 2h
    #[arg(long, value_name = "DURATION", value_parser = when::written)]
    since: Option<String>,
    /// How many of the last lines, of each container or unit; 100 unless --since says which
    #[arg(long, short = 'n', value_name = "N")]
    lines: Option<usize>,
}

/// Longer lines are cut by windlass already.
const LONGEST_LINE: usize = 4000;

pub(super) async fn run(args: Args, client: &Client, output: &mut Output) -> Result<Exit, Failure> {
    let Args { project, follow, since, lines } = args;
    let mut path = format!("/v1/projects/{project}/logs?follow={}", u8::from(follow));
    path.extend(since.map(|since| format!("&since={}", since.replace(' ', ""))));
    path.extend(lines.map(|lines| format!("&lines={lines}")));
    let failing = format!("the log of {project} cannot be shown");
    let request = Request::get(&failing, path)?;
    let mut error = None;
    client
        .each_line(&request, |line: LogLineView| {
            if line.name.is_empty() {
                error = Some(line.line.trim_start_matches("error: ").to_owned());
            } else if output.is_json() {
                output.record(&line);
            } else {
                let name = output.paint(Style::Dim, &one_line(&line.name, LONGEST_LINE));
                output.line(format_args!("{name} | {}", one_line(&line.line, LONGEST_LINE)));
            }
        })
        .await?;
    match error {
        Some(error) => Err(Failure::new(Kind::Refused, failing, error)),
        None => Ok(Exit::Succeeded),
    }
}
