//! From an admitted request to its answer: a plan, a receipt, an outcome or a stream.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use tokio::time::Instant;

use super::App;
use super::answer::{accepted, json, locate};
use super::error::Error;
use super::follow::Follower;
use super::format::Format;
use super::telling::{Telling, Until};
use super::wish::{Form, Wish};
use crate::deploy::catalog::Project;
use crate::deploy::request::{DeployRequest, Refusal, Repetition};
use crate::runner::Submitted;
use crate::store::Deployment;
use crate::wire::view::PlanView;

/// How long a dry run may ask the registry and the engine.
pub(super) const PLANNING: Duration = Duration::from_secs(30);

/// What became of a request that asks for a deployment.
pub(super) enum Taken {
    /// Nothing changed.
    Planned(Box<PlanView>),
    /// It is on disk; whether it had been before.
    Accepted { deployment: Box<Deployment>, joined: bool },
}

impl App {
    /// Takes an admitted request, or plans it where only that is wanted.
    pub(super) async fn take(
        &self,
        project: &Arc<Project>,
        request: DeployRequest,
        wish: &Wish,
    ) -> Result<Taken, Error> {
        if wish.dry_run {
            return self.plan(project, request).await;
        }
        if let Some(key) = &request.requested_by.key {
            let key = format!("{}/{key}", request.project);
            self.0.rates.take(&key, Instant::now().into_std()).map_err(|wait| Error::TooOften { wait })?;
        }
        let (deployment, joined) = match self.0.runner.submit(request).await {
            Ok(Submitted::New(deployment)) => (deployment, false),
            Ok(Submitted::Joined(deployment)) => (deployment, true),
            Err(error) => return Err(Error::NotTaken { error, now: self.0.clock.now() }),
        };
        Ok(Taken::Accepted { deployment: Box::new(deployment), joined })
    }

    /// Refuses a delivery that was proven. It is known from now on: what somebody recorded of it is worth nothing once
    /// something newer was accepted.
    pub(super) async fn refuse(&self, project: &Project, repetition: Repetition, refusal: Refusal) -> Error {
        match self.0.store.refuse(&project.spec.name, repetition).await {
            Ok(()) => refusal.into(),
            Err(error) => error.into(),
        }
    }

    async fn plan(&self, project: &Project, request: DeployRequest) -> Result<Taken, Error> {
        let DeployRequest { wanted, rollback, .. } = request;
        let planned = tokio::time::timeout(PLANNING, self.0.runner.plan(project, &wanted)).await;
        match planned {
            Ok(Ok(run)) => {
                let mut view = PlanView::new(&run.release, &run.snapshot, &run.plan, rollback.as_ref());
                view.warnings = run.warnings;
                Ok(Taken::Planned(Box::new(view)))
            }
            Ok(Err(error)) if error.is_passing() => Err(Error::Away(error.to_string())),
            Ok(Err(error)) => Err(Error::Unplannable(error.to_string())),
            Err(_) => Err(Error::Away(format!("no answer within {} s", PLANNING.as_secs()))),
        }
    }

    /// Tells the caller what became of it, as it wished to be told.
    pub(super) async fn tell(
        &self,
        project: &Arc<Project>,
        taken: Taken,
        wish: &Wish,
        head: &Parts,
    ) -> Result<Response, Error> {
        let deployment = match taken {
            Taken::Planned(plan) => return Ok(json(StatusCode::OK, &*plan)),
            Taken::Accepted { deployment, .. } => *deployment,
        };
        let until = wish.wait.map(|wait| Instant::now() + wait);
        let format = match wish.form {
            Form::Text => Format::text(deployment.id.clone()),
            Form::Events => Format::Events,
            // One that has an outcome was asked for before: the truth about it does not depend on who waits.
            Form::Json if deployment.status.outcome().is_some() => {
                return self.tell_state(Some(project), deployment).await;
            }
            Form::Json => {
                return match until {
                    None => Ok(accepted(deployment)),
                    Some(until) => self.tell_outcome(project, deployment, until).await,
                };
            }
        };
        let id = deployment.id.clone();
        let follower = Follower::new(&self.0.store, deployment.id, 0);
        let telling = Telling::new(self, head, follower, format, Until::Outcome { at_most: until });
        Ok(locate(telling.breaking_off_unless_good().response(), &id))
    }

    async fn tell_outcome(
        &self,
        project: &Arc<Project>,
        deployment: Deployment,
        until: Instant,
    ) -> Result<Response, Error> {
        let mut follower = Follower::new(&self.0.store, deployment.id.clone(), 0);
        tokio::select! {
            biased;
            told = follower.outcome() => told?,
            () = tokio::time::sleep_until(until) => {}
            () = self.0.runner.closing().cancelled() => {}
        }
        let now = self.0.store.deployment(&deployment.id).await?.unwrap_or(deployment);
        self.tell_state(Some(project), now).await
    }
}
