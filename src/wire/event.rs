//! What a deployment says, as callers read it.
//!
//! Words are only ever added: a reader takes an event that it does not know as [`Event::Unknown`].

use serde::{Deserialize, Serialize};

use super::release::{ImageView, RequestedBy, Rollback};
use super::state::Outcome;
use crate::deploy::{event as core, plan};
use crate::model::Timestamp;

/// One event of a deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventView {
    /// Its number: what `Last-Event-ID` names.
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// Accepted, and on disk.
    Queued {
        /// What shall be put into service; without digests until it is resolved.
        images: Vec<ImageView>,
        /// Who asked.
        requested_by: RequestedBy,
        /// Where from and where to, where an operator goes back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rollback: Option<Rollback>,
    },
    /// It is this deployment's turn.
    Started,
    /// The images are fixed by digest.
    Resolved {
        /// The release.
        images: Vec<ImageView>,
    },
    /// It is known what runs now, and what will be done.
    Planned {
        /// What runs now.
        previous: Vec<ImageView>,
        /// The services that are moved.
        services: Vec<String>,
        /// What will be done.
        plan: Plan,
    },
    /// A step of the plan in force begins: the forward one, or after [`Event::RollingBack`] that one.
    StepStarted {
        /// From 0.
        step: usize,
    },
    /// How far a pull is.
    Progress {
        /// From 0.
        step: usize,
        /// Layers and bytes.
        transfer: Transfer,
    },
    /// Something worth a line while a step is carried out.
    Said {
        /// From 0.
        step: usize,
        /// One line, without control characters.
        line: String,
    },
    /// The step had its effect.
    StepFinished {
        /// From 0.
        step: usize,
    },
    /// The step did not have its effect.
    StepFailed {
        /// From 0.
        step: usize,
        /// Why.
        reason: String,
        /// What the containers said last.
        evidence: Vec<Evidence>,
    },
    /// What ran before is being put back.
    RollingBack {
        /// Whether it failed or was cancelled.
        cause: Cause,
        /// Why.
        reason: String,
        /// What will be done for it.
        plan: Plan,
    },
    /// windlass itself was stopped in the middle and has come back.
    Resumed,
    /// Worth knowing, and without any consequence.
    Noted {
        /// One line.
        text: String,
    },
    /// How it ended.
    Finished {
        /// The outcome.
        outcome: Outcome,
        /// Why, unless it succeeded.
        reason: Option<String>,
    },
    /// Of a newer windlass.
    #[serde(other)]
    Unknown,
}

/// All that will be done, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// In the order in which they are carried out.
    pub steps: Vec<Step>,
}

/// One action of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// `pull`, `keep`, `before`, `pin`, `apply`, `await_healthy`, `remove`; more may come.
    #[serde(rename = "do")]
    pub action: String,
    /// The same, and with what, in words.
    pub text: String,
    /// The services that it is about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<String>,
}

/// How far a pull is. Bytes are as the engine counts them: compressed, while downloading.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// Layers that are there.
    pub layers_done: u32,
    /// Layers that are known.
    pub layers: u32,
    /// Bytes that are there.
    pub bytes_done: u64,
    /// Bytes that are known.
    pub bytes: u64,
}

/// What a container or unit said last, for the one who has to find out why.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Of which one.
    pub name: String,
    /// Its state in words: `exited (1)`, `restarted 3 times`, `unhealthy`.
    pub state: String,
    /// The last lines of its log.
    pub log: Vec<String>,
    /// The last results of its health check.
    pub health: Vec<String>,
}

/// Why a deployment is rolled back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// A step failed, or the time was over.
    Failed,
    /// Somebody cancelled it.
    Cancelled,
}

impl From<&core::Event> for Event {
    fn from(event: &core::Event) -> Self {
        match event {
            core::Event::Queued { wanted, requested_by, rollback } => Self::Queued {
                images: ImageView::wanted(wanted),
                requested_by: requested_by.into(),
                rollback: rollback.as_ref().map(Into::into),
            },
            core::Event::Started => Self::Started,
            core::Event::Resolved { images } => Self::Resolved { images: ImageView::release(images) },
            core::Event::Planned { snapshot, plan, target: _ } => Self::Planned {
                previous: ImageView::previous(snapshot),
                services: snapshot.services.iter().map(|service| service.name.clone()).collect(),
                plan: plan.into(),
            },
            core::Event::StepStarted { step } => Self::StepStarted { step: *step },
            core::Event::Progress { step, transfer } => Self::Progress { step: *step, transfer: transfer.into() },
            core::Event::Said { step, line } => Self::Said { step: *step, line: line.clone() },
            core::Event::StepFinished { step } => Self::StepFinished { step: *step },
            core::Event::StepFailed { step, reason, evidence } => Self::StepFailed {
                step: *step,
                reason: reason.clone(),
                evidence: evidence.iter().map(Into::into).collect(),
            },
            core::Event::RollingBack { cause, plan } => {
                Self::RollingBack { cause: cause.into(), reason: cause.reason().to_owned(), plan: plan.into() }
            }
            core::Event::Resumed => Self::Resumed,
            core::Event::Noted { text } => Self::Noted { text: text.clone() },
            core::Event::Finished { outcome, reason } => {
                Self::Finished { outcome: (*outcome).into(), reason: reason.clone() }
            }
        }
    }
}

impl From<&plan::Plan> for Plan {
    fn from(plan: &plan::Plan) -> Self {
        Self { steps: plan.steps.iter().map(Into::into).collect() }
    }
}

impl From<&plan::Step> for Step {
    fn from(step: &plan::Step) -> Self {
        let (action, services) = match step {
            plan::Step::Pull { .. } => ("pull", &[][..]),
            plan::Step::Keep { .. } => ("keep", &[][..]),
            plan::Step::Before { .. } => ("before", &[][..]),
            plan::Step::Pin { .. } => ("pin", &[][..]),
            plan::Step::Apply { services, .. } => ("apply", services.as_slice()),
            plan::Step::AwaitHealthy { services, .. } => ("await_healthy", services.as_slice()),
            plan::Step::Remove { services, .. } => ("remove", services.as_slice()),
        };
        Self { action: action.to_owned(), text: step.to_string(), services: services.to_vec() }
    }
}

impl From<&core::Transfer> for Transfer {
    fn from(transfer: &core::Transfer) -> Self {
        let core::Transfer { layers_done, layers, bytes_done, bytes } = *transfer;
        Self { layers_done, layers, bytes_done, bytes }
    }
}

impl From<&core::Evidence> for Evidence {
    fn from(evidence: &core::Evidence) -> Self {
        let core::Evidence { name, state, log, health } = evidence.clone();
        Self { name, state, log, health }
    }
}

impl From<&core::Cause> for Cause {
    fn from(cause: &core::Cause) -> Self {
        match cause {
            core::Cause::Failed(_) => Self::Failed,
            core::Cause::Cancelled(_) => Self::Cancelled,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::status::tests::good_history;

    #[test]
    fn an_event_has_the_name_that_the_core_gives_it() {
        for event in good_history() {
            let view = EventView { id: 1, at: Timestamp::from_millis(0), event: (&event).into() };
            let json = serde_json::to_value(&view).unwrap();
            assert_eq!(json["event"], event.name());
            assert_eq!(serde_json::from_value::<EventView>(json).unwrap(), view);
        }
    }

    #[test]
    fn an_event_of_a_newer_windlass_is_read_as_unknown() {
        let newer = r#"{"id":7,"at":"1970-01-01T00:00:00.000Z","event":"approved","by":"ann"}"#;
        assert_eq!(serde_json::from_str::<EventView>(newer).unwrap().event, Event::Unknown);
    }

    #[test]
    fn a_caller_learns_what_is_done_in_words_and_nothing_of_the_host() {
        let planned = good_history().into_iter().find(|event| event.name() == "planned").unwrap();
        let json = serde_json::to_value(Event::from(&planned)).unwrap();
        let expected = serde_json::json!({ "do": "apply", "text": "apply api, worker", "services": ["api", "worker"] });
        assert_eq!(json["plan"]["steps"][3], expected);
        let names: Vec<&String> = json.as_object().unwrap().keys().collect();
        assert_eq!(names, ["event", "plan", "previous", "services"]);
    }
}
