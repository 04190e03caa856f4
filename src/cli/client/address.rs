//! Where windlass is: on this host behind its socket, or elsewhere behind a URL.

use std::fmt;
use std::path::{Path, PathBuf};

use reqwest::Url;

use super::super::exit::Exit;
use super::super::failure::Failure;
use crate::config::DEFAULT_PATH;

/// Where the socket is when config.toml does not say otherwise.
const SOCKET: &str = "/run/windlass/windlass.sock";

/// One setting of the host, if the environment says so, or config.toml, where it can be read. The daemon reads the
/// whole and tells what is wrong.
pub(crate) fn setting(config: &Path, key: &str) -> Option<String> {
    if let Ok(value) = std::env::var(format!("WINDLASS_{}", key.to_ascii_uppercase())) {
        return Some(value);
    }
    let table: toml::Table = std::fs::read_to_string(config).ok()?.parse().ok()?;
    table.get(key)?.as_str().map(str::to_owned)
}

/// Where windlass is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    /// On this host: whoever may open the socket may ask.
    Socket(PathBuf),
    /// Anywhere: whoever has a key may ask.
    Url(Url),
}

impl Address {
    /// The socket that `config` names. Only that one setting is read: an operator may use the socket without being
    /// allowed to read the keys, and the rest of the configuration would be read for nothing.
    pub(crate) fn of_host(config: Option<&Path>) -> Self {
        let file = config.unwrap_or(Path::new(DEFAULT_PATH));
        let socket = setting(file, "socket").map_or_else(|| PathBuf::from(SOCKET), PathBuf::from);
        Self::Socket(file.parent().map_or_else(|| socket.clone(), |directory| directory.join(&socket)))
    }

    /// The service behind `url`.
    pub(crate) fn elsewhere(url: &str) -> Result<Self, Failure> {
        let wrong = |why: &str| {
            Err(Failure::new(Exit::Usage, format!("{url:?} is not where a windlass can be"), why)
                .fix("give its URL, such as --url https://deploy.example.com"))
        };
        let Ok(mut parsed) = url.parse::<Url>() else { return wrong("it is not a URL") };
        if !matches!(parsed.scheme(), "http" | "https") {
            return wrong("it begins with neither http:// nor https://");
        }
        if !parsed.username().is_empty() || parsed.password().is_some() {
            return wrong("it has a user or a password in it, where a key file is used");
        }
        // What is asked for goes behind it: a service may be mounted under a path.
        parsed.set_query(None);
        parsed.set_fragment(None);
        Ok(Self::Url(parsed))
    }

    /// The URL of `path`, which begins with a slash.
    pub(super) fn join(&self, path: &str) -> String {
        match self {
            Self::Socket(_) => format!("http://windlass{path}"),
            Self::Url(base) => format!("{}{path}", base.as_str().trim_end_matches('/')),
        }
    }

    /// Whether what is sent there can be read on the way.
    pub(crate) fn is_open_to_listeners(&self) -> bool {
        let Self::Url(url) = self else { return false };
        let is_here = url.host_str().is_some_and(|host| {
            let host = host.trim_start_matches('[').trim_end_matches(']');
            host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        });
        url.scheme() == "http" && !is_here
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => write!(f, "{}", path.display()),
            Self::Url(url) => write!(f, "{url}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_may_be_mounted_under_a_path() {
        let join = |url| Address::elsewhere(url).unwrap().join("/v1/projects");
        assert_eq!(join("https://deploy.example.com"), "https://deploy.example.com/v1/projects");
        assert_eq!(join("https://example.com/deploy/?x#y"), "https://example.com/deploy/v1/projects");
        for wrong in ["deploy.example.com", "ftp://deploy.example.com", "https://ci:secret@deploy.example.com", ""] {
            assert_eq!(Address::elsewhere(wrong).unwrap_err().exit(), Exit::Usage, "{wrong}");
        }
    }

    #[test]
    fn what_leaves_the_host_without_tls_can_be_read_on_the_way() {
        let open = |url| Address::elsewhere(url).unwrap().is_open_to_listeners();
        assert!(open("http://deploy.example.com") && open("http://10.0.0.1:9010"));
        assert!(!open("https://deploy.example.com"));
        for here in ["http://127.0.0.1:9010", "http://[::1]:9010", "http://localhost"] {
            assert!(!open(here), "{here}");
        }
    }

    #[test]
    fn the_socket_is_the_one_that_the_configuration_names() {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("config.toml");
        let socket = |text: &str| {
            std::fs::write(&config, text).unwrap();
            Address::of_host(Some(&config))
        };
        assert_eq!(socket("socket = 'w.sock'"), Address::Socket(directory.path().join("w.sock")));
        assert_eq!(socket("socket = '/run/w.sock'"), Address::Socket("/run/w.sock".into()));
        assert_eq!(socket("listen = '127.0.0.1:1'"), Address::Socket(SOCKET.into()));
        assert_eq!(socket("this is broken"), Address::Socket(SOCKET.into()));
    }
}
