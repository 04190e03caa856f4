//! A deployment is stopped while a container that ignores SIGTERM is being replaced: by a cancel, by the project's
//! timeout, by `kill -9`. Afterwards the release of before runs, under its own name, and nothing is left behind.

use std::thread::sleep;
use std::time::Duration;

use serde_json::Value;

use crate::crashes::has_begun;
use crate::image::Image;
use crate::kinds::for_each;
use crate::program::eventually;
use crate::registry::Published;
use crate::site::{PATIENCE, Site};

const WEB: &str = "  web:\n    image: {repo}/app:live\n";

/// PID 1 of its container ignores SIGTERM, so that the engine kills it after the default grace of 10 s.
fn stubborn(version: &str) -> Image {
    Image::running(version, "trap '' TERM; httpd -f -p 8080 -h /www & while :; do sleep 1; done")
}

/// A site where a stubborn v1 is in service, and v2 in the registry.
fn stubborn_site() -> (Site, Published, Published) {
    let mut site = Site::with(WEB);
    let (v1, v2) = (site.publish("app:v1", &stubborn("v1")), site.publish("app:v2", &Image::web("v2")));
    site.start();
    site.deploy("app:v1").succeeded();
    (site, v1, v2)
}

fn containers(site: &Site) -> Vec<String> {
    site.engine.containers(&[&format!("label=com.docker.compose.project={}", site.name)])
}

/// Asks for v2, and returns when Compose waits for v1 to stop. Podman now and then ends v1 at once: then v1 is deployed
/// again for another try.
fn until_v1_is_being_stopped(site: &Site) -> String {
    for _ in 0..10 {
        let id = site.ask("app:v2");
        let is_stopping = eventually(PATIENCE, "compose to replace the container", || {
            let has_ended = site.events(&id).iter().any(|event| event["event"] == "finished");
            (containers(site).len() == 2).then_some(true).or(has_ended.then_some(false))
        });
        if is_stopping {
            return id;
        }
        site.deploy("app:v1").succeeded();
    }
    panic!("v1 ends at once whenever it is told to stop");
}

#[track_caller]
fn only_runs(site: &Site, image: &Published) {
    site.has(image);
    let names: Vec<String> = containers(site).iter().map(|id| site.engine.inspect(id).name).collect();
    assert_eq!(names, [format!("{}-web-1", site.name)]);
}

/// Cancels a deployment; afterwards only `image` runs.
#[track_caller]
fn cancelled_it_leaves(site: &Site, id: &str, image: &Published) {
    let cancelled = site.command(&["cancel", id]);
    assert_eq!(cancelled.code, 0, "{}", cancelled.stderr);
    let deployment = site.outcome(id);
    assert_eq!(deployment["status"], "cancelled", "{deployment}");
    only_runs(site, image);
}

#[test]
fn cancelled_while_the_old_container_is_being_stopped_the_old_release_runs_on() {
    let (site, v1, _) = stubborn_site();
    let id = until_v1_is_being_stopped(&site);
    cancelled_it_leaves(&site, &id, &v1);
}

#[test]
fn cancelled_while_the_old_container_is_being_stopped_and_somebody_has_removed_its_successor_the_old_release_runs_on() {
    let (site, v1, _) = stubborn_site();
    let before = site.engine.inspect(&containers(&site)[0]);
    let id = until_v1_is_being_stopped(&site);
    eventually(PATIENCE, "compose to stop the old container", || site.engine.is_stopping(&before.id).then_some(()));
    let successor = containers(&site).into_iter().find(|id| *id != before.id).unwrap();
    site.engine.docker(&["rm", &successor]).text();
    cancelled_it_leaves(&site, &id, &v1);
    // Had the stop not ended before the outcome was told, it would take the container down afterwards.
    assert_ne!(site.engine.inspect(&before.id).started_at, before.started_at, "{:?}", site.events(&id));
}

#[test]
fn timed_out_while_the_old_container_is_being_stopped_the_old_release_runs_on() {
    let (mut site, v1, _) = stubborn_site();
    site.project_with(&["app"], "timeout = \"4s\"\n", "");
    site.reload();
    let id = site.ask("app:v2");
    let deployment = site.outcome(&id);
    assert_eq!(deployment["status"], "rolled_back", "{deployment}");
    only_runs(&site, &v1);
}

#[test]
fn killed_while_the_old_container_is_being_stopped_and_then_cancelled_the_old_release_runs_on() {
    let (mut site, v1, _) = stubborn_site();
    let id = until_v1_is_being_stopped(&site);
    site.kill();
    site.start();
    cancelled_it_leaves(&site, &id, &v1);
}

#[test]
fn killed_together_with_compose_and_then_cancelled_the_old_release_runs_on() {
    let (mut site, v1, _) = stubborn_site();
    let id = until_v1_is_being_stopped(&site);
    site.kill();
    site.kill_compose();
    site.start();
    cancelled_it_leaves(&site, &id, &v1);
}

#[test]
fn an_operator_who_types_compose_up_in_the_middle_of_a_replacement_changes_no_outcome() {
    for_each(&[0, 300, 600, 900, 1_300], |millis| {
        let mut site = Site::with(WEB);
        site.publish("app:v1", &Image::web("v1"));
        let v2 = site.publish("app:v2", &Image::web("v2"));
        site.start();
        site.deploy("app:v1").succeeded();
        let id = site.ask("app:v2");
        site.until(&id, "the replacement to begin", |events| has_begun(events, "apply"));
        // The moment is the point here: nothing is waited for.
        sleep(Duration::from_millis(millis));
        let by_hand = site.docker_compose(&["up", "--detach"]);
        let deployment = site.outcome(&id);
        assert_eq!(deployment["status"], "succeeded", "{deployment}, and by hand: {}", by_hand.stderr);
        only_runs(&site, &v2);
    });
}

/// Settles for long enough that somebody comes in between.
const SETTLES: &str = "[projects.{name}.health]\nwithin = \"60s\"\nsettle = \"15s\"\n";

#[test]
fn what_somebody_else_began_to_replace_while_it_is_watched_is_put_into_service_again() {
    for_each(&[("v2", "succeeded"), ("bad", "rolled_back")], |(version, outcome)| {
        let (mut site, v1, _) = stubborn_site();
        let v2 = site.publish("app:v2", &stubborn("v2"));
        site.publish("app:bad", &Image::running("bad", "exit 1"));
        site.project(&["app"], SETTLES);
        site.reload();
        let id = site.ask(&format!("app:{version}"));
        let is_back = |events: &[Value]| events.iter().any(|event| event["event"] == "rolling_back");
        site.until(&id, "the release to be watched", |events| {
            (outcome == "succeeded" || is_back(events)) && has_begun(events, "await_healthy")
        });
        // An operator whose terminal is closed in the middle. Podman now and then ends the container at once: then it is
        // begun again.
        let begin = || {
            let up = site.engine.docker(&["compose", "up", "--detach", "--force-recreate"]);
            let mut up = up.dir(&site.project_directory()).start(&site.directory.join("up.log"));
            let is_stopping = eventually(PATIENCE, "compose to replace the container", || {
                (containers(&site).len() == 2).then_some(true).or(up.ended().is_some().then_some(false))
            });
            is_stopping.then_some(up)
        };
        let up = (0..10).find_map(|_| begin()).expect("the container ends at once whenever it is told to stop");
        assert!(site.kill_compose() > 0);
        drop(up);
        let deployment = site.outcome(&id);
        assert_eq!(deployment["status"], outcome, "{deployment}");
        only_runs(&site, if outcome == "succeeded" { &v2 } else { &v1 });
    });
}

#[test]
fn a_name_that_somebody_else_moves_while_the_release_is_watched_is_pinned_again() {
    for_each(&["tag", "rmi"], |how| {
        let mut site = Site::with(WEB);
        site.publish("app:v1", &Image::web("v1"));
        let v2 = site.publish("app:v2", &Image::web("v2"));
        let other = site.publish("app:other", &Image::web("other"));
        site.start();
        site.deploy("app:v1").succeeded();
        site.project(&["app"], SETTLES);
        site.reload();
        site.fetch("app:other", &other);
        let (live, other) = (site.full("app:live"), site.full("app:other"));
        let moves: &[&str] = if how == "tag" { &["tag", &other, &live] } else { &["rmi", "--force", &live] };
        let id = site.ask("app:v2");
        site.until(&id, "the release to be watched", |events| has_begun(events, "await_healthy"));
        site.engine.docker(moves).text();
        let deployment = site.outcome(&id);
        assert_eq!(deployment["status"], "succeeded", "{deployment}");
        site.has(&v2);

        // Afterwards nobody watches, and the status says so.
        let status = || site.command(&["status", &site.name]).stdout;
        assert!(!status().contains("does not mean"), "{}", status());
        site.engine.docker(moves).text();
        let told = format!("{live} does not mean what runs");
        assert!(status().contains(&told), "{}", status());
        // The command that it names puts the name back, whatever the tag has become in the registry.
        let status_now = status();
        let named = status_now.lines().find_map(|line| line.strip_prefix("next      windlass ")).unwrap();
        let words: Vec<&str> = named.split_whitespace().collect();
        assert_eq!(words[..2], ["rollback", site.name.as_str()], "{status_now}");
        let done = site.command(&words);
        assert_eq!(done.code, 0, "{named}: {}{}", done.stdout, done.stderr);
        assert!(!status().contains("does not mean"), "{}", status());
        site.has(&v2);
    });
}

#[test]
fn a_name_that_comes_into_the_compose_file_meanwhile_is_not_moved() {
    for_each(&["before", "await_healthy"], |moment| {
        let mut site = Site::with(WEB);
        let v1 = site.publish("app:v1", &Image::web("v1"));
        let v2 = site.publish("app:v2", &Image::web("v2"));
        let other = site.publish("other:v1", &Image::web("other"));
        site.start();
        site.deploy("app:v1").succeeded();
        site.fetch("other:live", &other);
        let gate = site.project_directory().join("gate");
        let wait = format!("[\"/bin/sh\", \"-c\", \"until [ -e {} ]; do sleep 0.1; done\"]", gate.display());
        site.project(&["app"], &format!("{SETTLES}[projects.{{name}}.lifecycle]\nbefore = {wait}\n"));
        site.reload();
        let id = site.ask("app:v2");
        let edit = || {
            let file = site.project_directory().join("compose.yaml");
            let text = std::fs::read_to_string(&file).unwrap();
            std::fs::write(&file, text.replace(&site.full("app:live"), &site.full("other:live"))).unwrap();
        };
        site.until(&id, "the command before", |events| has_begun(events, "before"));
        if moment == "before" {
            edit();
        }
        std::fs::write(&gate, "").unwrap();
        if moment == "await_healthy" {
            site.until(&id, "the release to be watched", |events| has_begun(events, "await_healthy"));
            edit();
        }
        let deployment = site.outcome(&id);
        let means = site.engine.docker(&[
            "image",
            "inspect",
            "--format",
            "{{join .RepoDigests \" \"}}",
            &site.full("other:live"),
        ]);
        assert!(means.text().contains(&other.digest), "the name was moved: {deployment}");
        if moment == "before" {
            assert_eq!(deployment["status"], "rolled_back", "{deployment}");
            let reason = deployment["reason"].as_str().unwrap();
            assert!(reason.contains("was changed meanwhile: web names"), "{reason}");
            only_runs(&site, &v1);
        } else {
            assert_eq!(deployment["status"], "succeeded", "{deployment}");
            only_runs(&site, &v2);
        }
    });
}

#[test]
fn what_an_interrupted_replacement_left_behind_is_not_what_a_later_deployment_goes_back_to() {
    let (mut site, v1, _) = stubborn_site();
    site.publish("app:bad", &Image::running("bad", "exit 1"));
    until_v1_is_being_stopped(&site);
    site.kill();
    site.kill_compose();
    // Without its state it knows nothing of the interruption.
    std::fs::remove_dir_all(site.directory.join("state")).unwrap();
    site.start();
    let id = site.ask("app:bad");
    let deployment = site.outcome(&id);
    assert_eq!(deployment["status"], "rolled_back", "{deployment}");
    only_runs(&site, &v1);
}
