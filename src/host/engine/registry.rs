//! Asks the registry, through the engine, what an image is, and whether it takes credentials.

use std::time::Duration;

use bollard::models::{DistributionInspect, OciPlatform};

use super::client::Engine;
use super::credentials::Login;
use super::meaning::Meaning;
use super::version::EngineVersion;
use crate::host::finding::Finding;
use crate::host::{HostError, Reporter};
use crate::model::{Digest, ImageReference};

/// How long a registry may take to say what an image is.
const PATIENCE: Duration = Duration::from_secs(45);

/// How long a registry may take to say whether it knows somebody.
const LOGIN: Duration = Duration::from_secs(10);

impl Engine {
    /// What `image` is right now: its tag where it has one, else its digest.
    pub(in crate::host) async fn resolve(&self, image: &ImageReference, login: &Login) -> Result<Digest, HostError> {
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
            return Err(HostError::refused(format!("cannot resolve {name}"), reason));
        }
        let digest = answer.descriptor.digest.unwrap_or_default();
        digest.parse().map_err(|_| {
            HostError::refused(
                format!("cannot resolve {name}"),
                format!("the registry answered with {digest:?}, which is not a digest"),
            )
        })
    }

    /// Whether the registry at `host` takes the credentials with which images are pulled from it; nothing where something
    /// went wrong on the way to them. Nothing is kept.
    pub(in crate::host) async fn log_in(&self, host: &str, login: &Login) -> Option<Finding> {
        let Some(credentials) = login.for_registry(host) else {
            let known = matches!(login, Login::Anonymous { trouble: None });
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
        let (silent, _) = Reporter::new();
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
        let refused = |reason: String| HostError::refused(format!("cannot resolve {name}"), reason);
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

#[cfg(test)]
mod tests {
    use super::*;

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
