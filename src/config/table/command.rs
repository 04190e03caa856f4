//! `[projects.NAME.command]`: a project that a program puts into service.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::names::{Image, Reference};
use super::program::{self, Program};
use super::reader::Reader;
use super::target::{TargetTable, references};
use crate::config::document::key_path::KeyPath;
use crate::config::document::value::Deadline;
use crate::deploy::spec::{Commands, Target};

/// Images are put into service by a program, which gets them in its environment (WINDLASS_IMAGE and others); its exit
/// code decides. A program has an absolute path, and no shell is involved.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
#[schemars(extend("required" = ["run"]))]
pub(crate) struct Table {
    /// The program that puts the images into service, and its arguments.
    pub(crate) run: Option<Program>,
    /// The program that puts back the images that it gets, and its arguments. Without it, `run` does so.
    pub(crate) rollback: Option<Program>,
    /// How long each program may take.
    pub(crate) deadline: Deadline,
    /// The names that the program has for the images. Without any, each repository with the tag `latest`.
    pub(crate) references: Vec<Reference>,
}

impl Default for Table {
    fn default() -> Self {
        Self { run: None, rollback: None, deadline: Deadline(Duration::from_secs(300)), references: Vec::new() }
    }
}

impl TargetTable for Table {
    fn read(&self, reader: &mut Reader<'_>, at: &KeyPath, images: &[Image]) -> Option<Target> {
        let references = references(reader, at, images, &self.references);
        let deadline = self.deadline.0;
        let rollback = self.rollback.clone().map(|words| program::read(reader, at, "rollback", words, deadline));
        let Some(run) = self.run.clone() else {
            reader.missing(at, "run", "a program, such as run = [\"/usr/local/bin/restart-shop\"]");
            return None;
        };
        Some(Target::Command(Commands { run: program::read(reader, at, "run", run, deadline), rollback, references }))
    }
}
