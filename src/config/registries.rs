//! Credentials of registries: the passwords in their files, and whether any project has use for them.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use super::document::Document;
use super::document::key_path::KeyPath;
use super::document::problem::Problem;
use super::names::RegistryHost;
use super::part::Part;
use super::raw;
use super::secret_file::SecretFiles;
use crate::host::credentials::{Password, RegistryCredentials};

/// By host, as image references name it.
pub(super) type Registries = BTreeMap<String, RegistryCredentials>;

/// Reads the password of each.
pub(super) fn read(
    document: &Document,
    raw: BTreeMap<RegistryHost, raw::Registry>,
    secrets: &SecretFiles,
    problems: &mut Vec<Problem>,
) -> Registries {
    let mut registries = Registries::new();
    for (RegistryHost(host), registry) in raw {
        let mut problem = |key: &str, what: String| problems.push(document.problem(&path_of(&host).key(key), what));
        if registry.username.is_empty() {
            problem("username", "is empty".to_owned());
        }
        let (file, text) = match secrets.read(&registry.password_file.0, document.directory()) {
            Ok(found) => found,
            Err(error) => {
                problem("password_file", error.to_string());
                continue;
            }
        };
        match password(&text) {
            Ok(password) => {
                registries.insert(host, RegistryCredentials { username: registry.username, password });
            }
            Err(why) => problem("password_file", format!("{}: {why}", file.display())),
        }
    }
    registries
}

/// Warns of credentials that no project has use for: most often the host is misspelt.
pub(super) fn warn_of_unused(registries: &Registries, parts: &[Part], host: &Document, warnings: &mut Vec<Problem>) {
    for registry in registries.keys() {
        let mut images = parts.iter().flat_map(|part| &part.projects).flat_map(|project| &project.spec.images);
        if !images.any(|image| image.host() == registry) {
            let what = format!("no project has an image of {registry}");
            warnings.push(host.problem(&path_of(registry), what));
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

    use super::super::testbed::{SHOP, Testbed};
    use super::*;

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
