//! `windlass polkit`: prints the rule that lets windlass manage the units of its projects when it is not root.

use serde_json::json;

use super::exit::Exit;
use super::global::Global;
use super::output::Output;
use crate::client::{Failure, Kind};
use crate::config::Settings;
use crate::daemon;
use crate::model::Clock;

/// For whom.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The rule names the units that are configured and what a deployment asks of them, and allows nothing else. When they change,
print it again. It is for polkit 0.106 and newer: Debian 12, Ubuntu 24.04.

Example:
  sudo windlass polkit | sudo tee /etc/polkit-1/rules.d/50-windlass.rules")]
pub(super) struct Args {
    /// The user that runs windlass
    #[arg(long, value_name = "NAME", default_value = "windlass", value_parser = user)]
    user: String,
}

pub(super) fn run(args: &Args, global: &Global, output: &mut Output) -> Result<Exit, Failure> {
    let loaded = Settings::load(global.config.as_deref(), std::env::vars_os(), Clock::system().now());
    let (settings, _) = loaded.map_err(|error| {
        for problem in &error.problems {
            output.remark(problem);
        }
        Failure::new(Kind::Refused, "there is no rule to print", "the configuration cannot be used")
            .fix("windlass check")
    })?;
    let rule = daemon::polkit_rule(&settings, &args.user);
    if output.is_json() {
        output.document(&json!({ "rule": rule }));
    } else if let Some(rule) = &rule {
        output.line(rule.trim_end());
    }
    if rule.is_none() {
        output.remark("no project has a unit of systemd: no rule is needed");
    }
    Ok(Exit::Succeeded)
}

fn user(text: &str) -> Result<String, &'static str> {
    let is_name = text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b':' | b'/'));
    if is_name && !text.is_empty() { Ok(text.to_owned()) } else { Err("this is not the name of a user") }
}
