//! SIGTERM lets what is under way come to the end of its step; SIGHUP takes a whole configuration over, or none of it.

use std::fs;

use crate::crashes::{gated, has_begun, open_gate};
use crate::image::Image;
use crate::program::{Program, eventually};
use crate::site::{PATIENCE, Site};

const GATED: &str = "  web:\n    image: {repo}/app:live\n    volumes: [\"./gate:/gate\"]\n";

fn readiness(site: &Site) -> (String, String) {
    let options = ["-s", "--noproxy", "*", "-w", " %{http_code}"];
    let output = Program::new("curl").args(options).arg(site.fill("{hooks}/readyz")).output();
    let (word, status) = output.stdout.rsplit_once(' ').unwrap();
    (status.to_owned(), word.trim().to_owned())
}

#[test]
fn told_to_stop_it_refuses_new_hooks_ends_the_step_and_goes_on_after_the_restart() {
    let mut site = Site::with(GATED);
    site.publish("app:v1", &gated("v1"));
    let v2 = site.publish("app:v2", &Image::web("v2"));
    site.configure("drain_timeout = \"60s\"", "");
    site.start();
    let first = site.ask("app:v1");
    site.until(&first, "the wait for health", |events| has_begun(events, "await_healthy"));
    site.daemon().signal("TERM");
    let refused = eventually(PATIENCE, "hooks to be refused", || {
        let answer = site.hook(&["app:v2"]).send();
        (answer.status != 202).then_some(answer)
    });
    assert_eq!(refused.status, 503, "{}", refused.text);
    assert!(refused.headers.to_ascii_lowercase().contains("retry-after: "), "{}", refused.headers);
    open_gate(&site, "v1");
    assert_eq!(site.daemon().wait(PATIENCE), 0);
    site.restart_after_end();
    assert_eq!(site.outcome(&first)["status"], "succeeded");
    site.deploy("app:v2").succeeded();
    site.has(&v2);
}

#[test]
fn told_to_stop_it_does_not_wait_longer_than_it_may_and_loses_nothing() {
    let mut site = Site::with(GATED);
    let v1 = site.publish("app:v1", &gated("v1"));
    site.configure("drain_timeout = \"1s\"", "");
    site.start();
    let id = site.ask("app:v1");
    site.until(&id, "the wait for health", |events| has_begun(events, "await_healthy"));
    site.daemon().signal("TERM");
    assert_eq!(site.daemon().wait(PATIENCE), 0);
    site.restart_after_end();
    open_gate(&site, "v1");
    assert_eq!(site.outcome(&id)["status"], "succeeded");
    site.has(&v1);
}

#[test]
fn told_to_read_its_configuration_again_it_knows_a_new_image() {
    let mut site = Site::with("  web:\n    image: {repo}/app:live\n  api:\n    image: {repo}/api:live\n");
    let api = site.publish("api:v1", &Image::web("api"));
    site.start();
    let refused = site.deploy("api:v1");
    assert_eq!(refused.status, 422, "{}", refused.text);
    site.project(&["app", "api"], "");
    site.reload();
    site.deploy("api:v1").succeeded();
    site.runs("api", &api);
}

#[test]
fn a_broken_configuration_leaves_the_one_before_in_force_and_readiness_says_so() {
    let mut site = Site::new();
    let v1 = site.publish("app:v1", &Image::web("v1"));
    site.start();
    assert_eq!(readiness(&site).0, "200");
    let file = site.directory.join("projects.d/project.toml");
    let good = fs::read_to_string(&file).unwrap();
    fs::write(&file, good.replace("images = ", "imagse = ")).unwrap();
    site.reload();
    let (_, word) = readiness(&site);
    assert!(word.contains("config"), "{word}");
    assert!(site.daemon().said().contains("imagse"));
    site.deploy("app:v1").succeeded();
    site.has(&v1);
    fs::write(&file, good).unwrap();
    site.reload();
    assert_eq!(readiness(&site).0, "200");
}
