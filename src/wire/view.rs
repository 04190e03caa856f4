//! Deployments, plans and projects as callers read them.

use serde::{Deserialize, Serialize};

use super::event::Plan;
use super::release::{ImageView, RequestedBy, Rollback};
use super::state::{Condition, StatusWord};
use super::text::short;
use crate::deploy::snapshot::{Instance, Snapshot};
use crate::deploy::status::Status;
use crate::deploy::way_back::{Entry, Standing};
use crate::deploy::{event, plan};
use crate::model::{DeploymentId, PinnedImage, ProjectName, Timestamp};

/// One deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentView {
    /// Its id.
    pub id: DeploymentId,
    /// Whose.
    pub project: ProjectName,
    /// `queued`, `running` or an outcome.
    pub status: StatusWord,
    /// What is being done, while it is running.
    pub phase: Option<String>,
    /// Why it did not succeed, as soon as that is known.
    pub reason: Option<String>,
    /// What it puts into service; without digests until it is resolved.
    pub release: Vec<ImageView>,
    /// What ran before.
    pub previous: Vec<ImageView>,
    /// What runs now, read from the machine; nothing when the machine was not asked or did not answer.
    pub running: Option<Vec<RunningView>>,
    /// Who asked.
    pub requested_by: RequestedBy,
    /// Where from and where to, where an operator went back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<Rollback>,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When its turn came.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

/// A container or unit that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningView {
    /// Its name.
    pub name: String,
    /// The reference that it was started from.
    pub image: String,
    /// What that is.
    pub digest: String,
    /// Its state in a word or two.
    pub state: String,
    /// The same for programs.
    #[serde(default)]
    pub condition: Condition,
    /// Whether the reference still means what it was started from; nothing where nobody can say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned: Option<bool>,
}

/// What a request would do: the answer to `dry_run=1`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanView {
    /// Always true: nothing was changed.
    pub dry_run: bool,
    /// Where from and where to, where it would be a rollback by command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<Rollback>,
    /// What would be put into service.
    pub release: Vec<ImageView>,
    /// What runs now.
    pub previous: Vec<ImageView>,
    /// The services that would be moved.
    pub services: Vec<String>,
    /// What would be done, in words.
    pub steps: Vec<String>,
    /// The same for programs.
    pub plan: Plan,
    /// What is odd about it, and keeps no deployment from being tried.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// A project as it is configured, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectView {
    /// Its name.
    pub name: ProjectName,
    /// The repositories deployable here.
    pub images: Vec<String>,
    /// The tags deployable here.
    pub tags: Vec<String>,
    /// How it is put into service: `compose`.
    pub target: String,
    /// Set while nothing is let through.
    pub frozen: Option<FreezeView>,
    /// The newest deployment.
    pub newest: Option<DeploymentView>,
    /// What runs now, where the machine was asked and answered.
    pub running: Option<Vec<RunningView>>,
    /// The images of what runs, each once, by the names by which they were deployed; by digest alone where they were not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<ImageView>,
    /// What was put into service last with success: what should run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub in_service: Vec<ImageView>,
    /// When the newest of it came into service, where it is what runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// The services of it of which nothing is there any more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// The newest deployment that has put something of it into service: what `rollback --to` puts back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released_by: Option<DeploymentId>,
    /// What was said last of a deployment that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doing: Option<String>,
    /// What was deployed last with success, where something else runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drift: Vec<ImageView>,
    /// Why the machine could not be read, where it could not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<String>,
}

/// Why nothing is let through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FreezeView {
    /// Why.
    pub reason: Option<String>,
    /// Who froze it.
    pub by: String,
    /// Since when.
    pub since: Timestamp,
    /// Until when; until unfrozen when absent.
    pub until: Option<Timestamp>,
}

/// Where a rollback of a project can go: the answer to `GET /v1/projects/{p}/rollback`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaysBack {
    /// Where a rollback goes that names nothing.
    pub next: Option<Rollback>,
    /// What that would put into service.
    pub release: Vec<ImageView>,
    /// Why such a rollback goes nowhere.
    pub refused: Option<String>,
    /// What runs now, where the machine answered.
    pub running: Option<Vec<RunningView>>,
    /// Every deployment that is looked at, newest first.
    pub releases: Vec<ReleaseView>,
}

/// A deployment, and what it is to a rollback.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseView {
    /// Its id: what `--to` names.
    pub deployment: DeploymentId,
    /// `queued`, `running` or an outcome.
    pub status: StatusWord,
    /// The project's release once it had succeeded; else what it would have put into service.
    pub release: Vec<ImageView>,
    /// When it ended, or was accepted where it has not ended.
    pub at: Timestamp,
    /// Whether a rollback that names nothing may come to it.
    pub candidate: bool,
    /// Why it does not.
    pub reason: Option<String>,
}

/// A list with room for more to come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployments {
    /// Newest first.
    pub deployments: Vec<DeploymentView>,
}

/// All projects of this host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Projects {
    /// By name.
    pub projects: Vec<ProjectView>,
    /// How much is remembered, for those who may know about the whole host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<StateView>,
    /// Why the newest configuration is not in force, for those who may know about the whole host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken_configuration: Option<BrokenConfiguration>,
}

/// A configuration that cannot be used; the one that was read before stays in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokenConfiguration {
    /// The first of its problems.
    pub problem: String,
    /// When the one that is in force was read.
    pub in_force_since: Timestamp,
}

/// How much is remembered on this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateView {
    /// On disk.
    pub bytes: u64,
    /// How much room is left there, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free_bytes: Option<u64>,
    /// How many deployments.
    pub deployments: u64,
}

/// The callers that were refused of late: the answer to `GET /v1/refused`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedCallers {
    /// The newest first.
    pub refused: Vec<RefusedView>,
}

/// A caller that was refused, as often as that was for the same reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedView {
    /// When, the last time.
    pub at: Timestamp,
    /// When, the first time.
    pub since: Timestamp,
    /// How often.
    pub times: u64,
    /// From which address, or network of IPv6.
    pub from: String,
    /// The project that was named, where a name of one was.
    pub project: Option<ProjectName>,
    /// The status of the answer.
    pub status: u16,
    /// Why, as the host knows it.
    pub reason: String,
}

/// A line that a container or unit has printed. Without a name it says why no more can be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLineView {
    /// The container or unit.
    pub name: String,
    /// The line.
    pub line: String,
}

/// Which windlass answers: the answer to `GET /v1/version`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionView {
    /// As its package has it.
    pub version: String,
}

/// An authentic delivery that asks for nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ignored {
    /// Why there is nothing to do.
    pub ignored: String,
}

/// When the stages of a deployment were reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// Accepted.
    pub created_at: Timestamp,
    /// Its turn.
    pub started_at: Option<Timestamp>,
    /// Its end.
    pub finished_at: Option<Timestamp>,
}

impl DeploymentView {
    /// The view of one deployment.
    #[must_use]
    pub fn new(
        id: DeploymentId,
        project: ProjectName,
        status: &Status,
        times: Times,
        running: Option<Vec<Instance>>,
    ) -> Self {
        let release = match &status.release {
            Some(release) => ImageView::release(release),
            None => ImageView::wanted(&status.wanted),
        };
        let previous = status.course.as_ref().map(|course| ImageView::previous(&course.snapshot)).unwrap_or_default();
        Self {
            id,
            project,
            status: status.state.into(),
            phase: status.phase().map(|phase| phase.as_str().to_owned()),
            reason: status.reason.clone(),
            release,
            previous,
            running: running.map(runs),
            requested_by: (&status.requested_by).into(),
            rollback: status.rollback.as_ref().map(Into::into),
            created_at: times.created_at,
            started_at: times.started_at,
            finished_at: times.finished_at,
        }
    }
}

impl PlanView {
    /// The view of a plan that is not carried out.
    #[must_use]
    pub fn new(
        release: &[PinnedImage],
        snapshot: &Snapshot,
        plan: &plan::Plan,
        rollback: Option<&event::Rollback>,
    ) -> Self {
        Self {
            dry_run: true,
            rollback: rollback.map(Into::into),
            release: ImageView::release(release),
            previous: ImageView::previous(snapshot),
            services: snapshot.services.iter().map(|service| service.name.clone()).collect(),
            steps: plan.steps.iter().map(ToString::to_string).collect(),
            plan: plan.into(),
            warnings: Vec::new(),
        }
    }
}

impl PlanView {
    /// The plan for people.
    #[must_use]
    pub fn in_lines(&self) -> Vec<String> {
        let now = if self.previous.is_empty() { "nothing of these images".to_owned() } else { short(&self.previous) };
        let mut lines: Vec<String> = self.rollback.iter().map(|rollback| rollback.in_words(&self.release)).collect();
        lines.extend([
            format!("release   {}", short(&self.release)),
            format!("running   {now}"),
            format!("services  {}", self.services.join(", ")),
        ]);
        lines.extend(self.steps.iter().enumerate().map(|(number, step)| format!("{:>8}. {step}", number + 1)));
        lines.extend(self.warnings.iter().map(|warning| format!("warning: {warning}")));
        lines.push("nothing was changed".to_owned());
        lines
    }
}

impl WaysBack {
    /// Whether each image of the release is among what runs.
    #[must_use]
    pub fn runs(&self, view: &ReleaseView) -> bool {
        let running = self.running.iter().flatten();
        let runs = |image: &ImageView| {
            running.clone().any(|found| image.digest.as_ref().is_some_and(|digest| found.digest == digest.as_str()))
        };
        !view.release.is_empty() && view.release.iter().all(runs)
    }
}

impl ReleaseView {
    /// The view of one deployment of a project's past.
    #[must_use]
    pub fn new(entry: &Entry<'_>) -> Self {
        let status = StatusWord::from(entry.past.status.state);
        let reason = match &entry.standing {
            Standing::Candidate => None,
            Standing::LeftBy(id) => Some(format!("{id} went back from it")),
            Standing::SameAs(id) => Some(format!("the same release as {id}")),
            Standing::NotGood => Some(format!("it did not succeed: {status}")),
            Standing::Foreign => Some("its images no longer belong to the project".to_owned()),
        };
        Self {
            deployment: entry.past.id.clone(),
            status,
            release: ImageView::release(&entry.release),
            at: entry.past.at,
            candidate: entry.standing == Standing::Candidate,
            reason,
        }
    }
}

/// Instances as callers read them.
#[must_use]
pub fn runs(instances: Vec<Instance>) -> Vec<RunningView> {
    let run = |Instance { name, image, digest, state, condition, pinned, .. }| RunningView {
        name,
        image,
        digest,
        state,
        condition: condition.into(),
        pinned,
    };
    instances.into_iter().map(run).collect()
}
