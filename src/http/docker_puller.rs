//! The drop-in for docker-puller: its addresses and its answers, and behind them the same engine as behind every hook.
//!
//! `POST /?token=T&hook=NAME` and `POST /T/PROJECT/NAME`. The token is all that is looked for before it is proven, and
//! neither it nor the address gets into a log. The body, in which docker-puller was not interested either, is not read.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{Query, Request};
use axum::http::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;

use super::App;
use super::error::Error;
use super::peer::Peer;
use super::wish::{Form, Wish, read_wait};
use crate::auth::{self, Caller};
use crate::deploy::catalog::Project;
use crate::deploy::request::{Asked, Refusal};
use crate::intake::{Purpose, Received};
use crate::senders::docker_puller::{DockerPuller, PullerHook};
use crate::wire::json;

const QUERY: &str = "the query takes `token`, `hook` and `wait`, once each";
const WAIT: &str = "`wait` is a duration such as `30s` or `10m`";

/// What an address says: all of the same name, in their order.
struct Address {
    hooks: Vec<String>,
    /// Only where the project stands in the path.
    project: Option<String>,
    waits: Vec<String>,
    /// Whether something else stands in the query.
    more: bool,
}

/// Why a call is not answered with an outcome.
enum Refused {
    Token,
    NoHook,
    UnknownHook,
    Other(Error),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

/// Answers what came to an address that is none of windlass' own.
pub(super) async fn call(app: App, request: Request) -> Response {
    let puller = app.0.docker_puller.borrow().clone();
    let (Some(puller), Some(address)) = (puller, Address::read(request.uri())) else {
        return Error::NotFound.into_response();
    };
    let (head, _) = request.into_parts();
    let response = if head.method == Method::POST {
        app.answer_puller(&puller, &address, &head).await.unwrap_or_else(Refused::into_response)
    } else {
        let mut response = Error::Method.into_response();
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        response
    };
    app.0.tally.answered(response.status());
    response
}

impl App {
    async fn answer_puller(&self, puller: &DockerPuller, address: &Address, head: &Parts) -> Result<Response, Refused> {
        let origin = head.extensions.get::<Peer>().map(|peer| peer.origin);
        if let Some(guesser) = origin.and_then(|origin| origin.address()) {
            // A token may be short enough to be guessed.
            tokio::time::sleep(self.0.refusals.delay(guesser, Instant::now())).await;
        }
        // What is asked for stands in the address: so it takes the body's place where two deliveries are compared.
        let body = Bytes::from(address.hooks.join("\n"));
        let delivery = puller.token.verify(&auth::Request { head, body: &body }, self.0.clock.now()).map_err(|_| {
            match self.not_authentic(head, None, "the address does not have the token of docker-puller") {
                Error::NotAuthentic => Refused::Token,
                too_many => Refused::Other(too_many),
            }
        })?;
        if let Some(peer) = head.extensions.get::<Peer>() {
            peer.place.prove(delivery.key().as_str());
        }
        let (hook, project) = self.find(puller, address)?;
        let ask = hook.ask();
        let (asked, wish) = match address.wish(&project) {
            Ok(wish) => (Ok(Asked::Deploy(&ask)), wish),
            Err(reason) => {
                (Err(Refusal::NotUnderstood(reason.to_owned())), Wish { wait: None, dry_run: false, form: Form::Json })
            }
        };
        if wish.takes_long() {
            Peer::must_keep_its_place(head)?;
        }
        let caller = Caller::Key(delivery);
        let received = Received { project: &project, caller: &caller, asked, purpose: Purpose::Deploy };
        let decided = self.0.intake.receive(received).await.map_err(Error::from)?;
        let mut response = self.tell(&project, decided, &wish, head).await?;
        // Without a wait it is enough that it is on disk.
        let pending = response.status() == StatusCode::ACCEPTED;
        if pending && wish.wait.is_none() {
            *response.status_mut() = StatusCode::OK;
        }
        let error = (pending && wish.wait.is_some()).then_some("the deployment goes on: its outcome is not known yet");
        Ok(in_its_words(response, error))
    }

    fn find<'p>(&self, puller: &'p DockerPuller, address: &Address) -> Result<(&'p PullerHook, Arc<Project>), Refused> {
        let name = match address.hooks.as_slice() {
            [] => return Err(Refused::NoHook),
            [name] if name.is_empty() => return Err(Refused::NoHook),
            [name] => name,
            _ => return Err(Error::NotUnderstood(QUERY.to_owned()).into()),
        };
        let hook = puller.hooks.get(name).ok_or(Refused::UnknownHook)?;
        if address.project.as_ref().is_some_and(|project| project != hook.project.as_str()) {
            return Err(Refused::UnknownHook);
        }
        let project = self.0.runner.project(&hook.project).ok_or(Refused::UnknownHook)?;
        Ok((hook, project))
    }
}

impl Address {
    /// Takes an address apart, as far as it can be one of docker-puller's.
    fn read(uri: &Uri) -> Option<Self> {
        let segments: Vec<&str> = uri.path().strip_prefix('/')?.split('/').collect();
        let mut address = Self { hooks: Vec::new(), project: None, waits: Vec::new(), more: false };
        let is_path = match segments.as_slice() {
            [""] => false,
            // Whoever mistypes an address of windlass has not forgotten a token.
            ["v1", ..] => return None,
            [token, project, hook] if !token.is_empty() && !hook.is_empty() => {
                address.hooks.push((*hook).to_owned());
                address.project = Some((*project).to_owned());
                true
            }
            _ => return None,
        };
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri).unwrap_or_default();
        for (name, value) in pairs {
            match &*name {
                "token" if !is_path => {}
                "hook" if !is_path => address.hooks.push(value),
                "wait" => address.waits.push(value),
                _ => address.more = true,
            }
        }
        Some(address)
    }

    /// What the caller wants to be told. Whoever writes `wiat` must not take a receipt for an outcome.
    fn wish(&self, project: &Project) -> Result<Wish, &'static str> {
        let wait = match self.waits.as_slice() {
            _ if self.more => return Err(QUERY),
            [] => None,
            // What stands there is repeated nowhere: in an address anything may be the token.
            [wait] => Some(read_wait(wait).map_err(|_| WAIT)?.min(project.spec.longest())),
            _ => return Err(QUERY),
        };
        Ok(Wish { wait, dry_run: false, form: Form::Json })
    }
}

impl Refused {
    fn into_response(self) -> Response {
        let (status, error) = match self {
            Self::Token => (StatusCode::BAD_REQUEST, "Invalid token".to_owned()),
            Self::NoHook => (StatusCode::BAD_REQUEST, "Invalid request: missing hook".to_owned()),
            Self::UnknownHook => (StatusCode::NOT_FOUND, "Hook not found".to_owned()),
            Self::Other(error) => {
                let detail = error.to_string();
                return in_its_words(error.into_response(), Some(&detail));
            }
        };
        in_its_words(status.into_response(), Some(&error))
    }
}

/// The same answer with the body that docker-puller would have written: with blanks, for those who look for the text.
fn in_its_words(mut response: Response, error: Option<&str>) -> Response {
    let body = match error {
        None => "{\"success\": true}\n".to_owned(),
        Some(error) => {
            format!("{{\"error\": {}, \"success\": false}}\n", json::compact(error).unwrap_or_default())
        }
    };
    *response.body_mut() = Body::from(body);
    let headers = response.headers_mut();
    headers.remove(CONTENT_LENGTH);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
