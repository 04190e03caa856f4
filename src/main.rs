//! The command. All that it does is in `cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    windlass::cli::run(std::env::args_os())
}
