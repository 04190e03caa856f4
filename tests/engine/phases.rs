//! A deployment is cancelled, or runs out of time, in each of its phases, over containers that ignore SIGTERM: the old
//! release runs afterwards, and it is whole.

use std::path::PathBuf;

use serde_json::Value;

use crate::crashes::{has_begun, registry_behind_a_door};
use crate::door::EngineDoor;
use crate::image::{Image, Stop};
use crate::kinds::{for_each, is_whole};
use crate::program::{PATIENCE, eventually};
use crate::proxy::Proxy;
use crate::registry::Published;
use crate::site::Site;

/// Where a deployment is when it is interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Pull,
    Keep,
    Before,
    Pin,
    Apply,
    AwaitHealthy,
}

/// All but [`Phase::Apply`], which needs an engine that gives a container the time it has to stop.
const OTHER_PHASES: [Phase; 5] = [Phase::Pull, Phase::Keep, Phase::Before, Phase::Pin, Phase::AwaitHealthy];

/// A site where v1 is in service and ignores SIGTERM, and whose deployments can be held in each phase.
struct Stage {
    site: Site,
    v1: Published,
    registry: Proxy,
    engine: EngineDoor,
}

fn stubborn(version: &str) -> Image {
    Image::web(version).stopping(Stop::Never)
}

impl Stage {
    /// `own` is what the project's own table has besides, and `service` what its service has.
    fn set(own: &str, service: &str) -> Self {
        let (own_registry, registry) = registry_behind_a_door();
        let services = format!("  web:\n    image: {{repo}}/app:live\n{service}");
        let mut site = Site::with_registry(own_registry, &registry.address, &services);
        let engine = EngineDoor::new();
        site.env("DOCKER_HOST", &engine.address);
        let wait = "\"/bin/sh\", \"-c\", \"until [ -e $0 ]; do sleep 0.1; done\", \"{dir}/{name}/before\"";
        site.project_with(&["app"], own, &format!("[projects.{{name}}.lifecycle]\nbefore = [{wait}]\n"));
        let v1 = site.publish("app:v1", &stubborn("v1"));
        site.publish("app:v2", &stubborn("v2").with_megabytes(20));
        site.publish("app:ill", &stubborn("ill").checked("exit 1").with_patience(1000));
        site.start();
        let stage = Self { site, v1, registry, engine };
        stage.release();
        stage.site.deploy("app:v1").succeeded();
        stage
    }

    /// Deploys as far as `phase`, and holds the deployment there.
    fn hold_in(&self, phase: Phase) -> String {
        let site = &self.site;
        match phase {
            Phase::Pull => {
                self.registry.hold_after(10 << 20);
                let id = site.ask("app:v2");
                self.registry.until_held();
                id
            }
            Phase::Keep => self.hold_at("name=windlass-keep"),
            Phase::Pin => self.hold_at("tag=live"),
            Phase::Before => {
                std::fs::remove_file(self.gate()).unwrap();
                self.until_begun(site.ask("app:v2"), "before")
            }
            Phase::Apply => {
                let id = site.ask("app:v2");
                let old = site.container("web").unwrap().id;
                eventually(PATIENCE, "the old container to be told to stop", || {
                    site.engine.is_stopping(&old).then_some(())
                });
                id
            }
            Phase::AwaitHealthy => self.until_begun(site.ask("app:ill"), "await_healthy"),
        }
    }

    fn hold_at(&self, request: &str) -> String {
        self.engine.hold(request);
        let id = self.site.ask("app:v2");
        self.engine.until_held();
        id
    }

    fn until_begun(&self, id: String, step: &str) -> String {
        self.site.until(&id, step, |events| has_begun(events, step));
        id
    }

    /// Holds nothing any more.
    fn release(&self) {
        self.registry.release();
        self.engine.release();
        std::fs::write(self.gate(), "").unwrap();
    }

    /// What the project's own command waits for before anything is touched.
    fn gate(&self) -> PathBuf {
        self.site.project_directory().join("before")
    }

    /// Asserts that the deployment ends like this, and that v1 runs.
    fn ends(&self, id: &str, outcome: &str) {
        let deployment = self.site.outcome(id);
        assert_eq!(deployment["status"], outcome, "{deployment}");
        is_whole(&self.site, &self.v1);
    }
}

fn is_cancelled_in(phase: Phase) {
    let stage = Stage::set("", "");
    let id = stage.hold_in(phase);
    let cancel = stage.site.command(&["cancel", &id]);
    assert_eq!(cancel.code, 0, "{}", cancel.stderr);
    stage.release();
    stage.ends(&id, "cancelled");
    stage.site.deploy("app:v2").succeeded();
}

/// `service` is what the service has besides.
fn runs_out_of_time_in(phase: Phase, service: &str) {
    let stage = Stage::set("timeout = \"60s\"", service);
    let id = stage.hold_in(phase);
    let is_over = |event: &Value| event["event"] == "rolling_back" || event["event"] == "finished";
    stage.site.until(&id, "the end of its time", |events| events.iter().any(is_over));
    stage.release();
    let untouched = matches!(phase, Phase::Pull | Phase::Keep | Phase::Before);
    stage.ends(&id, if untouched { "abandoned" } else { "rolled_back" });
}

#[test]
fn what_an_interrupted_pin_asked_the_engine_for_may_be_carried_out_late() {
    let stage = Stage::set("", "");
    let id = stage.hold_in(Phase::Pin);
    assert_eq!(stage.site.command(&["cancel", &id]).code, 0);
    stage.engine.hold_no_more();
    // The way back has pinned v1 by then, and is about to apply it.
    stage.until_begun(id.clone(), "apply");
    stage.release();
    stage.ends(&id, "cancelled");
    stage.site.deploy("app:v2").succeeded();
}

#[test]
fn a_deployment_that_is_cancelled_in_apply_leaves_the_old_release_running() {
    is_cancelled_in(Phase::Apply);
}

#[test]
fn a_deployment_that_is_cancelled_in_another_phase_leaves_the_old_release_running() {
    for_each(&OTHER_PHASES, is_cancelled_in);
}

#[test]
fn a_deployment_that_runs_out_of_time_in_apply_leaves_the_old_release_running() {
    // The old container stops for longer than there is time, whenever that begins.
    runs_out_of_time_in(Phase::Apply, "    stop_grace_period: 75s\n");
}

#[test]
fn a_deployment_that_runs_out_of_time_in_another_phase_leaves_the_old_release_running() {
    for_each(&OTHER_PHASES, |phase| runs_out_of_time_in(phase, ""));
}

#[test]
fn the_way_back_comes_to_its_end_though_it_is_cancelled() {
    let stage = Stage::set("", "");
    let sick = Image::web("sick").stopping(Stop::Never).checked("echo sick; exit 1");
    stage.site.publish("app:sick", &sick);
    let id = stage.site.ask("app:sick");
    let goes_back = |event: &Value| event["event"] == "rolling_back";
    let is_stopping = |events: &[Value]| events.iter().any(goes_back) && has_begun(events, "apply");
    stage.site.until(&id, "the way back", is_stopping);
    let cancel = stage.site.command(&["cancel", &id]);
    assert!(cancel.code == 10 && cancel.stderr.contains("is being rolled back"), "{}{}", cancel.stdout, cancel.stderr);
    stage.ends(&id, "rolled_back");
}
