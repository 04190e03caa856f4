//! The drop-in for docker-puller: its addresses, its answers and its one token, and behind them the truth.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use windlass::auth::Scheme;

use crate::cli::Windlass;
use crate::daemon::{Caller, Home, TestDaemon, eventually, operator, send};
use crate::raw::{Raw, status};
use crate::world::Behaviour;

const TOKEN: &str = "canary-0123456789-abcdefghijk";
const SUCCESS: &str = "{\"success\": true}\n";

/// The host with the project `shop`, and a hook `myhook1` of docker-puller for it.
fn home() -> Home {
    let home = Home::with_shop();
    home.secret("puller.token", TOKEN);
    home.configure(&puller("r.io/shop:v1"));
    home
}

fn puller(image: &str) -> String {
    format!(
        "[compat.docker_puller]\ntoken_file = \"puller.token\"\n[compat.docker_puller.hooks.myhook1]\n\
         project = \"shop\"\nimages = [\"{image}\"]\n"
    )
}

/// What came back.
#[derive(Debug)]
struct Told {
    status: u16,
    head: String,
    body: String,
}

async fn request(daemon: &TestDaemon, method: &str, target: &str, more: &str) -> Told {
    let mut raw = Raw::connect(&daemon.url).await;
    raw.send(format!("{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{more}\r\n")).await;
    let answer = raw.read_to_end().await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    Told { status: status(&answer), head: head.to_lowercase(), body: body.to_owned() }
}

async fn post(daemon: &TestDaemon, target: &str) -> Told {
    request(daemon, "POST", target, "").await
}

fn by_query(more: &str) -> String {
    format!("/?token={TOKEN}&hook=myhook1{more}")
}

fn by_path(more: &str) -> String {
    format!("/{TOKEN}/shop/myhook1{more}")
}

/// All deployments of `shop`, newest first.
async fn deployments(home: &Home, daemon: &TestDaemon) -> Vec<Value> {
    let caller = Caller::new(home, daemon, "shop", Scheme::STANDARD);
    caller.get("/v1/deployments?project=shop&limit=500").await.json()["deployments"].as_array().unwrap().clone()
}

async fn all_ended(home: &Home, daemon: &TestDaemon) -> Vec<Value> {
    eventually("every deployment to end", async || {
        let all = deployments(home, daemon).await;
        all.iter().all(|one| !matches!(one["status"].as_str(), Some("queued" | "running")))
    })
    .await;
    deployments(home, daemon).await
}

#[tokio::test(flavor = "multi_thread")]
async fn both_addresses_answer_as_docker_puller_did_and_deploy() {
    let home = home();
    let daemon = home.start();
    for (target, count) in [(by_query(""), 1), (by_path(""), 2)] {
        let told = post(&daemon, &target).await;
        assert_eq!((told.status, told.body.as_str()), (200, SUCCESS), "{told:?}");
        assert!(told.head.contains("content-type: application/json\r\n"), "{told:?}");
        let all = all_ended(&home, &daemon).await;
        assert_eq!(all.len(), count);
        assert_eq!((&all[0]["status"], &all[0]["requested_by"]["key"]), (&json!("succeeded"), &json!("docker-puller")));
        assert_eq!(all[0]["release"][0]["image"], "r.io/shop:v1");
    }
    // Whatever docker.io sends along is not looked at, as before.
    let body = r#"{"repository":{"repo_name":"evil/other"}}"#;
    let more = format!("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let told = request(&daemon, "POST", &by_query("&wait=20s"), &more).await;
    assert_eq!((told.status, told.body.as_str()), (200, SUCCESS), "{told:?}");
    assert_eq!(all_ended(&home, &daemon).await[0]["release"][0]["image"], "r.io/shop:v1");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_many_guesses_the_token_is_looked_at_late_and_the_right_one_still_works() {
    let home = home();
    let daemon = home.start();
    for guess in 0..20 {
        assert_eq!(post(&daemon, &format!("/?token=guess-{guess}&hook=myhook1")).await.status, 400);
    }
    let begun = Instant::now();
    assert_eq!(post(&daemon, "/?token=guess-20&hook=myhook1").await.status, 400);
    assert!(begun.elapsed() >= Duration::from_secs(1), "the next guess came at once");
    let begun = Instant::now();
    let told = post(&daemon, &by_query("")).await;
    assert_eq!((told.status, told.body.as_str()), (200, SUCCESS), "{told:?}");
    assert!(begun.elapsed() >= Duration::from_secs(1), "the delay shows which token is the right one");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_in_docker_pullers_words_and_changes_nothing() {
    let home = home();
    home.project("blog", &["r.io/blog"]);
    let daemon = home.start();
    let (token, hook, none) = ("Invalid token", "Hook not found", "Invalid request: missing hook");
    let query = "the query takes `token`, `hook` and `wait`, once each";
    let wait = "`wait` is a duration such as `30s` or `10m`";
    for (target, status, error) in [
        ("/".to_owned(), 400, token),
        ("/?".to_owned(), 400, token),
        ("/?hook=myhook1".to_owned(), 400, token),
        ("/?token=&hook=myhook1".to_owned(), 400, token),
        ("/?token&hook=myhook1".to_owned(), 400, token),
        ("/?token=abc&hook=myhook1".to_owned(), 400, token),
        ("/?token=abc&hook=nothing".to_owned(), 400, token),
        ("/?token=abc&wait=nonsense&x=y".to_owned(), 400, token),
        (format!("/?token={TOKEN}x&hook=myhook1"), 400, token),
        (format!("/?token={TOKEN}%20&hook=myhook1"), 400, token),
        (format!("/?token={TOKEN}%00&hook=myhook1"), 400, token),
        (format!("/?TOKEN={TOKEN}&hook=myhook1"), 400, token),
        (format!("/?token={TOKEN}&token={TOKEN}&hook=myhook1"), 400, token),
        (format!("/?token=abc&token={TOKEN}&hook=myhook1"), 400, token),
        (format!("/abc/shop/myhook1?token={TOKEN}"), 400, token),
        ("/abc/shop/myhook1".to_owned(), 400, token),
        ("/abc/nothing/nothing".to_owned(), 400, token),
        (format!("/?token={TOKEN}"), 400, none),
        (format!("/?token={TOKEN}&hook="), 400, none),
        (format!("/?token={TOKEN}&hook=nothing"), 404, hook),
        (format!("/?token={TOKEN}&hook=MYHOOK1"), 404, hook),
        (format!("/?token={TOKEN}&hook=myhook1/"), 404, hook),
        (format!("/?token={TOKEN}&hook=..%2f"), 404, hook),
        (format!("/{TOKEN}/shop/nothing"), 404, hook),
        (format!("/{TOKEN}/blog/myhook1"), 404, hook),
        (format!("/{TOKEN}//myhook1"), 404, hook),
        (format!("/{TOKEN}/../myhook1"), 404, hook),
        (format!("/?token={TOKEN}&hook=myhook1&hook=myhook1"), 400, query),
        (by_query("&wiat=10m"), 400, query),
        (by_query("&dry_run=1"), 400, query),
        (by_query("&wait=1s&wait=2s"), 400, query),
        (by_path("?token=x"), 400, query),
        (by_query("&wait=soon"), 400, wait),
        (by_query("&wait="), 400, wait),
        (by_path(&format!("?wait={TOKEN}")), 400, wait),
    ] {
        let told = post(&daemon, &target).await;
        assert_eq!(told.status, status, "{target}: {told:?}");
        assert_eq!(told.body, format!("{{\"error\": {error:?}, \"success\": false}}\n"), "{target}");
        assert!(told.head.contains("content-type: application/json\r\n"), "{target}: {told:?}");
    }
    // An escape is no part of any path, and there are no other addresses.
    for (target, status) in [
        (format!("/{TOKEN}/shop/%6dyhook1"), 404),
        (format!("/{TOKEN}/shop/myhook1/"), 404),
        (format!("/{TOKEN}/shop"), 404),
        (format!("/{TOKEN}/shop/"), 404),
        (format!("/{TOKEN}"), 404),
        (format!("//?token={TOKEN}&hook=myhook1"), 404),
        (format!("/v1/hook/shop?token={TOKEN}&hook=myhook1"), 404),
        (format!("/?token={}&hook=myhook1", "x".repeat(8192)), 414),
        (format!("/{}/shop/myhook1", "x".repeat(8192)), 414),
    ] {
        let told = post(&daemon, &target).await;
        assert_eq!(told.status, status, "{told:?}");
        assert!(told.head.contains("application/problem+json") && !told.body.contains(TOKEN), "{told:?}");
    }
    for method in ["GET", "HEAD", "PUT", "DELETE"] {
        for target in [by_query(""), by_path("")] {
            let told = request(&daemon, method, &target, "").await;
            assert!(told.status == 405 && told.head.contains("allow: post"), "{method}: {told:?}");
        }
    }
    assert_eq!(deployments(&home, &daemon).await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn unless_it_is_configured_its_addresses_are_none_and_a_reload_decides() {
    let home = home();
    home.configure("");
    let daemon = home.start();
    let off = async || {
        for target in [by_query(""), by_path("")] {
            for method in ["POST", "GET"] {
                let told = request(&daemon, method, &target, "").await;
                assert_eq!(told.status, 404, "{told:?}");
                assert!(told.body.contains("urn:windlass:problem:not_found"), "{told:?}");
            }
        }
    };
    off().await;
    home.configure(&puller("r.io/shop:v1"));
    daemon.daemon().reload(home.settings());
    assert_eq!(post(&daemon, &by_query("&wait=20s")).await.status, 200);
    home.configure("");
    daemon.daemon().reload(home.settings());
    off().await;
    // On the operators' socket and where figures are read it never is.
    home.configure(&puller("r.io/shop:v1"));
    daemon.daemon().reload(home.settings());
    let told = send(operator(&home).post(format!("http://windlass{}", by_query("")))).await;
    assert_eq!(told.status, 404, "{}", told.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_wait_the_status_is_the_truth() {
    let home = home();
    let sick = home.world.publish("r.io/shop:sick", "sick");
    home.world.state().behaviours.insert(sick, Behaviour::Unhealthy);
    let daemon = home.start();
    for target in [by_query("&wait=20s"), by_path("?wait=20s")] {
        let good = post(&daemon, &target).await;
        assert_eq!((good.status, good.body.as_str()), (200, SUCCESS), "{good:?}");
        assert!(good.head.contains("location: /v1/deployments/"), "{good:?}");
    }

    home.world.state().hold_health = true;
    let early = post(&daemon, &by_query("&wait=100ms")).await;
    assert_eq!(early.status, 202, "{early:?}");
    assert!(early.body.contains("\"success\": false") && early.body.contains("goes on"), "{early:?}");
    home.world.state().hold_health = false;
    home.world.ring();
    all_ended(&home, &daemon).await;

    home.configure(&puller("r.io/shop:sick"));
    daemon.daemon().reload(home.settings());
    let bad = post(&daemon, &by_query("&wait=20s")).await;
    assert_eq!(bad.status, 422, "{bad:?}");
    let told: Value = serde_json::from_str(&bad.body).unwrap();
    assert_eq!(told["success"], false);
    assert!(told["error"].as_str().unwrap().contains("rolled_back"), "{told}");
    assert_eq!(home.world.runs("shop", "web").unwrap().digest, windlass::model::Digest::of(b"v1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_taken_is_never_called_a_success() {
    let home = home();
    home.configure(&format!("[limits]\nqueue = 1\n{}", puller("r.io/shop:v1")));
    let daemon = home.start();
    let socket = operator(&home);
    let act = |path: &str| send(socket.post(format!("http://windlass/v1/projects/shop/{path}")));
    assert_eq!(act("freeze").await.status, 200);
    let frozen = post(&daemon, &by_query("")).await;
    assert!(frozen.status == 423 && frozen.body.contains("frozen by"), "{frozen:?}");
    assert!(frozen.body.contains("\"success\": false"), "{frozen:?}");
    assert_eq!(act("unfreeze").await.status, 200);

    home.world.state().hold_health = true;
    assert_eq!(post(&daemon, &by_query("")).await.status, 200);
    home.world.until("it to be applied", |state| !state.running.is_empty()).await;
    assert_eq!(post(&daemon, &by_query("")).await.status, 200);
    let full = post(&daemon, &by_query("")).await;
    assert!(full.status == 503 && full.head.contains("retry-after: "), "{full:?}");
    assert!(full.body.contains("\"success\": false"), "{full:?}");
    home.world.state().hold_health = false;
    home.world.ring();
    assert_eq!(all_ended(&home, &daemon).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_call_is_a_delivery_of_its_own_unless_it_says_which_one_it_repeats() {
    let home = home();
    let two = "[compat.docker_puller.hooks.other]\nproject = \"shop\"\nimages = [\"r.io/shop:v1\"]\n";
    home.configure(&(puller("r.io/shop:v1") + two));
    let daemon = home.start();
    let with_key = |target: String, more: &'static str| {
        let daemon = &daemon;
        async move { request(daemon, "POST", &target, more).await }
    };
    for _ in 0..3 {
        let told = with_key(by_query("&wait=20s"), "Idempotency-Key: run-1\r\n").await;
        assert_eq!((told.status, told.body.as_str()), (200, SUCCESS), "{told:?}");
    }
    assert_eq!(
        with_key(by_path(""), "Idempotency-Key: run-1\r\n").await.status,
        200,
        "the same hook otherwise written"
    );
    assert_eq!(deployments(&home, &daemon).await.len(), 1);
    let other = format!("/?token={TOKEN}&hook=other");
    assert_eq!(with_key(other, "Idempotency-Key: run-1\r\n").await.status, 409);
    let unusable = "Idempotency-Key: a\r\nIdempotency-Key: b\r\n";
    assert_eq!(with_key(by_query(""), unusable).await.status, 400);
    for count in 2..4 {
        assert_eq!(post(&daemon, &by_query("&wait=20s")).await.status, 200);
        assert_eq!(deployments(&home, &daemon).await.len(), count);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_calls_at_once_do_not_pile_up() {
    let home = home();
    let daemon = home.start();
    home.world.state().hold_health = true;
    let calls: Vec<_> = (0..50).map(|_| by_query("")).collect();
    let told = futures_util::future::join_all(calls.iter().map(|target| post(&daemon, target))).await;
    assert!(told.iter().all(|told| told.status == 200), "{told:?}");
    home.world.state().hold_health = false;
    home.world.ring();
    let all = all_ended(&home, &daemon).await;
    assert_eq!(all.len(), 50, "what was called a success is on disk");
    let succeeded = all.iter().filter(|one| one["status"] == "succeeded").count();
    let superseded = all.iter().filter(|one| one["status"] == "superseded").count();
    assert!((1..=3).contains(&succeeded) && succeeded + superseded == 50, "{succeeded} and {superseded}");
    assert_eq!(all[0]["status"], "succeeded", "the newest is not swallowed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_with_any_characters_is_read_from_the_query_as_forms_write_it() {
    let home = home();
    home.secret("puller.token", "p+l/u&s=%41?#0123456789abcdef");
    let daemon = home.start();
    let told = post(&daemon, "/?hook=myhook1&wait=20s&token=p%2Bl%2fu%26s%3D%2541%3f%230123456789abcdef").await;
    assert_eq!((told.status, told.body.as_str()), (200, SUCCESS), "{told:?}");
    let raw = post(&daemon, "/?hook=myhook1&token=p+l/u&s=%41?#0123456789abcdef").await;
    assert_eq!(raw.status, 400, "{raw:?}");
}

/// Everything that stands in the files of `directory`.
fn contents(directory: &std::path::Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        fs::File::open(entry.unwrap().path()).unwrap().read_to_end(&mut all).unwrap();
    }
    all
}

fn has(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// A daemon that does not outlive its test.
struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_gets_neither_into_the_log_nor_into_the_database() {
    let home = home();
    let windlass = Windlass::on(&home);
    let mut command = windlass.command(&["serve"]);
    // No engine, so that its every complaint is in the log too; and all that there is to say.
    command.env("WINDLASS_LOG", "trace").env("DOCKER_HOST", format!("unix://{}/nowhere", home.path().display()));
    let mut serving = Serving(command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap());
    let mut lines = BufReader::new(serving.0.stderr.take().unwrap()).lines();
    let mut log = String::new();
    let address = loop {
        let line = lines.next().unwrap().unwrap();
        log.push_str(&line);
        if let Some((_, rest)) = line.split_once("ready hooks=[") {
            break rest.split(']').next().unwrap().to_owned();
        }
    };
    let url = format!("http://{address}");
    let wrong = "canary-of-somebody-else-0123456";
    for (target, expected) in [
        (by_query(""), 200),
        (by_path(""), 200),
        (by_query("&wait=10ms"), 202),
        (by_query("&wait=never"), 400),
        (by_query(&format!("&wait={TOKEN}")), 400),
        (by_query(&format!("&more={TOKEN}")), 400),
        (format!("/?token={TOKEN}&hook={TOKEN}"), 404),
        (format!("/{TOKEN}/{TOKEN}/{TOKEN}"), 404),
        (format!("/?token={TOKEN}&token={TOKEN}"), 400),
        (format!("/{TOKEN}"), 404),
        (format!("/{TOKEN}/shop/%20"), 404),
        (format!("/v1/hooks/shop?token={TOKEN}"), 415),
        (format!("/v1/hooks/{TOKEN}?token={TOKEN}"), 415),
        (format!("/?token={wrong}&hook=myhook1"), 400),
        (format!("/{wrong}/shop/myhook1"), 400),
        (format!("/?token={TOKEN}&{}", "x".repeat(9000)), 414),
    ] {
        let mut raw = Raw::connect(&url).await;
        raw.send(format!("POST {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).await;
        let answer = raw.read_to_end().await;
        assert_eq!(status(&answer), expected, "{target}: {answer}");
        assert!(!answer.contains("canary"), "{answer}");
    }
    let mut raw = Raw::connect(&url).await;
    raw.send(format!("POST /?token={TOKEN}&hook=a b HTTP/1.1\r\n\r\n")).await;
    assert!(!raw.read_to_end().await.contains("canary"));
    let told = [windlass.run(&["list", "--json"]), windlass.run(&["status", "shop"]), windlass.run(&["check"])];
    assert!(told[0].out.contains("docker-puller"), "{told:?}");
    let figures = send(operator(&home).get("http://windlass/metrics")).await.text;
    assert!(figures.contains("windlass_hook_answers_total{status=\"202\"} 1"), "{figures}");
    let process = Pid::from_raw(i32::try_from(serving.0.id()).unwrap());
    kill(process, Signal::SIGTERM).unwrap();
    assert!(serving.0.wait().unwrap().success());
    log.extend(lines.map(|line| line.unwrap() + "\n"));
    for line in ["accepted", "refused", "not authentic"] {
        assert!(log.contains(line), "the log is not what this test reads: {log}");
    }
    let database = contents(&home.path().join("state"));
    assert!(has(&database, "docker-puller"), "the database is not where this test looks");
    for (place, bytes) in [("log", log.as_bytes()), ("database", &database), ("figures", figures.as_bytes())] {
        assert!(!has(bytes, "canary"), "the token stands in the {place}");
    }
    assert!(!format!("{told:?}").contains("canary"), "{told:?}");
}
