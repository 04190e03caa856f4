//! On disk, what happens besides deployments.

use serde::{Deserialize, Serialize};

use super::form::forms;
use crate::deploy::gate;
use crate::deploy::incident as core;
use crate::model::{DeliveryId, Timestamp};

forms! {
    ProjectEvent of core::ProjectEvent,
    HostEvent of core::HostEvent,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "core::ProjectEvent", tag = "event", rename_all = "snake_case")]
pub(super) enum ProjectEvent {
    Frozen(#[serde(with = "Freeze")] gate::Freeze),
    Unfrozen { by: String },
    Refused { by: String, delivery: Option<DeliveryId>, problem: String, reason: String },
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "gate::Freeze")]
struct Freeze {
    reason: Option<String>,
    by: String,
    since: Timestamp,
    until: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "core::HostEvent", tag = "event", rename_all = "snake_case")]
pub(super) enum HostEvent {
    Started { version: String },
}
