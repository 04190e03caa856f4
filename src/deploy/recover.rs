//! What to do at boot with a deployment that never finished.

use super::event::{Cause, Outcome};
use super::spec::ProjectSpec;
use super::status::{State, Status};
use crate::model::ProjectName;

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

/// Decides from the history, and from what is configured for its `project` by now.
#[must_use]
pub fn decide(project: &ProjectName, status: &Status, configured: Option<&ProjectSpec>) -> Decision {
    if matches!(status.state, State::Finished(_)) {
        return Decision::Nothing;
    }
    let Some(configured) = configured else {
        let reason = format!("the project {project} is no longer configured on this host");
        return match &status.course {
            Some(course) if course.back.is_some() => Decision::Continue,
            Some(course) if course.disturbed => Decision::RollBack(Cause::Failed(reason)),
            _ => Decision::End(Outcome::Abandoned, reason),
        };
    };
    if status.state == State::Queued {
        return Decision::Requeue;
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
    if !course.disturbed && course.target.as_ref().is_some_and(|planned| *planned != configured.target) {
        let reason = "the project's target was changed after this was planned; deploy it again".to_owned();
        return Decision::End(Outcome::Abandoned, reason);
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

/// The project as the deployment needs it: as it is configured, and where the plan was made for. Of a project that is
/// not configured any more, what a rollback needs; nothing where the history does not say it.
#[must_use]
pub fn spec(project: &ProjectName, status: &Status, configured: Option<&ProjectSpec>) -> Option<ProjectSpec> {
    let planned = status.course.as_ref().and_then(|course| course.target.clone());
    match (configured, planned) {
        (Some(configured), Some(target)) => Some(ProjectSpec { target, ..configured.clone() }),
        (Some(configured), None) => Some(configured.clone()),
        (None, Some(target)) => {
            let release = status.release.iter().flatten().map(|image| image.image.repository().clone()).collect();
            Some(ProjectSpec::unconfigured(project.clone(), release, target))
        }
        (None, None) => None,
    }
}

fn interrupted(times: u32) -> String {
    format!("windlass was stopped {} times in the middle of this deployment", times.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::super::event::Event;
    use super::super::plan;
    use super::super::plan::tests::BY_TAG;
    use super::super::spec::tests::{compose_of_shop, shop};
    use super::super::spec::{Compose, Target};
    use super::super::status::tests::{good_history, queued, replay};
    use super::*;

    fn decide(status: &Status) -> Decision {
        super::decide(&shop().name, status, Some(&shop()))
    }

    fn decide_unconfigured(status: &Status) -> Decision {
        super::decide(&shop().name, status, None)
    }

    fn elsewhere() -> ProjectSpec {
        let target = Target::Compose(Compose { directory: "/srv/elsewhere".into(), ..compose_of_shop() });
        ProjectSpec { target, ..shop() }
    }

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

    #[test]
    fn what_was_begun_is_finished_where_it_was_planned_for() {
        let events = good_history();
        for cut in 4..=events.len() {
            let status = replay(&events[..cut]).unwrap();
            let decision = super::decide(&shop().name, &status, Some(&elsewhere()));
            match status.course.as_ref().unwrap().disturbed {
                true => assert_eq!(decision, Decision::Continue, "after {cut} events"),
                false => assert!(matches!(decision, Decision::End(Outcome::Abandoned, _)), "after {cut}: {decision:?}"),
            }
            assert_eq!(spec(&shop().name, &status, Some(&elsewhere())), Some(shop()));
        }
        let unplanned = replay(&events[..3]).unwrap();
        assert_eq!(super::decide(&shop().name, &unplanned, Some(&elsewhere())), Decision::Continue);
        assert_eq!(spec(&shop().name, &unplanned, Some(&elsewhere())), Some(elsewhere()));
    }

    #[test]
    fn a_deployment_of_a_project_that_was_removed_is_rolled_back_if_anything_was_touched() {
        let mut events = good_history();
        for cut in 1..=events.len() {
            let status = replay(&events[..cut]).unwrap();
            match (decide_unconfigured(&status), status.course.as_ref().is_some_and(|course| course.disturbed)) {
                (Decision::RollBack(Cause::Failed(_)), true) | (Decision::End(Outcome::Abandoned, _), false) => {}
                (other, disturbed) => panic!("after {cut} events, disturbed: {disturbed}: {other:?}"),
            }
            let spec = spec(&shop().name, &status, None);
            assert_eq!(spec.map(|spec| spec.target), (cut >= 4).then(|| shop().target), "after {cut} events");
        }
        let back = plan::rollback(&replay(&events).unwrap().course.unwrap().snapshot, BY_TAG);
        events.push(Event::RollingBack { cause: Cause::Failed("unhealthy".to_owned()), plan: back });
        assert_eq!(decide_unconfigured(&replay(&events).unwrap()), Decision::Continue);
    }
}
