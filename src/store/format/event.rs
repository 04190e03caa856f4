//! Events on disk.

use serde::{Deserialize, Serialize};

use super::form::{List, Maybe, forms};
use super::{plan, snapshot, target};
use crate::deploy::event as core;
use crate::deploy::plan::Plan;
use crate::deploy::snapshot::Snapshot;
use crate::deploy::spec::Target;
use crate::model::{DeliveryId, DeploymentId, ImageReference, KeyId, PinnedImage, Timestamp};

forms! {
    Event of core::Event,
    Rollback of core::Rollback,
    Evidence of core::Evidence,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "core::Event", tag = "event", rename_all = "snake_case")]
pub(super) enum Event {
    Queued {
        #[serde(with = "Wanted")]
        wanted: core::Wanted,
        #[serde(with = "RequestedBy")]
        requested_by: core::RequestedBy,
        #[serde(with = "Maybe::<Rollback>", default, skip_serializing_if = "Option::is_none")]
        rollback: Option<core::Rollback>,
    },
    Started,
    Resolved {
        images: Vec<PinnedImage>,
    },
    Planned {
        #[serde(with = "snapshot::Snapshot")]
        snapshot: Snapshot,
        #[serde(with = "plan::Plan")]
        plan: Plan,
        #[serde(with = "Maybe::<target::Target>", default, skip_serializing_if = "Option::is_none")]
        target: Option<Target>,
    },
    StepStarted {
        step: usize,
    },
    Progress {
        step: usize,
        #[serde(with = "Transfer")]
        transfer: core::Transfer,
    },
    Said {
        step: usize,
        line: String,
    },
    StepFinished {
        step: usize,
    },
    StepFailed {
        step: usize,
        reason: String,
        #[serde(with = "List::<Evidence>")]
        evidence: Vec<core::Evidence>,
    },
    RollingBack {
        #[serde(with = "Cause")]
        cause: core::Cause,
        #[serde(with = "plan::Plan")]
        plan: Plan,
    },
    Resumed,
    Noted {
        text: String,
    },
    Finished {
        #[serde(with = "Outcome")]
        outcome: core::Outcome,
        reason: Option<String>,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "core::Wanted", rename_all = "snake_case")]
pub(super) enum Wanted {
    Images(Vec<ImageReference>),
    Release(Vec<PinnedImage>),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "core::Rollback")]
pub(super) struct Rollback {
    from: Vec<PinnedImage>,
    to: DeploymentId,
    deployed_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "core::RequestedBy")]
pub(super) struct RequestedBy {
    key: Option<KeyId>,
    delivery: Option<DeliveryId>,
    commit: Option<String>,
    #[serde(rename = "ref")]
    git_ref: Option<String>,
    actor: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    on_behalf_of: Option<String>,
    run_url: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "core::Transfer")]
struct Transfer {
    layers_done: u32,
    layers: u32,
    bytes_done: u64,
    bytes: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "core::Evidence")]
struct Evidence {
    #[serde(rename = "container")]
    name: String,
    state: String,
    log: Vec<String>,
    health: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "core::Cause", rename_all = "snake_case")]
pub(super) enum Cause {
    Failed(String),
    Cancelled(String),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "core::Outcome", rename_all = "snake_case")]
pub(super) enum Outcome {
    Succeeded,
    Abandoned,
    RolledBack,
    RollbackFailed,
    Superseded,
    Cancelled,
}
