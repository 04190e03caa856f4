//! `[projects.NAME.compose]`: a project that Docker Compose puts into service.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use super::names::{ComposeName, ComposeProject, Image};
use super::reader::Reader;
use super::target::TargetTable;
use crate::config::document::key_path::KeyPath;
use crate::config::document::value::FilePath;
use crate::deploy::spec::{Compose, Target};

/// Images are put into service with Docker Compose. Only services that use one of the project's images are touched.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(crate) struct Table {
    /// The directory of the Compose project. A relative path begins beside this file.
    pub(crate) directory: FilePath,
    /// The Compose files in order, as with `docker compose --file`. Relative paths begin in `directory`. Without any,
    /// Compose looks for them itself.
    #[serde(default)]
    pub(crate) files: Vec<FilePath>,
    /// The name of the Compose project, as with `--project-name`. Without it, Compose chooses one.
    pub(crate) project_name: Option<ComposeProject>,
    /// The profiles that are enabled, as with `--profile`.
    #[serde(default)]
    pub(crate) profiles: Vec<ComposeName>,
    /// The files with environment variables, as with `--env-file`. Relative paths begin in `directory`. Without any,
    /// Compose reads `.env`.
    #[serde(default)]
    pub(crate) env_files: Vec<FilePath>,
    /// The only services that may be touched. Without any, all that use one of the project's images.
    #[serde(default)]
    pub(crate) services: Vec<ComposeName>,
}

impl TargetTable for Table {
    /// The directory is beside the file that names it, and everything else is in the directory, as it is for
    /// `docker compose` when it is run there.
    fn read(&self, reader: &mut Reader<'_>, _: &KeyPath, _: &[Image]) -> Option<Target> {
        let directory = plain(&reader.document.directory().join(&self.directory.0));
        let inside = |files: &[FilePath]| files.iter().map(|file| plain(&directory.join(&file.0))).collect();
        let names = |names: &[ComposeName]| names.iter().map(|name| name.0.clone()).collect();
        Some(Target::Compose(Compose {
            files: inside(&self.files),
            env_files: inside(&self.env_files),
            project_name: self.project_name.as_ref().map(|name| name.0.clone()),
            profiles: names(&self.profiles),
            services: names(&self.services),
            directory,
        }))
    }
}

/// The same path without `.` in it, as it is shown to people. What `..` means depends on links: it stays.
fn plain(path: &Path) -> PathBuf {
    path.components().collect()
}
