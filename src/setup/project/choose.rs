//! Which images of a compose project are deployed by windlass: what is the operator's own, not what comes with it.

use crate::model::{ImageReference, Repository};

/// What becomes of the images of a compose project.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Choice {
    /// To be deployed, each once.
    pub(super) images: Vec<Repository>,
    /// Services that are left as they are, and why.
    pub(super) left_out: Vec<(String, String)>,
}

/// Chooses among services and the images that the compose files name for them.
pub(super) fn choose(services: &[(String, Option<String>)]) -> Choice {
    let mut choice = Choice { images: Vec::new(), left_out: Vec::new() };
    for (service, image) in services {
        match judge(image.as_deref()) {
            Ok(repository) if choice.images.contains(&repository) => {}
            Ok(repository) => choice.images.push(repository),
            Err(why) => choice.left_out.push((service.clone(), why)),
        }
    }
    choice
}

fn judge(image: Option<&str>) -> Result<Repository, String> {
    let Some(image) = image else {
        return Err("has no image: it is built on this host".to_owned());
    };
    let reference =
        ImageReference::parse_familiar(image).map_err(|error| format!("{image:?} cannot be deployed: {error}"))?;
    let repository = reference.repository();
    if reference.digest().is_some() {
        return Err(format!("names a digest of {repository}; name a tag in the compose file to deploy it"));
    }
    // Docker Hub's own collection: databases and the like, which nobody here builds.
    if repository.host() == "docker.io" && repository.path().starts_with("library/") {
        return Err(format!("uses {repository}, which is not built here"));
    }
    Ok(repository.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_elsewhere_by_us_is_deployed_and_a_database_is_not() {
        let services = [
            ("api", Some("ghcr.io/acme/shop-api:main")),
            ("worker", Some("ghcr.io/acme/shop-api:main")),
            ("web", Some("acme/shop-web")),
            ("db", Some("postgres:16")),
            ("local", None),
            ("fixed", Some("r.io/x@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")),
            ("broken", Some("A B")),
        ]
        .map(|(service, image)| (service.to_owned(), image.map(str::to_owned)));
        let Choice { images, left_out } = choose(&services);
        let images: Vec<String> = images.iter().map(ToString::to_string).collect();
        assert_eq!(images, ["ghcr.io/acme/shop-api", "docker.io/acme/shop-web"]);
        let left_out: Vec<String> = left_out.iter().map(|(service, why)| format!("{service} {why}")).collect();
        insta::assert_snapshot!(left_out.join("\n"), @r#"
        db uses docker.io/library/postgres, which is not built here
        local has no image: it is built on this host
        fixed names a digest of r.io/x; name a tag in the compose file to deploy it
        broken "A B" cannot be deployed: a repository has components of a-z, 0-9 and single separators `.`, `_`, `__`, `-`, joined by `/`
        "#);
    }
}
