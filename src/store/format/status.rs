//! Statuses on disk: what follows from a journal, so that it need not be read for each question.

use serde::{Deserialize, Serialize};

use super::form::{Maybe, forms};
use super::{event, plan, snapshot, target};
use crate::deploy::event::{Cause, Outcome, RequestedBy, Rollback, Wanted};
use crate::deploy::plan::Plan;
use crate::deploy::snapshot::Snapshot;
use crate::deploy::spec::Target;
use crate::deploy::status as core;
use crate::model::PinnedImage;

forms! {
    Status of core::Status,
    Course of core::Course,
    Back of core::Back,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "core::Status")]
pub(super) struct Status {
    #[serde(with = "State")]
    state: core::State,
    #[serde(with = "event::Wanted")]
    wanted: Wanted,
    #[serde(with = "event::RequestedBy")]
    requested_by: RequestedBy,
    #[serde(with = "Maybe::<event::Rollback>", default, skip_serializing_if = "Option::is_none")]
    rollback: Option<Rollback>,
    release: Option<Vec<PinnedImage>>,
    #[serde(with = "Maybe::<Course>")]
    course: Option<core::Course>,
    resumed: u32,
    reason: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "core::State", rename_all = "snake_case")]
enum State {
    Queued,
    Running,
    Finished(#[serde(with = "event::Outcome")] Outcome),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "core::Course")]
struct Course {
    #[serde(with = "snapshot::Snapshot")]
    snapshot: Snapshot,
    #[serde(with = "plan::Plan")]
    plan: Plan,
    #[serde(with = "Maybe::<target::Target>", default, skip_serializing_if = "Option::is_none")]
    target: Option<Target>,
    #[serde(with = "Position")]
    at: core::Position,
    disturbed: bool,
    #[serde(with = "Maybe::<Back>")]
    back: Option<core::Back>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "core::Back")]
struct Back {
    #[serde(with = "event::Cause")]
    cause: Cause,
    #[serde(with = "plan::Plan")]
    plan: Plan,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "core::Position", rename_all = "snake_case")]
enum Position {
    Before(usize),
    In(usize),
    Failed(usize),
}
