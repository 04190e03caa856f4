//! What operators do on the socket: being able to open it is all they have to prove.

use std::time::Duration;

use serde_json::{Value, json};
use windlass::auth::Scheme;
use windlass::model::{Digest, Timestamp};

use crate::daemon::{Answer, Caller, Home, TestDaemon, client, send};
use crate::world::{Behaviour, Running};

fn operator(home: &Home) -> reqwest::Client {
    reqwest::Client::builder().unix_socket(home.socket()).build().unwrap()
}

async fn act(home: &Home, path: &str, body: Value) -> Answer {
    let request = operator(home).post(format!("http://localhost{path}")).header("content-type", "application/json");
    send(request.body(body.to_string())).await
}

async fn look(home: &Home, path: &str) -> Answer {
    send(operator(home).get(format!("http://localhost{path}"))).await
}

fn shop(home: &Home) -> (TestDaemon, Caller) {
    let daemon = home.start();
    let caller = Caller::new(home, &daemon, "shop", Scheme::STANDARD);
    (daemon, caller)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_deploys_without_a_key_and_under_the_name_that_the_system_knows() {
    let home = Home::with_shop();
    let (_daemon, _) = shop(&home);
    let planned = act(&home, "/v1/projects/shop/deploy?dry_run=1", json!({ "image": "r.io/shop:v1" })).await;
    assert_eq!((planned.status, &planned.json()["dry_run"]), (200, &json!(true)), "{}", planned.text);
    let answer = act(&home, "/v1/projects/shop/deploy?wait=20s", json!({ "image": "r.io/shop:v1" })).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let uid = nix::unistd::getuid();
    let name = nix::unistd::User::from_uid(uid).unwrap().map_or_else(|| format!("uid {uid}"), |user| user.name);
    assert_eq!(answer.json()["requested_by"]["actor"], name);
    assert_eq!(answer.json()["requested_by"]["key"], Value::Null);

    let claimed = json!({ "image": "r.io/shop:v1", "actor": "alice" });
    let answer = act(&home, "/v1/projects/shop/deploy?wait=20s", claimed).await;
    let by = &answer.json()["requested_by"];
    assert_eq!((by["actor"].as_str(), by["on_behalf_of"].as_str()), (Some(&*name), Some("alice")), "{}", answer.text);

    let text = operator(&home).post("http://localhost/v1/projects/shop/deploy").header("accept", "text/plain");
    let text = send(text.header("content-type", "application/json").body(r#"{"image":"r.io/shop:v1"}"#)).await;
    assert!(text.text.lines().last().unwrap().starts_with("succeeded "), "{}", text.text);

    // The rules of the project hold for operators too.
    assert_eq!(act(&home, "/v1/projects/shop/deploy", json!({ "image": "r.io/other:v1" })).await.status, 422);
    assert_eq!(act(&home, "/v1/projects/shop/deploy", json!({})).await.status, 400);
    assert_eq!(act(&home, "/v1/projects/shop/deploy", Value::Null).await.status, 400);
    assert_eq!(act(&home, "/v1/projects/nobody/deploy", json!({ "image": "r.io/shop:v1" })).await.status, 404);
    let form = operator(&home).post("http://localhost/v1/projects/shop/deploy").body("image=x");
    assert_eq!(send(form).await.status, 415);
}

#[tokio::test(flavor = "multi_thread")]
async fn going_back_passes_over_what_changed_nothing_and_names_the_release_as_it_was_deployed() {
    let home = Home::with_shop();
    home.world.publish("r.io/shop:v2", "v2");
    let (_daemon, caller) = shop(&home);
    let first = caller.deploy("one", "r.io/shop:v1").await.id();
    assert_eq!(caller.deploy("two", "r.io/shop:v2").await.status, 200);
    assert_eq!(caller.deploy("three", "r.io/shop:v2").await.status, 200);
    let failed = caller.deploy("four", "r.io/shop:missing").await.id();
    let planned = act(&home, "/v1/projects/shop/rollback?dry_run=1", json!({})).await.json();
    assert_eq!(planned["release"], json!([{ "image": "r.io/shop:v1", "digest": Digest::of(b"v1").to_string() }]));

    let back = send(operator(&home).post("http://localhost/v1/projects/shop/rollback?wait=20s")).await;
    assert_eq!(back.status, 200, "{}", back.text);
    assert_eq!(back.json()["release"], planned["release"]);
    assert_eq!(home.world.runs("shop", "web").unwrap().digest, Digest::of(b"v1"));
    assert_eq!(back.json()["rollback"]["to"], first);
    assert_eq!(back.json()["rollback"]["from"][0]["image"], "r.io/shop:v2");
    // Once more finds nothing older, and does not go forward again.
    let older = act(&home, "/v1/projects/shop/rollback?wait=20s", json!({})).await;
    assert_eq!((older.status, older.json()["type"].as_str()), (409, Some("urn:windlass:problem:no_way_back")));
    assert!(older.text.contains("nothing older") && older.text.contains("r.io/shop:v1"), "{}", older.text);
    assert_eq!(home.world.runs("shop", "web").unwrap().digest, Digest::of(b"v1"));

    assert_eq!(act(&home, "/v1/projects/shop/rollback?wait=20s", json!({ "to": first })).await.status, 200);
    let bad = act(&home, "/v1/projects/shop/rollback", json!({ "to": failed })).await;
    assert_eq!((bad.status, bad.json()["type"].as_str()), (409, Some("urn:windlass:problem:no_way_back")));
    let unknown = act(&home, "/v1/projects/shop/rollback", json!({ "to": "01jd5zk0000000000000000000" })).await;
    assert_eq!(unknown.status, 404, "{}", unknown.text);
    assert_eq!(act(&home, "/v1/projects/shop/rollback", json!({ "to": "x" })).await.status, 400);
    assert_eq!(act(&home, "/v1/projects/shop/rollback", json!({ "too": first })).await.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_rollback_that_failed_going_back_finds_what_succeeded_and_nothing_else() {
    let home = Home::with_shop();
    let (v2, v3) = (home.world.publish("r.io/shop:v2", "v2"), home.world.publish("r.io/shop:v3", "v3"));
    let bad = home.world.publish("r.io/shop:bad", "bad");
    let (daemon, caller) = shop(&home);
    let first = caller.deploy("one", "r.io/shop:v1").await.id();
    for (id, image) in [("two", "r.io/shop:v2"), ("three", "r.io/shop:v3")] {
        assert_eq!(caller.deploy(id, image).await.status, 200);
    }
    for broken in [&bad, &v3] {
        home.world.state().behaviours.insert(broken.clone(), Behaviour::Unhealthy);
    }
    let failed = caller.deploy("four", "r.io/shop:bad").await;
    assert_eq!(failed.json()["type"], "urn:windlass:problem:rollback_failed", "{}", failed.text);
    home.world.state().behaviours.remove(&v3);

    let ways = look(&home, "/v1/projects/shop/rollback").await.json();
    let of = |place: usize| (&ways["releases"][place]["candidate"], ways["releases"][place]["reason"].as_str());
    assert_eq!(of(0), (&json!(false), Some("it did not succeed: rollback_failed")), "{ways}");
    assert_eq!((of(1), of(3)), ((&json!(true), None), (&json!(true), None)), "{ways}");
    assert_eq!(ways["next"]["to"], ways["releases"][1]["deployment"], "{ways}");
    for expected in [&v3, &v2, &Digest::of(b"v1")] {
        let back = act(&home, "/v1/projects/shop/rollback?wait=20s", json!({})).await;
        assert_eq!(back.status, 200, "{}", back.text);
        assert_eq!(home.world.runs("shop", "web").unwrap().digest, *expected);
    }
    let ways = look(&home, "/v1/projects/shop/rollback").await.json();
    assert!(ways["refused"].as_str().unwrap().contains("nothing older"), "{ways}");
    let left = ways["releases"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|release| release["reason"].as_str().is_some_and(|reason| reason.ends_with("went back from it")));
    assert_eq!(left.count(), 2, "{ways}");
    assert_eq!(ways["releases"].as_array().unwrap().last().unwrap()["deployment"], first);
    assert_eq!(look(&home, "/v1/projects/nobody/rollback").await.status, 404);
    assert_eq!(send(client().get(format!("{}/v1/projects/shop/rollback", daemon.url))).await.status, 404);

    // Where nobody can say what runs, a release is named or none is gone back to.
    home.world.state().engine_away = true;
    let blind = act(&home, "/v1/projects/shop/rollback", json!({})).await;
    assert_eq!((blind.status, blind.json()["type"].as_str()), (503, Some("urn:windlass:problem:away")));
    let named = act(&home, "/v1/projects/shop/rollback", json!({ "to": first })).await;
    assert_eq!(named.status, 202, "{}", named.text);
    home.world.state().engine_away = false;
    caller.outcome(&named.id()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_that_runs_something_else_than_was_deployed_says_what_was_deployed() {
    let home = Home::with_shop();
    let v2 = home.world.publish("r.io/shop:v2", "v2");
    let (_daemon, caller) = shop(&home);
    let project = async || look(&home, "/v1/projects/shop").await.json();
    assert_eq!(caller.deploy("one", "r.io/shop:v1").await.status, 200);
    assert_eq!(caller.deploy("two", "r.io/shop:v2").await.status, 200);
    assert_eq!(project().await["drift"], json!(null));

    let by_hand = Running { digest: Digest::of(b"by hand"), works: true };
    let place = ("shop".parse().unwrap(), "web".to_owned());
    home.world.state().running.insert(place, by_hand);
    let drifted = project().await;
    assert_eq!(drifted["drift"], json!([{ "image": "r.io/shop:v2", "digest": v2.to_string() }]), "{drifted}");
    let listed = look(&home, "/v1/projects").await.json();
    assert_eq!(listed["projects"][0]["drift"], json!(null), "the machine was not asked: {listed}");

    // While a deployment changes what runs, what runs is no drift.
    home.world.state().hold_health = true;
    let open = caller.ask("three", "r.io/shop:v1").await.id();
    home.world
        .until("the new release", |state| state.running.values().any(|found| found.digest == Digest::of(b"v1")))
        .await;
    assert_eq!(project().await["drift"], json!(null));
    home.world.state().hold_health = false;
    home.world.ring();
    caller.outcome(&open).await;
    assert_eq!(project().await["drift"], json!(null));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_by_command_passes_a_freeze_and_its_journal_says_so() {
    let home = Home::with_shop();
    home.world.publish("r.io/shop:v2", "v2");
    let (_daemon, caller) = shop(&home);
    for (id, image) in [("one", "r.io/shop:v1"), ("two", "r.io/shop:v2")] {
        assert_eq!(caller.deploy(id, image).await.status, 200);
    }
    assert_eq!(act(&home, "/v1/projects/shop/freeze", json!({ "reason": "v2 is bad" })).await.status, 200);
    let back = act(&home, "/v1/projects/shop/rollback?wait=20s", json!({})).await;
    assert_eq!(back.status, 200, "{}", back.text);
    assert_eq!(home.world.runs("shop", "web").unwrap().digest, Digest::of(b"v1"));
    let told = look(&home, &format!("/v1/deployments/{}/events", back.id())).await.json();
    assert_eq!(told[0]["rollback"]["from"][0]["image"], "r.io/shop:v2", "{told}");
    let note = told[1]["text"].as_str().unwrap();
    assert!(note.starts_with("the project is frozen by ") && note.contains("v2 is bad"), "{note}");
    assert!(note.ends_with("an operator's rollback passes the freeze"), "{note}");
    // The freeze itself stands.
    assert_eq!(caller.ask("three", "r.io/shop:v2").await.status, 423);
    assert_eq!(act(&home, "/v1/projects/shop/deploy", json!({ "image": "r.io/shop:v2" })).await.status, 423);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_project_lets_nobody_through_and_says_who_why_and_until_when() {
    let home = Home::with_shop();
    let (_daemon, caller) = shop(&home);
    let frozen = act(&home, "/v1/projects/shop/freeze", json!({ "reason": "stock\ntaking", "for": "2h" })).await;
    assert_eq!(frozen.status, 200, "{}", frozen.text);
    assert_eq!(frozen.json()["frozen"]["reason"], "stock taking");
    let refused = caller.ask("one", "r.io/shop:v1").await;
    assert_eq!((refused.status, refused.json()["type"].as_str()), (423, Some("urn:windlass:problem:frozen")));
    let detail = refused.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("stock taking") && detail.contains("until 20"), "{detail}");
    let retry: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((7_190..=7_201).contains(&retry), "{retry}");
    assert_eq!(act(&home, "/v1/projects/shop/deploy", json!({ "image": "r.io/shop:v1" })).await.status, 423);
    assert_eq!(look(&home, "/v1/projects/shop").await.json()["frozen"]["reason"], "stock taking");

    let thawed = send(operator(&home).post("http://localhost/v1/projects/shop/unfreeze")).await;
    assert_eq!((thawed.status, &thawed.json()["frozen"]), (200, &Value::Null), "{}", thawed.text);
    assert_eq!(caller.deploy("one", "r.io/shop:v1").await.status, 200);
    assert_eq!(act(&home, "/v1/projects/shop/unfreeze", json!({})).await.status, 200, "twice does no harm");

    let endless = send(operator(&home).post("http://localhost/v1/projects/shop/freeze")).await;
    assert_eq!((endless.status, &endless.json()["frozen"]["until"]), (200, &Value::Null), "{}", endless.text);
    let refused = caller.ask("two", "r.io/shop:v1").await;
    assert_eq!((refused.status, refused.headers.contains_key("retry-after")), (423, false));
    // What was taken before is known in spite of the freeze.
    assert_eq!(caller.ask("one", "r.io/shop:v1").await.status, 200);
    for bad in
        [json!({ "for": "soon" }), json!({ "for": 7 }), json!({ "until": "x" }), json!([]), json!({ "for": "0s" })]
    {
        assert_eq!(act(&home, "/v1/projects/shop/freeze", bad.clone()).await.status, 400, "{bad}");
    }
    assert_eq!(act(&home, "/v1/projects/nobody/freeze", json!({})).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_not_begun_once_its_project_is_frozen() {
    let home = Home::with_shop();
    home.world.publish("r.io/shop:v2", "v2");
    let (_daemon, caller) = shop(&home);
    assert_eq!(caller.deploy("one", "r.io/shop:v1").await.status, 200);
    home.world.state().hold_health = true;
    let running = caller.ask("two", "r.io/shop:v2").await.id();
    home.world.until("v2 to be applied", |state| state.running.values().any(|r| r.digest == Digest::of(b"v2"))).await;
    let waiting = caller.ask("three", "r.io/shop:v1").await.id();
    assert_eq!(act(&home, "/v1/projects/shop/freeze", json!({ "reason": "stocktaking" })).await.status, 200);
    home.world.state().hold_health = false;
    home.world.ring();
    assert_eq!(caller.outcome(&running).await["status"], "succeeded", "what is under way goes on");
    let ended = caller.outcome(&waiting).await;
    assert_eq!(ended["status"], "abandoned", "{ended}");
    assert!(ended["reason"].as_str().unwrap().contains("stocktaking"), "{ended}");
    assert_eq!(home.world.runs("shop", "web").unwrap().digest, Digest::of(b"v2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_not_begun_while_nobody_can_read_whether_its_project_is_frozen() {
    let home = Home::with_shop();
    home.world.publish("r.io/shop:v2", "v2");
    let (_daemon, caller) = shop(&home);
    assert_eq!(caller.deploy("one", "r.io/shop:v1").await.status, 200);
    home.world.state().hold_health = true;
    let running = caller.ask("two", "r.io/shop:v1").await.id();
    let waiting = caller.ask("three", "r.io/shop:v2").await.id();
    assert_eq!(act(&home, "/v1/projects/shop/freeze", json!({ "reason": "stocktaking" })).await.status, 200);
    let database = rusqlite::Connection::open(home.path().join("state/windlass.db")).unwrap();
    database.execute_batch("ALTER TABLE freezes RENAME TO hidden").unwrap();
    home.world.state().hold_health = false;
    home.world.ring();
    assert_eq!(caller.outcome(&running).await["status"], "succeeded");
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let address = format!("/v1/deployments/{waiting}");
    assert_eq!(look(&home, &address).await.json()["status"], "queued");
    database.execute_batch("ALTER TABLE hidden RENAME TO freezes").unwrap();
    let ended = caller.outcome(&waiting).await;
    assert_eq!(ended["status"], "abandoned", "{ended}");
    assert!(ended["reason"].as_str().unwrap().contains("stocktaking"), "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_held_against_the_configuration_that_is_in_force_when_its_turn_comes() {
    for (change, told) in [("images", "r.io/shop is not"), ("tags", "tag"), ("keys", "no longer a key")] {
        let home = Home::with_shop();
        home.world.publish("r.io/shop:v2", "v2");
        let (daemon, caller) = shop(&home);
        assert_eq!(caller.deploy("one", "r.io/shop:v1").await.status, 200);
        home.world.state().hold_health = true;
        let running = caller.ask("two", "r.io/shop:v1").await.id();
        let waiting = caller.ask("three", "r.io/shop:v2").await.id();
        match change {
            "images" => home.project("shop", &["r.io/other"]),
            "tags" => home.project_with("shop", &["r.io/shop"], "tags = [\"v1\"]"),
            _ => {
                let file = home.path().join("projects.d/shop.toml");
                let text = std::fs::read_to_string(&file).unwrap();
                std::fs::write(file, text.replace("id = \"standard\"", "id = \"another\"")).unwrap();
            }
        }
        daemon.daemon().reload(home.settings());
        home.world.state().hold_health = false;
        home.world.ring();
        assert_eq!(caller.outcome(&running).await["status"], "succeeded", "{told}");
        let ended = caller.outcome(&waiting).await;
        assert_eq!(ended["status"], "abandoned", "{ended}");
        assert!(ended["reason"].as_str().unwrap().contains(told), "{ended}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_of_thousands_of_years_is_refused_and_freezes_nothing() {
    let home = Home::with_shop();
    let (_daemon, caller) = shop(&home);
    for length in ["9000years", "11years", "18446744073709551615s"] {
        let refused = act(&home, "/v1/projects/shop/freeze", json!({ "for": length })).await;
        assert_eq!(refused.status, 400, "{length}: {}", refused.text);
        assert!(refused.json()["detail"].as_str().unwrap().contains("at most 10 years"), "{}", refused.text);
    }
    assert_eq!(look(&home, "/v1/projects/shop").await.json()["frozen"], Value::Null);
    assert_eq!(caller.deploy("one", "r.io/shop:v1").await.status, 200);
    assert_eq!(act(&home, "/v1/projects/shop/freeze", json!({ "for": "10years" })).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_beyond_the_year_9999_stops_neither_deployments_nor_answers() {
    let home = Home::with_shop();
    let (_daemon, _) = shop(&home);
    let thousands_of_years = 9_000 * 31_556_952_000;
    for offset in [thousands_of_years, -thousands_of_years] {
        home.clock_offset.store(offset, std::sync::atomic::Ordering::SeqCst);
        let done = act(&home, "/v1/projects/shop/deploy?wait=20s", json!({ "image": "r.io/shop:v1" })).await;
        assert_eq!(done.status, 200, "{}", done.text);
        let created = done.json()["created_at"].as_str().unwrap().parse::<Timestamp>();
        assert_eq!(created.ok(), Some(home.clock().now()), "{}", done.text);
        assert_eq!(done.headers["date"], home.clock().now().http_date().as_str());
        assert_eq!(act(&home, "/v1/projects/shop/freeze", json!({ "for": "2h" })).await.status, 200);
        assert_eq!(look(&home, "/v1/projects").await.status, 200);
        assert_eq!(act(&home, "/v1/projects/shop/unfreeze", json!({})).await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_ended_cannot_be_cancelled() {
    let home = Home::with_shop();
    let (_daemon, caller) = shop(&home);
    let id = caller.deploy("one", "r.io/shop:v1").await.id();
    let late = act(&home, &format!("/v1/deployments/{id}/cancel"), json!({})).await;
    assert_eq!((late.status, late.json()["type"].as_str()), (409, Some("urn:windlass:problem:ended")));
    assert_eq!(late.json()["deployment"]["status"], "succeeded");
    for unknown in ["01jd5zk0000000000000000000", "x"] {
        assert_eq!(act(&home, &format!("/v1/deployments/{unknown}/cancel"), json!({})).await.status, 404);
    }

    home.world.state().hold_health = true;
    let id = caller.ask("two", "r.io/shop:v1").await.id();
    home.world.until("the health check", |state| state.done.len() == 9).await;
    let answer = send(operator(&home).post(format!("http://localhost/v1/deployments/{id}/cancel"))).await;
    assert_eq!((answer.status, answer.id()), (202, id.clone()), "{}", answer.text);
    let back = act(&home, "/v1/projects/shop/rollback", json!({})).await;
    assert_eq!((back.status, back.json()["type"].as_str()), (409, Some("urn:windlass:problem:no_way_back")));
    assert!(back.text.contains(&format!("windlass cancel {id}")), "{}", back.text);
    home.world.state().hold_health = false;
    home.world.ring();
    let ended = caller.outcome(&id).await;
    assert_eq!(ended["status"], "cancelled");
    assert!(ended["reason"].as_str().unwrap().starts_with("cancelled by "), "{ended}");
    // Whoever waits for it learns that it is not in service.
    let told = send(caller.hook("two", "?wait=5s", r#"{"image":"r.io/shop:v1"}"#)).await;
    assert_eq!((told.status, told.json()["type"].as_str()), (409, Some("urn:windlass:problem:cancelled")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_figures_are_there_for_prometheus_and_hold_nothing_that_a_caller_made_up() {
    let home = Home::with_shop();
    home.configure("metrics_listen = \"127.0.0.1:0\"");
    let (daemon, caller) = shop(&home);
    caller.deploy("one", "r.io/shop:v1").await;
    caller.deploy("two", "r.io/shop:missing").await;
    send(client().post(format!("{}/v1/hooks/canary-project", daemon.url))).await;
    send(client().post(format!("{}/v1/hooks/shop", daemon.url)).header("content-type", "application/json")).await;
    let answer = look(&home, "/metrics").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    for line in [
        "windlass_build_info{version=\"0.1.0\"} 1",
        "windlass_ready 1",
        "windlass_hook_answers_total{status=\"200\"} 1",
        "windlass_hook_answers_total{status=\"422\"} 1",
        "windlass_hook_answers_total{status=\"401\"} 1",
        "windlass_not_authentic_total 1",
        "windlass_deployments{project=\"shop\",status=\"abandoned\"} 1",
        "windlass_deployments{project=\"shop\",status=\"succeeded\"} 1",
    ] {
        assert!(answer.text.lines().any(|found| found == line), "{line}: {}", answer.text);
    }
    assert!(!answer.text.contains("canary"), "{}", answer.text);
    let own = send(client().get(format!("http://{}/metrics", daemon.daemon().metrics().unwrap()))).await;
    assert_eq!(own.text, answer.text);
    // Not on the port that is open to the network, and nothing else on this one.
    assert_eq!(send(client().get(format!("{}/metrics", daemon.url))).await.status, 404);
    let other = format!("http://{}/v1/projects", daemon.daemon().metrics().unwrap());
    assert_eq!(send(client().get(other)).await.status, 404);
}
