//! What may be written: every key of every file, with its default.
//!
//! What a single value means is settled here by its type; what values mean together is settled in `host` and
//! `project`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::document::value::{Count, Deadline, FilePath, ListenAddress, Moment, Pause, Size};
use super::names::{
    ComposeName, ComposeProject, EngineHost, Glob, HookName, HostPort, HttpUrl, Image, Reference, RegistryHost, Unit,
};
use crate::auth::{Permission, Scheme};
use crate::deploy::spec::Action;
use crate::model::{KeyId, ProjectName};

/// `config.toml`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(super) struct Host {
    pub(super) listen: ListenAddress,
    pub(super) metrics_listen: Option<ListenAddress>,
    pub(super) socket: FilePath,
    pub(super) state_dir: FilePath,
    pub(super) concurrency: Count,
    pub(super) drain_timeout: Pause,
    pub(super) retention: Retention,
    pub(super) limits: Limits,
    pub(super) engine: Engine,
    pub(super) registries: BTreeMap<RegistryHost, Registry>,
    pub(super) compat: Compat,
    pub(super) projects: BTreeMap<ProjectName, Project>,
}

/// `[retention]`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(super) struct Retention {
    pub(super) deployments: Count,
    pub(super) days: Count,
}

/// `[limits]`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(super) struct Limits {
    pub(super) body: Size,
    pub(super) queue: Count,
    pub(super) hooks_per_minute: Count,
    pub(super) connections: Count,
    pub(super) header_timeout: Deadline,
    pub(super) body_timeout: Deadline,
}

/// `[engine]`
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(super) struct Engine {
    pub(super) host: Option<EngineHost>,
}

/// `[registries."HOST"]`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct Registry {
    pub(super) username: String,
    pub(super) password_file: FilePath,
}

/// `[compat]`
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(super) struct Compat {
    pub(super) docker_puller: Option<DockerPuller>,
}

/// `[compat.docker_puller]`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct DockerPuller {
    pub(super) token_file: FilePath,
    #[serde(default)]
    pub(super) allow_short_token: bool,
    #[serde(default)]
    pub(super) hooks: BTreeMap<HookName, PullerHook>,
}

/// `[compat.docker_puller.hooks.NAME]`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct PullerHook {
    pub(super) project: ProjectName,
    pub(super) images: Vec<Reference>,
}

/// A file in `projects.d`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(super) struct ProjectFile {
    pub(super) projects: BTreeMap<ProjectName, Project>,
}

/// `[projects.NAME]`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(super) struct Project {
    pub(super) images: Vec<Image>,
    pub(super) tags: Vec<Glob>,
    pub(super) allow_untagged: bool,
    pub(super) timeout: Deadline,
    pub(super) keep: Count,
    pub(super) keys: Vec<Key>,
    pub(super) compose: Option<Compose>,
    pub(super) systemd: Option<Systemd>,
    pub(super) command: Option<Command>,
    pub(super) lifecycle: Lifecycle,
    pub(super) health: Health,
}

/// `[[projects.NAME.keys]]`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct Key {
    pub(super) id: KeyId,
    pub(super) scheme: Scheme,
    pub(super) secret_file: FilePath,
    pub(super) expires: Option<Moment>,
    #[serde(default)]
    pub(super) scope: Scope,
}

/// `scope` of a key.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(super) struct Scope {
    pub(super) may: Vec<Permission>,
    pub(super) tags: Vec<Glob>,
}

/// `[projects.NAME.compose]`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct Compose {
    pub(super) directory: FilePath,
    #[serde(default)]
    pub(super) files: Vec<FilePath>,
    pub(super) project_name: Option<ComposeProject>,
    #[serde(default)]
    pub(super) profiles: Vec<ComposeName>,
    #[serde(default)]
    pub(super) env_files: Vec<FilePath>,
    #[serde(default)]
    pub(super) services: Vec<ComposeName>,
}

/// `[projects.NAME.systemd]`
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(super) struct Systemd {
    pub(super) unit: Option<Unit>,
    pub(super) units: Vec<Unit>,
    pub(super) action: Action,
    pub(super) references: Vec<Reference>,
}

/// `[projects.NAME.command]`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(super) struct Command {
    pub(super) run: Option<Vec<String>>,
    pub(super) rollback: Option<Vec<String>>,
    pub(super) deadline: Deadline,
    pub(super) references: Vec<Reference>,
}

/// `[projects.NAME.lifecycle]`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(super) struct Lifecycle {
    pub(super) before: Option<Vec<String>>,
    pub(super) after: Option<Vec<String>>,
    pub(super) on_failure: Option<Vec<String>>,
    pub(super) deadline: Deadline,
}

/// `[projects.NAME.health]`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(super) struct Health {
    pub(super) http: Option<HttpUrl>,
    pub(super) tcp: Option<HostPort>,
    pub(super) command: Option<Vec<String>>,
    pub(super) within: Deadline,
    pub(super) settle: Pause,
}

impl Default for Host {
    fn default() -> Self {
        Self {
            // Only this host can reach it: what stands in front of it ends TLS.
            listen: ListenAddress(([127, 0, 0, 1], 9010).into()),
            metrics_listen: None,
            socket: FilePath("/run/windlass/windlass.sock".into()),
            state_dir: FilePath("/var/lib/windlass".into()),
            concurrency: Count(2),
            drain_timeout: Pause(Duration::from_secs(30)),
            retention: Retention::default(),
            limits: Limits::default(),
            engine: Engine::default(),
            registries: BTreeMap::new(),
            compat: Compat::default(),
            projects: BTreeMap::new(),
        }
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self { deployments: Count(1000), days: Count(90) }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: Size(1 << 20),
            queue: Count(32),
            hooks_per_minute: Count(60),
            connections: Count(512),
            header_timeout: Deadline(Duration::from_secs(10)),
            body_timeout: Deadline(Duration::from_secs(30)),
        }
    }
}

impl Default for Project {
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
            lifecycle: Lifecycle::default(),
            health: Health::default(),
        }
    }
}

impl Default for Scope {
    fn default() -> Self {
        Self { may: crate::auth::Scope::default().may, tags: Vec::new() }
    }
}

impl Default for Command {
    fn default() -> Self {
        Self { run: None, rollback: None, deadline: Deadline(Duration::from_secs(300)), references: Vec::new() }
    }
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self { before: None, after: None, on_failure: None, deadline: Deadline(Duration::from_secs(60)) }
    }
}

impl Default for Health {
    fn default() -> Self {
        Self {
            http: None,
            tcp: None,
            command: None,
            within: Deadline(Duration::from_secs(60)),
            settle: Pause(Duration::from_secs(5)),
        }
    }
}
