//! Texts that end up in arguments, addresses or comparisons: globs, names of Compose, URLs, hosts.

use serde::{Serialize, Serializer};

use crate::config::document::value::{Written, written};
use crate::model::{ImageReference, ImageReferenceError, Repository, UnitName, UnitNameError, acts};

/// A repository by its full name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Image(pub(crate) Repository);

/// A unit of systemd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unit(pub(crate) UnitName);

/// What an image is called, by a tag that moves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Reference(pub(crate) ImageReference);

/// What callers name a hook of docker-puller by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HookName(pub(crate) String);

/// A pattern of tags, in which `*` is any text and `?` any character.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Glob(pub(crate) String);

/// A service or a profile of Compose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ComposeName(pub(crate) String);

/// The name of a Compose project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ComposeProject(pub(crate) String);

/// What an HTTP probe asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HttpUrl(pub(crate) String);

/// What a TCP probe connects to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostPort(pub(crate) String);

/// Where the engine listens, as `DOCKER_HOST` would say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EngineHost(pub(crate) String);

/// The host of a registry, as image references name it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RegistryHost(pub(crate) String);

written!(
    Image,
    Unit,
    Reference,
    HookName,
    Glob,
    ComposeName,
    ComposeProject,
    HttpUrl,
    HostPort,
    EngineHost,
    RegistryHost,
);

impl Written for Image {
    const KIND: &'static str = "repository";
    const EXPECTED: &'static str = r#"a repository, such as "ghcr.io/acme/shop""#;
    const PATTERN: &'static str = r"^(localhost|[^/\s@]*[.:][^/\s@]*)/[^\s:@]+$";

    fn read(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|error: ImageReferenceError| error.to_string())
    }
}

impl Written for Unit {
    const KIND: &'static str = "unit";
    const EXPECTED: &'static str = r#"the name of a unit, such as "site.service""#;
    const PATTERN: &'static str = r"^[A-Za-z0-9:_\\][A-Za-z0-9:_.\\@-]*\.[a-z]+$";

    fn read(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|error: UnitNameError| error.to_string())
    }
}

impl Written for Reference {
    const KIND: &'static str = "image with its tag";
    const EXPECTED: &'static str = r#"an image with its tag, such as "ghcr.io/acme/shop:live""#;
    const PATTERN: &'static str = r"^(localhost|[^/\s@]*[.:][^/\s@]*)/[^\s:@]+:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$";

    fn read(text: &str) -> Result<Self, String> {
        let reference: ImageReference = text.parse().map_err(|error: ImageReferenceError| error.to_string())?;
        match (reference.tag(), reference.digest()) {
            (_, Some(_)) => Err(format!("{text:?} names a digest, so no other release can take its place: name a tag")),
            (None, None) => Err(format!("{text:?} is not {}", Self::EXPECTED)),
            (Some(_), None) => Ok(Self(reference)),
        }
    }
}

impl Written for HookName {
    const KIND: &'static str = "name";
    const EXPECTED: &'static str = "the name of a hook";
    const PATTERN: &'static str = r"^.{1,200}$";

    fn read(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.len() > 200 || text.chars().any(acts) {
            return Err("a hook's name has 1 to 200 bytes, and no control characters".to_owned());
        }
        Ok(Self(text.to_owned()))
    }
}

impl Written for Glob {
    const KIND: &'static str = "pattern of tags";
    const EXPECTED: &'static str = r#"a pattern of tags, such as "v*""#;
    const PATTERN: &'static str = r"^[A-Za-z0-9_.*?-]+$";

    fn read(text: &str) -> Result<Self, String> {
        // A pattern with any other character would silently match no tag.
        let can_match = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '*' | '?');
        match text.chars().find(|c| !can_match(*c)) {
            _ if text.is_empty() => Err("an empty pattern matches no tag; \"*\" matches all".to_owned()),
            Some(c) => Err(format!("{text:?} matches no tag: tags have no {c:?}, and patterns know only `*` and `?`")),
            None => Ok(Self(text.to_owned())),
        }
    }
}

impl Written for ComposeName {
    const KIND: &'static str = "name";
    const EXPECTED: &'static str = "a name";
    const PATTERN: &'static str = r"^[A-Za-z0-9_.][A-Za-z0-9_.-]*$";

    fn read(text: &str) -> Result<Self, String> {
        let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
        if text.is_empty() || text.starts_with('-') || !text.bytes().all(inner) {
            return Err(format!("{text:?} is not a name of a-z, A-Z, 0-9, `_`, `.` and `-` that begins without `-`"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl Written for ComposeProject {
    const KIND: &'static str = "name";
    const EXPECTED: &'static str = "a name";
    const PATTERN: &'static str = r"^[a-z0-9][a-z0-9_-]*$";

    fn read(text: &str) -> Result<Self, String> {
        let first = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let inner = |b: u8| first(b) || matches!(b, b'_' | b'-');
        if !text.bytes().next().is_some_and(first) || !text.bytes().all(inner) {
            let rule = "of a-z, 0-9, `_` and `-` that begins with a letter or digit, as Compose requires";
            return Err(format!("{text:?} is not a name {rule}"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl Written for HttpUrl {
    const KIND: &'static str = "URL";
    const EXPECTED: &'static str = r#"a URL, such as "http://127.0.0.1:8080/health""#;
    const PATTERN: &'static str = r"^[Hh][Tt][Tt][Pp][Ss]?://[^/?#@]+([/?#].*)?$";

    fn read(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not {}", Self::EXPECTED);
        let uri: http::Uri = text.parse().map_err(|_| wrong())?;
        let authority = uri.authority().ok_or_else(wrong)?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || authority.host().is_empty() {
            return Err(wrong());
        }
        if authority.as_str().contains('@') {
            return Err("a probe sends no password: write the URL without the part before `@`".to_owned());
        }
        Ok(Self(text.to_owned()))
    }
}

impl Written for HostPort {
    const KIND: &'static str = "host and port";
    const EXPECTED: &'static str = r#"a host and a port, such as "127.0.0.1:5432""#;
    const PATTERN: &'static str = r"^[^\s/@]+:[0-9]+$";

    fn read(text: &str) -> Result<Self, String> {
        let authority: Option<http::uri::Authority> = text.parse().ok();
        let is_whole = |a: &http::uri::Authority| {
            !a.host().is_empty() && !text.contains('@') && a.port_u16().is_some_and(|port| port > 0)
        };
        match authority {
            Some(authority) if is_whole(&authority) => Ok(Self(text.to_owned())),
            _ => Err(format!("{text:?} is not {}", Self::EXPECTED)),
        }
    }
}

impl Written for EngineHost {
    const KIND: &'static str = "engine address";
    const EXPECTED: &'static str =
        r#"where the engine listens, such as "unix:///run/docker.sock" or "tcp://127.0.0.1:2375""#;
    const PATTERN: &'static str = r"^(unix:///|(tcp|http)://[^/@\s]+:[0-9]+/*$)";

    fn read(text: &str) -> Result<Self, String> {
        let is_socket = text.strip_prefix("unix://").is_some_and(|path| path.starts_with('/'));
        let remote = text.strip_prefix("tcp://").or_else(|| text.strip_prefix("http://"));
        if is_socket || remote.is_some_and(|host| HostPort::read(host.trim_end_matches('/')).is_ok()) {
            return Ok(Self(text.to_owned()));
        }
        Err(format!("{text:?} is not {}", Self::EXPECTED))
    }
}

impl Written for RegistryHost {
    const KIND: &'static str = "registry host";
    const EXPECTED: &'static str = r#"the host of a registry, such as "ghcr.io" or "registry.example.com:5000""#;
    const PATTERN: &'static str = r"^(localhost|[^/\s@]*[.:][^/\s@]*)$";

    fn read(text: &str) -> Result<Self, String> {
        // Whatever can stand before the path of an image is a host, and nothing else is.
        match format!("{text}/image").parse::<Repository>() {
            Ok(image) if image.host() == text => Ok(Self(text.to_owned())),
            _ if text.contains("index.docker.io") => Err(format!("{text:?} is written \"docker.io\" here")),
            _ => Err(format!("{text:?} is not {}", Self::EXPECTED)),
        }
    }
}

impl Serialize for Unit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_read<T: Written>(good: &[&str], bad: &[&str]) {
        for text in good {
            assert!(T::read(text).is_ok(), "{text}");
        }
        for text in bad {
            assert!(T::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_glob_that_could_match_no_tag_is_refused() {
        all_read::<Glob>(&["*", "v*", "main-????", "v1.2.3", "A_b"], &["", "v[0-9]*", "main/*", "{a,b}", "v* ", "ä*"]);
    }

    #[test]
    fn what_a_unit_calls_an_image_is_a_tag() {
        let digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        all_read::<Reference>(
            &["ghcr.io/acme/shop:live", "127.0.0.1:5000/a:1"],
            &["", "ghcr.io/acme/shop", "shop:live", &format!("r.io/a@{digest}"), &format!("r.io/a:1@{digest}")],
        );
    }

    #[test]
    fn what_becomes_an_argument_of_compose_cannot_be_an_option() {
        all_read::<ComposeName>(&["api", "Api.v1_2-x", "_x", "0"], &["", "-v", "--help", "a b", "a/b", "a\n"]);
        all_read::<ComposeProject>(&["shop", "0-a_b"], &["", "-v", "Shop", "a.b", "_a", "a b"]);
    }

    #[test]
    fn a_probe_knows_where_to_ask() {
        all_read::<HttpUrl>(
            &["http://127.0.0.1:8080/health", "https://shop.example.com", "http://[::1]/a?b=c"],
            &["", "/health", "127.0.0.1:8080", "ftp://a/b", "http://", "http:///x", "http://a b/", "http://u:p@a/"],
        );
        all_read::<HostPort>(
            &["127.0.0.1:5432", "db.example.com:1", "[::1]:80"],
            &["", "5432", ":5432", "db", "db:", "db:0", "db:99999", "tcp://db:1", "u@db:1", "db:1/x"],
        );
    }

    #[test]
    fn an_engine_is_reached_through_a_socket_or_without_tls() {
        all_read::<EngineHost>(
            &["unix:///run/docker.sock", "tcp://127.0.0.1:2375", "http://engine:2375/"],
            &["", "/run/docker.sock", "unix://run/docker.sock", "ssh://host", "tcp://host", "npipe:////./pipe/x"],
        );
    }

    #[test]
    fn a_registry_is_named_as_images_name_it() {
        all_read::<RegistryHost>(
            &["ghcr.io", "docker.io", "127.0.0.1:5000", "localhost"],
            &["", "https://ghcr.io", "ghcr.io/acme", "ghcr", "GHCR.io"],
        );
        let hub = RegistryHost::read("https://index.docker.io/v1/").unwrap_err();
        assert_eq!(hub, r#""https://index.docker.io/v1/" is written "docker.io" here"#);
    }
}
