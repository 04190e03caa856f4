//! What ran before, taken before the first step that touches anything: the way back.

use crate::model::{ImageReference, LocalImage, PinnedImage};

/// The services that a release will move, as they were.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// In the order in which the target names them.
    pub services: Vec<Service>,
}

/// One service whose image is of a released repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its name in the target.
    pub name: String,
    /// The reference that the target names for it, in full: where the pin goes.
    pub reference: ImageReference,
    /// What that reference meant on this host: what a reboot would have started.
    pub pinned: Option<LocalImage>,
    /// The container that was there, if any.
    pub container: Option<Container>,
    /// Whether it was in service although nobody can say from which image: a unit that ran something else.
    pub active: bool,
}

/// A service's container as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// What it was made from.
    pub image: LocalImage,
    /// Whether it did its work: running and not unhealthy, or exited with 0.
    pub working: bool,
    /// Whether that was that it had ended: a job, which does not run any longer.
    pub ended: bool,
    /// The engine's ids of all containers of the service, in order. None where it is a unit or a program.
    pub ids: Vec<String>,
}

/// What one part of a project is right now, read from the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// The container's or unit's name.
    pub name: String,
    /// The service it belongs to.
    pub service: String,
    /// The reference that it was started from.
    pub image: String,
    /// The registry's digest of what it was started from, or the engine's image id where it has none.
    pub digest: String,
    /// `running`, `healthy`, `unhealthy`, `starting`, `restarting`, `exited (0)`, …
    pub state: String,
    /// The same for programs.
    pub condition: Condition,
    /// Whether its reference still means what it was started from; nothing where nobody can say so.
    pub pinned: Option<bool>,
}

/// Whether one part of a project does its work.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Condition {
    /// It does, or has done what it had to.
    Working,
    /// It is coming up, and may not do its work yet.
    Starting,
    /// It does not.
    Broken,
    /// Nobody can say.
    #[default]
    Unknown,
}

impl Snapshot {
    /// The release that ran before, as far as its images came from a registry; each image once.
    #[must_use]
    pub fn previous(&self) -> Vec<PinnedImage> {
        let mut previous: Vec<PinnedImage> = Vec::new();
        for service in &self.services {
            let Some(digest) = service.container.as_ref().and_then(|container| container.image.digest.clone()) else {
                continue;
            };
            let image = service.reference.clone().pinned(digest);
            if !previous.contains(&image) {
                previous.push(image);
            }
        }
        previous
    }
}
