//! The command: one file for each of its words.
//!
//! `render` and `table` show what a windlass says, `output` prints, and `exit` has the codes that scripts depend on.

mod cancel;
mod check;
mod completions;
mod config;
mod deploy;
mod diff;
mod exit;
mod follow;
mod freeze;
mod global;
mod import;
mod init;
mod key;
mod list;
mod logs;
mod output;
mod plan;
mod polkit;
mod refused;
mod render;
mod rollback;
mod schema;
mod serve;
mod status;
mod table;
mod version;
mod what;
mod when;
mod which;

use std::ffi::OsString;
use std::future::Future;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::client::Failure;
use exit::Exit;
use global::Global;
use output::Output;

/// Deploys images on this host, proves that they work, and puts back what ran before when they do not.
#[derive(Debug, Parser)]
#[command(name = "windlass", version, about, after_help = EXIT_CODES, max_term_width = 100)]
#[command(subcommand_required = true, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
   0  succeeded          20  abandoned: nothing was touched
   1  internal           21  rolled back: what ran before runs again
   2  usage              22  rollback failed: a person is needed
   3  not well (status)  23  superseded by a newer one
  10  refused            24  cancelled
  11  not authentic      30  still running when the waiting ended
  12  unreachable";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon that takes hooks
    Serve,
    /// Look for everything on this host that would make a deployment fail
    #[command(visible_alias = "doctor")]
    Check,
    /// Write a project file and a key, and print what to paste into CI
    Init(init::Args),
    /// Import the configuration of another deployer
    #[command(subcommand)]
    Import(import::Command),
    /// Print the rule that lets windlass manage its units without being root
    Polkit(polkit::Args),
    /// Show the settings that are in force, and where each is from
    #[command(subcommand)]
    Config(config::Command),
    /// Print what a shell needs to complete commands and projects
    Completions(completions::Args),
    /// Print the names of all projects, a line each
    #[command(hide = true)]
    Names,
    /// Print the JSON Schema of config.toml or of project files, for editors
    Schema(schema::Args),
    /// Make keys, and show them in the form that other programs want
    #[command(subcommand)]
    Key(key::Command),
    /// Put images into service, and wait for the outcome
    Deploy(deploy::Args),
    /// Show what a deployment would do, and change nothing
    Plan(plan::Args),
    /// Show which images a deployment would change, with their commits
    Diff(diff::Args),
    /// Show what runs, and how the last deployments went
    #[command(alias = "ps")]
    Status(status::Args),
    /// List deployments, newest first
    #[command(aliases = ["history", "ls"])]
    List(list::Args),
    /// Show a deployment from its beginning to its outcome
    Follow(follow::Args),
    /// Show what a project's containers or units print
    Logs(logs::Args),
    /// Show which callers were refused of late, and why
    Refused(refused::Args),
    /// Put an earlier release back into service
    Rollback(rollback::Args),
    /// End a deployment; what ran before runs again
    Cancel(cancel::Args),
    /// Block deployments of a project
    Freeze(freeze::Args),
    /// Let deployments through again
    Unfreeze(freeze::Unfreeze),
    /// Show the versions of this command and of the daemon
    Version,
}

/// What a shell reads to complete the command.
///
/// # Errors
/// When what was made is no text.
pub fn completions(shell: clap_complete::Shell) -> Result<String, std::string::FromUtf8Error> {
    completions::script(shell, command())
}

/// The whole command line, for whoever describes it elsewhere: manual pages, completions.
#[must_use]
pub fn command() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

/// Does what the command line says, and says how that ended.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let Cli { global, command } = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help that nobody reads is no failure.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage } else { Exit::Succeeded }.into();
        }
    };
    let mut output = Output::new(global.json);
    let exit = command.run(&global, &mut output).unwrap_or_else(|failure| output.tell(&failure));
    output.finish(exit).into()
}

impl Command {
    fn run(self, global: &Global, output: &mut Output) -> Result<Exit, Failure> {
        forbid_cores().map_err(anyhow::Error::new)?;
        match self {
            Self::Serve => serve::run(global, output),
            Self::Check => wait_for(check::run(global, output)),
            Self::Init(args) => wait_for(init::run(args, global, output)),
            Self::Import(command) => import::run(command, global, output),
            Self::Polkit(args) => polkit::run(&args, global, output),
            Self::Config(command) => config::run(&command, global, output),
            Self::Completions(args) => completions::run(&args, self::command(), output),
            Self::Names => wait_for(completions::names(&global.operator()?, output)),
            Self::Schema(args) => schema::run(&args, output),
            Self::Key(command) => key::run(command, global, output),
            Self::Deploy(args) => wait_for(deploy::run(args, &global.client(output)?, output)),
            Self::Plan(args) => wait_for(plan::run(args, &global.client(output)?, output)),
            Self::Diff(args) => wait_for(diff::run(args, &global.client(output)?, output)),
            Self::Status(args) => wait_for(status::run(args, &global.client(output)?, output)),
            Self::List(args) => wait_for(list::run(args, &global.client(output)?, output)),
            Self::Follow(args) => wait_for(follow::run(args, &global.client(output)?, output)),
            Self::Logs(args) => wait_for(logs::run(args, &global.operator()?, output)),
            Self::Refused(args) => wait_for(refused::run(args, &global.operator()?, output)),
            Self::Rollback(args) => wait_for(rollback::run(args, &global.operator()?, output)),
            Self::Cancel(args) => wait_for(cancel::run(args, &global.operator()?, output)),
            Self::Freeze(args) => wait_for(freeze::freeze(args, &global.operator()?, output)),
            Self::Version => wait_for(version::run(global, output)),
            Self::Unfreeze(args) => wait_for(freeze::unfreeze(args, &global.operator()?, output)),
        }
    }
}

/// A core would have in it the keys that were read.
fn forbid_cores() -> Result<(), Errno> {
    let (_, most) = getrlimit(Resource::RLIMIT_CORE)?;
    setrlimit(Resource::RLIMIT_CORE, 0, most)
}

/// One thread is enough for one answer, and it starts faster than several.
fn wait_for<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(anyhow::Error::new)?;
    runtime.block_on(work)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_can_complete_it_and_bash_asks_for_the_projects() {
        use clap_complete::Shell;
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::Elvish, Shell::PowerShell] {
            let script = completions(shell).unwrap();
            assert!(script.contains("rollback"), "{shell}");
            assert_eq!(script.contains("$(windlass names"), shell == Shell::Bash, "{shell}");
        }
    }

    #[test]
    fn the_command_line_is_sound_and_each_command_says_in_one_line_what_it_does() {
        let mut command = command();
        command.build();
        command.clone().debug_assert();
        for sub in command.get_subcommands() {
            let about = sub.get_about().map(ToString::to_string).unwrap_or_default();
            assert!((10..80).contains(&about.len()) && !about.contains('\n'), "{}: {about:?}", sub.get_name());
        }
    }
}
