//! Files that are made together or not at all, and never over others.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use super::key;
use crate::client::Failure;

/// What was made so far. Unless it is kept it is taken away again.
#[derive(Debug, Default)]
pub(super) struct NewFiles(Vec<PathBuf>);

impl NewFiles {
    /// Makes a file with a secret, for whoever runs windlass alone.
    pub(super) fn secret(&mut self, file: &Path, secret: &str) -> Result<(), Failure> {
        make_directory(file, 0o700)?;
        key::write(file, secret).map_err(|error| key::not_written(file, &error))?;
        self.0.push(file.to_owned());
        give_to_the_reader(file).map_err(|error| key::not_written(file, &error))
    }

    /// Makes a file that everybody may read.
    pub(super) fn plain(&mut self, file: &Path, text: &str) -> Result<(), Failure> {
        make_directory(file, 0o755)?;
        let not_written = |error: io::Error| key::not_written(file, &error);
        let mut created = OpenOptions::new().write(true).create_new(true).open(file).map_err(not_written)?;
        self.0.push(file.to_owned());
        created.write_all(text.as_bytes()).and_then(|()| created.sync_all()).map_err(not_written)
    }

    /// All of them are there, and stay.
    pub(super) fn keep(mut self) {
        self.0.clear();
    }
}

impl Drop for NewFiles {
    fn drop(&mut self) {
        for file in &self.0 {
            let _ = fs::remove_file(file);
        }
    }
}

fn make_directory(file: &Path, mode: u32) -> Result<(), Failure> {
    let Some(directory) = file.parent() else { return Ok(()) };
    let made = fs::DirBuilder::new().recursive(true).mode(mode).create(directory);
    made.map_err(|error| key::not_written(directory, &error))
}

/// Root makes the secret, and windlass, which may run as somebody else, has to read it: so it belongs to whoever its
/// directory belongs to.
fn give_to_the_reader(secret: &Path) -> io::Result<()> {
    let Some(directory) = secret.parent() else { return Ok(()) };
    let (directory, file) = (directory.metadata()?, secret.metadata()?);
    if nix::unistd::geteuid().is_root() && (directory.uid(), directory.gid()) != (file.uid(), file.gid()) {
        std::os::unix::fs::lchown(secret, Some(directory.uid()), Some(directory.gid()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_is_not_kept_is_taken_away_again_and_what_was_there_before_stays() {
        let directory = tempfile::tempdir().unwrap();
        let (one, two) = (directory.path().join("keys/one"), directory.path().join("two"));
        fs::write(&two, "before").unwrap();
        let mut files = NewFiles::default();
        files.secret(&one, "secret").unwrap();
        assert_eq!(one.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert!(files.plain(&two, "after").is_err());
        drop(files);
        assert!(!one.exists());
        assert_eq!(fs::read_to_string(&two).unwrap(), "before");
    }
}
