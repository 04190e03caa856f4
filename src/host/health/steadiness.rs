//! Since when all has been well: what is watched must stay the same for as long as a release settles.

use std::time::Duration;

use tokio::time::Instant;

/// A container or a unit, and since when it runs.
pub(in crate::host) type Mark = (String, i64, String);

/// Since when all has been well without a break.
#[derive(Debug, Default)]
pub(in crate::host) struct Steadiness {
    /// What is watched, unchanged and good since then.
    seen: Option<(Instant, Vec<Mark>)>,
    /// And the project's own probe passing since then.
    probed: Option<Instant>,
}

impl Steadiness {
    /// What is watched is good.
    pub(in crate::host) fn see(&mut self, marks: Vec<Mark>, now: Instant) {
        if self.seen.as_ref().is_none_or(|(_, before)| *before != marks) {
            *self = Self { seen: Some((now, marks)), probed: None };
        }
    }

    /// It is not.
    pub(in crate::host) fn lose(&mut self) {
        *self = Self::default();
    }

    /// Whether what is watched is good, whatever the probe says.
    pub(in crate::host) const fn is_seen(&self) -> bool {
        self.seen.is_some()
    }

    /// A probe that began at `begun` has ended. One that began before something was started anew proves
    /// nothing.
    pub(in crate::host) fn probe(&mut self, begun: Instant, passed: bool, now: Instant) {
        match &self.seen {
            Some((since, _)) if passed && begun >= *since => self.probed = self.probed.or(Some(now)),
            Some(_) if passed => {}
            _ => self.probed = None,
        }
    }

    /// Since when all is well, the probe included where there is one.
    pub(in crate::host) fn since(&self, with_probe: bool) -> Option<Instant> {
        match &self.seen {
            Some((since, _)) if !with_probe => Some(*since),
            Some(_) => self.probed,
            None => None,
        }
    }
}

/// How long to wait before the next look, so long after the first one: most releases become healthy within seconds,
/// and those that take minutes shall not keep the engine busy.
pub(in crate::host) fn interval(waited: Duration) -> Duration {
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

    #[test]
    fn all_is_well_since_the_last_change_and_the_first_good_probe_after_it() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let marks = |name: &str| vec![(name.to_owned(), 0, "10:00".to_owned())];
        let (one, other) = (marks("api"), marks("web"));
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
