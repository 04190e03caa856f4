//! Judges from what the engine says whether a service's containers work: a pure function over facts.

use std::time::Duration;

use tokio::time::Instant;

use super::engine::container::{ContainerFacts, Health, RestartPolicy, State};

/// So many restarts, and it is a loop: the engine has then waited only for about a second in all, and a service that
/// waits for another one to come up has had its chance.
const LOOP: i64 = 3;

/// What can be said about one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It works, as far as one look can tell.
    Good,
    /// It may still come to work.
    Wait(String),
    /// It will not come to work by itself.
    Bad(String),
}

/// One look at one container.
pub(crate) fn judge(container: &ContainerFacts) -> Verdict {
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
        (State::Exited, RestartPolicy::No | RestartPolicy::OnFailure(_)) if container.exit_code == 0 => Verdict::Good,
        (State::Exited, RestartPolicy::No) => Verdict::Bad(words),
        (State::Exited, RestartPolicy::OnFailure(most)) if most > 0 && container.restarts >= most => {
            Verdict::Bad(words)
        }
        // The engine could not start it, and does not try again.
        (State::Created, _) if !container.error.is_empty() => Verdict::Bad(words),
        (State::Exited | State::Created | State::Paused | State::Restarting | State::Dead, _) => Verdict::Wait(words),
    }
}

/// A container, and since when it runs.
pub(crate) type Mark = (String, i64, String);

/// What must stay the same while a release settles.
pub(crate) fn fingerprint(containers: &[ContainerFacts]) -> Vec<Mark> {
    let mark = |container: &ContainerFacts| (container.id.clone(), container.restarts, container.started_at.clone());
    let mut marks: Vec<_> = containers.iter().map(mark).collect();
    marks.sort();
    marks
}

/// Since when all has been well without a break.
#[derive(Debug, Default)]
pub(crate) struct Steadiness {
    /// The containers, unchanged and good since then.
    seen: Option<(Instant, Vec<Mark>)>,
    /// And the project's own probe passing since then.
    probed: Option<Instant>,
}

impl Steadiness {
    /// The containers are good.
    pub(crate) fn see(&mut self, marks: Vec<Mark>, now: Instant) {
        if self.seen.as_ref().is_none_or(|(_, before)| *before != marks) {
            *self = Self { seen: Some((now, marks)), probed: None };
        }
    }

    /// They are not.
    pub(crate) fn lose(&mut self) {
        *self = Self::default();
    }

    /// Whether the containers are good, whatever the probe says.
    pub(crate) const fn is_seen(&self) -> bool {
        self.seen.is_some()
    }

    /// A probe that began at `begun` has ended. One that began with other containers proves nothing.
    pub(crate) fn probe(&mut self, begun: Instant, passed: bool, now: Instant) {
        match &self.seen {
            Some((since, _)) if passed && begun >= *since => self.probed = self.probed.or(Some(now)),
            Some(_) if passed => {}
            _ => self.probed = None,
        }
    }

    /// Since when all is well, the probe included where there is one.
    pub(crate) fn since(&self, with_probe: bool) -> Option<Instant> {
        match &self.seen {
            Some((since, _)) if !with_probe => Some(*since),
            Some(_) => self.probed,
            None => None,
        }
    }
}

/// How long to wait before the next look, so long after the first one: most releases become healthy within seconds,
/// and those that take minutes shall not keep the engine busy.
pub(crate) fn interval(waited: Duration) -> Duration {
    Duration::from_millis(match waited.as_secs() {
        0..=4 => 50,
        5..=14 => 100,
        15..=59 => 250,
        _ => 500,
    })
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn all_is_well_since_the_last_change_and_the_first_good_probe_after_it() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let (one, other) = (fingerprint(&[container("api")]), fingerprint(&[container("web")]));
        let mut steadiness = Steadiness::default();
        assert_eq!(steadiness.since(false), None);
        steadiness.see(one.clone(), at(1));
        steadiness.see(one.clone(), at(2));
        assert_eq!((steadiness.since(false), steadiness.since(true)), (Some(at(1)), None));
        steadiness.probe(at(0), true, at(2));
        assert_eq!(steadiness.since(true), None, "it had begun before");
        steadiness.probe(at(2), true, at(3));
        steadiness.probe(at(3), true, at(4));
        assert_eq!(steadiness.since(true), Some(at(3)));
        steadiness.probe(at(4), false, at(5));
        assert_eq!((steadiness.since(false), steadiness.since(true)), (Some(at(1)), None));
        steadiness.probe(at(5), true, at(6));
        steadiness.see(other, at(7));
        assert_eq!((steadiness.since(false), steadiness.since(true)), (Some(at(7)), None));
        steadiness.lose();
        assert_eq!(steadiness.since(false), None);
    }

    #[test]
    fn looks_become_rarer() {
        let at = |seconds| interval(Duration::from_secs(seconds)).as_millis();
        assert_eq!([at(0), at(4), at(5), at(20), at(600)], [50, 50, 100, 250, 500]);
    }
}
