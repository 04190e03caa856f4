//! `windlass serve`: runs the daemon in the foreground, and lets it speak to standard error.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::filter::LevelFilter;

use super::exit::Exit;
use super::global::Global;
use super::output::{self, Output};
use crate::client::{Failure, Kind};
use crate::config::LoadError;
use crate::daemon;

/// How much is said: error, warn, info, debug or trace.
const LEVEL: &str = "WINDLASS_LOG";

pub(super) fn run(global: &Global, output: &mut Output) -> Result<Exit, Failure> {
    start_log()?;
    let Err(error) = daemon::serve(global.config.as_deref()) else {
        return Ok(Exit::Succeeded);
    };
    let thing = "windlass does not start";
    let Some(LoadError { problems }) = error.downcast_ref() else {
        return Err(Failure::new(Kind::Internal, thing, format!("{error:#}")));
    };
    for problem in problems {
        output.remark(problem);
    }
    Err(Failure::new(Kind::Refused, thing, "the configuration cannot be used").fix("windlass check"))
}

fn start_log() -> Result<(), Failure> {
    let level = std::env::var(LEVEL).unwrap_or_default();
    let level = if level.is_empty() { Ok(LevelFilter::INFO) } else { level.parse() };
    let level = level.map_err(|_| {
        Failure::new(Kind::Usage, format!("{LEVEL} cannot be used"), "it is not a log level")
            .fix("one of error, warn, info, debug and trace")
    })?;
    let log = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(io::stderr)
        .with_target(false)
        .with_ansi(io::stderr().is_terminal() && output::may_be_coloured());
    // The journal notes the time itself.
    if std::env::var_os("JOURNAL_STREAM").is_some() {
        log.without_time().init()
    } else {
        log.init()
    }
    Ok(())
}
