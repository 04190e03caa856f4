//! `[projects.NAME.health]`: when a release counts as working.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::names::{HostPort, HttpUrl};
use super::program::{self, Program};
use super::reader::Reader;
use crate::config::document::key_path::KeyPath;
use crate::config::document::value::{Deadline, Pause};
use crate::deploy::spec::{Health, Probe};

/// When a release counts as working. The containers' own health checks and restarts are always watched; this table
/// adds one check and sets the times. It has at most one of `http`, `tcp` and `command`.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
#[schemars(extend("oneOf" = [
    { "not": { "anyOf": [{ "required": ["http"] }, { "required": ["tcp"] }, { "required": ["command"] }] } },
    { "required": ["http"] },
    { "required": ["tcp"] },
    { "required": ["command"] },
]))]
pub(crate) struct Table {
    /// A URL that is requested. An answer of 2xx or 3xx is healthy.
    pub(crate) http: Option<HttpUrl>,
    /// A host and a port. It is healthy when it takes a connection.
    pub(crate) tcp: Option<HostPort>,
    /// A program and its arguments. It is healthy when the program exits with 0. The program has an absolute path, and
    /// no shell is involved.
    pub(crate) command: Option<Program>,
    /// How long a release has to become healthy. After that, what ran before is put back.
    pub(crate) within: Deadline,
    /// How long a release must then stay healthy.
    pub(crate) settle: Pause,
}

impl Default for Table {
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

impl Table {
    pub(super) fn read(self, reader: &mut Reader<'_>, at: &KeyPath) -> Health {
        if let Some(command) = &self.command {
            program::check(reader, at, "command", command);
        }
        let probes: Vec<Probe> = [
            self.http.map(|url| Probe::Http(url.0)),
            self.tcp.map(|address| Probe::Tcp(address.0)),
            self.command.map(|program| Probe::Command(program.0)),
        ]
        .into_iter()
        .flatten()
        .collect();
        if probes.len() > 1 {
            reader.problem(at, "is one of `http`, `tcp` and `command`, not several");
        }
        Health { probe: probes.into_iter().next(), within: self.within.0, settle: self.settle.0 }
    }
}
