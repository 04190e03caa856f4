//! A new key, and the file that it is written into.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use zeroize::Zeroizing;

use crate::auth::{Key, Scheme};
use crate::client::{Failure, Kind};

/// A new secret, as a key file has it.
pub(crate) fn generate(scheme: Scheme) -> Result<Zeroizing<String>, Failure> {
    Ok(Zeroizing::new(Key::generate(scheme).map_err(anyhow::Error::new)?))
}

/// Writes a key into a file that was not there before and that only its owner may read.
pub(crate) fn write(file: &Path, secret: &str) -> io::Result<()> {
    let mut created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    let written = writeln!(created, "{secret}").and_then(|()| created.sync_all());
    // Half a key would be taken for a whole one.
    written.inspect_err(|_| drop(std::fs::remove_file(file)))
}

/// What to say when it could not be written.
pub(crate) fn not_written(file: &Path, error: &io::Error) -> Failure {
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
