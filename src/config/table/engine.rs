//! `[engine]`: which container engine is used.

use schemars::JsonSchema;
use serde::Deserialize;

use super::names::EngineHost;

/// The container engine: Docker, or another that has its API.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(crate) struct Table {
    /// Where the engine listens: "unix:///path" or "tcp://host:port". Without it, DOCKER_HOST is used if it is set,
    /// else the usual socket.
    pub(crate) host: Option<EngineHost>,
}
