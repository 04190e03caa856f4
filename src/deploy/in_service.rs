//! What windlass has put into service of a project: per repository the image that a deployment last moved with success.
//!
//! That is what should run. What does run is read from the machine.

use super::event::Outcome;
use super::snapshot::Instance;
use super::way_back::{Past, is_there, runs};
use crate::model::{DeploymentId, PinnedImage, Repository, Timestamp};

/// An image that a deployment has put into service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InService {
    /// The image, by the name by which it was deployed.
    pub image: PinnedImage,
    /// That deployment.
    pub by: DeploymentId,
    /// When it ended.
    pub since: Timestamp,
    /// The services that it has moved to the image.
    pub services: Vec<String>,
}

/// What was put into service of `repositories`, by a project's past. None of a repository that was never deployed.
#[must_use]
pub fn in_service<'a>(newest_first: impl IntoIterator<Item = Past<'a>>, repositories: &[Repository]) -> Vec<InService> {
    let mut found: Vec<InService> = Vec::new();
    for past in newest_first {
        if past.status.outcome() != Some(Outcome::Succeeded) {
            continue;
        }
        for image in past.status.release.iter().flatten() {
            let repository = image.image.repository();
            if repositories.contains(repository)
                && !found.iter().any(|known| known.image.image.repository() == repository)
            {
                let snapshot = past.status.course.iter().flat_map(|course| &course.snapshot.services);
                let moved = snapshot.filter(|service| service.reference.repository() == repository);
                let mut services: Vec<String> = moved.map(|service| service.name.clone()).collect();
                services.dedup();
                found.push(InService { image: image.clone(), by: past.id.clone(), since: past.at, services });
            }
        }
        if found.len() == repositories.len() {
            break;
        }
    }
    found
}

/// The images in whose place something else runs: somebody changed by hand what was deployed. Where nothing runs at all
/// of an image's repository, there is nothing else.
#[must_use]
pub fn drift(in_service: &[InService], running: &[Instance]) -> Vec<PinnedImage> {
    let images = in_service.iter().map(|found| &found.image);
    images.filter(|image| is_there(running, image) && !runs(running, image, |_| true)).cloned().collect()
}

/// The services of which nothing is there any more, although a deployment has put them into service.
#[must_use]
pub fn missing(in_service: &[InService], running: &[Instance]) -> Vec<String> {
    let services = in_service.iter().flat_map(|found| &found.services);
    let mut missing: Vec<String> =
        services.filter(|service| !running.iter().any(|instance| instance.service == **service)).cloned().collect();
    missing.sort();
    missing.dedup();
    missing
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::event::{Event, Outcome};
    use crate::deploy::snapshot::Condition;
    use crate::deploy::status::Status;
    use crate::deploy::status::tests::good_history;

    #[test]
    fn a_service_of_which_nothing_is_left_is_missing() {
        let mut events = good_history();
        events.push(Event::Finished { outcome: Outcome::Succeeded, reason: None });
        let status = Status::replay(&events).unwrap().unwrap();
        let id: DeploymentId = "01jd5zk0000000000000000000".parse().unwrap();
        let past = Past { id: &id, at: Timestamp::from_millis(7), status: &status };
        let repositories: Vec<Repository> =
            status.release.iter().flatten().map(|image| image.image.repository().clone()).collect();
        let found = in_service([past], &repositories);
        assert_eq!((&found[0].by, found[0].since), (&id, past.at));
        let services = found[0].services.clone();
        assert!(services.len() > 1, "{services:?}");
        let instance = |service: &String| Instance {
            name: format!("shop-{service}-1"),
            service: service.clone(),
            image: String::new(),
            digest: String::new(),
            state: "running".to_owned(),
            condition: Condition::Working,
            pinned: None,
        };
        let all: Vec<Instance> = services.iter().map(instance).collect();
        assert_eq!(missing(&found, &all), [""; 0]);
        assert_eq!(missing(&found, &all[1..]), services[..1]);
    }
}
