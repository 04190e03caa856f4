//! The way back stays on the host whatever is pruned, and what is no way back any more goes.

use crate::image::Image;
use crate::program::eventually;
use crate::registry::Published;
use crate::site::{PATIENCE, Site};

/// Five releases that differ, of which the last is in service.
fn with_five_releases() -> (Site, Vec<Published>) {
    let mut site = Site::new();
    let releases: Vec<Published> =
        (1..=5).map(|n| site.publish(&format!("app:v{n}"), &Image::web(&format!("v{n}")))).collect();
    site.start();
    for release in &releases {
        site.deploy(&format!("app:{}", release.tag)).succeeded();
    }
    (site, releases)
}

fn is_here(site: &Site, release: &Published) -> bool {
    !site.engine.digests(&format!("{}@{}", site.full("app"), release.digest)).is_empty()
}

/// Removes what nothing uses, of this test's images alone: others run on the same engine, which prunes for one at a time.
fn prune(site: &Site, what: &[&str]) {
    let filter = format!("label={}", site.name);
    let prune = site.engine.own_client(what).args(["--force", "--filter", &filter]);
    prune.again_when("a prune operation is already running").text();
}

/// Waits until of five releases only the last three are on the host, which comes after the outcome is told.
fn only_three_stay(site: &Site, releases: &[Published], then: impl Fn()) {
    let mut here = Vec::new();
    eventually(PATIENCE, "older releases to go", || {
        then();
        here = releases.iter().map(|release| is_here(site, release)).collect();
        (here[..2] == [false, false]).then_some(())
    });
    assert_eq!(here, [false, false, true, true, true]);
}

#[test]
fn three_good_releases_survive_a_prune_of_all_images_and_older_ones_are_gone() {
    let (site, releases) = with_five_releases();
    only_three_stay(&site, &releases, || prune(&site, &["image", "prune", "--all"]));
    site.has(&releases[4]);
}

#[test]
fn older_releases_are_removed_without_any_prune() {
    let (site, releases) = with_five_releases();
    only_three_stay(&site, &releases, || {});
}

#[test]
fn a_prune_of_containers_and_then_of_images_without_a_tag_leaves_the_way_back() {
    let (site, releases) = with_five_releases();
    prune(&site, &["container", "prune"]);
    prune(&site, &["image", "prune"]);
    for release in &releases[2..] {
        assert!(is_here(&site, release), "{release:?}");
    }
}

#[test]
fn a_rollback_by_command_works_after_a_prune_and_without_a_registry() {
    let (site, releases) = with_five_releases();
    prune(&site, &["image", "prune", "--all"]);
    for release in &releases {
        site.forget("app", release);
    }
    let rollback = site.command(&["rollback", &site.name]);
    assert_eq!(rollback.code, 0, "{}{}", rollback.stdout, rollback.stderr);
    site.has(&releases[3]);

    let deployments = site.read("/v1/deployments?project={name}");
    let third = deployments["deployments"]
        .as_array()
        .unwrap()
        .iter()
        .find(|deployment| deployment["release"][0]["digest"] == releases[2].digest);
    let to = third.unwrap()["id"].as_str().unwrap().to_owned();
    let rollback = site.command(&["rollback", &site.name, "--to", &to]);
    assert_eq!(rollback.code, 0, "{}{}", rollback.stdout, rollback.stderr);
    site.has(&releases[2]);
}

#[test]
fn the_release_before_a_bad_one_is_kept_while_many_bad_ones_come() {
    let mut site = Site::new();
    let v1 = site.publish("app:v1", &Image::web("v1"));
    site.start();
    site.deploy("app:v1").succeeded();
    for n in 1..=4 {
        let bad = site.publish(&format!("app:bad{n}"), &Image::running(&format!("bad {n}"), "exit 1"));
        site.deploy(&format!("app:bad{n}")).failed("rolled_back");
        eventually(PATIENCE, "what does not work to go", || {
            prune(&site, &["image", "prune", "--all"]);
            (!is_here(&site, &bad)).then_some(())
        });
    }
    site.has(&v1);
}
