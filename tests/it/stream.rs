//! A deployment told while it happens, to a real curl: its exit code says whether it succeeded.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use windlass::auth::{self, Scheme};
use windlass::http::{self, App, Door, Limits, Places, Readiness};
use windlass::lanes::Lanes;
use windlass::model::Digest;
use windlass::runner::{Parts, Runner};
use windlass::store::Store;

use crate::daemon::{Caller, Home, TestDaemon, client, send};
use crate::raw::{Raw, signature, status};
use crate::world::Behaviour;

#[expect(clippy::disallowed_types, reason = "a caller's own program, as it is")]
type Command = tokio::process::Command;

/// What curl said, and how it ended: 0 when the body ended well, 18 when it was broken off, 22 for a refusal.
struct Curl {
    code: i32,
    text: String,
}

impl Curl {
    /// The last line that is not indented.
    fn last_line(&self) -> &str {
        self.text.lines().rfind(|line| !line.starts_with(' ')).unwrap_or_default()
    }
}

fn curl(home: &Home, daemon: &TestDaemon, id: &str, image: &str, query: &str, accept: &str) -> Command {
    let body = json!({ "image": image }).to_string();
    let key = home.key("shop", Scheme::STANDARD);
    let headers = auth::sign(&key, &id.parse().unwrap(), body.as_bytes(), home.clock().now()).unwrap();
    let mut command = Command::new("curl");
    command.args(["-q", "--fail-with-body", "-sSN", "--noproxy", "*", "-H", "Content-Type: application/json"]);
    for (name, value) in &headers {
        command.arg("-H").arg(format!("{name}: {}", value.to_str().unwrap()));
    }
    command.args(["-H", &format!("Accept: {accept}"), "-d", &body]);
    command.arg(format!("{}/v1/hooks/shop{query}", daemon.url));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

async fn run(home: &Home, daemon: &TestDaemon, id: &str, image: &str, query: &str, accept: &str) -> Curl {
    let output = curl(home, daemon, id, image, query, accept).output();
    let output = tokio::time::timeout(Duration::from_secs(300), output).await.unwrap().unwrap();
    Curl { code: output.status.code().unwrap(), text: String::from_utf8(output.stdout).unwrap() }
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_exits_with_0_when_the_release_is_in_service_and_the_last_line_says_succeeded() {
    let home = Home::with_shop();
    let daemon = home.start();
    let told = run(&home, &daemon, "one", "r.io/shop:v1", "?wait=10m", "text/plain").await;
    assert_eq!(told.code, 0, "{}", told.text);
    assert!(told.text.starts_with("queued "), "{}", told.text);
    for line in [" shop:v1 (3bfc269594ef) comes into service", " [1/5] pull shop:v1 (", " [5/5] await healthy web  0."]
    {
        assert!(told.text.contains(line), "{line}: {}", told.text);
    }
    assert!(told.last_line().starts_with("succeeded "), "{}", told.text);
    // Whoever lost the connection asks again, and is told the same deployment from the beginning.
    let again = run(&home, &daemon, "one", "r.io/shop:v1", "", "text/plain").await;
    let (first, rest) = again.text.split_once('\n').unwrap();
    assert!(first.starts_with("sent before: this is what became of it"), "{first}");
    assert_eq!((again.code, rest), (0, told.text.as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_exits_with_18_on_any_other_outcome_and_the_last_line_says_which_and_why() {
    let home = Home::with_shop();
    let daemon = home.start();
    assert_eq!(run(&home, &daemon, "one", "r.io/shop:v1", "", "text/plain").await.code, 0);
    let sick = home.world.publish("r.io/shop:sick", "sick");
    home.world.state().behaviours.insert(sick, Behaviour::Unhealthy);
    // Many times: the last line must never be lost on the way.
    for n in 0..20 {
        let told = run(&home, &daemon, &format!("sick-{n}"), "r.io/shop:sick", "?wait=10m", "text/plain").await;
        assert_eq!(told.code, 18, "{}", told.text);
        assert!(told.last_line().starts_with("rolled_back "), "{}", told.text);
        assert!(told.last_line().ends_with(": web is unhealthy"), "{}", told.text);
        assert!(told.text.contains("\n    | cannot reach the database\n"), "{}", told.text);
        assert!(told.text.ends_with("so that the job fails: curl calls that error 18\n"), "{}", told.text);
    }
    let told = run(&home, &daemon, "missing", "r.io/shop:missing", "", "text/plain").await;
    assert_eq!(told.code, 18);
    assert!(told.last_line().starts_with("abandoned ") && told.text.contains("manifest unknown"), "{}", told.text);
    let again = run(&home, &daemon, "sick-0", "r.io/shop:sick", "", "text/plain").await;
    assert_eq!(again.code, 18, "{}", again.text);
    assert!(again.last_line().starts_with("rolled_back "), "{}", again.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_a_plain_answer_in_a_line_of_text_and_curl_exits_with_22() {
    let home = Home::with_shop();
    let daemon = home.start();
    let told = run(&home, &daemon, "one", "r.io/other:v1", "", "text/plain").await;
    assert_eq!((told.code, told.text.as_str()), (22, "refused: r.io/other is not among the images of this project\n"));
    let told = run(&home, &daemon, "two", "r.io/other:v1", "", "application/json").await;
    assert!(
        told.code == 22 && told.text.starts_with("{\"type\":\"urn:windlass:problem:not_allowed\""),
        "{}",
        told.text
    );
    let told = run(&home, &daemon, "one", "r.io/shop:v1", "?wait=soon", "text/event-stream").await;
    assert_eq!(told.code, 22, "{}", told.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_wait_is_over_the_last_line_says_running_and_curl_does_not_exit_with_0() {
    let home = Home::with_shop();
    let daemon = home.start();
    home.world.state().hold_health = true;
    let told = run(&home, &daemon, "one", "r.io/shop:v1", "?wait=300ms", "text/plain").await;
    assert_eq!(told.code, 18, "{}", told.text);
    assert!(told.last_line().starts_with("running "), "{}", told.text);
    let told = run(&home, &daemon, "one", "r.io/shop:v1", "?wait=0s", "text/event-stream").await;
    assert_eq!(told.code, 18, "{}", told.text);
    assert!(told.last_line().is_empty() && told.text.contains("\n: it has not ended"), "{}", told.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_come_as_things_happen_and_a_daemon_that_stops_says_so() {
    let home = Home::with_shop();
    let daemon = home.start();
    home.world.state().hold_health = true;
    let mut child = curl(&home, &daemon, "one", "r.io/shop:v1", "", "text/plain").spawn().unwrap();
    let mut output = child.stdout.take().unwrap();
    let mut text = String::new();
    while !text.contains("[4/5] apply web") {
        let mut bytes = [0; 1024];
        let count = tokio::time::timeout(Duration::from_secs(300), output.read(&mut bytes)).await.unwrap().unwrap();
        assert!(count > 0, "{text}");
        text.push_str(&String::from_utf8_lossy(&bytes[..count]));
    }
    tokio::task::spawn_blocking(|| daemon.stop()).await.unwrap();
    output.read_to_string(&mut text).await.unwrap();
    assert_eq!(child.wait().await.unwrap().code(), Some(18), "{text}");
    let last = text.lines().rfind(|line| !line.starts_with(' ')).unwrap();
    assert!(last.starts_with("running ") && last.contains("windlass is stopping"), "{text}");
}

/// The fields of each event of a stream.
fn events(text: &str) -> Vec<(i64, String, Value)> {
    let field = |event: &str, name: &str| {
        event.lines().find_map(|line| line.strip_prefix(name)).map(str::trim).unwrap_or_default().to_owned()
    };
    text.split("\n\n")
        .filter(|event| event.starts_with("id:"))
        .map(|event| {
            let data = serde_json::from_str(&field(event, "data:")).unwrap();
            (field(event, "id:").parse().unwrap(), field(event, "event:"), data)
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn server_sent_events_carry_the_journal_and_go_on_where_a_reader_left_off() {
    let home = Home::with_shop();
    let daemon = home.start();
    let caller = Caller::new(&home, &daemon, "shop", Scheme::STANDARD);
    let told = run(&home, &daemon, "one", "r.io/shop:v1", "", "text/event-stream").await;
    assert_eq!(told.code, 0, "{}", told.text);
    let all = events(&told.text);
    assert_eq!(all[0].1, "queued");
    assert!(all.iter().all(|(id, name, data)| data["id"] == *id && data["event"] == *name), "{all:?}");
    assert_eq!(all.last().unwrap().2["outcome"], "succeeded");
    let planned = &all.iter().find(|(_, name, _)| name == "planned").unwrap().2;
    assert_eq!(planned["plan"]["steps"].as_array().unwrap().len(), 5);

    let id = send(caller.hook("one", "", r#"{"image":"r.io/shop:v1"}"#)).await.id();
    let path = format!("/v1/deployments/{id}/events");
    let read = |after: i64| {
        let request = caller.reading(&path).header("accept", "text/event-stream");
        send(request.header("last-event-id", after.to_string()))
    };
    assert_eq!(events(&read(0).await.text), all);
    assert_eq!(events(&read(all[3].0).await.text), all[4..]);
    // The last note may come after the outcome; by 204 a browser learns that nothing more comes at all.
    assert_eq!(read(i64::MAX).await.status, 204);
    for bad in ["-1", "x", "", "9223372036854775808"] {
        let request = caller.reading(&path).header("accept", "text/event-stream").header("last-event-id", bad);
        assert_eq!(send(request).await.status, 400, "{bad}");
    }
    // A hook's stream breaks off on a bad outcome; who only reads is told it to the end.
    let told = run(&home, &daemon, "two", "r.io/shop:missing", "", "text/event-stream").await;
    assert_eq!(told.code, 18, "{}", told.text);
    assert_eq!(events(&told.text).last().unwrap().2["outcome"], "abandoned");
    let id = send(caller.hook("two", "", r#"{"image":"r.io/shop:missing"}"#)).await.id();
    let request = caller.reading(&format!("/v1/deployments/{id}/events")).header("accept", "text/event-stream");
    let told = send(request).await;
    assert_eq!(events(&told.text).last().unwrap().2["outcome"], "abandoned", "{}", told.text);
    assert!(!told.text.contains("broken off"), "{}", told.text);
}

/// Behind doors that are opened here, because a daemon's own heart beats too slowly for a test.
#[tokio::test(flavor = "multi_thread")]
async fn who_waits_is_given_a_sign_of_life_in_every_form() {
    let home = Home::with_shop();
    let store = Store::open(&home.path().join("state"), home.clock()).unwrap();
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let (_catalog, catalog) = watch::channel(Arc::new(home.settings().unwrap().0.projects));
    let (_readiness, readiness) = watch::channel(Readiness::Ready);
    let (_docker_puller, docker_puller) = watch::channel(None);
    let runner = Runner::new(Parts {
        store: store.clone(),
        host: Arc::new(home.world.clone()),
        lanes: Lanes::new(1, 8),
        catalog,
        tasks: tasks.clone(),
        refusing: CancellationToken::new(),
        closing: CancellationToken::new(),
        aborting: CancellationToken::new(),
        patience: Duration::from_secs(1),
    });
    let limits = Limits { heartbeat: Duration::from_millis(50), ..Limits::default() };
    let router = http::operators(App::new(runner, store, home.clock(), limits, docker_puller, readiness));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (own, token) = (tasks.clone(), stop.clone());
    let door = Door { listener: listener.into(), router, places: Places::new(16) };
    tasks.spawn(async move { http::serve(door, limits, &own, token).await });

    home.world.state().hold_health = true;
    let deploy = client().post(format!("{url}/v1/projects/shop/deploy")).header("content-type", "application/json");
    let id = send(deploy.body(r#"{"image":"r.io/shop:v1"}"#)).await.id();
    home.world.until("the health check", |state| state.done.len() == 4).await;
    for (accept, sign) in [
        ("text/plain", " ... [5/5] await healthy web, "),
        ("text/event-stream", "\n\n: still there\n"),
        ("application/x-ndjson", "\n\n"),
    ] {
        let request = client().get(format!("{url}/v1/deployments/{id}/events?follow=1")).header("accept", accept);
        let mut response = request.send().await.unwrap();
        let mut text = String::new();
        while text.matches(sign).count() < 2 {
            let chunk = tokio::time::timeout(Duration::from_secs(300), response.chunk()).await;
            text.push_str(std::str::from_utf8(&chunk.unwrap().unwrap().unwrap()).unwrap());
        }
    }
    stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn before_http_1_1_there_is_no_stream_because_its_breaking_off_would_look_like_its_end() {
    let home = Home::with_shop();
    let daemon = home.start();
    let body = r#"{"image":"r.io/shop:missing"}"#;
    let signed = signature(&home, "shop", "one", body.as_bytes());
    let head = "Host: x\r\nContent-Type: application/json\r\nAccept: text/plain\r\n";
    let mut raw = Raw::connect(&daemon.url).await;
    raw.send(format!(
        "POST /v1/hooks/shop?wait=20s HTTP/1.0\r\n{head}{signed}Content-Length: {}\r\n\r\n{body}",
        body.len()
    ))
    .await;
    let answer = raw.read_to_end().await;
    assert_eq!(status(&answer), 422, "{answer}");
    assert!(answer.contains("\r\n\r\nabandoned 0"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_takes_nothing_holds_up_nobody_and_one_that_leaves_is_forgotten() {
    let home = Home::with_shop();
    let daemon = home.start();
    let caller = Caller::new(&home, &daemon, "shop", Scheme::STANDARD);
    home.world.state().hold_health = true;
    let body = r#"{"image":"r.io/shop:v1"}"#;
    let signed = signature(&home, "shop", "one", body.as_bytes());
    let request = format!(
        "POST /v1/hooks/shop HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAccept: text/plain\r\n{signed}\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut idle = Raw::connect(&daemon.url).await;
    idle.send(&request).await;
    {
        let mut leaver = Raw::connect(&daemon.url).await;
        leaver.send(&request).await;
        leaver.answer().await;
    }
    home.world.until("v1 to be applied", |state| !state.running.is_empty()).await;
    home.world.state().hold_health = false;
    home.world.ring();
    assert_eq!(caller.deploy("one", "r.io/shop:v1").await.status, 200);
    assert_eq!(home.world.runs("shop", "web").unwrap().digest, Digest::of(b"v1"));
    // What the idle one did not take is still there, whole.
    let told = idle.answer().await;
    assert!(told.starts_with("HTTP/1.1 200"), "{told}");
}
