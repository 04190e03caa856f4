//! One delivery, whatever brought it: proven, admitted, taken and logged. Nothing here knows HTTP but for the head of a request.

mod rates;
mod refused;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::auth::{self, Caller, Delivery, Identity, Key, NotAuthentic, Request, Verified};
use crate::deploy::catalog::Project;
use crate::deploy::event::Rollback;
use crate::deploy::incident::ProjectEvent;
use crate::deploy::request::{Asked, DeployRequest, Refusal, Repetition, admit};
use crate::model::{Clock, DeliveryId, ProjectName, one_line};
use crate::runner::{DryRun, Runner, Submitted};
use crate::store::{Deployment, Store};

use rates::Rates;

pub use refused::Refused;

/// How long a dry run may ask the registry and the engine.
pub const PLANNING: Duration = Duration::from_secs(30);

/// Of a reason as it is logged and written down, in characters.
const LONGEST_REASON: usize = 300;

/// Takes deliveries in.
pub struct Intake {
    runner: Runner,
    store: Store,
    clock: Clock,
    rates: Rates,
}

/// A delivery that was proven.
pub struct Received<'a> {
    /// The project that it is for.
    pub project: &'a Arc<Project>,
    /// Who made it.
    pub caller: &'a Caller,
    /// What it asks for, or why it is not understood.
    pub asked: Result<Asked<'a>, Refusal>,
    /// What is to be done with it.
    pub purpose: Purpose,
}

/// What is to be done with a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Deploy what it asks for.
    Deploy,
    /// Say what would be done.
    Plan,
    /// The same, said beside what was signed, or something that was said there and is not understood. It must not
    /// become a deployment when somebody sends the delivery again without it, so the delivery is used up.
    PlanUnsigned,
}

/// What became of a delivery.
#[derive(Debug)]
pub enum Decided {
    /// Nothing changed.
    Planned {
        /// What would be done.
        run: Box<DryRun>,
        /// Where from and where to, where it would be a rollback by command.
        rollback: Option<Rollback>,
    },
    /// It is on disk.
    Accepted {
        /// What it became, or became when it was sent first.
        deployment: Box<Deployment>,
        /// Whether it was sent before.
        joined: bool,
    },
}

impl Intake {
    /// An intake that lets each key ask for at most `per_minute` deployments.
    #[must_use]
    pub fn new(runner: Runner, store: Store, clock: Clock, per_minute: usize) -> Self {
        Self { runner, store, clock, rates: Rates::new(per_minute) }
    }

    /// Proves that `request` was sent to the project `name` with one of its keys. What is not even a name of a project is
    /// treated like a name that no project has, and takes the same time.
    ///
    /// # Errors
    /// [`NotAuthentic`] tells its caller nothing, and the log why.
    pub fn prove(
        &self,
        name: Option<&ProjectName>,
        request: &Request<'_>,
    ) -> Result<(Arc<Project>, Verified<Delivery>), NotAuthentic> {
        let project = name.and_then(|name| self.runner.project(name));
        let keys: &[Key] = project.as_ref().map_or(&[], |project| &project.keys);
        let proven = auth::verify(keys, request, self.clock.now())?;
        // Without a project there is no key, and without a key no proof.
        project.map(|project| (project, proven)).ok_or_else(NotAuthentic::no_key)
    }

    /// Admits a delivery and takes it down, or plans it where only that is wanted. It is logged in one line.
    ///
    /// # Errors
    /// [`Refused`] says why it does not get what it asks for.
    pub async fn receive(&self, received: Received<'_>) -> Result<Decided, Refused> {
        let (project, caller, purpose) = (received.project, received.caller, received.purpose);
        let decided = self.decide(received).await;
        log(project, caller, &decided);
        if let (Err(refused), Purpose::Deploy) = (&decided, purpose)
            && refused.is_news()
        {
            self.note(project, caller, refused).await;
        }
        decided
    }

    /// Writes down that somebody who may ask was refused. Nothing depends on it.
    async fn note(&self, project: &Project, caller: &Caller, refused: &Refused) {
        let (by, delivery) = who(caller);
        let reason = one_line(&refused.to_string(), LONGEST_REASON);
        let problem = refused.name().to_owned();
        let event = ProjectEvent::Refused { by: by.to_owned(), delivery: delivery.cloned(), problem, reason };
        if let Err(error) = self.store.tell_of_project(&project.spec.name, &event).await {
            tracing::warn!(project = %project.spec.name, %error, "failed to write a refusal down");
        }
    }

    async fn decide(&self, received: Received<'_>) -> Result<Decided, Refused> {
        let Received { project, caller, asked, purpose } = received;
        if let (Some(key), Purpose::Deploy) = (caller.key(), purpose) {
            let key = format!("{}/{key}", project.spec.name);
            self.rates.take(&key, Instant::now()).map_err(|wait| Refused::TooOften { wait })?;
        }
        if purpose == Purpose::PlanUnsigned {
            self.store.use_up(&project.spec.name, Repetition::of(caller)).await?;
        }
        let request = match asked.and_then(|asked| admit(project, caller, asked)) {
            Ok(request) => request,
            Err(refusal) => {
                // It is known from now on: what somebody recorded of it is worth nothing once something newer was
                // accepted.
                self.store.refuse(&project.spec.name, Repetition::of(caller)).await?;
                return Err(refusal.into());
            }
        };
        match purpose {
            Purpose::Deploy => self.take(request).await,
            Purpose::Plan | Purpose::PlanUnsigned => self.plan(project, request).await,
        }
    }

    async fn take(&self, request: DeployRequest) -> Result<Decided, Refused> {
        let (deployment, joined) = match self.runner.submit(request).await {
            Ok(Submitted::New(deployment)) => (deployment, false),
            Ok(Submitted::Joined(deployment)) => (deployment, true),
            Err(error) => return Err(Refused::NotTaken { error, now: self.clock.now() }),
        };
        Ok(Decided::Accepted { deployment: Box::new(deployment), joined })
    }

    async fn plan(&self, project: &Project, request: DeployRequest) -> Result<Decided, Refused> {
        let DeployRequest { wanted, rollback, .. } = request;
        match tokio::time::timeout(PLANNING, self.runner.plan(project, &wanted)).await {
            Ok(Ok(run)) => Ok(Decided::Planned { run: Box::new(run), rollback }),
            Ok(Err(error)) if error.is_passing() => Err(Refused::Away(error.to_string())),
            Ok(Err(error)) => Err(Refused::Unplannable(error.to_string())),
            Err(_) => Err(Refused::no_answer(PLANNING)),
        }
    }
}

/// One line for each delivery that was authentic.
fn log(project: &Project, caller: &Caller, decided: &Result<Decided, Refused>) {
    let project = &project.spec.name;
    let (by, delivery) = who(caller);
    let delivery = delivery.map_or("", DeliveryId::as_str);
    match decided {
        Ok(Decided::Accepted { deployment, joined: false }) => {
            tracing::info!(%project, by, delivery, deployment = %deployment.id, "accepted");
        }
        Ok(Decided::Accepted { deployment, joined: true }) => {
            tracing::info!(%project, by, delivery, deployment = %deployment.id, "repeated");
        }
        Ok(Decided::Planned { .. }) => tracing::info!(%project, by, delivery, "planned"),
        Err(refused) => {
            let reason = one_line(&refused.to_string(), LONGEST_REASON);
            tracing::info!(%project, by, delivery, problem = refused.name(), reason, "refused");
        }
    }
}

/// How logs and the journal call a caller, and the id of its delivery.
fn who(caller: &Caller) -> (&str, Option<&DeliveryId>) {
    match caller {
        Caller::Operator(operator) => (operator, None),
        Caller::Key(proven) => {
            let delivery = match &proven.get().identity {
                Identity::Id(id) => Some(id),
                Identity::Body | Identity::None | Identity::Unusable => None,
            };
            (proven.key().as_str(), delivery)
        }
    }
}
