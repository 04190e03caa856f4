//! What ran before, taken before the first step that touches anything: the way back.

use crate::model::{ImageReference, LocalImage, PinnedImage};

/// The services that a release will move, as they were.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// In the order in which the target names them.
    pub services: Vec<Service>,
    /// The images among them that windlass has deployed, by the names by which it did: on the host they have only those
    /// that the target gives them.
    pub deployed: Vec<PinnedImage>,
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
    /// Whether it was in service, and how.
    pub before: Before,
}

/// What there was of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Before {
    /// Nothing: it was not in service.
    Absent,
    /// It was in service.
    Present(Present),
}

/// A service that was in service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Present {
    /// What it was made from. Nothing where only what is pinned can be known: of a unit or a program.
    pub image: Option<LocalImage>,
    /// Whether it did its work: running and not unhealthy, or exited with 0.
    pub works: bool,
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
    /// What the machine says of these services.
    #[must_use]
    pub const fn of(services: Vec<Service>) -> Self {
        Self { services, deployed: Vec::new() }
    }

    /// [`Snapshot::previous`], each image by the name by which it was deployed, where it was.
    #[must_use]
    pub fn ran(&self) -> Vec<PinnedImage> {
        let name =
            |image: PinnedImage| self.deployed.iter().find(|known| known.is_same(&image)).cloned().unwrap_or(image);
        self.previous().into_iter().map(name).collect()
    }

    /// The release that ran before, as far as its images came from a registry; each image once.
    #[must_use]
    pub fn previous(&self) -> Vec<PinnedImage> {
        let mut previous: Vec<PinnedImage> = Vec::new();
        for service in self.services.iter().filter(|service| service.before != Before::Absent) {
            let Some(digest) = service.image().and_then(|image| image.digest.clone()) else { continue };
            let image = service.reference.clone().pinned(digest);
            if !previous.contains(&image) {
                previous.push(image);
            }
        }
        previous
    }
}

impl Service {
    /// What it was made from, as far as that is known, else what was pinned.
    #[must_use]
    pub fn image(&self) -> Option<&LocalImage> {
        self.before.present().and_then(|present| present.image.as_ref()).or(self.pinned.as_ref())
    }
}

impl Before {
    /// What was in service.
    #[must_use]
    pub const fn present(&self) -> Option<&Present> {
        match self {
            Self::Absent => None,
            Self::Present(present) => Some(present),
        }
    }
}
