//! What it takes to read the tables of one file, and what is found on the way.

use std::fmt;

use crate::auth::Fingerprint;
use crate::config::document::Document;
use crate::config::document::key_path::KeyPath;
use crate::config::document::problem::Problem;
use crate::config::secret_file::SecretFiles;
use crate::model::{KeyId, ProjectName, Timestamp};

/// Reads one file, and collects what is wrong, what is odd, and which secrets are used.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    pub(crate) document: Document,
    pub(crate) secrets: &'a SecretFiles,
    pub(crate) now: Timestamp,
    pub(crate) problems: Vec<Problem>,
    pub(crate) warnings: Vec<Problem>,
    /// Of every key that could be read, those of projects that could not included.
    pub(crate) used: Vec<UsedSecret>,
}

/// That a key, or a token, uses a secret.
#[derive(Debug)]
pub(crate) struct UsedSecret {
    pub(crate) fingerprint: Fingerprint,
    pub(crate) holder: Holder,
    /// Where it says so.
    pub(crate) at: KeyPath,
}

/// Whose secret it is.
#[derive(Debug)]
pub(crate) enum Holder {
    /// A key of a project.
    Key(KeyId, ProjectName),
    /// docker-puller's callers.
    DockerPuller,
}

impl<'a> Reader<'a> {
    /// Reads what `document` has, in which `problems` have been found.
    pub(crate) fn new(document: Document, problems: Vec<Problem>, secrets: &'a SecretFiles, now: Timestamp) -> Self {
        Self { document, secrets, now, problems, warnings: Vec::new(), used: Vec::new() }
    }

    pub(super) fn problem(&mut self, at: &KeyPath, what: impl Into<String>) {
        self.problems.push(self.document.problem(at, what));
    }

    pub(super) fn warning(&mut self, at: &KeyPath, what: impl Into<String>) {
        self.warnings.push(self.document.problem(at, what));
    }

    /// Whether there is a problem at `at` or below already: what was left out for it is not missing.
    pub(super) fn is_told(&self, at: &KeyPath) -> bool {
        self.document.is_told(at, &self.problems)
    }

    pub(super) fn missing(&mut self, at: &KeyPath, key: &str, needed: &str) {
        if !self.is_told(&at.key(key)) {
            self.problem(at, format!("needs {needed}"));
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key, project) => write!(f, "key {key} of project {project}"),
            Self::DockerPuller => f.write_str("the token of docker-puller"),
        }
    }
}
