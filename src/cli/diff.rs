//! `windlass diff`: what a deployment would change, or what somebody has changed by hand.

use serde::Serialize;

use super::exit::Exit;
use super::output::{Output, Style};
use super::plan;
use super::table::{Cell, Table};
use super::what::What;
use super::when::Now;
use crate::client::{Client, Failure, Kind, Request};
use crate::model::{ProjectName, Timestamp};
use crate::wire::release::ImageView;
use crate::wire::view::{DeploymentView, Deployments, ProjectView};

/// Between what.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without an image it shows what runs in the place of what was deployed.

Examples:
  windlass diff shop v2          what the deployment of v2 would change
  windlass diff shop             what somebody has changed by hand")]
pub(super) struct Args {
    /// The project
    project: ProjectName,
    /// Images, as `windlass deploy` takes them
    #[arg(value_name = "IMAGE")]
    images: Vec<String>,
}

/// How many deployments are looked through for the commits of images.
const RECENT: usize = 200;

/// One side of a difference.
#[derive(Debug, Serialize)]
struct Side {
    image: ImageView,
    commit: Option<String>,
    run_url: Option<String>,
    deployed_at: Option<Timestamp>,
}

pub(super) async fn run(args: Args, client: &Client, output: &mut Output) -> Result<Exit, Failure> {
    let name = args.project;
    let (before, after) = if args.images.is_empty() {
        let request = Request::get(format!("{name} cannot be shown"), format!("/v1/projects/{name}"))?;
        let project: ProjectView = client.ask(&request).await?;
        if let Some(why) = project.unreadable {
            return Err(Failure::new(Kind::Refused, format!("{name} cannot be compared"), why).fix("windlass check"));
        }
        (project.in_service, project.runs)
    } else {
        let plan = plan::ask(&What::new(name.clone(), args.images), client).await?;
        (plan.previous, plan.release)
    };
    let failing = format!("the deployments of {name} cannot be shown");
    let history = Request::get(failing, format!("/v1/deployments?project={name}&limit={RECENT}"))?;
    let Deployments { deployments } = client.ask(&history).await?;
    let differs = |image: &&ImageView, others: &[ImageView]| !others.iter().any(|other| other.digest == image.digest);
    let side = |images: &[ImageView], others: &[ImageView]| -> Vec<Side> {
        images.iter().filter(|image| differs(image, others)).map(|image| side(image, &deployments)).collect()
    };
    let (from, to) = (side(&before, &after), side(&after, &before));
    if output.is_json() {
        output.document(&serde_json::json!({ "from": from, "to": to }));
    } else if from.is_empty() && to.is_empty() {
        output.line(format_args!("{name}: nothing would change"));
    } else {
        print(&from, &to, output);
    }
    Ok(Exit::Succeeded)
}

/// `image`, with what the newest deployment of it says.
fn side(image: &ImageView, deployments: &[DeploymentView]) -> Side {
    let released = |view: &&DeploymentView| view.release.iter().any(|known| known.digest == image.digest);
    let deployment = deployments.iter().find(released);
    let asked = deployment.map(|view| view.requested_by.clone()).unwrap_or_default();
    Side {
        image: image.clone(),
        commit: asked.commit,
        run_url: asked.run_url,
        deployed_at: deployment.and_then(|view| view.finished_at),
    }
}

fn print(from: &[Side], to: &[Side], output: &mut Output) {
    let now = Now::here();
    let deployed = now.heading("DEPLOYED");
    let mut table = Table::new(&["", "IMAGE", "COMMIT", &deployed, "BUILD"]);
    let sides = from.iter().map(|side| ("-", Style::Bad, side)).chain(to.iter().map(|side| ("+", Style::Good, side)));
    for (sign, style, Side { image, commit, run_url, deployed_at }) in sides {
        let commit = commit.as_deref().map_or("-", |commit| commit.get(..12).unwrap_or(commit));
        table.row(vec![
            Cell::new(style, sign),
            Cell::new(style, image.short()),
            Cell::plain(commit),
            Cell::plain(deployed_at.map_or_else(|| "never".to_owned(), |at| now.both(at))),
            Cell::new(Style::Dim, run_url.as_deref().unwrap_or("-")),
        ]);
    }
    table.print(output.width(), output);
}
