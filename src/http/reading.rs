//! Answers those who read: deployments, their events, projects.

use axum::extract::{Path, Query, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, Version};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::access::Access;
use super::answer::{json, view};
use super::error::Error;
use super::event_stream::{EventStream, Until};
use super::follow::Follower;
use super::format::Format;
use super::negotiate::choose;
use super::peer::Peer;
use crate::deploy::catalog::Project;
use crate::deploy::gate::Freeze;
use crate::deploy::status::State as Progress;
use crate::model::DeploymentId;
use crate::store::{Extent, Filter};
use crate::wire::release::ImageView;
use crate::wire::state::StatusWord;
use crate::wire::view::{Deployments, FreezeView, ProjectView, Projects, StateView, runs};

/// How many deployments a list has, unless it is said, and at most.
const SOME: usize = 50;
const MOST: usize = 500;

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
    limit: Option<usize>,
    before: Option<DeploymentId>,
}

pub(super) async fn deployments(State(access): State<Access>, request: Request) -> Result<Response, Error> {
    let (head, _) = request.into_parts();
    let name = named_project(&head);
    let project = access.limited_to(&head, name.as_deref())?;
    let Listing { status, limit, before, .. } = query(&head)?;
    let status = status.map(Progress::from);
    let limit = limit.unwrap_or(SOME).clamp(1, MOST);
    let found = access.app.0.store.deployments(&Filter { project, status, limit, before }).await?;
    let deployments = found.into_iter().map(|deployment| view(deployment, None)).collect();
    Ok(json(StatusCode::OK, &Deployments { deployments }))
}

pub(super) async fn projects(State(access): State<Access>, request: Request) -> Result<Response, Error> {
    let (head, _) = request.into_parts();
    let name = named_project(&head);
    let mut projects = Vec::new();
    for project in access.projects(&head, name.as_deref())? {
        projects.push(project_view(&access, &project).await?);
    }
    let state = if access.is_open() { Some(access.app.0.store.extent().await?) } else { None };
    let state = state.map(|Extent { bytes, deployments }| StateView { bytes, deployments });
    Ok(json(StatusCode::OK, &Projects { projects, state }))
}

pub(super) async fn project(
    State(access): State<Access>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, Error> {
    let (head, _) = request.into_parts();
    let project = access.project(&head, &name)?;
    let mut view = project_view(&access, &project).await?;
    match access.app.instances(Some(&project)).await {
        Ok(instances) => {
            let newest = view.newest.as_ref().map(|newest| &newest.id);
            let drift = access.app.0.runner.drift(&project, newest, &instances).await?;
            view.drift = ImageView::release(&drift);
            view.running = Some(runs(instances));
        }
        Err(reason) => view.unreadable = Some(reason),
    }
    Ok(json(StatusCode::OK, &view))
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
    let follow = match follow.as_deref() {
        // Who asks for events or for lines to read wants to see them happen.
        None => matches!(form, Form::Events | Form::Text),
        Some("1") => form != Form::Array,
        Some("0") => false,
        Some(_) => return Err(Error::NotUnderstood("write `follow=1` or `follow=0`".to_owned())),
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
        Form::Text => Format::text(found.id),
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
    Ok(ProjectView {
        name: spec.name.clone(),
        images: spec.images.iter().map(ToString::to_string).collect(),
        tags: spec.tags.clone(),
        target: spec.target.as_str().to_owned(),
        frozen: store.frozen(&spec.name).await?.map(freeze_view),
        newest: store.newest(&spec.name).await?.map(|newest| view(newest, None)),
        running: None,
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

fn query<T: DeserializeOwned>(head: &Parts) -> Result<T, Error> {
    match Query::try_from_uri(&head.uri) {
        Ok(Query(query)) => Ok(query),
        Err(error) => Err(Error::NotUnderstood(crate::model::visible(&error.body_text(), 200))),
    }
}
