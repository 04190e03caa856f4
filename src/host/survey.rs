//! Findings: what was looked at on this host before a deployment is tried, and whether it is in order.

use std::fmt;

use serde::Serialize;

use super::compose::Model;
use super::select::{candidates, pinned_in_the_file, unknown_services, unused};
use super::{HostError, hints};
use crate::deploy::spec::{Compose, ProjectSpec};

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Whether it is in order.
    pub severity: Severity,
    /// In one line: which thing; where it is not in order, also what is wrong and how to fix it.
    pub what: String,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It is in order.
    Ok,
    /// Worth knowing.
    Warning,
    /// A deployment would fail.
    Error,
}

/// The newest API that windlass was tried with, and the oldest that it can use.
const NEWEST: Api = Api(1, 51);
const OLDEST: Api = Api(1, 41);

/// Which engine answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EngineVersion {
    /// Its own version: `28.5.2`.
    pub version: String,
    /// The newest API that it speaks: `1.51`.
    pub api: String,
    /// The oldest API that it speaks; empty where it does not say.
    pub oldest_api: String,
    /// What its containers run on: `linux`.
    pub os: String,
    /// In the registries' words: `amd64`, `arm64`.
    pub architecture: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Api(u32, u32);

/// Why Compose does not understand the files.
pub(crate) fn config_error(compose: &Compose, error: &HostError) -> String {
    match error {
        HostError::Compose { reason, .. } => format!("{}: {reason}", compose.directory.display()),
        other => other.to_string(),
    }
}

/// What in the compose files stands in the way.
pub(crate) fn of_model(model: &Model, compose: &Compose, spec: &ProjectSpec) -> Vec<Finding> {
    let mut findings = Vec::new();
    for unknown in unknown_services(model, compose) {
        let directory = compose.directory.display();
        findings.push(Finding::error(format!(
            "{directory} has no active service {unknown:?}, which `services` names: correct the name, or add its profile"
        )));
    }
    let candidates = candidates(model, compose);
    for repository in &spec.images {
        let mut users = candidates.iter().filter(|(_, reference)| reference.repository() == repository).peekable();
        if users.peek().is_none() {
            findings.push(Finding::error(unused(model, compose, repository)));
        }
        for (name, reference) in users {
            if reference.digest().is_some() {
                findings.push(Finding::error(pinned_in_the_file(name, reference)));
            }
            if model.services.get(name).is_some_and(|service| service.replicas() == 0) {
                let what = format!("the service {name} asks for no container (scale 0), so a release does not move it");
                findings.push(Finding::warning(what));
            }
        }
    }
    findings.extend(hints::of_model(model, compose, spec).into_iter().map(Finding::warning));
    findings
}

impl Finding {
    pub(crate) const fn ok(what: String) -> Self {
        Self { severity: Severity::Ok, what }
    }

    pub(crate) const fn error(what: String) -> Self {
        Self { severity: Severity::Error, what }
    }

    pub(crate) const fn warning(what: String) -> Self {
        Self { severity: Severity::Warning, what }
    }
}

impl EngineVersion {
    /// The newest API that both sides speak.
    pub(crate) fn agreed(&self) -> Result<String, String> {
        let newest = Api::parse(&self.api)
            .ok_or_else(|| format!("the engine says that it speaks API {:?}, which windlass cannot read", self.api))?;
        let oldest = Api::parse(&self.oldest_api).unwrap_or(OLDEST);
        if newest < OLDEST {
            return Err(format!(
                "the engine speaks API {newest}, and windlass needs {OLDEST}: update to Docker 20.10 or newer"
            ));
        }
        if oldest > NEWEST {
            return Err(format!(
                "the engine speaks API {oldest} or newer, and windlass up to {NEWEST}: update windlass"
            ));
        }
        Ok(newest.min(NEWEST).to_string())
    }
}

impl Api {
    fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once('.')?;
        Some(Self(major.parse().ok()?, minor.parse().ok()?))
    }
}

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

#[cfg(test)]
mod tests {
    use super::super::compose::tests::model;
    use super::*;
    use crate::deploy::spec::tests::{compose_of_shop, shop};

    #[test]
    fn what_in_the_files_stands_in_the_way_is_found() {
        let digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let files = format!(r#"{{"name":"shop","services":{{"api":{{"image":"ghcr.io/acme/api@{digest}"}}}}}}"#);
        let spec = shop();
        let mut compose = compose_of_shop();
        let findings = of_model(&model(&files), &compose, &spec);
        let all: Vec<&str> = findings.iter().map(|finding| finding.what.as_str()).collect();
        assert!(
            matches!(all[..], [digest, unused] if digest.contains("names a digest") && unused.contains("acme/web"))
        );
        compose.services = vec!["web".to_owned()];
        assert!(of_model(&model(&files), &compose, &spec)[0].what.contains("no active service \"web\""));
        let good =
            r#"{"name":"shop","services":{"a":{"image":"ghcr.io/acme/api:1"},"b":{"image":"ghcr.io/acme/web"}}}"#;
        compose.services.clear();
        assert_eq!(of_model(&model(good), &compose, &spec), []);
        let past_the_pin = good.replace("api:1\"", "api:1\",\"pull_policy\":\"always\"");
        let findings = of_model(&model(&past_the_pin), &compose, &spec);
        let [hint] = &findings[..] else { panic!("{findings:?}") };
        assert!(hint.severity == Severity::Warning && hint.what.contains("pull_policy: always"), "{hint:?}");
    }

    #[test]
    fn the_newest_api_that_both_speak_is_agreed() {
        for (newest, oldest, agreed) in [
            ("1.41", "1.12", Ok("1.41")),
            ("1.45", "1.24", Ok("1.45")),
            ("1.52", "1.44", Ok("1.51")),
            ("1.41", "", Ok("1.41")),
            ("1.40", "1.12", Err("update to Docker 20.10 or newer")),
            ("1.70", "1.60", Err("update windlass")),
            ("", "", Err("cannot read")),
        ] {
            let version =
                EngineVersion { api: newest.to_owned(), oldest_api: oldest.to_owned(), ..EngineVersion::default() };
            match (version.agreed(), agreed) {
                (Ok(found), Ok(agreed)) => assert_eq!(found, agreed),
                (Err(found), Err(agreed)) => assert!(found.contains(agreed), "{found}"),
                (found, _) => panic!("{newest} {oldest}: {found:?}"),
            }
        }
    }
}
