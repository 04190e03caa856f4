//! A release that works is put into service, whatever was there before, and however it is named.

use serde_json::json;

use crate::image::Image;
use crate::site::Site;

#[test]
fn the_first_deployment_of_a_project_starts_it_and_the_answer_proves_what_runs() {
    let mut site = Site::new();
    let v1 = site.publish("app:v1", &Image::web("v1"));
    site.start();
    let deployment = site.deploy("app:v1").succeeded();
    site.has(&v1);
    assert_eq!(deployment["release"], json!([{ "image": site.full("app:v1"), "digest": v1.digest }]));
    assert_eq!(deployment["previous"], json!([]));
    assert_eq!(deployment["requested_by"]["key"], "ci");
    let running = &deployment["running"][0];
    assert_eq!(running["name"], json!(site.container("web").unwrap().name));
    assert_eq!((&running["digest"], &running["state"]), (&json!(v1.digest), &json!("running")));
    assert_eq!(running["condition"], "working");
}

#[test]
fn the_next_release_takes_the_place_of_the_one_before() {
    let mut site = Site::new();
    let v1 = site.publish("app:v1", &Image::web("v1"));
    let v2 = site.publish("app:v2", &Image::web("v2"));
    site.start();
    site.deploy("app:v1").succeeded();
    let before = site.container("web").unwrap();
    let deployment = site.deploy("app:v2").succeeded();
    site.has(&v2);
    assert_ne!(site.container("web").unwrap().id, before.id);
    assert_eq!(deployment["previous"][0]["digest"], json!(v1.digest));
    assert_eq!(deployment["running"].as_array().unwrap().len(), 1);
}

#[test]
fn a_dry_run_says_what_would_be_done_and_does_nothing() {
    let mut site = Site::new();
    site.publish("app:v1", &Image::web("v1"));
    site.start();
    let answer = site.hook(&["app:v1"]).query("dry_run=1").send();
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.json()["services"], json!(["web"]));
    assert_eq!(site.container("web"), None);
    assert_eq!(site.engine.digests(&site.full("app:live")), [""; 0]);
    assert_eq!(site.read("/v1/deployments?project={name}")["deployments"], json!([]));
}

#[test]
fn a_project_whose_container_has_crashed_is_deployed() {
    let mut site = Site::new();
    let v1 = site.publish("app:v1", &Image::web("v1"));
    let v2 = site.publish("app:v2", &Image::web("v2"));
    site.start();
    site.deploy("app:v1").succeeded();
    let container = site.container("web").unwrap();
    site.engine.docker(&["kill", &container.id]).text();
    site.deploy("app:v2").succeeded();
    site.has(&v2);
    let container = site.container("web").unwrap();
    site.engine.docker(&["rm", "--force", &container.id]).text();
    site.deploy("app:v1").succeeded();
    site.has(&v1);
}

#[test]
fn a_project_whose_container_restarts_in_a_loop_is_deployed() {
    let mut site = Site::with("  web:\n    image: {repo}/app:live\n    restart: always\n");
    let loops = site.publish("app:loops", &Image::running("v0", "exit 1"));
    let v1 = site.publish("app:v1", &Image::web("v1"));
    site.bring_up_by_hand("app:live", &loops);
    site.start();
    site.deploy("app:v1").succeeded();
    site.has(&v1);
}

#[test]
fn a_tag_that_moved_is_deployed_as_what_it_is_now() {
    let mut site = Site::new();
    let first = site.publish("app:main", &Image::web("first"));
    site.start();
    site.deploy("app:main").succeeded();
    site.has(&first);
    let second = site.publish("app:main", &Image::web("second"));
    assert_ne!(first.digest, second.digest);
    site.deploy("app:main").succeeded();
    site.has(&second);
}

#[test]
fn a_tag_that_the_compose_file_names_itself_may_be_what_is_deployed() {
    let mut site = Site::with("  web:\n    image: {repo}/app:main\n");
    site.publish("app:main", &Image::web("first"));
    site.start();
    site.deploy("app:main").succeeded();
    let second = site.publish("app:main", &Image::web("second"));
    let deployment = site.deploy("app:main").succeeded();
    assert_eq!(deployment["release"][0]["digest"], json!(second.digest));
    site.runs("web", &second);
    site.pins("app:main", &second);
}

#[test]
fn a_release_that_runs_already_is_left_alone() {
    let mut site = Site::new();
    let v1 = site.publish("app:v1", &Image::web("v1"));
    site.start();
    site.deploy("app:v1").succeeded();
    let before = site.container("web");
    site.deploy("app:v1").succeeded();
    assert_eq!(site.container("web"), before);
    site.has(&v1);
}

#[test]
fn an_image_may_be_named_by_digest_and_by_tag_and_digest() {
    let mut site = Site::new();
    site.project_with(&["app"], "allow_untagged = true", "");
    let v1 = site.publish("app:v1", &Image::web("v1"));
    let v2 = site.publish("app:v2", &Image::web("v2"));
    site.start();
    site.deploy(&format!("app@{}", v1.digest)).succeeded();
    site.has(&v1);
    site.deploy(&format!("app:v2@{}", v2.digest)).succeeded();
    site.has(&v2);
    // The digest is here already and stands for itself; its tag is asked for again.
    site.deploy(&format!("app@{}", v1.digest)).succeeded();
    site.has(&v1);
    // CI knows the digest of the index, and the engine may also know that of the one image in it.
    let v3 = site.publish("app:v3", &Image::web("v3").only_for(&site.engine.architecture()));
    let deployment = site.deploy(&format!("app:v3@{}", v3.digest)).succeeded();
    assert_eq!(deployment["release"][0]["digest"], v3.digest);
    site.has(&v3);
}

#[test]
fn a_digest_of_another_repository_is_refused_though_that_image_is_here() {
    let mut site = Site::new();
    site.project_with(&["app"], "allow_untagged = true", "");
    let v1 = site.publish("app:v1", &Image::web("v1"));
    let other = site.publish("other:1", &Image::web("other"));
    site.fetch("other:1", &other);
    site.start();
    site.deploy("app:v1").succeeded();
    let reason = site.deploy(&format!("app@{}", other.digest)).failed("abandoned");
    assert!(reason.contains("manifest unknown"), "{reason}");
    site.has(&v1);
}

#[test]
fn a_digest_that_is_not_what_the_tag_means_is_refused_and_nothing_is_touched() {
    let mut site = Site::new();
    let v1 = site.publish("app:v1", &Image::web("v1"));
    let v2 = site.publish("app:v2", &Image::web("v2"));
    site.start();
    site.deploy("app:v1").succeeded();
    let before = site.container("web");
    let reason = site.deploy(&format!("app:v2@{}", v1.digest)).failed("abandoned");
    assert!(reason.contains(&v2.digest), "{reason}");
    assert_eq!(site.container("web"), before);
    site.has(&v1);
}

#[test]
fn a_repetition_of_a_delivery_gets_the_same_deployment() {
    let mut site = Site::new();
    site.publish("app:v1", &Image::web("v1"));
    site.start();
    let hook = site.hook(&["app:v1"]).delivery("build-17").query("wait=10m");
    let (first, second) = (hook.send(), hook.send());
    first.succeeded();
    second.succeeded();
    assert_eq!(first.id(), second.id());
    assert_eq!(site.read("/v1/deployments?project={name}")["deployments"].as_array().unwrap().len(), 1);
}
