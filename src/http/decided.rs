//! Tells a caller what became of a delivery: a plan, a receipt, an outcome or a stream.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use tokio::time::Instant;

use super::App;
use super::answer::{accepted, json, locate, text};
use super::error::Error;
use super::event_stream::{EventStream, Until};
use super::follow::Follower;
use super::format::Format;
use super::wish::{Form, Wish};
use crate::deploy::catalog::Project;
use crate::intake::Decided;
use crate::store::Deployment;
use crate::wire::view::PlanView;

impl App {
    /// Tells the caller what became of it, as it wished to be told.
    pub(super) async fn tell(
        &self,
        project: &Arc<Project>,
        decided: Decided,
        wish: &Wish,
        head: &Parts,
    ) -> Result<Response, Error> {
        let (deployment, joined) = match decided {
            Decided::Planned { run, rollback } => {
                let mut view = PlanView::new(&run.release, &run.snapshot, &run.plan, rollback.as_ref());
                view.warnings = run.warnings;
                return Ok(match wish.form {
                    Form::Text => text(&view.in_lines()),
                    Form::Json | Form::Events => json(StatusCode::OK, &view),
                });
            }
            Decided::Accepted { deployment, joined } => (*deployment, joined),
        };
        let until = wish.wait.map(|wait| Instant::now() + wait);
        let format = match wish.form {
            Form::Text => Format::text(deployment.id.clone(), deployment.project.clone()),
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
        // One that is under way is joined; of one that has ended much may have changed.
        let format = if joined && deployment.status.outcome().is_some() { format.repeated() } else { format };
        let id = deployment.id.clone();
        let follower = Follower::new(&self.0.store, deployment.id, 0);
        let stream = EventStream::new(self, head, follower, format, Until::Outcome { at_most: until });
        Ok(locate(stream.breaking_off_unless_good().response(), &id))
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
