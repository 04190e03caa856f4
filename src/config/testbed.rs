//! A configuration directory for tests, whose problems are printed without its own path.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::{LoadError, Problem, Settings};
use crate::model::Timestamp;

/// A directory with a `config.toml`, projects and keys.
pub(super) struct Testbed(tempfile::TempDir);

/// A part of every secret that is made here, and of nothing else.
pub(super) const CANARY: &str = "canary-in-the-coal-mine";

/// A project with one key, below which more can be written.
pub(super) const SHOP: &str = r#"[projects.shop]
images = ["ghcr.io/acme/shop"]
compose.directory = "/srv/shop"
[[projects.shop.keys]]
id = "ci"
scheme = "github"
secret_file = "ci.key"
"#;

impl Testbed {
    /// An empty `config.toml`.
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().unwrap()).file("config.toml", "")
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file, whose mode stays when it is there already.
    pub(super) fn write(&self, name: &str, text: &str) {
        let file = self.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    pub(super) fn file(self, name: &str, text: &str) -> Self {
        self.write(name, text);
        self
    }

    pub(super) fn project(self, text: &str) -> Self {
        self.file("projects.d/shop.toml", text)
    }

    /// A key that differs from all others by its name.
    pub(super) fn key(self, name: &str) -> Self {
        let text = format!("{CANARY}-{name}\n");
        self.secret(&format!("keys/{name}"), &text, 0o600)
    }

    pub(super) fn secret(self, name: &str, text: &str, mode: u32) -> Self {
        let testbed = self.file(name, text);
        fs::set_permissions(testbed.path().join(name), fs::Permissions::from_mode(mode)).unwrap();
        testbed
    }

    pub(super) fn load(&self, environment: &[(&str, &str)]) -> Result<(Settings, Vec<Problem>), LoadError> {
        let variables = environment.iter().copied();
        Settings::load(Some(&self.path().join("config.toml")), variables, now())
    }

    /// The settings of a good configuration without a warning.
    pub(super) fn settings(&self, environment: &[(&str, &str)]) -> Settings {
        let (settings, warnings) = self.load(environment).unwrap();
        assert_eq!(warnings, []);
        settings
    }

    /// All problems, or else all warnings, a line each.
    pub(super) fn problems(&self) -> String {
        self.problems_with(&[])
    }

    pub(super) fn problems_with(&self, environment: &[(&str, &str)]) -> String {
        let lines = match self.load(environment) {
            Err(error) => error.to_string(),
            Ok((_, warnings)) => {
                let lines = warnings.iter().map(|warning| format!("warning: {warning}"));
                lines.collect::<Vec<_>>().join("\n")
            }
        };
        lines.replace(&format!("{}/", self.path().display()), "").replace(&*self.path().to_string_lossy(), ".")
    }
}

/// When the tests take place.
pub(super) fn now() -> Timestamp {
    "2026-11-20T12:00:00Z".parse().unwrap()
}
