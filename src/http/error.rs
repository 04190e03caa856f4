//! The answers that are not what the caller wished for: each a problem of RFC 9457 with a stable name, and a line of text
//! for callers that take no more.

use std::error::Error as _;

use axum::http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use super::{negotiate, refusals};
use crate::deploy::event::Outcome;
use crate::deploy::gate::Closed;
use crate::deploy::request::Refusal;
use crate::intake::Refused;
use crate::model::{DeploymentId, KeyId, ProjectName, one_line};
use crate::runner::{NoWayBack, SubmitError};
use crate::store::StoreError;
use crate::wire::json;
use crate::wire::problem::Problem;
use crate::wire::view::DeploymentView;

/// Why a request does not get what it asked for. What it says is what the caller reads.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("the request is not authentic: it needs to be made just now, with a key of the project that it names")]
    NotAuthentic,
    #[error(
        "too many requests from your address were not authentic, and so was this one: check the key and the system clock"
    )]
    TooManyRefused,
    #[error("there is nothing at this address")]
    NotFound,
    #[error("there is no {0} on this host")]
    Unknown(&'static str),
    #[error("there is no project {name} on this host{}", near_in_words(.near))]
    UnknownProject {
        name: String,
        /// Names that it may be a slip of.
        near: Vec<ProjectName>,
    },
    #[error("this address does not take that method")]
    Method,
    #[error("the body did not arrive in time")]
    BodyTooSlow,
    #[error("the body ended early or is malformed")]
    BodyBroken,
    #[error("the body has both `Content-Length` and `Transfer-Encoding`: send one of them")]
    FramedTwice,
    #[error("the body was given up: too many large ones are being sent at the same time")]
    BodyGivenUp,
    #[error("too many connections wait for answers with this key: close some, or ask without `wait` and streams")]
    TooManyOpen,
    #[error("a body has at most {limit} bytes here")]
    BodyTooLarge { limit: usize },
    #[error("the address is too long")]
    AddressTooLong,
    #[error("{0}")]
    MediaType(&'static str),
    #[error("{0}")]
    NotUnderstood(String),
    #[error("the key {0} may not read")]
    MayNotRead(KeyId),
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("{}", ended_in_words(.0, *.1))]
    Ended(Box<DeploymentView>, Outcome),
    #[error("the deployment {} has ended already: {}", .0.id, .0.status)]
    NothingToCancel(Box<DeploymentView>),
    #[error("the deployment {} is being rolled back, which cannot be cancelled", .0.id)]
    RollingBack(Box<DeploymentView>),
    #[error(transparent)]
    NoWayBack(#[from] NoWayBack),
    #[error("{0}; nothing was changed: try again")]
    Store(#[from] StoreError),
    #[error("internal error: see the log on the host")]
    Broken,
}

/// Longer than any reason that is given.
const LONGEST_LINE: usize = 4000;

struct Kind(StatusCode, &'static str, &'static str);

impl Error {
    /// The status, the stable name, and the same in words.
    fn kind(&self) -> Kind {
        use StatusCode as S;
        match self {
            Self::NotAuthentic => Kind(S::UNAUTHORIZED, "not_authentic", "Not authentic"),
            Self::TooManyRefused => Kind(S::TOO_MANY_REQUESTS, "too_many", "Too many that are not authentic"),
            Self::NotFound | Self::Unknown(_) | Self::UnknownProject { .. } => {
                Kind(S::NOT_FOUND, "not_found", "Not found")
            }
            Self::Method => Kind(S::METHOD_NOT_ALLOWED, "method", "Method not allowed"),
            Self::BodyTooSlow => Kind(S::REQUEST_TIMEOUT, "too_slow", "The body came too slowly"),
            Self::BodyBroken | Self::FramedTwice | Self::NotUnderstood(_) => {
                Kind(S::BAD_REQUEST, "not_understood", "Not understood")
            }
            Self::BodyGivenUp => Kind(S::SERVICE_UNAVAILABLE, "crowded", "Too many large bodies"),
            Self::TooManyOpen => Kind(S::TOO_MANY_REQUESTS, "too_many_open", "Too many connections of this key"),
            Self::BodyTooLarge { .. } => Kind(S::PAYLOAD_TOO_LARGE, "too_large", "The body is too large"),
            Self::AddressTooLong => Kind(S::URI_TOO_LONG, "address_too_long", "The address is too long"),
            Self::MediaType(_) => Kind(S::UNSUPPORTED_MEDIA_TYPE, "media_type", "Unsupported media type"),
            Self::MayNotRead(_) => Kind(S::FORBIDDEN, "forbidden", "The key may not do this"),
            Self::Refused(refused) => {
                let (status, title) = answer_to(refused);
                Kind(status, refused.name(), title)
            }
            Self::Store(_) | Self::NoWayBack(NoWayBack::Store(_)) => {
                Kind(S::SERVICE_UNAVAILABLE, "storage", "The state cannot be read or written")
            }
            Self::Ended(_, outcome) => match outcome {
                Outcome::Succeeded => Kind(S::OK, "succeeded", "Succeeded"),
                Outcome::Abandoned => Kind(S::UNPROCESSABLE_ENTITY, "abandoned", "Abandoned"),
                Outcome::RolledBack => Kind(S::UNPROCESSABLE_ENTITY, "rolled_back", "Rolled back"),
                Outcome::RollbackFailed => Kind(S::UNPROCESSABLE_ENTITY, "rollback_failed", "Rollback failed"),
                Outcome::Superseded => Kind(S::CONFLICT, "superseded", "Superseded"),
                Outcome::Cancelled => Kind(S::CONFLICT, "cancelled", "Cancelled"),
            },
            Self::NothingToCancel(_) => Kind(S::CONFLICT, "ended", "Ended already"),
            Self::RollingBack(_) => Kind(S::CONFLICT, "rolling_back", "Being rolled back"),
            Self::NoWayBack(NoWayBack::Unreadable(_)) => {
                Kind(S::SERVICE_UNAVAILABLE, "away", "The engine or the registry does not answer")
            }
            Self::NoWayBack(NoWayBack::Unknown(_)) => Kind(S::NOT_FOUND, "not_found", "Not found"),
            Self::NoWayBack(_) => Kind(S::CONFLICT, "no_way_back", "Nothing to go back to"),
            Self::Broken => Kind(S::SERVICE_UNAVAILABLE, "internal", "Broken"),
        }
    }

    /// The status of the answer.
    pub(super) fn status(&self) -> StatusCode {
        self.kind().0
    }

    /// In how many seconds it is worth trying again, where waiting helps.
    fn retry_after(&self) -> Option<u64> {
        match self {
            Self::TooManyRefused => Some(refusals::SPAN.as_secs()),
            Self::TooManyOpen => Some(10),
            Self::Refused(refused) if refused.retry_after().is_some() => refused.retry_after(),
            _ if self.status() == StatusCode::SERVICE_UNAVAILABLE => Some(30),
            _ => None,
        }
    }

    fn deployment(&self) -> Option<serde_json::Value> {
        let id = |id: &DeploymentId| serde_json::Value::String(id.to_string());
        match self {
            Self::Ended(view, _) | Self::NothingToCancel(view) | Self::RollingBack(view) => {
                serde_json::to_value(view).ok()
            }
            Self::Refused(refused) => refused.deployment().map(id),
            _ => None,
        }
    }

    /// What went wrong below is said here, once; the caller reads nothing about the inside.
    fn log(&self) {
        let error = match self {
            Self::Store(error) | Self::NoWayBack(NoWayBack::Store(error)) => Some(error),
            Self::Refused(refused) => refused.store_error(),
            _ => None,
        };
        let Some(error) = error else { return };
        let cause = error.source().map(ToString::to_string).unwrap_or_default();
        tracing::error!(%error, cause, "failed to use the store");
    }
}

/// The status of a refusal, and what it is in words.
fn answer_to(refused: &Refused) -> (StatusCode, &'static str) {
    use StatusCode as S;
    match refused {
        Refused::Refusal(Refusal::NotUnderstood(_)) => (S::BAD_REQUEST, "Not understood"),
        Refused::Refusal(Refusal::KeyMayNot { .. }) => (S::FORBIDDEN, "The key may not do this"),
        Refused::Refusal(Refusal::NotAllowed(_)) => (S::UNPROCESSABLE_ENTITY, "The project does not take this image"),
        Refused::Refusal(_) => (S::UNPROCESSABLE_ENTITY, "Not an image that can be deployed"),
        Refused::TooOften { .. } => (S::TOO_MANY_REQUESTS, "Too many deployments of this key"),
        Refused::NotTaken { error, .. } => match error {
            SubmitError::Closing => (S::SERVICE_UNAVAILABLE, "Shutting down"),
            SubmitError::QueueFull(_) => (S::SERVICE_UNAVAILABLE, "The queue is full"),
            SubmitError::Conflict(_) => (S::CONFLICT, "Same delivery, other body"),
            SubmitError::Replayed(_) | SubmitError::UsedUp => (S::CONFLICT, "Sent before"),
            SubmitError::Refused(Closed::Stale { .. }) => (S::CONFLICT, "Stale"),
            SubmitError::Refused(Closed::Frozen(_)) => (S::LOCKED, "Frozen"),
            SubmitError::Store(_) => (S::SERVICE_UNAVAILABLE, "Cannot be written down"),
        },
        Refused::Unplannable(_) => (S::UNPROCESSABLE_ENTITY, "Cannot be planned"),
        Refused::Away(_) => (S::SERVICE_UNAVAILABLE, "The engine or the registry does not answer"),
        Refused::Store(_) => (S::SERVICE_UNAVAILABLE, "The state cannot be read or written"),
    }
}

fn near_in_words(near: &[ProjectName]) -> String {
    match near {
        [] => String::new(),
        near => format!("; did you mean {}?", near.iter().map(ProjectName::as_str).collect::<Vec<_>>().join(" or ")),
    }
}

fn ended_in_words(view: &DeploymentView, outcome: Outcome) -> String {
    match &view.reason {
        Some(reason) => format!("the deployment {} ended {outcome}: {reason}", view.id),
        None => format!("the deployment {} ended {outcome}", view.id),
    }
}

/// The same for people: what is said to callers that take text, and remembered for those on the host who ask.
#[derive(Debug, Clone)]
pub(super) struct InWords {
    words: String,
    /// Whether a key has proven who asked.
    is_proven: bool,
}

impl InWords {
    /// Why somebody was refused who may ask; nothing where it is not known who asked.
    pub(super) fn of_proven(response: &Response) -> Option<&str> {
        let Self { words, .. } = response.extensions().get::<Self>().filter(|refused| refused.is_proven)?;
        Some(words.strip_prefix(REFUSED).unwrap_or(words))
    }
}

/// What a refusal begins with.
const REFUSED: &str = "refused: ";

impl Error {
    fn in_words(&self) -> String {
        match self {
            Self::Ended(view, outcome) => {
                format!("{outcome} {}: {}", view.id, view.reason.as_deref().unwrap_or("no reason is known"))
            }
            _ => format!("{REFUSED}{self}"),
        }
    }
}

/// Whether a caller with these headers is told what is wrong as text rather than as JSON.
pub(super) fn takes_text(headers: &HeaderMap) -> bool {
    const FORMS: [(&str, bool); 2] = [("application/json", false), ("text/plain", true)];
    negotiate::choose(headers, ("application/problem+json", false), &FORMS)
}

/// `response`, as text where it is an [`Error`].
pub(super) fn as_text(mut response: Response) -> Response {
    if let Some(InWords { words, .. }) = response.extensions_mut().remove() {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        *response.body_mut() = format!("{}\n", one_line(&words, LONGEST_LINE)).into();
    }
    response
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        self.log();
        let Kind(status, name, title) = self.kind();
        let mut problem = Problem::new(status.as_u16(), name, title, self.to_string());
        problem.deployment = self.deployment();
        // Text and a JSON value: there is nothing in it that could fail to be written.
        let body = json::compact(&problem).unwrap_or_default();
        let mut response = (status, [(CONTENT_TYPE, "application/problem+json")], body).into_response();
        let is_proven = matches!(self, Self::Refused(_) | Self::MayNotRead(_) | Self::TooManyOpen);
        response.extensions_mut().insert(InWords { words: self.in_words(), is_proven });
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after() {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"windlass\""));
        }
        let leaves_a_body =
            matches!(self, Self::BodyTooLarge { .. } | Self::BodyTooSlow | Self::BodyBroken | Self::BodyGivenUp);
        if leaves_a_body || matches!(self, Self::FramedTwice) {
            // What is left of the body is not waited for.
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
