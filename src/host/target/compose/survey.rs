//! What in compose files stands in the way of a deployment.

use super::command::ComposeError;
use super::hints;
use super::model::Model;
use super::select::{candidates, pinned_in_the_file, unknown_services, unused};
use crate::deploy::spec::{Compose, ProjectSpec};
use crate::host::finding::Finding;

/// Why Compose does not understand the files.
pub(super) fn config_error(compose: &Compose, error: ComposeError) -> String {
    match error {
        ComposeError::Refused { reason, .. } => format!("{}: {reason}", compose.directory.display()),
        ComposeError::Host(error) => error.to_string(),
    }
}

/// What in the compose files stands in the way.
pub(super) fn of_model(model: &Model, compose: &Compose, spec: &ProjectSpec) -> Vec<Finding> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::spec::tests::{compose_of_shop, shop};
    use crate::host::finding::Severity;
    use crate::host::target::compose::model::tests::model;

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
}
