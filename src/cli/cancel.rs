//! `windlass cancel`: ends a deployment.

use serde_json::{Value, json};

use super::exit::Exit;
use super::output::Output;
use crate::client::{Client, Failure, Request};
use crate::model::DeploymentId;

/// Which deployment.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A deployment that waits ends at once. One that has touched nothing ends untouched. Any other is rolled back, which
cannot be cancelled.")]
pub(super) struct Args {
    /// The deployment's id, as `windlass list` shows it
    #[arg(value_name = "ID")]
    deployment: DeploymentId,
}

pub(super) async fn run(args: Args, client: &Client, output: &mut Output) -> Result<Exit, Failure> {
    let id = &args.deployment;
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
