//! What nobody should send: each has its one answer, none is a failure of the daemon, and none leaves a trace.

use serde_json::json;
use windlass::auth::{self, Scheme};
use windlass::model::Timestamp;

use crate::daemon::{Answer, Caller, Home, TestDaemon, client, eventually, send};
use crate::raw::{Raw, signature, status};

const JSON: &str = "Content-Type: application/json\r\n";

fn home() -> Home {
    let home = Home::with_shop();
    home.project("blog", &["r.io/blog"]);
    home
}

fn post(path: &str, headers: &str, body: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: x\r\n{headers}{body}")
}

async fn exchange(daemon: &TestDaemon, request: impl AsRef<[u8]>) -> String {
    let mut raw = Raw::connect(&daemon.url).await;
    raw.send(request).await;
    raw.answer().await
}

/// After all that, the daemon answers as before, and nothing was written down.
async fn nothing_happened(home: &Home, daemon: &TestDaemon) {
    let caller = Caller::new(home, daemon, "shop", Scheme::STANDARD);
    let listed = caller.get("/v1/deployments?project=shop").await;
    assert_eq!((listed.status, listed.json()), (200, json!({ "deployments": [] })));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_proves_nothing_gets_one_answer_whatever_was_wrong() {
    let home = home();
    let daemon = home.start();
    let body = r#"{"image":"r.io/shop:v1"}"#;
    let now = home.clock().now();
    let old = Timestamp::from_millis(now.as_millis() - 301_000);
    let early = Timestamp::from_millis(now.as_millis() + 302_000);
    let sign = |project: &str, scheme, body: &str, at| {
        let headers = auth::sign(&home.key(project, scheme), &"one".parse().unwrap(), body.as_bytes(), at).unwrap();
        let line =
            |(name, value): (_, &reqwest::header::HeaderValue)| format!("{name}: {}\r\n", value.to_str().unwrap());
        headers.iter().map(line).collect::<String>()
    };
    let standard = sign("shop", Scheme::STANDARD, body, now);
    let without =
        |name: &str| standard.split_inclusive("\r\n").filter(|line| !line.starts_with(name)).collect::<String>();
    let length = format!("Content-Length: {}\r\n\r\n", body.len());
    let mut answers = Vec::new();
    for (path, headers) in [
        ("/v1/hooks/shop", String::new()),
        ("/v1/hooks/shop", "Authorization: Bearer x\r\n".to_owned()),
        ("/v1/hooks/shop", "Authorization: Basic eDp5\r\n".to_owned()),
        ("/v1/hooks/shop", "X-Hub-Signature-256: sha256=\r\n".to_owned()),
        ("/v1/hooks/shop", format!("X-Hub-Signature-256: sha256={}\r\n", "0".repeat(64))),
        ("/v1/hooks/shop", format!("X-Hub-Signature: sha1={}\r\n", "0".repeat(40))),
        ("/v1/hooks/shop", without("webhook-id")),
        ("/v1/hooks/shop", without("webhook-timestamp")),
        ("/v1/hooks/shop", without("webhook-signature")),
        ("/v1/hooks/shop", format!("{standard}{standard}")),
        ("/v1/hooks/shop", sign("shop", Scheme::STANDARD, body, old)),
        ("/v1/hooks/shop", sign("shop", Scheme::STANDARD, body, early)),
        ("/v1/hooks/shop", sign("shop", Scheme::STANDARD, "{}", now)),
        ("/v1/hooks/shop", sign("blog", Scheme::STANDARD, body, now)),
        ("/v1/hooks/shop", sign("blog", Scheme::GITHUB, body, now)),
        ("/v1/hooks/shop", sign("blog", Scheme::BEARER, body, now)),
        ("/v1/hooks/blog", standard.clone()),
        ("/v1/hooks/nobody", standard.clone()),
        ("/v1/hooks/nobody?wait=nonsense&dry_run=7", standard.clone()),
        ("/v1/hooks/nobody", sign("shop", Scheme::GITHUB, body, now)),
        ("/v1/hooks/nobody", sign("shop", Scheme::BEARER, body, now)),
        ("/v1/hooks/nobody", String::new()),
        ("/v1/hooks/Not-A-Name", standard.clone()),
        ("/v1/hooks/..", standard.clone()),
        ("/v1/hooks/shop?token=letmein", String::new()),
    ] {
        let answer = exchange(&daemon, post(path, &format!("{JSON}{headers}{length}"), body)).await;
        assert_eq!(status(&answer), 401, "{path} {headers}: {answer}");
        let undated: Vec<&str> = answer.lines().filter(|line| !line.starts_with("date: ")).collect();
        answers.push(undated.join("\n"));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:#?}");
    assert!(answers[0].contains("www-authenticate: "), "{answers:?}");
    nothing_happened(&home, &daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_tries_without_end_is_told_to_stop_and_nobody_is_locked_out() {
    let home = home();
    let daemon = home.start();
    let guess = |n: usize, more: &str| {
        let claim = format!("Authorization: Bearer guess-{n}\r\nX-Forwarded-For: 192.0.2.{}\r\n", n % 250);
        post("/v1/hooks/shop", &format!("{JSON}{claim}{more}Content-Length: 2\r\n\r\n"), "{}")
    };
    for n in 0..6 {
        let mut raw = Raw::connect(&daemon.url).await;
        let guesses: String = (1..100).map(|one| guess(n * 100 + one, "")).collect();
        raw.send(guesses + &guess(n * 100, "Connection: close\r\n")).await;
        let answers = raw.read_to_end().await;
        assert_eq!(answers.matches("HTTP/1.1 401 ").count(), 100, "{answers}");
    }
    let answer = exchange(&daemon, guess(600, "")).await;
    assert_eq!(status(&answer), 429, "{answer}");
    assert!(answer.contains("retry-after: 60\r\n") && answer.contains(":too_many\""), "{answer}");
    nothing_happened(&home, &daemon).await;
    let caller = Caller::new(&home, &daemon, "shop", Scheme::BEARER);
    let answer = send(caller.hook("one", "", r#"{"image":"r.io/shop:v1"}"#)).await;
    assert_eq!(answer.status, 202, "what is proven is served: {}", answer.text);
}

/// What is refused before the signature is looked at is refused in the same way for every name.
#[tokio::test(flavor = "multi_thread")]
async fn no_refusal_tells_whether_there_is_such_a_project() {
    let home = home();
    let daemon = home.start();
    let mut told = Vec::new();
    for project in ["shop", "nobody"] {
        let path = format!("/v1/hooks/{project}");
        let mut answers = Vec::new();
        for request in [
            format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"),
            post(&path, "Content-Length: 2\r\n\r\n", "{}"),
            post(&path, &format!("{JSON}Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n"), "{}"),
            post(&path, &format!("{JSON}Content-Length: 9999999\r\n\r\n"), ""),
            post(&format!("{path}/"), &format!("{JSON}Content-Length: 2\r\n\r\n"), "{}"),
            post(&format!("{path}?{}", "q".repeat(9000)), &format!("{JSON}Content-Length: 2\r\n\r\n"), "{}"),
            post(&path, &format!("{JSON}Content-Length: 2\r\n\r\n"), "{}"),
        ] {
            let answer = exchange(&daemon, request).await;
            answers.push(answer.lines().filter(|line| !line.starts_with("date: ")).collect::<Vec<_>>().join("\n"));
        }
        told.push(answers);
    }
    assert_eq!(told[0], told[1]);
    let statuses: Vec<u16> = told[0].iter().map(|answer| status(answer)).collect();
    assert_eq!(statuses, [405, 415, 415, 413, 404, 414, 401]);
    assert!(told[0][0].contains("allow: POST"), "{}", told[0][0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_takes_post_alone() {
    let home = home();
    let daemon = home.start();
    for method in ["GET", "HEAD", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "OPTIONS", "BREW"] {
        let mut raw = Raw::connect(&daemon.url).await;
        raw.send(format!("{method} /v1/hooks/shop HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).await;
        let answer = raw.read_to_end().await;
        assert_eq!(status(&answer), 405, "{method}: {answer}");
        assert!(answer.contains("allow: POST\r\n"), "{method}: {answer}");
        assert!(method == "HEAD" || answer.contains("urn:windlass:problem:method"), "{method}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_exact_path_is_an_address() {
    let home = home();
    let daemon = home.start();
    for path in [
        "/",
        "/v1",
        "/v1/hooks",
        "/v1/hooks/",
        "/v1/hooks/shop/",
        "/v1/hooks/shop/x",
        "//v1/hooks/shop",
        "/v1//hooks/shop",
        "/v1/hooks/../hooks/shop",
        "/v1/hooks/%2e%2e/",
        "/v1/hooks/%2e%2e",
        "/v1/hooks/%73hop",
        "/v1/hooks/shop%00",
        "/v1/hooks/shop%2f",
        "/V1/hooks/shop",
        "/v1/hooks/shop;x",
        "/metrics",
        "/v1/projects/shop/deploy",
        "/v1/deployments/01jd5zk0000000000000000000/cancel",
    ] {
        let answer = exchange(&daemon, post(path, &format!("{JSON}Content-Length: 2\r\n\r\n"), "{}")).await;
        let expected = if path == "/v1/hooks/shop;x" { 401 } else { 404 };
        assert_eq!(status(&answer), expected, "{path}: {answer}");
    }
    for length in [8_200, 20_000, 60_000] {
        let path = format!("/v1/hooks/{}", "x".repeat(length));
        let answer = exchange(&daemon, post(&path, &format!("{JSON}Content-Length: 2\r\n\r\n"), "{}")).await;
        assert_eq!(status(&answer), 414, "{length}: {answer}");
    }
    let endless = post(&format!("/{}", "x".repeat(200_000)), "\r\n", "");
    assert!(matches!(status(&exchange(&daemon, endless).await), 414 | 431));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_the_limit_is_refused_at_once_however_it_is_framed() {
    let home = home();
    home.configure("[limits]\nbody = \"1KiB\"");
    let daemon = home.start();
    let fitting = format!("{{\"image\":\"{}\"}}", "x".repeat(1024 - 12));
    let over = format!("{fitting} ");
    assert_eq!(fitting.len(), 1024);
    let signed = |body: &str| format!("{JSON}{}", signature(&home, "shop", "one", body.as_bytes()));
    let sized =
        |body: &str| post("/v1/hooks/shop", &format!("{}Content-Length: {}\r\n\r\n", signed(body), body.len()), body);
    let chunked = |body: &str| {
        let chunks = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
        post("/v1/hooks/shop", &format!("{}Transfer-Encoding: chunked\r\n\r\n", signed(body)), &chunks)
    };
    assert_eq!(status(&exchange(&daemon, sized(&fitting)).await), 422);
    assert_eq!(status(&exchange(&daemon, chunked(&fitting)).await), 422);
    assert_eq!(status(&exchange(&daemon, sized(&over)).await), 413);
    assert_eq!(status(&exchange(&daemon, chunked(&over)).await), 413);
    // Nothing of it is read, and nobody waits for it: neither for 10 GB, nor for more than can be counted.
    for announced in ["10737418240", "18446744073709551615"] {
        let head = post("/v1/hooks/shop", &format!("{}Content-Length: {announced}\r\n\r\n", signed("{}")), "");
        let mut raw = Raw::connect(&daemon.url).await;
        raw.send(head).await;
        let answer = raw.answer().await;
        assert!(matches!((announced.len(), status(&answer)), (11, 413) | (20, 431)), "{answer}");
        assert!(answer.contains("connection: close"), "{answer}");
    }
    // A client that sends all the same is heard out for a while, so that the answer reaches it.
    let mut raw = Raw::connect(&daemon.url).await;
    raw.send(post(
        "/v1/hooks/shop",
        &format!("{}Content-Length: 2000000\r\n\r\n", signed("{}")),
        &"x".repeat(2_000_000),
    ))
    .await;
    let answer = raw.read_to_end().await;
    assert_eq!(status(&answer), 413, "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_nothing_to_show_is_not_asked_for_the_body() {
    let home = home();
    let daemon = home.start();
    let expecting = |headers: &str| {
        post("/v1/hooks/shop", &format!("{JSON}{headers}Expect: 100-continue\r\nContent-Length: 24\r\n\r\n"), "")
    };
    for hopeless in ["", "Authorization: Basic eDp5\r\n", "webhook-id: a\r\nwebhook-timestamp: 1\r\n"] {
        let answer = exchange(&daemon, expecting(hopeless)).await;
        assert_eq!(status(&answer), 401, "{answer}");
    }
    // Who has is told to go on.
    let body = r#"{"image":"r.io/shop:v1"}"#;
    let mut raw = Raw::connect(&daemon.url).await;
    raw.send(expecting(&signature(&home, "shop", "one", body.as_bytes()))).await;
    assert_eq!(status(&raw.answer().await), 100);
    raw.send(body).await;
    assert_eq!(status(&raw.answer().await), 202);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_drips_is_cut_off_and_the_others_are_served() {
    let home = home();
    home.configure("[limits]\nheader_timeout = \"500ms\"\nbody_timeout = \"500ms\"");
    let daemon = home.start();

    // 500 callers that never come to the end of their headers, or never begin.
    let mut slow = Vec::new();
    for n in 0..500 {
        let mut raw = Raw::connect(&daemon.url).await;
        if n % 2 == 0 {
            raw.send("POST /v1/hooks/shop HTTP/1.1\r\nHost: x\r\nX-Drip: ").await;
        }
        slow.push(raw);
    }
    let caller = Caller::new(&home, &daemon, "shop", Scheme::STANDARD);
    assert_eq!(caller.get("/v1/deployments?project=shop").await.status, 200);

    // A body that does not go on. A daemon without these limits waits for it for longer.
    let other_home = self::home();
    let patient = other_home.start();
    let guess = format!("{JSON}Authorization: Bearer made-up\r\nTransfer-Encoding: chunked\r\n\r\n");
    let begin = post("/v1/hooks/shop", &guess, "1\r\n{\r\n");
    tokio::select! {
        answer = exchange(&daemon, &begin) => assert_eq!(status(&answer), 408, "{answer}"),
        answer = exchange(&patient, &begin) => panic!("the patient one came first: {answer}"),
    }

    for raw in &mut slow {
        let answer = raw.read_to_end().await;
        assert!(matches!(status(&answer), 0 | 408), "{answer}");
    }
    // A connection that is kept open between two requests is not kept for ever.
    let mut raw = Raw::connect(&daemon.url).await;
    raw.send("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(status(&raw.read_to_end().await), 200);
    nothing_happened(&home, &daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_http_as_it_should_be_is_refused_and_its_connection_closed() {
    let home = home();
    let daemon = home.start();
    let body = r#"{"image":"r.io/shop:v1"}"#;
    let signed = format!("{JSON}{}", signature(&home, "shop", "one", body.as_bytes()));
    let request = |headers: &str, content: &str| post("/v1/hooks/shop", &format!("{signed}{headers}\r\n"), content);
    let unproven = |headers: &str, content: &str| post("/v1/hooks/nobody", &format!("{signed}{headers}\r\n"), content);
    let chunk = format!("18\r\n{body}\r\n0\r\n\r\n");
    let smuggling = format!("{chunk}GET /livez HTTP/1.1\r\nHost: x\r\n\r\n");
    let extended = format!("18;{}\r\n{body}\r\n0\r\n\r\n", "x".repeat(100_000));
    let many_headers: String = (0..200).map(|n| format!("X-{n}: x\r\n")).collect();
    let cases: Vec<(&str, Vec<u8>, &[u16])> = vec![
        // RFC 9112, 6.3: it may be an attempt at smuggling, whichever of the two another server believes.
        (
            "length and chunks",
            unproven("Content-Length: 24\r\nTransfer-Encoding: chunked\r\n", &smuggling).into(),
            &[400],
        ),
        ("chunks and length", request("Transfer-Encoding: chunked\r\ncontent-length:3\r\n", &smuggling).into(), &[400]),
        ("two lengths", request("Content-Length: 24\r\nContent-Length: 23\r\n", body).into(), &[400]),
        ("no number", request("Content-Length: abc\r\n", body).into(), &[400]),
        ("signed length", request("Content-Length: +24\r\n", body).into(), &[400]),
        ("unknown framing", request("Transfer-Encoding: xchunked\r\n", &chunk).into(), &[400]),
        ("endless extension", request("Transfer-Encoding: chunked\r\n", &extended).into(), &[400]),
        ("no chunk size", request("Transfer-Encoding: chunked\r\n", "zz\r\n{}\r\n").into(), &[400]),
        ("huge chunk size", request("Transfer-Encoding: chunked\r\n", "fffffffffffffffff\r\n{}\r\n").into(), &[400]),
        ("200 headers", request(&many_headers, "").into(), &[431]),
        ("100 kB header", request(&format!("X-Long: {}\r\n", "x".repeat(100_000)), "").into(), &[431]),
        (
            "100,000 signatures",
            request(&format!("webhook-signature: {}\r\n", "v1,A ".repeat(100_000)), "").into(),
            &[431],
        ),
        ("NUL in a header", request("X-Nul: a\0b\r\n", "").into(), &[400]),
        ("CR in a header", request("X-Cr: a\rb\r\n", "").into(), &[400]),
        ("blank before the colon", request("X-Blank : a\r\n", "").into(), &[400]),
        ("folded header", request("X-Fold: a\r\n b\r\n", "").into(), &[400]),
        ("HTTP/0.9", b"GET /livez\r\n\r\n".to_vec(), &[400, 0]),
        ("HTTP/2 without asking", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec(), &[400, 505, 0]),
        ("TLS", b"\x16\x03\x01\x00\x05hello\r\n\r\n".to_vec(), &[400, 0]),
        ("noise", vec![0xff; 300], &[400, 0]),
        ("HTTP/9.9", b"GET /livez HTTP/9.9\r\n\r\n".to_vec(), &[400, 505, 0]),
    ];
    for (what, bytes, expected) in cases {
        let mut raw = Raw::connect(&daemon.url).await;
        raw.send(bytes).await;
        let answer = raw.read_to_end().await;
        assert!(expected.contains(&status(&answer)), "{what}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), usize::from(status(&answer) != 0), "{what}: {answer}");
    }
    // Bytes that are no text may stand in a header, where nobody reads it as text.
    let mut latin = format!("{signed}X-Name: ").into_bytes();
    latin.extend_from_slice(b"\xe4\xff\r\nContent-Length: 24\r\n\r\n");
    let head = post("/v1/hooks/nobody", "", "");
    let answer = exchange(&daemon, [head.as_bytes(), &latin, body.as_bytes()].concat()).await;
    assert_eq!(status(&answer), 401, "{answer}");
    nothing_happened(&home, &daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_requests_at_once_and_a_caller_that_leaves_do_no_harm() {
    let home = home();
    home.configure("[limits]\nconnections = 12\nbody_timeout = \"1h\"");
    let daemon = home.start();
    let mut raw = Raw::connect(&daemon.url).await;
    let one = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";
    let last = "GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    raw.send(format!("{}{last}", one.repeat(99))).await;
    assert_eq!(raw.read_to_end().await.matches("HTTP/1.1 200").count(), 100);
    for _ in 0..10 {
        let mut raw = Raw::connect(&daemon.url).await;
        let headers = format!("{JSON}{}Content-Length: 1000001\r\n\r\n", signature(&home, "shop", "one", b"{}"));
        raw.send(post("/v1/hooks/shop", &headers, &" ".repeat(1_000_000))).await;
    }
    // The rest of so much would be waited for for a quarter of an hour; and while places are short, each answer ends its
    // connection.
    eventually("the places to be free", async || !exchange(&daemon, one).await.contains("connection: close")).await;
    nothing_happened(&home, &daemon).await;
    daemon.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_ever_unpacked_and_nothing_but_json_is_read() {
    let home = home();
    let daemon = home.start();
    let caller = Caller::new(&home, &daemon, "shop", Scheme::STANDARD);
    let body = r#"{"image":"r.io/shop:v1"}"#;
    for (name, value) in [
        ("content-encoding", "gzip"),
        ("content-encoding", "deflate, gzip"),
        ("content-type", "application/x-www-form-urlencoded"),
        ("content-type", "text/plain"),
    ] {
        let mut request = caller.hook("one", "", body).build().unwrap();
        request.headers_mut().insert(name, value.parse().unwrap());
        let response = client().execute(request).await.unwrap();
        assert_eq!(response.status(), 415, "{name}: {value}");
    }
    nothing_happened(&home, &daemon).await;
}

async fn deliver(caller: &Caller, n: usize, body: impl Into<reqwest::Body>, bytes: &[u8], home: &Home) -> Answer {
    let key = home.key("shop", Scheme::STANDARD);
    let headers = auth::sign(&key, &format!("d{n}").parse().unwrap(), bytes, home.clock().now()).unwrap();
    let request = caller.hook("x", "", "").headers(headers).body(body);
    send(request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_authentic_and_not_understood_is_400_and_says_why() {
    let home = home();
    let daemon = home.start();
    let caller = Caller::new(&home, &daemon, "shop", Scheme::STANDARD);
    let deep = format!("{{\"image\":{}1{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let many = format!("{{\"images\":[{}\"r.io/shop:v1\"]}}", "\"r.io/shop:v1\",".repeat(60_000));
    let digits = format!("{{\"image\":\"r.io/shop:v1\",\"sequence\":{}}}", "1".repeat(900_000));
    let bodies: Vec<Vec<u8>> = [
        "",
        " ",
        "null",
        "[]",
        "\"x\"",
        "0",
        "{}",
        "{",
        "{\"image\":null}",
        "{\"image\":7}",
        "{\"image\":[]}",
        "{\"image\":{}}",
        "{\"images\":[]}",
        "{\"images\":\"r.io/shop:v1\"}",
        "{\"images\":[null]}",
        "{\"image\":\"r.io/shop:v1\",\"images\":[\"r.io/shop:v1\"]}",
        "{\"image\":\"r.io/shop:v1\",\"image\":\"r.io/evil:v1\"}",
        "{\"image\":\"r.io/shop:v1\",\"tag\":\"v2\"}",
        "{\"image\":\"r.io/shop:v1\"}{}",
        "{\"image\":\"r.io/shop:v1\"}\0",
        "{\"image\":\"r.io/shop:v1\",}",
        "{\"image\":\"r.io/shop:v1\",\"sequence\":-1}",
        "{\"image\":\"r.io/shop:v1\",\"sequence\":1.5}",
        "{\"image\":\"r.io/shop:v1\",\"sequence\":1e400}",
        "{\"image\":\"r.io/shop:v1\",\"sequence\":NaN}",
        "{\"image\":\"r.io/shop:v1\",\"sequence\":\"1\"}",
        "{\"image\":\"r.io/shop:v1\",\"sequence\":18446744073709551616}",
        "{\"image\":\"r.io/shop:v1\",\"commit\":7}",
        "{\"image\":\"r.io/shop:v1\",\"run_url\":[]}",
        "{\"image\":\"r.io/shop:v1\",\"directory\":\"/etc\"}",
        "{\"image\":\"\\ud800\"}",
        "\u{feff}{\"image\":\"r.io/shop:v1\"}",
        &deep,
        &many,
        &digits,
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .chain([b"{\"image\":\"\xff\"}".to_vec(), b"\xff\xfe{\0\"\0".to_vec(), vec![0; 100]])
    .collect();
    for (n, body) in bodies.into_iter().enumerate() {
        let shown = String::from_utf8_lossy(&body[..body.len().min(80)]).into_owned();
        let answer = deliver(&caller, n, body.clone(), &body, &home).await;
        assert_eq!(answer.status, 400, "{shown}: {}", answer.text);
        let problem = answer.json();
        assert_eq!(answer.headers["content-type"], "application/problem+json");
        assert_eq!(problem["type"], "urn:windlass:problem:not_understood", "{shown}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(!detail.is_empty() && detail.len() < 400 && !detail.contains('\n'), "{shown}: {detail}");
    }
    for query in ["?wait=", "?wait=30", "?wait=-1s", "?wait=1s&wait=2s", "?dry_run=yes", "?dry-run=1", "?%ff=%ff"] {
        let answer = send(caller.hook("one", query, r#"{"image":"r.io/shop:v1"}"#)).await;
        assert_eq!(answer.status, 400, "{query}: {}", answer.text);
    }
    nothing_happened(&home, &daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_not_the_projects_own_is_422_and_says_why() {
    let home = home();
    home.project_with("shop", &["r.io/shop"], "tags = [\"v*\"]");
    home.configure("limits.hooks_per_minute = 1000");
    let daemon = home.start();
    let caller = Caller::new(&home, &daemon, "shop", Scheme::STANDARD);
    let (tag128, tag129) = (format!("r.io/shop:v{}", "x".repeat(127)), format!("r.io/shop:v{}", "x".repeat(128)));
    let hex = "0".repeat(64);
    let images: Vec<String> = [
        "",
        "../../etc/passwd",
        "-v/:/host",
        "--privileged",
        "a b",
        "x:1;rm -rf /",
        "$(id)",
        "`id`",
        "${IFS}",
        "r.io/shop:v1\n",
        "r.io/shop:v1\t",
        "r.io/shop:v1\0",
        "r.io/shop:v1 ",
        " r.io/shop:v1",
        "r.io/shop:v 1",
        "r.io/shop:v$(id)",
        "r.io/shop:`id`",
        "r.io/../shop:v1",
        "r.io/shop/../shop:v1",
        "r.io//shop:v1",
        "R.IO/shop:v1",
        "r.io/SHOP:v1",
        "r.io/shop:",
        "r.io/shop:-v1",
        "r.io/shop:.v1",
        &tag129,
        "r.io/shop",
        "r.io/shop@sha256:1",
        &format!("r.io/shop@sha256:{}", &hex[1..]),
        &format!("r.io/shop@sha256:{hex}0"),
        &format!("r.io/shop@sha256:{}", "A".repeat(64)),
        "r.io/shop@sha1:da39a3ee5e6b4b0d3255bfef95601890afd80709",
        &format!("r.io/shop@sha512:{hex}"),
        "r.io/shop@md5:d41d8cd98f00b204e9800998ecf8427e",
        &format!("r.io/shop@sha256:{hex}"),
        "r.io/shop:dev",
        "r.io/shops:v1",
        "r.io/sho:v1",
        "r.io/shop/x:v1",
        "r.io.evil/shop:v1",
        "r.io@evil/shop:v1",
        "r.io:443@x/shop:v1",
        "r.io:443/shop:v1",
        "evil.io/shop:v1",
        "evil.io/r.io/shop:v1",
        "docker.io/shop:v1",
        "index.docker.io/library/shop:v1",
        "shop:v1",
        "library/shop:v1",
        "127.0.0.1/shop:v1",
        "[::1]/shop:v1",
        "0.0.0.0/shop:v1",
        "169.254.169.254/shop:v1",
        "[fd00:ec2::254]/shop:v1",
        "[::ffff:169.254.169.254]/shop:v1",
        "[64:ff9b::a9fe:a9fe]/shop:v1",
        "2852039166/shop:v1",
        "0251.0376.0251.0376/shop:v1",
        "localhost/shop:v1",
        "localhost./shop:v1",
        "xn--r-gfa.io/shop:v1",
        "r\u{456}.io/shop:v1",
        "r.io/\u{455}hop:v1",
        "http://r.io/shop:v1",
        "r.io/shop:v1?x",
        "r.io/shop:v1#x",
        "user:pw@r.io/shop:v1",
        &"a".repeat(100_000),
    ]
    .into_iter()
    .map(str::to_owned)
    .collect();
    for (n, image) in images.iter().enumerate() {
        let answer = send(caller.hook(&format!("d{n}"), "", json!({ "image": image }).to_string())).await;
        assert_eq!(answer.status, 422, "{image:.90?}: {}", answer.text);
        let problem = answer.json();
        let kind = problem["type"].as_str().unwrap();
        assert!(matches!(kind, "urn:windlass:problem:bad_image" | "urn:windlass:problem:not_allowed"), "{kind}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.len() < 600 && !detail.chars().any(char::is_control), "{image:.90?}: {detail}");
    }
    for body in [
        json!({ "images": ["r.io/shop:v1", "r.io/shop:v2"] }),
        json!({ "images": ["r.io/shop:v1", "r.io/blog:v1"] }),
        json!({ "image": "r.io/shop:v1", "digest": "sha256:1" }),
        json!({ "image": format!("r.io/shop:v1@sha256:{hex}"), "digest": format!("sha256:{}", "1".repeat(64)) }),
    ] {
        assert_eq!(send(caller.hook("one", "", body.to_string())).await.status, 422, "{body}");
    }
    nothing_happened(&home, &daemon).await;
    assert_eq!(send(caller.hook("longest", "", json!({ "image": tag128 }).to_string())).await.status, 202);
}
