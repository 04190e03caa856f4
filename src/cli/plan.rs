//! `windlass plan`: shows what a deployment would do.

use super::exit::Exit;
use super::output::{Output, Style};
use super::table;
use super::what::What;
use crate::client::{Client, Failure, Request};
use crate::model::one_line;
use crate::wire::request::HookBody;
use crate::wire::view::PlanView;

/// What would be deployed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
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
    let failing = format!("a deployment of {} cannot be planned", what.project());
    // In the body, where it is signed: nobody can send the same again as a deployment.
    let body = HookBody { dry_run: Some(true), ..what.body() };
    let request = Request::post(failing, what.path(client), &body)?;
    show(&client.ask(&request).await?, output)
}

/// Shows what would be done.
pub(super) fn show(plan: &PlanView, output: &mut Output) -> Result<Exit, Failure> {
    if output.is_json() {
        output.document(plan);
        return Ok(Exit::Succeeded);
    }
    for line in lines(plan) {
        output.line(one_line(&line, 1000));
    }
    output.line(output.paint(Style::Dim, "nothing was changed"));
    Ok(Exit::Succeeded)
}

fn lines(plan: &PlanView) -> Vec<String> {
    let or_nothing = |text: String| if text.is_empty() { "nothing of these images".to_owned() } else { text };
    let mut lines = Vec::new();
    lines.extend(plan.rollback.as_ref().map(|rollback| rollback.in_words(&plan.release)));
    lines.extend([
        format!("release   {}", table::images(&plan.release)),
        format!("running   {}", or_nothing(table::images(&plan.previous))),
        format!("services  {}", plan.services.join(", ")),
    ]);
    lines.extend(plan.steps.iter().enumerate().map(|(number, step)| format!("{:>8}. {step}", number + 1)));
    lines.extend(plan.warnings.iter().map(|warning| format!("warning: {warning}")));
    lines
}
