//! Killed at any moment: before and after the effect of each step, on the way forward and on the way back. After the
//! next start every deployment reaches its outcome by itself, and what runs and what is pinned is one whole release.

use std::time::Duration;

use serde_json::Value;
use windlass::auth::Scheme;
use windlass::deploy::event::Outcome;
use windlass::model::Digest;

use crate::daemon::{Caller, Home, operator, send};
use crate::world::{Behaviour, Trap, When};

/// Resolve, snapshot, and the steps of the plan forward: two pulls, keep, two pins, apply, await.
const FORWARD: usize = 9;
/// The steps of the plan back: two pulls, two pins, apply, await.
const BACK: usize = 6;

const IMAGES: [&str; 2] = ["r.io/api", "r.io/web"];
const PINS: [&str; 2] = ["r.io/api:live", "r.io/web:live"];
const BODY_V1: &str = r#"{"images":["r.io/api:v1","r.io/web:v1"]}"#;
const BODY_V2: &str = r#"{"images":["r.io/api:v2","r.io/web:v2"]}"#;

fn home() -> Home {
    let home = Home::new();
    home.project("shop", &IMAGES);
    for (service, reference) in ["api", "web"].into_iter().zip(PINS) {
        home.world.service("shop", service, reference);
    }
    for image in ["api", "web"] {
        home.world.publish(&format!("r.io/{image}:v1"), &format!("{image} v1"));
        home.world.publish(&format!("r.io/{image}:v2"), &format!("{image} v2"));
    }
    home
}

/// The same with programs around each deployment: a step more on the way forward, and one at the end.
fn home_with_programs() -> Home {
    let home = home();
    let around =
        "lifecycle = { before = [\"/bin/before\"], after = [\"/bin/after\"], on_failure = [\"/bin/failure\"] }";
    home.project_with("shop", &IMAGES, around);
    home
}

/// What the program at the end was told, repetitions left out: it may be run again after a crash.
fn told(home: &Home) -> Vec<Outcome> {
    let mut told: Vec<Outcome> = home.world.state().concluded.iter().map(|(_, end)| end.outcome).collect();
    told.dedup();
    told
}

fn release(version: &str) -> [Option<Digest>; 2] {
    ["api", "web"].map(|image| Some(Digest::of(format!("{image} {version}").as_bytes())))
}

fn runs(home: &Home) -> [Option<Digest>; 2] {
    ["api", "web"].map(|service| home.world.runs("shop", service).map(|running| running.digest))
}

fn pinned(home: &Home) -> [Option<Digest>; 2] {
    PINS.map(|reference| home.world.pin(reference))
}

/// The deployment, once it has ended, as operators read it.
async fn outcome_on_the_socket(home: &Home, id: &str) -> Value {
    loop {
        let found = send(operator(home).get(format!("http://localhost/v1/deployments/{id}"))).await.json();
        if found["finished_at"].is_string() {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Deploys v1 if it is to be there before, then v2 with the daemon killed at `trap`. Gives the outcome.
async fn killed_at(home: &Home, trap: Trap, with_v1: bool) -> String {
    let daemon = home.start();
    let caller = Caller::new(home, &daemon, "shop", Scheme::STANDARD);
    if with_v1 {
        let answer = send(caller.hook("one", "?wait=20s", BODY_V1)).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
    home.world.state().trap = Some(trap);
    let accepted = send(caller.hook("two", "", BODY_V2)).await;
    assert_eq!(accepted.status, 202, "{}", accepted.text);
    home.world.until("the trap to close", |state| state.caught).await;
    daemon.kill();

    let daemon = home.start();
    let caller = Caller::new(home, &daemon, "shop", Scheme::STANDARD);
    let outcome = caller.outcome(&accepted.id()).await;
    assert_eq!(home.world.state().collisions, 0);
    // The same delivery, sent again after the crash, finds the same deployment.
    let again = send(caller.hook("two", "?wait=20s", BODY_V2)).await;
    assert_eq!(again.id(), accepted.id());
    outcome["status"].as_str().unwrap().to_owned()
}

fn every_moment(steps: usize) -> impl Iterator<Item = Trap> {
    (0..steps).flat_map(|step| [When::Before, When::After].map(|when| Trap { step, when }))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_release_killed_at_any_moment_is_in_service_after_the_next_start() {
    for trap in every_moment(FORWARD) {
        let home = home();
        assert_eq!(killed_at(&home, trap, true).await, "succeeded", "{trap:?}");
        assert_eq!(runs(&home), release("v2"), "{trap:?}");
        assert_eq!(pinned(&home), release("v2"), "{trap:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_release_killed_at_any_moment_leaves_the_one_before_in_service() {
    for trap in every_moment(FORWARD + BACK) {
        let home = home();
        home.world.state().behaviours.insert(Digest::of(b"web v2"), Behaviour::Unhealthy);
        assert_eq!(killed_at(&home, trap, true).await, "rolled_back", "{trap:?}");
        assert_eq!(runs(&home), release("v1"), "{trap:?}");
        assert_eq!(pinned(&home), release("v1"), "{trap:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_with_programs_around_it_ends_the_same_and_they_are_told() {
    let around = FORWARD + 2;
    for trap in every_moment(around) {
        let home = home_with_programs();
        assert_eq!(killed_at(&home, trap, false).await, "succeeded", "{trap:?}");
        assert_eq!((runs(&home), pinned(&home)), (release("v2"), release("v2")), "{trap:?}");
        assert_eq!(told(&home), [Outcome::Succeeded], "{trap:?}");
    }
    for trap in every_moment(around + BACK) {
        let home = home_with_programs();
        home.world.state().behaviours.insert(Digest::of(b"web v2"), Behaviour::Unhealthy);
        assert_eq!(killed_at(&home, trap, true).await, "rolled_back", "{trap:?}");
        assert_eq!((runs(&home), pinned(&home)), (release("v1"), release("v1")), "{trap:?}");
        assert_eq!(told(&home), [Outcome::Succeeded, Outcome::RolledBack], "{trap:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_release_that_is_bad_leaves_nothing_in_service() {
    // The way back is one step: remove.
    for trap in every_moment(FORWARD + 1) {
        let home = home();
        home.world.state().behaviours.insert(Digest::of(b"web v2"), Behaviour::Unhealthy);
        assert_eq!(killed_at(&home, trap, false).await, "rolled_back", "{trap:?}");
        assert_eq!(runs(&home), [None, None], "{trap:?}");
        assert_eq!(pinned(&home), [None, None], "{trap:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_a_deployment_of_a_project_that_is_then_removed_leaves_the_release_before() {
    for trap in every_moment(FORWARD) {
        let home = home();
        let daemon = home.start();
        let caller = Caller::new(&home, &daemon, "shop", Scheme::STANDARD);
        assert_eq!(send(caller.hook("one", "?wait=20s", BODY_V1)).await.status, 200);
        home.world.state().trap = Some(trap);
        let accepted = send(caller.hook("two", "", BODY_V2)).await;
        home.world.until("the trap to close", |state| state.caught).await;
        daemon.kill();
        std::fs::remove_file(home.path().join("projects.d/shop.toml")).unwrap();

        let _daemon = home.start();
        let outcome = outcome_on_the_socket(&home, &accepted.id()).await;
        let status = outcome["status"].as_str().unwrap();
        assert!(status == "rolled_back" || status == "abandoned", "{trap:?}: {outcome}");
        assert!(outcome["reason"].as_str().unwrap().contains("no longer configured"), "{outcome}");
        assert_eq!((runs(&home), pinned(&home)), (release("v1"), release("v1")), "{trap:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_that_is_killed_again_and_again_is_rolled_back() {
    let home = home();
    let daemon = home.start();
    let caller = Caller::new(&home, &daemon, "shop", Scheme::STANDARD);
    assert_eq!(send(caller.hook("one", "?wait=20s", BODY_V1)).await.status, 200);
    let apply = FORWARD - 2;
    home.world.state().trap = Some(Trap { step: apply, when: When::After });
    let accepted = send(caller.hook("two", "", BODY_V2)).await;
    let mut daemon = daemon;
    for _ in 0..4 {
        home.world.until("the trap to close", |state| state.caught).await;
        daemon.kill();
        {
            let mut state = home.world.state();
            state.caught = false;
            state.trap = Some(Trap { step: 0, when: When::After });
        }
        daemon = home.start();
    }
    // The fourth start rolls back, and the trap closes once more on its first step.
    home.world.until("the trap to close", |state| state.caught).await;
    daemon.kill();
    let daemon = home.start();
    let outcome = Caller::new(&home, &daemon, "shop", Scheme::STANDARD).outcome(&accepted.id()).await;
    assert_eq!(outcome["status"], "rolled_back", "{outcome}");
    assert_eq!((runs(&home), pinned(&home)), (release("v1"), release("v1")));
}
