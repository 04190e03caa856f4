//! `[projects.NAME.lifecycle]`: programs around a deployment.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::program::{self, Program};
use super::reader::Reader;
use crate::config::document::key_path::KeyPath;
use crate::config::document::value::Deadline;
use crate::deploy::spec::Lifecycle;

/// Programs around a deployment, whatever its target is. Each gets the images in its environment, as those of
/// `command` do, and may be run again after a crash.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(crate) struct Table {
    /// Runs when the images are here and before anything is touched. When it fails, nothing is touched.
    pub(crate) before: Option<Program>,
    /// Runs after a release has succeeded. Its failure is reported and changes nothing.
    pub(crate) after: Option<Program>,
    /// Runs after a release has failed. Its own failure is reported and changes nothing.
    pub(crate) on_failure: Option<Program>,
    /// How long each program may take.
    pub(crate) deadline: Deadline,
}

impl Default for Table {
    fn default() -> Self {
        Self { before: None, after: None, on_failure: None, deadline: Deadline(Duration::from_secs(60)) }
    }
}

impl Table {
    pub(super) fn read(self, reader: &mut Reader<'_>, at: &KeyPath) -> Lifecycle {
        let deadline = self.deadline.0;
        let mut line = |key: &str, program: Option<Program>| Some(program::read(reader, at, key, program?, deadline));
        Lifecycle {
            before: line("before", self.before),
            after: line("after", self.after),
            on_failure: line("on_failure", self.on_failure),
        }
    }
}
