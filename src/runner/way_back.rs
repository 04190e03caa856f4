//! Which release an operator goes back to.

use super::Runner;
use crate::deploy::event::Outcome;
use crate::deploy::status::State;
use crate::model::{DeploymentId, PinnedImage, ProjectName};
use crate::store::{Deployment, StoreError};

/// How many good deployments are looked through for one that moved anything.
const HISTORY: usize = 100;

/// Why there is nothing to go back to.
#[derive(Debug, thiserror::Error)]
pub enum NoWayBack {
    /// Nothing good ever replaced something else.
    #[error("nothing is known that ran in {0} before what runs now; name a deployment of before with `to`")]
    Nothing(ProjectName),
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
    /// The history could not be read.
    #[error("failed to read what ran before")]
    Store(#[from] StoreError),
}

impl Runner {
    /// The release of the deployment `to`; without one, what ran before the newest good release.
    ///
    /// # Errors
    /// [`NoWayBack`] says why there is none.
    pub async fn way_back(
        &self,
        project: &ProjectName,
        to: Option<&DeploymentId>,
    ) -> Result<Vec<PinnedImage>, NoWayBack> {
        if let Some(id) = to {
            let found = self.0.store.deployment(id).await?.filter(|found| found.project == *project);
            return release_of(found.ok_or_else(|| NoWayBack::Unknown(id.clone()))?);
        }
        let good = self.0.store.succeeded(project, HISTORY).await?;
        before(&good).ok_or_else(|| NoWayBack::Nothing(project.clone()))
    }
}

fn release_of(deployment: Deployment) -> Result<Vec<PinnedImage>, NoWayBack> {
    let state = match deployment.status.state {
        State::Finished(Outcome::Succeeded) => return Ok(deployment.status.release.unwrap_or_default()),
        State::Finished(outcome) => outcome.as_str(),
        State::Queued => "queued",
        State::Running => "running",
    };
    Err(NoWayBack::NotGood { id: deployment.id, state })
}

/// What ran before the newest of the `good` deployments, newest first. One that deployed again what ran already
/// replaced nothing, and is passed over.
fn before(good: &[Deployment]) -> Option<Vec<PinnedImage>> {
    let runs = good.first()?.status.release.as_deref()?;
    let same = |a: &PinnedImage, b: &PinnedImage| a.digest == b.digest && a.image.repository() == b.image.repository();
    let replaced = good.iter().find_map(|deployment| {
        let previous = deployment.status.course.as_ref()?.snapshot.previous();
        let other = !previous.is_empty() && !previous.iter().all(|image| runs.iter().any(|now| same(image, now)));
        other.then_some(previous)
    })?;
    // The snapshot calls an image by what the target names it; whoever deployed it gave it a better name.
    let releases = || good.iter().filter_map(|deployment| deployment.status.release.as_deref()).flatten();
    let named =
        replaced.into_iter().map(|image| releases().find(|known| same(known, &image)).cloned().unwrap_or(image));
    Some(named.collect())
}
