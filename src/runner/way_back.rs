//! Where an operator's rollback goes: reads the history and the machine, and has `deploy::way_back` decide.

use std::collections::BTreeSet;

use super::Runner;
use crate::deploy::catalog::Project;
use crate::deploy::event::Outcome;
use crate::deploy::in_service::{InService, in_service};
use crate::deploy::spec::ProjectSpec;
use crate::deploy::way_back::{History, Nothing, Past, WayBack};
use crate::host::HostError;
use crate::model::{DeploymentId, ProjectName, Timestamp};
use crate::store::{Deployment, Filter, StoreError};

/// How many deployments are looked at, and how many good ones besides where those are older.
const RECENT: usize = 100;
const GOOD: usize = 100;

/// Why there is nothing to go back to.
#[derive(Debug, thiserror::Error)]
pub enum NoWayBack {
    /// Back from what is being deployed, or from what that replaces?
    #[error(
        "{0} has no outcome yet: cancel it (windlass cancel {0}), \
         which puts back what ran before, or name a deployment (--to ID)"
    )]
    UnderWay(DeploymentId),
    /// Nothing was ever good.
    #[error("no deployment of {0} has succeeded yet, so there is no release to go back to")]
    NeverGood(ProjectName),
    /// What runs is the oldest.
    #[error(
        "there is nothing older to go back to: {release} runs, the oldest good release of {project} that no rollback \
         has left; `windlass rollback {project} --list` shows all, and --to ID goes to any good one"
    )]
    Oldest {
        /// Of which project.
        project: ProjectName,
        /// What runs.
        release: String,
    },
    /// The deployment does not exist, or is of another project.
    #[error("there is no deployment {0} of this project")]
    Unknown(DeploymentId),
    /// The deployment is no proof that its release works.
    #[error("the deployment {id} did not succeed ({state}); go back to one that did")]
    NotGood {
        /// Which one.
        id: DeploymentId,
        /// What became of it.
        state: &'static str,
    },
    /// Nobody can say what to go back from.
    #[error("what runs now cannot be read: {0}; --to ID goes to a release without asking what runs")]
    Unreadable(HostError),
    /// The history could not be read.
    #[error("failed to read what ran before")]
    Store(#[from] StoreError),
}

impl Runner {
    /// The way to the release of the deployment `to`. Without one: to the newest good release where something else
    /// runs, and to the one before it where that runs.
    ///
    /// # Errors
    /// [`NoWayBack`] says why there is none.
    pub async fn way_back(&self, project: &Project, to: Option<&DeploymentId>) -> Result<WayBack, NoWayBack> {
        let name = &project.spec.name;
        let past = self.past(name, to).await?;
        let past: Vec<Past<'_>> = past.iter().map(past_of).collect();
        let history = History::read(&past, &project.spec.images);
        let Some(id) = to else {
            if let Some(open) = self.0.store.unfinished().await?.into_iter().find(|open| open.project == *name) {
                return Err(NoWayBack::UnderWay(open.id));
            }
            let running = self.observe(project).await.map_err(NoWayBack::Unreadable)?;
            return history.way_back(&running).map_err(|nothing| no_way(name, &history, &nothing));
        };
        let entry = history.entries().iter().find(|entry| entry.past.id == id);
        let entry = entry.ok_or_else(|| NoWayBack::Unknown(id.clone()))?;
        // Every good release can be asked for by name, left or not.
        if entry.past.status.outcome() != Some(Outcome::Succeeded) {
            return Err(NoWayBack::NotGood { id: id.clone(), state: entry.past.status.state.as_str() });
        }
        // Whoever names a release gets it, also from a machine that does not answer just now.
        let running = self.observe(project).await.unwrap_or_default();
        Ok(history.to(entry, &running))
    }

    /// What windlass has put into service of `project`.
    ///
    /// # Errors
    /// When the history cannot be read.
    pub async fn in_service(&self, project: &Project) -> Result<Vec<InService>, StoreError> {
        // Most deployments move all that a project has.
        const FEW: usize = 2;
        let ProjectSpec { name, images, .. } = &*project.spec;
        let read = async |limit| {
            let past = self.0.store.succeeded(name, limit).await?;
            Ok::<_, StoreError>((in_service(past.iter().map(past_of), images), past.len()))
        };
        let (found, count) = read(FEW).await?;
        if found.len() == images.len() || count < FEW { Ok(found) } else { Ok(read(GOOD).await?.0) }
    }

    /// What a rollback of `project` can go to: the deployments to read a [`History`] from, newest first, with `to`
    /// among them if it is of this project.
    ///
    /// # Errors
    /// When the history cannot be read.
    pub async fn past(&self, project: &ProjectName, to: Option<&DeploymentId>) -> Result<Vec<Deployment>, StoreError> {
        let recent = Filter { project: Some(project.clone()), limit: RECENT, ..Filter::default() };
        let mut past = self.0.store.deployments(&recent).await?;
        past.extend(self.0.store.succeeded(project, GOOD).await?);
        if let Some(to) = to {
            past.extend(self.0.store.deployment(to).await?.filter(|found| found.project == *project));
        }
        let mut seen = BTreeSet::new();
        past.retain(|deployment| seen.insert(deployment.order));
        past.sort_by_key(|deployment| std::cmp::Reverse(deployment.order));
        Ok(past)
    }
}

/// A deployment as `deploy::way_back` reads it.
#[must_use]
pub fn past_of(deployment: &Deployment) -> Past<'_> {
    let at: Timestamp = deployment.finished_at.unwrap_or(deployment.created_at);
    Past { id: &deployment.id, at, status: &deployment.status }
}

fn no_way(project: &ProjectName, history: &History<'_>, nothing: &Nothing) -> NoWayBack {
    match nothing {
        Nothing::NeverGood => NoWayBack::NeverGood(project.clone()),
        Nothing::Oldest(id) => {
            let oldest = history.entries().iter().find(|entry| entry.past.id == id);
            let release = oldest.map(|entry| entry.release.as_slice()).unwrap_or_default();
            let release: Vec<String> = release.iter().map(ToString::to_string).collect();
            NoWayBack::Oldest { project: project.clone(), release: release.join(", ") }
        }
    }
}
