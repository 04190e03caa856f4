//! What every request passes first, whatever it is about: so none of it can tell which projects there are.

use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_LENGTH, DATE};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::error::{self, Error, InWords};
use super::peer::Peer;
use super::recent::Refusal;
use super::{App, limits};
use crate::model::ProjectName;

/// Turns away what is too large, ambiguous, or cannot be an address of ours.
pub(super) async fn pass(State(app): State<App>, request: Request, next: Next) -> Response {
    let hook = request.uri().path().strip_prefix("/v1/hooks/").map(|name| name.parse::<ProjectName>().ok());
    let origin = request.extensions().get::<Peer>().map(|peer| peer.origin);
    let takes_text = error::takes_text(request.headers());
    let answer = match admit(&app, &request) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    };
    if let (Some(project), Some(reason)) = (&hook, InWords::of_proven(&answer)) {
        let (project, status, reason) = (project.as_ref(), answer.status().as_u16(), reason.to_owned());
        app.0.recent.proven(Refusal { at: app.0.clock.now(), origin, project, status, reason });
    }
    let mut response = if takes_text { error::as_text(answer) } else { answer };
    if hook.is_some() {
        app.0.tally.answered(response.status());
    }
    // What the clock says, so that it is no more wrong than everything else here.
    if let Ok(date) = HeaderValue::try_from(app.0.clock.now().http_date()) {
        response.headers_mut().insert(DATE, date);
    }
    response
}

fn admit(app: &App, request: &Request) -> Result<(), Error> {
    if request.extensions().get::<Peer>().is_some_and(|peer| peer.lengths.contradict(request.headers())) {
        return Err(Error::FramedTwice);
    }
    let uri = request.uri();
    if uri.path().len() + uri.query().map_or(0, str::len) > limits::ADDRESS {
        return Err(Error::AddressTooLong);
    }
    // No address of ours needs an escape; and what is not unescaped cannot be unescaped twice.
    if uri.path().contains('%') {
        return Err(Error::NotFound);
    }
    let announced = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > u64::try_from(app.0.limits.body).unwrap_or(u64::MAX)) {
        return Err(Error::BodyTooLarge { limit: app.0.limits.body });
    }
    Ok(())
}

pub(super) async fn not_found() -> Error {
    Error::NotFound
}

/// The router adds which methods there are.
pub(super) async fn method_not_allowed() -> Error {
    Error::Method
}
