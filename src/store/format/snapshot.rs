//! Snapshots on disk.

use serde::{Deserialize, Serialize};

use super::form::{List, Maybe, forms};
use crate::deploy::snapshot as core;
use crate::model::{ImageReference, LocalImage};

forms! {
    Service of core::Service,
    Container of core::Container,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "core::Snapshot")]
pub(super) struct Snapshot {
    #[serde(with = "List::<Service>")]
    services: Vec<core::Service>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "core::Service")]
struct Service {
    name: String,
    reference: ImageReference,
    pinned: Option<LocalImage>,
    #[serde(with = "Maybe::<Container>")]
    container: Option<core::Container>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    active: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "core::Container")]
struct Container {
    image: LocalImage,
    working: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    ended: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ids: Vec<String>,
}
