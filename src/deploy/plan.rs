//! What will be done, as steps: forward to a release, or back to what ran before.
//!
//! Rollback is not an undo of each step but another plan, made from the snapshot, so that it can be begun again
//! after a crash. Every step may be carried out twice with the same result.

use std::fmt;

use super::rollout::{Images, Names, Rollout};
use super::snapshot::{Before, Service, Snapshot};
use crate::model::{Digest, ImageReference, LocalImage, PinnedImage, Repository};

/// All that will be done, in order. Also the dry run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// In the order in which they are carried out.
    pub steps: Vec<Step>,
}

/// One action of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Have the image on this host; asks the registry only where it is not there yet.
    Pull {
        /// By digest.
        image: PinnedImage,
    },
    /// Hold images so that no pruning can take them.
    Keep {
        /// The release and what ran before it.
        images: Vec<Source>,
    },
    /// Run the project's own command that comes before anything is touched.
    Before {
        /// What it is told.
        change: Change,
    },
    /// Let the reference that the target names mean this image on this host.
    Pin {
        /// As the compose file or unit names it.
        reference: ImageReference,
        /// What it shall mean.
        image: Source,
    },
    /// Put what is pinned into service.
    Apply {
        /// Only these.
        services: Vec<String>,
        /// What a command is told.
        change: Change,
    },
    /// Prove that it works.
    AwaitHealthy {
        /// Only these.
        services: Vec<String>,
        /// What their containers must be made from.
        images: Vec<Expected>,
    },
    /// Take out of service what had not been in service before.
    Remove {
        /// Only these.
        services: Vec<String>,
        /// References that meant nothing before.
        unpin: Vec<ImageReference>,
    },
}

/// An image by what names it for certain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// By the registry's digest.
    Registry(PinnedImage),
    /// By the engine's id: it was built or loaded on this host.
    Local(Digest),
}

/// What comes into service, for programs that are told about it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// What comes.
    pub to: Vec<Source>,
    /// What it takes the place of; not said on the way back.
    pub from: Vec<Source>,
    /// Whether this is the way back.
    pub back: bool,
}

/// What a service's container must be made from for the proof to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// The service.
    pub service: String,
    /// What the target named its image by when this was planned. Nothing in what an older windlass has planned.
    pub reference: Option<ImageReference>,
    /// The image.
    pub image: Source,
}

/// The plan that moves the services of `snapshot` to `release`: prepare what it takes, name what shall run, put it into
/// service, prove that it works.
#[must_use]
pub fn forward(release: &[PinnedImage], snapshot: &Snapshot, rollout: Rollout) -> Plan {
    let change = Change::forward(release, snapshot);
    let mut steps = Vec::new();
    if rollout.images == Images::OnHost {
        steps.extend(release.iter().map(|image| Step::Pull { image: image.clone() }));
        let mut images = change.to.clone();
        for image in &change.from {
            push_once(&mut images, image.clone());
        }
        steps.push(Step::Keep { images });
    }
    if rollout.before {
        steps.push(Step::Before { change: change.clone() });
    }

    let (mut services, mut images) = (Vec::new(), Vec::new());
    for service in &snapshot.services {
        let Some(image) = release.iter().find(|image| image.image.repository() == service.reference.repository())
        else {
            continue;
        };
        let image = Source::Registry(image.clone());
        if rollout.names == Names::Tag {
            push_once(&mut steps, Step::Pin { reference: service.reference.clone(), image: image.clone() });
        }
        push_once(&mut services, service.name.clone());
        push_once(&mut images, service.expected(image));
    }
    steps.push(Step::Apply { services: services.clone(), change });
    steps.push(Step::AwaitHealthy { services, images });
    Plan { steps }
}

/// The plan that puts back what `snapshot` saw.
///
/// A service that was not there is removed. One that was there and did not work is put back as it was, but
/// nobody waits for it to become what it was not.
#[must_use]
pub fn rollback(snapshot: &Snapshot, rollout: Rollout) -> Plan {
    let mut steps = Vec::new();
    let (mut pins, mut restored, mut worked, mut images) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut new, mut unpin) = (Vec::new(), Vec::new());
    let mut change = Change { back: true, ..Change::default() };
    for service in &snapshot.services {
        let image = service.source();
        match &image {
            Some(image) => {
                if let (Images::OnHost, Source::Registry(image)) = (rollout.images, image) {
                    push_once(&mut steps, Step::Pull { image: image.clone() });
                }
                push_once(&mut pins, Step::Pin { reference: service.reference.clone(), image: image.clone() });
                push_once(&mut change.to, image.clone());
            }
            None => push_once(&mut unpin, service.reference.clone()),
        }
        match &service.before {
            Before::Present(present) => {
                push_once(&mut restored, service.name.clone());
                if present.works {
                    push_once(&mut worked, service.name.clone());
                    images.extend(image.map(|image| service.expected(image)));
                }
            }
            Before::Absent => push_once(&mut new, service.name.clone()),
        }
    }
    // What uses several images and ran with one of them is put back, not taken away.
    new.retain(|name| !restored.contains(name));
    if rollout.names == Names::Tag {
        steps.append(&mut pins);
    } else {
        unpin.clear();
    }
    if !new.is_empty() || !unpin.is_empty() {
        steps.push(Step::Remove { services: new, unpin });
    }
    if !restored.is_empty() {
        steps.push(Step::Apply { services: restored, change });
    }
    if !worked.is_empty() {
        steps.push(Step::AwaitHealthy { services: worked, images });
    }
    Plan { steps }
}

fn push_once<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if !list.contains(&item) {
        list.push(item);
    }
}

impl Service {
    /// What to go back to: what ran, else what was pinned.
    fn source(&self) -> Option<Source> {
        self.image().map(|image| Source::of(&self.reference, image))
    }

    fn expected(&self, image: Source) -> Expected {
        Expected { service: self.name.clone(), reference: Some(self.reference.clone()), image }
    }
}

impl Change {
    /// What `release` changes where `snapshot` was.
    #[must_use]
    pub fn forward(release: &[PinnedImage], snapshot: &Snapshot) -> Self {
        let mut from = Vec::new();
        for before in snapshot.services.iter().filter_map(Service::source) {
            push_once(&mut from, before);
        }
        Self { to: release.iter().cloned().map(Source::Registry).collect(), from, back: false }
    }
}

impl Source {
    /// The surest name of a local image that `reference` stands for.
    #[must_use]
    pub fn of(reference: &ImageReference, image: &LocalImage) -> Self {
        match &image.digest {
            Some(digest) => Self::Registry(reference.clone().pinned(digest.clone())),
            None => Self::Local(image.id.clone()),
        }
    }
}

impl Source {
    /// Whether it is known to be of `repository`. One of this host alone has none.
    #[must_use]
    pub fn is_of(&self, repository: &Repository) -> bool {
        matches!(self, Self::Registry(image) if image.image.repository() == repository)
    }
}

impl Step {
    /// Whether this step is past the point of no return: whether, once it was begun, only a rollback leads back.
    #[must_use]
    pub fn disturbs(&self) -> bool {
        match self {
            Self::Pull { .. } | Self::Keep { .. } | Self::Before { .. } => false,
            Self::Pin { .. } | Self::Apply { .. } | Self::AwaitHealthy { .. } | Self::Remove { .. } => true,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry(image) => write!(f, "{image}"),
            Self::Local(id) => write!(f, "local image {}", id.short()),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pull { image } => write!(f, "pull {} ({})", image.image.short(), image.digest.short()),
            Self::Keep { images } if images.len() == 1 => f.write_str("keep 1 image from being pruned"),
            Self::Keep { images } => write!(f, "keep {} images from being pruned", images.len()),
            Self::Before { .. } => f.write_str("run the command before"),
            Self::Pin { reference, image } => {
                let (Source::Registry(PinnedImage { digest, .. }) | Source::Local(digest)) = image;
                write!(f, "pin {} to {}", reference.short(), digest.short())
            }
            Self::Apply { services, .. } => {
                f.write_str("apply ")?;
                join(f, services)
            }
            Self::AwaitHealthy { services, .. } => {
                f.write_str("await healthy ")?;
                join(f, services)
            }
            Self::Remove { services, unpin } => {
                if !services.is_empty() {
                    f.write_str("remove ")?;
                    join(f, services)?;
                }
                if !unpin.is_empty() {
                    f.write_str(if services.is_empty() { "unpin " } else { ", unpin " })?;
                    join(f, &unpin.iter().map(ImageReference::short).collect::<Vec<_>>())?;
                }
                Ok(())
            }
        }
    }
}

fn join<T: fmt::Display>(f: &mut fmt::Formatter<'_>, items: &[T]) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            f.write_str(", ")?;
        }
        write!(f, "{item}")?;
    }
    Ok(())
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.steps.iter().enumerate() {
            writeln!(f, "{}. {step}", index + 1)?;
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use insta::assert_snapshot;

    use super::super::snapshot::Present;
    use super::*;

    /// Images on this host, named by a tag.
    pub(crate) const BY_TAG: Rollout = Rollout { images: Images::OnHost, names: Names::Tag, before: false };

    fn image(name: &str) -> LocalImage {
        LocalImage { id: Digest::of(name.as_bytes()), digest: Some(Digest::of(name.as_bytes())) }
    }

    fn service(name: &str, reference: &str, pinned: Option<&str>, container: Option<(&str, bool)>) -> Service {
        Service {
            name: name.to_owned(),
            reference: reference.parse().unwrap(),
            pinned: pinned.map(image),
            before: container.map_or(Before::Absent, |(name, works)| present(Some(image(name)), works)),
        }
    }

    fn present(image: Option<LocalImage>, works: bool) -> Before {
        Before::Present(Present { image, works, ended: false, ids: Vec::new() })
    }

    fn release(reference: &str) -> PinnedImage {
        reference.parse::<ImageReference>().unwrap().pinned(Digest::of(b"new"))
    }

    pub(crate) fn a_shop() -> (Vec<PinnedImage>, Snapshot) {
        let services = vec![
            service("api", "r.io/api:live", Some("old"), Some(("old", true))),
            service("worker", "r.io/api:live", Some("old"), Some(("old", true))),
        ];
        (vec![release("r.io/api:v2")], Snapshot::of(services))
    }

    #[test]
    fn two_services_of_one_image_are_pulled_and_pinned_once() {
        let (release, snapshot) = a_shop();
        assert_snapshot!(forward(&release, &snapshot, BY_TAG).to_string(), @r"
        1. pull api:v2 (11507a0e2f5e)
        2. keep 2 images from being pruned
        3. pin api:live to 11507a0e2f5e
        4. apply api, worker
        5. await healthy api, worker
        ");
        assert_snapshot!(rollback(&snapshot, BY_TAG).to_string(), @r"
        1. pull api:live (cba06b5736fa)
        2. pin api:live to cba06b5736fa
        3. apply api, worker
        4. await healthy api, worker
        ");
    }

    #[test]
    fn the_way_back_from_a_first_deployment_is_nothing_at_all() {
        let snapshot = Snapshot::of(vec![service("api", "r.io/api:live", None, None)]);
        assert_snapshot!(rollback(&snapshot, BY_TAG).to_string(), @"1. remove api, unpin api:live");
    }

    #[test]
    fn what_was_pulled_but_never_started_is_pinned_again_and_not_started() {
        let snapshot = Snapshot::of(vec![service("api", "r.io/api:live", Some("old"), None)]);
        assert_snapshot!(rollback(&snapshot, BY_TAG).to_string(), @r"
        1. pull api:live (cba06b5736fa)
        2. pin api:live to cba06b5736fa
        3. remove api
        ");
    }

    #[test]
    fn a_service_that_had_crashed_is_put_back_but_not_waited_for() {
        let snapshot = Snapshot::of(vec![service("api", "r.io/api:live", Some("moved"), Some(("old", false)))]);
        assert_snapshot!(rollback(&snapshot, BY_TAG).to_string(), @r"
        1. pull api:live (cba06b5736fa)
        2. pin api:live to cba06b5736fa
        3. apply api
        ");
    }

    #[test]
    fn an_image_built_on_this_host_is_named_by_its_id() {
        let mut built = service("api", "r.io/api:live", None, None);
        built.before = present(Some(LocalImage { digest: None, ..image("old") }), true);
        assert_snapshot!(rollback(&Snapshot::of(vec![built]), BY_TAG).to_string(), @r"
        1. pin api:live to cba06b5736fa
        2. apply api
        3. await healthy api
        ");
    }

    #[test]
    fn of_a_unit_only_what_is_pinned_is_known() {
        let mut unit = service("api", "r.io/api:live", Some("old"), None);
        unit.before = present(None, true);
        assert_snapshot!(rollback(&Snapshot::of(vec![unit.clone()]), BY_TAG).to_string(), @r"
        1. pull api:live (cba06b5736fa)
        2. pin api:live to cba06b5736fa
        3. apply api
        4. await healthy api
        ");
        unit.pinned = None;
        assert_snapshot!(rollback(&Snapshot::of(vec![unit]), BY_TAG).to_string(), @r"
        1. unpin api:live
        2. apply api
        3. await healthy api
        ");
    }

    #[test]
    fn a_target_that_pulls_by_itself_and_names_its_images_has_no_steps_for_that() {
        let rollout = Rollout { images: Images::Elsewhere, names: Names::Field, before: true };
        let (release, mut snapshot) = a_shop();
        assert_snapshot!(forward(&release, &snapshot, rollout).to_string(), @r"
        1. run the command before
        2. apply api, worker
        3. await healthy api, worker
        ");
        snapshot.services.push(service("new", "r.io/new:live", None, None));
        assert_snapshot!(rollback(&snapshot, rollout).to_string(), @r"
        1. remove new
        2. apply api, worker
        3. await healthy api, worker
        ");
    }

    #[test]
    fn only_pulling_and_keeping_leave_everything_as_it_was() {
        let (release, snapshot) = a_shop();
        let disturbing: Vec<bool> = forward(&release, &snapshot, BY_TAG).steps.iter().map(Step::disturbs).collect();
        assert_eq!(disturbing, [false, false, true, true, true]);
    }
}
