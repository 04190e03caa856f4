//! What the configuration means, ready for use: the host's settings and its projects.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::table::HostSettings;
use crate::deploy::catalog::Catalog;
use crate::host::machine::MachineSettings;
use crate::model::{ProjectName, Timestamp};
use crate::senders::docker_puller::DockerPuller;

/// Where `config.toml` is unless somebody says otherwise.
pub const DEFAULT_PATH: &str = "/etc/windlass/config.toml";

/// All settings. Every path is absolute.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What holds for the whole host, and is read only when windlass starts.
    pub host: HostSettings,
    /// How the machine is reached.
    pub machine: MachineSettings,
    /// What is answered in docker-puller's place, if anything.
    pub docker_puller: Option<Arc<DockerPuller>>,
    /// The projects, with their keys.
    pub projects: Catalog,
    /// Which file each project is from.
    pub files: HashMap<ProjectName, PathBuf>,
    /// Every file that was read: of the configuration, and of secrets.
    pub sources: Vec<PathBuf>,
    /// When the reading began.
    pub read_at: Timestamp,
}

/// What is read only when windlass starts.
#[derive(Debug, Clone)]
pub struct Fixed {
    host: HostSettings,
    docker_host: Option<String>,
}

impl Settings {
    /// The part that is read only when windlass starts.
    #[must_use]
    pub fn fixed(&self) -> Fixed {
        Fixed { host: self.host.clone(), docker_host: self.machine.docker_host.clone() }
    }
}

impl Fixed {
    /// The keys whose value differs in `anew`.
    #[must_use]
    pub fn changed(&self, anew: &Settings) -> Vec<&'static str> {
        let mut changed = self.host.changed(&anew.host);
        if self.docker_host != anew.machine.docker_host {
            changed.push("engine.host");
        }
        changed
    }
}
