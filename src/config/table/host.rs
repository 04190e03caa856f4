//! `config.toml`: the settings of this host, and the tables below them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::limits::Limits;
use super::names::RegistryHost;
use super::retention::Retention;
use super::{compat, engine, limits, project, registry, retention};
use crate::config::document::problem::Problem;
use crate::config::document::value::{Count, FilePath, ListenAddress, Pause};
use crate::model::ProjectName;

/// The settings of this host.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(crate) struct Table {
    /// The IP address and port where hooks come in, by plain HTTP. It should be a loopback address behind a proxy that
    /// ends TLS, or in a private network. A socket that systemd hands over takes precedence.
    pub(crate) listen: ListenAddress,
    /// An IP address and port for GET /metrics alone. Without it, metrics are on `socket` alone.
    pub(crate) metrics_listen: Option<ListenAddress>,
    /// The socket of the operators' API, which `windlass status` and other commands use. Its mode is 0660 and its group
    /// `windlass`; everyone who can open it may do everything.
    pub(crate) socket: FilePath,
    /// The directory of the database: deployments, their journals, and deliveries.
    pub(crate) state_dir: FilePath,
    /// How many deployments may run at once, over all projects. One project never has more than one.
    pub(crate) concurrency: Count,
    /// How long running deployments may continue when windlass is told to stop. The rest continues at the next start.
    pub(crate) drain_timeout: Pause,
    pub(crate) retention: retention::Table,
    pub(crate) limits: limits::Table,
    pub(crate) engine: engine::Table,
    /// Credentials for registries, a table each, by the host as image references name it ("docker.io" for Docker Hub).
    /// For other registries the host's own `docker login` is used, credential helpers included.
    pub(crate) registries: BTreeMap<RegistryHost, registry::Table>,
    pub(crate) compat: compat::Table,
    /// The projects by name. They may also be in files of their own, projects.d/*.toml beside this file.
    pub(crate) projects: BTreeMap<ProjectName, project::Table>,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            // Only this host can reach it: what stands in front of it ends TLS.
            listen: ListenAddress(([127, 0, 0, 1], 9010).into()),
            metrics_listen: None,
            socket: FilePath("/run/windlass/windlass.sock".into()),
            state_dir: FilePath("/var/lib/windlass".into()),
            concurrency: Count(2),
            drain_timeout: Pause(Duration::from_secs(30)),
            retention: retention::Table::default(),
            limits: limits::Table::default(),
            engine: engine::Table::default(),
            registries: BTreeMap::new(),
            compat: compat::Table::default(),
            projects: BTreeMap::new(),
        }
    }
}

/// The settings of this host that are read only when windlass starts. Every path is absolute.
#[derive(Debug, Clone)]
pub struct HostSettings {
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
    /// What callers may use up.
    pub limits: Limits,
}

impl HostSettings {
    /// The keys whose value differs in `anew`.
    pub(crate) fn changed(&self, anew: &Self) -> Vec<&'static str> {
        let Self { listen, metrics_listen, socket, state_dir, concurrency, drain_timeout, retention, limits } = self;
        let differs = [
            ("listen", *listen != anew.listen),
            ("metrics_listen", *metrics_listen != anew.metrics_listen),
            ("socket", *socket != anew.socket),
            ("state_dir", *state_dir != anew.state_dir),
            ("concurrency", *concurrency != anew.concurrency),
            ("drain_timeout", *drain_timeout != anew.drain_timeout),
            ("retention", *retention != anew.retention),
            ("limits", *limits != anew.limits),
        ];
        differs.into_iter().filter_map(|(key, differs)| differs.then_some(key)).collect()
    }
}

impl Table {
    /// What the settings mean that need no other file. The path that a key has begins in the directory that `base`
    /// says.
    pub(crate) fn read<'p>(self, base: impl Fn(&str) -> &'p Path, problems: &mut Vec<Problem>) -> HostSettings {
        let mut absolute = |key: &str, path: &FilePath| {
            let path = base(key).join(&path.0);
            std::path::absolute(&path).unwrap_or_else(|error| {
                problems.push(Problem::unreadable(&path, &error));
                path
            })
        };
        HostSettings {
            listen: self.listen.0,
            metrics_listen: self.metrics_listen.map(|address| address.0),
            state_dir: absolute("state_dir", &self.state_dir),
            socket: absolute("socket", &self.socket),
            concurrency: self.concurrency.0,
            drain_timeout: self.drain_timeout.0,
            retention: self.retention.read(),
            limits: self.limits.read(),
        }
    }
}
