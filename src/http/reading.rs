//! Answers those who read: deployments, their events, projects.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, Version};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use tokio::time::{Instant, timeout_at};

use super::access::Access;
use super::answer::{json, view};
use super::error::Error;
use super::event_stream::{EventStream, Until};
use super::follow::Follower;
use super::format::Format;
use super::negotiate::choose;
use super::peer::Peer;
use super::readiness::Readiness;
use crate::deploy::catalog::Project;
use crate::deploy::gate::Freeze;
use crate::deploy::in_service::{drift, missing};
use crate::deploy::snapshot::Instance;
use crate::deploy::status::State as Progress;
use crate::model::{DeploymentId, Digest, ImageReference};
use crate::store::{Extent, Filter};
use crate::wire::release::ImageView;
use crate::wire::state::StatusWord;
use crate::wire::view::{BrokenConfiguration, Deployments, FreezeView, ProjectView, Projects, StateView, runs};

/// How many deployments a list has, unless it is said, and at most.
const SOME: usize = 50;
const MOST: usize = 500;

/// How long the machine has to say what runs of all projects.
const LOOKING: Duration = Duration::from_secs(5);
/// How many projects are read from the machine at a time.
const AT_ONCE: usize = 8;

pub(super) async fn deployment(
    State(access): State<Access>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Error> {
    let (head, _) = request.into_parts();
    let (found, project) = access.deployment(&head, &id).await?;
    let running = access.app.running(project.as_ref()).await.ok();
    Ok(json(StatusCode::OK, &view(found, running)))
}

// What is misspelt would let the list show more than was meant.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listing {
    #[serde(rename = "project")]
    _project: Option<IgnoredAny>,
    status: Option<StatusWord>,
    id: Option<String>,
    limit: Option<usize>,
    before: Option<DeploymentId>,
}

pub(super) async fn deployments(State(access): State<Access>, request: Request) -> Result<Response, Error> {
    let (head, _) = request.into_parts();
    let name = named_project(&head);
    let project = access.limited_to(&head, name.as_deref())?;
    let Listing { status, id, limit, before, .. } = query(&head)?;
    let status = status.map(Progress::from);
    let limit = limit.unwrap_or(SOME).clamp(1, MOST);
    let found = access.app.0.store.deployments(&Filter { project, status, id, limit, before }).await?;
    let deployments = found.into_iter().map(|deployment| view(deployment, None)).collect();
    Ok(json(StatusCode::OK, &Deployments { deployments }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Showing {
    #[serde(rename = "project")]
    _project: Option<IgnoredAny>,
    running: Option<String>,
}

pub(super) async fn projects(State(access): State<Access>, request: Request) -> Result<Response, Error> {
    let (head, _) = request.into_parts();
    let name = named_project(&head);
    let found = access.projects(&head, name.as_deref())?;
    let with_running = flag("running", query::<Showing>(&head)?.running.as_deref())?.unwrap_or(false);
    let until = Instant::now() + LOOKING;
    let show = async |project: &Arc<Project>| {
        let view = project_view(&access, project).await?;
        if !with_running || view.newest.is_none() {
            return Ok(view);
        }
        let looking = with_what_runs(&access, project, view.clone());
        timeout_at(until, looking).await.unwrap_or_else(|_| {
            let why = format!("the machine did not say within {} s what runs of all projects", LOOKING.as_secs());
            Ok(ProjectView { unreadable: Some(why), ..view })
        })
    };
    let projects = stream::iter(&found).map(show).buffered(AT_ONCE).try_collect().await?;
    let store = &access.app.0.store;
    let state = if access.is_open() { Some(store.extent().await?) } else { None };
    let state = state.map(|Extent { bytes, free_bytes, deployments }| StateView { bytes, free_bytes, deployments });
    let broken_configuration = match &*access.app.0.readiness.borrow() {
        Readiness::StaleConfiguration { problem, in_force_since } if access.is_open() => {
            Some(BrokenConfiguration { problem: problem.to_string(), in_force_since: *in_force_since })
        }
        _ => None,
    };
    Ok(json(StatusCode::OK, &Projects { projects, state, broken_configuration }))
}

pub(super) async fn project(
    State(access): State<Access>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, Error> {
    let (head, _) = request.into_parts();
    let project = access.project(&head, &name)?;
    let view = project_view(&access, &project).await?;
    Ok(json(StatusCode::OK, &with_what_runs(&access, &project, view).await?))
}

/// `view` with what the machine says of the project.
async fn with_what_runs(access: &Access, project: &Arc<Project>, mut view: ProjectView) -> Result<ProjectView, Error> {
    let before = view.newest.as_ref().map(|newest| newest.id.clone());
    let store = &access.app.0.store;
    let instances = match access.app.instances(Some(project)).await {
        Ok(instances) => instances,
        Err(reason) => {
            view.unreadable = Some(reason);
            return Ok(view);
        }
    };
    let in_service = access.app.0.runner.in_service(project).await?;
    view.released_by = in_service.iter().max_by_key(|known| known.since).map(|known| known.by.clone());
    view.in_service = in_service.iter().map(|known| ImageView::from(&known.image)).collect();
    // What runs is no drift while a deployment changes it.
    let newest = store.newest(&project.spec.name).await?;
    let is_settled = newest.is_some_and(|newest| newest.status.outcome().is_some() && Some(newest.id) == before);
    if is_settled {
        view.drift = ImageView::release(&drift(&in_service, &instances));
        view.missing = missing(&in_service, &instances);
    }
    let mut since = None;
    for instance in &instances {
        let known = in_service.iter().find(|known| known.image.digest.as_str() == instance.digest);
        since = since.max(known.map(|known| known.since));
        let image = match known {
            Some(known) => ImageView::from(&known.image),
            None => match by_digest(instance) {
                Some(image) => image,
                None => continue,
            },
        };
        if !view.runs.contains(&image) {
            view.runs.push(image);
        }
    }
    view.since = since.filter(|_| view.drift.is_empty());
    view.running = Some(runs(instances));
    Ok(view)
}

/// What runs, by its digest alone: the name by which it was started may mean something else by now.
fn by_digest(instance: &Instance) -> Option<ImageView> {
    let image = ImageReference::parse_familiar(&instance.image).ok()?;
    let digest: Digest = instance.digest.parse().ok()?;
    let image = format!("{}@{digest}", image.repository()).parse().ok()?;
    Some(ImageView { image, digest: Some(digest) })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Following {
    follow: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Array,
    Lines,
    Events,
    Text,
}

pub(super) async fn events(
    State(access): State<Access>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Error> {
    const FORMS: [(&str, Form); 3] =
        [("application/x-ndjson", Form::Lines), ("text/event-stream", Form::Events), ("text/plain", Form::Text)];
    let (head, _) = request.into_parts();
    let (found, _) = access.deployment(&head, &id).await?;
    let form = choose(&head.headers, ("application/json", Form::Array), &FORMS);
    let Following { follow } = query(&head)?;
    let follow = match flag("follow", follow.as_deref())? {
        // Who asks for events or for lines to read wants to see them happen.
        None => matches!(form, Form::Events | Form::Text),
        Some(follow) => follow && form != Form::Array,
    };
    // Before HTTP/1.1 a body that breaks off looks like one that ends.
    let follow = follow && head.version >= Version::HTTP_11;
    if follow {
        Peer::must_keep_its_place(&head)?;
    }
    let after = if form == Form::Events { last_event(&head.headers)? } else { 0 };
    let follower = Follower::new(&access.app.0.store, found.id.clone(), after);
    if after > 0 && found.status.outcome().is_some() && follower.is_at_end().await? {
        // By this a browser knows that it need not connect again.
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let format = match form {
        Form::Array => Format::Array { begun: false },
        Form::Lines => Format::Lines,
        Form::Events => Format::Events,
        Form::Text => Format::text(found.id, found.project),
    };
    let until = if follow { Until::Outcome { at_most: None } } else { Until::Now };
    let stream = EventStream::new(&access.app, &head, follower, format, until);
    // Lines are for shells, and a shell looks at the exit code. Programs read the outcome.
    let stream = if form == Form::Text { stream.breaking_off_unless_good() } else { stream };
    Ok(stream.response())
}

fn last_event(headers: &HeaderMap) -> Result<i64, Error> {
    match headers.get("last-event-id") {
        None => Ok(0),
        Some(id) => {
            id.to_str().ok().and_then(|id| id.parse().ok()).filter(|id| *id >= 0).ok_or_else(|| {
                Error::NotUnderstood("`Last-Event-ID` is the number of an event as it was sent".to_owned())
            })
        }
    }
}

/// A project as callers read it, without asking the machine.
pub(super) async fn project_view(access: &Access, project: &Project) -> Result<ProjectView, Error> {
    let spec = &project.spec;
    let store = &access.app.0.store;
    let newest = store.newest(&spec.name).await?;
    let doing = match &newest {
        Some(newest) if newest.status.state == Progress::Running => store.last_words(&newest.id).await?,
        _ => None,
    };
    Ok(ProjectView {
        name: spec.name.clone(),
        images: spec.images.iter().map(ToString::to_string).collect(),
        tags: spec.tags.clone(),
        target: spec.target.as_str().to_owned(),
        frozen: store.frozen(&spec.name).await?.map(freeze_view),
        newest: newest.map(|newest| view(newest, None)),
        running: None,
        runs: Vec::new(),
        in_service: Vec::new(),
        missing: Vec::new(),
        released_by: None,
        since: None,
        doing,
        drift: Vec::new(),
        unreadable: None,
    })
}

fn freeze_view(Freeze { reason, by, since, until }: Freeze) -> FreezeView {
    FreezeView { reason, by, since, until }
}

#[derive(Deserialize)]
struct Named {
    project: Option<String>,
}

/// Only which project a list is about: whoever proves nothing is not told what else is wrong.
fn named_project(head: &Parts) -> Option<String> {
    query::<Named>(head).ok().and_then(|named| named.project)
}

/// `name=1` or `name=0` of a query; nothing where it is not there.
pub(super) fn flag(name: &str, written: Option<&str>) -> Result<Option<bool>, Error> {
    match written {
        None => Ok(None),
        Some("1") => Ok(Some(true)),
        Some("0") => Ok(Some(false)),
        Some(_) => Err(Error::NotUnderstood(format!("write `{name}=1` or `{name}=0`"))),
    }
}

pub(super) fn query<T: DeserializeOwned>(head: &Parts) -> Result<T, Error> {
    match Query::try_from_uri(&head.uri) {
        Ok(Query(query)) => Ok(query),
        Err(error) => Err(Error::NotUnderstood(crate::model::visible(&error.body_text(), 200))),
    }
}
