//! `[registries."HOST"]`: credentials of registries, whose passwords are in files.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::names::RegistryHost;
use super::reader::Reader;
use crate::config::document::Document;
use crate::config::document::key_path::KeyPath;
use crate::config::document::problem::Problem;
use crate::config::document::value::FilePath;
use crate::host::credentials::{Password, RegistryCredentials};
use crate::model::Repository;

/// The user name and the password for one registry.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(crate) struct Table {
    /// The user name.
    #[schemars(length(min = 1))]
    pub(crate) username: String,
    /// The file that has the password. Only its owner can read it (0600). A bare name is looked for in
    /// $CREDENTIALS_DIRECTORY, then beside this file, then in `keys` beside this file.
    pub(crate) password_file: FilePath,
}

/// By host, as image references name it.
pub(crate) type Registries = BTreeMap<String, RegistryCredentials>;

/// Reads the password of each.
pub(crate) fn read(reader: &mut Reader<'_>, tables: BTreeMap<RegistryHost, Table>) -> Registries {
    let mut registries = Registries::new();
    for (RegistryHost(host), Table { username, password_file }) in tables {
        let at = path_of(&host);
        if username.is_empty() {
            reader.problem(&at.key("username"), "is empty");
        }
        let at = at.key("password_file");
        let (file, text) = match reader.secrets.read(&password_file.0, reader.document.directory()) {
            Ok(found) => found,
            Err(error) => {
                reader.problem(&at, error.to_string());
                continue;
            }
        };
        match password(&text) {
            Ok(password) => drop(registries.insert(host, RegistryCredentials { username, password })),
            Err(why) => reader.problem(&at, format!("{}: {why}", file.display())),
        }
    }
    registries
}

/// Warns of credentials that none of these images needs: most often the host is misspelt.
pub(crate) fn warn_of_unused<'i>(
    registries: &Registries,
    images: impl Iterator<Item = &'i Repository> + Clone,
    document: &Document,
    warnings: &mut Vec<Problem>,
) {
    for registry in registries.keys() {
        if !images.clone().any(|image| image.host() == registry) {
            let what = format!("no project has an image of {registry}");
            warnings.push(document.problem(&path_of(registry), what));
        }
    }
}

fn path_of(host: &str) -> KeyPath {
    KeyPath::of(&["registries", host])
}

/// A newline at the end of the file is not part of the password.
fn password(text: &Zeroizing<String>) -> Result<Password, &'static str> {
    let line = text.strip_suffix('\n').unwrap_or(text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.trim().is_empty() {
        return Err("the password is empty");
    }
    if line.chars().any(char::is_control) {
        return Err("the password has characters that cannot be part of it, such as a second line");
    }
    Ok(Password::new(line.to_owned()))
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::config::testbed::{SHOP, Testbed};

    const GHCR: &str = "[registries.'ghcr.io']\nusername = 'ci'\npassword_file = 'ghcr'\n";

    fn with(text: &str) -> Testbed {
        Testbed::new().key("ci.key").project(SHOP).file("config.toml", GHCR).secret("ghcr", text, 0o600)
    }

    #[test]
    fn a_password_is_read_from_its_file_without_the_newline_at_its_end() {
        for end in ["", "\n", "\r\n"] {
            let settings = with(&format!("pass ~?>{end}")).settings(&[]);
            let expected =
                RegistryCredentials { username: "ci".to_owned(), password: Password::new("pass ~?>".to_owned()) };
            assert_eq!(settings.machine.registries["ghcr.io"], expected);
        }
    }

    #[test]
    fn a_password_that_cannot_be_one_is_told_where_its_file_is_named() {
        assert_snapshot!(with("\n").problems(), @r#"config.toml:3:17: registries."ghcr.io".password_file: ghcr: the password is empty"#);
        assert_snapshot!(with("a\nb").problems(), @r#"config.toml:3:17: registries."ghcr.io".password_file: ghcr: the password has characters that cannot be part of it, such as a second line"#);
        assert_snapshot!(with("password").secret("ghcr", "password", 0o644).problems(), @r#"config.toml:3:17: registries."ghcr.io".password_file: ghcr can be read by others than its owner (mode 0644); run `chmod 600 ghcr`"#);
        assert_snapshot!(with("x").file("config.toml", &GHCR.replace("'ci'", "''").replace("'ghcr'", "'gone'")).problems(), @r#"
        config.toml:2:12: registries."ghcr.io".username: is empty
        config.toml:3:17: registries."ghcr.io".password_file: no such file: looked for gone, keys/gone
        "#);
    }

    #[test]
    fn credentials_that_no_image_needs_are_a_warning() {
        assert_snapshot!(with("password").file("config.toml", &GHCR.replace("ghcr.io", "ghrc.io")).problems(), @r#"warning: config.toml:1:13: registries."ghrc.io": no project has an image of ghrc.io"#);
    }
}
