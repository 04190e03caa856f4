//! What systemd says about a unit, and whether it works by that: pure facts.

use crate::deploy::snapshot::Condition;
use crate::host::health::steadiness::Mark;
use crate::host::health::verdict::Verdict;
use crate::model::UnitName;

/// So many restarts since the job, and it is a loop.
const LOOP: u32 = 3;

/// What systemd says about one unit, in its own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::host) struct UnitFacts {
    pub(in crate::host) name: UnitName,
    /// `loaded`, `not-found`, `masked`, …
    pub(in crate::host) load: String,
    /// `active`, `reloading`, `inactive`, `failed`, `activating`, `deactivating`.
    pub(in crate::host) active: String,
    /// `running`, `exited`, `dead`, `auto-restart`, …
    pub(in crate::host) sub: String,
    /// `simple`, `oneshot`, …; empty for what is no service.
    pub(in crate::host) kind: String,
    /// `success`, or how it failed.
    pub(in crate::host) result: String,
    /// How often it was restarted by itself since it was started.
    pub(in crate::host) restarts: u32,
    pub(in crate::host) exit_code: i32,
    pub(in crate::host) can_reload: bool,
    /// Another one each time that it is started; empty when systemd has forgotten it.
    pub(in crate::host) invocation: String,
}

impl UnitFacts {
    /// A unit of which nothing is known yet.
    pub(in crate::host) fn new(name: UnitName) -> Self {
        let success = "success".to_owned();
        let (load, active, sub, kind, invocation) = Default::default();
        Self {
            name,
            load,
            active,
            sub,
            kind,
            result: success,
            restarts: 0,
            exit_code: 0,
            can_reload: false,
            invocation,
        }
    }

    /// Whether it does its work as far as one look can tell: it is up, or has done what it had to. systemd forgets when
    /// a oneshot has run, so each one that has not failed counts.
    pub(in crate::host) fn works(&self) -> bool {
        matches!(self.judge(0), Verdict::Good)
    }

    /// The same for programs. What failed, and what was stopped, is not starting.
    pub(in crate::host) fn condition(&self) -> Condition {
        match self.judge(0) {
            Verdict::Good => Condition::Working,
            Verdict::Wait(_) => Condition::Starting,
            Verdict::Bad(_) => Condition::Broken,
        }
    }

    /// Whether it is up now.
    pub(in crate::host) fn is_up(&self) -> bool {
        matches!(self.active.as_str(), "active" | "reloading")
    }

    /// Whether it is neither up, nor has failed, nor has done what it had to.
    pub(in crate::host) fn is_out_of_service(&self) -> bool {
        self.active == "inactive" && !self.works()
    }

    /// Why it cannot be deployed to, if so.
    pub(in crate::host) fn unusable(&self) -> Option<String> {
        match self.load.as_str() {
            "loaded" => None,
            "not-found" => Some(format!("systemd has no unit {}: correct its name, or install it", self.name)),
            "masked" => Some(format!("{0} is masked: systemctl unmask {0}", self.name)),
            other => Some(format!("{0} cannot be loaded ({other}): systemctl status {0} says why", self.name)),
        }
    }

    /// One look. `before` is how often it had restarted by itself before it was touched.
    pub(in crate::host) fn judge(&self, before: u32) -> Verdict {
        let words = self.state_words();
        if self.restarts.saturating_sub(before) >= LOOP {
            return Verdict::Bad(words);
        }
        match self.active.as_str() {
            "active" => Verdict::Good,
            // It has done what it had to, and ended.
            "inactive" if self.kind == "oneshot" && self.result == "success" => Verdict::Good,
            "inactive" | "failed" => Verdict::Bad(words),
            _ => Verdict::Wait(words),
        }
    }

    /// The state as people say it: `active (running)`, `failed (exit-code 3)`, …
    pub(in crate::host) fn state_words(&self) -> String {
        if let Some(why) = self.unusable() {
            return why;
        }
        let mut words = match self.active.as_str() {
            "failed" if self.result == "exit-code" => format!("failed (exit code {})", self.exit_code),
            "failed" => format!("failed ({})", self.result),
            active => format!("{active} ({})", self.sub),
        };
        if self.restarts > 0 {
            let times = if self.restarts == 1 { "once".to_owned() } else { format!("{} times", self.restarts) };
            words = format!("{words}, restarted {times}");
        }
        words
    }

    /// The unit, and since when it runs.
    pub(in crate::host) fn mark(&self) -> Mark {
        (self.name.to_string(), i64::from(self.restarts), self.invocation.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(kind: &str, active: &str, sub: &str) -> UnitFacts {
        UnitFacts {
            load: "loaded".to_owned(),
            active: active.to_owned(),
            sub: sub.to_owned(),
            kind: kind.to_owned(),
            invocation: "1".to_owned(),
            ..UnitFacts::new("site.service".parse().unwrap())
        }
    }

    #[test]
    fn one_look_tells_good_from_bad_from_not_yet() {
        let failed = UnitFacts { result: "exit-code".to_owned(), exit_code: 3, ..unit("simple", "failed", "failed") };
        let late = UnitFacts { result: "timeout".to_owned(), ..unit("notify", "failed", "failed") };
        let restarting = UnitFacts { restarts: 2, ..unit("simple", "activating", "auto-restart") };
        let looping = UnitFacts { restarts: 3, ..restarting.clone() };
        let up_in_a_loop = UnitFacts { restarts: 3, ..unit("simple", "active", "running") };
        for (unit, words, verdict) in [
            (unit("simple", "active", "running"), "active (running)", "good"),
            (unit("oneshot", "active", "exited"), "active (exited)", "good"),
            (unit("oneshot", "inactive", "dead"), "inactive (dead)", "good"),
            (unit("oneshot", "activating", "start"), "activating (start)", "wait"),
            (unit("notify", "reloading", "reload"), "reloading (reload)", "wait"),
            (unit("simple", "inactive", "dead"), "inactive (dead)", "bad"),
            (failed, "failed (exit code 3)", "bad"),
            (late, "failed (timeout)", "bad"),
            (restarting, "activating (auto-restart), restarted 2 times", "wait"),
            (looping, "activating (auto-restart), restarted 3 times", "bad"),
            (up_in_a_loop, "active (running), restarted 3 times", "bad"),
        ] {
            let found = match unit.judge(0) {
                Verdict::Good => "good",
                Verdict::Wait(_) => "wait",
                Verdict::Bad(_) => "bad",
            };
            assert_eq!((unit.state_words().as_str(), found), (words, verdict));
            let condition = match verdict {
                "good" => Condition::Working,
                "wait" => Condition::Starting,
                _ => Condition::Broken,
            };
            assert_eq!(unit.condition(), condition, "{words}");
        }
        let old = UnitFacts { restarts: 7, ..unit("simple", "active", "running") };
        assert_eq!(old.judge(7), Verdict::Good, "what it did before the release says nothing");
    }

    #[test]
    fn what_is_stopped_is_out_of_service_and_a_oneshot_that_ended_is_not() {
        let done = unit("oneshot", "inactive", "dead");
        assert!(done.works() && !done.is_out_of_service() && !done.is_up());
        assert!(unit("simple", "inactive", "dead").is_out_of_service());
        assert!(!unit("simple", "failed", "failed").is_out_of_service());
        assert!(unit("simple", "active", "running").is_up());
    }

    #[test]
    fn a_unit_that_cannot_be_deployed_to_is_said_with_the_fix() {
        let why = |load: &str| UnitFacts { load: load.to_owned(), ..unit("", "inactive", "dead") }.unusable();
        assert_eq!(why("loaded"), None);
        assert!(why("not-found").unwrap().contains("has no unit site.service"));
        assert!(why("masked").unwrap().contains("systemctl unmask site.service"));
        assert!(why("bad-setting").unwrap().contains("systemctl status site.service"));
    }
}
