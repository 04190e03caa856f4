//! Finds the program of Compose. It is a plugin of the `docker` command, which starts twice for each call; called by
//! itself, Compose does the same in half the time.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

const NAME: &str = "docker-compose";
/// Where Docker looks for plugins after the operator's own directory, in its order.
const DIRECTORIES: [&str; 4] = [
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
];

/// The program that `docker compose` would run, where this is the directory of Docker's own configuration. Nothing where
/// `docker` must choose: there is none, or it is told to look elsewhere.
pub(super) fn find(docker_config: &Path) -> Option<PathBuf> {
    find_in(docker_config, &DIRECTORIES.map(Path::new))
}

fn find_in(docker_config: &Path, others: &[&Path]) -> Option<PathBuf> {
    let configured = fs::read_to_string(docker_config.join("config.json"));
    if configured.is_ok_and(|text| text.contains("cliPluginsExtraDirs")) {
        return None;
    }
    let own = docker_config.join("cli-plugins");
    let directories = std::iter::once(&*own).chain(others.iter().copied());
    let first = directories.map(|directory| directory.join(NAME)).find(|file| file.exists())?;
    let facts = first.metadata().ok()?;
    (facts.is_file() && facts.permissions().mode() & 0o111 != 0).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plugin_is_the_one_that_docker_would_choose() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        let install = |directory: &Path, mode| {
            fs::create_dir_all(directory).unwrap();
            fs::write(directory.join(NAME), "").unwrap();
            fs::set_permissions(directory.join(NAME), fs::Permissions::from_mode(mode)).unwrap();
        };
        let (own, first, second) = (at("own"), at("first"), at("second"));
        let found = || find_in(&own, &[&first, &second]);
        assert_eq!(found(), None);
        install(&second, 0o755);
        assert_eq!(found(), Some(second.join(NAME)));
        install(&first, 0o755);
        assert_eq!(found(), Some(first.join(NAME)));
        install(&own.join("cli-plugins"), 0o644);
        assert_eq!(found(), None, "docker says what is wrong with it");
        install(&own.join("cli-plugins"), 0o755);
        assert_eq!(found(), Some(own.join("cli-plugins").join(NAME)));
        fs::write(own.join("config.json"), "{\"cliPluginsExtraDirs\": [\"/opt\"]}").unwrap();
        assert_eq!(found(), None);
    }
}
