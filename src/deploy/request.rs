//! What somebody asks for, and whether it is admitted: authentic, understood and allowed.

use crate::auth::{Caller, Delivery, Identity, Permission, Scope};
use crate::deploy::catalog::Project;
use crate::deploy::event::{RequestedBy, Rollback, Wanted};
use crate::deploy::spec::{NotAllowed, matches_any};
use crate::deploy::way_back::WayBack;
use crate::model::{
    DeliveryId, Digest, DigestError, ImageReference, ImageReferenceError, KeyId, ProjectName, one_line,
};

/// More images than any project has services.
const MOST_IMAGES: usize = 32;
/// What a sender may say about a build, in characters; the rest is cut off.
const LONGEST_REMARK: usize = 512;

/// What of a wrong image or digest is repeated, in characters.
const LONGEST_QUOTE: usize = 80;

/// What a sender asks for, in the sender's own words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ask {
    /// Image references.
    pub images: Vec<String>,
    /// What the tag must resolve to. Only with a single image.
    pub digest: Option<String>,
    /// Its place in the sender's own order.
    pub sequence: Option<u64>,
    /// The commit that was built.
    pub commit: Option<String>,
    /// The git reference that was built.
    pub git_ref: Option<String>,
    /// The person or machine behind it.
    pub actor: Option<String>,
    /// Where the build can be looked at.
    pub run_url: Option<String>,
    /// Only the plan is wanted.
    pub dry_run: bool,
}

/// A request that may be written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeployRequest {
    /// Of which project.
    pub project: ProjectName,
    /// What shall be put into service.
    pub wanted: Wanted,
    /// Who asked.
    pub requested_by: RequestedBy,
    /// Its place in the sender's own order. One lower than the newest accepted of the project is stale.
    pub sequence: Option<u64>,
    /// What makes a second request the same one.
    pub repetition: Repetition,
    /// Where from and where to, where an operator goes back. Such a request passes a freeze.
    pub rollback: Option<Rollback>,
}

/// What makes a second request the same as the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repetition {
    /// Nothing: each request is one of its own.
    Never,
    /// The delivery's id; with another body it is a conflict.
    Id {
        /// Whose key it came with: ids are a key's own.
        key: KeyId,
        /// As it was signed, or named beside a bearer token.
        id: DeliveryId,
        /// Of the body as it was received.
        body: Digest,
    },
    /// The body: nothing else was signed. Seen again when it is no longer the project's newest, it is a replay.
    Body {
        /// Whose key it came with.
        key: KeyId,
        /// Of the body as it was received.
        body: Digest,
    },
}

impl Repetition {
    /// What makes a delivery the same as one before.
    #[must_use]
    pub fn of(caller: &Caller) -> Self {
        let Caller::Key(verified) = caller else { return Self::Never };
        let Delivery { identity, body_digest: body, .. } = verified.get();
        let (key, body) = (verified.key().clone(), body.clone());
        match identity {
            Identity::Id(id) => Self::Id { key, id: id.clone(), body },
            Identity::Body => Self::Body { key, body },
            Identity::None | Identity::Unusable => Self::Never,
        }
    }
}

/// Why an authentic request is not admitted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It cannot be understood.
    #[error("{0}")]
    NotUnderstood(String),
    /// The key's scope does not cover it.
    #[error("the key {key} may not {what}")]
    KeyMayNot {
        /// The key that signed.
        key: KeyId,
        /// What it may not.
        what: String,
    },
    /// An image reference breaks the grammar.
    #[error("{given:?} is not an image reference: {reason}")]
    Image {
        /// As it was sent, cut.
        given: String,
        /// Which rule it breaks.
        reason: ImageReferenceError,
    },
    /// The digest breaks the grammar.
    #[error("{given:?} is not a digest: {reason}")]
    Digest {
        /// As it was sent, cut.
        given: String,
        /// Which rule it breaks.
        reason: DigestError,
    },
    /// The digest in the reference is not the one beside it.
    #[error("the reference names another digest than `digest` does")]
    DigestsDiffer,
    /// One repository twice.
    #[error("{repository} is named twice")]
    NamedTwice {
        /// Which one.
        repository: String,
    },
    /// The project does not take the image.
    #[error(transparent)]
    NotAllowed(#[from] NotAllowed),
}

/// What a caller asks for.
#[derive(Debug, Clone)]
pub enum Asked<'a> {
    /// To put images into service.
    Deploy(&'a Ask),
    /// To go back to a release of before.
    GoBack(WayBack),
}

/// Admits what `caller` asks of `project`.
///
/// The allow-list holds for operators too: what they may not deploy by a slip, a slip of theirs does not deploy.
///
/// # Errors
/// [`Refusal`] says what is in the way.
pub fn admit(project: &Project, caller: &Caller, asked: Asked<'_>) -> Result<DeployRequest, Refusal> {
    let (wanted, rollback, mut requested_by, sequence) = match asked {
        Asked::Deploy(ask) => (Wanted::Images(images(ask)?), None, remarks(ask), ask.sequence),
        Asked::GoBack(WayBack { images, rollback }) => {
            (Wanted::Release(images), Some(rollback), RequestedBy::default(), None)
        }
    };
    match caller {
        Caller::Key(proven) => {
            allow(project, Some((proven.key(), proven.scope())), &wanted)?;
            requested_by.key = Some(proven.key().clone());
            requested_by.delivery = delivery_id(proven.get())?;
        }
        Caller::Operator(operator) => {
            allow(project, None, &wanted)?;
            requested_by.on_behalf_of = requested_by.actor.replace(one_line(operator, LONGEST_REMARK));
        }
    }
    let (project, repetition) = (project.spec.name.clone(), Repetition::of(caller));
    Ok(DeployRequest { project, wanted, requested_by, sequence, repetition, rollback })
}

/// Whether what was admitted may still begin: the configuration may have changed while it waited.
///
/// # Errors
/// [`Refusal`] says what is in the way now.
pub fn readmit(project: &Project, wanted: &Wanted, key: Option<&KeyId>) -> Result<(), Refusal> {
    let scope = match key {
        None => None,
        Some(id) => match project.keys.iter().find(|key| key.id == *id) {
            Some(key) => Some((id, &key.scope)),
            None if project.services.contains(id) => None,
            None => {
                let what = "deploy: it is no longer a key of the project".to_owned();
                return Err(Refusal::KeyMayNot { key: id.clone(), what });
            }
        },
    };
    allow(project, scope, wanted)
}

/// Whether the project takes `wanted`, and a key of this `scope` may ask for it. Of a release of before the repositories
/// must still be the project's; its tags were allowed when it was deployed.
fn allow(project: &Project, scope: Option<(&KeyId, &Scope)>, wanted: &Wanted) -> Result<(), Refusal> {
    let may_not = |key: &KeyId, what: String| Refusal::KeyMayNot { key: key.clone(), what };
    if let Some((key, _)) = scope.filter(|(_, scope)| !scope.may.contains(&Permission::Deploy)) {
        return Err(may_not(key, "deploy".to_owned()));
    }
    let images = match wanted {
        Wanted::Images(images) => images,
        Wanted::Release(images) => {
            let foreign =
                images.iter().map(|image| image.image.repository()).find(|it| !project.spec.images.contains(it));
            return foreign
                .map_or(Ok(()), |repository| Err(NotAllowed::Repository { repository: repository.clone() }.into()));
        }
    };
    images.iter().try_for_each(|image| project.spec.allows(image))?;
    let Some((key, scope)) = scope.filter(|(_, scope)| !scope.tags.is_empty()) else { return Ok(()) };
    let mut tags = images.iter().map(|image| image.tag().unwrap_or_default());
    match tags.find(|tag| !matches_any(&scope.tags, tag)) {
        Some(tag) => Err(may_not(key, format!("deploy the tag {tag:?}"))),
        None => Ok(()),
    }
}

fn delivery_id(delivery: &Delivery) -> Result<Option<DeliveryId>, Refusal> {
    match &delivery.identity {
        Identity::Id(id) => Ok(Some(id.clone())),
        Identity::Body | Identity::None => Ok(None),
        Identity::Unusable => Err(Refusal::NotUnderstood(
            "`Idempotency-Key` must appear exactly once, with 1 to 256 printable characters without spaces".to_owned(),
        )),
    }
}

fn images(ask: &Ask) -> Result<Vec<ImageReference>, Refusal> {
    if ask.images.is_empty() {
        return Err(Refusal::NotUnderstood("name an image: {\"image\": \"registry/repository:tag\"}".to_owned()));
    }
    if ask.images.len() > MOST_IMAGES {
        return Err(Refusal::NotUnderstood(format!("at most {MOST_IMAGES} images go into one deployment")));
    }
    let mut images: Vec<ImageReference> = Vec::with_capacity(ask.images.len());
    for given in &ask.images {
        let image: ImageReference = given.parse().map_err(|reason| Refusal::Image { given: quoted(given), reason })?;
        if images.iter().any(|other| other.repository() == image.repository()) {
            return Err(Refusal::NamedTwice { repository: image.repository().to_string() });
        }
        images.push(image);
    }
    let Some(given) = &ask.digest else { return Ok(images) };
    let digest: Digest = given.parse().map_err(|reason| Refusal::Digest { given: quoted(given), reason })?;
    match images.as_mut_slice() {
        [image] => match image.digest() {
            Some(named) if *named != digest => return Err(Refusal::DigestsDiffer),
            _ => *image = image.clone().with_digest(digest),
        },
        _ => {
            return Err(Refusal::NotUnderstood(
                "`digest` goes with a single image; write `repository:tag@sha256:…` for each of several".to_owned(),
            ));
        }
    }
    Ok(images)
}

/// The beginning of what was sent, as it is: messages quote it, and quoting shows each character.
fn quoted(given: &str) -> String {
    given.chars().take(LONGEST_QUOTE).collect()
}

fn remarks(ask: &Ask) -> RequestedBy {
    let clean = |text: &Option<String>| text.as_deref().map(|text| one_line(text, LONGEST_REMARK));
    RequestedBy {
        key: None,
        delivery: None,
        commit: clean(&ask.commit),
        git_ref: clean(&ask.git_ref),
        actor: clean(&ask.actor),
        on_behalf_of: None,
        run_url: clean(&ask.run_url),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::auth::{self, Key, Request, Scheme, Scope};
    use crate::deploy::spec;
    use crate::model::{DeploymentId, Timestamp};

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const OTHER: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

    fn admitted(scheme: Scheme, scope: Scope, ask: &Ask) -> Result<DeployRequest, Refusal> {
        let now = Timestamp::from_millis(1_700_000_000_000);
        let key = Key::new("ci".parse().unwrap(), scheme, &Key::generate(scheme).unwrap(), None, scope).unwrap();
        let body = bytes::Bytes::from_static(b"{}");
        let (mut head, ()) = http::Request::new(()).into_parts();
        head.headers = auth::sign(&key, &"delivery-1".parse().unwrap(), &body, now).unwrap();
        let keys = vec![key];
        let verified = auth::verify(&keys, &Request { head: &head, body: &body }, now).unwrap();
        let project = Project { spec: Arc::new(spec::tests::shop()), keys, services: vec![] };
        admit(&project, &Caller::Key(verified), Asked::Deploy(ask))
    }

    fn ask(images: &[&str]) -> Ask {
        Ask { images: images.iter().map(|&image| image.to_owned()).collect(), ..Ask::default() }
    }

    fn simply(ask: &Ask) -> Result<DeployRequest, Refusal> {
        admitted(Scheme::STANDARD, Scope::default(), ask)
    }

    #[test]
    fn an_allowed_image_is_admitted_with_what_was_said_about_it_made_harmless() {
        let mut ask = ask(&["ghcr.io/acme/api:v2"]);
        ask.commit = Some("3f2a91c\n\u{1b}[31mforged".to_owned());
        let request = simply(&ask).unwrap();
        assert_eq!(request.wanted, Wanted::Images(vec!["ghcr.io/acme/api:v2".parse().unwrap()]));
        assert_eq!(request.requested_by.commit.as_deref(), Some("3f2a91c forged"));
        assert_eq!(request.requested_by.key.unwrap().as_str(), "ci");
    }

    #[test]
    fn what_makes_a_repetition_depends_on_what_the_scheme_signs() {
        let repetition =
            |scheme| admitted(scheme, Scope::default(), &ask(&["ghcr.io/acme/api:v2"])).unwrap().repetition;
        assert!(matches!(repetition(Scheme::STANDARD), Repetition::Id { id, .. } if id.as_str() == "delivery-1"));
        assert!(matches!(repetition(Scheme::GITHUB), Repetition::Body { .. }));
    }

    #[test]
    fn a_digest_beside_the_image_is_part_of_what_is_asked_for() {
        let with = |image: &str, digest: &str| simply(&Ask { digest: Some(digest.to_owned()), ..ask(&[image]) });
        let request = with("ghcr.io/acme/api:v2", DIGEST).unwrap();
        let named = format!("ghcr.io/acme/api:v2@{DIGEST}");
        assert_eq!(request.wanted, Wanted::Images(vec![named.parse().unwrap()]));
        assert!(with(&named, DIGEST).is_ok());
        assert_eq!(with(&named, OTHER), Err(Refusal::DigestsDiffer));
        assert!(matches!(with("ghcr.io/acme/api:v2", "sha256:1"), Err(Refusal::Digest { .. })));
        let several = Ask { digest: Some(DIGEST.to_owned()), ..ask(&["ghcr.io/acme/api:v2", "ghcr.io/acme/web:v2"]) };
        assert!(matches!(simply(&several), Err(Refusal::NotUnderstood(_))));
    }

    #[test]
    fn what_the_project_or_the_key_does_not_cover_is_refused() {
        assert!(matches!(simply(&ask(&[])), Err(Refusal::NotUnderstood(_))));
        assert!(matches!(simply(&ask(&["--privileged"])), Err(Refusal::Image { .. })));
        assert!(matches!(simply(&ask(&["evil.io/acme/api:v2"])), Err(Refusal::NotAllowed(_))));
        let twice = ask(&["ghcr.io/acme/api:v1", "ghcr.io/acme/api:v2"]);
        assert!(matches!(simply(&twice), Err(Refusal::NamedTwice { .. })));
        let many: Vec<String> = (0..40).map(|n| format!("ghcr.io/acme/api{n}:v1")).collect();
        let many = Ask { images: many, ..Ask::default() };
        assert!(matches!(simply(&many), Err(Refusal::NotUnderstood(_))));

        let reader = Scope { may: vec![Permission::Read], ..Scope::default() };
        let v2 = ask(&["ghcr.io/acme/api:v2"]);
        assert!(matches!(admitted(Scheme::STANDARD, reader, &v2), Err(Refusal::KeyMayNot { .. })));
        let narrow = Scope { tags: vec!["main-*".to_owned()], ..Scope::default() };
        assert!(matches!(admitted(Scheme::STANDARD, narrow.clone(), &v2), Err(Refusal::KeyMayNot { .. })));
        assert!(admitted(Scheme::STANDARD, narrow, &ask(&["ghcr.io/acme/api:main-1"])).is_ok());
    }

    #[test]
    fn an_operator_is_who_the_system_says_whatever_else_is_said() {
        let project = Project { spec: Arc::new(spec::tests::shop()), keys: vec![], services: vec![] };
        for said in [None, Some("alice"), Some("")] {
            let ask = Ask { actor: said.map(str::to_owned), ..ask(&["ghcr.io/acme/api:v2"]) };
            let root = Caller::Operator("root".to_owned());
            let by = admit(&project, &root, Asked::Deploy(&ask)).unwrap().requested_by;
            assert_eq!((by.actor.as_deref(), by.on_behalf_of.as_deref()), (Some("root"), said));
        }
    }

    #[test]
    fn a_refusal_shows_what_cannot_be_seen_in_what_was_sent() {
        for (image, shown) in [
            ("ghcr.io/acme/api:v1\n", r#""ghcr.io/acme/api:v1\n" is not"#),
            ("ghcr.io/acme/api:v1 ", r#""ghcr.io/acme/api:v1 " is not"#),
            ("\u{feff}ghcr.io/acme/api:v1", r#""\u{feff}ghcr.io/acme/api:v1" is not"#),
            ("ghcr.io/acme/\u{202e}api:v1", r#""ghcr.io/acme/\u{202e}api:v1" is not"#),
        ] {
            let told = simply(&ask(&[image])).unwrap_err().to_string();
            assert!(told.contains(shown), "{told}");
        }
        let digest = format!("{DIGEST}\r\n");
        let told = simply(&Ask { digest: Some(digest), ..ask(&["ghcr.io/acme/api:v1"]) }).unwrap_err().to_string();
        assert!(told.contains(r#"b855\r\n" is not a digest"#), "{told}");
    }

    #[test]
    fn a_release_of_before_needs_the_projects_repositories_but_not_its_tags() {
        let project = Project { spec: Arc::new(spec::tests::shop()), keys: vec![], services: vec![] };
        let back = |reference: &str| {
            let image: ImageReference = reference.parse().unwrap();
            let to = DeploymentId::new(Timestamp::from_millis(0));
            let rollback = Rollback { from: vec![], to, deployed_at: Timestamp::from_millis(0) };
            let way = WayBack { images: vec![image.pinned(DIGEST.parse().unwrap())], rollback };
            admit(&project, &Caller::Operator("ann\n".to_owned()), Asked::GoBack(way))
        };
        let request = back("ghcr.io/acme/api:live").unwrap();
        assert!(matches!(&request.wanted, Wanted::Release(images) if images.len() == 1));
        assert_eq!((request.requested_by.actor.as_deref(), request.repetition), (Some("ann"), Repetition::Never));
        assert!(matches!(back("ghcr.io/acme/gone:v1"), Err(Refusal::NotAllowed(NotAllowed::Repository { .. }))));
    }
}
