//! What windlass has put into service of a project: per repository the image that a deployment last moved with success.
//!
//! That is what should run. What does run is read from the machine.

use super::event::Outcome;
use super::snapshot::Instance;
use super::way_back::{Past, is_there, runs};
use crate::model::{PinnedImage, Repository, Timestamp};

/// An image that a deployment has put into service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InService {
    /// The image, by the name by which it was deployed.
    pub image: PinnedImage,
    /// When that deployment ended.
    pub since: Timestamp,
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
                found.push(InService { image: image.clone(), since: past.at });
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
