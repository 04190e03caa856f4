//! `[[projects.NAME.keys]]`: who may deploy.

use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::names::Glob;
use super::reader::{Holder, Reader, UsedSecret};
use crate::auth::{self, Scheme};
use crate::config::document::key_path::KeyPath;
use crate::config::document::value::{FilePath, Moment};
use crate::model::{KeyId, ProjectName};

/// A key has a name, a scheme by which it proves a request, and a secret in a file.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(crate) struct Table {
    /// The name of the key in logs and answers. It is no secret.
    pub(crate) id: KeyId,
    /// How the key proves a request: "standard" (Standard Webhooks) signs id, time and body, "github"
    /// (X-Hub-Signature-256) signs the body, and "bearer" sends the key itself.
    pub(crate) scheme: SchemeName,
    /// The file that has the key, as `windlass key new` writes it. Only its owner can read it (0600). A bare name is
    /// looked for in $CREDENTIALS_DIRECTORY, then beside this file, then in `keys` beside config.toml.
    pub(crate) secret_file: FilePath,
    /// The day (from its beginning in UTC) or the moment from which the key is no longer valid. Without it, the key
    /// does not expire.
    pub(crate) expires: Option<Moment>,
    #[serde(default)]
    pub(crate) scope: Scope,
}

/// A scheme by its name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct SchemeName(pub(crate) Scheme);

/// What the key may do.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(crate) struct Scope {
    /// "deploy" is to ask for deployments, "read" to look at them.
    #[schemars(length(min = 1))]
    pub(crate) may: Vec<Permission>,
    /// The tags that the key may deploy, out of those that the project allows. An empty list is all of them.
    pub(crate) tags: Vec<Glob>,
}

/// One thing that a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Permission {
    Deploy,
    Read,
}

/// Of all schemes.
static NAMES: LazyLock<Vec<&str>> = LazyLock::new(|| Scheme::all().map(Scheme::as_str).collect());

impl<'de> Deserialize<'de> for SchemeName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map(Self).map_err(|_| D::Error::unknown_variant(&name, &NAMES))
    }
}

impl Default for Scope {
    fn default() -> Self {
        Self { may: vec![Permission::Deploy, Permission::Read], tags: Vec::new() }
    }
}

impl From<Permission> for auth::Permission {
    fn from(permission: Permission) -> Self {
        match permission {
            Permission::Deploy => Self::Deploy,
            Permission::Read => Self::Read,
        }
    }
}

impl From<Scope> for auth::Scope {
    fn from(scope: Scope) -> Self {
        Self {
            may: scope.may.into_iter().map(auth::Permission::from).collect(),
            tags: scope.tags.into_iter().map(|glob| glob.0).collect(),
        }
    }
}

/// The keys of a project, which are at `at`.
pub(super) fn read(reader: &mut Reader<'_>, project: &ProjectName, at: &KeyPath, tables: Vec<Table>) -> Vec<auth::Key> {
    if reader.is_told(at) {
        // One of them may have been left out, and the places of the others would be wrong.
        return Vec::new();
    }
    let mut keys: Vec<auth::Key> = Vec::with_capacity(tables.len());
    for (i, table) in tables.into_iter().enumerate() {
        let at = at.index(i);
        if keys.iter().any(|key| key.id == table.id) {
            reader.problem(&at.key("id"), format!("{} is the id of another key of this project", table.id));
        }
        let Some(key) = table.read(reader, &at) else { continue };
        reader.used.push(UsedSecret {
            fingerprint: key.fingerprint(),
            holder: Holder::Key(key.id.clone(), project.clone()),
            at: at.key("secret_file"),
        });
        keys.push(key);
    }
    keys
}

impl Table {
    fn read(self, reader: &mut Reader<'_>, at: &KeyPath) -> Option<auth::Key> {
        if self.scope.may.is_empty() {
            reader.problem(&at.key("scope").key("may"), "is empty: a key that may do nothing is of no use");
        }
        let expires = self.expires.map(|moment| moment.0);
        if let Some(expired) = expires.filter(|moment| *moment <= reader.now) {
            let what = format!("key {} expired at {expired} and no longer proves anything", self.id);
            reader.warning(&at.key("expires"), what);
        }
        let (file, text) = match reader.secrets.read(&self.secret_file.0, reader.document.directory()) {
            Ok(found) => found,
            Err(error) => {
                reader.problem(&at.key("secret_file"), error.to_string());
                return None;
            }
        };
        match auth::Key::new(self.id, self.scheme.0, &text, expires, self.scope.into()) {
            Ok(key) => Some(key),
            Err(error) => {
                reader.problem(&at.key("secret_file"), format!("{}: {error}", file.display()));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scheme_and_a_permission_are_written_by_their_names() {
        let scheme = |text: &str| serde_json::from_value::<SchemeName>(text.into()).map_err(|error| error.to_string());
        for expected in Scheme::all() {
            assert_eq!(scheme(expected.as_str()), Ok(SchemeName(expected)));
        }
        for bad in ["", "Standard", "GITHUB", "gitlab"] {
            let why = format!("unknown variant `{bad}`, expected one of `standard`, `github`, `bearer`");
            assert_eq!(scheme(bad), Err(why));
        }
        let both: Vec<Permission> = serde_json::from_str(r#"["deploy", "read"]"#).unwrap();
        assert_eq!(both, Scope::default().may);
    }

    #[test]
    fn what_is_not_said_of_a_scope_is_as_a_key_has_it() {
        assert_eq!(auth::Scope::from(Scope::default()), auth::Scope::default());
    }
}
