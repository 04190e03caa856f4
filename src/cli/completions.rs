//! `windlass completions`: what a shell needs to complete commands, options and, in bash, the names of projects.

use std::string::FromUtf8Error;

use clap_complete::Shell;

use super::exit::Exit;
use super::output::Output;
use crate::client::{Client, Failure, Kind, Request};
use crate::wire::view::Projects;

/// For which shell.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The Debian package has these already.

Example:
  windlass completions bash | sudo tee /usr/share/bash-completion/completions/windlass >/dev/null")]
pub(super) struct Args {
    /// The shell
    shell: Shell,
}

pub(super) fn run(args: &Args, command: clap::Command, output: &mut Output) -> Result<Exit, Failure> {
    let script = script(args.shell, command)
        .map_err(|error| Failure::new(Kind::Internal, "the completions cannot be written", error))?;
    output.line(script.trim_end());
    Ok(Exit::Succeeded)
}

/// What `shell` reads to complete `command`.
pub(super) fn script(shell: Shell, mut command: clap::Command) -> Result<String, FromUtf8Error> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "windlass", &mut script);
    let script = String::from_utf8(script)?;
    Ok(if shell == Shell::Bash { script + include_str!("completions/projects.bash") } else { script })
}

/// The names of all projects, a line each: what the completion of bash asks for.
pub(super) async fn names(client: &Client, output: &mut Output) -> Result<Exit, Failure> {
    let request = Request::get("the projects cannot be listed", "/v1/projects")?;
    let Projects { projects, .. } = client.ask(&request).await?;
    projects.iter().for_each(|project| output.line(&project.name));
    Ok(Exit::Succeeded)
}
