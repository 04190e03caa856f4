//! What follows from a deployment's events. [`Status::apply`] is the only place where status changes, live and on
//! replay: a history that it refuses did not happen.

use super::event::{Cause, Event, Outcome, RequestedBy, Rollback, Wanted};
use super::plan::{Plan, Step};
use super::snapshot::Snapshot;
use super::spec::Target;
use crate::model::PinnedImage;

/// A deployment so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Where it is.
    pub state: State,
    /// What shall be put into service.
    pub wanted: Wanted,
    /// Who asked.
    pub requested_by: RequestedBy,
    /// Where from and where to, where an operator goes back.
    pub rollback: Option<Rollback>,
    /// The release, once it is resolved.
    pub release: Option<Vec<PinnedImage>>,
    /// What ran before, and what is done about it, once that is planned.
    pub course: Option<Course>,
    /// How often windlass was stopped in the middle of it.
    pub resumed: u32,
    /// Why it failed, as soon as that is known.
    pub reason: Option<String>,
}

/// Where a deployment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Waiting for its turn.
    Queued,
    /// Being carried out.
    Running,
    /// Ended.
    Finished(Outcome),
}

impl State {
    /// The state as scripts know it: `queued`, `running` or an outcome.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Finished(outcome) => outcome.as_str(),
        }
    }
}

/// A plan that is being carried out, and the way back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Course {
    /// What ran before.
    pub snapshot: Snapshot,
    /// The plan forward.
    pub plan: Plan,
    /// How and where it is carried out. A journal of an earlier version has none.
    pub target: Option<Target>,
    /// How far the plan in force is.
    pub at: Position,
    /// Whether a step was begun that only a rollback leads back from.
    pub disturbed: bool,
    /// The plan back and its cause, once that is in force.
    pub back: Option<Back>,
}

/// A rollback that is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Back {
    /// Why.
    pub cause: Cause,
    /// What is done.
    pub plan: Plan,
}

/// How far a plan is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// This step comes next.
    Before(usize),
    /// This step was begun.
    In(usize),
    /// This step failed.
    Failed(usize),
}

/// What is being done, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Asking the registry what the image is.
    Resolving,
    /// Getting it.
    Pulling,
    /// Putting it into service.
    Applying,
    /// Finding out whether it works.
    Verifying,
    /// Putting back what ran before.
    RollingBack,
}

impl Phase {
    /// The phase as scripts know it: `resolving`, `rolling_back`, …
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Resolving => "resolving",
            Self::Pulling => "pulling",
            Self::Applying => "applying",
            Self::Verifying => "verifying",
            Self::RollingBack => "rolling_back",
        }
    }
}

/// A history that cannot have happened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{event} cannot follow while the deployment is {state}")]
pub struct IllegalEvent {
    event: &'static str,
    state: String,
}

impl Status {
    /// The status after the first event, which is always [`Event::Queued`].
    ///
    /// # Errors
    /// [`IllegalEvent`] for any other.
    pub fn begin(event: &Event) -> Result<Self, IllegalEvent> {
        match event {
            Event::Queued { wanted, requested_by, rollback } => Ok(Self {
                state: State::Queued,
                wanted: wanted.clone(),
                requested_by: requested_by.clone(),
                rollback: rollback.clone(),
                release: None,
                course: None,
                resumed: 0,
                reason: None,
            }),
            other => Err(IllegalEvent { event: other.name(), state: "unknown".to_owned() }),
        }
    }

    /// The status after all these events, the first of which is [`Event::Queued`]. Nothing after none.
    ///
    /// # Errors
    /// [`IllegalEvent`] for the first that cannot follow.
    pub fn replay<'a>(events: impl IntoIterator<Item = &'a Event>) -> Result<Option<Self>, IllegalEvent> {
        let mut events = events.into_iter();
        let Some(first) = events.next() else { return Ok(None) };
        let mut status = Self::begin(first)?;
        for event in events {
            status.apply(event)?;
        }
        Ok(Some(status))
    }

    /// Takes the next event.
    ///
    /// # Errors
    /// [`IllegalEvent`] when it cannot follow; the status is then as it was.
    pub fn apply(&mut self, event: &Event) -> Result<(), IllegalEvent> {
        let legal = match (self.state, event) {
            (_, Event::Noted { .. }) => true,
            (State::Queued, Event::Started) => {
                self.state = State::Running;
                true
            }
            (State::Queued, Event::Finished { outcome, reason }) => {
                matches!(outcome, Outcome::Superseded | Outcome::Cancelled | Outcome::Abandoned)
                    && self.finish(*outcome, reason.as_ref())
            }
            (State::Running, event) => self.apply_running(event),
            _ => false,
        };
        if legal { Ok(()) } else { Err(IllegalEvent { event: event.name(), state: self.describe() }) }
    }

    fn apply_running(&mut self, event: &Event) -> bool {
        match (event, self.course.as_mut()) {
            (Event::Resolved { images }, None) => {
                self.release = Some(images.clone());
                true
            }
            (Event::Planned { snapshot, plan, target }, None) if self.release.is_some() => {
                self.course = Some(Course {
                    snapshot: snapshot.clone(),
                    plan: plan.clone(),
                    target: target.clone(),
                    at: Position::Before(0),
                    disturbed: false,
                    back: None,
                });
                true
            }
            (Event::StepStarted { step }, Some(course)) => course.start(*step),
            (Event::Progress { step, .. } | Event::Said { step, .. }, Some(course)) => course.at == Position::In(*step),
            (Event::StepFinished { step }, Some(course)) => {
                let legal = course.at == Position::In(*step);
                if legal {
                    course.at = Position::Before(step + 1);
                }
                legal
            }
            (Event::StepFailed { step, reason, .. }, Some(course)) => {
                let legal = course.at == Position::In(*step);
                if legal {
                    course.at = Position::Failed(*step);
                    self.reason = Some(reason.clone());
                }
                legal
            }
            (Event::RollingBack { cause, plan }, Some(course)) if course.disturbed && course.back.is_none() => {
                course.back = Some(Back { cause: cause.clone(), plan: plan.clone() });
                course.at = Position::Before(0);
                self.reason = Some(cause.reason().to_owned());
                true
            }
            (Event::Resumed, course) => {
                self.resumed += 1;
                if let Some(course) = course {
                    course.at = course.resume();
                }
                true
            }
            (Event::Finished { outcome, reason }, course) => {
                let legal = match (outcome, course) {
                    (Outcome::Superseded, _) => false,
                    (Outcome::Abandoned, None) => true,
                    (Outcome::Cancelled, None) => true,
                    (Outcome::Succeeded | Outcome::RolledBack | Outcome::RollbackFailed, None) => false,
                    (outcome, Some(course)) => course.may_end(*outcome),
                };
                legal && self.finish(*outcome, reason.as_ref())
            }
            _ => false,
        }
    }

    fn finish(&mut self, outcome: Outcome, reason: Option<&String>) -> bool {
        self.state = State::Finished(outcome);
        self.reason = reason.cloned();
        true
    }

    /// The outcome, once there is one.
    #[must_use]
    pub const fn outcome(&self) -> Option<Outcome> {
        match self.state {
            State::Finished(outcome) => Some(outcome),
            State::Queued | State::Running => None,
        }
    }

    /// What is being done, while it is running.
    #[must_use]
    pub fn phase(&self) -> Option<Phase> {
        if self.state != State::Running {
            return None;
        }
        let Some(course) = &self.course else { return Some(Phase::Resolving) };
        if course.back.is_some() {
            return Some(Phase::RollingBack);
        }
        let (Position::Before(step) | Position::In(step) | Position::Failed(step)) = course.at;
        Some(match course.plan.steps.get(step) {
            Some(Step::Pull { .. }) => Phase::Pulling,
            Some(
                Step::Keep { .. } | Step::Before { .. } | Step::Pin { .. } | Step::Apply { .. } | Step::Remove { .. },
            ) => Phase::Applying,
            Some(Step::AwaitHealthy { .. }) | None => Phase::Verifying,
        })
    }

    fn describe(&self) -> String {
        match (self.state, &self.course) {
            (State::Queued, _) => "queued".to_owned(),
            (State::Finished(outcome), _) => outcome.to_string(),
            (State::Running, None) => "resolving".to_owned(),
            (State::Running, Some(course)) => {
                let way = if course.back.is_some() { "back" } else { "forward" };
                format!("{way} at {:?}", course.at)
            }
        }
    }
}

impl Course {
    /// The plan that is being carried out.
    #[must_use]
    pub fn in_force(&self) -> &Plan {
        self.back.as_ref().map_or(&self.plan, |back| &back.plan)
    }

    /// The step to carry out next, and its number; nothing when all are done or one failed.
    #[must_use]
    pub fn next(&self) -> Option<(usize, &Step)> {
        match self.at {
            Position::Before(step) => self.in_force().steps.get(step).map(|found| (step, found)),
            Position::In(_) | Position::Failed(_) => None,
        }
    }

    /// Whether every step of the plan in force had its effect.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.at == Position::Before(self.in_force().steps.len())
    }

    fn start(&mut self, step: usize) -> bool {
        if self.at != Position::Before(step) {
            return false;
        }
        let Some(disturbs) = self.in_force().steps.get(step).map(Step::disturbs) else { return false };
        self.disturbed |= disturbs;
        self.at = Position::In(step);
        true
    }

    /// Where to go on after an interruption: a step that was begun is begun again, a rollback from its start.
    fn resume(&self) -> Position {
        match (self.at, &self.back) {
            (_, Some(_)) => Position::Before(0),
            (Position::In(step), None) => Position::Before(step),
            (at, None) => at,
        }
    }

    fn may_end(&self, outcome: Outcome) -> bool {
        match (outcome, &self.back) {
            (Outcome::Succeeded, None) => self.is_done(),
            (Outcome::Abandoned | Outcome::Cancelled, None) => !self.disturbed,
            (Outcome::RollbackFailed, Some(_)) => true,
            (outcome, Some(back)) => self.is_done() && outcome == back.cause.outcome(),
            (_, None) => false,
        }
    }
}

impl Event {
    /// The event's name as it stands in the journal.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Queued { .. } => "queued",
            Self::Started => "started",
            Self::Resolved { .. } => "resolved",
            Self::Planned { .. } => "planned",
            Self::StepStarted { .. } => "step_started",
            Self::Progress { .. } => "progress",
            Self::Said { .. } => "said",
            Self::StepFinished { .. } => "step_finished",
            Self::StepFailed { .. } => "step_failed",
            Self::RollingBack { .. } => "rolling_back",
            Self::Resumed => "resumed",
            Self::Noted { .. } => "noted",
            Self::Finished { .. } => "finished",
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::super::plan;
    use super::super::plan::tests::{BY_TAG, a_shop};
    use super::super::spec::tests::shop;
    use super::*;

    pub(crate) fn queued() -> Event {
        Event::Queued {
            wanted: Wanted::Images(vec!["r.io/api:v2".parse().unwrap()]),
            requested_by: RequestedBy::default(),
            rollback: None,
        }
    }

    /// A history that went well, up to but without its end.
    pub(crate) fn good_history() -> Vec<Event> {
        let (release, snapshot) = a_shop();
        let plan = plan::forward(&release, &snapshot, BY_TAG);
        let (steps, target) = (plan.steps.len(), Some(shop().target));
        let mut events = vec![
            queued(),
            Event::Started,
            Event::Resolved { images: release },
            Event::Planned { snapshot, plan, target },
        ];
        for step in 0..steps {
            events.push(Event::StepStarted { step });
            events.push(Event::StepFinished { step });
        }
        events
    }

    pub(crate) fn replay(events: &[Event]) -> Result<Status, IllegalEvent> {
        Ok(Status::replay(events)?.unwrap())
    }

    fn finished(outcome: Outcome) -> Event {
        Event::Finished { outcome, reason: None }
    }

    #[test]
    fn a_good_history_ends_in_success_and_only_when_every_step_is_done() {
        let mut events = good_history();
        events.push(finished(Outcome::Succeeded));
        assert_eq!(replay(&events).unwrap().outcome(), Some(Outcome::Succeeded));
        for cut in 2..events.len() - 1 {
            let mut early: Vec<Event> = events[..cut].to_vec();
            early.push(finished(Outcome::Succeeded));
            assert!(replay(&early).is_err(), "succeeded after {cut} events");
        }
    }

    #[test]
    fn nothing_is_abandoned_once_it_was_disturbed_nor_rolled_back_before() {
        let events = good_history();
        for cut in 4..events.len() {
            let status = replay(&events[..cut]).unwrap();
            let disturbed = status.course.as_ref().unwrap().disturbed;
            assert_eq!(status.clone().apply(&finished(Outcome::Abandoned)).is_err(), disturbed, "after {cut}");
            let back =
                Event::RollingBack { cause: Cause::Failed("x".to_owned()), plan: plan::rollback(&a_shop().1, BY_TAG) };
            assert_eq!(status.clone().apply(&back).is_ok(), disturbed, "after {cut}");
        }
    }

    #[test]
    fn a_rollback_that_is_interrupted_begins_again_and_ends_as_its_cause_says() {
        let mut events = good_history();
        let last = events.len() - 1;
        events[last] = Event::StepFailed { step: 4, reason: "unhealthy".to_owned(), evidence: vec![] };
        events.push(Event::RollingBack {
            cause: Cause::Cancelled("by ann".to_owned()),
            plan: plan::rollback(&a_shop().1, BY_TAG),
        });
        events.extend([Event::StepStarted { step: 0 }, Event::StepFinished { step: 0 }, Event::Resumed]);
        for step in 0..4 {
            events.extend([Event::StepStarted { step }, Event::StepFinished { step }]);
        }
        let status = replay(&events).unwrap();
        assert_eq!(status.phase(), Some(Phase::RollingBack));
        assert!(status.clone().apply(&finished(Outcome::RolledBack)).is_err());
        assert!(status.clone().apply(&finished(Outcome::Cancelled)).is_ok());
    }

    #[test]
    fn nothing_but_a_note_follows_the_end() {
        let mut events = good_history();
        events.push(finished(Outcome::Succeeded));
        let mut status = replay(&events).unwrap();
        for event in &events {
            assert!(status.apply(event).is_err(), "{}", event.name());
        }
        assert!(status.apply(&Event::Noted { text: "old images could not be removed".to_owned() }).is_ok());
        assert_eq!(status.outcome(), Some(Outcome::Succeeded));
    }

    proptest! {
        #[test]
        fn an_illegal_event_changes_nothing_and_a_replay_equals_the_live_fold(
            picks in proptest::collection::vec(0_usize..20, 0..60)
        ) {
            let mut menu = good_history();
            menu.extend([
                Event::Resumed,
                Event::StepFailed { step: 3, reason: "x".to_owned(), evidence: vec![] },
                Event::RollingBack { cause: Cause::Failed("x".to_owned()), plan: plan::rollback(&a_shop().1, BY_TAG) },
                finished(Outcome::Succeeded),
                finished(Outcome::RolledBack),
                finished(Outcome::Abandoned),
            ]);
            let mut live = Status::begin(&menu[0]).unwrap();
            let mut history = vec![menu[0].clone()];
            for pick in picks {
                let event = &menu[pick % menu.len()];
                let before = live.clone();
                match live.apply(event) {
                    Ok(()) => history.push(event.clone()),
                    Err(_) => prop_assert_eq!(&live, &before),
                }
            }
            prop_assert_eq!(replay(&history).unwrap(), live);
        }
    }
}
