//! `windlass follow`: shows a deployment from its beginning to its outcome. Others that wait for one do it here.

use std::time::Duration;

use super::exit::Exit;
use super::output::Output;
use super::render::Renderer;
use super::which::Which;
use crate::client::{Client, Failure, Watch};
use crate::model::ProjectName;
use crate::wire::text::Detail;

/// Which deployment, and for how long.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Ctrl-C stops watching; the deployment continues. The exit code is the outcome's, or 30 while there is none.

Examples:
  windlass follow shop                                       the newest deployment of the project
  windlass follow 0r2s4t6                                    the one whose id ends with this
  windlass follow 01jd5zk3v8x2m4n6p8q0r2s4t6 --json | jq -r .event")]
pub(super) struct Args {
    /// The project, whose newest deployment is shown; or an id, or its first or last characters
    #[arg(value_name = "PROJECT|ID")]
    deployment: Which,
    /// How long to wait for the outcome, such as 90s or 10m; for ever when it is not given
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    wait: Option<Duration>,
}

pub(super) async fn run(args: Args, client: &Client, output: &mut Output) -> Result<Exit, Failure> {
    let view = args.deployment.find(client, "nothing can be followed", "is known", |_| true).await?;
    to_the_end(Watch::follow(client, view.id)?, view.project, Detail::Full, args.wait, output).await
}

/// Shows what `watch` sees until the deployment, the time or the patience of the one who looks on is at its end.
pub(super) async fn to_the_end(
    mut watch: Watch<'_>,
    project: ProjectName,
    detail: Detail,
    wait: Option<Duration>,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let deployment = watch.deployment().clone();
    let mut renderer = Renderer::new(deployment.clone(), project, detail, output);
    let showing = async {
        loop {
            let event = watch.next().await?;
            if let Some(exit) = renderer.show(output, &event) {
                return Ok::<Exit, Failure>(exit);
            }
        }
    };
    let over = async {
        match wait {
            Some(wait) => tokio::time::sleep(wait).await,
            None => std::future::pending().await,
        }
    };
    let why = tokio::select! {
        biased;
        ended = showing => {
            renderer.clear();
            return ended;
        }
        () = interrupted() => "no longer watched",
        () = over => "still running",
    };
    renderer.clear();
    output.remark(format_args!("{why}; the deployment continues. To watch it: windlass follow {deployment}"));
    Ok(Exit::StillRunning)
}

async fn interrupted() {
    // Where there are no signals nobody can send one.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
