//! What to do at boot with a deployment that never finished.

use super::event::{Cause, Outcome};
use super::status::{State, Status};

/// How often a deployment is taken up again before it is suspected of being the reason for the crashes.
const RESUMPTIONS: u32 = 3;

/// What to do with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It is finished.
    Nothing,
    /// It waits for its turn, as before.
    Requeue,
    /// Go on with the plan in force where it was: its steps may be carried out twice.
    Continue,
    /// Put back what ran before.
    RollBack(Cause),
    /// Nothing was touched: end it.
    End(Outcome, String),
}

/// Decides from the history alone.
#[must_use]
pub fn decide(status: &Status) -> Decision {
    match status.state {
        State::Finished(_) => return Decision::Nothing,
        State::Queued => return Decision::Requeue,
        State::Running => {}
    }
    let Some(course) = &status.course else {
        return if status.resumed < RESUMPTIONS {
            Decision::Continue
        } else {
            Decision::End(Outcome::Abandoned, interrupted(status.resumed))
        };
    };
    if course.back.is_some() {
        return Decision::Continue;
    }
    let failed = matches!(course.at, super::status::Position::Failed(_));
    if !failed && status.resumed < RESUMPTIONS {
        return Decision::Continue;
    }
    let reason = match &status.reason {
        Some(reason) if failed => reason.clone(),
        _ => interrupted(status.resumed),
    };
    if course.disturbed { Decision::RollBack(Cause::Failed(reason)) } else { Decision::End(Outcome::Abandoned, reason) }
}

fn interrupted(times: u32) -> String {
    format!("windlass was stopped {} times in the middle of this deployment", times.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::super::event::Event;
    use super::super::status::tests::{good_history, queued, replay};
    use super::*;

    #[test]
    fn what_waited_waits_again() {
        assert_eq!(decide(&Status::begin(&queued()).unwrap()), Decision::Requeue);
    }

    #[test]
    fn what_was_under_way_goes_on_until_it_was_interrupted_too_often() {
        let events = good_history();
        for cut in 2..events.len() {
            let mut status = replay(&events[..cut]).unwrap();
            for _ in 0..RESUMPTIONS {
                assert_eq!(decide(&status), Decision::Continue, "after {cut} events");
                status.apply(&Event::Resumed).unwrap();
            }
            match (decide(&status), status.course.is_some_and(|course| course.disturbed)) {
                (Decision::RollBack(Cause::Failed(_)), true) | (Decision::End(Outcome::Abandoned, _), false) => {}
                (other, disturbed) => panic!("after {cut} events, disturbed: {disturbed}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_step_that_had_failed_is_not_tried_again() {
        let mut events = good_history();
        let last = events.len() - 1;
        events[last] = Event::StepFailed { step: 4, reason: "unhealthy".to_owned(), evidence: vec![] };
        let decision = decide(&replay(&events).unwrap());
        assert_eq!(decision, Decision::RollBack(Cause::Failed("unhealthy".to_owned())));
    }
}
