//! Tries a project's own health check once.

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::deploy::spec::Probe;
use crate::host::error::innermost;
use crate::host::program::exec::Run;

/// How long one try may take.
const TRY: Duration = Duration::from_secs(5);

/// Tries once. The error says in a few words what was wrong.
pub(super) async fn try_once(probe: &Probe, directory: &Path) -> Result<(), String> {
    match probe {
        Probe::Http(url) => http(url).await,
        Probe::Tcp(address) => match timeout(TRY, TcpStream::connect(address)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(format!("{address}: {error}")),
            Err(_) => Err(format!("{address}: no answer within {} s", TRY.as_secs())),
        },
        Probe::Command(words) => command(words, directory).await,
    }
}

/// The probe as people call it.
pub(super) fn name(probe: &Probe) -> String {
    match probe {
        Probe::Http(url) => format!("GET {url}"),
        Probe::Tcp(address) => format!("a connection to {address}"),
        Probe::Command(words) => words.join(" "),
    }
}

async fn http(url: &str) -> Result<(), String> {
    let client = client().ok_or_else(|| "the HTTP client could not be set up".to_owned())?;
    match client.get(url).send().await {
        Ok(answer) if answer.status().is_success() || answer.status().is_redirection() => Ok(()),
        Ok(answer) => Err(format!("answered {}", answer.status())),
        Err(error) if error.is_timeout() => Err(format!("no answer within {} s", TRY.as_secs())),
        Err(error) => Err(innermost(&error)),
    }
}

/// One client for all probes, made when the first one is tried: most projects have none.
fn client() -> Option<&'static reqwest::Client> {
    static CLIENT: OnceLock<Option<reqwest::Client>> = OnceLock::new();
    let make = || {
        // Another part of the process may have chosen a provider already; either will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            // What is asked is this host's own service, never by way of another one.
            .no_proxy()
            .timeout(TRY)
            // Each try shows that the service takes connections.
            .pool_max_idle_per_host(0)
            .user_agent(concat!("windlass/", env!("CARGO_PKG_VERSION")))
            .build()
            .ok()
    };
    CLIENT.get_or_init(make).as_ref()
}

async fn command(words: &[String], directory: &Path) -> Result<(), String> {
    let Some((program, arguments)) = words.split_first() else { return Err("the command is empty".to_owned()) };
    let run = Run {
        program,
        arguments,
        directory: Some(directory),
        environment: &[],
        input: None,
        deadline: TRY,
        keep: 4096,
        on_line: None,
        record: None,
    };
    let output = run.output().await.map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stderr.last_lines(2), output.stdout.last_lines(2)].into_iter().find(|said| !said.is_empty());
    let code = output.status.code().map_or_else(|| output.status.to_string(), |code| format!("exit code {code}"));
    Err(said.map_or_else(|| code.clone(), |said| format!("{code}: {said}")))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    async fn answering(status: &'static str) -> Result<(), String> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/ping", listener.local_addr().unwrap());
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0_u8; 1024]).await;
            let answer = format!("HTTP/1.1 {status}\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
        };
        let probe = Probe::Http(url);
        tokio::join!(try_once(&probe, Path::new("/")), serve).0
    }

    #[tokio::test]
    async fn http_is_good_with_2xx_and_3xx_and_follows_nothing() {
        assert_eq!(answering("200 OK").await, Ok(()));
        assert_eq!(answering("302 Found").await, Ok(()));
        assert_eq!(answering("503 Service Unavailable").await, Err("answered 503 Service Unavailable".to_owned()));
        assert_eq!(answering("404 Not Found").await, Err("answered 404 Not Found".to_owned()));
    }

    #[tokio::test]
    async fn nobody_there_is_bad() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        assert_eq!(try_once(&Probe::Tcp(address.clone()), Path::new("/")).await, Ok(()));
        drop(listener);
        for probe in [Probe::Tcp(address.clone()), Probe::Http(format!("http://{address}/"))] {
            let error = try_once(&probe, Path::new("/")).await.unwrap_err();
            assert!(error.contains("refused"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_command_is_good_when_it_exits_with_0() {
        let command = |words: &[&str]| Probe::Command(words.iter().map(|word| (*word).to_owned()).collect());
        assert_eq!(try_once(&command(&["true"]), Path::new("/")).await, Ok(()));
        let failed = try_once(&command(&["sh", "-c", "echo not yet; exit 3"]), Path::new("/")).await;
        assert_eq!(failed, Err("exit code 3: not yet".to_owned()));
        let missing = try_once(&command(&["windlass-no-such-program"]), Path::new("/")).await.unwrap_err();
        assert!(missing.contains("not installed"), "{missing}");
    }
}
