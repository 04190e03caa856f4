//! What may be deployed here, how it is put into service, and when it is healthy.

use std::path::PathBuf;
use std::time::Duration;

use wildmatch::WildMatch;

use crate::model::{ImageReference, ProjectName, Repository, UnitName};

/// The default grace period of a container is 10 s, and some have a longer one.
const LEAST_TIME_BACK: Duration = Duration::from_secs(120);

/// One project of this host, as its file means it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectSpec {
    /// Its name, unique on the host.
    pub name: ProjectName,
    /// The only repositories deployable here.
    pub images: Vec<Repository>,
    /// Globs (`*`, `?`) of which a tag must match one.
    pub tags: Vec<String>,
    /// Whether a digest without a tag is allowed.
    pub allow_untagged: bool,
    /// How long a whole deployment may take, and its rollback again.
    pub timeout: Duration,
    /// How many good releases stay on the host, the running one included. At least 1.
    pub keep_releases: usize,
    /// How an image is put into service.
    pub target: Target,
    /// When a release counts as working.
    pub health: Health,
    /// The project's own commands around a deployment.
    pub lifecycle: Lifecycle,
}

/// How an image is put into service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Through `docker compose`.
    Compose(Compose),
    /// By starting jobs of systemd units.
    Systemd(Systemd),
    /// By running a program.
    Command(Commands),
}

/// A Compose project on this host. All paths are absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compose {
    /// Where `docker compose` is run: the project directory.
    pub directory: PathBuf,
    /// `--file`, in order; empty for Compose's own choice.
    pub files: Vec<PathBuf>,
    /// `--project-name`; nothing for Compose's own choice.
    pub project_name: Option<String>,
    /// `--profile`, each.
    pub profiles: Vec<String>,
    /// `--env-file`, each.
    pub env_files: Vec<PathBuf>,
    /// The only services that may be moved; empty for all that use a released repository.
    pub services: Vec<String>,
}

/// Units of systemd that run something made from the project's images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Systemd {
    /// In the order in which their jobs are started. At least one.
    pub units: Vec<UnitName>,
    /// What is asked of them.
    pub action: Action,
    /// What the units call the images; `REPOSITORY:latest` for a repository that is not among them.
    pub references: Vec<ImageReference>,
}

/// What is asked of a unit, in systemd's words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Action {
    /// Stop it if it runs, and start it.
    #[default]
    Restart,
    /// Have it take over what is new by its `ExecReload`. A unit that does not run is started.
    Reload,
    /// Reload where the unit can, else restart.
    ReloadOrRestart,
}

/// Programs that put an image into service by themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commands {
    /// Puts the images that it is told into service; its exit code decides.
    pub run: CommandLine,
    /// Puts back the images that it is told; `run` does it where there is none.
    pub rollback: Option<CommandLine>,
    /// What the program calls the images on this host; `REPOSITORY:latest` for a repository that is not among them.
    pub references: Vec<ImageReference>,
}

/// A program and its arguments; never a shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine {
    /// The program by its absolute path, then its arguments. Never empty.
    pub words: Vec<String>,
    /// How long it may take.
    pub deadline: Duration,
}

/// The project's own commands around a deployment. Each may be run again after a crash.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lifecycle {
    /// Before anything is touched; when it fails, nothing is.
    pub before: Option<CommandLine>,
    /// After a release has succeeded. Its failure is told and changes nothing.
    pub after: Option<CommandLine>,
    /// After one has failed. Its failure is told and changes nothing.
    pub on_failure: Option<CommandLine>,
}

/// When a release counts as working. Container health and restarts are always watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// The project's own check, besides the containers' own.
    pub probe: Option<Probe>,
    /// It must be healthy by then, counted from when it was put into service.
    pub within: Duration,
    /// And stay so for this long.
    pub settle: Duration,
}

/// A health check from the outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// `GET` answers 2xx or 3xx.
    Http(String),
    /// `host:port` accepts a connection.
    Tcp(String),
    /// The program exits 0. Its arguments, the program first; never a shell.
    Command(Vec<String>),
}

/// Why a project does not take an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAllowed {
    /// Its repository is not one of the project's.
    #[error("{repository} is not among the images of this project")]
    Repository {
        /// What was asked for.
        repository: Repository,
    },
    /// Its tag matches none of the globs.
    #[error("the tag {tag:?} matches none of the tags allowed here ({allowed})")]
    Tag {
        /// What was asked for.
        tag: String,
        /// The globs, joined.
        allowed: String,
    },
    /// It names neither tag nor digest.
    #[error("{image} names neither a tag nor a digest: add one, as in {image}:v1")]
    Unnamed {
        /// What was asked for.
        image: ImageReference,
    },
    /// It names a digest alone.
    #[error("{image} names a digest without a tag; the project allows that with `allow_untagged = true`")]
    Untagged {
        /// What was asked for.
        image: ImageReference,
    },
}

impl Target {
    /// What a repository is called on this host where units or programs name it: one or several references each.
    #[must_use]
    pub fn references(listed: &[ImageReference], repositories: &[Repository]) -> Vec<ImageReference> {
        let mut references = Vec::new();
        for repository in repositories {
            let mut own = listed.iter().filter(|reference| reference.repository() == repository).cloned().peekable();
            if own.peek().is_none() {
                references.push(repository.clone().latest());
            }
            references.extend(own);
        }
        references
    }

    /// The target as callers are told: `compose`, `systemd`, `command`.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Compose(_) => "compose",
            Self::Systemd(_) => "systemd",
            Self::Command(_) => "command",
        }
    }
}

impl CommandLine {
    /// The program, as people call it.
    #[must_use]
    pub fn program(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }
}

impl ProjectSpec {
    /// What is left of a project that is not configured any more: enough to put back what ran before.
    #[must_use]
    pub fn unconfigured(name: ProjectName, images: Vec<Repository>, target: Target) -> Self {
        Self {
            name,
            images,
            tags: Vec::new(),
            allow_untagged: false,
            timeout: LEAST_TIME_BACK,
            keep_releases: usize::MAX,
            target,
            health: Health { probe: None, within: LEAST_TIME_BACK, settle: Duration::ZERO },
            lifecycle: Lifecycle::default(),
        }
    }

    /// The longest that a deployment takes once its turn has come: there, and back, and the command for its end.
    #[must_use]
    pub fn longest(&self) -> Duration {
        let Lifecycle { after, on_failure, .. } = &self.lifecycle;
        let last = [after, on_failure].into_iter().flatten().map(|command| command.deadline).max();
        self.timeout + self.time_back() + last.unwrap_or_default()
    }

    /// How long putting back what ran before may take: as long as the way forward, and never less than a stubborn
    /// container needs to be stopped and another one to come up.
    #[must_use]
    pub fn time_back(&self) -> Duration {
        self.timeout.max(LEAST_TIME_BACK)
    }

    /// Whether `image` may be deployed here.
    ///
    /// # Errors
    /// [`NotAllowed`] says which rule it breaks.
    pub fn allows(&self, image: &ImageReference) -> Result<(), NotAllowed> {
        if !self.images.contains(image.repository()) {
            return Err(NotAllowed::Repository { repository: image.repository().clone() });
        }
        match (image.tag(), image.digest()) {
            (Some(tag), _) if matches_any(&self.tags, tag) => Ok(()),
            (Some(tag), _) => Err(NotAllowed::Tag { tag: tag.to_owned(), allowed: self.tags.join(", ") }),
            (None, None) => Err(NotAllowed::Unnamed { image: image.clone() }),
            (None, Some(_)) if self.allow_untagged => Ok(()),
            (None, Some(_)) => Err(NotAllowed::Untagged { image: image.clone() }),
        }
    }
}

/// Whether one of the globs matches the whole of `text`.
#[must_use]
pub fn matches_any(globs: &[String], text: &str) -> bool {
    globs.iter().any(|glob| WildMatch::new(glob).matches(text))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn compose_of_shop() -> Compose {
        Compose {
            directory: "/srv/shop".into(),
            files: vec![],
            project_name: None,
            profiles: vec![],
            env_files: vec![],
            services: vec![],
        }
    }

    pub(crate) fn shop() -> ProjectSpec {
        ProjectSpec {
            name: "shop".parse().unwrap(),
            images: vec!["ghcr.io/acme/api".parse().unwrap(), "ghcr.io/acme/web".parse().unwrap()],
            tags: vec!["main-*".to_owned(), "v*".to_owned()],
            allow_untagged: false,
            timeout: Duration::from_secs(600),
            keep_releases: 3,
            target: Target::Compose(compose_of_shop()),
            health: Health { probe: None, within: Duration::from_secs(60), settle: Duration::from_secs(5) },
            lifecycle: Lifecycle::default(),
        }
    }

    #[test]
    fn a_repository_is_called_latest_where_nothing_else_is_said() {
        let listed = ["r.io/api:live".parse().unwrap(), "r.io/api:blue".parse().unwrap()];
        let repositories = ["r.io/api".parse().unwrap(), "r.io/web".parse().unwrap()];
        let found: Vec<String> = Target::references(&listed, &repositories).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["r.io/api:live", "r.io/api:blue", "r.io/web:latest"]);
    }

    #[test]
    fn only_listed_repositories_and_matching_tags_are_allowed() {
        let shop = shop();
        let allows = |text: &str| shop.allows(&text.parse().unwrap());
        let digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(allows("ghcr.io/acme/api:main-1"), Ok(()));
        assert_eq!(allows(&format!("ghcr.io/acme/api:v1@{digest}")), Ok(()));
        assert!(matches!(allows("ghcr.io/acme/api:dev"), Err(NotAllowed::Tag { .. })));
        assert!(matches!(allows("ghcr.io/acme/api"), Err(NotAllowed::Unnamed { .. })));
        assert!(matches!(allows(&format!("ghcr.io/acme/api@{digest}")), Err(NotAllowed::Untagged { .. })));
        for other in
            ["ghcr.io/acme/apis:v1", "ghcr.io.evil/acme/api:v1", "ghcr.io:443/acme/api:v1", "evil.io/acme/api:v1"]
        {
            assert!(matches!(allows(other), Err(NotAllowed::Repository { .. })), "{other}");
        }
    }
}
