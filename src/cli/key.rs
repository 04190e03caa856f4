//! `windlass key`: makes keys, and shows them in the form that other programs want.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::exit::Exit;
use super::global::Global;
use super::output::Output;
use crate::auth::Scheme;
use crate::client::{Failure, Kind};
use crate::setup::key;

/// What to do with a key.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Make a key of 256 random bits; --scheme says for what, standard when it is not given
    #[command(after_help = "\
Examples:
  windlass key new --out /etc/windlass/keys/shop-ci.key
  windlass key new --scheme github")]
    New {
        /// Write it to this new file, which only you may read, and do not show it
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Show a key that signs as hex digits, as openssl and curl want it: this prints the secret
    #[command(after_help = "\
Example:
  KEY_HEX=$(windlass key hex /etc/windlass/keys/shop-ci.key)")]
    Hex {
        /// The file that holds the key
        file: PathBuf,
    },
}

pub(super) fn run(command: Command, global: &Global, output: &mut Output) -> Result<Exit, Failure> {
    match command {
        Command::New { out } => new(global.scheme.unwrap_or(Scheme::STANDARD), out.as_deref(), output),
        Command::Hex { file } => hex(&file, global, output),
    }
}

fn new(scheme: Scheme, out: Option<&Path>, output: &mut Output) -> Result<Exit, Failure> {
    let secret = key::generate(scheme)?;
    match out {
        Some(file) => {
            key::write(file, &secret).map_err(|error| key::not_written(file, &error))?;
            if output.is_json() {
                output.document(&json!({ "scheme": scheme.as_str(), "file": file }));
            } else {
                output.line(format_args!("{}: a new key of scheme {scheme}", file.display()));
            }
        }
        None if output.is_json() => output.document(&json!({ "scheme": scheme.as_str(), "secret": *secret })),
        None => output.line(&*secret),
    }
    Ok(Exit::Succeeded)
}

fn hex(file: &Path, global: &Global, output: &mut Output) -> Result<Exit, Failure> {
    let key = global.read_key(file, output)?;
    let Some(hex) = key.reveal_hex() else {
        return Err(Failure::new(
            Kind::Usage,
            format!("{} has no hex digits", file.display()),
            "a bearer key signs nothing",
        )
        .fix("send it as it is: Authorization: Bearer KEY"));
    };
    if output.is_json() {
        output.document(&json!({ "scheme": key.scheme().as_str(), "hex": *hex }));
    } else {
        output.line(&*hex);
    }
    Ok(Exit::Succeeded)
}
