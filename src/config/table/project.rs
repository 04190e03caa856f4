//! `[projects.NAME]`: what can be deployed, by whom, and how it is put into service.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::names::{Glob, Image};
use super::reader::Reader;
use super::target::{self, TargetTable};
use super::{command, compose, health, key, lifecycle, systemd};
use crate::config::document::key_path::KeyPath;
use crate::config::document::value::{Count, Deadline};
use crate::deploy::catalog::Project;
use crate::deploy::spec::ProjectSpec;
use crate::model::ProjectName;

/// A file in `projects.d`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(crate) struct File {
    /// The projects by name, which appears in the address of a hook, as in `/v1/hooks/shop`. A name has 1
    /// to 63 characters of a-z, 0-9, `-` and `_`.
    pub(crate) projects: BTreeMap<ProjectName, Table>,
}

/// A project says what can be deployed, who may do so, and how it is put into service. It has exactly one of the tables
/// `compose`, `systemd` and `command`.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
#[schemars(extend("required" = ["images"], "oneOf" = one_target()))]
pub(crate) struct Table {
    /// The only repositories that can be deployed, by their full names: "docker.io/library/nginx", not "nginx".
    #[schemars(length(min = 1))]
    pub(crate) images: Vec<Image>,
    /// Patterns of tags: only tags that match one of them can be deployed. `*` is any text, `?` any character.
    pub(crate) tags: Vec<Glob>,
    /// Whether a digest without a tag can be deployed too.
    pub(crate) allow_untagged: bool,
    /// How long a whole deployment may take. After that, what ran before is put back.
    pub(crate) timeout: Deadline,
    /// How many good releases are kept on this host, the running one included. No registry is needed to go back to
    /// them.
    pub(crate) keep: Count,
    /// The keys of the callers, a table each. Without any, only operators on this host can deploy.
    pub(crate) keys: Vec<key::Table>,
    pub(crate) compose: Option<compose::Table>,
    pub(crate) systemd: Option<systemd::Table>,
    pub(crate) command: Option<command::Table>,
    pub(crate) lifecycle: lifecycle::Table,
    pub(crate) health: health::Table,
}

/// The tables that say how a project is put into service, each by its name. A project has exactly one of them.
type Target = (&'static str, fn(&Table) -> Option<&dyn TargetTable>);
const TARGETS: &[Target] = &[
    ("compose", |project| project.compose.as_ref().map(|table| table as _)),
    ("systemd", |project| project.systemd.as_ref().map(|table| table as _)),
    ("command", |project| project.command.as_ref().map(|table| table as _)),
];

/// As the schema says it.
fn one_target() -> Vec<Value> {
    TARGETS.iter().map(|(name, _)| json!({ "required": [name] })).collect()
}

impl Default for Table {
    fn default() -> Self {
        Self {
            images: Vec::new(),
            tags: vec![Glob("*".to_owned())],
            allow_untagged: false,
            timeout: Deadline(Duration::from_secs(600)),
            keep: Count(3),
            keys: Vec::new(),
            compose: None,
            systemd: None,
            command: None,
            lifecycle: lifecycle::Table::default(),
            health: health::Table::default(),
        }
    }
}

/// Where the table of a project is.
pub(crate) fn path_of(name: &ProjectName) -> KeyPath {
    KeyPath::of(&["projects", name.as_str()])
}

/// The projects of a file, but those that mean none.
pub(crate) fn read(reader: &mut Reader<'_>, tables: BTreeMap<ProjectName, Table>) -> Vec<Project> {
    tables.into_iter().filter_map(|(name, table)| table.read(reader, name)).collect()
}

impl Table {
    fn read(mut self, reader: &mut Reader<'_>, name: ProjectName) -> Option<Project> {
        let at = path_of(&name);
        if self.images.is_empty() {
            reader.missing(&at, "images", "at least one image, such as images = [\"ghcr.io/acme/shop\"]");
        }
        let health = std::mem::take(&mut self.health).read(reader, &at.key("health"));
        let longest = health.within + health.settle;
        if longest > self.timeout.0 {
            let what = format!(
                "a deployment is given up after its timeout of {}, before `within` and `settle` of `health` are over",
                humantime::format_duration(self.timeout.0)
            );
            reader.warning(&at.key("timeout"), what);
        }
        if self.keys.is_empty() && !reader.is_told(&at.key("keys")) {
            reader.warning(&at, "has no keys: only operators on this host can deploy it");
        }
        let keys = key::read(reader, &name, &at.key("keys"), std::mem::take(&mut self.keys));
        let lifecycle = std::mem::take(&mut self.lifecycle).read(reader, &at.key("lifecycle"));
        let targets: Vec<_> = TARGETS.iter().map(|(name, table)| (*name, table(&self))).collect();
        let target = target::read(reader, &at, &self.images, &targets)?;
        let spec = ProjectSpec {
            target,
            lifecycle,
            name,
            images: self.images.into_iter().map(|image| image.0).collect(),
            tags: self.tags.into_iter().map(|glob| glob.0).collect(),
            allow_untagged: self.allow_untagged,
            timeout: self.timeout.0,
            keep_releases: self.keep.0,
            health,
        };
        Some(Project { spec: Arc::new(spec), keys, services: Vec::new() })
    }
}
