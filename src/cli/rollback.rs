//! `windlass rollback`: puts an earlier release back into service.

use super::client::{Client, Request};
use super::deploy::Waiting;
use super::exit::Exit;
use super::failure::Failure;
use super::output::Output;
use crate::model::{DeploymentId, ProjectName};
use crate::wire::request::RollbackBody;

/// Which project, and how far back.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A rollback is a deployment of its own: it is proven like any other, and undone when it does not work.

Examples:
  windlass rollback shop                                     to the release before the one that runs
  windlass rollback shop --to 01jd5zk3v8x2m4n6p8q0r2s4t6     to what that deployment put into service")]
pub(super) struct Args {
    /// The project
    project: ProjectName,
    /// The deployment whose release shall run again
    #[arg(long, value_name = "ID")]
    to: Option<DeploymentId>,
    #[command(flatten)]
    waiting: Waiting,
}

pub(super) async fn run(args: Args, client: &Client, output: &mut Output) -> Result<Exit, Failure> {
    let failing = format!("{} was not rolled back", args.project);
    let path = format!("/v1/projects/{}/rollback", args.project);
    let request = Request::post(failing, path, &RollbackBody { to: args.to })?;
    args.waiting.see_through(client, request, output).await
}
