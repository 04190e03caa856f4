//! What becomes of a deployment: its outcome, its place in the queue, and how it fares when something is away.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};
use windlass::auth::Scheme;
use windlass::model::Digest;

use crate::daemon::{Caller, Home, TestDaemon, client, eventually, operator, send};
use crate::world::{Behaviour, Trap, When};

fn shop(home: &Home) -> (TestDaemon, Caller) {
    let daemon = home.start();
    let caller = Caller::new(home, &daemon, "shop", Scheme::STANDARD);
    (daemon, caller)
}

/// A request on the operators' socket.
async fn operate(home: &Home, path: &str, body: Value) -> crate::daemon::Answer {
    let request = operator(home).post(format!("http://localhost{path}")).header("content-type", "application/json");
    send(request.body(body.to_string())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_works_is_in_service_and_the_answer_proves_it() {
    let home = Home::with_shop();
    let (_daemon, caller) = shop(&home);
    let answer = caller.deploy("one", "r.io/shop:v1").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let deployment = answer.json();
    let v1 = Digest::of(b"v1");
    assert_eq!(deployment["status"], "succeeded");
    assert_eq!(deployment["release"], json!([{ "image": "r.io/shop:v1", "digest": v1.to_string() }]));
    assert_eq!(deployment["running"][0]["digest"], v1.to_string());
    assert_eq!(deployment["requested_by"]["key"], "standard");
    assert_eq!(home.world.pin("r.io/shop:live"), Some(v1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_does_not_work_is_rolled_back_and_the_answer_says_why() {
    let home = Home::with_shop();
    let (_daemon, caller) = shop(&home);
    assert_eq!(caller.deploy("one", "r.io/shop:v1").await.status, 200);
    for (tag, behaviour, why) in [
        ("sick", Behaviour::Unhealthy, "web is unhealthy"),
        ("stuck", Behaviour::Unstartable, "driver failed programming external connectivity"),
    ] {
        let digest = home.world.publish(&format!("r.io/shop:{tag}"), tag);
        home.world.state().behaviours.insert(digest, behaviour);
        let answer = caller.deploy(tag, &format!("r.io/shop:{tag}")).await;
        assert_eq!(answer.status, 422, "{}", answer.text);
        let problem = answer.json();
        assert_eq!(problem["type"], "urn:windlass:problem:rolled_back");
        assert!(problem["detail"].as_str().unwrap().contains(why), "{problem}");
        assert_eq!(problem["deployment"]["status"], "rolled_back");
        assert_eq!(problem["deployment"]["running"][0]["digest"], Digest::of(b"v1").to_string());
        assert_eq!(home.world.runs("shop", "web").unwrap().digest, Digest::of(b"v1"));
        assert_eq!(home.world.pin("r.io/shop:live"), Some(Digest::of(b"v1")));
    }
    let id = caller.ask("sick", "r.io/shop:sick").await.id();
    let events = caller.get(&format!("/v1/deployments/{id}/events")).await.text;
    assert!(events.contains("cannot reach the database") && events.contains("exit 1: no answer"), "{events}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_cannot_be_had_touches_nothing() {
    let home = Home::with_shop();
    let (_daemon, caller) = shop(&home);
    assert_eq!(caller.deploy("one", "r.io/shop:v1").await.status, 200);
    let foreign = home.world.publish("r.io/shop:arm", "arm");
    home.world.state().behaviours.insert(foreign, Behaviour::Unpullable);
    let done = home.world.state().done.len();
    for (tag, why) in [("missing", "manifest unknown"), ("arm", "no matching manifest for linux/amd64")] {
        let answer = caller.deploy(tag, &format!("r.io/shop:{tag}")).await;
        assert_eq!(answer.status, 422, "{}", answer.text);
        assert_eq!(answer.json()["type"], "urn:windlass:problem:abandoned");
        assert!(answer.json()["detail"].as_str().unwrap().contains(why), "{}", answer.text);
    }
    assert_eq!(home.world.state().done.len(), done, "{:?}", home.world.state().done);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_waiting_one_wins_and_the_others_end_superseded() {
    let home = Home::with_shop();
    let (_daemon, caller) = shop(&home);
    for tag in ["v2", "v3", "v4"] {
        home.world.publish(&format!("r.io/shop:{tag}"), tag);
    }
    home.world.state().hold_health = true;
    let first = caller.ask("one", "r.io/shop:v1").await.id();
    home.world.until("v1 to be applied", |state| !state.running.is_empty()).await;
    let second = caller.ask("two", "r.io/shop:v2").await.id();
    let third = caller.ask("three", "r.io/shop:v3").await.id();
    let fourth = caller.ask("four", "r.io/shop:v4").await.id();
    for waiting in [&second, &third] {
        let ended = caller.outcome(waiting).await;
        assert_eq!(ended["status"], "superseded");
    }
    home.world.state().hold_health = false;
    home.world.ring();
    assert_eq!(caller.outcome(&first).await["status"], "succeeded");
    assert_eq!(caller.outcome(&fourth).await["status"], "succeeded");
    assert_eq!(home.world.runs("shop", "web").unwrap().digest, Digest::of(b"v4"));
    let answer = send(caller.hook("two", "?wait=1s", json!({ "image": "r.io/shop:v2" }).to_string())).await;
    assert_eq!((answer.status, answer.json()["type"].as_str()), (409, Some("urn:windlass:problem:superseded")));
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_copies_of_one_delivery_make_one_deployment() {
    let home = Home::with_shop();
    let (_daemon, caller) = shop(&home);
    for scheme in [Scheme::STANDARD, Scheme::GITHUB, Scheme::BEARER] {
        let caller = Caller::new(&home, &_daemon, "shop", scheme);
        let body = json!({ "image": "r.io/shop:v1", "run_url": format!("https://ci/{scheme}") }).to_string();
        let copies = (0..50).map(|_| send(caller.hook(scheme.as_str(), "?wait=20s", body.clone())));
        let mut ids: Vec<String> =
            futures_util::future::join_all(copies).await.iter().map(|answer| answer.id()).collect();
        ids.dedup();
        assert_eq!(ids.len(), 1, "{scheme}");
    }
    let listed = caller.get("/v1/deployments?project=shop").await.json();
    assert_eq!(listed["deployments"].as_array().unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_hooks_for_twenty_projects_all_reach_an_outcome() {
    let home = Home::new();
    let names: Vec<String> = (0..20).map(|n| format!("p{n}")).collect();
    for name in &names {
        home.project(name, &[&format!("r.io/{name}")]);
        home.world.service(name, "web", &format!("r.io/{name}:live"));
        for tag in 0..10 {
            home.world.publish(&format!("r.io/{name}:v{tag}"), &format!("{name} v{tag}"));
        }
    }
    let daemon = home.start();
    let callers: Vec<Caller> = names.iter().map(|name| Caller::new(&home, &daemon, name, Scheme::STANDARD)).collect();
    let hooks = callers.iter().zip(&names).flat_map(|(caller, name)| {
        (0..10).map(move |tag| async move { caller.ask(&format!("d{tag}"), &format!("r.io/{name}:v{tag}")).await.id() })
    });
    let ids = futures_util::future::join_all(hooks).await;
    for (caller, ids) in callers.iter().zip(ids.chunks(10)) {
        let mut succeeded = 0;
        for id in ids {
            match caller.outcome(id).await["status"].as_str().unwrap() {
                "succeeded" => succeeded += 1,
                other => assert_eq!(other, "superseded"),
            }
        }
        assert!(succeeded >= 1);
    }
    assert_eq!(home.world.state().collisions, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_is_refused_with_503_and_loses_nothing() {
    let home = Home::new();
    home.configure("[limits]\nqueue = 2");
    home.project("shop", &["r.io/a", "r.io/b", "r.io/c", "r.io/d"]);
    for image in ["a", "b", "c", "d"] {
        home.world.service("shop", image, &format!("r.io/{image}:live"));
        home.world.publish(&format!("r.io/{image}:v1"), image);
    }
    let (_daemon, caller) = shop(&home);
    home.world.state().hold_health = true;
    let mut ids = vec![caller.ask("a", "r.io/a:v1").await.id()];
    home.world.until("the first to be applied", |state| !state.running.is_empty()).await;
    for image in ["b", "c"] {
        ids.push(caller.ask(image, &format!("r.io/{image}:v1")).await.id());
    }
    let refused = caller.ask("d", "r.io/d:v1").await;
    assert_eq!(refused.status, 503, "{}", refused.text);
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(caller.ask("b", "r.io/b:v1").await.id(), ids[1], "a repetition needs no place");
    home.world.state().hold_health = false;
    home.world.ring();
    for id in &ids {
        assert_eq!(caller.outcome(id).await["status"], "succeeded");
    }
    assert_eq!(caller.deploy("d", "r.io/d:v1").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_and_not_begun_runs_after_a_crash_and_the_newest_still_wins() {
    let home = Home::with_shop();
    home.world.publish("r.io/shop:v2", "v2");
    home.world.publish("r.io/shop:v3", "v3");
    let (daemon, caller) = shop(&home);
    home.world.state().trap = Some(Trap { step: 0, when: When::Before });
    let first = caller.ask("one", "r.io/shop:v1").await.id();
    home.world.until("the trap to close", |state| state.caught).await;
    let third = caller.ask("three", "r.io/shop:v3").await.id();
    daemon.kill();
    let (_daemon, caller) = shop(&home);
    assert_eq!(caller.outcome(&first).await["status"], "succeeded");
    assert_eq!(caller.outcome(&third).await["status"], "succeeded");
    assert_eq!(home.world.runs("shop", "web").unwrap().digest, Digest::of(b"v3"));
}

fn damage(database: &rusqlite::Connection, id: &str) {
    let damage = "UPDATE deployments SET status = '{\"state\":' WHERE id = ?";
    assert_eq!(database.execute(damage, [id]).unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_whose_status_is_damaged_goes_on_from_its_journal() {
    let home = Home::with_shop();
    let (daemon, caller) = shop(&home);
    home.world.state().trap = Some(Trap { step: 3, when: When::After });
    let id = caller.ask("one", "r.io/shop:v1").await.id();
    home.world.until("the trap to close", |state| state.caught).await;
    daemon.kill();
    damage(&rusqlite::Connection::open(home.path().join("state/windlass.db")).unwrap(), &id);
    let (_daemon, caller) = shop(&home);
    assert_eq!(caller.outcome(&id).await["status"], "succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_that_cannot_be_read_any_more_stops_nobody_else() {
    let home = Home::with_shop();
    home.project("site", &["r.io/site"]);
    home.world.service("site", "web", "r.io/site:live");
    home.world.publish("r.io/site:v1", "site");
    let (daemon, caller) = shop(&home);
    home.world.state().trap = Some(Trap { step: 0, when: When::Before });
    let damaged = caller.ask("one", "r.io/shop:v1").await.id();
    home.world.until("the trap to close", |state| state.caught).await;
    let other = Caller::new(&home, &daemon, "site", Scheme::STANDARD).ask("two", "r.io/site:v1").await.id();
    daemon.kill();
    let database = rusqlite::Connection::open(home.path().join("state/windlass.db")).unwrap();
    damage(&database, &damaged);
    let damage_journal =
        "UPDATE journal SET event = '{' WHERE deployment = (SELECT number FROM deployments WHERE id = ?)";
    assert!(database.execute(damage_journal, [&damaged]).unwrap() > 0);
    drop(database);

    let (daemon, caller) = shop(&home);
    let site = Caller::new(&home, &daemon, "site", Scheme::STANDARD);
    assert_eq!(site.outcome(&other).await["status"], "succeeded");
    assert_eq!(caller.deploy("three", "r.io/shop:v1").await.status, 200);
    let all = caller.get("/v1/deployments?project=shop").await.json();
    assert_eq!(all["deployments"].as_array().map(Vec::len), Some(1), "{all}");
    let there = caller.get(&format!("/v1/deployments/{damaged}")).await;
    assert_eq!(there.status, 503, "{}", there.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_refuses_new_hooks_and_what_was_under_way_is_finished_after_the_next_start() {
    let home = Home::with_shop();
    let (daemon, caller) = shop(&home);
    home.world.state().hold_health = true;
    let id = caller.ask("one", "r.io/shop:v1").await.id();
    home.world.until("v1 to be applied", |state| !state.running.is_empty()).await;
    daemon.stop();
    home.world.state().hold_health = false;
    let (_daemon, caller) = shop(&home);
    assert_eq!(caller.outcome(&id).await["status"], "succeeded");
    assert_eq!(home.world.state().collisions, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_comes_back_is_waited_for_and_one_that_does_not_is_not() {
    let home = Home::with_shop();
    let (_daemon, caller) = shop(&home);
    home.world.state().engine_away = true;
    let id = caller.ask("one", "r.io/shop:v1").await.id();
    tokio::time::sleep(Duration::from_millis(400)).await;
    home.world.state().engine_away = false;
    assert_eq!(caller.outcome(&id).await["status"], "succeeded");

    home.world.publish("r.io/shop:v2", "v2");
    home.world.state().engine_away = true;
    let answer = caller.deploy("two", "r.io/shop:v2").await;
    assert_eq!(answer.status, 422, "{}", answer.text);
    assert_eq!(answer.json()["type"], "urn:windlass:problem:abandoned");
    assert!(answer.text.contains("the engine does not answer"), "{}", answer.text);
    assert_eq!(answer.json()["deployment"]["running"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_that_takes_too_long_is_rolled_back() {
    let home = Home::with_shop();
    home.project_with("shop", &["r.io/shop"], "timeout = \"500ms\"");
    home.world.publish("r.io/shop:v2", "v2");
    let (_daemon, caller) = shop(&home);
    assert_eq!(caller.deploy("one", "r.io/shop:v1").await.status, 200);
    home.world.state().hold_health = true;
    let id = caller.ask("two", "r.io/shop:v2").await.id();
    home.world
        .until("the rollback", |state| {
            state.done.last().is_some_and(|step| step.contains("apply"))
                && state.pins.values().any(|pin| *pin == Digest::of(b"v1"))
                && state.done.len() > 6
        })
        .await;
    home.world.state().hold_health = false;
    home.world.ring();
    let ended = caller.outcome(&id).await;
    assert_eq!(ended["status"], "rolled_back", "{ended}");
    assert_eq!(ended["reason"], "not done within 500ms");
    assert_eq!(home.world.runs("shop", "web").unwrap().digest, Digest::of(b"v1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_deployment_leaves_what_ran_before() {
    let home = Home::with_shop();
    home.world.publish("r.io/shop:v2", "v2");
    home.world.publish("r.io/shop:v3", "v3");
    let (_daemon, caller) = shop(&home);
    assert_eq!(caller.deploy("one", "r.io/shop:v1").await.status, 200);
    home.world.state().hold_health = true;
    let running = caller.ask("two", "r.io/shop:v2").await.id();
    home.world.until("v2 to be applied", |state| state.running.values().any(|r| r.digest == Digest::of(b"v2"))).await;
    let waiting = caller.ask("three", "r.io/shop:v3").await.id();
    // What is answered is on disk already: the waiting one has ended, the other one is on its way back.
    for (id, status, phase) in [
        (&waiting, "cancelled", json!(null)),
        (&running, "running", json!("rolling_back")),
        (&running, "running", json!("rolling_back")),
    ] {
        let answer = operate(&home, &format!("/v1/deployments/{id}/cancel"), json!({})).await;
        assert_eq!(answer.status, 202, "{}", answer.text);
        let deployment = answer.json();
        assert_eq!((&deployment["status"], &deployment["phase"]), (&json!(status), &phase), "{deployment}");
    }
    assert_eq!(caller.outcome(&waiting).await["status"], "cancelled");
    home.world.until("v1 to run again", |state| state.running.values().all(|r| r.digest == Digest::of(b"v1"))).await;
    home.world.state().hold_health = false;
    home.world.ring();
    assert_eq!(caller.outcome(&running).await["status"], "cancelled");
    assert_eq!(home.world.pin("r.io/shop:live"), Some(Digest::of(b"v1")));
    let again = operate(&home, &format!("/v1/deployments/{running}/cancel"), json!({})).await;
    assert_eq!(again.status, 409, "{}", again.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn putting_back_what_ran_before_is_tried_again_when_it_fails() {
    let home = Home::with_shop();
    home.world.publish("r.io/shop:sick", "sick");
    home.world.state().behaviours.insert(Digest::of(b"sick"), Behaviour::Unhealthy);
    let (_daemon, caller) = shop(&home);
    assert_eq!(caller.deploy("one", "r.io/shop:v1").await.status, 200);
    home.world.state().stumbles = 2;
    let ended = caller.deploy("two", "r.io/shop:sick").await;
    assert_eq!(ended.json()["deployment"]["status"], "rolled_back", "{}", ended.text);
    assert_eq!(home.world.runs("shop", "web").unwrap().digest, Digest::of(b"v1"));
    home.world.state().stumbles = usize::MAX;
    let ended = caller.deploy("three", "r.io/shop:sick").await;
    assert_eq!(ended.json()["deployment"]["status"], "rollback_failed", "{}", ended.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_that_is_being_rolled_back_cannot_be_cancelled() {
    let home = Home::with_shop();
    home.project_with("shop", &["r.io/shop"], "timeout = \"500ms\"");
    home.world.publish("r.io/shop:v2", "v2");
    let (_daemon, caller) = shop(&home);
    assert_eq!(caller.deploy("one", "r.io/shop:v1").await.status, 200);
    home.world.state().hold_health = true;
    let failed = caller.ask("two", "r.io/shop:v2").await.id();
    let (caller, path) = (&caller, format!("/v1/deployments/{failed}"));
    let is_rolling_back = async || caller.get(&path).await.json()["phase"] == "rolling_back";
    eventually("the way back", is_rolling_back).await;
    let answer = operate(&home, &format!("/v1/deployments/{failed}/cancel"), json!({})).await;
    assert_eq!((answer.status, answer.json()["type"].as_str()), (409, Some("urn:windlass:problem:rolling_back")));
    home.world.state().hold_health = false;
    home.world.ring();
    assert_eq!(caller.outcome(&failed).await["status"], "rolled_back");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_good_releases_are_kept_and_no_more() {
    let home = Home::with_shop();
    home.project_with("shop", &["r.io/shop"], "keep = 2");
    let (_daemon, caller) = shop(&home);
    for tag in ["v1", "v2", "bad", "v3"] {
        let digest = home.world.publish(&format!("r.io/shop:{tag}"), tag);
        if tag == "bad" {
            home.world.state().behaviours.insert(digest, Behaviour::Unhealthy);
        }
        caller.deploy(tag, &format!("r.io/shop:{tag}")).await;
    }
    let good = [Digest::of(b"v2"), Digest::of(b"v3")];
    eventually("the old images to go", || async {
        let state = home.world.state();
        state.kept.len() == 2 && good.iter().all(|digest| state.local.contains(digest)) && state.local.len() == 2
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_goes_back_to_the_release_before() {
    let home = Home::with_shop();
    home.world.publish("r.io/shop:v2", "v2");
    let (_daemon, caller) = shop(&home);
    let nothing = operate(&home, "/v1/projects/shop/rollback", json!({})).await;
    assert_eq!(nothing.status, 409, "{}", nothing.text);
    let first = caller.deploy("one", "r.io/shop:v1").await.id();
    assert_eq!(caller.deploy("two", "r.io/shop:v2").await.status, 200);
    // The tag has moved in the meantime: the release has not.
    home.world.publish("r.io/shop:v1", "something else");
    let back = operate(&home, "/v1/projects/shop/rollback?wait=20s", json!({})).await;
    assert_eq!(back.status, 200, "{}", back.text);
    assert_eq!(home.world.runs("shop", "web").unwrap().digest, Digest::of(b"v1"));
    let named = operate(&home, "/v1/projects/shop/rollback?wait=20s", json!({ "to": first })).await;
    assert_eq!(named.status, 200, "{}", named.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_lets_no_replay_in_and_loses_no_deployment() {
    let home = Home::with_shop();
    let (_daemon, caller) = shop(&home);
    let body = json!({ "image": "r.io/shop:v1" }).to_string();
    let recorded = caller.hook("one", "?wait=20s", body.clone());
    let replay = recorded.try_clone().unwrap();
    let first = send(recorded).await;
    assert_eq!(first.status, 200, "{}", first.text);

    home.clock_offset.store(-3_600_000, Ordering::SeqCst);
    assert_eq!(send(replay.try_clone().unwrap()).await.status, 401, "signed in the future");
    // Whoever moves the clock back to the time of a recorded delivery finds that it is known.
    home.clock_offset.store(0, Ordering::SeqCst);
    assert_eq!(send(replay).await.id(), first.id());

    home.world.publish("r.io/shop:v2", "v2");
    home.world.state().hold_health = true;
    let id = caller.ask("two", "r.io/shop:v2").await.id();
    home.clock_offset.store(-7_200_000, Ordering::SeqCst);
    home.world.state().hold_health = false;
    home.world.ring();
    assert_eq!(caller.outcome(&id).await["status"], "succeeded");
    let listed = caller.get("/v1/deployments?project=shop").await.json();
    assert_eq!(listed["deployments"][0]["id"], id, "the newest is first, whatever the clock said");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_configuration_changes_nothing_and_a_whole_one_everything_at_once() {
    let home = Home::with_shop();
    let (daemon, caller) = shop(&home);
    let reload = || {
        daemon.daemon().reload(home.settings());
    };
    let ready = || async { send(client().get(format!("{}/readyz", daemon.url))).await };
    assert_eq!((ready().await.status, ready().await.text.trim()), (200, "ready"));

    home.project("blog", &["r.io/blog"]);
    let file = home.path().join("projects.d/broken.toml");
    std::fs::write(&file, "[projects.broken]\nimagse = []\n").unwrap();
    reload();
    assert_ne!(ready().await.text.trim(), "ready");
    assert_eq!(caller.deploy("one", "r.io/shop:v1").await.status, 200, "the old configuration is in force");
    let blog = Caller::new(&home, &daemon, "blog", Scheme::STANDARD);
    assert_eq!(blog.ask("one", "r.io/blog:v1").await.status, 401, "and nothing of the new one");

    std::fs::remove_file(&file).unwrap();
    home.world.service("blog", "web", "r.io/blog:live");
    home.world.publish("r.io/blog:v1", "blog v1");
    reload();
    assert_eq!(ready().await.text.trim(), "ready");
    assert_eq!(blog.deploy("one", "r.io/blog:v1").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_that_is_taken_away_while_its_deployment_waits_is_not_touched() {
    let home = Home::with_shop();
    home.configure("concurrency = 1");
    home.project("other", &["r.io/other"]);
    home.world.service("other", "web", "r.io/other:live");
    home.world.publish("r.io/other:v1", "other v1");
    let (daemon, caller) = shop(&home);
    home.world.state().hold_health = true;
    let other = Caller::new(&home, &daemon, "other", Scheme::STANDARD);
    other.ask("one", "r.io/other:v1").await.id();
    home.world.until("the other to be applied", |state| !state.running.is_empty()).await;
    let id = caller.ask("one", "r.io/shop:v1").await.id();
    std::fs::rename(home.path().join("projects.d/shop.toml"), home.path().join("shop.toml")).unwrap();
    let settings = || home.settings();
    daemon.daemon().reload(settings());
    home.world.state().hold_health = false;
    home.world.ring();
    let client = operator(&home);
    eventually("the outcome", || async {
        let answer = send(client.get(format!("http://localhost/v1/deployments/{id}"))).await;
        answer.json()["status"] == "abandoned"
    })
    .await;
    assert!(home.world.runs("shop", "web").is_none());
}
