//! What was asked for, by whom, and from where to where.

use serde::{Deserialize, Serialize};

use crate::deploy::event;
use crate::deploy::snapshot::{Before, Snapshot};
use crate::model::{DeliveryId, DeploymentId, Digest, ImageReference, KeyId, PinnedImage, Timestamp};

/// An image, and its digest once that is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageView {
    /// As it was named.
    pub image: ImageReference,
    /// What it is.
    pub digest: Option<Digest>,
}

/// A rollback by command: what it goes back from, and to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollback {
    /// What ran when it was asked for, of the repositories that it moves; nothing where nothing ran, or nobody knows.
    pub from: Vec<ImageView>,
    /// The deployment whose release shall run again.
    pub to: DeploymentId,
    /// When that one ended.
    pub deployed_at: Timestamp,
}

/// Who asked for a deployment, and what they said about it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestedBy {
    /// The key that signed; nothing for an operator on the host.
    pub key: Option<KeyId>,
    /// The delivery's id.
    pub delivery: Option<DeliveryId>,
    /// The commit that was built.
    pub commit: Option<String>,
    /// The git reference that was built.
    #[serde(rename = "ref")]
    pub git_ref: Option<String>,
    /// The user that the system knows at the other end of the operators' socket; with a key, whom the sender names.
    pub actor: Option<String>,
    /// Whom an operator names besides. Nobody has looked whether it is true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<String>,
    /// Where the build can be looked at.
    pub run_url: Option<String>,
}

impl ImageView {
    /// What shall be put into service; without digests until it is resolved.
    #[must_use]
    pub fn wanted(wanted: &event::Wanted) -> Vec<Self> {
        match wanted {
            event::Wanted::Release(release) => Self::release(release),
            event::Wanted::Images(images) => {
                images.iter().map(|image| Self { image: image.clone(), digest: image.digest().cloned() }).collect()
            }
        }
    }

    /// What was in service: each image by the name by which it was deployed, and without a digest what came from no
    /// registry.
    #[must_use]
    pub fn previous(snapshot: &Snapshot) -> Vec<Self> {
        let mut previous = Self::release(&snapshot.ran());
        for service in snapshot.services.iter().filter(|service| service.before != Before::Absent) {
            let has_digest = service.image().is_some_and(|image| image.digest.is_some());
            let view = Self { image: service.reference.clone(), digest: None };
            if !has_digest && !previous.contains(&view) {
                previous.push(view);
            }
        }
        previous
    }

    /// Images with their digests.
    #[must_use]
    pub fn release(images: &[PinnedImage]) -> Vec<Self> {
        images.iter().map(Self::from).collect()
    }
}

impl From<&PinnedImage> for ImageView {
    fn from(image: &PinnedImage) -> Self {
        Self { image: image.image.clone(), digest: Some(image.digest.clone()) }
    }
}

impl ImageView {
    /// As people call it, without registry and path: `shop-api:v2 (11507a0e2f5e)`.
    #[must_use]
    pub fn short(&self) -> String {
        match &self.digest {
            Some(digest) if self.image.tag().is_some() => format!("{} ({})", self.image.short(), digest.short()),
            Some(digest) => self.image.clone().with_digest(digest.clone()).short(),
            None => self.image.short(),
        }
    }
}

impl std::fmt::Display for ImageView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.digest {
            Some(digest) => self.image.clone().pinned(digest.clone()).fmt(f),
            None => self.image.fmt(f),
        }
    }
}

impl Rollback {
    /// `back from v2 to v1 (deployed 2026-11-20T12:00:00.000Z)`, where `images` are what shall run again.
    #[must_use]
    pub fn in_words(&self, images: &[ImageView]) -> String {
        let tag = |image: &ImageView| image.image.tag().map(str::to_owned);
        let in_full = |images: &[ImageView]| images.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let (from, to) = match (self.from.as_slice(), images) {
            ([], [to]) => (None, tag(to).unwrap_or_else(|| to.to_string())),
            ([], several) => (None, in_full(several)),
            ([from], [to]) if tag(from).is_some() && tag(to).is_some() && tag(from) != tag(to) => {
                (tag(from), tag(to).unwrap_or_default())
            }
            (from, to) => (Some(in_full(from)), in_full(to)),
        };
        let from = from.map_or_else(String::new, |from| format!(" from {from}"));
        format!("back{from} to {to} (deployed {})", self.deployed_at)
    }
}

impl From<&event::Rollback> for Rollback {
    fn from(rollback: &event::Rollback) -> Self {
        let event::Rollback { from, to, deployed_at } = rollback;
        Self { from: ImageView::release(from), to: to.clone(), deployed_at: *deployed_at }
    }
}

impl From<&event::RequestedBy> for RequestedBy {
    fn from(requested_by: &event::RequestedBy) -> Self {
        let event::RequestedBy { key, delivery, commit, git_ref, actor, on_behalf_of, run_url } = requested_by.clone();
        Self { key, delivery, commit, git_ref, actor, on_behalf_of, run_url }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(text: &str) -> ImageView {
        let image: ImageReference = format!("r.io/{text}").parse().unwrap();
        ImageView { image, digest: Some(Digest::of(text.as_bytes())) }
    }

    #[test]
    fn releases_are_told_by_their_tags_where_these_differ_and_in_full_where_they_do_not() {
        let told = |from: &[ImageView], images: &[ImageView]| {
            let to = "01jd5zk0000000000000000000".parse().unwrap();
            let rollback = Rollback { from: from.to_vec(), to, deployed_at: Timestamp::from_millis(0) };
            let words = rollback.in_words(images);
            words.strip_suffix(" (deployed 1970-01-01T00:00:00.000Z)").unwrap().to_owned()
        };
        let (v1, v2) = ([image("web:v1")], [image("web:v2")]);
        assert_eq!(told(&v2, &v1), "back from v2 to v1");
        assert_eq!(told(&[], &v1), "back to v1");
        let other = [ImageView { digest: v2[0].digest.clone(), ..v1[0].clone() }];
        assert_eq!(told(&other, &v1), format!("back from {} to {}", other[0], v1[0]));
        let both = [image("api:v1"), image("web:v1")];
        assert_eq!(told(&v2, &both), format!("back from {} to {}, {}", v2[0], both[0], both[1]));
    }
}
