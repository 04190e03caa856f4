//! What the caller of a hook is answered: a receipt, an outcome, a plan, or why not.

use std::fs;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use windlass::auth::Scheme;
use windlass::model::Digest;

use crate::daemon::{Answer, Caller, Home, TestDaemon, operator, send};
use crate::world::Behaviour;

fn shop(home: &Home) -> (TestDaemon, Caller) {
    let daemon = home.start();
    let caller = Caller::new(home, &daemon, "shop", Scheme::STANDARD);
    (daemon, caller)
}

fn image(tag: &str) -> String {
    json!({ "image": format!("r.io/shop:{tag}") }).to_string()
}

fn problem(answer: &Answer) -> (u16, String) {
    assert_eq!(answer.headers["content-type"], "application/problem+json", "{}", answer.text);
    let problem = answer.json();
    assert_eq!(problem["status"], answer.status);
    assert!(!problem["title"].as_str().unwrap().is_empty() && !problem["detail"].as_str().unwrap().is_empty());
    (answer.status, problem["type"].as_str().unwrap().strip_prefix("urn:windlass:problem:").unwrap().to_owned())
}

fn is(status: u16, name: &str) -> (u16, String) {
    (status, name.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_wait_the_answer_is_a_receipt_that_says_where_to_look() {
    let home = Home::with_shop();
    let (_daemon, caller) = shop(&home);
    home.world.state().hold_health = true;
    let body = json!({
        "image": "r.io/shop:v1", "sequence": 7, "commit": "3f2a91c", "ref": "refs/heads/main",
        "actor": "ann", "run_url": "https://ci/1"
    });
    let answer = send(caller.hook("one", "", body.to_string())).await;
    assert_eq!(answer.status, 202, "{}", answer.text);
    assert_eq!(answer.headers["content-type"], "application/json");
    let deployment = answer.json();
    let id = deployment["id"].as_str().unwrap();
    assert_eq!(answer.headers["location"], format!("/v1/deployments/{id}"));
    assert_eq!(deployment["status"], "queued");
    assert_eq!(deployment["release"], json!([{ "image": "r.io/shop:v1", "digest": null }]));
    let who = json!({
        "key": "standard", "delivery": "one", "commit": "3f2a91c", "ref": "refs/heads/main",
        "actor": "ann", "run_url": "https://ci/1"
    });
    assert_eq!(deployment["requested_by"], who);
    let found = caller.get(answer.headers["location"].to_str().unwrap()).await.json();
    assert_eq!((&found["id"], &found["requested_by"]), (&deployment["id"], &who));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_holds_the_answer_until_the_outcome_and_no_longer_than_was_said() {
    let home = Home::with_shop();
    let (_daemon, caller) = shop(&home);
    home.world.state().hold_health = true;
    caller.ask("one", "r.io/shop:v1").await;
    home.world.until("v1 to be applied", |state| !state.running.is_empty()).await;
    let (begun, wait) = (Instant::now(), Duration::from_secs(1));
    let early = send(caller.hook("one", "?wait=1s", image("v1"))).await;
    assert!(begun.elapsed() >= wait, "it was not waited for: {}", early.text);
    assert_eq!((early.status, early.json()["status"].as_str()), (202, Some("running")), "{}", early.text);
    assert_eq!(early.json()["phase"], "verifying");
    assert!(early.headers.contains_key("location"));

    let (answer, ()) = tokio::join!(send(caller.hook("one", "?wait=10m", image("v1"))), async {
        home.world.state().hold_health = false;
        home.world.ring();
    });
    assert_eq!(answer.status, 200, "{}", answer.text);
    let deployment = answer.json();
    assert_eq!((&deployment["id"], deployment["status"].as_str()), (&early.json()["id"], Some("succeeded")));
    assert_eq!(deployment["running"][0]["digest"], Digest::of(b"v1").to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repetition_is_told_the_truth_about_its_deployment_whether_it_waits_or_not() {
    let home = Home::with_shop();
    let sick = home.world.publish("r.io/shop:sick", "sick");
    home.world.state().behaviours.insert(sick, Behaviour::Unhealthy);
    let (_daemon, caller) = shop(&home);
    assert_eq!(caller.deploy("one", "r.io/shop:v1").await.status, 200);
    let first = caller.deploy("two", "r.io/shop:sick").await;
    assert_eq!(problem(&first), is(422, "rolled_back"));
    for query in ["", "?wait=10s", "?wait=0s"] {
        let good = send(caller.hook("one", query, image("v1"))).await;
        assert_eq!((good.status, good.json()["status"].as_str()), (200, Some("succeeded")), "{}", good.text);
        let bad = send(caller.hook("two", query, image("sick"))).await;
        assert_eq!(problem(&bad), is(422, "rolled_back"));
        assert_eq!(bad.id(), first.id());
    }
    let listed = caller.get("/v1/deployments?project=shop").await.json();
    assert_eq!(listed["deployments"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_delivery_id_stands_for_one_body_even_after_a_restart() {
    let home = Home::with_shop();
    let (daemon, caller) = shop(&home);
    let first = caller.deploy("one", "r.io/shop:v1").await;
    daemon.kill();
    let (_daemon, caller) = shop(&home);
    assert_eq!(caller.ask("one", "r.io/shop:v1").await.id(), first.id());
    let other = send(caller.hook("one", "", image("v2"))).await;
    assert_eq!(problem(&other), is(409, "conflict"));
    assert_eq!(other.json()["deployment"], first.id());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_was_replaced_since_is_not_said_to_have_succeeded() {
    let home = Home::with_shop();
    home.world.publish("r.io/shop:v2", "v2");
    let daemon = home.start();
    let github = Caller::new(&home, &daemon, "shop", Scheme::GITHUB);
    let first = github.deploy("-", "r.io/shop:v1").await;
    assert_eq!(github.deploy("-", "r.io/shop:v1").await.id(), first.id(), "it is the newest: a repetition");
    // A day later as well: nothing in it says when it was signed.
    home.clock_offset.store(86_400_000, Ordering::SeqCst);
    assert_eq!(github.deploy("-", "r.io/shop:v1").await.id(), first.id());
    assert_eq!(github.deploy("-", "r.io/shop:v2").await.status, 200);
    let replayed = github.deploy("-", "r.io/shop:v1").await;
    assert_eq!(problem(&replayed), is(409, "replayed"));
    let detail = replayed.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("`run_url`") && detail.contains("`sequence`"), "{detail}");
    assert_eq!(home.world.runs("shop", "web").unwrap().digest, Digest::of(b"v2"));

    // A bearer has no replay to defend: only its key makes two of its requests the same.
    let bearer = Caller::new(&home, &daemon, "shop", Scheme::BEARER);
    let with_key = |key: &str| send(bearer.hook(key, "?wait=20s", image("v1")));
    let (one, again, other) = (with_key("k1").await, with_key("k1").await, with_key("k2").await);
    assert_eq!(one.id(), again.id());
    assert_ne!(one.id(), other.id());
    let mut unusable = bearer.hook("k3", "", image("v1")).build().unwrap();
    unusable.headers_mut().append("idempotency-key", "k4".parse().unwrap());
    assert_eq!(reqwest::Client::new().execute(unusable).await.unwrap().status(), 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_sequence_is_stale() {
    let home = Home::with_shop();
    let (_daemon, caller) = shop(&home);
    let numbered = |id: &'static str, sequence: u64| {
        send(caller.hook(id, "?wait=20s", json!({ "image": "r.io/shop:v1", "sequence": sequence }).to_string()))
    };
    assert_eq!(numbered("a", 10).await.status, 200);
    let stale = numbered("b", 9).await;
    assert_eq!(problem(&stale), is(409, "stale"));
    assert!(stale.json()["detail"].as_str().unwrap().contains("10"));
    assert_eq!(numbered("c", 10).await.status, 200);

    // A mistake shuts nobody out for good.
    assert_eq!(numbered("d", u64::MAX).await.status, 200);
    let stale = numbered("e", 11).await;
    assert!(
        stale.json()["detail"].as_str().unwrap().contains("windlass deploy PROJECT IMAGE --sequence"),
        "{}",
        stale.text
    );
    let deploy = operator(&home).post("http://localhost/v1/projects/shop/deploy?wait=20s");
    let body = json!({ "image": "r.io/shop:v1", "sequence": 11 }).to_string();
    assert_eq!(send(deploy.header("content-type", "application/json").body(body)).await.status, 200);
    assert_eq!(problem(&numbered("f", 10).await), is(409, "stale"));
    assert_eq!(numbered("g", 12).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_answers_with_the_plan_and_changes_nothing() {
    let home = Home::with_shop();
    home.world.publish("r.io/shop:v2", "v2");
    let (_daemon, caller) = shop(&home);
    assert_eq!(caller.deploy("one", "r.io/shop:v1").await.status, 200);
    let done = home.world.state().done.len();
    for _ in 0..2 {
        let answer = send(caller.hook("two", "?dry_run=1&wait=10s", image("v2"))).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let plan = answer.json();
        assert_eq!(plan["dry_run"], true);
        assert_eq!(plan["release"][0]["digest"], Digest::of(b"v2").to_string());
        assert_eq!(plan["previous"][0]["digest"], Digest::of(b"v1").to_string());
        assert_eq!(plan["services"], json!(["web"]));
        assert_eq!(plan["steps"].as_array().unwrap().len(), 5);
        assert_eq!(plan["plan"]["steps"][0]["do"], "pull");
    }
    let missing = send(caller.hook("three", "?dry_run=1", image("missing"))).await;
    assert_eq!(problem(&missing), is(422, "unresolvable"));
    assert!(missing.text.contains("manifest unknown"), "{}", missing.text);
    home.world.state().engine_away = true;
    let away = send(caller.hook("four", "?dry_run=1", image("v2"))).await;
    assert_eq!(problem(&away), is(503, "away"));
    assert!(away.headers.contains_key("retry-after"));
    home.world.state().engine_away = false;
    assert_eq!(home.world.state().done.len(), done);
    let listed = caller.get("/v1/deployments?project=shop").await.json();
    assert_eq!(listed["deployments"].as_array().unwrap().len(), 1);
    // CI that really deploys what it has seen sends a delivery of its own.
    assert_eq!(caller.deploy("five", "r.io/shop:v2").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_as_a_dry_run_deploys_nothing_when_somebody_sends_it_again_without_the_query() {
    let home = Home::with_shop();
    home.world.publish("r.io/shop:v2", "v2");
    let daemon = home.start();
    for (scheme, query) in [
        (Scheme::STANDARD, "?dry_run=1"),
        (Scheme::GITHUB, "?dry_run=1"),
        // A slip is no deployment either.
        (Scheme::STANDARD, "?dry-run=1"),
        (Scheme::BEARER, "?dry_run=1&wait=1"),
    ] {
        let caller = Caller::new(&home, &daemon, "shop", scheme);
        let body = json!({ "image": "r.io/shop:v2", "run_url": format!("https://ci/{scheme}{query}") }).to_string();
        let recorded = |query: &str| caller.hook(&format!("dry{}", query.len()), "", body.clone()).build().unwrap();
        let mut dry = recorded(query);
        dry.url_mut().set_query(query.strip_prefix('?'));
        let again = {
            let mut again = dry.try_clone().unwrap();
            again.url_mut().set_query(None);
            again
        };
        let planned = reqwest::Client::new().execute(dry).await.unwrap().status().as_u16();
        assert_eq!(planned, if query == "?dry_run=1" { 200 } else { 400 }, "{scheme} {query}");
        let answer = reqwest::Client::new().execute(again).await.unwrap();
        assert_eq!(answer.status(), 409, "{scheme} {query}");
        assert!(answer.text().await.unwrap().contains("urn:windlass:problem:replayed"));
    }
    assert!(home.world.state().done.is_empty(), "{:?}", home.world.state().done);
    // As a body that says so itself it deploys nothing whatever the query is, and nothing of it is used up.
    for scheme in Scheme::all() {
        let caller = Caller::new(&home, &daemon, "shop", scheme);
        let dry = json!({ "image": "r.io/shop:v2", "dry_run": true }).to_string();
        for query in ["", "?wait=5s", "?dry_run=0"] {
            let planned = send(caller.hook("body", query, dry.clone())).await;
            assert_eq!((planned.status, &planned.json()["dry_run"]), (200, &json!(true)), "{}", planned.text);
        }
        assert!(home.world.state().done.is_empty(), "{:?}", home.world.state().done);
    }
    for scheme in Scheme::all() {
        let caller = Caller::new(&home, &daemon, "shop", scheme);
        assert_eq!(caller.deploy("body", "r.io/shop:v2").await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_was_refused_runs_nothing_over_what_was_accepted_after_it() {
    let home = Home::with_shop();
    home.world.publish("r.io/shop:v2", "v2");
    home.world.publish("r.io/shop:v3", "v3");
    narrow(&home, "github", "scope = { may = [\"deploy\"], tags = [\"v3\"] }");
    let daemon = home.start();
    let act = |what: &str| {
        let url = format!("http://localhost/v1/projects/shop/{what}");
        send(operator(&home).post(url).header("content-type", "application/json").body("{}"))
    };
    let [standard, github] =
        [Scheme::STANDARD, Scheme::GITHUB].map(|scheme| Caller::new(&home, &daemon, "shop", scheme));
    let not_allowed = |image: &'static str| github.deploy("-", image);
    assert_eq!(act("freeze").await.status, 200);
    assert_eq!(problem(&standard.deploy("frozen", "r.io/shop:v2").await), is(423, "frozen"));
    assert_eq!(problem(&not_allowed("r.io/shop:v2").await), is(403, "forbidden"));
    assert_eq!(act("unfreeze").await.status, 200);
    assert_eq!(standard.deploy("newer", "r.io/shop:v3").await.status, 200);
    assert_eq!(problem(&standard.deploy("frozen", "r.io/shop:v2").await), is(409, "replayed"));
    // The key may deploy it by now. Whoever recorded it has nothing of that.
    let path = home.path().join("projects.d/shop.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("tags = [\"v3\"]", "tags = [\"v*\"]")).unwrap();
    daemon.daemon().reload(home.settings());
    assert_eq!(problem(&not_allowed("r.io/shop:v2").await), is(409, "replayed"));
    assert_eq!(home.world.runs("shop", "web").unwrap().digest, Digest::of(b"v3"));

    // A job that is run again before anything newer came is none the worse for it.
    assert_eq!(act("freeze").await.status, 200);
    for caller in [&standard, &github] {
        assert_eq!(problem(&caller.deploy("again", "r.io/shop:v1").await), is(423, "frozen"));
    }
    assert_eq!(act("unfreeze").await.status, 200);
    assert_eq!(github.deploy("again", "r.io/shop:v1").await.status, 200);
    assert_eq!(home.world.runs("shop", "web").unwrap().digest, Digest::of(b"v1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn freezes_and_refusals_that_matter_are_in_the_journal_and_a_key_cannot_fill_it() {
    let home = Home::with_shop();
    home.configure("[limits]\nhooks_per_minute = 3\n");
    let daemon = home.start();
    let act = |what: &str, body: &'static str| {
        let url = format!("http://localhost/v1/projects/shop/{what}");
        send(operator(&home).post(url).header("content-type", "application/json").body(body))
    };
    let caller = Caller::new(&home, &daemon, "shop", Scheme::STANDARD);
    assert_eq!(act("freeze", r#"{"reason":"audit"}"#).await.status, 200);
    assert_eq!(problem(&caller.deploy("one", "r.io/shop:v1").await), is(423, "frozen"));
    assert_eq!(act("unfreeze", "{}").await.status, 200);
    assert_eq!(problem(&caller.deploy("two", "r.io/other:v1").await), is(422, "not_allowed"));
    assert_eq!(
        problem(&send(caller.hook("three", "?dry_run=1", r#"{"image":"r.io/x:v1"}"#)).await),
        is(422, "not_allowed")
    );
    assert_eq!(problem(&caller.deploy("four", "r.io/other:v1").await), is(422, "not_allowed"));
    for n in 0..20 {
        assert_eq!(problem(&caller.deploy(&format!("more-{n}"), "r.io/other:v1").await), is(429, "too_often"));
    }
    let database = rusqlite::Connection::open(home.path().join("state/windlass.db")).unwrap();
    let sql = "SELECT event FROM journal WHERE project = 'shop' ORDER BY number";
    let mut statement = database.prepare(sql).unwrap();
    let rows: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
    let rows: Vec<Value> = rows.iter().map(|row| serde_json::from_str(row).unwrap()).collect();
    let told: Vec<&str> = rows.iter().map(|row| row["event"].as_str().unwrap()).collect();
    assert_eq!(told, ["frozen", "refused", "unfrozen", "refused", "refused"], "{rows:?}");
    assert_eq!(
        (&rows[0]["reason"], &rows[1]["by"], &rows[1]["delivery"]),
        (&json!("audit"), &json!("standard"), &json!("one"))
    );
    assert_eq!(rows[3]["problem"], "not_allowed");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_dry_runs_at_once_share_their_looks_at_the_machine_and_none_is_refused() {
    let home = Home::with_shop();
    home.project("blog", &["r.io/blog"]);
    home.world.service("blog", "web", "r.io/blog:live");
    home.world.publish("r.io/blog:v1", "blog v1");
    let daemon = home.start();
    let [shop, blog] = ["shop", "blog"].map(|project| Caller::new(&home, &daemon, project, Scheme::STANDARD));
    let runs = (0..150).map(|n| {
        let (caller, project) = if n % 5 == 0 { (&blog, "blog") } else { (&shop, "shop") };
        let body = json!({ "image": format!("r.io/{project}:v1"), "actor": n.to_string() });
        send(caller.hook(&format!("dry-{n}"), "?dry_run=1", body.to_string()))
    });
    for answer in futures_util::future::join_all(runs).await {
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
    let state = home.world.state();
    assert_eq!(state.most_looks_at_once, 1, "at one project one look at a time");
    assert!(state.looks < 75, "150 dry runs took {} looks", state.looks);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_asks_for_so_many_deployments_in_a_minute_and_is_told_when_to_come_again() {
    let home = Home::with_shop();
    home.configure("limits.hooks_per_minute = 3");
    let (daemon, caller) = shop(&home);
    home.world.state().hold_health = true;
    for n in 0..3 {
        assert_eq!(send(caller.hook(&format!("d{n}"), "", image("v1"))).await.status, 202);
    }
    let refused = send(caller.hook("one-too-many", "", image("v1"))).await;
    assert_eq!(problem(&refused), is(429, "too_often"));
    let wait: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=20).contains(&wait), "{wait}");
    assert_eq!(caller.get("/v1/deployments?project=shop").await.json()["deployments"].as_array().unwrap().len(), 3);
    assert_eq!(send(caller.hook("dry", "?dry_run=1", image("v1"))).await.status, 200, "a dry run does not count");
    let other = Caller::new(&home, &daemon, "shop", Scheme::BEARER);
    assert_eq!(send(other.hook("d0", "", image("v1"))).await.status, 202, "each key has its own rate");
}

/// Gives the key of `scheme` a scope.
fn narrow(home: &Home, scheme: &str, scope: &str) {
    let path = home.path().join("projects.d/shop.toml");
    let text = fs::read_to_string(&path).unwrap();
    let line = format!("scheme = \"{scheme}\"\n");
    assert!(text.contains(&line));
    fs::write(&path, text.replace(&line, &format!("{line}{scope}\n"))).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_does_what_it_may_and_nothing_else() {
    let home = Home::with_shop();
    narrow(&home, "standard", "scope = { may = [\"read\"] }");
    narrow(&home, "github", "scope = { may = [\"deploy\"], tags = [\"v*\"] }");
    let daemon = home.start();
    let (reader, deployer) =
        (Caller::new(&home, &daemon, "shop", Scheme::STANDARD), Caller::new(&home, &daemon, "shop", Scheme::GITHUB));
    assert_eq!(problem(&reader.ask("one", "r.io/shop:v1").await), is(403, "forbidden"));
    assert_eq!(problem(&send(reader.hook("one", "?dry_run=1", image("v1"))).await), is(403, "forbidden"));
    assert_eq!(problem(&deployer.ask("-", "r.io/shop:main").await), is(403, "forbidden"));
    let id = deployer.deploy("-", "r.io/shop:v1").await.id();
    for path in [
        format!("/v1/deployments/{id}"),
        format!("/v1/deployments/{id}/events"),
        "/v1/deployments?project=shop".to_owned(),
        "/v1/projects?project=shop".to_owned(),
        "/v1/projects/shop".to_owned(),
    ] {
        assert_eq!(problem(&deployer.get(&path).await), is(403, "forbidden"), "{path}");
        assert_eq!(reader.get(&path).await.status, 200, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_key_is_nobodys() {
    let home = Home::with_shop();
    narrow(&home, "standard", "expires = \"2100-01-01T00:00:00Z\"");
    let (_daemon, caller) = shop(&home);
    assert_eq!(caller.deploy("one", "r.io/shop:v1").await.status, 200);
    home.clock_offset.store(100 * 365 * 86_400_000, Ordering::SeqCst);
    assert_eq!(problem(&caller.ask("two", "r.io/shop:v1").await), is(401, "not_authentic"));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_goes_away_while_waiting_leaves_the_deployment_to_its_course() {
    let home = Home::with_shop();
    let (_daemon, caller) = shop(&home);
    home.world.state().hold_health = true;
    tokio::select! {
        answer = send(caller.hook("one", "?wait=10m", image("v1"))) => panic!("{}", answer.text),
        () = home.world.until("v1 to be applied", |state| !state.running.is_empty()) => {}
    }
    home.world.state().hold_health = false;
    home.world.ring();
    let id = caller.ask("one", "r.io/shop:v1").await.id();
    assert_eq!(caller.outcome(&id).await["status"], "succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outcome_is_told_even_when_the_machine_does_not_say_what_runs() {
    let home = Home::with_shop();
    let (_daemon, caller) = shop(&home);
    assert_eq!(caller.deploy("one", "r.io/shop:v1").await.status, 200);
    home.world.state().engine_away = true;
    let again = send(caller.hook("one", "", image("v1"))).await;
    assert_eq!((again.status, &again.json()["running"]), (200, &Value::Null), "{}", again.text);
}
