//! What operators on the host may do besides reading: deploy, go back, freeze, cancel.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequest, FromRequestParts as _, Path, Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::response::Response;
use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::access::Access;
use super::answer::{accepted, json, view};
use super::error::Error;
use super::follow::Follower;
use super::peer::Operator;
use super::reading::{project_view, query};
use super::wish::Wish;
use super::{App, body};
use crate::auth::Caller;
use crate::deploy::catalog::Project;
use crate::deploy::event::{Cause, Outcome};
use crate::deploy::gate::Freeze;
use crate::deploy::request::{Asked, Refusal};
use crate::deploy::status::State as Stage;
use crate::deploy::way_back::{History, WayBack};
use crate::intake::{PLANNING, Purpose, Received, Refused};
use crate::model::{DeploymentId, ProjectName, one_line};
use crate::runner::{NoWayBack, SubmitError, past_of};
use crate::wire::release::ImageView;
use crate::wire::request::{FreezeBody, RollbackBody, parse, parse_hook};
use crate::wire::view::{RefusedCallers, ReleaseView, VersionView, WaysBack};

/// What may be said about a freeze, in characters.
const LONGEST_REASON: usize = 500;

/// A freeze that shall last longer has a slip in its unit, or is meant to last until somebody ends it.
const LONGEST_FREEZE: Duration = Duration::from_secs(10 * 366 * 24 * 60 * 60);

/// A request of an operator about one project.
pub(super) struct Order {
    project: Arc<Project>,
    operator: String,
    head: Parts,
    body: Bytes,
}

impl FromRequest<App> for Order {
    type Rejection = Error;

    async fn from_request(request: Request, app: &App) -> Result<Self, Error> {
        let (mut head, content) = request.into_parts();
        let Path(name) = Path::<String>::from_request_parts(&mut head, &()).await.map_err(|_| Error::NotFound)?;
        let Ok(Operator(operator)) = Operator::from_request_parts(&mut head, &()).await;
        let project = Access::open(app.clone()).project(&head, &name)?;
        let body = app.0.room.read(content, None, &app.0.limits).await?;
        // Without a body there is nothing to be of any kind.
        if !body.is_empty() || head.headers.contains_key(CONTENT_TYPE) {
            body::must_be_json(&head.headers)?;
        }
        Ok(Self { project, operator, head, body })
    }
}

impl Order {
    /// The body, or what is meant by none.
    fn details<T: DeserializeOwned + Default>(&self) -> Result<T, Error> {
        if self.body.is_empty() {
            return Ok(T::default());
        }
        parse(&self.body).map_err(Error::NotUnderstood)
    }

    async fn receive(self, app: &App, asked: Result<Asked<'_>, Refusal>, dry_run: bool) -> Result<Response, Error> {
        let mut wish = Wish::read(&self.head, self.project.spec.longest()).map_err(Error::NotUnderstood)?;
        wish.dry_run |= dry_run;
        let purpose = if wish.dry_run { Purpose::Plan } else { Purpose::Deploy };
        let caller = Caller::Operator(self.operator);
        let received = Received { project: &self.project, caller: &caller, asked, purpose };
        let decided = app.0.intake.receive(received).await?;
        app.tell(&self.project, decided, &wish, &self.head).await
    }

    async fn describe(&self, app: &App) -> Result<Response, Error> {
        Ok(json(StatusCode::OK, &project_view(&Access::open(app.clone()), &self.project).await?))
    }
}

pub(super) async fn deploy(State(app): State<App>, order: Order) -> Result<Response, Error> {
    let ask = parse_hook(&order.body);
    let dry_run = ask.as_ref().is_ok_and(|ask| ask.dry_run);
    let asked = ask.as_ref().map(Asked::Deploy).map_err(|reason| Refusal::NotUnderstood(reason.clone()));
    order.receive(&app, asked, dry_run).await
}

pub(super) async fn rollback(State(app): State<App>, order: Order) -> Result<Response, Error> {
    let RollbackBody { to } = order.details()?;
    let finding = app.0.runner.way_back(&order.project, to.as_ref());
    let way = tokio::time::timeout(PLANNING, finding).await.map_err(|_| Refused::no_answer(PLANNING))??;
    order.receive(&app, Ok(Asked::GoBack(way)), false).await
}

pub(super) async fn ways_back(
    State(app): State<App>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, Error> {
    let (head, _) = request.into_parts();
    let project = Access::open(app.clone()).project(&head, &name)?;
    let past = app.0.runner.past(&project.spec.name, None).await?;
    let past: Vec<_> = past.iter().map(past_of).collect();
    let history = History::read(&past, &project.spec.images);
    let (way, running) = futures_util::future::join(
        tokio::time::timeout(PLANNING, app.0.runner.way_back(&project, None)),
        app.running(Some(&project)),
    )
    .await;
    let (next, refused) = match way {
        Ok(Ok(way)) => (Some(way), None),
        Ok(Err(NoWayBack::Store(error))) => return Err(error.into()),
        Ok(Err(error)) => (None, Some(error.to_string())),
        Err(_) => (None, Some(format!("no answer within {} s", PLANNING.as_secs()))),
    };
    let (release, next) =
        next.map(|WayBack { images, rollback }| (ImageView::release(&images), (&rollback).into())).unzip();
    let releases = history.entries().iter().map(ReleaseView::new).collect();
    let ways = WaysBack { next, release: release.unwrap_or_default(), refused, running: running.ok(), releases };
    Ok(json(StatusCode::OK, &ways))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct About {
    project: Option<ProjectName>,
}

pub(super) async fn refused(State(app): State<App>, request: Request) -> Result<Response, Error> {
    let (head, _) = request.into_parts();
    let About { project } = query(&head)?;
    if let Some(name) = &project {
        Access::open(app.clone()).project(&head, name.as_str())?;
    }
    Ok(json(StatusCode::OK, &RefusedCallers { refused: app.0.recent.of(project.as_ref()) }))
}

pub(super) async fn version() -> Response {
    json(StatusCode::OK, &VersionView { version: env!("CARGO_PKG_VERSION").to_owned() })
}

pub(super) async fn freeze(State(app): State<App>, order: Order) -> Result<Response, Error> {
    let FreezeBody { reason, duration } = order.details()?;
    let duration = duration.as_deref().map(read_length).transpose()?;
    let since = app.0.clock.now();
    let freeze = Freeze {
        reason: reason.map(|reason| one_line(&reason, LONGEST_REASON)),
        by: order.operator.clone(),
        since,
        until: duration.map(|duration| since.plus(duration)),
    };
    app.0.store.freeze(&order.project.spec.name, freeze).await?;
    tracing::info!(project = %order.project.spec.name, by = order.operator, "frozen");
    order.describe(&app).await
}

/// How long a freeze shall last.
fn read_length(text: &str) -> Result<Duration, Error> {
    let wrong = |why: &str| Error::NotUnderstood(format!("`for` is a duration such as `2h`: {why}"));
    let length = humantime::parse_duration(text).map_err(|error| wrong(&error.to_string()))?;
    if length.is_zero() {
        return Err(wrong("a freeze of no length freezes nothing"));
    }
    if length > LONGEST_FREEZE {
        return Err(wrong("a freeze lasts at most 10 years; without `for` it lasts until it is ended by unfreeze"));
    }
    Ok(length)
}

pub(super) async fn unfreeze(State(app): State<App>, order: Order) -> Result<Response, Error> {
    if app.0.store.unfreeze(&order.project.spec.name, &order.operator).await? {
        tracing::info!(project = %order.project.spec.name, by = order.operator, "unfrozen");
    }
    order.describe(&app).await
}

pub(super) async fn cancel(
    State(app): State<App>,
    Path(id): Path<String>,
    Operator(operator): Operator,
) -> Result<Response, Error> {
    let unknown = || Error::Unknown("such deployment");
    let id: DeploymentId = id.parse().map_err(|_| unknown())?;
    let cancelled = app.0.runner.cancel(&id, &format!("cancelled by {operator}"));
    if cancelled {
        tracing::info!(deployment = %id, by = operator, "cancelling");
        // What is answered is on disk: a crash does not undo it.
        let mut follower = Follower::new(&app.0.store, id.clone(), 0);
        tokio::select! {
            turned = follower.turn() => turned?,
            () = app.0.runner.closing().cancelled() => {
                return Err(Refused::NotTaken { error: SubmitError::Closing, now: app.0.clock.now() }.into());
            }
        }
    }
    let deployment = app.0.store.deployment(&id).await?.ok_or_else(unknown)?;
    let back = deployment.status.course.as_ref().and_then(|course| course.back.as_ref());
    match (deployment.status.state, back.map(|back| &back.cause)) {
        (Stage::Running, Some(Cause::Cancelled(_))) => Ok(accepted(deployment)),
        (Stage::Running, Some(Cause::Failed(_))) => Err(Error::RollingBack(Box::new(view(deployment, None)))),
        (Stage::Finished(Outcome::Cancelled), _) if cancelled => Ok(accepted(deployment)),
        _ => Err(Error::NothingToCancel(Box::new(view(deployment, None)))),
    }
}
