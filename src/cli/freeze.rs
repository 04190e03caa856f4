//! `windlass freeze` and `windlass unfreeze`: whether deployments of a project are let through.

use serde_json::{Value, json};

use super::exit::Exit;
use super::output::Output;
use super::when;
use crate::client::{Client, Failure, Request};
use crate::model::ProjectName;
use crate::wire::request::FreezeBody;

/// Which project, why, and for how long.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
What is under way goes on. What waits ends untouched when its turn comes; what comes is refused with the reason.

Example:
  windlass freeze shop --reason 'the database is being moved' --for 2h")]
pub(super) struct Args {
    /// The project
    project: ProjectName,
    /// Why; whoever is refused reads it
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// For how long, such as 2h or 3days; until it is unfrozen when it is not given
    #[arg(long = "for", value_name = "DURATION", value_parser = when::written)]
    duration: Option<String>,
}

/// Which project.
#[derive(Debug, clap::Args)]
pub(super) struct Unfreeze {
    /// The project
    project: ProjectName,
}

pub(super) async fn freeze(args: Args, client: &Client, output: &mut Output) -> Result<Exit, Failure> {
    let body = FreezeBody { reason: args.reason, duration: args.duration.clone() };
    let failing = format!("{} was not frozen", args.project);
    let request = Request::post(failing, format!("/v1/projects/{}/freeze", args.project), &body)?;
    let answer: Value = client.ask(&request).await?;
    let until = args.duration.map_or_else(
        || format!("until it is unfrozen: windlass unfreeze {}", args.project),
        |duration| format!("for {duration}"),
    );
    tell(&answer, &format!("{} is frozen {until}", args.project), output);
    Ok(Exit::Succeeded)
}

pub(super) async fn unfreeze(args: Unfreeze, client: &Client, output: &mut Output) -> Result<Exit, Failure> {
    let failing = format!("{} was not unfrozen", args.project);
    let request = Request::post(failing, format!("/v1/projects/{}/unfreeze", args.project), &json!({}))?;
    let answer: Value = client.ask(&request).await?;
    tell(&answer, &format!("{} takes deployments again", args.project), output);
    Ok(Exit::Succeeded)
}

fn tell(answer: &Value, line: &str, output: &mut Output) {
    if output.is_json() {
        output.document(answer);
    } else {
        output.line(line);
    }
}
