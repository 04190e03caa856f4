//! A container as the engine describes it, as far as windlass asks: pure facts.

use std::time::Duration;

use crate::deploy::event::Evidence;
use crate::deploy::snapshot::Condition;
use crate::model::ImageReference;

/// What the engine says about one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::host) struct ContainerFacts {
    pub(in crate::host) id: String,
    pub(in crate::host) name: String,
    /// The Compose service that it belongs to.
    pub(in crate::host) service: String,
    /// Its number among the service's containers.
    pub(in crate::host) number: u32,
    /// Seconds since the epoch, or a text that sorts by time: what was made later compares greater.
    pub(in crate::host) created: String,
    /// What Compose noted of the configuration that it made it from: how it will see whether it must replace it.
    pub(in crate::host) config_hash: String,
    /// The engine's id of the image that it was made from.
    pub(in crate::host) image_id: String,
    /// The reference that it was made from.
    pub(in crate::host) image: String,
    /// How long it gets to stop, where that was said.
    pub(in crate::host) stop_timeout: Option<Duration>,
    pub(in crate::host) state: State,
    pub(in crate::host) exit_code: i64,
    pub(in crate::host) out_of_memory: bool,
    /// Why the engine could not start it, if so.
    pub(in crate::host) error: String,
    /// How often its restart policy has started it again.
    pub(in crate::host) restarts: i64,
    pub(in crate::host) started_at: String,
    /// How long it has run, if it runs.
    pub(in crate::host) uptime: Duration,
    pub(in crate::host) policy: RestartPolicy,
    pub(in crate::host) health: Option<Health>,
    /// The last results of its health check.
    pub(in crate::host) health_log: Vec<String>,
    /// Whether it publishes a port, and so is no job that ends. A health check says nothing: a job may have that of its
    /// image, which is there for a server.
    pub(in crate::host) serves: bool,
}

/// How long a container gets to stop for which nothing was said.
const GRACE: Duration = Duration::from_secs(10);
/// What has run for so long after a restart is no longer suspected of falling over again at once.
const STEADY: Duration = Duration::from_secs(10);

/// What it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::host) enum State {
    Created,
    Running,
    Paused,
    Restarting,
    Exited,
    /// On its way out, or half removed.
    Dead,
}

/// What its own health check says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::host) enum Health {
    Starting,
    Healthy,
    Unhealthy,
}

/// What the engine does when it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::host) enum RestartPolicy {
    No,
    /// So many times when it failed; 0 is for ever.
    OnFailure(i64),
    Always,
}

impl ContainerFacts {
    /// Whether it does its work: running, not unhealthy and not about to fall over again, or a job that exited with 0.
    pub(in crate::host) fn works(&self) -> bool {
        match self.state {
            State::Running => self.health != Some(Health::Unhealthy) && !self.is_shaky(),
            State::Exited => self.exit_code == 0 && self.may_end(),
            State::Created | State::Paused | State::Restarting | State::Dead => false,
        }
    }

    /// Whether it may have done its work when it ends.
    pub(in crate::host) const fn may_end(&self) -> bool {
        !self.serves && !matches!(self.policy, RestartPolicy::Always)
    }

    /// The same for programs.
    pub(in crate::host) fn condition(&self) -> Condition {
        match self.health {
            _ if !self.works() => Condition::Broken,
            Some(Health::Starting) => Condition::Starting,
            _ => Condition::Working,
        }
    }

    /// Whether nobody has tried to start it.
    pub(in crate::host) fn was_never_started(&self) -> bool {
        self.state == State::Created && self.error.is_empty()
    }

    /// How long the engine waits before it kills this container, once it was asked to stop it.
    pub(in crate::host) fn grace(&self) -> Duration {
        self.stop_timeout.unwrap_or(GRACE)
    }

    /// Whether its restart policy has just started it again. How often it did so long ago says nothing.
    pub(in crate::host) fn is_shaky(&self) -> bool {
        self.restarts > 0 && (self.state == State::Restarting || self.uptime < STEADY)
    }

    /// The state as people say it: `healthy`, `exited (1)`, …
    pub(in crate::host) fn state_word(&self) -> String {
        match (self.state, self.health) {
            (State::Running, Some(Health::Healthy)) => "healthy".to_owned(),
            (State::Running, Some(Health::Unhealthy)) => "unhealthy".to_owned(),
            (State::Running, Some(Health::Starting)) => "starting".to_owned(),
            (State::Running, None) => "running".to_owned(),
            (State::Paused, _) => "paused".to_owned(),
            (State::Restarting, _) => "restarting".to_owned(),
            (State::Exited, _) if self.out_of_memory => format!("exited ({}), out of memory", self.exit_code),
            (State::Exited, _) => format!("exited ({})", self.exit_code),
            (State::Created, _) => "created".to_owned(),
            (State::Dead, _) => "dead".to_owned(),
        }
    }

    /// The state and what explains it.
    pub(in crate::host) fn state_words(&self) -> String {
        let mut words = self.state_word();
        if self.restarts > 0 {
            let times = if self.restarts == 1 { "once".to_owned() } else { format!("{} times", self.restarts) };
            words = format!("{words}, restarted {times}");
            if matches!(self.state, State::Running | State::Restarting) && self.exit_code != 0 {
                words = format!("{words}, exit code {}", self.exit_code);
            }
        }
        if !self.error.is_empty() {
            words = format!("{words}: {}", self.error);
        }
        words
    }

    /// The reference that it was made from, where that is one.
    pub(in crate::host) fn reference(&self) -> Option<ImageReference> {
        ImageReference::parse_familiar(&self.image).ok()
    }

    /// What it said last, for the one who has to find out why.
    pub(in crate::host) fn evidence(&self, log: Vec<String>) -> Evidence {
        Evidence { name: self.name.clone(), state: self.state_words(), log, health: self.health_log.clone() }
    }
}

#[cfg(test)]
pub(in crate::host) mod tests {
    use super::*;

    pub(in crate::host) fn container(service: &str) -> ContainerFacts {
        ContainerFacts {
            id: format!("{service}-id"),
            name: format!("shop-{service}-1"),
            service: service.to_owned(),
            number: 1,
            created: "2026-11-20T10:00:00Z".to_owned(),
            config_hash: format!("hash of {service}"),
            image_id: "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855".to_owned(),
            image: "ghcr.io/acme/api:main".to_owned(),
            stop_timeout: None,
            state: State::Running,
            exit_code: 0,
            out_of_memory: false,
            error: String::new(),
            restarts: 0,
            started_at: "2026-11-20T10:00:01Z".to_owned(),
            uptime: Duration::from_secs(1),
            policy: RestartPolicy::No,
            health: None,
            health_log: vec![],
            serves: false,
        }
    }

    #[test]
    fn the_state_is_said_in_words() {
        let base = container("api");
        let crashed = ContainerFacts { state: State::Exited, exit_code: 1, ..base.clone() };
        let looping = ContainerFacts { state: State::Restarting, exit_code: 2, restarts: 3, ..base.clone() };
        let killed = ContainerFacts { out_of_memory: true, exit_code: 137, ..crashed.clone() };
        let refused =
            ContainerFacts { state: State::Created, error: "port is already allocated".to_owned(), ..base.clone() };
        let shaky = ContainerFacts { restarts: 1, ..base.clone() };
        let recovered = ContainerFacts { uptime: Duration::from_secs(11), ..shaky.clone() };
        let sick = ContainerFacts { health: Some(Health::Unhealthy), ..base.clone() };
        for (container, words, works) in [
            (&base, "running", true),
            (&crashed, "exited (1)", false),
            (&looping, "restarting, restarted 3 times, exit code 2", false),
            (&killed, "exited (137), out of memory", false),
            (&refused, "created: port is already allocated", false),
            (&shaky, "running, restarted once", false),
            (&recovered, "running, restarted once", true),
            (&sick, "unhealthy", false),
        ] {
            assert_eq!((container.state_words().as_str(), container.works()), (words, works));
        }
    }
}
