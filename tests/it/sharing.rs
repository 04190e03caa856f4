//! Several projects that have something in common: a Compose project that both are parts of, or the name of an image.

use serde_json::json;
use windlass::auth::Scheme;
use windlass::model::Digest;

use crate::daemon::{Caller, Home, TestDaemon, operator, send};

/// Two projects `web` and `api` with a service each, both parts of what is called `shop`.
fn parts_of_one(home: &Home) -> (TestDaemon, Caller, Caller) {
    for name in ["web", "api"] {
        home.project(name, &[&format!("r.io/{name}")]);
        home.world.service(name, name, &format!("r.io/{name}:live"));
        home.world.publish(&format!("r.io/{name}:v1"), name);
        home.world.state().places.insert(name.parse().unwrap(), "shop".to_owned());
    }
    let daemon = home.start();
    let (web, api) =
        (Caller::new(home, &daemon, "web", Scheme::STANDARD), Caller::new(home, &daemon, "api", Scheme::STANDARD));
    (daemon, web, api)
}

/// A deployment of each: the first is being proven, the second waits for it.
async fn one_waits_for_the_other(home: &Home, web: &Caller, api: &Caller) -> (String, String) {
    home.world.state().hold_health = true;
    let first = web.ask("one", "r.io/web:v1").await.id();
    home.world.until("web to be applied", |state| !state.running.is_empty()).await;
    let second = api.ask("two", "r.io/api:v1").await.id();
    let events = format!("/v1/deployments/{second}/events");
    crate::daemon::eventually("the second to wait", || async {
        api.get(&events).await.text.contains("waiting for web")
    })
    .await;
    (first, second)
}

#[tokio::test(flavor = "multi_thread")]
async fn projects_that_are_parts_of_one_compose_project_are_deployed_one_after_the_other() {
    let home = Home::new();
    let (_daemon, web, api) = parts_of_one(&home);
    let (first, second) = one_waits_for_the_other(&home, &web, &api).await;
    assert_eq!(home.world.runs("api", "api"), None, "nothing of it is touched");
    home.world.state().hold_health = false;
    home.world.ring();
    assert_eq!(web.outcome(&first).await["status"], "succeeded");
    assert_eq!(api.outcome(&second).await["status"], "succeeded");
    assert_eq!(home.world.state().collisions, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_waits_for_another_project_can_be_cancelled_and_survives_a_restart() {
    let home = Home::new();
    let (daemon, web, api) = parts_of_one(&home);
    let (first, second) = one_waits_for_the_other(&home, &web, &api).await;
    let cancel = operator(&home).post(format!("http://localhost/v1/deployments/{second}/cancel"));
    assert_eq!(send(cancel).await.status, 202);
    assert_eq!(api.outcome(&second).await["status"], "cancelled");

    let third = api.ask("three", "r.io/api:v1").await.id();
    daemon.stop();
    home.world.state().hold_health = false;
    let daemon = home.start();
    let (web, api) =
        (Caller::new(&home, &daemon, "web", Scheme::STANDARD), Caller::new(&home, &daemon, "api", Scheme::STANDARD));
    assert_eq!(web.outcome(&first).await["status"], "succeeded");
    assert_eq!(api.outcome(&third).await["status"], "succeeded");
    assert_eq!(home.world.state().collisions, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_name_for_the_images_of_two_projects_is_refused_before_anything_is_touched() {
    let home = Home::new();
    for name in ["prod", "staging"] {
        home.project(name, &["r.io/app"]);
        home.world.service(name, "web", "r.io/app:live");
    }
    home.world.publish("r.io/app:v1", "v1");
    let daemon = home.start();
    for (name, other) in [("prod", "staging"), ("staging", "prod")] {
        let caller = Caller::new(&home, &daemon, name, Scheme::STANDARD);
        let why = format!("the project {other} starts web of {other} from r.io/app:live too");
        let dry = send(caller.hook("dry", "?dry_run=1", json!({ "image": "r.io/app:v1" }).to_string())).await;
        assert_eq!(dry.status, 422, "{}", dry.text);
        assert!(dry.text.contains(&why), "{}", dry.text);
        let answer = caller.deploy("one", "r.io/app:v1").await;
        assert_eq!((answer.status, answer.json()["type"].as_str()), (422, Some("urn:windlass:problem:abandoned")));
        assert!(answer.text.contains(&why) && answer.text.contains("r.io/app:prod"), "{}", answer.text);
    }
    assert_eq!(home.world.pin("r.io/app:live"), None);
    assert_eq!(home.world.state().done, [""; 0]);

    // With a tag of its own each is its own master.
    home.world.state().services.clear();
    for name in ["prod", "staging"] {
        home.world.service(name, "web", &format!("r.io/app:{name}"));
        let caller = Caller::new(&home, &daemon, name, Scheme::STANDARD);
        assert_eq!(caller.deploy("two", "r.io/app:v1").await.status, 200);
        assert_eq!(home.world.pin(&format!("r.io/app:{name}")), Some(Digest::of(b"v1")));
    }
}
