//! One setting of the host, without the rest of the configuration: for commands that may not be allowed to read it all.

use std::path::{Path, PathBuf};

use super::table::host::Table;

/// The operators' socket, as config.toml in `file` names it.
///
/// Only that one setting is read: an operator may use the socket without being allowed to read the keys.
pub(crate) fn socket(file: &Path) -> PathBuf {
    let socket = setting(file, "socket").map_or_else(|| Table::default().socket.0, PathBuf::from);
    file.parent().map_or_else(|| socket.clone(), |directory| directory.join(&socket))
}

/// Where hooks come in, as config.toml in `file` says.
pub(crate) fn listen(file: &Path) -> String {
    setting(file, "listen").unwrap_or_else(|| Table::default().listen.0.to_string())
}

/// What the environment says, or the file where it can be read. The daemon reads the whole, and says what is wrong.
fn setting(file: &Path, key: &str) -> Option<String> {
    let variable = std::env::var(format!("WINDLASS_{}", key.to_ascii_uppercase())).ok();
    if let Some(value) = variable.filter(|value| !value.is_empty()) {
        return Some(value);
    }
    let table: toml::Table = std::fs::read_to_string(file).ok()?.parse().ok()?;
    table.get(key)?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_the_one_that_the_configuration_names() {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("config.toml");
        let write = |text: &str| std::fs::write(&config, text).unwrap();
        for (text, expected) in [
            ("socket = 'w.sock'", directory.path().join("w.sock")),
            ("socket = '/run/w.sock'", "/run/w.sock".into()),
            ("listen = '127.0.0.1:1'", "/run/windlass/windlass.sock".into()),
            ("this is broken", "/run/windlass/windlass.sock".into()),
        ] {
            write(text);
            assert_eq!(socket(&config), expected, "{text}");
        }
        for (text, expected) in [("listen = '127.0.0.1:1'", "127.0.0.1:1"), ("this is broken", "127.0.0.1:9010")] {
            write(text);
            assert_eq!(listen(&config), expected, "{text}");
        }
    }
}
