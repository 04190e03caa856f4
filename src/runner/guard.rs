//! How long something is tried, and what may end it from outside.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::Inner;
use super::journal::Halt;
use crate::deploy::event::{Cause, Evidence};
use crate::host::{HostError, Reporter};

/// How long to wait before a step is tried again, at first and at most.
const RETRY_FIRST: Duration = Duration::from_millis(250);
const RETRY_LONGEST: Duration = Duration::from_secs(5);

/// Why something was not done.
pub(super) enum Failure {
    /// The machine could not.
    Host(HostError),
    /// The project's time was over.
    TimedOut(Duration),
    /// Somebody cancelled the deployment.
    Cancelled(String),
    /// windlass is being stopped, or the journal is out of order.
    Halt(Halt),
}

impl From<Halt> for Failure {
    fn from(halt: Halt) -> Self {
        Self::Halt(halt)
    }
}

impl Failure {
    /// Why; nothing where windlass itself stops.
    pub(super) fn reason(&self) -> Option<String> {
        match self {
            Self::Host(error) => Some(error.to_string()),
            Self::TimedOut(timeout) => Some(format!("not done within {}", humantime::format_duration(*timeout))),
            Self::Cancelled(by) => Some(by.clone()),
            Self::Halt(_) => None,
        }
    }

    /// What containers said last, where that is why.
    pub(super) fn evidence(&self) -> &[Evidence] {
        if let Self::Host(error) = self { error.evidence() } else { &[] }
    }

    pub(super) fn into_cause(self) -> Result<Cause, Halt> {
        match self {
            Self::Cancelled(by) => Ok(Cause::Cancelled(by)),
            Self::Halt(halt) => Err(halt),
            failed @ (Self::Host(_) | Self::TimedOut(_)) => Ok(Cause::Failed(failed.reason().unwrap_or_default())),
        }
    }
}

/// What may end an operation from outside.
pub(super) struct Guard {
    pub(super) inner: Arc<Inner>,
    pub(super) cancelled: Option<watch::Receiver<Option<String>>>,
    pub(super) deadline: Instant,
    pub(super) timeout: Duration,
}

impl Guard {
    pub(super) async fn watch<T>(mut self, work: impl Future<Output = Result<T, HostError>>) -> Result<T, Failure> {
        let cancelled = cancelled(self.cancelled.take());
        tokio::select! {
            biased;
            // Whoever cancelled was told so: what ends in the same moment comes too late.
            by = cancelled => Err(Failure::Cancelled(by)),
            result = work => result.map_err(Failure::Host),
            () = self.inner.aborting.cancelled() => Err(Halt::Stopping.into()),
            () = tokio::time::sleep_until(self.deadline) => Err(Failure::TimedOut(self.timeout)),
        }
    }
}

impl Guard {
    /// Waits for what others do, for as long as it takes: only a cancellation or a stop of windlass ends it.
    pub(super) async fn wait<T>(mut self, others: impl Future<Output = T>) -> Result<T, Failure> {
        let cancelled = cancelled(self.cancelled.take());
        tokio::select! {
            biased;
            by = cancelled => Err(Failure::Cancelled(by)),
            done = others => Ok(done),
            () = self.inner.closing.cancelled() => Err(Halt::Stopping.into()),
        }
    }
}

/// Who cancelled the deployment, once somebody does.
async fn cancelled(receiver: Option<watch::Receiver<Option<String>>>) -> String {
    if let Some(mut receiver) = receiver {
        // The reference into the channel must not live across an await.
        let by = receiver.wait_for(Option::is_some).await.ok().and_then(|by| by.clone());
        if let Some(by) = by {
            return by;
        }
    }
    std::future::pending().await
}

/// What is tried again, and for how long.
#[derive(Debug, Clone, Copy)]
pub(super) struct Persistence {
    /// While the engine or the registry does not answer.
    pub(super) patience: Duration,
    /// While it fails otherwise, if it is worth that.
    pub(super) insistence: Option<Duration>,
    /// Not beyond this: what failed says more than that the time was over.
    pub(super) deadline: Instant,
}

impl Persistence {
    /// When to give up, for an error that came now for the first time.
    fn until(&self, error: &HostError) -> Option<Instant> {
        let time =
            if error.is_passing() { self.patience } else { self.insistence.filter(|_| error.is_worth_insisting())? };
        Some(self.deadline.min(Instant::now() + time))
    }
}

/// Tries again, with growing pauses, for as long as it is worth it. What is in the way is told at once, and again when it
/// is something else.
pub(super) async fn insist<T, F: Future<Output = Result<T, HostError>>>(
    persistence: Persistence,
    reporter: &Reporter,
    mut attempt: impl FnMut() -> F,
) -> Result<T, HostError> {
    let mut pause = RETRY_FIRST;
    let mut until = None;
    let mut told = String::new();
    loop {
        let error = match attempt().await {
            Err(error) => error,
            done => return done,
        };
        let Some(limit) = persistence.until(&error) else { return Err(error) };
        let now = Instant::now();
        let until = *until.get_or_insert(limit);
        if now + pause >= until {
            return Err(error);
        }
        let reason = error.to_string();
        if reason != told {
            let left = Duration::from_secs((until - now).as_secs());
            reporter.say(&format!("{reason}; trying again for up to {}", humantime::format_duration(left)));
            told = reason;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(RETRY_LONGEST);
    }
}
