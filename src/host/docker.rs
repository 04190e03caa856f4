//! Speaks to the engine: connects when first asked, agrees on an API version, and sorts what goes wrong.

mod containers;
mod images;
mod keep;
mod progress;
mod pull;
mod raw;
mod registry;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bollard::errors::Error;
use bollard::{API_DEFAULT_VERSION, BollardRequest, Docker};
use http::HeaderValue;
use http::uri::PathAndQuery;
use tokio::time::timeout;

use super::survey::EngineVersion;
use super::{HostError, innermost};
use crate::model::Clock;

pub(crate) use images::ImageFacts;

/// How long the engine may take for an answer from its own memory or disk.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long it may take for what needs the disk or a registry: bollard waits this long for the head of an answer.
const LONG_PATIENCE: Duration = Duration::from_secs(120);

/// The engine of this host. Nothing is asked of it before the first call, and every call may find it restarted,
/// updated or gone.
#[derive(Debug)]
pub(crate) struct Engine {
    address: String,
    link: Mutex<Option<Link>>,
    clock: Clock,
}

#[derive(Debug, Clone)]
struct Link {
    docker: Docker,
    version: EngineVersion,
    /// What paths begin with: the agreed version.
    prefix: String,
}

/// What came back instead of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Nothing, or half an answer.
    Away(String),
    /// A status and a message.
    Status(u16, String),
    /// An error in the middle of an answer that had begun well.
    Stream(String),
    /// Something that windlass does not understand.
    Odd(String),
}

impl Engine {
    /// The engine at `address`: `unix:///path` or `tcp://host:port`.
    pub(crate) const fn new(address: String, clock: Clock) -> Self {
        Self { address, link: Mutex::new(None), clock }
    }

    /// As `DOCKER_HOST` says it.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Which engine answers.
    pub(crate) async fn version(&self) -> Result<EngineVersion, HostError> {
        self.forget();
        Ok(self.link().await.map_err(|refusal| refusal.during("ask the engine for its version"))?.version)
    }

    /// As [`Engine::version`], but from memory where it was asked before.
    async fn known_version(&self) -> Result<EngineVersion, HostError> {
        Ok(self.link().await.map_err(|refusal| refusal.during("ask the engine for its version"))?.version)
    }

    /// Asks one thing that is answered from the engine's own memory or disk.
    async fn ask<T, F>(&self, request: impl Fn(Docker) -> F + Send + Sync) -> Result<T, Refusal>
    where
        F: Future<Output = Result<T, Error>> + Send,
    {
        self.ask_patiently(PATIENCE, request).await
    }

    /// Asks one thing, and waits so long for the answer.
    async fn ask_patiently<T, F>(
        &self,
        patience: Duration,
        request: impl Fn(Docker) -> F + Send + Sync,
    ) -> Result<T, Refusal>
    where
        F: Future<Output = Result<T, Error>> + Send,
    {
        match self.ask_once(patience, &request).await {
            // Another engine answers than the one that the version was agreed with.
            Err(refusal) if refusal.is_about_the_version() => {
                self.forget();
                self.ask_once(patience, &request).await
            }
            answer => answer,
        }
    }

    async fn ask_once<T, F>(&self, patience: Duration, request: impl Fn(Docker) -> F + Send) -> Result<T, Refusal>
    where
        F: Future<Output = Result<T, Error>> + Send,
    {
        // bollard's own limit is for the head of an answer only, and must not come first.
        let docker = self.link().await?.docker.with_timeout(patience * 2);
        match timeout(patience, request(docker)).await {
            Ok(answer) => answer.map_err(|error| Refusal::from(error).at(&self.address)),
            Err(_) => Err(Refusal::Away(format!("{}: no answer within {} s", self.address, patience.as_secs()))),
        }
    }

    fn forget(&self) {
        *self.link.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    async fn link(&self) -> Result<Link, Refusal> {
        let known = self.link.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(link) = known {
            return Ok(link);
        }
        let docker = dial(&self.address)?;
        let answer = timeout(PATIENCE, docker.version()).await;
        let answer = answer.map_err(|_| Refusal::Away(format!("no answer from {}", self.address)))?;
        let answer = answer.map_err(|error| Refusal::from(error).at(&self.address))?;
        let version = EngineVersion {
            version: answer.version.unwrap_or_default(),
            api: answer.api_version.unwrap_or_default(),
            oldest_api: answer.min_api_version.unwrap_or_default(),
            os: answer.os.unwrap_or_default(),
            architecture: answer.arch.unwrap_or_default(),
        };
        let prefix = format!("/v{}", version.agreed().map_err(Refusal::Odd)?);
        let own_prefix = prefix.clone();
        let docker = docker.with_request_modifier(move |request| shape(request, &own_prefix));
        let link = Link { docker, version, prefix };
        *self.link.lock().unwrap_or_else(PoisonError::into_inner) = Some(link.clone());
        Ok(link)
    }
}

fn dial(address: &str) -> Result<Docker, Refusal> {
    let dialled = if address.starts_with("unix://") || address.starts_with('/') {
        Docker::connect_with_unix(address, LONG_PATIENCE.as_secs(), API_DEFAULT_VERSION)
    } else if address.starts_with("tcp://") || address.starts_with("http://") {
        Docker::connect_with_http(address, LONG_PATIENCE.as_secs(), API_DEFAULT_VERSION)
    } else {
        let reason =
            format!("{address:?} is not an address of an engine; set DOCKER_HOST to unix:///path or tcp://host:port");
        return Err(Refusal::Odd(reason));
    };
    dialled.map_err(|error| Refusal::Away(error.to_string()))
}

/// Puts right what bollard sends.
///
/// It asks without an API version, and an engine then answers in its newest, which bollard may not know. And it writes
/// credentials in the standard base64 alphabet, where the engine expects the one for URLs: with a password whose
/// encoding has a `+` or a `/` the engine would drop the header without a word, and ask the registry as nobody.
fn shape(mut request: BollardRequest, prefix: &str) -> BollardRequest {
    if let Some(value) = request.headers_mut().get_mut("X-Registry-Auth") {
        let text = String::from_utf8_lossy(value.as_bytes()).replace('+', "-").replace('/', "_");
        if let Ok(mut corrected) = HeaderValue::from_str(&text) {
            corrected.set_sensitive(true);
            *value = corrected;
        }
    }
    let mut parts = request.uri().clone().into_parts();
    let path = parts.path_and_query.as_ref().map_or("/", PathAndQuery::as_str);
    if !path.starts_with("/v1.")
        && let Ok(versioned) = format!("{prefix}{path}").parse()
    {
        parts.path_and_query = Some(versioned);
        if let Ok(uri) = http::Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
    }
    request
}

impl Refusal {
    fn is_about_the_version(&self) -> bool {
        matches!(self, Self::Status(400, message) if message.contains("client version"))
    }

    /// Whether what was asked for is not there.
    fn is_absence(&self) -> bool {
        matches!(self, Self::Status(404, _))
    }

    /// Whether there is a container of that name already. Podman has no status of its own for it.
    fn is_name_taken(&self) -> bool {
        matches!(self, Self::Status(409, _))
            || matches!(self, Self::Status(500, message) if message.contains("already in use"))
    }

    fn at(self, address: &str) -> Self {
        match self {
            Self::Away(reason) => Self::Away(format!("{address}: {reason}")),
            other => other,
        }
    }

    /// The failure of `operation`, said to people.
    pub(crate) fn during(self, operation: &str) -> HostError {
        match self {
            Self::Away(reason) => HostError::EngineAway { reason },
            Self::Status(_, reason) | Self::Stream(reason) | Self::Odd(reason) => {
                HostError::Engine { operation: operation.to_owned(), reason }
            }
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match error {
            Error::DockerResponseServerError { status_code, message } => {
                Self::Status(status_code, message.trim().to_owned())
            }
            Error::DockerStreamError { error } => Self::Stream(error),
            Error::JsonDataError { message, .. } => Self::Odd(format!("unexpected answer: {message}")),
            Error::JsonSerdeError { err } => Self::Odd(format!("unexpected answer: {err}")),
            other => Self::Away(innermost(&other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};
    use bollard::auth::DockerCredentials;

    use super::*;

    fn request(path: &str, auth: Option<&str>) -> BollardRequest {
        let mut builder = http::Request::builder().uri(format!("unix://2f78{path}"));
        if let Some(auth) = auth {
            builder = builder.header("X-Registry-Auth", auth);
        }
        builder.body(bollard::body_full(bytes::Bytes::new())).unwrap()
    }

    #[test]
    fn every_request_carries_the_agreed_version_once() {
        let once = shape(request("/images/json?all=true", None), "/v1.41");
        assert_eq!(once.uri().to_string(), "unix://2f78/v1.41/images/json?all=true");
        let twice = shape(once, "/v1.41");
        assert_eq!(twice.uri().to_string(), "unix://2f78/v1.41/images/json?all=true");
    }

    #[test]
    fn credentials_go_out_in_the_alphabet_that_the_engine_reads() {
        for password in ["~~~???>>>", "a?b~c>d", "ÿÿÿ", "plain", "~", "??", ">>>>"] {
            let credentials = DockerCredentials {
                username: Some("ci".to_owned()),
                password: Some(password.to_owned()),
                ..DockerCredentials::default()
            };
            let json = serde_json::to_string(&credentials).unwrap();
            let shaped = shape(request("/distribution/x/json", Some(&STANDARD.encode(&json))), "/v1.41");
            let header = shaped.headers().get("X-Registry-Auth").unwrap();
            assert!(header.is_sensitive());
            let decoded = URL_SAFE.decode(header.as_bytes()).expect("the engine could not read it");
            assert_eq!(serde_json::from_slice::<DockerCredentials>(&decoded).unwrap(), credentials, "{password}");
        }
    }

    #[tokio::test]
    async fn an_engine_that_is_not_there_is_away_and_an_address_that_is_none_is_an_error() {
        let away = Engine::new("unix:///no/such/docker.sock".to_owned(), Clock::system()).version().await.unwrap_err();
        assert!(away.is_passing(), "{away}");
        assert!(away.to_string().contains("/no/such/docker.sock"), "{away}");
        let wrong = Engine::new("ssh://host".to_owned(), Clock::system()).version().await.unwrap_err();
        assert!(!wrong.is_passing() && wrong.to_string().contains("unix:///path"), "{wrong}");
    }
}
