//! The two files that make a project: what may be deployed, and the key of who may ask.

use std::path::{Path, PathBuf};

use super::key;
use super::new_files::NewFiles;
use crate::auth::Scheme;
use crate::client::{Failure, Kind};
use crate::model::ProjectName;

/// The id of the key that is made.
pub(crate) const KEY_ID: &str = "ci";

/// Where the two files are.
#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) project: PathBuf,
    pub(super) key: PathBuf,
    /// As the project file names it: a bare name is looked for in `keys`.
    pub(super) key_name: String,
}

impl Files {
    /// Of `project`, in the configuration in `directory`.
    pub(super) fn of(project: &ProjectName, directory: &Path) -> Self {
        let key_name = format!("{project}-{KEY_ID}.key");
        Self {
            project: directory.join("projects.d").join(format!("{project}.toml")),
            key: directory.join("keys").join(&key_name),
            key_name,
        }
    }

    /// Refuses to go on when one of them is there.
    pub(super) fn must_be_new(&self, project: &ProjectName) -> Result<(), Failure> {
        match [&self.project, &self.key].into_iter().find(|file| file.symlink_metadata().is_ok()) {
            None => Ok(()),
            Some(file) => {
                let reason = format!("{} is there already, and nothing is overwritten", file.display());
                Err(Failure::new(Kind::Refused, format!("the project {project} was not made"), reason).fix(format!(
                    "change it by hand, or remove it to start over; for what to paste into CI: windlass init \
                     {project} --ci all"
                )))
            }
        }
    }

    /// Writes both. The key comes first: a project whose key is missing would let the whole configuration be refused.
    pub(super) fn write(&self, text: &str, files: &mut NewFiles) -> Result<(), Failure> {
        files.secret(&self.key, &key::generate(Scheme::STANDARD)?)?;
        files.plain(&self.project, text)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn files() -> (tempfile::TempDir, ProjectName, Files) {
        let directory = tempfile::tempdir().unwrap();
        let project = "shop".parse().unwrap();
        let files = Files::of(&project, directory.path());
        (directory, project, files)
    }

    #[test]
    fn both_files_are_new_and_the_key_is_for_its_owner_alone() {
        let (directory, project, files) = files();
        files.must_be_new(&project).unwrap();
        let mut new = NewFiles::default();
        files.write("# shop", &mut new).unwrap();
        new.keep();
        let key = directory.path().join("keys/shop-ci.key");
        assert_eq!(key.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(key.parent().unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o700);
        assert!(fs::read_to_string(key).unwrap().starts_with("whsec_"));
        assert_eq!(files.must_be_new(&project).unwrap_err().kind(), Kind::Refused);
    }

    #[test]
    fn no_key_is_left_behind_when_the_project_cannot_be_written() {
        let (directory, project, files) = files();
        fs::create_dir_all(directory.path().join("projects.d")).unwrap();
        std::os::unix::fs::symlink("/nowhere/at/all", &files.project).unwrap();
        assert_eq!(files.must_be_new(&project).unwrap_err().kind(), Kind::Refused);
        let mut new = NewFiles::default();
        assert_eq!(files.write("# shop", &mut new).unwrap_err().kind(), Kind::Refused);
        drop(new);
        assert!(!files.key.exists());
    }
}
