//! Files that hold a secret: where they are looked for, who may read them, what stands in them.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use nix::fcntl::OFlag;
use zeroize::Zeroizing;

use super::guard::{Exposed, Owners};

/// The places where secrets are, besides the one that is written.
#[derive(Debug)]
pub(super) struct SecretFiles {
    /// Those that were read.
    pub(super) found: Mutex<Vec<PathBuf>>,
    /// To whom they may belong.
    pub(super) owners: Owners,
    /// systemd's `$CREDENTIALS_DIRECTORY`, which it guards itself.
    pub(super) credentials: Option<PathBuf>,
    /// `keys` beside `config.toml`.
    pub(super) keys: PathBuf,
}

/// Why a secret cannot be had from its file. It never shows what stands there.
#[derive(Debug, thiserror::Error)]
pub(super) enum SecretFileError {
    #[error("no such file: looked for {}", list(.looked_for))]
    Missing { looked_for: Vec<PathBuf> },
    #[error("cannot read {}: {source}", .file.display())]
    Unreadable { file: PathBuf, source: io::Error },
    #[error("{} is not a file", .file.display())]
    NotAFile { file: PathBuf },
    #[error("{} can be read by others than its owner (mode {mode:04o}); run `chmod 600 {}`", .file.display(), .file.display())]
    Open { file: PathBuf, mode: u32 },
    #[error("{} {exposed}; run `sudo chown {owner} {}`", .file.display(), .file.display())]
    Foreign { file: PathBuf, exposed: Exposed, owner: String },
    #[error("{} is too long for a secret", .file.display())]
    TooLong { file: PathBuf },
    #[error("{} is not text", .file.display())]
    NotText { file: PathBuf },
}

/// What is longer is some other file.
const MOST_BYTES: u64 = 64 * 1024;

impl SecretFiles {
    /// The text of the secret that a file in `beside` calls `written`, and where it was found.
    ///
    /// A bare name is looked for in `$CREDENTIALS_DIRECTORY`, then in `beside`, then in `keys`: what systemd hands
    /// over comes first, so that moving a secret there needs no change of the configuration.
    pub(super) fn read(&self, written: &Path, beside: &Path) -> Result<(PathBuf, Zeroizing<String>), SecretFileError> {
        let mut looked_for = Vec::new();
        for file in self.candidates(written, beside) {
            match open(&file) {
                Ok(opened) => {
                    let text = self.read_opened(opened, &file)?;
                    self.found.lock().unwrap_or_else(PoisonError::into_inner).push(file.clone());
                    return Ok((file, text));
                }
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                    looked_for.push(file);
                }
                Err(source) => return Err(SecretFileError::Unreadable { file, source }),
            }
        }
        Err(SecretFileError::Missing { looked_for })
    }

    fn candidates(&self, written: &Path, beside: &Path) -> Vec<PathBuf> {
        let mut components = written.components();
        let is_bare_name = matches!((components.next(), components.next()), (Some(Component::Normal(_)), None));
        if !is_bare_name {
            return vec![beside.join(written)];
        }
        let mut candidates: Vec<PathBuf> = self.credentials.iter().map(|directory| directory.join(written)).collect();
        candidates.push(beside.join(written));
        candidates.push(self.keys.join(written));
        candidates
    }

    fn read_opened(&self, mut opened: File, file: &Path) -> Result<Zeroizing<String>, SecretFileError> {
        let file = || file.to_owned();
        let unreadable = |source| SecretFileError::Unreadable { file: file(), source };
        let metadata = opened.metadata().map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(SecretFileError::NotAFile { file: file() });
        }
        let mode = metadata.mode() & 0o7777;
        let is_guarded = self.credentials.as_ref().is_some_and(|directory| file().starts_with(directory));
        if mode & 0o077 != 0 && !is_guarded {
            return Err(SecretFileError::Open { file: file(), mode });
        }
        if let Some(exposed) = self.owners.foreign(&metadata).filter(|_| !is_guarded) {
            return Err(SecretFileError::Foreign { file: file(), exposed, owner: self.owners.reader() });
        }
        if metadata.len() > MOST_BYTES {
            return Err(SecretFileError::TooLong { file: file() });
        }
        let mut text = Zeroizing::new(String::with_capacity(usize::try_from(metadata.len()).unwrap_or(0) + 1));
        match opened.by_ref().take(MOST_BYTES).read_to_string(&mut text) {
            Ok(_) => Ok(text),
            Err(error) if error.kind() == ErrorKind::InvalidData => Err(SecretFileError::NotText { file: file() }),
            Err(source) => Err(unreadable(source)),
        }
    }
}

/// Opens without waiting: a named pipe would have no end.
fn open(file: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(file)
}

fn list(files: &[PathBuf]) -> String {
    files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A directory with `credentials`, `projects.d` and `keys`.
    fn places() -> (tempfile::TempDir, SecretFiles) {
        let root = tempfile::tempdir().unwrap();
        for directory in ["credentials", "projects.d", "keys"] {
            fs::create_dir(root.path().join(directory)).unwrap();
        }
        let files = SecretFiles {
            found: Mutex::default(),
            owners: Owners::of_this_process(),
            credentials: Some(root.path().join("credentials")),
            keys: root.path().join("keys"),
        };
        (root, files)
    }

    fn put(file: &Path, text: impl AsRef<[u8]>, mode: u32) {
        fs::write(file, text).unwrap();
        fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_bare_name_is_found_in_credentials_then_beside_the_file_then_in_keys() {
        let (root, files) = places();
        let beside = root.path().join("projects.d");
        let read = || files.read(Path::new("ci.key"), &beside);
        let places = ["credentials", "projects.d", "keys"].map(|place| root.path().join(place).join("ci.key"));
        let Err(SecretFileError::Missing { looked_for }) = read() else { panic!("there is none yet") };
        assert_eq!(looked_for, places);
        for place in places.iter().rev() {
            put(place, place.display().to_string(), 0o600);
            let (found, text) = read().unwrap();
            assert_eq!((&found, text.as_str()), (place, &*place.display().to_string()));
        }
    }

    #[test]
    fn any_other_path_means_one_place() {
        let (root, files) = places();
        put(&root.path().join("keys/ci.key"), "secret", 0o600);
        let beside = root.path().join("projects.d");
        assert!(files.read(Path::new("../keys/ci.key"), &beside).is_ok());
        assert!(files.read(&root.path().join("keys/ci.key"), Path::new("/nowhere")).is_ok());
        let missing = files.read(Path::new("./ci.key"), &beside).unwrap_err().to_string();
        assert_eq!(missing, format!("no such file: looked for {}/./ci.key", beside.display()));
    }

    #[test]
    fn a_secret_that_others_can_read_is_refused_unless_systemd_guards_it() {
        let (root, files) = places();
        let (ours, theirs) = (root.path().join("keys/ci.key"), root.path().join("credentials/ci.key"));
        for mode in [0o640, 0o604, 0o660, 0o610, 0o601] {
            put(&ours, "secret", mode);
            let error = files.read(&ours, root.path()).unwrap_err().to_string();
            assert!(error.contains(&format!("mode {mode:04o}")) && error.contains("chmod 600"), "{error}");
        }
        put(&ours, "secret", 0o400);
        assert!(files.read(&ours, root.path()).is_ok());
        put(&theirs, "secret", 0o440);
        assert!(files.read(Path::new("ci.key"), root.path()).is_ok());
    }

    #[test]
    fn a_secret_that_belongs_to_somebody_else_is_refused_unless_systemd_guards_it() {
        let (root, files) = places();
        let files = SecretFiles { owners: Owners::nobody(), ..files };
        let (ours, theirs) = (root.path().join("keys/ci.key"), root.path().join("credentials/ci.key"));
        put(&ours, "secret", 0o600);
        let error = files.read(&ours, root.path()).unwrap_err().to_string();
        assert!(error.contains("/keys/ci.key belongs to ") && error.contains("; run `sudo chown root "), "{error}");
        put(&theirs, "secret", 0o400);
        assert!(files.read(Path::new("ci.key"), root.path()).is_ok());
    }

    #[test]
    fn what_is_no_text_file_of_its_size_is_refused_and_never_waited_for() {
        let (root, files) = places();
        let refused = |name: &str| files.read(Path::new(name), root.path()).unwrap_err();
        assert!(matches!(refused("keys"), SecretFileError::NotAFile { .. }));
        nix::unistd::mkfifo(&root.path().join("pipe"), nix::sys::stat::Mode::S_IRUSR).unwrap();
        assert!(matches!(refused("pipe"), SecretFileError::NotAFile { .. }));
        put(&root.path().join("binary"), [0xff, 0xfe], 0o600);
        assert!(matches!(refused("binary"), SecretFileError::NotText { .. }));
        put(&root.path().join("long"), vec![b'x'; 65_537], 0o600);
        assert!(matches!(refused("long"), SecretFileError::TooLong { .. }));
    }
}
