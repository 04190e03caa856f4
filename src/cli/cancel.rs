//! `windlass cancel`: ends a deployment.

use serde_json::{Value, json};

use super::exit::Exit;
use super::output::Output;
use super::which::{Which, is_under_way};
use crate::client::{Client, Failure, Request};

/// Which deployment.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A deployment that waits ends at once. One that has touched nothing ends untouched. Any other is rolled back, which
cannot be cancelled.

Examples:
  windlass cancel shop
  windlass cancel 0r2s4t6")]
pub(super) struct Args {
    /// The project, whose deployment is cancelled that is under way; or an id, or its first or last characters
    #[arg(value_name = "PROJECT|ID")]
    deployment: Which,
}

pub(super) async fn run(args: Args, client: &Client, output: &mut Output) -> Result<Exit, Failure> {
    let id = args.deployment.id(client, "no deployment was cancelled", "is under way", is_under_way).await?;
    let request = Request::post(format!("{id} was not cancelled"), format!("/v1/deployments/{id}/cancel"), &json!({}))?;
    let answer: Value = client.ask(&request).await?;
    if output.is_json() {
        output.document(&answer);
    } else {
        output.line(format_args!("{id} is being cancelled"));
        output.remark(format_args!("To see it end: windlass follow {id}"));
    }
    Ok(Exit::Succeeded)
}
