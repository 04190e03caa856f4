//! What the service manager is told while the daemon runs: what is being deployed, and that the daemon is alive.

use std::fmt::Write as _;
use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::deploy::catalog::Catalog;
use crate::http::Readiness;
use crate::runner::Activity;
use crate::service_manager::ServiceManager;
use crate::store::Store;

/// What there is to tell.
pub(super) struct News {
    pub(super) activity: watch::Receiver<Activity>,
    pub(super) readiness: watch::Receiver<Readiness>,
    pub(super) catalog: watch::Receiver<Arc<Catalog>>,
}

impl News {
    /// Tells the manager each time that something has changed, until `stop` fires.
    pub(super) async fn tell(mut self, manager: Arc<ServiceManager>, stop: CancellationToken) {
        while manager.listens() {
            let line = {
                let activity = self.activity.borrow_and_update();
                let readiness = self.readiness.borrow_and_update();
                describe(&activity, &readiness, self.catalog.borrow_and_update().len())
            };
            manager.status(&line);
            tokio::select! {
                () = stop.cancelled() => return,
                Ok(()) = self.activity.changed() => {}
                Ok(()) = self.readiness.changed() => {}
                Ok(()) = self.catalog.changed() => {}
                else => return,
            }
        }
    }
}

/// Gives the manager signs of life, until `stop` fires. There is none while the runtime does not get to it or the store's
/// writer does not answer; whether it can write is another question, which a restart would not answer better.
pub(super) async fn prove_life(store: Store, manager: Arc<ServiceManager>, stop: CancellationToken) {
    let Some(within) = manager.watchdog() else { return };
    loop {
        store.answers().await;
        manager.alive();
        if stop.run_until_cancelled(tokio::time::sleep(within / 2)).await.is_none() {
            return;
        }
    }
}

/// One line: `deploying shop (ID), 1 waiting`.
fn describe(activity: &Activity, readiness: &Readiness, projects: usize) -> String {
    let mut line = String::new();
    if *readiness == Readiness::Draining {
        line += "stopping; ";
    }
    for (number, (id, project)) in activity.running.iter().enumerate() {
        let _ = write!(line, "{} {project} ({id})", if number == 0 { "deploying" } else { "," });
    }
    if activity.running.is_empty() {
        line += "idle";
    }
    if activity.waiting > 0 {
        let _ = write!(line, ", {} waiting", activity.waiting);
    } else if activity.running.is_empty() {
        let _ = write!(line, ", {projects} project{}", if projects == 1 { "" } else { "s" });
    }
    if let Readiness::StaleConfiguration { .. } = readiness {
        line += "; the newest configuration is broken, the one before is in force";
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    fn activity(running: &[(&str, &str)], waiting: usize) -> Activity {
        let entry = |(id, project): &(&str, &str)| (id.parse().unwrap(), project.parse().unwrap());
        Activity { running: running.iter().map(entry).collect(), waiting }
    }

    #[test]
    fn the_line_names_what_is_being_deployed_and_what_is_wrong() {
        const ONE: &str = "01kah3z5qk8y1v6t5r4p3n2m1a";
        const TWO: &str = "01kah3z5qk8y1v6t5r4p3n2m1b";
        let broken = Readiness::StaleConfiguration { problem: "x".into(), in_force_since: Timestamp::from_millis(0) };
        let line = |activity: &Activity, readiness| describe(activity, &readiness, 3);
        assert_eq!(line(&activity(&[], 0), Readiness::Ready), "idle, 3 projects");
        assert_eq!(
            line(&activity(&[(ONE, "shop")], 1), Readiness::Ready),
            format!("deploying shop ({ONE}), 1 waiting")
        );
        assert_eq!(
            line(&activity(&[(ONE, "shop"), (TWO, "site")], 0), Readiness::Draining),
            format!("stopping; deploying shop ({ONE}), site ({TWO})")
        );
        assert_eq!(
            line(&activity(&[], 0), broken),
            "idle, 3 projects; the newest configuration is broken, the one before is in force"
        );
    }
}
