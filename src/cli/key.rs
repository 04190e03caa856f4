//! `windlass key`: makes keys, and shows them in the form that other programs want.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::json;
use zeroize::Zeroizing;

use super::exit::Exit;
use super::global::Global;
use super::output::Output;
use crate::auth::{Key, Scheme};
use crate::client::{Failure, Kind};

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
        Command::New { out } => new(global.scheme.unwrap_or(Scheme::Standard), out.as_deref(), output),
        Command::Hex { file } => hex(&file, global, output),
    }
}

fn new(scheme: Scheme, out: Option<&Path>, output: &mut Output) -> Result<Exit, Failure> {
    let secret = generate(scheme)?;
    match out {
        Some(file) => {
            write(file, &secret).map_err(|error| not_written(file, &error))?;
            if output.is_json() {
                output.document(&json!({ "scheme": scheme, "file": file }));
            } else {
                output.line(format_args!("{}: a new key of scheme {scheme}", file.display()));
            }
        }
        None if output.is_json() => output.document(&json!({ "scheme": scheme, "secret": *secret })),
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
        output.document(&json!({ "scheme": key.scheme, "hex": *hex }));
    } else {
        output.line(&*hex);
    }
    Ok(Exit::Succeeded)
}

/// A new secret, as it stands in a key file.
pub(super) fn generate(scheme: Scheme) -> Result<Zeroizing<String>, Failure> {
    Ok(Zeroizing::new(Key::generate(scheme).map_err(anyhow::Error::new)?))
}

/// Writes a key into a file that was not there before and that only its owner may read.
pub(super) fn write(file: &Path, secret: &str) -> io::Result<()> {
    let mut created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    let written = writeln!(created, "{secret}").and_then(|()| created.sync_all());
    // Half a key would be taken for a whole one.
    written.inspect_err(|_| drop(std::fs::remove_file(file)))
}

/// What to say when it could not be written.
pub(super) fn not_written(file: &Path, error: &io::Error) -> Failure {
    let failure = Failure::new(Kind::Refused, format!("{} was not written", file.display()), error);
    match error.kind() {
        io::ErrorKind::AlreadyExists => failure.fix("name another file; a key that is in use is never overwritten"),
        io::ErrorKind::PermissionDenied => failure.fix("run this as root: sudo windlass …"),
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_file_is_new_and_for_its_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("ci.key");
        write(&file, "secret").unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "secret\n");
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(write(&file, "other").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(directory.path().join("elsewhere"), &link).unwrap();
        assert_eq!(write(&link, "other").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "secret\n");
    }
}
