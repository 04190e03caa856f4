//! Which release an operator goes back to: decided from the project's history and from what runs.
//!
//! The release of a project is, per repository, the image that a deployment last put into service with success. Each
//! deployment that succeeded makes such a release. Rollbacks by command go back along them and make none: what they
//! leave is no candidate until it is deployed again.

use super::event::{Outcome, Rollback, Wanted};
use super::snapshot::{Condition, Instance};
use super::status::Status;
use crate::model::{DeploymentId, ImageReference, PinnedImage, Repository, Timestamp};

/// One deployment of a project's past.
#[derive(Debug, Clone, Copy)]
pub struct Past<'a> {
    /// Its name.
    pub id: &'a DeploymentId,
    /// When it ended, or was accepted where it has not ended.
    pub at: Timestamp,
    /// What became of it.
    pub status: &'a Status,
}

/// What a project's past has to offer to a rollback.
#[derive(Debug)]
pub struct History<'a> {
    /// Every deployment, newest first, with what it is to a rollback.
    entries: Vec<Entry<'a>>,
    /// Places in `entries` of what a rollback may go to: the newest good release is the last.
    candidates: Vec<usize>,
    /// Whether the last deployment that changed anything left the project in need of a person.
    unsettled: bool,
}

/// One deployment, and what it is to a rollback.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    /// The deployment.
    pub past: Past<'a>,
    /// The project's release once it had succeeded; else what it would have put into service, as far as that is known.
    pub release: Vec<PinnedImage>,
    /// Whether a rollback may go there.
    pub standing: Standing,
}

/// What a deployment is to a rollback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Its release can be gone back to.
    Candidate,
    /// This rollback went back from its release.
    LeftBy(DeploymentId),
    /// The same release was deployed by this one, which counts.
    SameAs(DeploymentId),
    /// It did not succeed.
    NotGood,
    /// None of its images is the project's any more.
    Foreign,
}

/// A way back: what is put into service, and what is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WayBack {
    /// The images that differ from what runs; where none does, all of the release.
    pub images: Vec<PinnedImage>,
    /// Where it comes from and where it goes.
    pub rollback: Rollback,
}

/// Why there is no way back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Nothing {
    /// No deployment has succeeded yet.
    NeverGood,
    /// What runs is the oldest release that can be gone back to: of this deployment.
    Oldest(DeploymentId),
}

impl<'a> History<'a> {
    /// Reads the past of a project that has these `repositories`; `newest_first`.
    #[must_use]
    pub fn read(newest_first: &[Past<'a>], repositories: &[Repository]) -> Self {
        let ours = |images: &[PinnedImage]| -> Vec<PinnedImage> {
            images.iter().filter(|image| repositories.contains(image.image.repository())).cloned().collect()
        };
        let mut entries: Vec<Entry<'a>> = Vec::with_capacity(newest_first.len());
        let mut candidates: Vec<usize> = Vec::new();
        let mut now: Vec<PinnedImage> = Vec::new();
        for past in newest_first.iter().rev() {
            let moved = ours(past.status.release.as_deref().unwrap_or_default());
            let mut entry = Entry { past: *past, release: moved, standing: Standing::NotGood };
            let place = entries.len();
            if past.status.outcome() == Some(Outcome::Succeeded) {
                if entry.release.is_empty() {
                    entry.standing = Standing::Foreign;
                    entry.release = past.status.release.clone().unwrap_or_default();
                } else {
                    now = overlaid(now, &entry.release);
                    entry.release.clone_from(&now);
                    entry.standing = match back_to(&entry, &entries, &candidates) {
                        Some(at) => go_back(past.id, at, &mut entries, &mut candidates),
                        None => {
                            go_forward(&entry, &mut entries, &mut candidates);
                            candidates.push(place);
                            Standing::Candidate
                        }
                    };
                }
            }
            entries.push(entry);
        }
        let last_change =
            newest_first.iter().find(|past| past.status.course.as_ref().is_some_and(|course| course.disturbed));
        let unsettled = last_change.is_some_and(|past| past.status.outcome() == Some(Outcome::RollbackFailed));
        let last = entries.len().saturating_sub(1);
        entries.reverse();
        let candidates = candidates.into_iter().map(|place| last - place).collect();
        Self { entries, candidates, unsettled }
    }

    /// Every deployment, newest first.
    #[must_use]
    pub fn entries(&self) -> &[Entry<'a>] {
        &self.entries
    }

    /// Where a rollback goes while `running` is what runs: to the newest good release where something else runs, and
    /// to the one before it where that runs already.
    ///
    /// # Errors
    /// [`Nothing`] says why there is no such release.
    pub fn way_back(&self, running: &[Instance]) -> Result<WayBack, Nothing> {
        let mut good = self.candidates.iter().rev().filter_map(|place| self.entries.get(*place));
        let newest = good.next().ok_or(Nothing::NeverGood)?;
        let in_place = |asked: fn(&Instance) -> bool| newest.release.iter().all(|image| runs(running, image, asked));
        // A good release that has stopped working is left for an older one. One that could not be put back just now is
        // put back first, whatever the machine says of it: that it runs does not prove that it works.
        if self.unsettled || !in_place(|_| true) {
            return Ok(self.to(newest, running));
        }
        match good.next() {
            Some(older) => Ok(self.to(older, running)),
            None if !in_place(is_not_broken) => Ok(self.to(newest, running)),
            None => Err(Nothing::Oldest(newest.past.id.clone())),
        }
    }

    /// The way to the release of `entry`.
    #[must_use]
    pub fn to(&self, entry: &Entry<'_>, running: &[Instance]) -> WayBack {
        let mut images: Vec<PinnedImage> =
            entry.release.iter().filter(|image| !runs(running, image, is_not_broken)).cloned().collect();
        if images.is_empty() {
            images.clone_from(&entry.release);
        }
        let left = running.iter().filter_map(pinned);
        let left = left.filter(|found| images.iter().any(|image| image.image.repository() == found.image.repository()));
        let mut from: Vec<PinnedImage> = Vec::new();
        for found in left.map(|found| self.named(found)) {
            if !from.contains(&found) {
                from.push(found);
            }
        }
        WayBack { images, rollback: Rollback { from, to: entry.past.id.clone(), deployed_at: entry.past.at } }
    }

    /// The same image by the name by which it was deployed: on the host it has only the one that the target gives it.
    fn named(&self, found: PinnedImage) -> PinnedImage {
        self.deployed_as(&found).cloned().unwrap_or(found)
    }

    /// The image by the name by which it was deployed last, where it was.
    #[must_use]
    pub fn deployed_as(&self, image: &PinnedImage) -> Option<&PinnedImage> {
        let mut known = self.entries.iter().filter_map(|entry| entry.past.status.release.as_deref()).flatten();
        known.find(|known| known.is_same(image))
    }
}

fn is_not_broken(instance: &Instance) -> bool {
    instance.condition != Condition::Broken
}

/// Whether all that runs of the image's repository is that image, and is as it is asked for.
pub(super) fn runs(running: &[Instance], image: &PinnedImage, asked: fn(&Instance) -> bool) -> bool {
    let is_it = |instance: &Instance| instance.digest == image.digest.as_str() && asked(instance);
    is_there(running, image) && of_repository(running, image).all(is_it)
}

/// Whether anything runs of the image's repository.
pub(super) fn is_there(running: &[Instance], image: &PinnedImage) -> bool {
    of_repository(running, image).next().is_some()
}

fn of_repository<'a>(running: &'a [Instance], image: &'a PinnedImage) -> impl Iterator<Item = &'a Instance> {
    running
        .iter()
        .filter(|instance| pinned(instance).is_some_and(|found| found.image.repository() == image.image.repository()))
}

fn pinned(instance: &Instance) -> Option<PinnedImage> {
    let image = ImageReference::parse_familiar(&instance.image).ok()?;
    Some(image.pinned(instance.digest.parse().ok()?))
}

fn same_release(one: &[PinnedImage], other: &[PinnedImage]) -> bool {
    one.len() == other.len() && one.iter().all(|image| other.iter().any(|known| known.is_same(image)))
}

/// The release `before`, with the images that were moved in the place of those of their repositories.
fn overlaid(before: Vec<PinnedImage>, moved: &[PinnedImage]) -> Vec<PinnedImage> {
    let stays = |image: &PinnedImage| !moved.iter().any(|new| new.image.repository() == image.image.repository());
    let mut release: Vec<PinnedImage> = before.into_iter().filter(stays).chain(moved.iter().cloned()).collect();
    release.sort_by(|one, other| one.image.repository().cmp(other.image.repository()));
    release
}

/// For a rollback by command: the place among `candidates` of the release to which it went. Nothing where it went to
/// one that was none, which is as good as deploying it again.
fn back_to(entry: &Entry<'_>, entries: &[Entry<'_>], candidates: &[usize]) -> Option<usize> {
    let status = entry.past.status;
    // Journals of before tell a rollback by its being asked for a release alone.
    let by_command = status.rollback.is_some() || matches!(status.wanted, Wanted::Release(_));
    let is_it = |place: &usize| {
        entries.get(*place).is_some_and(|known| {
            let named = status.rollback.as_ref().is_some_and(|rollback| rollback.to == *known.past.id);
            named || same_release(&known.release, &entry.release)
        })
    };
    candidates.iter().rposition(is_it).filter(|_| by_command)
}

/// Takes what was left by the rollback `by` from the candidates, wherever else it stands among them.
fn go_back(by: &DeploymentId, at: usize, entries: &mut [Entry<'_>], candidates: &mut Vec<usize>) -> Standing {
    let left = candidates.split_off(at + 1);
    let left_releases: Vec<Vec<PinnedImage>> =
        left.iter().filter_map(|place| entries.get(*place)).map(|entry| entry.release.clone()).collect();
    let goal = candidates.pop();
    let mut gone = left;
    candidates.retain(|place| {
        let stays = entries
            .get(*place)
            .is_some_and(|entry| !left_releases.iter().any(|left| same_release(left, &entry.release)));
        if !stays {
            gone.push(*place);
        }
        stays
    });
    for place in gone {
        if let Some(entry) = entries.get_mut(place) {
            entry.standing = Standing::LeftBy(by.clone());
        }
    }
    candidates.extend(goal);
    let goal = goal.and_then(|place| entries.get(place)).map(|entry| entry.past.id.clone());
    goal.map_or(Standing::Candidate, Standing::SameAs)
}

/// What is deployed once more in a row is one release: the newer deployment counts.
fn go_forward(new: &Entry<'_>, entries: &mut [Entry<'_>], candidates: &mut Vec<usize>) {
    if let Some(newest) = candidates.last().and_then(|place| entries.get_mut(*place))
        && same_release(&newest.release, &new.release)
    {
        newest.standing = Standing::SameAs(new.past.id.clone());
        candidates.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::super::event::{Cause, Event, RequestedBy};
    use super::super::in_service::{drift, in_service};
    use super::super::plan::{self, Plan, Step};
    use super::super::snapshot::Snapshot;
    use super::*;
    use crate::model::Digest;

    fn image(text: &str) -> PinnedImage {
        let (name, tag) = text.split_once(':').unwrap();
        format!("r.io/{name}:{tag}").parse::<ImageReference>().unwrap().pinned(Digest::of(text.as_bytes()))
    }

    fn images(texts: &[&str]) -> Vec<PinnedImage> {
        texts.iter().map(|text| image(text)).collect()
    }

    fn instance(text: &str) -> Instance {
        let name = text.split(':').next().unwrap();
        Instance {
            name: format!("shop-{name}-1"),
            service: name.to_owned(),
            // The target's own name for it: what was released is told by the digest alone.
            image: format!("r.io/{name}:live"),
            digest: image(text).digest.to_string(),
            state: "running".to_owned(),
            condition: Condition::Working,
            pinned: None,
        }
    }

    /// A project that is deployed to and rolled back, and what runs of it.
    #[derive(Default)]
    struct Shop {
        past: Vec<(DeploymentId, Status)>,
        running: Vec<Instance>,
    }

    impl Shop {
        fn add(&mut self, wanted: Wanted, release: &[PinnedImage], rollback: Option<Rollback>, outcome: Outcome) {
            let id: DeploymentId = format!("01jd5zk00000000000000000{:02}", self.past.len()).parse().unwrap();
            let begun = Event::Queued { wanted, requested_by: RequestedBy::default(), rollback };
            let mut status = Status::begin(&begun).unwrap();
            let snapshot = Snapshot::default();
            let forward = Plan { steps: vec![Step::Apply { services: vec![], change: plan::Change::default() }] };
            let mut events = vec![
                Event::Started,
                Event::Resolved { images: release.to_vec() },
                Event::Planned { snapshot, plan: forward, target: None },
            ];
            if outcome != Outcome::Abandoned {
                events.push(Event::StepStarted { step: 0 });
                events.push(Event::StepFinished { step: 0 });
            }
            if matches!(outcome, Outcome::RolledBack | Outcome::RollbackFailed) {
                let cause = Cause::Failed("unhealthy".to_owned());
                events.push(Event::RollingBack { cause, plan: Plan::default() });
            }
            events.push(Event::Finished { outcome, reason: None });
            for event in events {
                status.apply(&event).unwrap();
            }
            self.past.push((id, status));
        }

        fn ended(&mut self, texts: &[&str], outcome: Outcome) {
            let release = images(texts);
            let wanted = Wanted::Images(release.iter().map(|image| image.image.clone()).collect());
            self.add(wanted, &release, None, outcome);
        }

        fn runs(&mut self, text: &str) {
            let new = instance(text);
            self.running.retain(|old| old.service != new.service);
            self.running.push(new);
        }

        /// A hook that succeeds.
        fn deploy(&mut self, texts: &[&str]) {
            self.ended(texts, Outcome::Succeeded);
            texts.iter().for_each(|text| self.runs(text));
        }

        /// A hook after which the new release runs, and nobody could put the old one back.
        fn break_down(&mut self, text: &str) {
            self.ended(&[text], Outcome::RollbackFailed);
            self.runs(text);
            self.set_works(text, false);
        }

        fn set_works(&mut self, text: &str, works: bool) {
            let digest = image(text).digest.to_string();
            let condition = if works { Condition::Working } else { Condition::Broken };
            self.running
                .iter_mut()
                .filter(|found| found.digest == digest)
                .for_each(|found| found.condition = condition);
        }

        fn read<T>(&self, ask: impl FnOnce(&History<'_>) -> T) -> T {
            let at = |place: usize| Timestamp::from_millis(1000 * i64::try_from(place).unwrap());
            let past = self.past.iter().enumerate();
            let past = past.map(|(place, (id, status))| Past { id, at: at(place), status });
            let mut past: Vec<Past<'_>> = past.collect();
            past.reverse();
            let repositories = ["r.io/api".parse().unwrap(), "r.io/web".parse().unwrap()];
            ask(&History::read(&past, &repositories))
        }

        fn way(&self) -> Result<WayBack, Nothing> {
            self.read(|history| history.way_back(&self.running))
        }

        /// `windlass rollback`, which succeeds: what it moved.
        fn roll_back(&mut self) -> String {
            match self.way() {
                Ok(way) => self.take(way),
                Err(nothing) => format!("{nothing:?}"),
            }
        }

        /// `windlass rollback --to`, which succeeds.
        fn roll_back_to(&mut self, place: usize) -> String {
            let id = self.past[place].0.clone();
            let way = self.read(|history| {
                let entry = history.entries().iter().find(|entry| *entry.past.id == id).unwrap();
                history.to(entry, &self.running)
            });
            self.take(way)
        }

        fn take(&mut self, way: WayBack) -> String {
            let tag = |image: &PinnedImage| image.image.tag().unwrap().to_owned();
            let moved: Vec<String> =
                way.images.iter().map(|image| format!("{}:{}", image.image.repository().path(), tag(image))).collect();
            self.add(Wanted::Release(way.images.clone()), &way.images, Some(way.rollback), Outcome::Succeeded);
            moved.iter().for_each(|text| self.runs(text));
            moved.join(" ")
        }

        fn standings(&self) -> Vec<Standing> {
            self.read(|history| history.entries().iter().rev().map(|entry| entry.standing.clone()).collect())
        }

        fn id(&self, place: usize) -> DeploymentId {
            self.past[place].0.clone()
        }
    }

    fn shop(releases: &[&str]) -> Shop {
        let mut shop = Shop::default();
        releases.iter().for_each(|text| shop.deploy(&[text]));
        shop
    }

    fn tags(images: &[PinnedImage]) -> String {
        images.iter().map(|image| image.image.tag().unwrap_or("")).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn rolling_back_again_and_again_goes_from_release_to_release_and_ends_at_the_oldest() {
        let mut shop = shop(&["web:v1", "web:v2", "web:v3"]);
        let way = shop.way().unwrap();
        assert_eq!((tags(&way.rollback.from), tags(&way.images)), ("v3".to_owned(), "v2".to_owned()));
        assert_eq!(way.rollback.deployed_at, Timestamp::from_millis(1000));
        assert_eq!(shop.roll_back(), "web:v2");
        assert_eq!(shop.roll_back(), "web:v1");
        assert_eq!(shop.way(), Err(Nothing::Oldest(shop.id(0))));
    }

    #[test]
    fn a_release_that_was_left_is_a_candidate_again_once_it_is_deployed_again() {
        let mut shop = shop(&["web:v1", "web:v2"]);
        assert_eq!(shop.roll_back(), "web:v1");
        shop.deploy(&["web:v3"]);
        assert_eq!(shop.roll_back(), "web:v1", "v2 was left");
        shop.deploy(&["web:v2"]);
        shop.deploy(&["web:v4"]);
        assert_eq!(shop.roll_back(), "web:v2", "it was deployed again");
    }

    #[test]
    fn a_release_that_was_left_is_passed_over_wherever_else_it_stands() {
        let mut shop = shop(&["web:v1", "web:v2", "web:v3", "web:v2"]);
        assert_eq!(shop.roll_back(), "web:v3");
        assert_eq!(shop.roll_back(), "web:v1");
    }

    #[test]
    fn what_never_succeeded_is_never_gone_back_to() {
        let mut shop = shop(&["web:v1", "web:v2", "web:v3"]);
        for outcome in [Outcome::RolledBack, Outcome::Abandoned] {
            shop.ended(&["web:bad"], outcome);
        }
        shop.break_down("web:worse");
        let way = shop.way().unwrap();
        assert_eq!((tags(&way.rollback.from), tags(&way.images)), ("worse".to_owned(), "v3".to_owned()));
        assert_eq!(shop.roll_back(), "web:v3");
        assert_eq!(shop.roll_back(), "web:v2");
        let standings = shop.standings();
        assert_eq!(standings[3..6], [Standing::NotGood, Standing::NotGood, Standing::NotGood]);
        assert_eq!(Shop::default().way(), Err(Nothing::NeverGood));
        let mut never = Shop::default();
        never.break_down("web:bad");
        assert_eq!(never.way(), Err(Nothing::NeverGood));
    }

    #[test]
    fn after_a_rollback_that_failed_the_only_good_release_is_gone_back_to() {
        // The bad release is there; nothing is there; the good one is there and does not work.
        let mut shop = shop(&["web:v1"]);
        shop.break_down("web:bad");
        assert_eq!(shop.way().unwrap().images, images(&["web:v1"]));
        shop.running.clear();
        let way = shop.way().unwrap();
        assert_eq!((tags(&way.rollback.from), tags(&way.images)), (String::new(), "v1".to_owned()));
        shop.runs("web:v1");
        shop.set_works("web:v1", false);
        assert_eq!(shop.way().unwrap().images, images(&["web:v1"]));
        shop.set_works("web:v1", true);
        assert_eq!(shop.way().unwrap().images, images(&["web:v1"]), "that it runs does not prove that it works");
        assert_eq!(shop.roll_back(), "web:v1");
        assert_eq!(shop.way(), Err(Nothing::Oldest(shop.id(0))), "now it is proven");
    }

    #[test]
    fn a_good_release_that_stopped_working_is_left_but_not_one_that_could_not_be_put_back() {
        let mut shop = shop(&["web:v1", "web:v2"]);
        shop.set_works("web:v2", false);
        assert_eq!(shop.way().unwrap().images, images(&["web:v1"]));
        shop.ended(&["web:bad"], Outcome::RollbackFailed);
        assert_eq!(shop.way().unwrap().images, images(&["web:v2"]));
        // The machine may take it for well while the project's own probe does not.
        for condition in [Condition::Working, Condition::Starting, Condition::Unknown] {
            shop.running[0].condition = condition;
            assert_eq!(shop.way().unwrap().images, images(&["web:v2"]), "{condition:?}");
        }
    }

    #[test]
    fn what_somebody_started_by_hand_is_left_for_the_newest_good_release() {
        let mut shop = shop(&["web:v1", "web:v2", "web:v3"]);
        shop.runs("web:v1");
        assert_eq!(shop.roll_back(), "web:v3");
        shop.runs("web:by-hand");
        let way = shop.way().unwrap();
        assert_eq!((tags(&way.rollback.from), tags(&way.images)), ("live".to_owned(), "v3".to_owned()));
        // One of two containers is of another image.
        shop.runs("web:v3");
        shop.running.push(instance("web:v2"));
        assert_eq!(shop.roll_back(), "web:v3");
    }

    #[test]
    fn what_runs_in_place_of_what_was_deployed_is_drift() {
        let drift = |shop: &Shop| {
            let at = Timestamp::from_millis(0);
            let past = shop.past.iter().rev().map(|(id, status)| Past { id, at, status });
            drift(&in_service(past, &["r.io/api", "r.io/web"].map(|name| name.parse().unwrap())), &shop.running)
        };
        let mut shop = shop(&["web:v1", "web:v2"]);
        shop.deploy(&["api:v1"]);
        assert_eq!(drift(&shop), []);
        shop.runs("web:by-hand");
        assert_eq!(drift(&shop), images(&["web:v2"]));
        shop.running.retain(|found| found.service == "api");
        assert_eq!(drift(&shop), [], "nothing runs, which is not something else");
        shop.runs("web:v2");
        shop.running.push(instance("web:v1"));
        assert_eq!(drift(&shop), images(&["web:v2"]), "one of two containers");
        shop.runs("web:v2");
        shop.roll_back();
        shop.roll_back();
        assert_eq!(drift(&shop), [], "what was gone back to is what was deployed");
        shop.break_down("api:bad");
        assert_eq!(drift(&shop), images(&["api:v1"]));
        assert_eq!(drift(&Shop { running: vec![instance("web:v1")], ..Shop::default() }), [], "never deployed");
    }

    #[test]
    fn the_release_of_a_project_is_the_newest_good_image_of_each_repository() {
        let mut shop = Shop::default();
        shop.deploy(&["api:v1", "web:v1"]);
        shop.deploy(&["api:v2"]);
        shop.deploy(&["web:v2"]);
        shop.ended(&["api:v3"], Outcome::RolledBack);
        assert_eq!(shop.roll_back(), "web:v1", "the last that was moved, alone");
        assert_eq!(shop.roll_back(), "api:v1");
        assert_eq!(shop.way(), Err(Nothing::Oldest(shop.id(0))));
        shop.deploy(&["api:v2"]);
        assert_eq!(shop.roll_back_to(2), "web:v2", "api:v2 runs already");
        assert_eq!(shop.roll_back_to(0), "api:v1 web:v1");
        let way = shop.read(|history| history.to(&history.entries().last().unwrap().clone(), &[]));
        assert_eq!(way.images, images(&["api:v1", "web:v1"]), "nobody can say what runs");
        // A service that is not there is put back, and those that are there are left alone.
        shop.running.retain(|found| found.service == "web");
        assert_eq!(shop.roll_back(), "api:v1");
    }

    #[test]
    fn a_rollback_to_a_named_release_leaves_all_that_came_after_it_and_one_to_a_release_that_was_left_is_a_deployment()
    {
        let mut shop = shop(&["web:v1", "web:v2", "web:v3", "web:v4"]);
        assert_eq!(shop.roll_back_to(1), "web:v2");
        let by = shop.id(4);
        let left = Standing::LeftBy(by);
        let expected = [Standing::Candidate, Standing::Candidate, left.clone(), left];
        assert_eq!(shop.standings()[..4], expected);
        assert_eq!(shop.standings()[4], Standing::SameAs(shop.id(1)));
        assert_eq!(shop.roll_back_to(3), "web:v4");
        assert_eq!(shop.roll_back(), "web:v2");
        assert_eq!(shop.roll_back(), "web:v1");
        // To what runs: it is deployed once more, and nothing is left by it.
        assert_eq!(shop.roll_back_to(0), "web:v1");
    }

    #[test]
    fn deployed_twice_in_a_row_it_is_one_release() {
        let mut shop = shop(&["web:v1", "web:v2", "web:v2"]);
        assert_eq!(shop.standings()[1], Standing::SameAs(shop.id(2)));
        assert_eq!(shop.roll_back(), "web:v1");
    }

    #[test]
    fn a_rollback_that_failed_leaves_nothing() {
        let mut shop = shop(&["web:v1", "web:v2", "web:v3"]);
        let way = shop.way().unwrap();
        shop.add(Wanted::Release(way.images.clone()), &way.images, Some(way.rollback), Outcome::RolledBack);
        assert_eq!(shop.roll_back(), "web:v2");
    }

    #[test]
    fn a_rollback_by_an_earlier_version_is_known_by_its_release() {
        let mut shop = shop(&["web:v1", "web:v2", "web:v3"]);
        for text in ["web:v2", "web:v1"] {
            let release = images(&[text]);
            shop.add(Wanted::Release(release.clone()), &release, None, Outcome::Succeeded);
            shop.runs(text);
        }
        assert_eq!(shop.way(), Err(Nothing::Oldest(shop.id(0))));
    }

    #[test]
    fn images_that_are_not_the_projects_any_more_are_no_release() {
        let mut shop = Shop::default();
        shop.deploy(&["old:v1"]);
        shop.deploy(&["old:v2", "web:v1"]);
        shop.deploy(&["old:v3", "web:v1"]);
        assert_eq!(shop.standings()[0], Standing::Foreign);
        assert_eq!(shop.way(), Err(Nothing::Oldest(shop.id(2))));
    }
}
