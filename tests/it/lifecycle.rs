//! Programs around a deployment: when they are run, and what their failure does and does not change.

use serde_json::json;
use windlass::auth::Scheme;
use windlass::deploy::event::Outcome;
use windlass::model::Digest;

use crate::daemon::{Caller, Home, TestDaemon, eventually, operator, send};
use crate::world::{Behaviour, Trap, When};

const AROUND: &str =
    "lifecycle = { before = [\"/bin/before\"], after = [\"/bin/after\"], on_failure = [\"/bin/on-failure\"] }";

fn shop() -> (Home, TestDaemon, Caller) {
    let home = Home::with_shop();
    home.project_with("shop", &["r.io/shop"], AROUND);
    home.world.publish("r.io/shop:v2", "v2");
    let daemon = home.start();
    let caller = Caller::new(&home, &daemon, "shop", Scheme::STANDARD);
    (home, daemon, caller)
}

fn fails(home: &Home, program: &str) {
    home.world.state().failing_programs.insert(program.to_owned());
}

fn ends(home: &Home) -> Vec<Outcome> {
    home.world.state().concluded.iter().map(|(_, end)| end.outcome).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_before_that_fails_abandons_and_nothing_was_touched() {
    let (home, _daemon, caller) = shop();
    assert_eq!(caller.deploy("one", "r.io/shop:v1").await.status, 200);
    fails(&home, "/bin/before");
    let answer = caller.deploy("two", "r.io/shop:v2").await;
    assert_eq!(answer.json()["type"], "urn:windlass:problem:abandoned");
    assert!(answer.json()["detail"].as_str().unwrap().contains("/bin/before failed: exit code 1: not today"));
    let v1 = Some(Digest::of(b"v1"));
    assert_eq!(
        (home.world.runs("shop", "web").map(|running| running.digest), home.world.pin("r.io/shop:live")),
        (v1.clone(), v1)
    );
    assert_eq!(ends(&home), [Outcome::Succeeded, Outcome::Abandoned]);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_part_of_the_plan_and_comes_when_the_images_are_here_and_nothing_is_touched() {
    let (_home, _daemon, caller) = shop();
    let body = json!({ "image": "r.io/shop:v1" }).to_string();
    let planned = send(caller.hook("one", "?dry_run=1", body)).await;
    let steps: Vec<String> = planned.json()["plan"]["steps"]
        .as_array()
        .unwrap_or_else(|| panic!("{}", planned.text))
        .iter()
        .map(|step| step["do"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(steps, ["pull", "keep", "before", "pin", "apply", "await_healthy"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_after_that_fails_is_told_and_changes_nothing() {
    let (home, _daemon, caller) = shop();
    fails(&home, "/bin/after");
    let answer = caller.deploy("one", "r.io/shop:v1").await;
    assert_eq!((answer.status, &answer.json()["status"]), (200, &json!("succeeded")));
    let events = caller.get(&format!("/v1/deployments/{}/events", answer.id())).await.text;
    assert!(events.contains("the outcome is unchanged, but /bin/after failed: exit code 1: not today"), "{events}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_told_with_its_reason_and_both_releases_and_a_cancellation_is_none() {
    let (home, _daemon, caller) = shop();
    assert_eq!(caller.deploy("one", "r.io/shop:v1").await.status, 200);
    home.world.state().behaviours.insert(Digest::of(b"v2"), Behaviour::Unhealthy);
    fails(&home, "/bin/on-failure");
    let answer = caller.deploy("two", "r.io/shop:v2").await;
    assert_eq!(answer.json()["type"], "urn:windlass:problem:rolled_back");
    let (id, end) = home.world.state().concluded.last().cloned().unwrap();
    assert_eq!((id, end.outcome, end.reason.as_deref()), (answer.id(), Outcome::RolledBack, Some("web is unhealthy")));
    assert_eq!(end.change.to[0].to_string(), format!("r.io/shop:v2 ({})", Digest::of(b"v2").short()));
    assert_eq!(end.change.from[0].to_string(), format!("r.io/shop:live ({})", Digest::of(b"v1").short()));

    home.world.state().hold_health = true;
    let third = caller.ask("three", "r.io/shop:v2").await.id();
    home.world.until("v2 to be applied", |state| state.running.values().any(|one| !one.works)).await;
    let cancel = operator(&home).post(format!("http://localhost/v1/deployments/{third}/cancel"));
    assert_eq!(send(cancel.header("content-type", "application/json").body("{}")).await.status, 202);
    home.world.state().hold_health = false;
    home.world.ring();
    assert_eq!(caller.outcome(&third).await["status"], "cancelled");
    assert_eq!(ends(&home), [Outcome::Succeeded, Outcome::RolledBack], "nobody is woken up for what somebody wanted");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_come_to_its_end_cannot_be_cancelled_while_its_command_runs() {
    let (home, _daemon, caller) = shop();
    // Resolve, snapshot, pull, keep, before, pin, apply, await; then the command after.
    home.world.state().trap = Some(Trap { step: 7, when: When::Before });
    let id = caller.ask("one", "r.io/shop:v1").await.id();
    home.world.until("the command after", |state| state.caught).await;
    let cancel = || operator(&home).post(format!("http://localhost/v1/deployments/{id}/cancel"));
    let answer = send(cancel().header("content-type", "application/json").body("{}")).await;
    assert_eq!(answer.status, 409, "{}", answer.text);
    eventually("the status", || async { caller.get(&format!("/v1/deployments/{id}")).await.status == 200 }).await;
}
