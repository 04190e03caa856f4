//! What the table of a project means: its spec, and its keys with their secrets.

use std::sync::Arc;

use super::document::Document;
use super::document::key_path::KeyPath;
use super::document::problem::Problem;
use super::part::{Holder, UsedSecret};
use super::raw;
use super::secret_file::SecretFiles;
use crate::auth::{Key, Scope};
use crate::deploy::catalog::Project;
use crate::deploy::spec::{Health, Probe, ProjectSpec};
use crate::model::{ProjectName, Timestamp};

/// Reads the projects of one file, and collects what is wrong, what is odd, and which secrets are used.
pub(super) struct ProjectReader<'a> {
    pub(super) document: &'a Document,
    pub(super) secrets: &'a SecretFiles,
    pub(super) now: Timestamp,
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<Problem>,
    pub(super) used: Vec<UsedSecret>,
}

/// Where the table of a project stands.
pub(super) fn path_of(name: &ProjectName) -> KeyPath {
    KeyPath::of(&["projects", name.as_str()])
}

impl ProjectReader<'_> {
    /// What the table of `name` means; nothing when it means none.
    pub(super) fn read(&mut self, name: ProjectName, raw: raw::Project) -> Option<Project> {
        let at = path_of(&name);
        if raw.images.is_empty() {
            self.missing(&at, "images", "at least one image, such as images = [\"ghcr.io/acme/shop\"]");
        }
        let health = self.health(&at.key("health"), raw.health);
        let longest = health.within + health.settle;
        if longest > raw.timeout.0 {
            let what = format!(
                "a deployment is given up after its timeout of {}, before `within` and `settle` of `health` are over",
                humantime::format_duration(raw.timeout.0)
            );
            self.warnings.push(self.document.problem(&at.key("timeout"), what));
        }
        if raw.keys.is_empty() && !self.document.is_told(&at.key("keys"), &self.problems) {
            let what = "has no keys: only operators on this host can deploy it".to_owned();
            self.warnings.push(self.document.problem(&at, what));
        }
        let keys = self.keys(&name, &at.key("keys"), raw.keys);
        let lifecycle = self.lifecycle(&at.key("lifecycle"), raw.lifecycle);
        let target = self.target(&at, &raw.images, raw.compose, raw.systemd, raw.command)?;
        let spec = ProjectSpec {
            target,
            lifecycle,
            name,
            images: raw.images.into_iter().map(|image| image.0).collect(),
            tags: raw.tags.into_iter().map(|glob| glob.0).collect(),
            allow_untagged: raw.allow_untagged,
            timeout: raw.timeout.0,
            keep_releases: raw.keep.0,
            health,
        };
        Some(Project { spec: Arc::new(spec), keys })
    }

    fn health(&mut self, at: &KeyPath, raw: raw::Health) -> Health {
        if let Some(command) = &raw.command {
            self.words(at, "command", command);
        }
        let probes: Vec<Probe> = [
            raw.http.map(|url| Probe::Http(url.0)),
            raw.tcp.map(|address| Probe::Tcp(address.0)),
            raw.command.map(Probe::Command),
        ]
        .into_iter()
        .flatten()
        .collect();
        if probes.len() > 1 {
            self.problem(at, "is one of `http`, `tcp` and `command`, not several");
        }
        Health { probe: probes.into_iter().next(), within: raw.within.0, settle: raw.settle.0 }
    }

    fn keys(&mut self, project: &ProjectName, at: &KeyPath, raw: Vec<raw::Key>) -> Vec<Key> {
        if self.document.is_told(at, &self.problems) {
            // One of them may have been left out, and where the others stand would be told wrong.
            return Vec::new();
        }
        let mut keys: Vec<Key> = Vec::with_capacity(raw.len());
        for (i, raw) in raw.into_iter().enumerate() {
            if keys.iter().any(|key| key.id == raw.id) {
                let what = format!("{} is the id of another key of this project", raw.id);
                self.problem(&at.index(i).key("id"), what);
            }
            let at = at.index(i);
            let Some(key) = self.key(&at, raw) else { continue };
            self.used.push(UsedSecret {
                fingerprint: key.fingerprint(),
                holder: Holder::Key(key.id.clone(), project.clone()),
                at: at.key("secret_file"),
            });
            keys.push(key);
        }
        keys
    }

    fn key(&mut self, at: &KeyPath, raw: raw::Key) -> Option<Key> {
        if raw.scope.may.is_empty() {
            self.problem(&at.key("scope").key("may"), "is empty: a key that may do nothing is of no use");
        }
        let expires = raw.expires.map(|moment| moment.0);
        if let Some(expired) = expires.filter(|moment| *moment <= self.now) {
            let what = format!("key {} has expired at {expired} and proves nothing any more", raw.id);
            self.warnings.push(self.document.problem(&at.key("expires"), what));
        }
        let scope = Scope { may: raw.scope.may, tags: raw.scope.tags.into_iter().map(|glob| glob.0).collect() };
        let (file, text) = match self.secrets.read(&raw.secret_file.0, self.document.directory()) {
            Ok(found) => found,
            Err(error) => {
                self.problem(&at.key("secret_file"), error.to_string());
                return None;
            }
        };
        match Key::new(raw.id, raw.scheme, &text, expires, scope) {
            Ok(key) => Some(key),
            Err(error) => {
                self.problem(&at.key("secret_file"), format!("{}: {error}", file.display()));
                None
            }
        }
    }

    pub(super) fn missing(&mut self, at: &KeyPath, key: &str, needed: &str) {
        if !self.document.is_told(&at.key(key), &self.problems) {
            self.problem(at, format!("needs {needed}"));
        }
    }

    pub(super) fn problem(&mut self, at: &KeyPath, what: impl Into<String>) {
        self.problems.push(self.document.problem(at, what));
    }
}
