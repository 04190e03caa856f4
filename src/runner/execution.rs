//! Carries one deployment out: forward, and back when that fails.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::Inner;
use super::guard::{Failure, Guard, Persistence, insist};
use super::journal::{self, Halt, JournalWriter};
use crate::deploy::catalog::Project;
use crate::deploy::event::{Cause, Event, Outcome, Transfer};
use crate::deploy::gate::{self, Closed, Gate, Passage};
use crate::deploy::plan::{self, Change, Step};
use crate::deploy::recover::{Decision, decide};
use crate::deploy::request::readmit;
use crate::deploy::retention;
use crate::deploy::rollout::Rollout;
use crate::deploy::snapshot::Snapshot;
use crate::deploy::spec::ProjectSpec;
use crate::deploy::status::{Course, State, Status};
use crate::host::{End, HostError, Remark, Reporter};
use crate::lanes::Lease;
use crate::model::PinnedImage;
use crate::store::{Deployment, WAY_BACK};

/// How often the progress of a pull is written down at most.
const PROGRESS_EVERY: Duration = Duration::from_millis(250);

/// One deployment whose turn it is.
pub(super) struct Execution {
    pub(super) inner: Arc<Inner>,
    pub(super) spec: Arc<ProjectSpec>,
    pub(super) lease: Lease,
    cancelled: watch::Receiver<Option<String>>,
    journal: JournalWriter,
    pub(super) deadline: Instant,
}

impl Execution {
    pub(super) fn new(
        inner: Arc<Inner>,
        spec: Arc<ProjectSpec>,
        lease: Lease,
        cancelled: watch::Receiver<Option<String>>,
        journal: JournalWriter,
    ) -> Self {
        let deadline = Instant::now() + spec.timeout;
        Self { inner, spec, lease, cancelled, journal, deadline }
    }

    /// Carries the deployment to its outcome; `configured` is the project as it is configured now.
    pub(super) async fn run(mut self, configured: Option<&Project>) -> Result<(), Halt> {
        let decision = decide(&self.spec.name, self.status(), configured.map(|project| &*project.spec));
        if self.status().state == State::Running {
            self.journal.write(Event::Resumed).await?;
        }
        match decision {
            Decision::Nothing => return Ok(()),
            Decision::End(outcome, reason) => return self.conclude(outcome, Some(reason)).await,
            Decision::RollBack(cause) => self.turn_back(cause).await?,
            Decision::Requeue => match self.what_forbids_it(configured, true).await? {
                Some(cause) => return self.leave_untouched(cause).await,
                None => self.journal.write(Event::Started).await?,
            },
            Decision::Continue if self.course().is_some_and(|course| course.disturbed) => {
                if configured.is_some_and(|project| project.spec.target != self.spec.target) {
                    self.note(
                        "the project's target was changed meanwhile; this deployment ends where it began".to_owned(),
                    )
                    .await;
                }
            }
            Decision::Continue => {
                if let Some(cause) = self.what_forbids_it(configured, false).await? {
                    return self.leave_untouched(cause).await;
                }
            }
        }
        if !self.is_going_back() {
            match self.forward().await {
                Ok(()) => {
                    self.conclude(Outcome::Succeeded, None).await?;
                    self.retain().await;
                    return Ok(());
                }
                Err(failure) => {
                    let cause = failure.into_cause()?;
                    if !self.course().is_some_and(|course| course.disturbed) {
                        return self.leave_untouched(cause).await;
                    }
                    self.turn_back(cause).await?;
                }
            }
        }
        self.go_back().await
    }

    /// Why it may not be begun any more, although it was accepted: what is in force now decides.
    async fn what_forbids_it(&self, configured: Option<&Project>, has_waited: bool) -> Result<Option<Cause>, Halt> {
        let Status { wanted, requested_by, .. } = self.status();
        let readmitted = configured.map_or(Ok(()), |project| readmit(project, wanted, requested_by.key.as_ref()));
        if let Err(refusal) = readmitted {
            let reason = format!("the configuration has changed since this was accepted: {refusal}");
            return Ok(Some(Cause::Failed(reason)));
        }
        if !has_waited {
            return Ok(None);
        }
        match self.guard().wait(self.pass_the_gate()).await {
            Ok(passed) => Ok(passed.err().map(|closed| Cause::Failed(closed.to_string()))),
            Err(failure) => failure.into_cause().map(Some),
        }
    }

    /// Waits for as long as the gate says so.
    async fn pass_the_gate(&self) -> Result<(), Closed> {
        let deployment = &self.journal.deployment().id;
        let mut told = None;
        loop {
            let facts = self.inner.store.facts(&self.spec.name).await;
            match gate::decide(Passage::of_turn(self.status()), facts.as_ref().ok()) {
                Gate::Open => return Ok(()),
                Gate::Refuse(closed) => return Err(closed),
                Gate::Wait { why, .. } if told != Some(why) => {
                    let error = facts.err().map(|error| error.to_string()).unwrap_or_default();
                    tracing::warn!(%deployment, why, error, "the deployment waits");
                    told = Some(why);
                }
                Gate::Wait { .. } => {}
            }
            tokio::time::sleep(journal::RETRY).await;
        }
    }

    async fn forward(&mut self) -> Result<(), Failure> {
        let release = match &self.status().release {
            Some(release) => release.clone(),
            None => {
                let release = self.resolve().await?;
                self.journal.write(Event::Resolved { images: release.clone() }).await?;
                release
            }
        };
        if self.status().course.is_none() {
            let (snapshot, plan) = self.prepare(&release).await?;
            let target = Some(self.spec.target.clone());
            self.journal.write(Event::Planned { snapshot, plan, target }).await?;
        } else {
            self.claim().await?;
        }
        self.take_steps().await
    }

    async fn resolve(&mut self) -> Result<Vec<PinnedImage>, Failure> {
        let runner = super::Runner(Arc::clone(&self.inner));
        let wanted = self.status().wanted.clone();
        self.insist(|| runner.resolve(&wanted)).await
    }

    async fn take_steps(&mut self) -> Result<(), Failure> {
        while let Some((number, step)) =
            self.course().and_then(Course::next).map(|(number, step)| (number, step.clone()))
        {
            if self.inner.closing.is_cancelled() {
                return Err(Halt::Stopping.into());
            }
            if let Some(by) = self.cancelled_by() {
                return Err(Failure::Cancelled(by));
            }
            self.journal.write(Event::StepStarted { step: number }).await?;
            let taken = match self.take_step(number, &step).await {
                Err(Failure::Host(error)) if self.was_never_touched(&step).await => {
                    let line = format!("{error}; what ran before was never touched");
                    self.journal.mention(Event::Said { step: number, line }).await;
                    Ok(())
                }
                taken => taken,
            };
            match taken {
                Ok(()) => self.journal.write(Event::StepFinished { step: number }).await?,
                Err(failure) => {
                    if let Some(reason) = failure.reason() {
                        let evidence = failure.evidence().to_vec();
                        self.journal.write(Event::StepFailed { step: number, reason, evidence }).await?;
                    }
                    return Err(failure);
                }
            }
        }
        Ok(())
    }

    /// Whether putting back what ran before is needless, because it is still there. The next step proves that it works.
    async fn was_never_touched(&self, step: &Step) -> bool {
        let Some(course) = self.course().filter(|course| course.back.is_some()) else { return false };
        let (host, spec) = (&self.inner.host, &self.spec);
        matches!(step, Step::Apply { .. }) && host.is_untouched(spec, &course.snapshot).await.unwrap_or(false)
    }

    /// Carries out one step, writing down what is said meanwhile.
    async fn take_step(&mut self, number: usize, step: &Step) -> Result<(), Failure> {
        let (reporter, mut remarks) = Reporter::new();
        let persistence = self.persistence(step);
        let guard = self.guard();
        let inner = Arc::clone(&self.inner);
        let Self { spec, lease, journal, .. } = self;
        let performing =
            guard.watch(insist(persistence, &reporter, || inner.host.perform(lease, spec, step, &reporter)));
        tokio::pin!(performing);
        let mut pending: Option<Transfer> = None;
        let mut next_progress = Instant::now();
        loop {
            let result = tokio::select! {
                biased;
                remark = remarks.recv() => {
                    match remark {
                        Some(Remark::Line(line)) => journal.mention(Event::Said { step: number, line }).await,
                        Some(Remark::Transfer(transfer)) => pending = Some(transfer),
                        None => {}
                    }
                    None
                }
                () = tokio::time::sleep_until(next_progress), if pending.is_some() => None,
                result = &mut performing => Some(result),
            };
            if let Some(transfer) = pending.take_if(|_| result.is_some() || Instant::now() >= next_progress) {
                journal.mention(Event::Progress { step: number, transfer }).await;
                next_progress = Instant::now() + PROGRESS_EVERY;
            }
            if let Some(result) = result {
                while let Ok(Remark::Line(line)) = remarks.try_recv() {
                    journal.mention(Event::Said { step: number, line }).await;
                }
                return result;
            }
        }
    }

    async fn leave_untouched(&mut self, cause: Cause) -> Result<(), Halt> {
        let outcome = match &cause {
            Cause::Failed(_) => Outcome::Abandoned,
            Cause::Cancelled(_) => Outcome::Cancelled,
        };
        self.conclude(outcome, Some(cause.reason().to_owned())).await?;
        if self.status().course.is_some() {
            self.retain().await;
        }
        Ok(())
    }

    async fn turn_back(&mut self, cause: Cause) -> Result<(), Halt> {
        let rollout = Rollout::of(&self.spec);
        let plan = self.course().map(|course| plan::rollback(&course.snapshot, rollout)).unwrap_or_default();
        self.journal.write(Event::RollingBack { cause, plan }).await
    }

    /// Puts back what ran before. Nobody can cancel it.
    async fn go_back(&mut self) -> Result<(), Halt> {
        self.close_to_cancelling();
        self.deadline = Instant::now() + self.spec.time_back();
        let claimed = if self.lease.is_claimed() { Ok(()) } else { self.claim().await.map(drop) };
        let result = match claimed {
            Err(halt @ Failure::Halt(_)) => Err(halt),
            // Files that cannot be read let nobody else deploy there either, and the way back is worth trying.
            Ok(()) | Err(_) => self.take_steps().await,
        };
        let Some(cause) = self.course().and_then(|course| course.back.as_ref()).map(|back| back.cause.clone()) else {
            return Ok(());
        };
        match result {
            Ok(()) => {
                self.conclude(cause.outcome(), Some(cause.reason().to_owned())).await?;
                self.retain().await;
                Ok(())
            }
            Err(failure) => {
                let failed = failure.into_cause()?;
                let reason = if failed.reason() == cause.reason() {
                    format!("{}; putting back what ran before failed for the same reason", cause.reason())
                } else {
                    format!("{}; putting back what ran before failed too: {}", cause.reason(), failed.reason())
                };
                tracing::error!(deployment = %self.journal.deployment().id, project = %self.lease.project(), %reason, "rollback failed: a person is needed");
                self.conclude(Outcome::RollbackFailed, Some(reason)).await
            }
        }
    }

    /// Ends the deployment. The project's own command for that end comes first, so that a crash cannot lose it;
    /// whatever comes of it, the outcome stands.
    async fn conclude(&mut self, outcome: Outcome, reason: Option<String>) -> Result<(), Halt> {
        self.close_to_cancelling();
        let status = self.status();
        let change = match (&status.release, &status.course) {
            (Some(release), Some(course)) => Change::forward(release, &course.snapshot),
            (Some(release), None) => Change::forward(release, &Snapshot::default()),
            (None, _) => Change::default(),
        };
        let end = End { outcome, reason, change };
        if let Err(error) = self.run_for(&end).await? {
            self.note(format!("the outcome is unchanged, but {error}")).await;
        }
        self.finish(end.outcome, end.reason).await
    }

    /// From now on nobody can cancel it.
    fn close_to_cancelling(&self) {
        super::Runner(Arc::clone(&self.inner)).cancellations().remove(&self.journal.deployment().id);
    }

    /// Runs the project's own command for this end, writing down what it says.
    async fn run_for(&mut self, end: &End) -> Result<Result<(), HostError>, Halt> {
        let (reporter, mut remarks) = Reporter::new();
        let (inner, Self { spec, lease, journal, .. }) = (Arc::clone(&self.inner), &mut *self);
        let concluding = inner.host.conclude(lease, spec, end, &reporter);
        tokio::pin!(concluding);
        let result = loop {
            tokio::select! {
                biased;
                Some(Remark::Line(text)) = remarks.recv() => journal.mention(Event::Noted { text }).await,
                result = &mut concluding => break result,
                // It is run again after the restart.
                () = inner.aborting.cancelled() => return Err(Halt::Stopping),
            }
        };
        while let Ok(Remark::Line(text)) = remarks.try_recv() {
            journal.mention(Event::Noted { text }).await;
        }
        Ok(result)
    }

    async fn finish(&mut self, outcome: Outcome, reason: Option<String>) -> Result<(), Halt> {
        let Deployment { id, project, .. } = self.journal.deployment();
        tracing::info!(deployment = %id, %project, %outcome, reason = reason.as_deref().unwrap_or(""), "finished");
        self.journal.write(Event::Finished { outcome, reason }).await
    }

    /// Lets go of images that are no way back any more. Whatever comes of it, the outcome stands.
    async fn retain(&mut self) {
        let good = match self.inner.store.succeeded(self.lease.project(), WAY_BACK).await {
            Ok(good) => good,
            Err(error) => {
                return self.note(format!("could not remove old images: the history could not be read: {error}")).await;
            }
        };
        let put_back = self.course().map(|course| &course.snapshot);
        let keep = retention::keep(good.iter().map(|one| &one.status), put_back, self.spec.keep_releases);
        let (reporter, mut remarks) = Reporter::new();
        let retained = self.inner.host.retain(&self.lease, &self.spec, &keep, &reporter).await;
        while let Ok(Remark::Line(text)) = remarks.try_recv() {
            tracing::info!(deployment = %self.journal.deployment().id, project = %self.lease.project(), "{text}");
            self.note(text).await;
        }
        if let Err(error) = retained {
            self.note(format!("could not remove old images: {error}")).await;
        }
    }

    pub(super) async fn note(&mut self, text: String) {
        self.journal.mention(Event::Noted { text }).await;
    }

    pub(super) async fn insist<T, F: Future<Output = Result<T, HostError>>>(
        &mut self,
        attempt: impl FnMut() -> F,
    ) -> Result<T, Failure> {
        let (reporter, mut remarks) = Reporter::new();
        let persistence = Persistence { patience: self.inner.patience, insistence: None, deadline: self.deadline };
        let trying = self.guard().watch(insist(persistence, &reporter, attempt));
        tokio::pin!(trying);
        loop {
            tokio::select! {
                biased;
                Some(Remark::Line(text)) = remarks.recv() => self.journal.mention(Event::Noted { text }).await,
                result = &mut trying => return result,
            }
        }
    }

    /// A rollback is worth all the time there is: the alternative is a service that is down. That the release of before
    /// does not become healthy is an answer, and asking again does not change it.
    fn persistence(&self, step: &Step) -> Persistence {
        let (patience, insistence) = match step {
            _ if !self.is_going_back() => (self.inner.patience, None),
            Step::AwaitHealthy { .. } => (self.spec.time_back(), None),
            _ => (self.spec.time_back(), Some(self.inner.patience)),
        };
        Persistence { patience, insistence, deadline: self.deadline }
    }

    pub(super) fn guard(&self) -> Guard {
        Guard {
            inner: Arc::clone(&self.inner),
            cancelled: (!self.is_going_back()).then(|| self.cancelled.clone()),
            deadline: self.deadline,
            timeout: if self.is_going_back() { self.spec.time_back() } else { self.spec.timeout },
        }
    }

    /// Who cancelled it, as long as that counts.
    fn cancelled_by(&self) -> Option<String> {
        if self.is_going_back() { None } else { self.cancelled.borrow().clone() }
    }

    fn is_going_back(&self) -> bool {
        self.course().is_some_and(|course| course.back.is_some())
    }

    fn status(&self) -> &Status {
        &self.journal.deployment().status
    }

    fn course(&self) -> Option<&Course> {
        self.status().course.as_ref()
    }
}
