//! Answers that are as the caller wished: JSON about deployments, with what runs read from the machine.

use std::sync::Arc;
use std::time::Duration;

use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;

use super::App;
use super::error::Error;
use crate::deploy::catalog::Project;
use crate::deploy::event::Outcome;
use crate::deploy::snapshot::Instance;
use crate::model::{DeploymentId, one_line};
use crate::store::Deployment;
use crate::wire::json as wire_json;
use crate::wire::view::{DeploymentView, RunningView, Times, runs};

/// How long the machine has to say what runs. An answer without that is better than none.
const OBSERVING: Duration = Duration::from_millis(2500);

/// Longer lines are cut.
const LONGEST_LINE: usize = 1000;

/// `value` as JSON.
pub(super) fn json<T: Serialize>(status: StatusCode, value: &T) -> Response {
    match wire_json::compact(value) {
        Ok(body) => (status, [(CONTENT_TYPE, "application/json")], body).into_response(),
        Err(error) => {
            tracing::error!(%error, "failed to write an answer");
            Error::Broken.into_response()
        }
    }
}

/// Lines for people.
pub(super) fn text(lines: &[String]) -> Response {
    let lines: String = lines.iter().map(|line| one_line(line, LONGEST_LINE) + "\n").collect();
    ([(CONTENT_TYPE, "text/plain; charset=utf-8")], lines).into_response()
}

/// Names the deployment that an answer is about.
pub(super) fn locate(mut response: Response, id: &DeploymentId) -> Response {
    if let Ok(path) = HeaderValue::try_from(format!("/v1/deployments/{id}")) {
        response.headers_mut().insert(LOCATION, path);
    }
    response
}

/// A deployment as callers read it, without asking the machine.
pub(super) fn view(deployment: Deployment, running: Option<Vec<RunningView>>) -> DeploymentView {
    let Deployment { id, project, status, created_at, started_at, finished_at, .. } = deployment;
    let mut view = DeploymentView::new(id, project, &status, Times { created_at, started_at, finished_at }, None);
    view.running = running;
    view
}

/// 202: it is on disk and has no outcome yet.
pub(super) fn accepted(deployment: Deployment) -> Response {
    let id = deployment.id.clone();
    locate(json(StatusCode::ACCEPTED, &view(deployment, None)), &id)
}

impl App {
    /// What a deployment came to: its outcome decides about the status, and what runs proves it.
    pub(super) async fn tell_state(
        &self,
        project: Option<&Arc<Project>>,
        deployment: Deployment,
    ) -> Result<Response, Error> {
        match deployment.status.outcome() {
            None => Ok(accepted(deployment)),
            Some(outcome) => {
                let running = self.running(project).await.ok();
                let view = view(deployment, running);
                match outcome {
                    Outcome::Succeeded => Ok(locate(json(StatusCode::OK, &view), &view.id)),
                    _ => Err(Error::Ended(Box::new(view), outcome)),
                }
            }
        }
    }

    /// What runs now, read from the machine; else why that is not known.
    pub(super) async fn running(&self, project: Option<&Arc<Project>>) -> Result<Vec<RunningView>, String> {
        self.instances(project).await.map(runs)
    }

    /// The same as the machine says it.
    pub(super) async fn instances(&self, project: Option<&Arc<Project>>) -> Result<Vec<Instance>, String> {
        let Some(project) = project else {
            return Err("the project is no longer configured on this host".to_owned());
        };
        match tokio::time::timeout(OBSERVING, self.0.runner.observe(project)).await {
            Ok(Ok(instances)) => Ok(instances),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("the machine did not answer within {} ms", OBSERVING.as_millis())),
        }
    }
}
