//! Many connections at once: a good hook is answered whatever they do.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use windlass::auth::{self, Scheme};

use crate::daemon::{Caller, Home, TestDaemon, eventually, send};
use crate::raw::{Raw, signature, status};

/// `limits.connections`, and how many clients there are.
const PLACES: usize = 64;
const CROWD: usize = 96;
const HOOK: &str = "POST /v1/hooks/shop HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
const BODY: &str = r#"{"image":"r.io/shop:v1"}"#;

/// Clients that connect again whenever their connection is closed, until this is dropped.
struct Crowd {
    _callers: JoinSet<()>,
    begun: Arc<AtomicUsize>,
}

#[derive(Clone)]
enum Behaviour {
    /// Sends something, and then nothing until the connection is closed.
    Says(String),
    /// Asks again and again on one connection.
    Asks(&'static str),
}

impl Crowd {
    async fn gather(daemon: &TestDaemon, behaviour: Behaviour) -> Self {
        let (mut callers, begun) = (JoinSet::new(), Arc::new(AtomicUsize::new(0)));
        for _ in 0..CROWD {
            let (url, behaviour, begun) = (daemon.url.clone(), behaviour.clone(), Arc::clone(&begun));
            callers.spawn(async move {
                loop {
                    let mut raw = Raw::connect(&url).await;
                    begun.fetch_add(1, Ordering::SeqCst);
                    match &behaviour {
                        Behaviour::Says(words) => {
                            raw.send(words).await;
                            let mut rest = Vec::new();
                            let _ = tokio::io::AsyncReadExt::read_to_end(&mut raw.0, &mut rest).await;
                        }
                        Behaviour::Asks(request) => loop {
                            raw.send(request).await;
                            let answer = raw.answer().await;
                            if status(&answer) == 0 || answer.contains("connection: close") {
                                break;
                            }
                            tokio::time::sleep(Duration::from_millis(300)).await;
                        },
                    }
                    tokio::time::sleep(Duration::from_millis(300)).await;
                }
            });
        }
        let crowd = Self { _callers: callers, begun };
        // Some connections were closed already, so all places are taken.
        eventually("the crowd to gather", async || crowd.begun.load(Ordering::SeqCst) > CROWD).await;
        crowd
    }
}

fn home() -> Home {
    let home = Home::with_shop();
    home.configure(&format!("[limits]\nconnections = {PLACES}"));
    home.project("blog", &["r.io/blog"]);
    home
}

/// Sends a request over a new connection, and again if that is closed, as `curl --retry` does. The last one, and its answer.
async fn insist(daemon: &TestDaemon, request: &str) -> (Raw, String) {
    let mut attempts = 0;
    loop {
        attempts += 1;
        let mut raw = Raw::connect(&daemon.url).await;
        raw.send(request).await;
        let answer = raw.answer().await;
        if !matches!(status(&answer), 0 | 503) || attempts == 20 {
            return (raw, answer);
        }
    }
}

/// Every hook is answered, each over a connection of its own.
async fn good_hooks_are_answered(home: &Home, daemon: &TestDaemon, framing: impl Fn(&str) -> String) {
    for n in 0..20 {
        let signed = signature(home, "shop", &format!("good-{n}"), BODY.as_bytes());
        let (_, answer) = insist(daemon, &format!("{HOOK}{signed}{}", framing(BODY))).await;
        assert_eq!(status(&answer), 202, "{answer}");
    }
}

fn sized(body: &str) -> String {
    format!("Content-Length: {}\r\n\r\n{body}", body.len())
}

fn chunked(body: &str) -> String {
    format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_ask_and_prove_nothing_keep_no_good_hook_waiting() {
    let home = home();
    let daemon = home.start();
    let _crowd = Crowd::gather(&daemon, Behaviour::Asks("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")).await;
    good_hooks_are_answered(&home, &daemon, sized).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_that_never_end_keep_no_good_hook_waiting() {
    let home = home();
    let daemon = home.start();
    let _crowd = Crowd::gather(&daemon, Behaviour::Says(format!("{HOOK}X-Drip: "))).await;
    good_hooks_are_answered(&home, &daemon, sized).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_never_end_keep_no_good_hook_waiting() {
    let home = home();
    let daemon = home.start();
    let guess = format!("{HOOK}Authorization: Bearer made-up\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{{\r\n");
    let _crowd = Crowd::gather(&daemon, Behaviour::Says(guess)).await;
    good_hooks_are_answered(&home, &daemon, chunked).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_that_never_end_keep_no_good_large_hook_waiting() {
    let home = home();
    let daemon = home.start();
    let (piece, size) = ("x".repeat(100_000), 100_000);
    let guess =
        format!("{HOOK}Authorization: Bearer made-up\r\nTransfer-Encoding: chunked\r\n\r\n{size:x}\r\n{piece}\r\n");
    let _crowd = Crowd::gather(&daemon, Behaviour::Says(guess)).await;
    let body = format!("{}{BODY}", " ".repeat(100_000));
    let request = format!("{HOOK}{}{}", signature(&home, "shop", "good", body.as_bytes()), chunked(&body));
    let (_, answer) = insist(&daemon, &request).await;
    assert_eq!(status(&answer), 202, "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_of_one_key_keep_no_good_hook_waiting_not_even_one_of_that_key() {
    let home = home();
    home.world.state().hold_health = true;
    let daemon = home.start();
    let (greedy, other) = (Caller::new(&home, &daemon, "shop", Scheme::STANDARD), (Scheme::GITHUB, Scheme::BEARER));
    let id = greedy.ask("first", "r.io/shop:v1").await.id();
    let signed =
        auth::sign(&home.key("shop", Scheme::STANDARD), &"r".parse().unwrap(), b"", home.clock().now()).unwrap();
    let lines: String = signed.iter().map(|(name, value)| format!("{name}: {}\r\n", value.to_str().unwrap())).collect();
    let reading = |path: &str| {
        format!("GET /v1/deployments/{id}{path} HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n{lines}\r\n")
    };
    let _crowd = Crowd::gather(&daemon, Behaviour::Says(reading("/events"))).await;
    let (mut streams, mut refused) = (Vec::new(), 0);
    for _ in 0..PLACES {
        let (_, answer) = insist(&daemon, &reading("")).await;
        assert_eq!(status(&answer), 200, "a short answer is for everybody: {answer}");
        let (stream, answer) = insist(&daemon, &reading("/events")).await;
        if status(&answer) == 200 {
            streams.push(stream);
            continue;
        }
        assert_eq!(status(&answer), 429, "{answer}");
        assert!(answer.contains("retry-after: 10\r\n"), "{answer}");
        assert!(answer.contains("urn:windlass:problem:too_many_open"), "{answer}");
        refused += 1;
    }
    assert!(streams.len() <= PLACES / 8 && refused > 0, "one key got {} streams", streams.len());
    good_hooks_are_answered(&home, &daemon, sized).await;
    home.world.state().hold_health = false;
    home.world.ring();
    for scheme in [other.0, other.1] {
        let caller = Caller::new(&home, &daemon, "shop", scheme);
        let answer = send(caller.hook(&format!("wait-{scheme}"), "?wait=20s", format!("{BODY} "))).await;
        assert_eq!(answer.status, 200, "another key may wait: {}", answer.text);
    }
}
