//! Snapshots on disk.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::form::{Form, List};
use crate::deploy::snapshot as core;
use crate::model::{ImageReference, LocalImage, PinnedImage};

#[derive(Serialize, Deserialize)]
#[serde(remote = "core::Snapshot")]
pub(super) struct Snapshot {
    #[serde(with = "List::<Service>")]
    services: Vec<core::Service>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    deployed: Vec<PinnedImage>,
}

#[derive(Serialize, Deserialize)]
struct Service {
    name: String,
    reference: ImageReference,
    pinned: Option<LocalImage>,
    /// What was in service.
    container: Option<Present>,
    /// Written until format 4, of a unit that was in service while nothing was pinned.
    #[serde(default, skip_serializing)]
    active: bool,
}

#[derive(Serialize, Deserialize)]
struct Present {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    image: Option<LocalImage>,
    working: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    ended: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ids: Vec<String>,
}

impl Form<core::Service> for Service {
    fn write<S: Serializer>(value: &core::Service, serializer: S) -> Result<S::Ok, S::Error> {
        Self::from(value.clone()).serialize(serializer)
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<core::Service, D::Error> {
        Self::deserialize(deserializer).map(core::Service::from)
    }
}

impl From<core::Service> for Service {
    fn from(core::Service { name, reference, pinned, before }: core::Service) -> Self {
        let container = match before {
            core::Before::Absent => None,
            core::Before::Present(core::Present { image, works, ended, ids }) => {
                Some(Present { image, working: works, ended, ids })
            }
        };
        Self { name, reference, pinned, container, active: false }
    }
}

impl From<Service> for core::Service {
    fn from(Service { name, reference, pinned, container, active }: Service) -> Self {
        let active = active.then(|| Present { image: None, working: true, ended: false, ids: Vec::new() });
        let before = match container.or(active) {
            None => core::Before::Absent,
            Some(Present { image, working, ended, ids }) => {
                core::Before::Present(core::Present { image, works: working, ended, ids })
            }
        };
        Self { name, reference, pinned, before }
    }
}
