//! Images on this host: what they are, what they are called, and letting go of them.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use bollard::models::ImageInspect;
use bollard::query_parameters::{RemoveImageOptions, TagImageOptions};

use super::client::Engine;
use super::refusal::Refusal;
use crate::deploy::plan::Source;
use crate::host::HostError;
use crate::model::{Digest, ImageReference, LocalImage, PinnedImage, Repository};

/// Removing layers may take a while on a busy disk.
const REMOVAL: Duration = Duration::from_secs(110);

/// What the engine says about one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::host) struct ImageFacts {
    pub(in crate::host) id: Digest,
    /// The registries' digests for it. One repository may know it under several.
    pub(in crate::host) digests: Vec<(Repository, Digest)>,
    /// What it is called on this host.
    pub(in crate::host) tags: Vec<String>,
    /// What it runs on: `linux` and `amd64`, where the engine says so.
    pub(in crate::host) platform: (String, String),
    /// Paths for which a container of it gets a volume.
    pub(in crate::host) volumes: Vec<String>,
    /// What its author wrote on it: every container of it inherits these.
    pub(in crate::host) labels: HashMap<String, String>,
}

impl ImageFacts {
    /// Under which digests `repository` knows this image: as itself, and as part of each index it was pulled by.
    pub(super) fn digests_in(&self, repository: &Repository) -> impl Iterator<Item = &Digest> {
        self.digests.iter().filter(move |(known, _)| known == repository).map(|(_, digest)| digest)
    }

    /// Whether `digest` of `repository` is this image.
    pub(in crate::host) fn is(&self, repository: &Repository, digest: &Digest) -> bool {
        self.digests.iter().any(|(known, its)| known == repository && its == digest)
    }

    fn read(answer: ImageInspect) -> Result<Self, Refusal> {
        let id = answer.id.unwrap_or_default();
        let id = id.parse().map_err(|_| Refusal::Odd(format!("{id:?} is not the id of an image")))?;
        let digests = answer.repo_digests.unwrap_or_default();
        let (volumes, labels) = answer.config.map(|config| (config.volumes, config.labels)).unwrap_or_default();
        Ok(Self {
            id,
            digests: digests.iter().filter_map(|text| parse_digest(text)).collect(),
            platform: (answer.os.unwrap_or_default(), answer.architecture.unwrap_or_default()),
            tags: answer.repo_tags.unwrap_or_default(),
            volumes: volumes.unwrap_or_default(),
            labels: labels.unwrap_or_default(),
        })
    }
}

/// Reads `repository@digest`, as an engine writes it.
fn parse_digest(text: &str) -> Option<(Repository, Digest)> {
    let reference = ImageReference::parse_familiar(text).ok()?;
    Some((reference.repository().clone(), reference.digest()?.clone()))
}

impl Engine {
    /// Where the engine keeps its images on its own host.
    pub(in crate::host) async fn data_root(&self) -> Option<PathBuf> {
        #[derive(serde::Deserialize)]
        struct Info {
            #[serde(rename = "DockerRootDir")]
            root: PathBuf,
        }
        self.get::<Info>("/info").await.ok().map(|info| info.root)
    }

    /// The image that `name` (a reference or an id) means on this host.
    pub(in crate::host) async fn image(&self, name: &str) -> Result<Option<ImageFacts>, HostError> {
        let answer = match self.ask(|docker| async move { docker.inspect_image(name).await }).await {
            Err(refusal) if refusal.is_absence() => return Ok(None),
            answer => answer.and_then(ImageFacts::read),
        };
        answer.map(Some).map_err(|refusal| refusal.during(&format!("look at the image {name}")))
    }

    /// The image that `source` names, if it is on this host.
    pub(in crate::host) async fn image_of(&self, source: &Source) -> Result<Option<ImageFacts>, HostError> {
        match source {
            Source::Local(id) => self.image(id.as_str()).await,
            Source::Registry(pinned) => match self.image(&pinned.by_digest()).await? {
                // Podman finds what has this digest in any repository, and one is not another.
                Some(image) if image.is(pinned.image.repository(), &pinned.digest) => Ok(Some(image)),
                // The engine forgets a registry's digest with the last tag of its repository, and still has the image.
                _ => match self.record.recall(pinned.image.repository(), &pinned.digest).await? {
                    Some(id) => self.image(id.as_str()).await,
                    None => Ok(None),
                },
            },
        }
    }

    /// Whether the image `id` is what `source` names.
    pub(in crate::host) async fn is(&self, id: &str, source: &Source) -> Result<bool, HostError> {
        let named = match source {
            Source::Local(named) => named,
            // With the containerd image store an image's id is the registry's digest.
            Source::Registry(pinned) => &pinned.digest,
        };
        if named.as_str() == id || self.image_of(source).await?.is_some_and(|image| image.id.as_str() == id) {
            return Ok(true);
        }
        match source {
            Source::Local(_) => Ok(false),
            Source::Registry(pinned) => {
                let image = self.image(id).await?;
                Ok(image.is_some_and(|image| image.is(pinned.image.repository(), &pinned.digest)))
            }
        }
    }

    /// Writes down that `image` is `pinned`, which [`Engine::image_of`] has found.
    pub(in crate::host) async fn note(&self, pinned: &PinnedImage, image: &ImageFacts) -> Result<(), HostError> {
        let (repository, digest) = (pinned.image.repository(), &pinned.digest);
        let noted = self.record.names_of(&image.id).await?;
        if noted.first().is_some_and(|(its, newest)| its == repository && newest == digest) {
            return Ok(());
        }
        self.record.note(repository, digest, &image.id).await
    }

    /// `image`, for one that asks for `repository`. The engine may have forgotten the digest, or know several: then it is
    /// the one that was noted last.
    pub(in crate::host) async fn local(
        &self,
        image: &ImageFacts,
        repository: &Repository,
    ) -> Result<LocalImage, HostError> {
        let known: Vec<&Digest> = image.digests_in(repository).collect();
        let digest = match known.as_slice() {
            [only] => Some((*only).clone()),
            known => {
                let mut noted = self.record.names_of(&image.id).await?.into_iter();
                let newest = noted.find(|(its, _)| its == repository).map(|(_, digest)| digest);
                newest.or_else(|| known.first().map(|digest| (*digest).clone()))
            }
        };
        Ok(LocalImage { id: image.id.clone(), digest })
    }

    /// Lets `reference` mean the image `id` on this host.
    pub(in crate::host) async fn tag(&self, id: &Digest, repository: &str, tag: &str) -> Result<(), HostError> {
        let options = TagImageOptions { repo: Some(repository.to_owned()), tag: Some(tag.to_owned()) };
        let asked = self.ask(|docker| {
            let options = options.clone();
            async move { docker.tag_image(id.as_str(), Some(options)).await }
        });
        asked.await.map_err(|refusal| refusal.during(&format!("tag {repository}:{tag}")))
    }

    /// Takes one name from an image, and removes the image with its last name, unless something uses it.
    pub(in crate::host) async fn release_image(&self, name: &str) -> Result<(), HostError> {
        let asked = self.ask_patiently(REMOVAL, |docker| async move {
            docker.remove_image(name, None::<RemoveImageOptions>, None).await
        });
        match asked.await {
            Ok(_) => Ok(()),
            // It is gone already, or something uses it.
            Err(Refusal::Status(404 | 409, _)) => Ok(()),
            Err(refusal) => Err(refusal.during(&format!("remove the image {name}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_the_one_of_the_repository_that_is_asked_for() {
        let (one, two) = (Digest::of(b"1"), Digest::of(b"2"));
        let answer = ImageInspect {
            id: Some(Digest::of(b"id").to_string()),
            repo_digests: Some(vec![format!("nginx@{one}"), format!("127.0.0.1:5000/nginx@{two}"), "?".to_owned()]),
            ..ImageInspect::default()
        };
        let image = ImageFacts::read(answer).unwrap();
        let hub = "docker.io/library/nginx".parse().unwrap();
        let other = "ghcr.io/acme/nginx".parse().unwrap();
        assert_eq!(image.digests_in(&hub).collect::<Vec<_>>(), [&one]);
        assert_eq!(image.digests_in(&other).count(), 0);
        assert!(image.is(&hub, &one) && !image.is(&hub, &two) && !image.is(&other, &one));
    }
}
