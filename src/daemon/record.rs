//! What the daemon that runs on a state directory says of itself there, for `windlass check`: where it listens, and
//! which files it has read when.
//!
//! Only while the directory is locked does somebody stand by it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::config::Settings;
use crate::model::Timestamp;

const FILE: &str = "daemon.json";

/// A daemon that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) pid: u32,
    pub(super) version: String,
    /// Where it takes hooks, and where its metrics are read.
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) socket: PathBuf,
    /// When it began to read its configuration.
    pub(super) read_at: Timestamp,
    /// What it has read.
    pub(super) files: Vec<PathBuf>,
}

impl Record {
    /// This process, with what it has read.
    pub(super) fn of_this_process(settings: &Settings, addresses: Vec<SocketAddr>) -> Self {
        Self {
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            addresses,
            socket: settings.host.socket.clone(),
            read_at: settings.read_at,
            files: settings.sources.clone(),
        }
    }

    /// The same after its configuration was read again. What is fixed at the start stays.
    pub(super) fn reloaded(self, settings: &Settings) -> Self {
        Self { read_at: settings.read_at, files: settings.sources.clone(), ..self }
    }

    /// The same without the names of the files, which nothing but the written one is asked for.
    pub(super) fn without_files(self) -> Self {
        Self { files: Vec::new(), ..self }
    }

    /// Writes it down, whole or not at all.
    pub(super) fn write(&self, state_dir: &Path) -> io::Result<()> {
        let new = state_dir.join(format!("{FILE}.new"));
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        fs::rename(new, state_dir.join(FILE))
    }

    /// What the last daemon here has written.
    pub(super) fn read(state_dir: &Path) -> io::Result<Self> {
        Ok(serde_json::from_slice(&fs::read(state_dir.join(FILE))?)?)
    }

    /// The first of the files that is not as it was read: changed, new or gone. What was done to a file the kernel
    /// knows, whatever time the file itself claims.
    pub(super) fn outdated(&self, settings: &Settings) -> Option<PathBuf> {
        let is_younger = |file: &&PathBuf| {
            let changed = fs::metadata(file).ok().map(|metadata| {
                let millis = metadata.ctime_nsec() / 1_000_000;
                metadata.ctime().saturating_mul(1000).saturating_add(millis)
            });
            changed.is_some_and(|millis| millis > self.read_at.as_millis())
        };
        let gone = self.files.iter().find(|file| !settings.sources.contains(file));
        gone.or_else(|| settings.sources.iter().find(is_younger)).cloned()
    }
}
