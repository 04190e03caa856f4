//! How long something is tried, and what may end it from outside.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::Inner;
use super::scribe::Halt;
use crate::deploy::event::Cause;
use crate::host::{HostError, Narrator};

/// How long to wait before a step is tried again, at first and at most.
const RETRY_FIRST: Duration = Duration::from_millis(250);
const RETRY_LONGEST: Duration = Duration::from_secs(5);

/// Why something was not done.
pub(super) enum Failure {
    /// The machine could not.
    Host(HostError),
    /// The project's time was over.
    TimedOut(Duration),
    /// Somebody withdrew the deployment.
    Withdrawn(String),
    /// windlass is being stopped, or the journal is out of order.
    Halt(Halt),
}

impl From<Halt> for Failure {
    fn from(halt: Halt) -> Self {
        Self::Halt(halt)
    }
}

impl Failure {
    pub(super) fn into_cause(self) -> Result<Cause, Halt> {
        match self {
            Self::Host(error) => Ok(Cause::Failed(error.to_string())),
            Self::TimedOut(timeout) => {
                Ok(Cause::Failed(format!("not done within {}", humantime::format_duration(timeout))))
            }
            Self::Withdrawn(by) => Ok(Cause::Cancelled(by)),
            Self::Halt(halt) => Err(halt),
        }
    }
}

/// What may end an operation from outside.
pub(super) struct Guard {
    pub(super) inner: Arc<Inner>,
    pub(super) withdrawn: Option<watch::Receiver<Option<String>>>,
    pub(super) deadline: Instant,
    pub(super) timeout: Duration,
}

impl Guard {
    pub(super) async fn watch<T>(mut self, work: impl Future<Output = Result<T, HostError>>) -> Result<T, Failure> {
        let withdrawn = withdrawn(self.withdrawn.take());
        tokio::select! {
            biased;
            // Whoever cancelled was told so: what ends in the same moment comes too late.
            by = withdrawn => Err(Failure::Withdrawn(by)),
            result = work => result.map_err(Failure::Host),
            () = self.inner.aborting.cancelled() => Err(Halt::Stopping.into()),
            () = tokio::time::sleep_until(self.deadline) => Err(Failure::TimedOut(self.timeout)),
        }
    }
}

impl Guard {
    /// Waits for what others do, for as long as it takes: only a withdrawal or a stop of windlass ends it.
    pub(super) async fn wait(mut self, others: impl Future<Output = ()>) -> Result<(), Failure> {
        let withdrawn = withdrawn(self.withdrawn.take());
        tokio::select! {
            biased;
            by = withdrawn => Err(Failure::Withdrawn(by)),
            () = others => Ok(()),
            () = self.inner.closing.cancelled() => Err(Halt::Stopping.into()),
        }
    }
}

/// Who withdrew the deployment, once somebody does.
async fn withdrawn(receiver: Option<watch::Receiver<Option<String>>>) -> String {
    if let Some(mut receiver) = receiver {
        // The reference into the channel must not live across an await.
        let by = receiver.wait_for(Option::is_some).await.ok().and_then(|by| by.clone());
        if let Some(by) = by {
            return by;
        }
    }
    std::future::pending().await
}

/// Tries again for as long as `patience` lasts while the engine or the registry does not answer, and not beyond
/// `deadline`: what did not answer says more than that the time was over.
pub(super) async fn insist<T, F: Future<Output = Result<T, HostError>>>(
    patience: Duration,
    deadline: Instant,
    narrator: &Narrator,
    mut attempt: impl FnMut() -> F,
) -> Result<T, HostError> {
    let mut pause = RETRY_FIRST;
    let mut until = None;
    loop {
        let error = match attempt().await {
            Err(error) if error.is_passing() => error,
            other => return other,
        };
        let until = *until.get_or_insert_with(|| deadline.min(Instant::now() + patience));
        if Instant::now() + pause >= until {
            return Err(error);
        }
        narrator.say(&format!("{error}; trying again"));
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(RETRY_LONGEST);
    }
}
