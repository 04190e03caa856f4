//! Asks the registry, through the engine, what an image is, and reads what registries say when they refuse.

use std::time::Duration;

use bollard::auth::DockerCredentials;
use bollard::models::{DistributionInspect, OciPlatform};

use super::Engine;
use super::refusal::Refusal;
use super::version::EngineVersion;
use crate::host::credentials::{Login, server_address};
use crate::host::finding::Finding;
use crate::host::{HostError, Narrator};
use crate::model::{Digest, ImageReference, Repository};

/// How long a registry may take to say what an image is.
const PATIENCE: Duration = Duration::from_secs(45);

/// How long a registry may take to say whether it knows somebody.
const LOGIN: Duration = Duration::from_secs(10);

/// What a refusal means to the one who asked for an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// These credentials do not open it.
    Denied,
    /// The registry does not know it, or says so to those who may not see it.
    Unknown,
    /// It is not for this engine's platform.
    Platform,
    /// There is no room for it on this host.
    NoSpace,
    /// What came is not what its digest says.
    Corrupt,
    /// Not now.
    Later,
}

impl Engine {
    /// What `image` is right now: its tag where it has one, else its digest.
    pub(crate) async fn resolve(&self, image: &ImageReference, login: &Login) -> Result<Digest, HostError> {
        let repository = image.repository();
        let version = match (image.tag(), image.digest()) {
            (Some(tag), _) => format!(":{tag}"),
            (None, Some(digest)) => format!("@{digest}"),
            (None, None) => ":latest".to_owned(),
        };
        let name = format!("{repository}{version}");
        let asked = self.ask_patiently(PATIENCE, |docker| {
            let (name, login) = (name.as_str(), login.for_registry(repository.host()));
            async move { docker.inspect_registry_image(name, login).await }
        });
        let answer = match asked.await {
            Err(refusal) if refusal.is_unknown_endpoint() => return self.resolve_by_pulling(image, &name, login).await,
            answer => answer.map_err(|refusal| refusal.of_registry(&name, repository, login))?,
        };
        let engine = self.known_version().await?;
        if let Some(reason) = wrong_platform(&answer, &engine) {
            return Err(HostError::NotResolved { image: name, reason });
        }
        let digest = answer.descriptor.digest.unwrap_or_default();
        digest.parse().map_err(|_| HostError::NotResolved {
            image: name,
            reason: format!("the registry answered with {digest:?}, which is not a digest"),
        })
    }

    /// Whether the registry at `host` takes the credentials with which images are pulled from it; nothing where something
    /// went wrong on the way to them. Nothing is kept.
    pub(crate) async fn log_in(&self, host: &str, login: &Login) -> Option<Finding> {
        let Some(credentials) = login.for_registry(host) else {
            let known = matches!(login, Login::Nobody { trouble: None });
            let what = || format!("registry {host}: no credentials, so only what is public can be pulled");
            return known.then(|| Finding::ok(what()));
        };
        // What is written here holds the secret: it goes into the request and nowhere else.
        let body = serde_json::to_vec(&credentials).ok()?;
        let whose = login.origin();
        Some(match self.post("/auth", body, LOGIN).await {
            Ok(()) => Finding::ok(format!("registry {host}: it takes {whose}")),
            Err(refusal) => {
                let reason = refusal.reason();
                match refusal.meaning() {
                    Meaning::Denied => {
                        Finding::error(format!("registry {host}: it refuses {whose}: {reason}: correct them there"))
                    }
                    _ => Finding::warning(format!(
                        "registry {host}: whether it takes {whose} cannot be found out: {reason}"
                    )),
                }
            }
        })
    }

    /// For an engine that does not ask registries for others: it must fetch the image to see what it is. What names mean
    /// on this host is a pin, and asking a question makes and moves no pin.
    async fn resolve_by_pulling(&self, image: &ImageReference, name: &str, login: &Login) -> Result<Digest, HostError> {
        let repository = image.repository();
        let version = image.tag().or_else(|| image.digest().map(Digest::as_str)).unwrap_or("latest");
        let before = self.image(name).await?;
        let (silent, _) = Narrator::new();
        let fetch = async |version: &str| {
            let fetched = self.fetch(repository, version, login, &silent).await;
            fetched.map_err(|refusal| refusal.of_registry(name, repository, login))
        };
        fetch(version).await?;
        let found = self.digest_of_pulled(image, name).await;
        match before {
            // Nothing is named by a digest.
            _ if image.tag().is_none() && image.digest().is_some() => {}
            Some(before) => self.tag(&before.id, &repository.to_string(), version).await?,
            None => {
                if let Ok(digest) = &found {
                    // With its last name the image would go, and have to come again.
                    fetch(digest.as_str()).await?;
                }
                self.release_image(name).await?;
            }
        }
        found
    }

    /// The digest of `image`, which was pulled as `name`.
    async fn digest_of_pulled(&self, image: &ImageReference, name: &str) -> Result<Digest, HostError> {
        let refused = |reason: String| HostError::NotResolved { image: name.to_owned(), reason };
        let no_digest = || refused("the engine pulled it and does not know its digest".to_owned());
        let pulled = self.image(name).await?.ok_or_else(no_digest)?;
        let (os, architecture) = pulled.platform.clone();
        let platform = OciPlatform { os: Some(os), architecture: Some(architecture), ..OciPlatform::default() };
        let answer = DistributionInspect { platforms: vec![platform], ..DistributionInspect::default() };
        if let Some(reason) = wrong_platform(&answer, &self.known_version().await?) {
            return Err(refused(reason));
        }
        match image.digest() {
            // What came by an index has that digest and one of its own.
            Some(named) if pulled.is(image.repository(), named) => Ok(named.clone()),
            _ => self.local(&pulled, image.repository()).await?.digest.ok_or_else(no_digest),
        }
    }
}

/// Why the engine cannot run this, if so. An index that lacks the platform cannot even be pulled.
fn wrong_platform(answer: &DistributionInspect, engine: &EngineVersion) -> Option<String> {
    let known = |platform: &&OciPlatform| platform.os.as_deref().is_some_and(|os| !os.is_empty() && os != "unknown");
    let platforms: Vec<&OciPlatform> = answer.platforms.iter().filter(known).collect();
    let fits = |platform: &&OciPlatform| {
        platform.os.as_deref() == Some(engine.os.as_str())
            && runs(&engine.architecture, platform.architecture.as_deref().unwrap_or_default())
    };
    let is_index =
        answer.descriptor.media_type.as_deref().is_some_and(|kind| kind.contains("index") || kind.contains("list"));
    if platforms.is_empty() || platforms.iter().any(fits) || (!is_index && has_emulator()) {
        return None;
    }
    let names: Vec<String> = platforms
        .iter()
        .map(|platform| {
            format!("{}/{}", platform.os.as_deref().unwrap_or("?"), platform.architecture.as_deref().unwrap_or("?"))
        })
        .collect();
    let (os, architecture) = (&engine.os, &engine.architecture);
    Some(format!("it is for {}, and this engine runs {os}/{architecture}: build it for that too", names.join(", ")))
}

/// Whether a machine of architecture `machine` runs programs of `program`.
fn runs(machine: &str, program: &str) -> bool {
    machine == program || matches!((machine, program), ("amd64", "386") | ("arm64", "arm"))
}

/// Whether the kernel runs programs of other architectures.
fn has_emulator() -> bool {
    std::fs::read_dir("/proc/sys/fs/binfmt_misc").is_ok_and(|mut entries| {
        entries.any(|entry| entry.is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with("qemu-")))
    })
}

impl Login {
    /// As the engine takes it. The result prints the secret in clear: it goes straight into a request.
    pub(super) fn for_registry(&self, host: &str) -> Option<DockerCredentials> {
        let address = Some(server_address(host).to_owned());
        match self {
            Self::Nobody { .. } => None,
            Self::User { username, password, .. } => Some(DockerCredentials {
                username: Some(username.clone()),
                password: Some(password.reveal().to_owned()),
                serveraddress: address,
                ..DockerCredentials::default()
            }),
            Self::Token { token, .. } => Some(DockerCredentials {
                identitytoken: Some(token.reveal().to_owned()),
                serveraddress: address,
                ..DockerCredentials::default()
            }),
        }
    }
}

impl Refusal {
    fn reason(&self) -> &str {
        match self {
            Self::Away(reason) | Self::Status(_, reason) | Self::Stream(reason) | Self::Odd(reason) => reason,
        }
    }

    /// Whether the engine does not know the question, which is another thing than an image that the registry does
    /// not know: a registry's error names what is missing.
    fn is_unknown_endpoint(&self) -> bool {
        matches!(self, Self::Status(404, message) if {
            let message = message.to_lowercase();
            message.is_empty() || message == "not found" || message.contains("page not found")
        })
    }

    fn meaning(&self) -> Meaning {
        let (status, message) = match self {
            Self::Status(status, message) => (*status, message.to_lowercase()),
            Self::Stream(message) | Self::Odd(message) | Self::Away(message) => (0, message.to_lowercase()),
        };
        let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
        if status == 429 || says(&["toomanyrequests", "too many requests", "rate limit"]) {
            Meaning::Later
        } else if says(&["no space left"]) {
            Meaning::NoSpace
        } else if says(&[
            // Docker's words, containerd's, and Podman's.
            "verification failed for digest",
            "unexpected commit digest",
            "failed size validation",
            "digest did not match",
            "does not match provided manifest digest",
            "does not match expected",
        ]) {
            Meaning::Corrupt
        } else if says(&[
            "no matching manifest for",
            "does not match the specified platform",
            "no match for platform",
            "no image found in manifest list",
        ]) {
            Meaning::Platform
        } else if matches!(status, 401 | 403)
            || says(&["unauthorized", "access denied", "access forbidden", "no basic auth", "authentication required"])
            || says(&["denied:", "insufficient_scope", "403 forbidden", "401 unauthorized"])
        {
            Meaning::Denied
        } else if matches!(status, 400 | 404)
            || says(&["manifest unknown", "name unknown", "not found: ", "repository name not known"])
        {
            Meaning::Unknown
        } else {
            Meaning::Later
        }
    }

    /// A refusal to say what an image is.
    fn of_registry(self, image: &str, repository: &Repository, login: &Login) -> HostError {
        let meaning = self.meaning();
        let reason = match self {
            Self::Away(reason) => return HostError::EngineAway { reason },
            Self::Status(_, reason) | Self::Stream(reason) | Self::Odd(reason) => reason,
        };
        let (image, host) = (image.to_owned(), repository.host());
        match meaning {
            Meaning::Later => HostError::RegistryAway { image, reason },
            Meaning::Denied => {
                HostError::NotResolved { image, reason: format!("{reason}; {}", login.after_denial(host)) }
            }
            Meaning::Unknown => {
                HostError::NotResolved { image, reason: format!("{reason}{}", login.after_absence(host)) }
            }
            Meaning::Platform => {
                HostError::NotResolved { image, reason: format!("{reason}; build it for this host's platform too") }
            }
            Meaning::Corrupt => HostError::NotResolved {
                image,
                reason: format!(
                    "what the registry sent does not match its digest ({reason}); nothing of it was used: \
                     check {host} and any cache or proxy in front of it, or push the image again"
                ),
            },
            Meaning::NoSpace => HostError::NotResolved { image, reason },
        }
    }

    /// A refusal to bring an image here.
    pub(super) fn of_pull(self, image: &str, repository: &Repository, login: &Login) -> HostError {
        match (self.meaning(), self.of_registry(image, repository, login)) {
            (Meaning::NoSpace, HostError::NotResolved { image, reason }) => {
                HostError::Pull { image, reason: format!("{reason}; make room, for example with docker image prune") }
            }
            (_, HostError::NotResolved { image, reason }) => HostError::Pull { image, reason },
            (_, other) => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_registries_say_is_understood() {
        for (status, message, meaning) in [
            (500, "Head \"http://r:5000/v2/x/manifests/v1\": no basic auth credentials", Meaning::Denied),
            (401, "unauthorized: authentication required", Meaning::Denied),
            (500, "unauthorized: authentication required", Meaning::Denied),
            (403, "denied: requested access to the resource is denied", Meaning::Denied),
            (404, "pull access denied for x, repository does not exist or may require 'docker login'", Meaning::Denied),
            (404, "manifest unknown: manifest unknown", Meaning::Unknown),
            (404, "manifest for r:5000/x:nope not found: manifest unknown: manifest unknown", Meaning::Unknown),
            (500, "Get \"http://127.0.0.1:1/v2/\": dial tcp 127.0.0.1:1: connect: connection refused", Meaning::Later),
            (500, "Get \"https://x.invalid/v2/\": dial tcp: lookup x.invalid: no such host", Meaning::Later),
            (500, "toomanyrequests: You have reached your pull rate limit.", Meaning::Later),
            (429, "", Meaning::Later),
            (502, "received unexpected HTTP status: 503 Service Unavailable", Meaning::Later),
            (0, "write /var/lib/docker/tmp/x: no space left on device", Meaning::NoSpace),
            (0, "manifest verification failed for digest sha256:ab", Meaning::Corrupt),
            (0, "image config verification failed for digest sha256:ab", Meaning::Corrupt),
            (0, "filesystem layer verification failed for digest sha256:ab", Meaning::Corrupt),
            (
                0,
                "failed commit on ref \"layer-sha256:ab\": unexpected commit digest sha256:cd, expected sha256:ab: failed precondition",
                Meaning::Corrupt,
            ),
            (
                0,
                "failed commit on ref \"config-sha256:ab\": failed size validation: 1 != 2: failed precondition",
                Meaning::Corrupt,
            ),
            (500, "reading blob sha256:ab: Digest did not match, expected sha256:ab, got sha256:cd", Meaning::Corrupt),
            (500, "Manifest does not match provided manifest digest sha256:ab", Meaning::Corrupt),
            (500, "Download config.json digest sha256:cd does not match expected sha256:ab", Meaning::Corrupt),
            (0, "no matching manifest for linux/amd64 in the manifest list entries", Meaning::Platform),
            (0, "choosing image instance: no image found in manifest list for architecture amd64", Meaning::Platform),
        ] {
            assert_eq!(Refusal::Status(status, message.to_owned()).meaning(), meaning, "{message}");
        }
    }

    #[test]
    fn an_engine_without_the_question_is_told_from_a_registry_without_the_image() {
        for (message, unknown) in [("Not Found", true), ("404 page not found\n", true), ("", true)] {
            assert_eq!(Refusal::Status(404, message.trim().to_owned()).is_unknown_endpoint(), unknown);
        }
        for message in ["manifest unknown: manifest unknown", "name unknown: repository name not known to registry"] {
            assert!(!Refusal::Status(404, message.to_owned()).is_unknown_endpoint(), "{message}");
        }
    }

    #[test]
    fn an_index_without_this_platform_is_refused() {
        let engine =
            EngineVersion { os: "linux".to_owned(), architecture: "amd64".to_owned(), ..EngineVersion::default() };
        let platform = |os: &str, architecture: &str| OciPlatform {
            os: Some(os.to_owned()),
            architecture: Some(architecture.to_owned()),
            ..OciPlatform::default()
        };
        let answer = |platforms: Vec<OciPlatform>| {
            let mut answer = DistributionInspect { platforms, ..DistributionInspect::default() };
            answer.descriptor.media_type = Some("application/vnd.oci.image.index.v1+json".to_owned());
            answer
        };
        let (arm, unknown) = (platform("linux", "arm64"), platform("unknown", "unknown"));
        let refused = wrong_platform(&answer(vec![arm.clone(), unknown.clone()]), &engine);
        let expected = "it is for linux/arm64, and this engine runs linux/amd64: build it for that too";
        assert_eq!(refused.as_deref(), Some(expected));
        for good in [vec![arm, platform("linux", "amd64")], vec![platform("linux", "386")], vec![unknown], vec![]] {
            assert_eq!(wrong_platform(&answer(good), &engine), None);
        }
    }
}
