//! What a registry means when it refuses, by what it says.

use super::credentials::Login;
use super::refusal::Refusal;
use crate::host::HostError;
use crate::model::Repository;

/// What a refusal means to the one who asked for an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
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

impl Refusal {
    pub(super) fn reason(&self) -> &str {
        match self {
            Self::Away(reason) | Self::Status(_, reason) | Self::Stream(reason) | Self::Odd(reason) => reason,
        }
    }

    /// Whether the engine does not know the question, which is another thing than an image that the registry does
    /// not know: a registry's error names what is missing.
    pub(super) fn is_unknown_endpoint(&self) -> bool {
        matches!(self, Self::Status(404, message) if {
            let message = message.to_lowercase();
            message.is_empty() || message == "not found" || message.contains("page not found")
        })
    }

    pub(super) fn meaning(&self) -> Meaning {
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
    pub(super) fn of_registry(self, image: &str, repository: &Repository, login: &Login) -> HostError {
        let meaning = self.meaning();
        match self.explained(image, repository, login) {
            Ok(reason) if meaning == Meaning::Unknown => HostError::refused("", reason),
            Ok(reason) => HostError::refused(format!("cannot resolve {image}"), reason),
            Err(passing) => passing,
        }
    }

    /// A refusal to bring an image here.
    pub(super) fn of_pull(self, image: &str, repository: &Repository, login: &Login) -> HostError {
        let meaning = self.meaning();
        let reason = match self.explained(image, repository, login) {
            Ok(reason) if meaning == Meaning::NoSpace => {
                format!("{reason}; make room, for example with docker image prune")
            }
            Ok(reason) => reason,
            Err(passing) => return passing,
        };
        HostError::failed(format!("pulling {image} failed"), reason)
    }

    /// What is wrong and the fix, unless it passes by itself.
    fn explained(self, image: &str, repository: &Repository, login: &Login) -> Result<String, HostError> {
        let meaning = self.meaning();
        let reason = match self {
            Self::Away(reason) => return Err(HostError::engine_away(reason)),
            Self::Status(_, reason) | Self::Stream(reason) | Self::Odd(reason) => reason,
        };
        let host = repository.host();
        Ok(match meaning {
            Meaning::Later => {
                return Err(HostError::passing(format!("the registry of {image} does not answer"), reason));
            }
            Meaning::Denied => format!("{reason}; {}", login.after_denial(host)),
            Meaning::Unknown => {
                let named = repository.to_string();
                let version = match image.strip_prefix(&named).map(|version| version.split_at_checked(1)) {
                    Some(Some((":", tag))) => format!("tag {tag}"),
                    Some(Some(("@", digest))) => format!("image {digest}"),
                    _ => format!("image {image}"),
                };
                let reason = said_once(&reason);
                format!("{named} has no {version}: has CI pushed it? ({reason}){}", login.after_absence(host))
            }
            Meaning::Platform => format!("{reason}; build it for this host's platform too"),
            Meaning::Corrupt => format!(
                "what the registry sent does not match its digest ({reason}); nothing of it was used: \
                 check {host} and any cache or proxy in front of it, or push the image again"
            ),
            Meaning::NoSpace => reason,
        })
    }
}

/// `manifest unknown: manifest unknown` said once.
fn said_once(reason: &str) -> &str {
    match reason.rsplit_once(": ") {
        Some((before, last)) if before == last || before.ends_with(&format!(": {last}")) => said_once(before),
        _ => reason,
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
    fn a_tag_that_is_not_there_is_named_and_the_registry_is_quoted_once() {
        let repository: Repository = "r.io/acme/shop".parse().unwrap();
        let told = |image: &str, reason: &str| {
            let refusal = Refusal::Status(404, reason.to_owned());
            refusal.of_registry(image, &repository, &Login::Anonymous { trouble: None }).to_string()
        };
        let tag = told("r.io/acme/shop:nope", "manifest unknown: manifest unknown");
        assert!(tag.starts_with("r.io/acme/shop has no tag nope: has CI pushed it? (manifest unknown)"), "{tag}");
        let digest = told("r.io/acme/shop@sha256:ab", "name unknown");
        assert!(
            digest.starts_with("r.io/acme/shop has no image sha256:ab: has CI pushed it? (name unknown)"),
            "{digest}"
        );
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
}
