//! Holds images so that no pruning takes the way back.
//!
//! `docker image prune -a` spares only what a container uses, so each kept image gets a container that is never
//! started. `docker container prune` takes that one, and a plain `docker image prune` would then take an image
//! without a tag, so it gets a tag as well. The tag is in the image's own repository and sorts before all others:
//! the engine gives up an image's names one by one in that order until the last that a container uses, and must not
//! begin with the reference that is pinned, nor with the registry's digest.

use std::collections::HashMap;

use bollard::models::{
    ContainerCreateBody, HealthConfig, HostConfig, Mount, MountType, RestartPolicy, RestartPolicyNameEnum,
};
use bollard::query_parameters::{CreateContainerOptions, ListImagesOptions};

use super::containers::{Listed, with_algorithm};
use super::{Engine, ImageFacts, LONG_PATIENCE};
use crate::deploy::plan::Source;
use crate::host::HostError;
use crate::model::{Digest, ImageReference, LocalImage, PinnedImage, ProjectName, Repository};

/// Labels of the containers that hold images: whose they are, and what they hold.
const KEEP: &str = "windlass.keep";
const REPOSITORY: &str = "windlass.repository";
const DIGEST: &str = "windlass.digest";
/// Where images without a repository, built on this host, get their tag. No registry has this name.
const NOWHERE: &str = "0.windlass.local/keep";

impl Engine {
    /// Holds `image` for `project`. Does nothing where it is held already.
    pub(crate) async fn keep(
        &self,
        project: &ProjectName,
        source: &Source,
        image: &ImageFacts,
    ) -> Result<(), HostError> {
        let (repository, tag) = keep_tag(project, source);
        self.tag(&image.id, &repository, &tag).await?;
        self.hold(project, source, image).await
    }

    /// As [`Engine::keep`], for an image that was kept before: with a tag only where it has none left. A pruning that is
    /// under way goes through the names that it saw at first, until one is left; given a new one meanwhile, it would
    /// take the last of them too, and that is the pin.
    pub(crate) async fn keep_on(
        &self,
        project: &ProjectName,
        source: &Source,
        image: &ImageFacts,
    ) -> Result<(), HostError> {
        if image.tags.is_empty() {
            self.keep(project, source, image).await
        } else {
            self.hold(project, source, image).await
        }
    }

    /// Has a container for `image` that is never started.
    async fn hold(&self, project: &ProjectName, source: &Source, image: &ImageFacts) -> Result<(), HostError> {
        let mut labels: HashMap<String, String> = [(KEEP.to_owned(), project.to_string())].into();
        if let Source::Registry(pinned) = source {
            labels.insert(REPOSITORY.to_owned(), pinned.image.repository().to_string());
            labels.insert(DIGEST.to_owned(), pinned.digest.to_string());
        }
        // An image that Compose built carries Compose's labels; its containers must not look like a service's.
        for inherited in ["com.docker.compose.project", "com.docker.compose.service"] {
            labels.insert(inherited.to_owned(), String::new());
        }
        // A volume of the image would be made, and filled, for nothing.
        let tmpfs =
            |target: &String| Mount { target: Some(target.clone()), typ: Some(MountType::TMPFS), ..Mount::default() };
        let body = ContainerCreateBody {
            // An image of its own choice may have no command, and none is ever run.
            cmd: Some(vec!["never-started".to_owned()]),
            image: Some(self.name_of(source, image).await?),
            labels: Some(labels),
            healthcheck: Some(HealthConfig { test: Some(vec!["NONE".to_owned()]), ..HealthConfig::default() }),
            host_config: Some(HostConfig {
                network_mode: Some("none".to_owned()),
                mounts: Some(image.volumes.iter().map(tmpfs).collect()),
                restart_policy: Some(RestartPolicy {
                    name: Some(RestartPolicyNameEnum::NO),
                    ..RestartPolicy::default()
                }),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        };
        let name = container_name(project, source);
        if let Source::Registry(pinned) = source
            && image.digests_in(pinned.image.repository()).count() > 1
        {
            let removed = self.remove_by_name(&name, true).await;
            removed.map_err(|refusal| refusal.during(&format!("keep {source}")))?;
        }
        let options = CreateContainerOptions { name: Some(name), ..CreateContainerOptions::default() };
        let asked = self.ask_patiently(LONG_PATIENCE, |docker| {
            let (options, body) = (options.clone(), body.clone());
            async move { docker.create_container(Some(options), body).await }
        });
        match asked.await {
            Ok(_) => Ok(()),
            // The name says what it holds: it is held already.
            Err(refusal) if refusal.is_name_taken() => Ok(()),
            Err(refusal) => Err(refusal.during(&format!("keep {source}"))),
        }
    }

    /// Lets `reference` mean nothing any more on this host.
    pub(crate) async fn unpin(&self, project: &ProjectName, reference: &ImageReference) -> Result<(), HostError> {
        let Some(image) = self.image(&reference.to_string()).await? else { return Ok(()) };
        // The last name of an image that a container holds cannot be taken from it.
        let source = Source::of(reference, &self.local(&image, reference.repository()).await?);
        let (repository, tag) = keep_tag(project, &source);
        self.tag(&image.id, &repository, &tag).await?;
        self.release_image(&reference.to_string()).await
    }

    /// The name by which a container holds the image best: engines spare the very name that a container was made from.
    async fn name_of(&self, source: &Source, image: &ImageFacts) -> Result<String, HostError> {
        if let Source::Registry(pinned) = source
            && self.image(&pinned.by_digest()).await?.is_some()
        {
            return Ok(pinned.by_digest());
        }
        Ok(image.id.to_string())
    }

    /// The engine's id of `image`, where a container of any project holds it.
    pub(super) async fn kept_image(&self, image: &PinnedImage) -> Result<Option<String>, HostError> {
        let labels = vec![format!("{DIGEST}={}", image.digest), format!("{REPOSITORY}={}", image.image.repository())];
        Ok(self
            .list(labels)
            .await?
            .into_iter()
            .find_map(|container| Some(with_algorithm(container.image_id)).filter(|id| !id.is_empty())))
    }

    /// `image`, for one that asks for `repository`. The engine may have forgotten the digest, or know several: then it is
    /// the one that was held last.
    pub(crate) async fn local(&self, image: &ImageFacts, repository: &Repository) -> Result<LocalImage, HostError> {
        let known: Vec<&Digest> = image.digests_in(repository).collect();
        let digest = match known.as_slice() {
            [only] => Some((*only).clone()),
            known => {
                // The newest comes first.
                let containers = self.list(vec![format!("{REPOSITORY}={repository}")]).await?;
                let held = containers
                    .iter()
                    .filter(|container| with_algorithm(container.image_id.clone()) == image.id.as_str())
                    .find_map(|container| held(container).map(|held| held.digest));
                held.or_else(|| known.first().map(|digest| (*digest).clone()))
            }
        };
        Ok(LocalImage { id: image.id.clone(), digest })
    }

    /// Lets go of what is held for `project` and is not among `keep`, and removes the images that nothing uses.
    pub(crate) async fn let_go(
        &self,
        project: &ProjectName,
        repositories: &[Repository],
        keep: &[PinnedImage],
    ) -> Result<(), HostError> {
        let is_kept = |repository: &Repository, digest: &Digest| {
            keep.iter().any(|image| image.image.repository() == repository && image.digest == *digest)
        };
        for container in self.list(vec![format!("{KEEP}={project}")]).await? {
            let held = held(&container);
            if held.as_ref().is_some_and(|image| is_kept(image.image.repository(), &image.digest)) {
                continue;
            }
            let removed = self.remove_by_name(&container.id, true).await;
            removed.map_err(|refusal| refusal.during("remove a container that held an image"))?;
            if let Some(image) = held {
                self.let_go_of_image(project, &image).await?;
            }
            // An image that was built here has no other home than this host: its tag stays for the operator to prune.
        }
        for (reference, short) in self.keep_tags(project, repositories).await? {
            if !keep
                .iter()
                .any(|image| image.image.repository() == reference.repository() && image.digest.short() == short)
            {
                self.release_image(&reference.to_string()).await?;
            }
        }
        Ok(())
    }

    async fn let_go_of_image(&self, project: &ProjectName, image: &PinnedImage) -> Result<(), HostError> {
        let (repository, tag) = keep_tag(project, &Source::Registry(image.clone()));
        self.release_image(&format!("{repository}:{tag}")).await?;
        // With its last tag the engine forgets the digest too, unless there had been no tag any more.
        match self.image(&image.by_digest()).await? {
            Some(facts) if facts.tags.is_empty() => self.release_image(&image.by_digest()).await,
            _ => Ok(()),
        }
    }

    /// The tags by which images are held for `project`, with the beginning of the digest that each is for.
    async fn keep_tags(
        &self,
        project: &ProjectName,
        repositories: &[Repository],
    ) -> Result<Vec<(ImageReference, String)>, HostError> {
        let prefix = tag_prefix(project);
        let patterns: Vec<String> = repositories.iter().map(|repository| format!("{repository}:{prefix}*")).collect();
        let options = ListImagesOptions {
            filters: Some([("reference".to_owned(), patterns)].into()),
            ..ListImagesOptions::default()
        };
        let asked = self.ask(|docker| {
            let options = options.clone();
            async move { docker.list_images(Some(options)).await }
        });
        let images = asked.await.map_err(|refusal| refusal.during("list the images"))?;
        let of_project = |text: String| {
            let reference = ImageReference::parse_familiar(&text).ok()?;
            // What follows is the beginning of a digest, else it is another project's whose name begins like this one's.
            let short = reference.tag()?.strip_prefix(&prefix)?.to_owned();
            let ours = short.len() == 12 && repositories.contains(reference.repository());
            ours.then_some((reference, short))
        };
        Ok(images.into_iter().flat_map(|image| image.repo_tags).filter_map(of_project).collect())
    }
}

/// What a container of ours holds, where that came from a registry.
fn held(container: &Listed) -> Option<PinnedImage> {
    let labels = container.labels.as_ref()?;
    let image = ImageReference::parse_familiar(labels.get(REPOSITORY)?).ok()?;
    Some(image.pinned(labels.get(DIGEST)?.parse().ok()?))
}

/// `-` comes before every other character that a tag may go on with, and `0` before all that it may begin with.
fn tag_prefix(project: &ProjectName) -> String {
    format!("0--windlass-keep-{project}-")
}

/// Repository and tag by which `source` is held.
fn keep_tag(project: &ProjectName, source: &Source) -> (String, String) {
    match source {
        Source::Registry(image) => {
            (image.image.repository().to_string(), format!("{}{}", tag_prefix(project), image.digest.short()))
        }
        Source::Local(id) => (NOWHERE.to_owned(), format!("{project}-{}", id.short())),
    }
}

fn container_name(project: &ProjectName, source: &Source) -> String {
    match source {
        Source::Registry(image) => {
            // The same content may be in two repositories.
            let repository = Digest::of(image.image.repository().to_string().as_bytes());
            let repository = repository.encoded().get(..6).unwrap_or_default().to_owned();
            format!("windlass-keep-{project}-{}-{repository}", image.digest.short())
        }
        Source::Local(id) => format!("windlass-keep-{project}-{}", id.short()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_sorts_before_every_other_and_the_container_says_what_it_holds() {
        let project: ProjectName = "shop".parse().unwrap();
        let image: ImageReference = "ghcr.io/acme/api:main".parse().unwrap();
        let digest = Digest::of(b"x");
        let source = Source::Registry(image.clone().pinned(digest.clone()));
        let (repository, tag) = keep_tag(&project, &source);
        assert_eq!(repository, "ghcr.io/acme/api");
        let name = format!("{repository}:{tag}");
        assert_eq!(name.parse::<ImageReference>().unwrap().tag(), Some(tag.as_str()));
        for other in ["0.1", "0-1", "00", "_x", "A", "latest", "v1"] {
            assert!(name < format!("{repository}:{other}"), "{other}");
        }
        assert!(name < format!("{repository}@{digest}"));
        assert!(container_name(&project, &source).starts_with(&format!("windlass-keep-shop-{}-", digest.short())));

        let labels = [(REPOSITORY.to_owned(), repository), (DIGEST.to_owned(), digest.to_string())];
        let container = Listed { labels: Some(labels.into()), ..Listed::default() };
        let held = held(&container).unwrap();
        assert_eq!((held.image.repository(), held.digest), (image.repository(), digest));
    }
}
