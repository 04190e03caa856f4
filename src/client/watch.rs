//! Watches one deployment to its end, over as many connections as that takes.
//!
//! A connection that breaks says nothing about the deployment. With a key the same delivery is sent again, which
//! joins what it began; an operator asks for the events of the deployment by its id. Both go on after the last event
//! that was seen.

use std::collections::VecDeque;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION};
use serde_json::Value;
use tokio::time::Instant;

use super::failure::Failure;
use super::sse::Parser;
use super::{Client, Request, reach};
use crate::model::DeploymentId;
use crate::wire::event::EventView;

/// windlass lets hear of itself every 10 seconds at least.
const LONGEST_SILENCE: Duration = Duration::from_secs(35);
/// How long a service that went away is called again: as long as a host takes to start anew.
const PATIENCE: Duration = Duration::from_secs(120);
const RETRY_FIRST: Duration = Duration::from_millis(250);
const RETRY_LONGEST: Duration = Duration::from_secs(5);
/// How often a delivery that began nothing is sent again: somebody waits for a word.
const RETRIES_AT_FIRST: u32 = 3;
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const EVENT_STREAM: &str = "text/event-stream";

/// The events of one deployment, each once and in order.
pub(crate) struct Watch<'c> {
    client: &'c Client,
    request: Request,
    deployment: DeploymentId,
    last: Option<i64>,
    stream: Option<Stream>,
    ready: VecDeque<EventView>,
}

struct Stream {
    response: reqwest::Response,
    parser: Parser,
}

/// What came of asking for a stream.
pub(crate) enum Begun<'c> {
    /// A deployment to watch.
    Watch(Box<Watch<'c>>),
    /// Another answer, such as that there is nothing to do.
    Answer(Value),
}

impl<'c> Watch<'c> {
    /// Sends `request` and watches the deployment that it leads to.
    pub(crate) async fn begin(client: &'c Client, request: Request) -> Result<Begun<'c>, Failure> {
        let response = deliver(client, &request).await?;
        if !is_stream(&response) {
            let body = client.read(&request, response).await?;
            let answer = serde_json::from_slice(&body);
            return answer.map(Begun::Answer).map_err(|error| client.not_windlass(&request, &error.to_string()));
        }
        let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let named = location.and_then(|location| location.rsplit('/').next()).map(str::parse);
        let Some(Ok(deployment)) = named else {
            return Err(client.not_windlass(&request, "it does not name the deployment"));
        };
        let mut watch = Self::of(client, request, deployment)?;
        watch.stream = Some(Stream { response, parser: Parser::default() });
        Ok(Begun::Watch(Box::new(watch)))
    }

    /// Watches a deployment that is known by its id.
    pub(crate) fn follow(client: &'c Client, deployment: DeploymentId) -> Result<Self, Failure> {
        let request = events_of(&deployment)?;
        Ok(Self { client, request, deployment, last: None, stream: None, ready: VecDeque::new() })
    }

    fn of(client: &'c Client, request: Request, deployment: DeploymentId) -> Result<Self, Failure> {
        // An operator's request is one of its own each time; only a delivery with a key is known again.
        let request = if client.is_operator() { events_of(&deployment)? } else { request };
        Ok(Self { client, request, deployment, last: None, stream: None, ready: VecDeque::new() })
    }

    /// Which deployment it is.
    pub(crate) fn deployment(&self) -> &DeploymentId {
        &self.deployment
    }

    /// The next event. Waits for it, and for a service that comes back.
    pub(crate) async fn next(&mut self) -> Result<EventView, Failure> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                self.last = Some(event.id);
                return Ok(event);
            }
            let Some(stream) = &mut self.stream else {
                self.stream = Some(self.connect().await?);
                continue;
            };
            match tokio::time::timeout(LONGEST_SILENCE, stream.response.chunk()).await {
                Ok(Ok(Some(bytes))) => self.take(&bytes)?,
                // However it ended: only the last event says how the deployment did.
                Ok(Ok(None) | Err(_)) | Err(_) => {
                    self.stream = None;
                    tokio::time::sleep(RETRY_FIRST).await;
                }
            }
        }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let Some(stream) = &mut self.stream else { return Ok(()) };
        let parsed = stream.parser.feed(bytes).map_err(|error| error.to_string()).and_then(|texts| {
            texts.iter().map(|text| serde_json::from_str(text).map_err(|error| error.to_string())).collect()
        });
        let events: Vec<EventView> = parsed.map_err(|reason| self.client.not_windlass(&self.request, &reason))?;
        let last = self.last;
        self.ready.extend(events.into_iter().filter(|event| last.is_none_or(|last| event.id > last)));
        Ok(())
    }

    async fn connect(&self) -> Result<Stream, Failure> {
        let started = Instant::now();
        let mut pause = RETRY_FIRST;
        loop {
            let mut headers = HeaderMap::new();
            if let Some(last) = self.last {
                headers.insert(LAST_EVENT_ID, HeaderValue::from(last));
            }
            match open(self.client, &self.request, headers).await {
                Ok(response) if is_stream(&response) => return Ok(Stream { response, parser: Parser::default() }),
                Ok(_) => return Err(self.client.not_windlass(&self.request, "it sends no events")),
                // Before anything was seen there is nothing to come back to.
                Err(failure) if self.last.is_none() => return Err(failure),
                Err(failure) if !failure.is_passing() || started.elapsed() > PATIENCE => {
                    return Err(failure.fix(format!("it was under way: windlass follow {}", self.deployment)));
                }
                Err(_) => {}
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(RETRY_LONGEST);
        }
    }
}

/// Sends what begins a deployment. With a key it may be sent again when the answer did not come: it joins what the
/// first one began.
async fn deliver(client: &Client, request: &Request) -> Result<reqwest::Response, Failure> {
    let mut pause = RETRY_FIRST;
    for _ in 0..RETRIES_AT_FIRST {
        match open(client, request, HeaderMap::new()).await {
            Err(failure) if failure.is_passing() && !client.is_operator() => tokio::time::sleep(pause).await,
            answer => return answer,
        }
        pause *= 2;
    }
    open(client, request, HeaderMap::new()).await
}

async fn open(client: &Client, request: &Request, headers: HeaderMap) -> Result<reqwest::Response, Failure> {
    let answer = tokio::time::timeout(LONGEST_SILENCE, client.send(request, EVENT_STREAM, headers)).await;
    answer.unwrap_or_else(|_| Err(reach::silent(&client.address, LONGEST_SILENCE)))
}

fn is_stream(response: &reqwest::Response) -> bool {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with(EVENT_STREAM))
}

fn events_of(deployment: &DeploymentId) -> Result<Request, Failure> {
    Request::get(format!("{deployment} cannot be followed"), format!("/v1/deployments/{deployment}/events"))
}
