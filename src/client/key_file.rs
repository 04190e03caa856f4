//! A key file as a client reads it.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use zeroize::Zeroizing;

use super::failure::{Failure, Kind};
use crate::auth::{Key, Scheme, Scope};
use crate::model::KeyId;

/// No key is longer; what is longer is some other file.
const LONGEST: u64 = 8 * 1024;
/// What a key of scheme `standard` begins with, and no other.
const STANDARD: &str = "whsec_";

/// Reads the key in `path`. A scheme is never guessed, or a secret that signs could be sent along in clear: only
/// what begins like a key of scheme `standard` needs no name.
pub(crate) fn read(path: &Path, scheme: Option<Scheme>) -> Result<Key, Failure> {
    let thing = || format!("the key in {} cannot be used", path.display());
    let unreadable = |error: std::io::Error| {
        let fix = match error.kind() {
            std::io::ErrorKind::PermissionDenied => "run this as the owner of the file, or give it to yourself",
            _ => "name the file that holds the key: --key-file FILE, or WINDLASS_KEY_FILE",
        };
        Failure::new(Kind::Usage, thing(), error).fix(fix)
    };
    let file = File::open(path).map_err(unreadable)?;
    let mut text = Zeroizing::new(String::new());
    file.take(LONGEST).read_to_string(&mut text).map_err(unreadable)?;
    let scheme = match scheme {
        Some(scheme) => scheme,
        None if text.starts_with(STANDARD) => Scheme::STANDARD,
        None => {
            return Err(Failure::new(
                Kind::Usage,
                thing(),
                "it does not begin with `whsec_`, and a scheme is never guessed",
            )
            .fix("name the scheme that the project gives this key: --scheme github, or --scheme bearer"));
        }
    };
    let id: KeyId = "client".parse().map_err(|error| Failure::from(anyhow::Error::new(error)))?;
    Key::new(id, scheme, &text, None, Scope::default()).map_err(|error| Failure::new(Kind::Usage, thing(), error))
}

/// Whether others than its owner may read the file at `path`. A pipe has no permissions worth the name.
pub(crate) fn may_be_read_by_others(path: &Path) -> bool {
    path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o077 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(path: &Path, text: &str) {
        std::fs::write(path, text).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    #[test]
    fn only_a_key_that_tells_its_scheme_needs_no_name_for_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let read = |text: &str, scheme| {
            put(&path, text);
            read(&path, scheme).map(|key| key.scheme()).map_err(|failure| failure.kind())
        };
        let standard = Key::generate(Scheme::STANDARD).unwrap();
        let hex = Key::generate(Scheme::GITHUB).unwrap();
        assert_eq!(read(&format!("{standard}\n"), None), Ok(Scheme::STANDARD));
        assert_eq!(read(&hex, None), Err(Kind::Usage));
        assert_eq!(read(&hex, Some(Scheme::GITHUB)), Ok(Scheme::GITHUB));
        assert_eq!(read(&hex, Some(Scheme::BEARER)), Ok(Scheme::BEARER));
        assert_eq!(read(&hex, Some(Scheme::STANDARD)), Err(Kind::Usage));
        assert_eq!(read("", Some(Scheme::BEARER)), Err(Kind::Usage));
        assert_eq!(read(&"x".repeat(100_000), Some(Scheme::BEARER)), Err(Kind::Usage));
    }

    #[test]
    fn a_failure_to_read_a_key_does_not_show_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        put(&path, "canary\ncanary\ncanary\ncanary\ncanary");
        for scheme in [None, Some(Scheme::BEARER), Some(Scheme::STANDARD), Some(Scheme::GITHUB)] {
            let failure = read(&path, scheme).unwrap_err();
            assert!(!format!("{failure} {failure:?}").contains("canary"), "{failure}");
        }
    }
}
