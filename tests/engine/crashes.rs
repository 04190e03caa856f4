//! windlass is killed in the middle of a deployment: after the restart it reaches an outcome by itself, and what runs
//! and what is pinned is one whole release.

use std::sync::Arc;

use serde_json::Value;

use crate::image::{Image, Stop};
use crate::program::eventually;
use crate::proxy::Proxy;
use crate::registry::{Published, Registry};
use crate::run::Run;
use crate::site::{PATIENCE, Site};

const GATED: &str = "  web:\n    image: {repo}/app:live\n    volumes: [\"./gate:/gate\"]\n";

/// Compose takes three seconds to stop it.
const STUBBORN: &str = "  web:\n    image: {repo}/app:live\n    stop_grace_period: 3s\n";

/// A registry of its own behind a door that can be held.
pub fn registry_behind_a_door() -> (Arc<Registry>, Proxy) {
    let run = Run::get();
    let directory = run.directory.join(format!("{}-registry", run.name_a_test()));
    std::fs::create_dir(&directory).unwrap();
    let registry = Registry::start(&directory.join("registry"), 0);
    let proxy = Proxy::before(registry.port());
    (Arc::new(registry), proxy)
}

/// Does not stop when it is told to.
fn stubborn(version: &str) -> Image {
    Image::web(version).stopping(Stop::Never)
}

/// Healthy for as long as there is a file of its version's name behind the gate.
pub fn gated(version: &str) -> Image {
    Image::web(version).checked(&format!("test -e /gate/{version}")).with_patience(1000)
}

/// Lets a gated version become healthy.
pub fn open_gate(site: &Site, version: &str) {
    std::fs::write(gate(site, version), "").unwrap();
}

fn gate(site: &Site, version: &str) -> std::path::PathBuf {
    std::fs::create_dir_all(site.project_directory().join("gate")).unwrap();
    site.project_directory().join("gate").join(version)
}

/// Whether the step called `name` of the plan in force has begun.
pub fn has_begun(events: &[Value], name: &str) -> bool {
    let planned = events.iter().rposition(|event| event.get("plan").is_some());
    planned.is_some_and(|at| {
        let steps = events[at]["plan"]["steps"].as_array().unwrap();
        let number = steps.iter().position(|step| step["do"] == name);
        events[at..]
            .iter()
            .any(|event| event["event"] == "step_started" && event["step"].as_u64() == number.map(|n| n as u64))
    })
}

/// A site where v1 is in service and v2 in the registry, both gated, and the gate is open for v1.
fn with_a_gate() -> (Site, Published, Published) {
    let mut site = Site::with(GATED);
    let (v1, v2) = (site.publish("app:v1", &gated("v1")), site.publish("app:v2", &gated("v2")));
    open_gate(&site, "v1");
    site.start();
    site.deploy("app:v1").succeeded();
    site.has(&v1);
    (site, v1, v2)
}

fn ends(site: &Site, id: &str, outcome: &str) {
    let deployment = site.outcome(id);
    assert_eq!(deployment["status"], outcome, "{deployment}");
    assert!(site.events(id).iter().any(|event| event["event"] == "resumed"));
}

#[test]
fn killed_during_a_pull_it_pulls_again_and_succeeds() {
    let (registry, proxy) = registry_behind_a_door();
    let mut site = Site::with_registry(registry, &proxy.address, "  web:\n    image: {repo}/app:live\n");
    let v1 = site.publish("app:v1", &Image::web("v1"));
    let v2 = site.publish("app:v2", &Image::web("v2").with_megabytes(40));
    site.start();
    site.deploy("app:v1").succeeded();
    proxy.hold_after(10 << 20);
    let id = site.ask("app:v2");
    proxy.until_held();
    let phase = site.read(&format!("/v1/deployments/{id}"))["phase"].clone();
    // An engine that cannot ask a registry what an image is has to pull it for that.
    assert!(phase == "pulling" || phase == "resolving", "{phase}");
    site.kill();
    site.has(&v1);
    proxy.release();
    site.start();
    ends(&site, &id, "succeeded");
    site.has(&v2);
}

#[test]
fn killed_while_compose_replaces_the_container_it_applies_again_and_succeeds() {
    let mut site = Site::with(STUBBORN);
    site.publish("app:v1", &stubborn("v1"));
    let v2 = site.publish("app:v2", &Image::web("v2"));
    site.start();
    site.deploy("app:v1").succeeded();
    let id = site.ask("app:v2");
    site.until(&id, "compose to begin", |events| has_begun(events, "apply"));
    site.kill();
    site.start();
    ends(&site, &id, "succeeded");
    site.has(&v2);
}

/// A site that was killed while Compose replaces v1 with v2, and that deployment.
fn killed_in_the_middle() -> (Site, Published, Published, String) {
    let mut site = Site::with(STUBBORN);
    let v1 = site.publish("app:v1", &stubborn("v1"));
    let v2 = site.publish("app:v2", &Image::web("v2"));
    site.start();
    site.deploy("app:v1").succeeded();
    let id = site.ask("app:v2");
    site.until(&id, "compose to begin", |events| has_begun(events, "apply"));
    site.kill();
    (site, v1, v2, id)
}

#[test]
fn killed_in_the_middle_and_its_project_removed_the_old_release_is_put_back() {
    let (mut site, v1, _, id) = killed_in_the_middle();
    std::fs::remove_file(site.directory.join("projects.d/project.toml")).unwrap();
    site.start();
    ends(&site, &id, "rolled_back");
    site.has(&v1);
}

#[test]
fn killed_in_the_middle_and_its_project_moved_it_ends_where_it_was_begun() {
    let (mut site, _, v2, id) = killed_in_the_middle();
    let elsewhere = site.directory.join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    std::fs::copy(site.project_directory().join("compose.yaml"), elsewhere.join("compose.yaml")).unwrap();
    site.project(&["app"], "[projects.{name}.compose]\ndirectory = \"{dir}/elsewhere\"\n");
    site.start();
    ends(&site, &id, "succeeded");
    site.has(&v2);
    assert!(site.events(&id).iter().any(|event| event["text"].as_str().is_some_and(|text| text.contains("target"))));
}

#[test]
fn killed_together_with_compose_in_the_middle_of_a_replacement_it_succeeds() {
    let mut site = Site::with(STUBBORN);
    site.publish("app:v1", &stubborn("v1"));
    let v2 = site.publish("app:v2", &Image::web("v2"));
    site.start();
    site.deploy("app:v1").succeeded();
    let id = site.ask("app:v2");
    eventually(PATIENCE, "compose to have made the new container", || {
        (site.engine.containers(&[&format!("label=com.docker.compose.project={}", site.name)]).len() == 2).then_some(())
    });
    site.kill();
    assert!(site.kill_compose() > 0, "compose had ended already");
    site.start();
    ends(&site, &id, "succeeded");
    site.has(&v2);
}

#[test]
fn killed_after_the_old_container_is_gone_it_succeeds() {
    let (mut site, v1, v2) = with_a_gate();
    let before = site.container("web");
    let id = site.ask("app:v2");
    eventually(PATIENCE, "the old container to be gone", || {
        let ids = site.engine.containers(&[&format!("label=com.docker.compose.project={}", site.name)]);
        (ids.first() != before.as_ref().map(|container| &container.id)).then_some(())
    });
    site.kill();
    open_gate(&site, "v2");
    site.start();
    ends(&site, &id, "succeeded");
    site.has(&v2);
    assert_ne!(v1, v2);
}

#[test]
fn killed_while_it_waits_for_health_it_waits_again_and_succeeds() {
    let (mut site, _, v2) = with_a_gate();
    let id = site.ask("app:v2");
    site.until(&id, "the wait for health", |events| has_begun(events, "await_healthy"));
    site.kill();
    let waiting = site.container("web");
    site.start();
    open_gate(&site, "v2");
    ends(&site, &id, "succeeded");
    site.has(&v2);
    assert_eq!(site.container("web"), waiting, "what was applied already is not applied anew");
}

#[test]
fn killed_while_it_waits_for_health_it_is_rolled_back_when_health_does_not_come() {
    let (mut site, v1, _) = with_a_gate();
    site.publish("app:sick", &Image::web("sick").checked("echo sick; exit 1").with_patience(4));
    let id = site.ask("app:sick");
    site.until(&id, "the wait for health", |events| has_begun(events, "await_healthy"));
    site.kill();
    site.start();
    ends(&site, &id, "rolled_back");
    site.has(&v1);
}

#[test]
fn killed_during_a_rollback_it_ends_the_rollback() {
    let (mut site, v1, _) = with_a_gate();
    site.publish("app:bad", &Image::running("bad", "exit 1"));
    // The rollback waits for v1 to be healthy again, which it is not before the gate is open again.
    std::fs::remove_file(gate(&site, "v1")).unwrap();
    let id = site.ask("app:bad");
    let rolls_back = |events: &[Value]| {
        events.iter().any(|event| event["event"] == "rolling_back") && has_begun(events, "await_healthy")
    };
    site.until(&id, "the rollback to wait for health", rolls_back);
    assert_eq!(site.read(&format!("/v1/deployments/{id}"))["phase"], "rolling_back");
    site.kill();
    site.start();
    open_gate(&site, "v1");
    ends(&site, &id, "rolled_back");
    site.has(&v1);
}

#[test]
fn what_was_accepted_and_had_to_wait_is_deployed_after_the_restart() {
    let (mut site, _, _) = with_a_gate();
    let v3 = site.publish("app:v3", &Image::web("v3"));
    let second = site.ask("app:v2");
    site.until(&second, "the wait for health", |events| has_begun(events, "await_healthy"));
    let third = site.ask("app:v3");
    site.kill();
    site.start();
    open_gate(&site, "v2");
    assert_eq!(site.outcome(&second)["status"], "succeeded");
    assert_eq!(site.outcome(&third)["status"], "succeeded");
    site.has(&v3);
}
