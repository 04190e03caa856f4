//! `windlass plan`: shows what a deployment would do.

use super::exit::Exit;
use super::output::Output;
use super::what::What;
use crate::client::{Client, Failure, Request};
use crate::model::one_line;
use crate::wire::request::HookBody;
use crate::wire::view::PlanView;

/// What would be deployed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  windlass plan shop v2
  windlass plan shop ghcr.io/acme/shop-api:v2")]
pub(super) struct Args {
    #[command(flatten)]
    what: What,
}

pub(super) async fn run(args: Args, client: &Client, output: &mut Output) -> Result<Exit, Failure> {
    preview(&args.what, client, output).await
}

/// Asks what `what` would do, and shows it.
pub(super) async fn preview(what: &What, client: &Client, output: &mut Output) -> Result<Exit, Failure> {
    show(&ask(what, client).await?, output)
}

/// Asks what `what` would do.
pub(super) async fn ask(what: &What, client: &Client) -> Result<PlanView, Failure> {
    let failing = format!("a deployment of {} cannot be planned", what.project());
    // In the body, where it is signed: nobody can send the same again as a deployment.
    let body = HookBody { dry_run: Some(true), ..what.body(client).await? };
    let request = Request::post(failing, what.path(client), &body)?;
    client.ask(&request).await
}

/// Shows what would be done.
pub(super) fn show(plan: &PlanView, output: &mut Output) -> Result<Exit, Failure> {
    if output.is_json() {
        output.document(plan);
        return Ok(Exit::Succeeded);
    }
    for line in plan.in_lines() {
        output.line(one_line(&line, 1000));
    }
    Ok(Exit::Succeeded)
}
