//! One file with projects, as far as it could be understood.

use std::path::Path;

use super::document::Document;
use super::document::problem::Problem;
use super::secret_file::SecretFiles;
use super::table::project;
use super::table::reader::{Reader, UsedSecret};
use crate::deploy::catalog::Project;
use crate::model::Timestamp;

/// What one file has brought.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) document: Document,
    pub(super) projects: Vec<Project>,
    pub(super) secrets: Vec<UsedSecret>,
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<Problem>,
}

impl Part {
    /// Reads a file of `projects.d`.
    pub(super) fn read(file: &Path, secrets: &SecretFiles, now: Timestamp) -> Result<Self, Problem> {
        let document = Document::read(file.to_owned())?;
        let mut problems = Vec::new();
        let table: project::File = document.parse(&mut problems);
        for problem in &mut problems {
            let is_outside = problem.key.as_ref().is_some_and(|key| !key.contains('.'));
            if is_outside && problem.fix.as_ref().is_some_and(|fix| !fix.starts_with("did you mean")) {
                problem.fix = Some("everything in a project file is under [projects.NAME]".to_owned());
            }
        }
        let mut reader = Reader::new(document, problems, secrets, now);
        let projects = project::read(&mut reader, table.projects);
        Ok(Self::new(reader, projects))
    }

    /// The projects that `reader` has read, and what it has found.
    pub(super) fn new(reader: Reader<'_>, projects: Vec<Project>) -> Self {
        let Reader { document, used, mut problems, warnings, .. } = reader;
        problems.sort_by_key(|problem| problem.position);
        Self { document: document.without_text(), projects, secrets: used, problems, warnings }
    }
}
