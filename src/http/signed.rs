//! The extractor that is the signature check: a handler that takes [`Signed`] cannot run on anything unverified.
//!
//! The order of work is the same for every project and for none: headers, body, keys, time. Nothing that a caller who
//! proves nothing gets to know depends on which projects there are.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{FromRequest, FromRequestParts as _, Path, Request};
use axum::http::request::Parts;
use bytes::Bytes;

use super::error::Error;
use super::peer::{Origin, Peer};
use super::recent::Refusal;
use super::{App, body};
use crate::auth::{self, Delivery, Verified};
use crate::deploy::catalog::Project;
use crate::model::ProjectName;

/// A delivery to a project of this host, proven with one of its keys.
pub(super) struct Signed {
    pub(super) project: Arc<Project>,
    pub(super) delivery: Verified<Delivery>,
    /// The request's head.
    pub(super) head: Parts,
}

impl FromRequest<App> for Signed {
    type Rejection = Error;

    async fn from_request(request: Request, app: &App) -> Result<Self, Error> {
        let (mut head, content) = request.into_parts();
        body::must_be_plain(&head.headers)?;
        // Before the body: who has nothing to show is not told to go on and send it.
        if !auth::plausible(&head) {
            return Err(app.not_authentic(&head, None, "the headers belong to no scheme"));
        }
        let address = head.extensions.get::<Peer>().and_then(|peer| peer.origin.address());
        let body = app.0.room.read(content, address, &app.0.limits).await?;
        let Path(name) = Path::<String>::from_request_parts(&mut head, &()).await.map_err(|_| Error::NotFound)?;
        let (project, delivery) = app.prove(&name, &head, &body)?;
        Ok(Self { project, delivery, head })
    }
}

impl App {
    /// Proves that `body` was sent to the project `name` with one of its keys, which earns its connection a place.
    pub(super) fn prove(
        &self,
        name: &str,
        head: &Parts,
        body: &Bytes,
    ) -> Result<(Arc<Project>, Verified<Delivery>), Error> {
        let name: Option<ProjectName> = name.parse().ok();
        let proven = self.0.intake.prove(name.as_ref(), &auth::Request { head, body });
        let (project, delivery) =
            proven.map_err(|refused| self.not_authentic(head, name.as_ref(), refused.reason()))?;
        if let Some(peer) = head.extensions.get::<Peer>() {
            peer.place.prove(&format!("{}/{}", project.spec.name, delivery.key()));
        }
        Ok((project, delivery))
    }

    /// Counts and logs what is not authentic. Nothing that the caller chose freely gets into the log, and no header says
    /// where the caller is.
    pub(super) fn not_authentic(
        &self,
        head: &Parts,
        project: Option<&ProjectName>,
        reason: impl std::fmt::Display,
    ) -> Error {
        let origin = head.extensions.get::<Peer>().map(|peer| peer.origin);
        if let Some(unmentioned) = self.0.tally.not_authentic() {
            let peer = origin.map(|origin| origin.to_string()).unwrap_or_default();
            let project = project.map_or("", ProjectName::as_str);
            tracing::warn!(peer, project, %reason, unmentioned, "not authentic");
        }
        let error = match origin {
            Some(Origin::Network(peer)) if self.0.refusals.too_many(peer.ip(), Instant::now()) => Error::TooManyRefused,
            _ => Error::NotAuthentic,
        };
        let (at, status, reason) = (self.0.clock.now(), error.status().as_u16(), reason.to_string());
        self.0.recent.unproven(Refusal { at, origin, project, status, reason });
        error
    }
}
