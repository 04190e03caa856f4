//! Sends signed hooks as fast as they are answered, each with a body of its own, and prints what that took.
//!
//! `load URL KEY_FILE REPOSITORY CONNECTIONS REQUESTS`, called by `scripts/bench`. Any receiver that knows the scheme
//! `github` will do. Every connection is kept alive and sends its next hook when the last one was answered. All
//! requests are made and signed beforehand, so that the time is the receiver's.
#![expect(clippy::print_stdout, reason = "one line of JSON is what it is for")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, bail};
use futures_util::future::try_join_all;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// What one connection saw: each answer's status and time.
type Seen = Vec<(u16, Duration)>;

/// One thread: the machine's other cores are for the receiver.
#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, key_file, repository, connections, requests] = arguments.as_slice() else {
        println!("this is a part of `make bench`; see benches/load.rs");
        return Ok(());
    };
    let (connections, requests): (usize, usize) = (connections.parse()?, requests.parse()?);
    let (host, path) = url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).context("http:// only")?;
    let key = std::fs::read_to_string(key_file).with_context(|| format!("failed to read {key_file}"))?;
    let prepared = prepare(host, path, key.trim(), repository, requests)?;

    let start = Instant::now();
    let parts = prepared.chunks(requests.div_ceil(connections.max(1)));
    let seen = try_join_all(parts.map(|part| send_in_turn(host, part))).await?;
    report(connections, start.elapsed(), seen.into_iter().flatten().collect());
    Ok(())
}

fn prepare(host: &str, path: &str, key: &str, repository: &str, count: usize) -> anyhow::Result<Vec<Vec<u8>>> {
    let hmac = Hmac::<Sha256>::new_from_slice(key.as_bytes())?;
    // So that no body is one of an earlier run.
    #[expect(clippy::disallowed_methods, reason = "nothing here is part of windlass")]
    let run = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_nanos();
    let request = |number| {
        let body = format!(r#"{{"image":"{repository}:v1","run_url":"https://ci.example/runs/{run}/{number}"}}"#);
        let mut signature = String::new();
        for byte in hmac.clone().chain_update(&body).finalize().into_bytes() {
            write!(signature, "{byte:02x}")?;
        }
        let length = body.len();
        let head = format!(
            "POST /{path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
             X-Hub-Signature-256: sha256={signature}\r\n\r\n"
        );
        Ok([head.into_bytes(), body.into_bytes()].concat())
    };
    (0..count).map(request).collect()
}

async fn send_in_turn(host: &str, requests: &[Vec<u8>]) -> anyhow::Result<Seen> {
    let mut connection = TcpStream::connect(host).await.with_context(|| format!("failed to connect to {host}"))?;
    connection.set_nodelay(true)?;
    let mut seen = Seen::with_capacity(requests.len());
    let mut answer = Vec::new();
    for request in requests {
        let start = Instant::now();
        connection.write_all(request).await?;
        let status = read_answer(&mut connection, &mut answer).await?;
        seen.push((status, start.elapsed()));
    }
    Ok(seen)
}

/// Reads one whole answer, and gives its status.
async fn read_answer(connection: &mut TcpStream, answer: &mut Vec<u8>) -> anyhow::Result<u16> {
    answer.clear();
    loop {
        if connection.read_buf(answer).await? == 0 {
            bail!("the connection was closed; last heard: {:?}", String::from_utf8_lossy(answer));
        }
        let text = String::from_utf8_lossy(answer);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().filter_map(|line| line.split_once(':')).find_map(|(name, value)| {
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
        });
        if body.len() >= length.context("an answer without Content-Length")? {
            let status = head.split(' ').nth(1).context("an answer without a status")?;
            return Ok(status.parse()?);
        }
    }
}

fn report(connections: usize, elapsed: Duration, seen: Seen) {
    let mut statuses: BTreeMap<String, usize> = BTreeMap::new();
    for (status, _) in &seen {
        *statuses.entry(status.to_string()).or_default() += 1;
    }
    let mut times: Vec<f64> = seen.iter().map(|(_, time)| time.as_secs_f64() * 1e3).collect();
    times.sort_by(f64::total_cmp);
    let percentile = |percent: usize| times.get(times.len().saturating_sub(1) * percent / 100);
    let rate = f64::from(u32::try_from(seen.len()).unwrap_or(u32::MAX)) / elapsed.as_secs_f64();
    let report = serde_json::json!({
        "connections": connections, "statuses": statuses, "rate": rate,
        "p50_ms": percentile(50), "p99_ms": percentile(99), "max_ms": times.last(),
    });
    println!("{report}");
}
