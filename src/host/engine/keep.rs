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

use super::client::{Engine, LONG_PATIENCE};
use super::containers::{Listed, with_algorithm};
use super::images::ImageFacts;
use super::labels::COMPOSE;
use super::refusal::Refusal;
use crate::deploy::plan::Source;
use crate::host::{HostError, Reporter};
use crate::model::{Digest, ImageReference, PinnedImage, ProjectName, Repository};

/// Labels of the containers that hold images: whose they are, and what they hold.
const OURS: &str = "windlass.";
const KEEP: &str = "windlass.keep";
const REPOSITORY: &str = "windlass.repository";
const DIGEST: &str = "windlass.digest";
/// Where images without a repository, built on this host, get their tag. No registry has this name.
const NOWHERE: &str = "0.windlass.local/keep";

impl Engine {
    /// Holds `image` for `project`. Does nothing where it is held already.
    pub(in crate::host) async fn keep(
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
    pub(in crate::host) async fn keep_on(
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
        // These tell people what it is for; nothing that windlass does depends on them.
        let mut labels: HashMap<String, String> = [(KEEP.to_owned(), project.to_string())].into();
        if let Source::Registry(pinned) = source {
            labels.insert(REPOSITORY.to_owned(), pinned.image.repository().to_string());
            labels.insert(DIGEST.to_owned(), pinned.digest.to_string());
            self.note(pinned, image).await?;
        }
        // What the image's author wrote must not make it look like a service's container, or like another project's.
        for inherited in image.labels.keys().filter(|label| label.starts_with(COMPOSE) || label.starts_with(OURS)) {
            labels.entry(inherited.clone()).or_default();
        }
        // A volume of the image would be made, and filled, for nothing.
        let tmpfs =
            |target: &String| Mount { target: Some(target.clone()), typ: Some(MountType::TMPFS), ..Mount::default() };
        let body = ContainerCreateBody {
            // An image of its own choice may have no command, and its own must not run even if somebody starts this.
            entrypoint: Some(vec!["never-started".to_owned()]),
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
        let options = CreateContainerOptions { name: Some(name.clone()), ..CreateContainerOptions::default() };
        let asked = self.ask_patiently(LONG_PATIENCE, |docker| {
            let (options, body) = (options.clone(), body.clone());
            async move { docker.create_container(Some(options), body).await }
        });
        match asked.await {
            Ok(_) => Ok(()),
            Err(refusal) if refusal.is_name_taken() => self.is_held_by(&name, source).await,
            Err(refusal) => Err(refusal.during(&format!("keep {source}"))),
        }
    }

    /// Whether the container `name` holds `source`, as it does when this was done before.
    async fn is_held_by(&self, name: &str, source: &Source) -> Result<(), HostError> {
        match self.container(name).await? {
            Some(container) if !self.is(&container.image_id, source).await? => Err(HostError::failed(
                format!("failed to keep {source}"),
                format!("the container {name} is of another image: remove or rename it"),
            )),
            // Where it is gone by now it was let go of.
            _ => Ok(()),
        }
    }

    /// Lets `reference` mean nothing any more on this host.
    pub(in crate::host) async fn unpin(
        &self,
        project: &ProjectName,
        reference: &ImageReference,
    ) -> Result<(), HostError> {
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

    /// Lets go of what is held for `project` and is not among `keep`, and removes the images that nothing uses.
    pub(in crate::host) async fn let_go(
        &self,
        project: &ProjectName,
        repositories: &[Repository],
        keep: &[PinnedImage],
        reporter: &Reporter,
    ) -> Result<(), HostError> {
        let kept: Vec<String> =
            keep.iter().map(|image| container_name(project, &Source::Registry(image.clone()))).collect();
        for keeper in self.keepers(project).await? {
            if kept.contains(&keeper.name) {
                continue;
            }
            let Keeper { name, .. } = &keeper;
            match self.held_by(project, &keeper).await? {
                Some(source) if keeper.is_unused => self.dismiss(project, &keeper, &source, reporter).await?,
                Some(_) => reporter.say(&format!("{name} stays: it has been started, and what it does is not known")),
                None => reporter.say(&format!("{name} stays: it is not known to hold an image for {project}")),
            }
        }
        for (reference, short) in self.keep_tags(project, repositories).await? {
            if !keep
                .iter()
                .any(|image| image.image.repository() == reference.repository() && image.digest.short() == short)
            {
                self.release_image(&reference.to_string()).await?;
                reporter.say(&format!("released {reference}"));
            }
        }
        Ok(())
    }

    /// The containers that are called as those are which hold images for `project`.
    async fn keepers(&self, project: &ProjectName) -> Result<Vec<Keeper>, HostError> {
        let prefix = name_prefix(project);
        let listed = self.list(&[("name", &[format!("^/?{prefix}")])]).await?;
        let keeper = |listed: Listed| {
            let mut names = listed.names.iter().map(|name| name.trim_start_matches('/'));
            let name = names.find(|name| name.strip_prefix(&prefix).is_some_and(is_of_a_keeper))?;
            let is_unused = listed.state == "created";
            Some(Keeper { name: name.to_owned(), id: listed.id, image_id: with_algorithm(listed.image_id), is_unused })
        };
        Ok(listed.into_iter().filter_map(keeper).collect())
    }

    /// What a container holds for `project`, if its name is the one that such a container has. Its image is what the
    /// engine and the record say, whatever the container says.
    async fn held_by(&self, project: &ProjectName, keeper: &Keeper) -> Result<Option<Source>, HostError> {
        let Ok(id) = keeper.image_id.parse::<Digest>() else { return Ok(None) };
        let mut names = self.record.names_of(&id).await?;
        names.extend(self.image(id.as_str()).await?.map(|image| image.digests).unwrap_or_default());
        let pinned = names.into_iter().map(|(repository, digest)| Source::Registry(repository.latest().pinned(digest)));
        Ok(pinned.chain([Source::Local(id)]).find(|source| container_name(project, source) == keeper.name))
    }

    /// Removes a container that was never started, and what it held.
    async fn dismiss(
        &self,
        project: &ProjectName,
        keeper: &Keeper,
        source: &Source,
        reporter: &Reporter,
    ) -> Result<(), HostError> {
        // Without force the engine itself refuses to remove what runs by now.
        let asked = self.ask(|docker| async move { docker.remove_container(&keeper.id, None).await });
        match asked.await {
            Ok(()) => reporter.say(&format!("released {source}: removed the container {}", keeper.name)),
            Err(Refusal::Status(404, _)) => {}
            Err(refusal) => return Err(refusal.during(&format!("remove the container {}", keeper.name))),
        }
        // An image that was built here has no other home than this host: its tag stays for the operator to prune.
        let Source::Registry(image) = source else { return Ok(()) };
        let (repository, tag) = keep_tag(project, source);
        self.release_image(&format!("{repository}:{tag}")).await?;
        // With its last tag the engine forgets the digest too, unless there had been no tag any more.
        match self.image(&image.by_digest()).await? {
            Some(facts) if facts.tags.is_empty() && facts.is(image.image.repository(), &image.digest) => {
                self.release_image(&image.by_digest()).await
            }
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

/// A container that is called as if it held an image.
struct Keeper {
    name: String,
    id: String,
    image_id: String,
    /// It was never started.
    is_unused: bool,
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

fn name_prefix(project: &ProjectName) -> String {
    format!("windlass-keep-{project}-")
}

/// Whether a container's name goes on, after its project's prefix, as [`container_name`] does: a project may be called
/// as another one is and more.
fn is_of_a_keeper(rest: &str) -> bool {
    let is_hex = |part: &str, length| part.len() == length && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    match rest.split_once('-') {
        Some((digest, repository)) => is_hex(digest, 12) && is_hex(repository, 6),
        None => is_hex(rest, 12),
    }
}

/// A name that only a container of this image for this project has. Who gives containers names is who rules the engine.
fn container_name(project: &ProjectName, source: &Source) -> String {
    let prefix = name_prefix(project);
    match source {
        Source::Registry(image) => {
            // The same content may be in two repositories.
            let repository = Digest::of(image.image.repository().to_string().as_bytes());
            let repository = repository.encoded().get(..6).unwrap_or_default().to_owned();
            format!("{prefix}{}-{repository}", image.digest.short())
        }
        Source::Local(id) => format!("{prefix}{}", id.short()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_sorts_before_every_other_and_the_name_says_what_the_container_holds() {
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
        let name = container_name(&project, &source);
        assert!(name.starts_with(&format!("windlass-keep-shop-{}-", digest.short())), "{name}");
        let elsewhere: ImageReference = "ghcr.io/acme/copy:main".parse().unwrap();
        for source in [source, Source::Local(digest.clone())] {
            let rest = container_name(&project, &source);
            assert!(is_of_a_keeper(rest.strip_prefix(&name_prefix(&project)).unwrap()), "{rest}");
            let longer = container_name(&"shop-0123456789ab".parse().unwrap(), &source);
            assert!(!is_of_a_keeper(longer.strip_prefix(&name_prefix(&project)).unwrap()), "{longer}");
        }
        assert_ne!(container_name(&project, &Source::Registry(elsewhere.pinned(digest))), name);
    }
}
