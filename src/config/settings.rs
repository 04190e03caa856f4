//! What the configuration means, ready for use: the host's settings and its projects.

use std::collections::HashMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::document::problem::{LoadError, Problem};
use super::load::load;
use crate::deploy::catalog::Catalog;
use crate::deploy::docker_puller::DockerPuller;
use crate::host::machine::MachineSettings;
use crate::model::{ProjectName, Timestamp};

/// Where `config.toml` is unless somebody says otherwise.
pub const DEFAULT_PATH: &str = "/etc/windlass/config.toml";

/// All settings. Every path is absolute.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where hooks come in, unless systemd hands over a socket.
    pub listen: SocketAddr,
    /// A port of its own for the metrics, if any.
    pub metrics_listen: Option<SocketAddr>,
    /// The operators' socket.
    pub socket: PathBuf,
    /// Where the database is.
    pub state_dir: PathBuf,
    /// How many deployments may run at once, over all projects.
    pub concurrency: usize,
    /// How long running deployments may go on after SIGTERM.
    pub drain_timeout: Duration,
    /// What is remembered of each project.
    pub retention: Retention,
    /// What a caller may use up.
    pub limits: Limits,
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

/// What is remembered of each project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// How many deployments.
    pub deployments: usize,
    /// For how long.
    pub age: Duration,
}

/// What a caller may use up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a hook's body.
    pub body: usize,
    /// Waiting deployments of one project.
    pub queue: usize,
    /// How often one key may ask for a deployment in a minute.
    pub hooks_per_minute: usize,
    /// Open connections on the hook port.
    pub connections: usize,
    /// How long a caller may take for the head of a request.
    pub header_timeout: Duration,
    /// How long a caller may take for the body.
    pub body_timeout: Duration,
}

impl Settings {
    /// The keys whose value differs in `anew` and that are read only when windlass starts.
    #[must_use]
    pub fn fixed_at_start(&self, anew: &Self) -> Vec<&'static str> {
        let differs = [
            ("listen", self.listen != anew.listen),
            ("metrics_listen", self.metrics_listen != anew.metrics_listen),
            ("socket", self.socket != anew.socket),
            ("state_dir", self.state_dir != anew.state_dir),
            ("concurrency", self.concurrency != anew.concurrency),
            ("drain_timeout", self.drain_timeout != anew.drain_timeout),
            ("retention", self.retention != anew.retention),
            ("limits", self.limits != anew.limits),
            ("engine.host", self.machine.docker_host != anew.machine.docker_host),
        ];
        differs.into_iter().filter_map(|(key, differs)| differs.then_some(key)).collect()
    }

    /// Reads everything anew: `config.toml` at `path` or at its usual place, the projects beside it, their keys, and
    /// what `environment` overrides. Also returns what is probably not meant, though it can be used.
    ///
    /// Nothing is remembered between two calls: reloading is loading again.
    ///
    /// # Errors
    /// [`LoadError`] with all problems that could be found in one go.
    pub fn load(
        path: Option<&Path>,
        environment: impl IntoIterator<Item = (impl Into<OsString>, impl Into<OsString>)>,
        now: Timestamp,
    ) -> Result<(Self, Vec<Problem>), LoadError> {
        load(path, environment, now)
    }
}
