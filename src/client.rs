//! Speaks to a windlass: signs a request, sends it, reads the answer, follows a deployment; says in words why not.

mod address;
mod answer;
mod failure;
mod key_file;
mod reach;
mod sse;
mod watch;

use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, redirect};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::auth::{self, Key};
use crate::model::{Clock, DeliveryId, DeploymentId};

pub(crate) use address::Address;
pub(crate) use failure::{Failure, Kind};
pub(crate) use key_file::{may_be_read_by_others, read as read_key};
pub(crate) use watch::{Begun, Watch};

/// A connection takes milliseconds, or a second when a packet is lost; after that nobody is there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A registry that is slow to resolve a tag holds up the answer to `plan`.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);
/// Lists of deployments are the longest answers.
const LONGEST_ANSWER: usize = 32 * 1024 * 1024;

/// A way to one windlass.
pub(crate) struct Client {
    address: Address,
    key: Option<Key>,
    http: reqwest::Client,
    clock: Clock,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// What it is about, as a failure names it: `shop was not deployed`.
    failing: String,
    method: Method,
    path: String,
    body: Vec<u8>,
    /// Stays the same when the request is repeated: so the repetition joins what the first one began.
    delivery: DeliveryId,
}

impl Request {
    /// A reading. `failing` says what does not work when it fails.
    pub(crate) fn get(failing: impl Into<String>, path: impl Into<String>) -> Result<Self, Failure> {
        Self::new(failing.into(), Method::GET, path.into(), Vec::new())
    }

    /// An action.
    pub(crate) fn post(
        failing: impl Into<String>,
        path: impl Into<String>,
        body: &impl Serialize,
    ) -> Result<Self, Failure> {
        let body = serde_json::to_vec(body).map_err(anyhow::Error::new)?;
        Self::new(failing.into(), Method::POST, path.into(), body)
    }

    fn new(failing: String, method: Method, path: String, body: Vec<u8>) -> Result<Self, Failure> {
        // A ULID without a `.`: the schemes that sign the id take no other.
        let delivery = DeploymentId::new(Clock::system().now()).as_str().parse().map_err(anyhow::Error::new)?;
        Ok(Self { failing, method, path, body, delivery })
    }

    /// The same under an id of the caller's own.
    pub(crate) fn delivered_as(self, delivery: Option<DeliveryId>) -> Self {
        Self { delivery: delivery.unwrap_or(self.delivery), ..self }
    }
}

impl Client {
    /// A way to `address`. With `key` every request proves itself.
    pub(crate) fn new(address: Address, key: Option<Key>) -> Result<Self, Failure> {
        let builder = reqwest::Client::builder()
            .user_agent(concat!("windlass/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            // What is signed for one address is not sent to another.
            .redirect(redirect::Policy::none());
        let builder = match &address {
            Address::Socket(path) => builder.unix_socket(path.as_path()).tls_certs_only([]),
            // To read the system's certificates takes longer than everything else together.
            Address::Url(url) if url.scheme() == "http" => builder.tls_certs_only([]),
            Address::Url(_) => builder,
        };
        // Only the first call in a process has an effect, and all would install the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = builder.build().map_err(anyhow::Error::new)?;
        Ok(Self { address, key, http, clock: Clock::system() })
    }

    /// Whether it speaks as an operator on this host, rather than with a key.
    pub(crate) fn is_operator(&self) -> bool {
        matches!(self.address, Address::Socket(_))
    }

    /// Sends `request` and reads the JSON that answers it.
    pub(crate) async fn ask<T: DeserializeOwned>(&self, request: &Request) -> Result<T, Failure> {
        let exchange = async {
            let response = self.send(request, "application/json", HeaderMap::new()).await?;
            self.read(request, response).await
        };
        let body = tokio::time::timeout(ANSWER_TIMEOUT, exchange)
            .await
            .unwrap_or_else(|_| Err(reach::silent(&self.address, ANSWER_TIMEOUT)))?;
        serde_json::from_slice(&body).map_err(|error| self.not_windlass(request, &error.to_string()))
    }

    /// Sends `request` and reads the JSON of each line that answers it, as it comes.
    pub(crate) async fn each_line<T: DeserializeOwned>(
        &self,
        request: &Request,
        mut tell: impl FnMut(T),
    ) -> Result<(), Failure> {
        let mut response = self.send(request, "application/x-ndjson", HeaderMap::new()).await?;
        let mut rest = Vec::new();
        while let Some(part) = response.chunk().await.map_err(|error| reach::failure(&self.address, &error))? {
            rest.extend_from_slice(&part);
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = rest.drain(..=end).collect();
                tell(serde_json::from_slice(&line).map_err(|error| self.not_windlass(request, &error.to_string()))?);
            }
            if rest.len() > LONGEST_ANSWER {
                return Err(self.not_windlass(request, "a line does not end"));
            }
        }
        Ok(())
    }

    /// Whether it may ask about all projects at once: a key shows its own project alone.
    pub(crate) fn must_show_all(&self) -> Result<(), Failure> {
        if self.is_operator() {
            return Ok(());
        }
        Err(Failure::new(Kind::Usage, "not all projects can be shown", "a key shows its own project alone")
            .fix("name the project: windlass status PROJECT, windlass list --project PROJECT"))
    }

    /// Sends `request`; anything but success is a failure.
    async fn send(
        &self,
        request: &Request,
        accept: &'static str,
        mut headers: HeaderMap,
    ) -> Result<reqwest::Response, Failure> {
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        if request.method == Method::POST {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if let Some(key) = &self.key {
            // Signed anew each time: a signature is good for a few minutes only.
            let signed = auth::sign(key, &request.delivery, &request.body, self.clock.now());
            headers.extend(signed.map_err(|error| Failure::new(Kind::Usage, &request.failing, error))?);
        }
        let response = self
            .http
            .request(request.method.clone(), self.address.join(&request.path))
            .headers(headers)
            .body(request.body.clone())
            .send()
            .await
            .map_err(|error| reach::failure(&self.address, &error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let location = response.headers().get("location").and_then(|to| to.to_str().ok()).map(str::to_owned);
        let body = self.read(request, response).await?;
        Err(answer::failure(&request.failing, self.is_operator(), status, location.as_deref(), &body))
    }

    async fn read(&self, request: &Request, mut response: reqwest::Response) -> Result<Vec<u8>, Failure> {
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(|error| reach::failure(&self.address, &error))? {
            body.extend_from_slice(&part);
            if body.len() > LONGEST_ANSWER {
                return Err(self.not_windlass(request, "the answer does not end"));
            }
        }
        Ok(body)
    }

    fn not_windlass(&self, request: &Request, reason: &str) -> Failure {
        Failure::new(
            Kind::Unreachable,
            &request.failing,
            format!("what {} answered is not understood: {reason}", self.address),
        )
        .fix("check that the URL is a windlass server of a compatible version: `curl URL/livez` answers `ok`")
    }
}
