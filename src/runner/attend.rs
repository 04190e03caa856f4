//! From a deployment's place in the queue to its end.

use std::sync::Arc;

use tokio::sync::{oneshot, watch};

use super::Runner;
use super::activity::Place;
use super::execution::Execution;
use super::journal::{Halt, JournalWriter};
use crate::deploy::event::{Event, Outcome};
use crate::deploy::recover;
use crate::lanes::Turn;
use crate::store::Deployment;

impl Runner {
    /// Waits for the deployment's turn and carries it out. Returns early only when windlass is being stopped: what
    /// is not finished then is taken up again after the restart.
    pub(super) async fn see_through(
        &self,
        deployment: Deployment,
        turn: oneshot::Receiver<Turn>,
        cancelled: watch::Receiver<Option<String>>,
    ) {
        let id = deployment.id.clone();
        let mut journal = JournalWriter::new(self.0.store.clone(), deployment, self.0.aborting.clone());
        let mut place = Place::waiting(&self.0.activity);
        let turn = tokio::select! {
            biased;
            () = self.0.closing.cancelled() => return,
            turn = turn => turn,
        };
        let done = match turn {
            Ok(Turn::Lease(lease)) => {
                let project = &journal.deployment().project;
                place.begin(&id, project);
                let configured = self.project(project);
                let spec = configured.as_ref().map(|project| &*project.spec);
                match recover::spec(project, &journal.deployment().status, spec) {
                    Some(spec) => {
                        let execution = Execution::new(Arc::clone(&self.0), Arc::new(spec), lease, cancelled, journal);
                        execution.run(configured.as_deref()).await
                    }
                    None => give_up_unconfigured(&mut journal).await,
                }
            }
            Ok(Turn::Superseded { by }) => journal.write(Event::superseded(&by)).await,
            Ok(Turn::Cancelled) => {
                let reason = cancelled.borrow().clone();
                journal.write(Event::Finished { outcome: Outcome::Cancelled, reason }).await
            }
            // The queues live as long as the runner.
            Err(oneshot::error::RecvError { .. }) => return,
        };
        match done {
            Ok(()) => {}
            Err(Halt::Stopping) => tracing::info!(deployment = %id, "left for the next start"),
            Err(Halt::Illegal(error)) => {
                tracing::error!(deployment = %id, %error, "invalid history: the deployment is left as it is, manual action required");
            }
        }
    }
}

/// The project was taken out of the configuration while one of its deployments was waiting or under way.
async fn give_up_unconfigured(journal: &mut JournalWriter) -> Result<(), Halt> {
    let project = &journal.deployment().project;
    let reason = format!("the project {project} is no longer configured on this host");
    let status = &journal.deployment().status;
    let disturbed = status.course.as_ref().is_some_and(|course| course.disturbed);
    if !disturbed {
        return journal.write(Event::Finished { outcome: Outcome::Abandoned, reason: Some(reason) }).await;
    }
    if status.course.as_ref().is_some_and(|course| course.back.is_none()) {
        let cause = crate::deploy::event::Cause::Failed(reason.clone());
        journal.write(Event::RollingBack { cause, plan: crate::deploy::plan::Plan::default() }).await?;
    }
    journal.write(Event::Finished { outcome: Outcome::RollbackFailed, reason: Some(reason) }).await
}
