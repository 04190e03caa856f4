//! What the command does, and how it ends.

use std::time::Duration;

use serde_json::json;
use windlass::auth::Scheme;
use windlass::model::Digest;

use super::{Done, Windlass};
use crate::daemon::{Caller, Home};
use crate::world::Behaviour;

#[tokio::test(flavor = "multi_thread")]
async fn each_outcome_ends_the_command_with_its_own_code_and_its_own_last_line() {
    let home = Home::with_shop();
    let daemon = home.start();
    let v1 = Digest::of(b"v1");
    for tag in ["sick", "worse"] {
        let digest = home.world.publish(&format!("r.io/shop:{tag}"), tag);
        home.world.state().behaviours.insert(digest, Behaviour::Unhealthy);
    }
    for windlass in [Windlass::on(&home), Windlass::elsewhere(&home, &daemon.url, "shop", "standard")] {
        home.world.state().behaviours.remove(&v1);
        let deploy = |tag: &str| windlass.run(&["deploy", "shop", &format!("r.io/shop:{tag}")]);
        for (tag, code, word) in [("v1", 0, "succeeded"), ("missing", 20, "abandoned"), ("sick", 21, "rolled_back")] {
            let done = deploy(tag);
            assert_eq!(done.code, code, "{done:?}");
            assert!(done.last().starts_with(word), "{done:?}");
            assert_eq!(done.err, "", "{done:?}");
        }
        // What worked before does not work any more.
        home.world.state().behaviours.insert(v1.clone(), Behaviour::Unhealthy);
        let done = deploy("worse");
        assert_eq!((done.code, done.last().starts_with("rollback_failed")), (22, true), "{done:?}");
        assert!(
            done.out.contains("could not be put back") && done.out.contains("windlass rollback shop\n"),
            "{done:?}"
        );
        assert!(done.out.contains("    | cannot reach the database"), "{done:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_in_vain_is_told_how_to_go_on() {
    let home = Home::with_shop();
    let _daemon = home.start();
    home.world.publish("r.io/shop:v2", "v2");
    home.world.publish("r.io/shop:v3", "v3");
    home.world.state().hold_health = true;
    let windlass = Windlass::on(&home);

    let waited = windlass.run(&["deploy", "shop", "r.io/shop:v1", "--wait", "300ms"]);
    assert_eq!(waited.code, 30, "{waited:?}");
    let id = waited.err.split_whitespace().last().unwrap().to_owned();
    assert!(waited.err.contains(&format!("windlass follow {id}")), "{waited:?}");

    let second = windlass.run(&["deploy", "shop", "r.io/shop:v2", "--no-wait"]);
    assert_eq!(second.code, 0, "{second:?}");
    let second = second.last().split_whitespace().last().unwrap().to_owned();
    let follower = windlass.start(&["follow", &second]);
    let third = windlass.json(&["deploy", "shop", "r.io/shop:v3", "--no-wait"]);
    let superseded = Done::of(follower.wait_with_output().unwrap());
    assert_eq!((superseded.code, superseded.last().starts_with("superseded")), (23, true), "{superseded:?}");

    let third = third["id"].as_str().unwrap();
    let follower = windlass.start(&["follow", third]);
    let cancelled = windlass.run(&["cancel", third]);
    assert_eq!(cancelled.code, 0, "{cancelled:?}");
    let cancelled = Done::of(follower.wait_with_output().unwrap());
    assert_eq!((cancelled.code, cancelled.last().starts_with("cancelled")), (24, true), "{cancelled:?}");
    let again = windlass.run(&["cancel", third]);
    assert_eq!(again.code, 10, "{again:?}");

    home.world.state().hold_health = false;
    home.world.ring();
    let followed = windlass.run(&["follow", &id]);
    assert_eq!((followed.code, followed.last().starts_with("succeeded")), (0, true), "{followed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_says_first_where_it_goes_and_shows_beforehand_where_it_can_go() {
    let home = Home::with_shop();
    let _daemon = home.start();
    let windlass = Windlass::on(&home);
    let never = windlass.run(&["rollback", "shop"]);
    assert!(never.code == 10 && never.err.contains("no deployment of shop has succeeded yet"), "{never:?}");
    for tag in ["v1", "v2", "v3"] {
        home.world.publish(&format!("r.io/shop:{tag}"), tag);
        assert_eq!(windlass.run(&["deploy", "shop", &format!("r.io/shop:{tag}")]).code, 0);
    }
    assert_eq!(windlass.run(&["deploy", "shop", "r.io/shop:missing"]).code, 20);

    let list = windlass.run(&["rollback", "shop", "--list"]);
    assert_eq!((list.code, list.err.as_str()), (0, ""), "{list:?}");
    assert!(list.out.starts_with("windlass rollback shop goes back from v3 to v2 (deployed 20"), "{}", list.out);
    let ends: Vec<&str> = list.out.lines().skip(3).map(|line| line.rsplit("  ").next().unwrap()).collect();
    assert_eq!(ends, ["no: it did not succeed: abandoned", "runs now", "next", "candidate"], "{}", list.out);
    let dry = windlass.run(&["rollback", "shop", "--dry-run"]);
    assert!(dry.out.starts_with("back from v3 to v2 (deployed 20"), "{dry:?}");
    assert_eq!(dry.last(), "nothing was changed");
    assert_eq!(windlass.json(&["rollback", "shop", "--dry-run"])["dry_run"], true);
    assert_eq!(windlass.json(&["rollback", "shop", "--list"])["releases"][3]["candidate"], true);
    assert_eq!(home.world.runs("shop", "web").unwrap().digest, Digest::of(b"v3"));

    let back = windlass.run(&["rollback", "shop"]);
    assert_eq!(back.code, 0, "{back:?}");
    assert!(back.out.starts_with("back from v3 to v2 (deployed 20"), "{}", back.out);
    let again = windlass.run(&["rollback", "shop", "--no-wait"]);
    assert!(again.code == 0 && again.out.starts_with("back from v2 to v1 (deployed 20"), "{again:?}");
    let id = again.last().split_whitespace().last().unwrap().to_owned();
    assert_eq!(windlass.run(&["follow", &id]).code, 0);
    let over = windlass.run(&["rollback", "shop"]);
    assert!(over.code == 10 && over.err.contains("there is nothing older to go back to"), "{over:?}");
    assert_eq!(home.world.runs("shop", "web").unwrap().digest, Digest::of(b"v1"));
    let nowhere = windlass.run(&["rollback", "shop", "--list"]);
    assert!(nowhere.out.starts_with("windlass rollback shop goes nowhere: there is nothing older"), "{nowhere:?}");
    assert!(nowhere.out.contains("went back from it"), "{nowhere:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_can_be_rolled_back_to_and_a_frozen_project_lets_nothing_through() {
    let home = Home::with_shop();
    let daemon = home.start();
    home.world.publish("r.io/shop:v2", "v2");
    let windlass = Windlass::on(&home);
    for tag in ["v1", "v2"] {
        assert_eq!(windlass.run(&["deploy", "shop", &format!("r.io/shop:{tag}")]).code, 0);
    }
    let back = windlass.run(&["rollback", "shop"]);
    assert_eq!(back.code, 0, "{back:?}");
    assert_eq!(home.world.runs("shop", "web").unwrap().digest, Digest::of(b"v1"));

    let frozen = windlass.run(&["freeze", "shop", "--reason", "the database is being moved", "--for", "2h"]);
    assert_eq!((frozen.code, frozen.out.as_str()), (0, "shop is frozen for 2h\n"));
    for windlass in [&windlass, &Windlass::elsewhere(&home, &daemon.url, "shop", "bearer")] {
        let refused = windlass.run(&["deploy", "shop", "r.io/shop:v2"]);
        assert_eq!(refused.code, 10, "{refused:?}");
        assert!(refused.err.contains("error: shop was not deployed\n  why: "), "{refused:?}");
        assert!(refused.err.contains("the database is being moved"), "{refused:?}");
    }
    assert_eq!(windlass.run(&["unfreeze", "shop"]).code, 0);
    assert_eq!(windlass.run(&["deploy", "shop", "r.io/shop:v2"]).code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_is_sent_again_joins_what_it_began() {
    let home = Home::with_shop();
    let daemon = home.start();
    let windlass = Windlass::elsewhere(&home, &daemon.url, "shop", "standard");
    let deploy = || windlass.run(&["deploy", "shop", "r.io/shop:v1", "--delivery", "run-7", "--commit", "3f2a91c"]);
    let (first, second) = (deploy(), deploy());
    assert_eq!((first.code, second.code), (0, 0), "{first:?} {second:?}");
    assert_eq!(first.out, second.out);
    let caller = Caller::new(&home, &daemon, "shop", Scheme::STANDARD);
    let list = caller.get("/v1/deployments?project=shop").await.json();
    assert_eq!(list["deployments"].as_array().unwrap().len(), 1);
    assert_eq!(list["deployments"][0]["requested_by"]["delivery"], "run-7");
    assert_eq!(list["deployments"][0]["requested_by"]["commit"], "3f2a91c");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_changes_nothing_whoever_asks() {
    let home = Home::with_shop();
    let daemon = home.start();
    for windlass in [Windlass::on(&home), Windlass::elsewhere(&home, &daemon.url, "shop", "github")] {
        let plan = windlass.run(&["plan", "shop", "r.io/shop:v1"]);
        assert_eq!(plan.code, 0, "{plan:?}");
        assert!(plan.out.contains("1. pull shop:v1 (") && plan.last() == "nothing was changed", "{plan:?}");
        assert_eq!(windlass.run(&["deploy", "shop", "r.io/shop:v1", "--dry-run"]).out, plan.out);
        assert_eq!(windlass.json(&["plan", "shop", "r.io/shop:v1"])["dry_run"], true);
        let unknown = windlass.run(&["plan", "shop", "r.io/shop:missing"]);
        assert_eq!(unknown.code, 10, "{unknown:?}");
    }
    assert!(home.world.state().done.is_empty());
    assert_eq!(Windlass::on(&home).json(&["list"])["deployments"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_difference_names_the_images_and_the_commits_that_they_are_from() {
    let home = Home::with_shop();
    let _daemon = home.start();
    let windlass = Windlass::on(&home);
    home.world.publish("r.io/shop:v2", "v2");
    let commit = ["deploy", "shop", "v1", "--commit", "3f2a91c0ffee", "--run-url", "https://ci/17"];
    assert_eq!(windlass.run(&commit).code, 0);
    assert_eq!(windlass.run(&["diff", "shop"]).out, "shop: nothing would change\n");
    assert_eq!(windlass.run(&["diff", "shop", "v1"]).out, "shop: nothing would change\n");
    let diff = windlass.run(&["diff", "shop", "v2"]);
    let lines: Vec<Vec<&str>> = diff.out.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[1][..4], ["-", "shop:v1", "(3bfc269594ef)", "3f2a91c0ffee"], "{diff:?}");
    assert!(lines[1].ends_with(&["https://ci/17"]), "{diff:?}");
    assert_eq!(lines[2][..2], ["+", "shop:v2"], "{diff:?}");
    assert!(lines[2].ends_with(&["-", "never", "-"]), "{diff:?}");
    assert_eq!(windlass.json(&["diff", "shop", "v2"])["from"][0]["commit"], "3f2a91c0ffee");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_looks_on_may_leave_without_ending_the_deployment() {
    let home = Home::with_shop();
    let _daemon = home.start();
    home.world.state().hold_health = true;
    let windlass = Windlass::on(&home);
    let looking = windlass.start(&["deploy", "shop", "r.io/shop:v1"]);
    home.world.until("v1 to be applied", |state| !state.running.is_empty()).await;
    // By then the command has long heard of it, and listens for the signal.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let interrupt = std::process::Command::new("kill").args(["-INT", &looking.id().to_string()]).status().unwrap();
    assert!(interrupt.success());
    let left = Done::of(looking.wait_with_output().unwrap());
    assert_eq!(left.code, 30, "{left:?}");
    assert!(left.err.contains("the deployment continues") && left.err.contains("windlass follow "), "{left:?}");
    home.world.state().hold_health = false;
    home.world.ring();
    home.world.until("v1 to be proven", |state| state.done.iter().any(|step| step.contains("await"))).await;
}
