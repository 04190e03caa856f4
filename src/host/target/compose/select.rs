//! Which services of a compose project a release moves: pure, from what Compose makes of its files.

use super::model::Model;
use crate::deploy::sharing::Uses;
use crate::deploy::spec::Compose;
use crate::model::{ImageReference, Repository};

/// A service that a release moves, and the reference that the files name for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Selected {
    pub(super) name: String,
    pub(super) reference: ImageReference,
}

/// The services that use one of `repositories`. The error says what is wrong and how to fix it.
pub(super) fn select(model: &Model, spec: &Compose, repositories: &[Repository]) -> Result<Vec<Selected>, String> {
    if let Some(unknown) = unknown_services(model, spec).first() {
        return Err(format!(
            "{} has no active service {unknown:?}, which `services` names: correct the name, or add its profile",
            spec.directory.display()
        ));
    }
    let mut selected = Vec::new();
    for (name, reference) in candidates(model, spec) {
        if !repositories.contains(reference.repository()) {
            continue;
        }
        if reference.digest().is_some() {
            return Err(pinned_in_the_file(&name, &reference));
        }
        // Nothing of it runs, by the files' own wish.
        if model.services.get(&name).is_some_and(|service| service.replicas() > 0) {
            selected.push(Selected { name, reference });
        }
    }
    for repository in repositories {
        if !selected.iter().any(|service| service.reference.repository() == repository) {
            return Err(unused(model, spec, repository));
        }
    }
    Ok(selected)
}

/// Services that the configuration names and the files do not have, or not with these profiles.
pub(super) fn unknown_services<'a>(model: &Model, spec: &'a Compose) -> Vec<&'a str> {
    spec.services.iter().filter(|name| !model.services.contains_key(*name)).map(String::as_str).collect()
}

/// Services that may be moved, with the references that the files name for them.
pub(super) fn candidates(model: &Model, spec: &Compose) -> Vec<(String, ImageReference)> {
    let may_move = |name: &String| spec.services.is_empty() || spec.services.contains(name);
    let images = model.services.iter().filter(|(name, _)| may_move(name));
    images
        .filter_map(|(name, service)| {
            Some((name.clone(), ImageReference::parse_familiar(service.image.as_deref()?).ok()?))
        })
        .collect()
}

/// The names by which the project finds images of `repositories`, and the services that it starts from each.
pub(super) fn uses(model: &Model, spec: &Compose, repositories: &[Repository]) -> Uses {
    let mut uses = Uses::new();
    for (name, reference) in candidates(model, spec) {
        let runs = model.services.get(&name).is_some_and(|service| service.replicas() > 0);
        if runs && repositories.contains(reference.repository()) {
            uses.entry(reference).or_default().insert(format!("{name} of {}", place(&model.name)));
        }
    }
    uses
}

/// What a Compose project is called among all that deployments change.
pub(super) fn place(compose_project: &str) -> String {
    format!("the Compose project {compose_project}")
}

/// Why a service whose reference names a digest cannot be moved.
pub(super) fn pinned_in_the_file(name: &str, reference: &ImageReference) -> String {
    format!(
        "the service {name} names a digest ({reference}), so no other release can take its place: \
         let the compose file name a tag, such as {}:main",
        reference.repository()
    )
}

/// That no service uses `repository`, and what they use instead.
pub(super) fn unused(model: &Model, spec: &Compose, repository: &Repository) -> String {
    let mut used: Vec<String> =
        candidates(model, spec).into_iter().map(|(_, reference)| reference.repository().to_string()).collect();
    used.sort();
    used.dedup();
    let used = if used.is_empty() { "none".to_owned() } else { used.join(", ") };
    format!(
        "no service in {} that may be moved uses {repository} (they use: {used}): correct the image in the compose \
         file or in the project, or add the service's profile",
        spec.directory.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::spec::tests::compose_of_shop as spec;
    use crate::host::target::compose::model::tests::model;

    fn repositories(names: &[&str]) -> Vec<Repository> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    const FILES: &str = r#"{"name":"shop","services":{
        "api":{"image":"ghcr.io/acme/api:main"},"worker":{"image":"ghcr.io/acme/api"},
        "off":{"image":"ghcr.io/acme/off:1","scale":0},
        "db":{"image":"postgres:16"},"built":{"build":{}},
        "fixed":{"image":"ghcr.io/acme/fixed@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}}}"#;

    #[test]
    fn services_are_chosen_by_the_repository_of_their_image() {
        let model = model(FILES);
        let chosen = |names: &[&str], spec: &Compose| {
            let selected = select(&model, spec, &repositories(names)).unwrap();
            selected.iter().map(|service| format!("{} {}", service.name, service.reference)).collect::<Vec<_>>()
        };
        let api = ["api ghcr.io/acme/api:main", "worker ghcr.io/acme/api:latest"];
        assert_eq!(chosen(&["ghcr.io/acme/api"], &spec()), api);
        assert_eq!(chosen(&["docker.io/library/postgres"], &spec()), ["db docker.io/library/postgres:16"]);
        let only = Compose { services: vec!["worker".to_owned()], ..spec() };
        assert_eq!(chosen(&["ghcr.io/acme/api"], &only), api[1..]);
    }

    #[test]
    fn what_cannot_be_moved_is_said_with_the_fix() {
        let model = model(FILES);
        let error = |names: &[&str], spec: &Compose| select(&model, spec, &repositories(names)).unwrap_err();
        let fixed = error(&["ghcr.io/acme/fixed"], &spec());
        assert!(
            fixed.contains("the service fixed names a digest") && fixed.contains("ghcr.io/acme/fixed:main"),
            "{fixed}"
        );
        let unused = error(&["ghcr.io/acme/web"], &spec());
        assert!(
            unused.contains("uses ghcr.io/acme/web (they use: docker.io/library/postgres, ghcr.io/acme/api"),
            "{unused}"
        );
        let one_of_two = error(&["ghcr.io/acme/api", "ghcr.io/acme/web"], &spec());
        assert!(one_of_two.contains("uses ghcr.io/acme/web"), "{one_of_two}");
        assert!(error(&["ghcr.io/acme/off"], &spec()).contains("no service"));
        let unknown = Compose { services: vec!["apj".to_owned()], ..spec() };
        assert!(error(&["ghcr.io/acme/api"], &unknown).contains("\"apj\""));
    }
}
