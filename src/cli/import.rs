//! `windlass import`: takes over what another deployer on this host was configured with.

mod config_file;
mod docker_puller;
mod imported;
mod puller;
mod script;

use super::exit::Exit;
use super::global::Global;
use super::output::Output;
use crate::client::Failure;

/// What is taken over.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// The token and the hooks of docker-puller; its callers go on as they are
    DockerPuller(docker_puller::Args),
}

pub(super) fn run(command: Command, global: &Global, output: &mut Output) -> Result<Exit, Failure> {
    match command {
        Command::DockerPuller(args) => docker_puller::run(&args, global, output),
    }
}
