//! Image references, as the OCI distribution specification writes them, and images pinned by digest.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Digest, DigestError};

/// A repository by its full name, registry host included: `registry.example.com:5000/team/app`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Repository {
    host: String,
    path: String,
}

/// `repository:tag`, `repository@sha256:…` or `repository:tag@sha256:…`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ImageReference {
    repository: Repository,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// An image that was named by somebody and is now fixed by its digest: what was planned is what runs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PinnedImage {
    /// As it was asked for, or as the target names it.
    pub image: ImageReference,
    /// What the registry answered for it: of an index where the image is for several platforms.
    pub digest: Digest,
}

/// An image as the engine on this host knows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LocalImage {
    /// The engine's own id. It means nothing on another host.
    pub id: Digest,
    /// The registry's digest; nothing when the image was built or loaded on this host.
    pub digest: Option<Digest>,
}

/// Why a text is not an image reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageReferenceError {
    /// Nothing was given.
    #[error("an image reference is `registry/repository:tag`, but this one is empty")]
    Empty,
    /// Longer than any engine accepts.
    #[error("an image reference has at most 512 characters")]
    TooLong,
    /// The first component is not a registry host.
    #[error("write the full name with its registry, such as `{suggestion}`")]
    NoRegistry {
        /// The name that was probably meant.
        suggestion: String,
    },
    /// The host part cannot be one.
    #[error("{host:?} is not a registry host")]
    Host {
        /// What stood there.
        host: String,
    },
    /// A path component breaks the grammar.
    #[error("a repository has components of a-z, 0-9 and single separators `.`, `_`, `__`, `-`, joined by `/`")]
    Path,
    /// The tag breaks the grammar.
    #[error("a tag has 1 to 128 characters of a-z, A-Z, 0-9, `_`, `.` and `-` and does not begin with `.` or `-`")]
    Tag,
    /// The digest breaks the grammar.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// A tag or a digest stands where only a repository belongs.
    #[error("a repository has neither tag nor digest")]
    NotBare,
}

const DOCKER_HUB: &str = "docker.io";
/// What it is called in Docker's own configuration.
const DOCKER_HUB_INDEX: &str = "index.docker.io";

impl Repository {
    /// The repositories of `images`, each once and in their order by name.
    #[must_use]
    pub fn of_all(images: &[PinnedImage]) -> Vec<Self> {
        images.iter().map(|image| image.image.repository().clone()).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// One repository has one name, as for Docker: `docker.io/nginx` and `index.docker.io/library/nginx` are both
    /// `docker.io/library/nginx`.
    fn new(host: &str, path: &str) -> Self {
        if host != DOCKER_HUB && host != DOCKER_HUB_INDEX {
            return Self { host: host.to_owned(), path: path.to_owned() };
        }
        let path = if path.contains('/') { path.to_owned() } else { format!("library/{path}") };
        Self { host: DOCKER_HUB.to_owned(), path }
    }

    /// The registry's host, with its port where one was given.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The name within the registry.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The image that is called `latest` in it.
    #[must_use]
    pub fn latest(self) -> ImageReference {
        ImageReference { repository: self, tag: Some("latest".to_owned()), digest: None }
    }
}

impl ImageReference {
    /// Reads a reference as a compose file or an engine may write it: a name without a registry is one of
    /// Docker Hub's (`nginx` is `docker.io/library/nginx`), and without tag and digest the tag is `latest`.
    ///
    /// # Errors
    /// As [`ImageReference::from_str`], but for a missing registry.
    pub fn parse_familiar(text: &str) -> Result<Self, ImageReferenceError> {
        let mut reference: Self = match text.parse() {
            Err(ImageReferenceError::NoRegistry { suggestion }) => suggestion.parse(),
            other => other,
        }?;
        if reference.tag.is_none() && reference.digest.is_none() {
            reference.tag = Some("latest".to_owned());
        }
        Ok(reference)
    }

    /// The repository without tag and digest.
    #[must_use]
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// The tag, where there is one.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, where there is one.
    #[must_use]
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The reference as people call it, without registry and path: `shop-api:v2`, or `shop-api@11507a0e2f5e`. Of a tag that
    /// is a whole hash, such as that of a commit, the first 12 digits.
    #[must_use]
    pub fn short(&self) -> String {
        let path = self.repository.path();
        let name = path.rsplit('/').next().unwrap_or(path);
        match (&self.tag, &self.digest) {
            (Some(tag), _) => format!("{name}:{}", short_tag(tag)),
            (None, Some(digest)) => format!("{name}@{}", digest.short()),
            (None, None) => name.to_owned(),
        }
    }

    /// This reference with `digest` named besides.
    #[must_use]
    pub fn with_digest(mut self, digest: Digest) -> Self {
        self.digest = Some(digest);
        self
    }

    /// This image, fixed at `digest`.
    #[must_use]
    pub fn pinned(self, digest: Digest) -> PinnedImage {
        PinnedImage { image: self, digest }
    }
}

impl PinnedImage {
    /// `repository@digest`: what an engine pulls so that it can get nothing else.
    #[must_use]
    pub fn by_digest(&self) -> String {
        format!("{}@{}", self.image.repository, self.digest)
    }

    /// Whether both are one image of one repository, whatever their tags.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.digest == other.digest && self.image.repository == other.image.repository
    }
}

impl FromStr for Repository {
    type Err = ImageReferenceError;

    fn from_str(text: &str) -> Result<Self, ImageReferenceError> {
        let reference: ImageReference = text.parse()?;
        if reference.tag.is_some() || reference.digest.is_some() {
            return Err(ImageReferenceError::NotBare);
        }
        Ok(reference.repository)
    }
}

impl FromStr for ImageReference {
    type Err = ImageReferenceError;

    fn from_str(text: &str) -> Result<Self, ImageReferenceError> {
        if text.is_empty() {
            return Err(ImageReferenceError::Empty);
        }
        if text.len() > 512 {
            return Err(ImageReferenceError::TooLong);
        }
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest.parse::<Digest>()?)),
            None => (text, None),
        };
        let (host, rest) = match name.split_once('/') {
            Some((host, rest)) if is_explicit_host(host) => (host, rest),
            _ => {
                // Whoever sends `a b` has a different trouble than whoever leaves the registry out.
                let meant: Self = format!("{DOCKER_HUB}/{text}").parse()?;
                return Err(ImageReferenceError::NoRegistry { suggestion: meant.to_string() });
            }
        };
        if !is_host(host) {
            return Err(ImageReferenceError::Host { host: host.to_owned() });
        }
        let (path, tag) = match rest.rsplit_once(':') {
            Some((path, tag)) => (path, Some(tag)),
            None => (rest, None),
        };
        if !path.split('/').all(is_path_component) {
            return Err(ImageReferenceError::Path);
        }
        if !tag.is_none_or(is_tag) {
            return Err(ImageReferenceError::Tag);
        }
        Ok(Self { repository: Repository::new(host, path), tag: tag.map(str::to_owned), digest })
    }
}

/// Docker's rule for telling a registry host from the first component of a path.
fn is_explicit_host(component: &str) -> bool {
    component.contains(['.', ':']) || component == "localhost"
}

fn is_host(host: &str) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        // An IPv6 address in brackets has colons of its own.
        Some((_, port)) if port.contains(']') => (host, None),
        Some((name, port)) => (name, Some(port)),
        None => (host, None),
    };
    let is_port =
        |port: &str| port.parse::<u16>().is_ok_and(|number| number != 0) && port.bytes().all(|b| b.is_ascii_digit());
    let is_domain = |name: &str| {
        name.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        })
    };
    let is_address = |name: &str| {
        name.strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok())
    };
    port.is_none_or(is_port) && (is_domain(name) || is_address(name))
}

fn is_path_component(component: &str) -> bool {
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = component.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    if !alphanumeric(*first) || !alphanumeric(*last) {
        return false;
    }
    component
        .split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        .all(|separator| matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|b| b == b'-'))
}

/// A tag as people call it.
#[must_use]
pub fn short_tag(tag: &str) -> &str {
    let is_hash = tag.len() >= 40 && tag.bytes().all(|byte| byte.is_ascii_hexdigit());
    tag.get(..12).filter(|_| is_hash).unwrap_or(tag)
}

fn is_tag(tag: &str) -> bool {
    (1..=128).contains(&tag.len())
        && !tag.starts_with(['.', '-'])
        && tag.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.path)
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl fmt::Display for PinnedImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.image, self.digest.short())
    }
}

macro_rules! as_text {
    ($name:ident) => {
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl TryFrom<String> for $name {
            type Error = ImageReferenceError;

            fn try_from(text: String) -> Result<Self, ImageReferenceError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }
    };
}

as_text!(Repository);
as_text!(ImageReference);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn a_reference_with_port_tag_and_digest_comes_apart_where_it_should() {
        let text = format!("127.0.0.1:5000/team/shop-api:main-3f2a91c@{DIGEST}");
        let reference: ImageReference = text.parse().unwrap();
        assert_eq!(reference.repository().host(), "127.0.0.1:5000");
        assert_eq!(reference.repository().path(), "team/shop-api");
        assert_eq!(reference.tag(), Some("main-3f2a91c"));
        assert_eq!(reference.digest().unwrap().as_str(), DIGEST);
        assert_eq!(reference.to_string(), text);
    }

    #[test]
    fn nothing_that_could_be_an_argument_a_path_or_a_shell_word_is_a_reference() {
        for bad in [
            "",
            "../../etc/passwd",
            "-v/:/host",
            "--privileged",
            "a b",
            "x:1;rm -rf /",
            "$(id)",
            "`id`",
            "${IFS}",
            "ghcr.io/a\nb:1",
            "ghcr.io/a\tb:1",
            "ghcr.io/a\0b:1",
            "ghcr.io/A/b:1",
            "ghcr.io/a//b:1",
            "ghcr.io/a/:1",
            "ghcr.io/a/..:1",
            "ghcr.io/-a:1",
            "ghcr.io/a-:1",
            "ghcr.io/a___b:1",
            "ghcr.io/a:-1",
            "ghcr.io/a:",
            "GHCR.io/a:1",
            "ghcr.io:0/a:1",
            "ghcr.io:99999/a:1",
            "ghcr.io:443@x/a:1",
            "ghcr.io@evil/a:1",
            "gh_cr.io/a:1",
            "ghcr.io/a@sha256:abc",
            "ghcr.io/a@md5:d41d8cd98f00b204e9800998ecf8427e",
            "ghcr.io/a@",
            "ghcr.io/ä:1",
            "ghcr.iо/a:1",
            &format!("ghcr.io/a:{}", "t".repeat(129)),
            &format!("ghcr.io/{}:1", "a".repeat(600)),
        ] {
            assert!(bad.parse::<ImageReference>().is_err(), "{bad:?}");
            assert!(ImageReference::parse_familiar(bad).is_err(), "familiar {bad:?}");
        }
    }

    #[test]
    fn a_name_without_registry_is_refused_with_the_name_that_was_meant() {
        let refused = "nginx:1".parse::<ImageReference>().unwrap_err();
        assert_eq!(refused.to_string(), "write the full name with its registry, such as `docker.io/library/nginx:1`");
        let refused = "acme/shop:1".parse::<ImageReference>().unwrap_err();
        assert_eq!(refused.to_string(), "write the full name with its registry, such as `docker.io/acme/shop:1`");
    }

    #[test]
    fn one_repository_of_docker_hub_has_one_name_however_it_is_written() {
        for (written, name) in [
            ("docker.io/nginx", "docker.io/library/nginx"),
            ("docker.io/library/nginx", "docker.io/library/nginx"),
            ("index.docker.io/nginx", "docker.io/library/nginx"),
            ("index.docker.io/acme/shop", "docker.io/acme/shop"),
            // These are other registries.
            ("docker.io:443/nginx", "docker.io:443/nginx"),
            ("hub.docker.io/nginx", "hub.docker.io/nginx"),
            ("ghcr.io/nginx", "ghcr.io/nginx"),
        ] {
            assert_eq!(written.parse::<Repository>().unwrap().to_string(), name);
            let tagged = format!("{written}:1");
            assert_eq!(tagged.parse::<ImageReference>().unwrap().to_string(), format!("{name}:1"));
            assert_eq!(ImageReference::parse_familiar(&tagged), tagged.parse());
        }
    }

    #[test]
    fn a_compose_file_may_write_the_familiar_form() {
        for (familiar, full) in [
            ("nginx", "docker.io/library/nginx:latest"),
            ("acme/shop:1", "docker.io/acme/shop:1"),
            ("index.docker.io/acme/shop:1", "docker.io/acme/shop:1"),
            ("localhost/shop", "localhost/shop:latest"),
            ("[::1]:5000/shop:1", "[::1]:5000/shop:1"),
        ] {
            assert_eq!(ImageReference::parse_familiar(familiar).unwrap().to_string(), full);
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back_the_same(
            host in "[a-z][a-z0-9]{0,8}\\.[a-z]{2,4}(:[1-9][0-9]{1,3})?",
            path in "[a-z0-9]{1,8}([._-][a-z0-9]{1,8}){0,2}(/[a-z0-9]{1,8}){0,2}",
            tag in proptest::option::of("[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}"),
            digest in any::<bool>(),
        ) {
            let mut text = format!("{host}/{path}");
            if let Some(tag) = tag { text = format!("{text}:{tag}"); }
            if digest { text = format!("{text}@{DIGEST}"); }
            let reference: ImageReference = text.parse().unwrap();
            prop_assert_eq!(reference.to_string(), text);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,80}") {
            let _ = text.parse::<ImageReference>();
            let _ = ImageReference::parse_familiar(&text);
        }
    }
}
