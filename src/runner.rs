//! Carries deployments out: journal, do, journal; and rolls back when a step fails.
//!
//! The runner owns every deployment from its acceptance to its outcome. Each one has a task of its own, which is the
//! only writer of its events.

mod activity;
mod attend;
mod execution;
mod guard;
mod journal;
mod looks;
mod prepare;
mod record;
mod way_back;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use looks::{Looks, Turns};

pub use crate::host::{LogLine, LogSink, LogWish};
pub use activity::Activity;
pub use way_back::{NoWayBack, past_of};

use crate::deploy::catalog::{Catalog, Project};
use crate::deploy::event::Wanted;
use crate::deploy::gate::Closed;
use crate::deploy::plan::{self, Plan};
use crate::deploy::request::DeployRequest;
use crate::deploy::rollout::Rollout;
use crate::deploy::snapshot::{Instance, Snapshot};
use crate::deploy::status::State;
use crate::host::{HostError, SharedHost};
use crate::lanes::{Lanes, QueueFull, Turn};
use crate::model::{DeploymentId, PinnedImage, ProjectName, Repository};
use crate::store::{Acceptance, Deployment, Store, StoreError};

/// How many dry runs ask a registry at a time.
const RESOLVING: usize = 8;

/// What a plan needs to know of the machine, and what is odd about it.
type BeforeAPlan = Result<(Snapshot, Vec<String>), HostError>;
/// What runs.
type Running = Result<Vec<Instance>, HostError>;

/// Carries deployments out. Cheap to clone.
#[derive(Clone)]
pub struct Runner(Arc<Inner>);

struct Inner {
    store: Store,
    host: SharedHost,
    lanes: Lanes,
    catalog: watch::Receiver<Arc<Catalog>>,
    tasks: TaskTracker,
    /// No new deployment.
    refusing: CancellationToken,
    /// No new step of one.
    closing: CancellationToken,
    /// Not even the step that is being carried out.
    aborting: CancellationToken,
    patience: Duration,
    cancellations: Mutex<HashMap<DeploymentId, Cancellation>>,
    activity: watch::Sender<Activity>,
    /// Reads for dry runs and readings.
    snapshots: Arc<Looks<Vec<Repository>, BeforeAPlan>>,
    observations: Arc<Looks<(), Running>>,
    resolving: Semaphore,
}

struct Cancellation {
    project: ProjectName,
    by: watch::Sender<Option<String>>,
}

/// What a runner works with.
pub struct Parts {
    /// The journal.
    pub store: Store,
    /// The machine.
    pub host: SharedHost,
    /// The queues.
    pub lanes: Lanes,
    /// The projects, as they are configured at each moment.
    pub catalog: watch::Receiver<Arc<Catalog>>,
    /// Where tasks are spawned.
    pub tasks: TaskTracker,
    /// When it fires no new deployment is taken.
    pub refusing: CancellationToken,
    /// When it fires running ones stop between two steps. What is taken afterwards waits for the next start.
    pub closing: CancellationToken,
    /// When it fires running ones stop within a step, and are taken up again after a restart.
    pub aborting: CancellationToken,
    /// How long a step is tried again while the engine or the registry does not answer.
    pub patience: Duration,
}

/// A request that was taken.
#[derive(Debug)]
pub enum Submitted {
    /// It is a deployment of its own, on disk and in its queue.
    New(Deployment),
    /// It is a repetition: this is the deployment that it asked for before.
    Joined(Deployment),
}

/// Why a request was not taken.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// windlass is being stopped.
    #[error("windlass is shutting down on this host")]
    Closing,
    /// Too many wait.
    #[error(transparent)]
    QueueFull(#[from] QueueFull),
    /// The same delivery id came with another body.
    #[error("this delivery id was used before, with another body, for deployment {0}")]
    Conflict(DeploymentId),
    /// The same was sent before, and something newer was accepted since.
    #[error("the same was sent before{}, and newer deployments came since", .0.as_ref().map_or_else(String::new, |id| format!(", for deployment {id}")))]
    Replayed(Option<DeploymentId>),
    /// The same was sent before with a query that asked for a dry run, or was not understood.
    #[error("the same was sent before with a query that asked for no deployment, and is used up")]
    UsedUp,
    /// The project's gate is closed for it.
    #[error(transparent)]
    Refused(Closed),
    /// It could not be written down.
    #[error("failed to write the deployment down")]
    Store(#[from] StoreError),
}

/// What a request would do.
#[derive(Debug)]
pub struct DryRun {
    /// The release.
    pub release: Vec<PinnedImage>,
    /// What runs now.
    pub snapshot: Snapshot,
    /// What would be done.
    pub plan: Plan,
    /// What is odd about it.
    pub warnings: Vec<String>,
}

impl Runner {
    /// A runner that has nothing to do yet.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let turns = Arc::<Turns>::default();
        Self(Arc::new(Inner {
            store: parts.store,
            host: parts.host,
            lanes: parts.lanes,
            catalog: parts.catalog,
            tasks: parts.tasks,
            refusing: parts.refusing,
            closing: parts.closing,
            aborting: parts.aborting,
            patience: parts.patience,
            cancellations: Mutex::default(),
            activity: watch::Sender::default(),
            snapshots: Arc::new(Looks::new(Arc::clone(&turns))),
            observations: Arc::new(Looks::new(turns)),
            resolving: Semaphore::new(RESOLVING),
        }))
    }

    /// The project of that name, as it is configured now.
    #[must_use]
    pub fn project(&self, name: &ProjectName) -> Option<Arc<Project>> {
        self.0.catalog.borrow().get(name).cloned()
    }

    /// All projects, as they are configured now.
    #[must_use]
    pub fn catalog(&self) -> Arc<Catalog> {
        self.0.catalog.borrow().clone()
    }

    /// What is under way, as it changes.
    #[must_use]
    pub fn activity(&self) -> watch::Receiver<Activity> {
        self.0.activity.subscribe()
    }

    /// Fires when windlass is being stopped.
    #[must_use]
    pub fn closing(&self) -> &CancellationToken {
        &self.0.closing
    }

    /// Writes a request down and queues it. What was begun is done even when the caller goes away.
    ///
    /// # Errors
    /// [`SubmitError`] says why it was not taken; nothing has changed then.
    pub async fn submit(&self, request: DeployRequest) -> Result<Submitted, SubmitError> {
        let runner = self.clone();
        let submission = self.0.tasks.spawn(async move { runner.take(request).await });
        submission.await.map_err(|_| SubmitError::Closing)?
    }

    async fn take(&self, request: DeployRequest) -> Result<Submitted, SubmitError> {
        if self.0.refusing.is_cancelled() {
            return Err(SubmitError::Closing);
        }
        let acceptance = match self.0.lanes.reserve(&request.project) {
            Ok(slot) => {
                let acceptance = self.0.store.accept(request).await?;
                if let Acceptance::New(deployment) = &acceptance {
                    let turn = slot.confirm(deployment.id.clone(), deployment.order, moves(deployment));
                    self.attend(deployment.clone(), turn);
                }
                acceptance
            }
            // A repetition needs no place of its own.
            Err(full) => match self.0.store.known(&request.project, &request.repetition).await? {
                Some(acceptance) => acceptance,
                None => return Err(full.into()),
            },
        };
        match acceptance {
            Acceptance::New(deployment) => Ok(Submitted::New(deployment)),
            Acceptance::Joined(deployment) => Ok(Submitted::Joined(deployment)),
            Acceptance::Conflict(id) => Err(SubmitError::Conflict(id)),
            Acceptance::Replayed(id) => Err(SubmitError::Replayed(id)),
            Acceptance::UsedUp => Err(SubmitError::UsedUp),
            Acceptance::Refused(closed) => Err(SubmitError::Refused(closed)),
        }
    }

    /// Takes up what was not finished when windlass stopped. To be called once, before the first request is taken.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn recover(&self) -> Result<usize, StoreError> {
        let unfinished = self.0.store.unfinished().await?;
        let count = unfinished.len();
        for deployment in unfinished {
            let slot = self.0.lanes.reserve_again(&deployment.project);
            let (id, order) = (deployment.id.clone(), deployment.order);
            let turn = match deployment.status.state {
                State::Queued => slot.confirm(id, order, moves(&deployment)),
                State::Running | State::Finished(_) => slot.take_up_again(id, order),
            };
            self.attend(deployment, turn);
        }
        Ok(count)
    }

    fn attend(&self, deployment: Deployment, turn: oneshot::Receiver<Turn>) {
        let (by, cancelled) = watch::channel(None);
        let cancellation = Cancellation { project: deployment.project.clone(), by };
        self.cancellations().insert(deployment.id.clone(), cancellation);
        let runner = self.clone();
        self.0.tasks.spawn(async move {
            let id = deployment.id.clone();
            runner.see_through(deployment, turn, cancelled).await;
            runner.cancellations().remove(&id);
        });
    }

    /// Asks for the end of a deployment. Answers whether there was anything to end.
    pub fn cancel(&self, id: &DeploymentId, by: &str) -> bool {
        let project = {
            let cancellations = self.cancellations();
            let Some(cancellation) = cancellations.get(id) else { return false };
            if cancellation.by.send(Some(by.to_owned())).is_err() {
                return false;
            }
            cancellation.project.clone()
        };
        self.0.lanes.cancel(&project, id);
        true
    }

    /// What `wanted` would do in `project` right now. Changes nothing.
    ///
    /// # Errors
    /// When an image cannot be resolved or the machine cannot be read.
    pub async fn plan(&self, project: &Project, wanted: &Wanted) -> Result<DryRun, HostError> {
        let release = {
            // Never closed.
            let _turn = self.0.resolving.acquire().await;
            self.resolve(wanted).await?
        };
        let repositories = Repository::of_all(&release);
        let (runner, spec, of) = (self.clone(), Arc::clone(&project.spec), repositories.clone());
        let read = async move {
            let snapshot = runner.snapshot(&spec, &of).await?;
            Ok((snapshot, runner.0.host.warnings(&spec).await?))
        };
        let (snapshot, warnings) = self.0.snapshots.look(&project.spec.name, repositories, read).await?;
        let plan = plan::forward(&release, &snapshot, Rollout::of(&project.spec));
        Ok(DryRun { release, snapshot, plan, warnings })
    }

    /// What runs of `project` right now, read from the machine.
    ///
    /// # Errors
    /// When the machine cannot be read.
    pub async fn observe(&self, project: &Project) -> Result<Vec<Instance>, HostError> {
        let (host, spec) = (Arc::clone(&self.0.host), Arc::clone(&project.spec));
        self.0.observations.look(&project.spec.name, (), async move { host.observe(&spec).await }).await
    }

    /// Hands on what runs of `project` prints.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn logs(&self, project: &Project, wish: LogWish, sink: &LogSink) -> Result<(), HostError> {
        self.0.host.logs(&project.spec, wish, sink).await
    }

    async fn resolve(&self, wanted: &Wanted) -> Result<Vec<PinnedImage>, HostError> {
        match wanted {
            Wanted::Release(images) => Ok(images.clone()),
            Wanted::Images(images) => {
                futures_util::future::try_join_all(images.iter().map(|image| self.0.host.resolve(image))).await
            }
        }
    }

    fn cancellations(&self) -> MutexGuard<'_, HashMap<DeploymentId, Cancellation>> {
        self.0.cancellations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn moves(deployment: &Deployment) -> BTreeSet<Repository> {
    match &deployment.status.wanted {
        Wanted::Images(images) => images.iter().map(|image| image.repository().clone()).collect(),
        Wanted::Release(images) => images.iter().map(|image| image.image.repository().clone()).collect(),
    }
}
