//! What a target says of how it takes a release: it decides which steps a plan has.

use super::spec::{ProjectSpec, Target};

/// How a project takes a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rollout {
    /// Who has the images.
    pub images: Images,
    /// How what is to run is named.
    pub names: Names,
    /// Whether the project has a command that comes before anything is touched.
    pub before: bool,
}

/// Who has the images of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Images {
    /// This host's engine: windlass pulls them and keeps them.
    OnHost,
    /// The target's own hosts, which pull by themselves.
    Elsewhere,
}

/// How a target names what it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// By a reference that has a meaning on this host, and is pinned before the release is applied.
    Tag,
    /// By a field of its own, such as the image of a pod: it is set when the release is applied.
    Field,
}

impl Rollout {
    /// How the project of `spec` takes a release.
    #[must_use]
    pub const fn of(spec: &ProjectSpec) -> Self {
        let before = spec.lifecycle.before.is_some();
        match spec.target {
            Target::Compose(_) | Target::Systemd(_) | Target::Command(_) => {
                Self { images: Images::OnHost, names: Names::Tag, before }
            }
        }
    }
}
