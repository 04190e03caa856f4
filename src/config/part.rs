//! One file with projects, as far as it could be understood.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use super::document::Document;
use super::document::key_path::KeyPath;
use super::document::problem::Problem;
use super::project::ProjectReader;
use super::raw;
use super::secret_file::SecretFiles;
use crate::auth::Fingerprint;
use crate::deploy::catalog::Project;
use crate::model::{KeyId, ProjectName, Timestamp};

/// What one file has brought.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) document: Document,
    pub(super) projects: Vec<Project>,
    /// Of every key that could be read, those of projects that could not included.
    pub(super) secrets: Vec<UsedSecret>,
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<Problem>,
}

/// That a key, or a token, uses a secret.
#[derive(Debug)]
pub(super) struct UsedSecret {
    pub(super) fingerprint: Fingerprint,
    pub(super) holder: Holder,
    /// Where it says so.
    pub(super) at: KeyPath,
}

/// Whose secret it is.
#[derive(Debug)]
pub(super) enum Holder {
    /// A key of a project.
    Key(KeyId, ProjectName),
    /// docker-puller's callers.
    DockerPuller,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key, project) => write!(f, "key {key} of project {project}"),
            Self::DockerPuller => f.write_str("the token of docker-puller"),
        }
    }
}

impl Part {
    /// Reads a file of `projects.d`.
    pub(super) fn read(file: &Path, secrets: &SecretFiles, now: Timestamp) -> Result<Self, Problem> {
        let document = Document::read(file.to_owned())?;
        let mut problems = Vec::new();
        let raw: raw::ProjectFile = document.parse(&mut problems);
        for problem in &mut problems {
            let is_outside = problem.key.as_ref().is_some_and(|key| !key.contains('.'));
            if is_outside && problem.fix.as_ref().is_some_and(|fix| !fix.starts_with("did you mean")) {
                problem.fix = Some("everything in a project file stands below [projects.NAME]".to_owned());
            }
        }
        Ok(Self::new(document, problems, raw.projects, secrets, now))
    }

    /// Makes sense of the projects that `document` has.
    pub(super) fn new(
        document: Document,
        problems: Vec<Problem>,
        raw: BTreeMap<ProjectName, raw::Project>,
        secrets: &SecretFiles,
        now: Timestamp,
    ) -> Self {
        let mut reader = ProjectReader { document: &document, secrets, now, problems, warnings: vec![], used: vec![] };
        let projects = raw.into_iter().filter_map(|(name, raw)| reader.read(name, raw)).collect();
        let ProjectReader { mut problems, warnings, used, .. } = reader;
        problems.sort_by_key(|problem| problem.position);
        Self { document, projects, secrets: used, problems, warnings }
    }
}
