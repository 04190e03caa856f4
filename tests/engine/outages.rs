//! The registry goes away, the engine is restarted, the disk is full: the old release stays in service until the new
//! one can take its place.

use std::fs;

use crate::crashes::{gated, has_begun, open_gate, registry_behind_a_door};
use crate::engine::PrivateEngine;
use crate::image::Image;
use crate::program::{PATIENCE, Program, eventually};
use crate::registry::Published;
use crate::site::Site;

const WEB: &str = "  web:\n    image: {repo}/app:live\n";

#[test]
fn a_registry_that_goes_away_in_the_middle_of_a_pull_leaves_the_old_release() {
    let (registry, proxy) = registry_behind_a_door();
    let mut site = Site::with_registry(registry.clone(), &proxy.address, WEB);
    let v1 = site.publish("app:v1", &Image::web("v1"));
    site.publish("app:v2", &Image::web("v2").with_megabytes(40));
    site.start();
    site.deploy("app:v1").succeeded();
    let before = site.container("web");
    site.project_with(&["app"], "timeout = \"20s\"", "");
    site.reload();
    proxy.hold_after(10 << 20);
    let id = site.ask("app:v2");
    proxy.until_held();
    registry.kill();
    proxy.release();
    let deployment = site.outcome(&id);
    assert_eq!(deployment["status"], "abandoned", "{deployment}");
    assert_eq!(site.container("web"), before);
    site.has(&v1);
}

#[test]
fn a_registry_that_comes_back_in_time_has_the_pull_go_on() {
    let (registry, proxy) = registry_behind_a_door();
    let mut site = Site::with_registry(registry, &proxy.address, WEB);
    site.publish("app:v1", &Image::web("v1"));
    let v2 = site.publish("app:v2", &Image::web("v2").with_megabytes(40));
    site.start();
    site.deploy("app:v1").succeeded();
    proxy.hold_after(10 << 20);
    let id = site.ask("app:v2");
    proxy.until_held();
    proxy.shut();
    let phase = site.read(&format!("/v1/deployments/{id}"))["phase"].clone();
    // An engine that cannot ask a registry what an image is has to pull it for that.
    assert!(phase == "pulling" || phase == "resolving", "{phase}");
    proxy.open();
    assert_eq!(site.outcome(&id)["status"], "succeeded");
    site.has(&v2);
}

#[test]
fn a_registry_that_is_not_there_yet_is_waited_for() {
    let (registry, proxy) = registry_behind_a_door();
    let mut site = Site::with_registry(registry, &proxy.address, WEB);
    let v1 = site.publish("app:v1", &Image::web("v1"));
    site.start();
    proxy.shut();
    let id = site.ask("app:v1");
    site.until(&id, "its turn", |events| events.iter().any(|event| event["event"] == "started"));
    assert_eq!(site.read(&format!("/v1/deployments/{id}"))["phase"], "resolving");
    proxy.open();
    assert_eq!(site.outcome(&id)["status"], "succeeded");
    site.has(&v1);
}

#[test]
fn a_registry_that_answers_nonsense_is_given_up_in_time_and_the_old_release_stays() {
    let (registry, proxy) = registry_behind_a_door();
    let mut site = Site::with_registry(registry, &proxy.address, WEB);
    let v1 = site.publish("app:v1", &Image::web("v1"));
    let v2 = site.publish("app:v2", &Image::web("v2"));
    site.start();
    site.deploy("app:v1").succeeded();
    site.project_with(&["app"], "timeout = \"15s\"", "");
    site.reload();
    let before = site.container("web");
    let empty = "Content-Length: 0\r\nConnection: close\r\n\r\n";
    for (head, why) in [
        ("429 Too Many Requests\r\nRetry-After: 1000000000\r\n", ""),
        ("503 Service Unavailable\r\n", ""),
        ("401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"again\"\r\n", "unauthorized"),
        ("401 Unauthorized\r\nWWW-Authenticate: Bearer realm=\"http://127.0.0.1:1/token\"\r\n", ""),
        ("200 OK\r\nContent-Type: text/plain\r\n", ""),
        ("302 Found\r\nLocation: /v2/\r\n", ""),
    ] {
        proxy.answer_with(Some(&format!("HTTP/1.1 {head}{empty}")));
        // A registry that asks for more time than there is would be waited for until then.
        let reason = site.deploy("app:v2").failed("abandoned");
        assert!(reason.contains(why), "{head}: {reason}");
        assert_eq!(site.container("web"), before, "{head}");
    }
    site.has(&v1);
    proxy.answer_with(None);
    site.project_with(&["app"], "", "");
    site.reload();
    site.deploy("app:v2").succeeded();
    site.has(&v2);
}

/// A site on an engine of its own, with v1 in service and v2 in the registry, where each waits for its gate.
fn on_an_engine_of_its_own(restart: &str) -> (Site, PrivateEngine, Published, Published) {
    let services = "  web:\n    image: {repo}/app:live\n    network_mode: none\n    volumes: [\"./gate:/gate\"]\n";
    let mut site = Site::with(&format!("{services}    restart: {restart}\n"));
    let engine = PrivateEngine::start(&site.directory.join("engine"), &[]);
    site.engine = engine.engine();
    let (v1, v2) = (site.publish("app:v1", &gated("v1")), site.publish("app:v2", &gated("v2")));
    open_gate(&site, "v1");
    site.start();
    site.deploy("app:v1").succeeded();
    site.has(&v1);
    (site, engine, v1, v2)
}

#[test]
fn an_engine_that_is_restarted_in_the_middle_is_waited_for() {
    let (mut site, mut engine, _, v2) = on_an_engine_of_its_own("unless-stopped");
    let id = site.ask("app:v2");
    site.until(&id, "the wait for health", |events| has_begun(events, "await_healthy"));
    engine.stop();
    engine.start_again();
    open_gate(&site, "v2");
    assert_eq!(site.outcome(&id)["status"], "succeeded");
    site.has(&v2);
    site.kill();
}

#[test]
fn an_engine_that_is_restarted_during_a_pull_is_waited_for() {
    let (registry, proxy) = registry_behind_a_door();
    let mut site = Site::with_registry(
        registry,
        &proxy.address,
        "  web:\n    image: {repo}/app:live\n    network_mode: none\n    restart: unless-stopped\n",
    );
    let mut engine = PrivateEngine::start(&site.directory.join("engine"), &[]);
    site.engine = engine.engine();
    let v1 = site.publish("app:v1", &Image::web("v1"));
    let v2 = site.publish("app:v2", &Image::web("v2").with_megabytes(40));
    site.start();
    site.deploy("app:v1").succeeded();
    proxy.hold_after(10 << 20);
    let id = site.ask("app:v2");
    proxy.until_held();
    engine.stop();
    proxy.release();
    engine.start_again();
    site.has(&v1);
    assert_eq!(site.outcome(&id)["status"], "succeeded");
    site.has(&v2);
    site.kill();
}

#[test]
fn after_a_reboot_in_the_middle_the_deployment_reaches_its_outcome() {
    let (mut site, mut engine, _, v2) = on_an_engine_of_its_own("always");
    let id = site.ask("app:v2");
    site.until(&id, "the wait for health", |events| has_begun(events, "await_healthy"));
    site.kill();
    engine.stop();
    engine.start_again();
    open_gate(&site, "v2");
    site.start();
    assert_eq!(site.outcome(&id)["status"], "succeeded");
    site.has(&v2);
    site.kill();
}

/// A small disk of its own for the state directory.
struct Disk {
    filler: std::path::PathBuf,
    mount: std::path::PathBuf,
}

impl Disk {
    fn mount(site: &Site) -> Self {
        let mount = site.directory.join("state");
        fs::create_dir(&mount).unwrap();
        let mounted = Program::new("mount").args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"]).arg(&mount).output();
        assert!(
            mounted.code == 0,
            "mounting a small disk needs root; `make test` leaves this out for others: {}",
            mounted.stderr
        );
        Self { filler: mount.join("filler"), mount }
    }

    fn fill(&self) {
        let fill = Program::new("dd").args(["if=/dev/zero", "bs=4096"]).arg(format!("of={}", self.filler.display()));
        assert!(fill.output().stderr.contains("No space left"));
    }

    fn make_room(&self) {
        fs::remove_file(&self.filler).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        Program::new("umount").arg("--lazy").arg(&self.mount).output();
    }
}

#[test]
fn a_full_disk_is_answered_with_503_and_the_service_goes_on_until_there_is_room() {
    let mut site = Site::new();
    let disk = Disk::mount(&site);
    let v1 = site.publish("app:v1", &Image::web("v1"));
    let v2 = site.publish("app:v2", &Image::web("v2"));
    site.start();
    site.deploy("app:v1").succeeded();
    let before = site.container("web");
    disk.fill();
    let answer = site.hook(&["app:v2"]).query("wait=10m").send();
    assert_eq!(answer.status, 503, "{}", answer.text);
    assert!(answer.headers.to_ascii_lowercase().contains("retry-after: "), "{}", answer.headers);
    assert_eq!(site.container("web"), before);
    site.has(&v1);
    assert_eq!(site.read("/v1/deployments?project={name}")["deployments"].as_array().unwrap().len(), 1);
    disk.make_room();
    site.deploy("app:v2").succeeded();
    site.has(&v2);
}

#[test]
fn a_disk_that_is_full_in_the_middle_holds_the_deployment_up_until_there_is_room() {
    let mut site = Site::with("  web:\n    image: {repo}/app:live\n    volumes: [\"./gate:/gate\"]\n");
    let disk = Disk::mount(&site);
    let v1 = site.publish("app:v1", &gated("v1"));
    site.start();
    let id = site.ask("app:v1");
    site.until(&id, "the wait for health", |events| has_begun(events, "await_healthy"));
    disk.fill();
    open_gate(&site, "v1");
    // It is healthy, and that cannot be written down.
    eventually(PATIENCE, "the deployment to pause", || {
        site.daemon().said().contains("the deployment pauses").then_some(())
    });
    assert_eq!(site.read(&format!("/v1/deployments/{id}"))["status"], "running");
    disk.make_room();
    assert_eq!(site.outcome(&id)["status"], "succeeded");
    site.has(&v1);
}

#[test]
fn a_disk_of_the_engine_that_is_full_leaves_the_old_release() {
    let mut site = Site::with("  web:\n    image: {repo}/app:live\n    network_mode: none\n");
    let directory = site.directory.join("engine");
    fs::create_dir_all(directory.join("root")).unwrap();
    let mounted =
        Program::new("mount").args(["-t", "tmpfs", "-o", "size=40m", "tmpfs"]).arg(directory.join("root")).output();
    assert!(mounted.code == 0, "{}", mounted.stderr);
    let engine = PrivateEngine::start(&directory, &[]);
    site.engine = engine.engine();
    let v1 = site.publish("app:v1", &Image::web("v1"));
    site.publish("app:v2", &Image::web("v2").with_megabytes(60));
    site.start();
    site.deploy("app:v1").succeeded();
    let before = site.container("web");
    let reason = site.deploy("app:v2").failed("abandoned");
    assert!(reason.contains("no space left"), "{reason}");
    assert_eq!(site.container("web"), before);
    site.has(&v1);
    site.kill();
    drop(engine);
    Program::new("umount").arg("--lazy").arg(directory.join("root")).text();
}
