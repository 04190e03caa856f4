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
    /// Back from what is being deployed, or from what that replaces?
    #[error(
        "{0} has no outcome yet, so it is open what to go back from: cancel it (windlass cancel {0}), \
         which puts back what ran before, or name a deployment (--to ID)"
    )]
    UnderWay(DeploymentId),
    /// Nothing good ever replaced something else.
    #[error("nothing is known that ran in {0} before what runs now: name a deployment (--to ID)")]
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
        if let Some(open) = self.0.store.unfinished().await?.into_iter().find(|open| open.project == *project) {
            return Err(NoWayBack::UnderWay(open.id));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::event::{Event, RequestedBy, Wanted};
    use crate::deploy::plan::Plan;
    use crate::deploy::snapshot::{Container, Service, Snapshot};
    use crate::deploy::status::Status;
    use crate::model::{Digest, LocalImage, Timestamp};

    fn image(reference: &str, content: &str) -> PinnedImage {
        PinnedImage { image: reference.parse().unwrap(), digest: Digest::of(content.as_bytes()) }
    }

    /// One that put `r.io/web:NEW` in the place of `before`.
    fn deployment(new: &str, before: Option<&str>) -> Deployment {
        let release = vec![image(&format!("r.io/web:{new}"), new)];
        let local = |content: &str| {
            let digest = Digest::of(content.as_bytes());
            LocalImage { id: digest.clone(), digest: Some(digest) }
        };
        let service = Service {
            name: "web".to_owned(),
            reference: "r.io/web:live".parse().unwrap(),
            pinned: None,
            container: before.map(|content| Container { image: local(content), working: true }),
            active: false,
        };
        let wanted = Wanted::Images(vec![format!("r.io/web:{new}").parse().unwrap()]);
        let mut status = Status::begin(&Event::Queued { wanted, requested_by: RequestedBy::default() }).unwrap();
        for event in [
            Event::Started,
            Event::Resolved { images: release },
            Event::Planned { snapshot: Snapshot { services: vec![service] }, plan: Plan::default() },
            Event::Finished { outcome: Outcome::Succeeded, reason: None },
        ] {
            status.apply(&event).unwrap();
        }
        let at = Timestamp::from_millis(0);
        Deployment {
            id: DeploymentId::new(at),
            order: 1,
            project: "shop".parse().unwrap(),
            status,
            created_at: at,
            started_at: None,
            finished_at: None,
        }
    }

    #[test]
    fn the_way_back_is_what_the_newest_good_release_replaced() {
        let found = |good: &[Deployment]| before(good).map(|release| release[0].to_string());
        let v1 = || image("r.io/web:v1", "v1").to_string();
        assert_eq!(found(&[]), None);
        assert_eq!(found(&[deployment("v1", None)]), None);
        assert_eq!(found(&[deployment("v2", Some("v1")), deployment("v1", None)]), Some(v1()));
        // The same release once more replaced nothing.
        let again = [deployment("v2", Some("v2")), deployment("v2", Some("v1")), deployment("v1", None)];
        assert_eq!(found(&again), Some(v1()));
        // What windlass did not deploy has only the name that the target gives it.
        let unknown = image("r.io/web:live", "by hand").to_string();
        assert_eq!(found(&[deployment("v1", Some("by hand"))]), Some(unknown));
        // Back, and back again, is forward.
        let toggled = [deployment("v1", Some("v2")), deployment("v2", Some("v1"))];
        assert_eq!(found(&toggled), Some(image("r.io/web:v2", "v2").to_string()));
    }

    #[test]
    fn only_a_release_that_succeeded_can_be_gone_back_to() {
        let mut one = deployment("v1", None);
        assert_eq!(release_of(one.clone()).unwrap(), [image("r.io/web:v1", "v1")]);
        for state in [State::Queued, State::Running, State::Finished(Outcome::RolledBack)] {
            one.status.state = state;
            assert!(matches!(release_of(one.clone()), Err(NoWayBack::NotGood { .. })), "{state:?}");
        }
    }
}
