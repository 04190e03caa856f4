//! The parts of the daemon that run as long as it does. Each has a name, and the stage of stopping by whose end it has
//! ended as well.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long tasks may take to notice that they are to end at once.
const ABORT_TIMEOUT: Duration = Duration::from_secs(5);

/// The stages in which the daemon stops, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// Nothing new is begun, and what is under way goes on to a point where it can be resumed.
    Closing,
    /// What is still under way ends at once.
    Aborting,
    /// Nobody is answered any longer.
    HangingUp,
}

/// All parts that run.
#[derive(Default)]
pub(super) struct Services {
    closing: CancellationToken,
    aborting: CancellationToken,
    hanging_up: CancellationToken,
    running: Vec<Service>,
}

struct Service {
    name: &'static str,
    ends: Stage,
    tasks: TaskTracker,
}

impl Services {
    /// Adds a part that ends by the end of that stage. Its tasks are spawned on the tracker.
    pub(super) fn add(&mut self, name: &'static str, ends: Stage) -> TaskTracker {
        let tasks = TaskTracker::new();
        self.running.push(Service { name, ends, tasks: tasks.clone() });
        tasks
    }

    /// Fires when that stage begins.
    pub(super) fn begun(&self, stage: Stage) -> CancellationToken {
        let begun = match stage {
            Stage::Closing => &self.closing,
            Stage::Aborting => &self.aborting,
            Stage::HangingUp => &self.hanging_up,
        };
        begun.clone()
    }

    /// Goes through the stages. The first takes at most `drain_timeout`.
    pub(super) async fn stop(self, drain_timeout: Duration) {
        for stage in [Stage::Closing, Stage::Aborting, Stage::HangingUp] {
            self.begun(stage).cancel();
            let patience = if stage == Stage::Closing { drain_timeout } else { ABORT_TIMEOUT };
            let late = self.wait_for(stage, Instant::now() + patience).await;
            if !late.is_empty() {
                tracing::warn!(
                    ?stage,
                    services = late.join(", "),
                    "these services did not end in time; deployments under way resume at the next start"
                );
            }
        }
    }

    /// How long [`Services::stop`] takes at most.
    pub(super) const fn stop_timeout(drain_timeout: Duration) -> Duration {
        drain_timeout.saturating_add(ABORT_TIMEOUT.saturating_mul(2))
    }

    /// Waits for all that end by the end of `stage`, and gives the names of those that did not.
    async fn wait_for(&self, stage: Stage, deadline: Instant) -> Vec<&'static str> {
        let ending = self.running.iter().filter(|service| service.ends <= stage);
        let late = ending.map(|service| async {
            service.tasks.close();
            timeout_at(deadline, service.tasks.wait()).await.is_err().then_some(service.name)
        });
        join_all(late).await.into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[tokio::test]
    async fn each_service_ends_in_its_stage_and_one_that_is_late_is_aborted() {
        let (mut services, told) = (Services::default(), Arc::new(Mutex::new(Vec::new())));
        for (name, ends, at) in [
            ("answers", Stage::HangingUp, Stage::HangingUp),
            ("late", Stage::Closing, Stage::Aborting),
            ("quick", Stage::Closing, Stage::Closing),
        ] {
            let (begun, told) = (services.begun(at), Arc::clone(&told));
            services.add(name, ends).spawn(async move {
                begun.cancelled().await;
                told.lock().unwrap().push(name);
            });
        }
        let (begun, drain) = (Instant::now(), Duration::from_millis(100));
        services.stop(drain).await;
        assert_eq!(*told.lock().unwrap(), ["quick", "late", "answers"]);
        assert!(begun.elapsed() >= drain && begun.elapsed() < ABORT_TIMEOUT, "only the late one was waited for");
    }
}
