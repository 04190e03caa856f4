//! Judges from what the engine says whether a service's containers work: a pure function over facts.

use super::steadiness::Mark;
use super::verdict::Verdict;
use crate::host::engine::container::{ContainerFacts, Health, RestartPolicy, State};

/// So many restarts, and it is a loop: the engine has then waited only for about a second in all, and a service that
/// waits for another one to come up has had its chance.
const LOOP: i64 = 3;

/// One look at one container.
pub(in crate::host) fn judge(container: &ContainerFacts) -> Verdict {
    let words = container.state_words();
    match (container.state, container.policy) {
        _ if container.restarts >= LOOP && container.is_shaky() => Verdict::Bad(words),
        (State::Running, _) => match container.health {
            // Nothing but time tells whether it stays up now.
            None if container.is_shaky() => Verdict::Wait(words),
            None | Some(Health::Healthy) => Verdict::Good,
            Some(Health::Starting) => Verdict::Wait("its health check has not passed yet".to_owned()),
            Some(Health::Unhealthy) => Verdict::Bad(words),
        },
        (State::Exited, RestartPolicy::No | RestartPolicy::OnFailure(_)) if container.exit_code == 0 => {
            if container.may_end() { Verdict::Good } else { Verdict::Bad(words) }
        }
        (State::Exited, RestartPolicy::No) => Verdict::Bad(words),
        (State::Exited, RestartPolicy::OnFailure(most)) if most > 0 && container.restarts >= most => {
            Verdict::Bad(words)
        }
        // The engine could not start it, and does not try again.
        (State::Created, _) if !container.error.is_empty() => Verdict::Bad(words),
        (State::Exited | State::Created | State::Paused | State::Restarting | State::Dead, _) => Verdict::Wait(words),
    }
}

/// What must stay the same while a release settles.
pub(in crate::host) fn fingerprint(containers: &[ContainerFacts]) -> Vec<Mark> {
    let mark = |container: &ContainerFacts| (container.id.clone(), container.restarts, container.started_at.clone());
    let mut marks: Vec<_> = containers.iter().map(mark).collect();
    marks.sort();
    marks
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::host::engine::container::tests::container;

    #[test]
    fn one_look_tells_good_from_bad_from_not_yet() {
        use RestartPolicy::{Always, No, OnFailure};
        use State::{Created, Dead, Exited, Paused, Restarting, Running};
        let base = container("api");
        let at =
            |state, policy, exit_code, restarts| ContainerFacts { state, policy, exit_code, restarts, ..base.clone() };
        let healthy = |health| ContainerFacts { health: Some(health), ..base.clone() };
        let for_long = |container| ContainerFacts { uptime: Duration::from_secs(60), ..container };
        let serves = |container| ContainerFacts { serves: true, ..container };
        let refused = ContainerFacts { error: "no such device".to_owned(), ..at(Created, No, 128, 0) };
        for (container, expected) in [
            (at(Running, Always, 0, 0), "good"),
            (at(Running, Always, 1, 2), "wait"),
            (at(Running, Always, 1, 3), "bad"),
            (for_long(at(Running, Always, 1, 2)), "good"),
            (for_long(at(Running, Always, 1, 300)), "good"),
            (ContainerFacts { restarts: 1, ..healthy(Health::Healthy) }, "good"),
            (ContainerFacts { restarts: 3, ..healthy(Health::Starting) }, "bad"),
            (healthy(Health::Healthy), "good"),
            (healthy(Health::Starting), "wait"),
            (healthy(Health::Unhealthy), "bad"),
            (at(Exited, No, 0, 0), "good"),
            (at(Exited, OnFailure(0), 0, 1), "good"),
            (serves(at(Exited, No, 0, 0)), "bad"),
            (serves(at(Exited, OnFailure(0), 0, 0)), "bad"),
            (serves(at(Running, No, 0, 0)), "good"),
            (at(Exited, No, 1, 0), "bad"),
            (at(Exited, OnFailure(2), 1, 1), "wait"),
            (at(Exited, OnFailure(2), 1, 2), "bad"),
            (at(Exited, Always, 0, 0), "wait"),
            (at(Restarting, Always, 1, 1), "wait"),
            (at(Restarting, Always, 1, 3), "bad"),
            (at(Created, No, 0, 0), "wait"),
            (at(Paused, No, 0, 0), "wait"),
            (at(Dead, No, 0, 0), "wait"),
            (refused, "bad"),
        ] {
            let verdict = match judge(&container) {
                Verdict::Good => "good",
                Verdict::Wait(_) => "wait",
                Verdict::Bad(_) => "bad",
            };
            assert_eq!(verdict, expected, "{container:?}");
        }
    }

    #[test]
    fn a_restart_and_a_replacement_change_the_fingerprint_and_the_order_does_not() {
        let (api, web) = (container("api"), container("web"));
        let before = fingerprint(&[api.clone(), web.clone()]);
        assert_eq!(before, fingerprint(&[web.clone(), api.clone()]));
        let restarted = ContainerFacts { restarts: 1, ..api.clone() };
        let started_by_hand = ContainerFacts { started_at: "later".to_owned(), ..api.clone() };
        let replaced = ContainerFacts { id: "other".to_owned(), ..api };
        for changed in [restarted, started_by_hand, replaced] {
            assert_ne!(before, fingerprint(&[changed, web.clone()]));
        }
    }
}
