//! Where windlass is: on this host behind its socket, or elsewhere behind a URL.

use std::fmt;
use std::path::PathBuf;

use reqwest::Url;

use super::failure::{Failure, Kind};

/// Where windlass is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    /// On this host: whoever may open the socket may ask.
    Socket(PathBuf),
    /// Anywhere: whoever has a key may ask.
    Url(Url),
}

impl Address {
    /// The service behind `url`.
    pub(crate) fn elsewhere(url: &str) -> Result<Self, Failure> {
        let wrong = |why: &str| {
            Err(Failure::new(Kind::Usage, format!("{url:?} is not where a windlass can be"), why)
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
            assert_eq!(Address::elsewhere(wrong).unwrap_err().kind(), Kind::Usage, "{wrong}");
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
}
