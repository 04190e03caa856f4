//! `[projects.NAME.systemd]`: a project that jobs of systemd units put into service.

use schemars::JsonSchema;
use serde::Deserialize;

use super::names::{Image, Reference, Unit};
use super::reader::Reader;
use super::target::{TargetTable, references};
use crate::config::document::key_path::KeyPath;
use crate::deploy::spec::{self, Systemd, Target};

/// Images are put into service by jobs of systemd units. An image is pulled and gets the name that a unit uses for it,
/// so that `ExecStart=docker run IMAGE` or `ExecReload=docker compose up -d` starts the release.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
#[schemars(extend("oneOf" = [
    { "required": ["unit"], "properties": { "units": { "maxItems": 0 } } },
    { "required": ["units"], "properties": { "units": { "minItems": 1 } }, "not": { "required": ["unit"] } },
]))]
pub(crate) struct Table {
    /// The unit by its full name, which may be an instance of a template, such as "app@blue.service". The image of a
    /// Podman Quadlet, such as "shop.container", is pinned by a drop-in.
    pub(crate) unit: Option<Unit>,
    /// Several units, instead of `unit`. Their jobs are started one after the other.
    pub(crate) units: Vec<Unit>,
    /// The job that is started for each unit. "reload-or-restart" reloads the unit if it can be reloaded.
    #[schemars(extend("default" = "restart"))]
    pub(crate) action: Action,
    /// The names that the units have for the images. Without any, each repository with the tag `latest`.
    pub(crate) references: Vec<Reference>,
}

/// What is asked of a unit, in systemd's words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Action {
    #[default]
    Restart,
    Reload,
    ReloadOrRestart,
}

impl From<Action> for spec::Action {
    fn from(action: Action) -> Self {
        match action {
            Action::Restart => Self::Restart,
            Action::Reload => Self::Reload,
            Action::ReloadOrRestart => Self::ReloadOrRestart,
        }
    }
}

impl TargetTable for Table {
    fn read(&self, reader: &mut Reader<'_>, at: &KeyPath, images: &[Image]) -> Option<Target> {
        if self.unit.is_some() && !self.units.is_empty() {
            reader.problem(at, "names its units with `unit` or with `units`, not with both");
        }
        let mut units = Vec::new();
        for unit in self.unit.iter().chain(&self.units) {
            if units.contains(&unit.0) {
                reader.problem(&at.key("units"), format!("{} is named twice", unit.0));
            } else {
                units.push(unit.0.clone());
            }
        }
        let references = references(reader, at, images, &self.references);
        if units.is_empty() {
            if !reader.is_told(&at.key("units")) {
                reader.missing(at, "unit", "a unit, such as unit = \"site.service\"");
            }
            return None;
        }
        let files = units.iter().filter(|unit| unit.is_quadlet()).count();
        if files > 0 && images.len() > 1 {
            let what = "names a `.container`, which has one image, and the project has several: one project for each";
            reader.problem(at, what);
        }
        Some(Target::Systemd(Systemd { units, action: self.action.into(), references }))
    }
}
