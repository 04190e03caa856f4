//! `windlass deploy`: puts images into service through a windlass, here or elsewhere.

use std::time::Duration;

use serde_json::Value;

use super::exit::Exit;
use super::output::Output;
use super::what::What;
use super::{follow, plan};
use crate::client::{Begun, Client, Failure, Kind, Request, Watch};
use crate::model::{DeliveryId, ProjectName, one_line};
use crate::wire::request::HookBody;
use crate::wire::text::Detail;
use crate::wire::view::DeploymentView;

/// What to deploy, and how long to wait for it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Ctrl-C stops watching; the deployment continues. The exit code is the outcome's.

Examples:
  windlass deploy shop ghcr.io/acme/shop-api:v2                  on the host, through its socket
  windlass deploy shop v2                                        the same, where the project has one image
  windlass deploy shop ghcr.io/acme/shop-api:v2 ghcr.io/acme/shop-web:v2     both move together
  windlass deploy shop ghcr.io/acme/shop-api:v2 --dry-run        what would be done
  windlass --url https://deploy.example.com --key-file ci.key \\
      deploy shop ghcr.io/acme/shop-api:v2 --delivery \"run-$RUN_ID\"              from CI")]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) what: What,
    /// A number that grows with each build: one lower than the newest accepted is refused, unless an operator on the
    /// host sends it
    #[arg(long, value_name = "NUMBER")]
    sequence: Option<u64>,
    /// The commit that was built
    #[arg(long, value_name = "HASH")]
    commit: Option<String>,
    /// The git reference that was built
    #[arg(long = "ref", value_name = "REF")]
    git_ref: Option<String>,
    /// Where the build can be looked at
    #[arg(long, value_name = "URL")]
    run_url: Option<String>,
    /// An id for this delivery, with --url: sent again with the same images it joins the deployment that it began
    #[arg(long, value_name = "ID")]
    delivery: Option<DeliveryId>,
    #[command(flatten)]
    waiting: Waiting,
    /// Show what would be done, and change nothing
    #[arg(long, conflicts_with_all = ["wait", "no_wait"])]
    dry_run: bool,
}

/// How long to wait for the outcome.
#[derive(Debug, clap::Args)]
pub(super) struct Waiting {
    /// How long to wait for the outcome, such as 90s or 10m; until there is one when it is not given
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    wait: Option<Duration>,
    /// Do not wait: end as soon as the deployment is accepted
    #[arg(long, conflicts_with = "wait")]
    no_wait: bool,
}

pub(super) async fn run(args: Args, client: &Client, output: &mut Output) -> Result<Exit, Failure> {
    if args.dry_run {
        return plan::preview(&args.what, client, output).await;
    }
    let body = HookBody {
        sequence: args.sequence,
        commit: args.commit,
        git_ref: args.git_ref,
        run_url: args.run_url,
        ..args.what.body(client).await?
    };
    let failing = format!("{} was not deployed", args.what.project());
    if args.delivery.is_some() && client.is_operator() {
        return Err(Failure::new(Kind::Usage, failing, "--delivery cannot be used on the local socket")
            .fix("leave out --delivery, or send it with a key: --url URL --key-file FILE"));
    }
    let request = Request::post(failing, args.what.path(client), &body)?.delivered_as(args.delivery);
    args.waiting.see_through(client, args.what.project(), request, output).await
}

impl Waiting {
    /// Sends `request`, which begins a deployment, and waits for it as was asked.
    pub(super) async fn see_through(
        &self,
        client: &Client,
        project: &ProjectName,
        request: Request,
        output: &mut Output,
    ) -> Result<Exit, Failure> {
        if self.no_wait {
            let answer = client.ask(&request).await?;
            return show_answer(&answer, output);
        }
        match Watch::begin(client, request).await? {
            Begun::Watch(watch) => follow::to_the_end(*watch, project.clone(), Detail::Brief, self.wait, output).await,
            Begun::Answer(answer) => show_answer(&answer, output),
        }
    }
}

/// Shows what was accepted; says how the command ends when nobody waits for more.
fn show_answer(answer: &Value, output: &mut Output) -> Result<Exit, Failure> {
    if output.is_json() {
        output.document(answer);
    }
    let Ok(view) = serde_json::from_value::<DeploymentView>(answer.clone()) else {
        if let (false, Some(reason)) = (output.is_json(), answer.get("ignored").and_then(Value::as_str)) {
            output.line(format_args!("ignored: {reason}"));
        }
        return Ok(Exit::Succeeded);
    };
    if !output.is_json() {
        if let Some(rollback) = &view.rollback {
            output.line(one_line(&rollback.in_words(&view.release), 1000));
        }
        output.line(format_args!("{} {}", view.status, view.id));
        output.remark(format_args!("To watch it: windlass follow {}", view.id));
    }
    Ok(match Exit::from(view.status) {
        // Nobody wanted to wait for more.
        Exit::StillRunning => Exit::Succeeded,
        ended => ended,
    })
}
