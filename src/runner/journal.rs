//! Writes one deployment's journal, whatever the disk says.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::deploy::event::Event;
use crate::deploy::status::IllegalEvent;
use crate::store::{Deployment, Store, StoreError};

/// How long to wait before the database is asked again that failed.
pub(super) const RETRY: Duration = Duration::from_secs(1);

/// The only writer of one deployment's events.
pub(super) struct JournalWriter {
    store: Store,
    deployment: Deployment,
    aborting: CancellationToken,
}

/// Why a deployment's task ends before the deployment does.
#[derive(Debug)]
pub(super) enum Halt {
    /// windlass is being stopped; recovery takes it up again.
    Stopping,
    /// The journal refuses the event: the history would make no sense.
    Illegal(IllegalEvent),
}

impl JournalWriter {
    pub(super) fn new(store: Store, deployment: Deployment, aborting: CancellationToken) -> Self {
        Self { store, deployment, aborting }
    }

    pub(super) fn deployment(&self) -> &Deployment {
        &self.deployment
    }

    /// Writes the event down before it returns. A full disk is waited for: going on without the journal would mean
    /// to forget, after a crash, what was done.
    pub(super) async fn write(&mut self, event: Event) -> Result<(), Halt> {
        let mut complained = false;
        loop {
            match self.store.append(&mut self.deployment, event.clone()).await {
                Ok(_) => return Ok(()),
                Err(StoreError::Illegal(error)) => return Err(Halt::Illegal(error)),
                Err(error) => {
                    if !complained {
                        complained = true;
                        tracing::error!(deployment = %self.deployment.id, %error, "failed to write the journal; the deployment pauses until it can be written");
                    }
                    tokio::select! {
                        () = self.aborting.cancelled() => return Err(Halt::Stopping),
                        () = tokio::time::sleep(RETRY) => {}
                    }
                }
            }
        }
    }

    /// Writes down what is only for the reader. What cannot be written is lost, and nothing depends on it.
    pub(super) async fn mention(&mut self, event: Event) {
        if let Err(error) = self.store.append(&mut self.deployment, event).await {
            tracing::debug!(deployment = %self.deployment.id, %error, "failed to write a remark");
        }
    }
}
