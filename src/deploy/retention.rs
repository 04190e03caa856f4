//! Which images stay on the host, so that there is a way back.

use super::snapshot::Snapshot;
use super::status::Status;
use crate::model::PinnedImage;

/// The images to keep. Of each repository these are the last `releases` of the deployments that succeeded, `good`, the
/// newest first, with what ran before each of them; and what `put_back` saw, good or not.
#[must_use]
pub fn keep<'s>(
    good: impl Iterator<Item = &'s Status>,
    put_back: Option<&Snapshot>,
    releases: usize,
) -> Vec<PinnedImage> {
    let mut kept: Vec<PinnedImage> = Vec::new();
    for status in good {
        let before = status.course.as_ref().map(|course| course.snapshot.previous()).unwrap_or_default();
        for image in status.release.iter().flatten().cloned().chain(before) {
            let of_same = |kept: &&PinnedImage| kept.image.repository() == image.image.repository();
            let is_known = kept.iter().filter(of_same).any(|kept| kept.digest == image.digest);
            if !is_known && kept.iter().filter(of_same).count() < releases {
                kept.push(image);
            }
        }
    }
    kept.extend(put_back.map(Snapshot::previous).unwrap_or_default());
    kept
}

#[cfg(test)]
mod tests {
    use super::super::event::{Event, Outcome};
    use super::super::snapshot::{Before, Present, Service};
    use super::super::status::tests::{queued, replay};
    use super::*;
    use crate::model::{Digest, ImageReference, LocalImage};

    fn image(text: &str) -> PinnedImage {
        let image: ImageReference = format!("r.io/{text}").parse().unwrap();
        image.pinned(Digest::of(text.as_bytes()))
    }

    /// What `web` ran from.
    fn ran(text: &str) -> Snapshot {
        let PinnedImage { image: reference, digest } = image(text);
        let made_from = LocalImage { id: Digest::of(b"id"), digest: Some(digest) };
        let before = Before::Present(Present { image: Some(made_from), works: true, ended: false, ids: vec![] });
        let web = Service { name: "web".to_owned(), reference, pinned: None, before };
        Snapshot::of(vec![web])
    }

    fn good(release: &[&str], before: &str) -> Status {
        let images = release.iter().map(|text| image(text)).collect();
        let plan = super::super::plan::Plan::default();
        let planned = Event::Planned { snapshot: ran(before), plan, target: None };
        let end = Event::Finished { outcome: Outcome::Succeeded, reason: None };
        replay(&[queued(), Event::Started, Event::Resolved { images }, planned, end]).unwrap()
    }

    fn kept(history: &[Status], put_back: Option<&Snapshot>, releases: usize) -> Vec<String> {
        keep(history.iter(), put_back, releases).iter().map(|kept| kept.image.to_string()).collect()
    }

    #[test]
    fn of_each_repository_as_many_stay_as_are_configured() {
        let history =
            [good(&["web:4", "api:2"], "web:3"), good(&["web:3"], "web:2"), good(&["web:2", "api:1"], "web:1")];
        assert_eq!(kept(&history, None, 1), ["r.io/web:4", "r.io/api:2"]);
        assert_eq!(kept(&history, None, 2), ["r.io/web:4", "r.io/api:2", "r.io/web:3", "r.io/api:1"]);
        assert_eq!(kept(&history, None, 9).len(), 6);
    }

    #[test]
    fn one_image_under_two_tags_takes_one_place() {
        let again = PinnedImage { image: "r.io/web:again".parse().unwrap(), digest: Digest::of(b"web:1") };
        let mut newest = good(&["web:1"], "web:1");
        newest.release = Some(vec![again]);
        assert_eq!(kept(&[newest, good(&["web:1"], "web:0")], None, 2), ["r.io/web:again", "r.io/web:0"]);
    }

    #[test]
    fn what_was_put_back_stays_although_it_never_succeeded() {
        let by_hand = ran("web:by-hand");
        assert_eq!(kept(&[good(&["web:1"], "web:0")], Some(&by_hand), 1), ["r.io/web:1", "r.io/web:by-hand"]);
        assert_eq!(kept(&[], Some(&by_hand), 1), ["r.io/web:by-hand"]);
    }
}
