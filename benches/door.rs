//! Measures how long a good hook waits beside many other connections, and prints a table.
//!
//! `make bench-door`. It starts windlass, as it is built for release, with its defaults on a port of its own and without
//! an engine: a hook is answered as soon as it is on disk. Each good hook comes over a connection of its own. A
//! client of the crowd connects again a second after its connection was closed.
#![expect(clippy::print_stdout, reason = "a table is what it is for")]

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, bail};
use futures_util::future::join_all;
use hmac::{Hmac, KeyInit as _, Mac as _};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use sha2::Sha256;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

const DEPLOYER: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const READER: &str = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210";
const HOOK: &str = "POST /v1/hooks/shop HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
/// How many good hooks each crowd has beside it, how often one comes, and how long it waits for an answer.
const HOOKS: u32 = 300;
const EVERY: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(45);
/// How long a client of the crowd waits before it connects again.
const AWAY: Duration = Duration::from_secs(1);

/// What a client of the crowd does with a connection.
#[derive(Clone)]
enum Manner {
    /// Asks `GET /livez` every five seconds.
    Idles,
    /// Sends the beginning, and a piece more each second.
    Drips(String, &'static str),
    /// Sends a request and reads what comes.
    Follows(String),
}

/// The crowd is in a thread of its own, so that no good hook waits for it here.
#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() -> anyhow::Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    let directory = tempfile::tempdir()?;
    let windlass = Windlass::start(directory.path()).await?;
    let first = signed_hook("first");
    let id = answer(windlass.address, first.as_bytes()).await?;
    let id = id.split("\"id\":\"").nth(1).and_then(|rest| rest.split('"').next()).context("no deployment")?.to_owned();

    let follow = format!(
        "GET /v1/deployments/{id}/events HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n{}\r\n",
        signature(READER, "")
    );
    let body = format!("{HOOK}Authorization: Bearer made-up\r\nTransfer-Encoding: chunked\r\n\r\n");
    println!(
        "{:<48} {:>9} {:>9} {:>9} {:>11} {:>9}",
        "A GOOD HOOK BESIDE", "P50", "P99", "LONGEST", "UNANSWERED", "MEMORY"
    );
    for (what, count, manner) in [
        ("nobody", 0, Manner::Idles),
        ("700 that ask GET /livez every 5 s", 700, Manner::Idles),
        ("2,000 slow heads", 2000, Manner::Drips(HOOK.to_owned(), "x")),
        ("600 slow chunked bodies with a made-up bearer", 600, Manner::Drips(body, "1\r\n{\r\n")),
        ("520 event streams of one read key", 520, Manner::Follows(follow)),
    ] {
        let (mut crowd, present) = (JoinSet::new(), Arc::new(AtomicUsize::new(0)));
        for _ in 0..count {
            crowd.spawn(stand_in_the_door(windlass.address, manner.clone(), Arc::clone(&present)));
        }
        while present.load(Ordering::Relaxed) < count {
            sleep(Duration::from_millis(10)).await;
        }
        let seen = good_hooks(windlass.address, what).await;
        let memory = windlass.memory()?;
        crowd.shutdown().await;
        report(what, seen, memory);
    }
    Ok(())
}

/// windlass, until this is dropped.
struct Windlass {
    process: Child,
    address: SocketAddr,
}

impl Windlass {
    async fn start(directory: &Path) -> anyhow::Result<Self> {
        use std::os::unix::fs::OpenOptionsExt as _;
        let address = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
        let config = format!(
            "listen = \"{address}\"\nsocket = \"windlass.sock\"\nstate_dir = \"state\"\nengine.host = \"unix:///nonexistent\"\n\
             limits.hooks_per_minute = 100000\n\
             [projects.shop]\nimages = [\"registry.example.com/shop\"]\ncompose.directory = \"/\"\n\
             [[projects.shop.keys]]\nid = \"ci\"\nscheme = \"github\"\nsecret_file = \"ci.key\"\n\
             [[projects.shop.keys]]\nid = \"reader\"\nscheme = \"github\"\nsecret_file = \"reader.key\"\nscope.may = [\"read\"]\n"
        );
        std::fs::write(directory.join("config.toml"), config)?;
        for (file, key) in [("ci.key", DEPLOYER), ("reader.key", READER)] {
            let mut options = std::fs::OpenOptions::new();
            let mut file = options.write(true).create_new(true).mode(0o600).open(directory.join(file))?;
            std::io::Write::write_all(&mut file, key.as_bytes())?;
        }
        #[expect(clippy::disallowed_types, reason = "nothing here is part of windlass")]
        let process = std::process::Command::new(env!("CARGO_BIN_EXE_windlass"))
            .args(["serve", "--config"])
            .arg(directory.join("config.toml"))
            .stderr(Stdio::from(std::fs::File::create(directory.join("log"))?))
            .spawn()?;
        let windlass = Self { process, address };
        for _ in 0..500 {
            if answer(address, b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n").await.is_ok() {
                return Ok(windlass);
            }
            sleep(Duration::from_millis(20)).await;
        }
        bail!("windlass did not start: {}", std::fs::read_to_string(directory.join("log"))?)
    }

    /// What of the machine's memory it has, in MiB.
    fn memory(&self) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        Ok(line.trim_end_matches("kB").trim().parse::<u64>()? / 1024)
    }
}

impl Drop for Windlass {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn stand_in_the_door(address: SocketAddr, manner: Manner, present: Arc<AtomicUsize>) {
    let mut is_counted = false;
    loop {
        if let Ok(mut stream) = TcpStream::connect(address).await {
            if !std::mem::replace(&mut is_counted, true) {
                present.fetch_add(1, Ordering::Relaxed);
            }
            let _ = behave(&mut stream, &manner).await;
        }
        sleep(AWAY).await;
    }
}

/// Returns when the connection was closed.
async fn behave(stream: &mut TcpStream, manner: &Manner) -> std::io::Result<()> {
    let (begin, more, pause) = match manner {
        Manner::Idles => {
            const ASK: &str = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";
            (ASK, ASK, Duration::from_secs(5))
        }
        Manner::Drips(begin, more) => (begin.as_str(), *more, Duration::from_secs(1)),
        Manner::Follows(request) => (request.as_str(), "", Duration::from_secs(1)),
    };
    stream.write_all(begin.as_bytes()).await?;
    let mut heard = [0; 4096];
    loop {
        match timeout(pause, stream.read(&mut heard)).await {
            Ok(Ok(0)) => return Ok(()),
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(error),
            Err(_) => stream.write_all(more.as_bytes()).await?,
        }
    }
}

/// How long each good hook took; nothing for one that was not answered.
async fn good_hooks(address: SocketAddr, what: &str) -> Vec<Option<Duration>> {
    let hook = async |number: u32| {
        let request = signed_hook(&format!("{what} {number}"));
        sleep(EVERY * number).await;
        let begun = Instant::now();
        let answered = timeout(PATIENCE, answer(address, request.as_bytes())).await;
        answered.ok()?.ok().filter(|answer| answer.starts_with("HTTP/1.1 202 ")).map(|_| begun.elapsed())
    };
    join_all((0..HOOKS).map(hook)).await
}

/// The answer to one request, whole.
async fn answer(address: SocketAddr, request: &[u8]) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request).await?;
    let mut text = String::new();
    let mut bytes = [0; 4096];
    loop {
        let count = stream.read(&mut bytes).await?;
        if count == 0 {
            bail!("the connection was closed after {text:?}");
        }
        text += &String::from_utf8_lossy(bytes.get(..count).unwrap_or_default());
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
        if length.is_some_and(|length| body.len() >= length) {
            return Ok(text);
        }
    }
}

/// A hook with a body of its own.
fn signed_hook(name: &str) -> String {
    #[expect(clippy::disallowed_methods, reason = "nothing here is part of windlass")]
    let run = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |now| now.as_nanos());
    let body =
        format!(r#"{{"image":"registry.example.com/shop:v1","run_url":"https://ci.example/{run}","actor":"{name}"}}"#);
    format!("{HOOK}Content-Length: {}\r\n{}\r\n{body}", body.len(), signature(DEPLOYER, &body))
}

fn signature(key: &str, body: &str) -> String {
    let mut header = "X-Hub-Signature-256: sha256=".to_owned();
    // HMAC takes keys of any length.
    if let Ok(hmac) = Hmac::<Sha256>::new_from_slice(key.as_bytes()) {
        for byte in hmac.chain_update(body).finalize().into_bytes() {
            let _ = write!(header, "{byte:02x}");
        }
    }
    header + "\r\n"
}

fn report(what: &str, seen: Vec<Option<Duration>>, memory: u64) {
    let unanswered = seen.iter().filter(|time| time.is_none()).count();
    let mut times: Vec<f64> = seen.into_iter().flatten().map(|time| time.as_secs_f64() * 1e3).collect();
    times.sort_by(f64::total_cmp);
    let percentile = |percent: usize| match times.get(times.len().saturating_sub(1) * percent / 100) {
        Some(time) => format!("{time:.1} ms"),
        None => "-".to_owned(),
    };
    let [p50, p99, longest] = [50, 99, 100].map(percentile);
    println!("{what:<48} {p50:>9} {p99:>9} {longest:>9} {unanswered:>11} {:>9}", format!("{memory} MiB"));
}
