//! On disk, the target that a deployment was planned for.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::form::{Maybe, forms};
use crate::deploy::spec as core;
use crate::model::{ImageReference, UnitName};

forms! {
    Target of core::Target,
    CommandLine of core::CommandLine,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "core::Target", rename_all = "snake_case")]
pub(super) enum Target {
    Compose(#[serde(with = "Compose")] core::Compose),
    Systemd(#[serde(with = "Systemd")] core::Systemd),
    Command(#[serde(with = "Commands")] core::Commands),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "core::Compose")]
struct Compose {
    directory: PathBuf,
    files: Vec<PathBuf>,
    project_name: Option<String>,
    profiles: Vec<String>,
    env_files: Vec<PathBuf>,
    services: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "core::Systemd")]
struct Systemd {
    units: Vec<UnitName>,
    #[serde(with = "Action")]
    action: core::Action,
    references: Vec<ImageReference>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "core::Action", rename_all = "snake_case")]
enum Action {
    Restart,
    Reload,
    ReloadOrRestart,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "core::Commands")]
struct Commands {
    #[serde(with = "CommandLine")]
    run: core::CommandLine,
    #[serde(with = "Maybe::<CommandLine>")]
    rollback: Option<core::CommandLine>,
    references: Vec<ImageReference>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "core::CommandLine")]
struct CommandLine {
    words: Vec<String>,
    deadline: Duration,
}
