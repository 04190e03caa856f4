//! The real machine: an engine, Compose, and the project's own checks.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use nix::unistd::{User, getuid};

use super::apply::{Apply, withdraw};
use super::compose::{ComposeCommand, Model};
use super::credentials::{RegistryCredentials, Vault};
use super::docker::Engine;
use super::select::select;
use super::survey::{EngineVersion, Finding};
use super::watch::Watch;
use super::{Host, HostError, Narrator, snapshot, survey};
use crate::deploy::plan::{Expected, Source, Step};
use crate::deploy::snapshot::{Instance, Snapshot};
use crate::deploy::spec::{Compose, ProjectSpec, Target};
use crate::lanes::Lease;
use crate::model::{Clock, ImageReference, PinnedImage, ProjectName, Repository};

/// Where the engine is when nobody says so.
const DEFAULT_ENGINE: &str = "unix:///var/run/docker.sock";

/// What a machine must be told about itself. All of it has a default.
#[derive(Debug, Clone, Default)]
pub struct MachineSettings {
    /// `unix:///path` or `tcp://host:port`; else `$DOCKER_HOST`, else the usual socket.
    pub docker_host: Option<String>,
    /// Credentials by registry host. They come before Docker's own.
    pub registries: BTreeMap<String, RegistryCredentials>,
    /// The directory of Docker's own `config.json`; else `$DOCKER_CONFIG`, else `~/.docker`.
    pub docker_config: Option<PathBuf>,
}

/// This machine.
#[derive(Debug)]
pub struct Machine {
    engine: Engine,
    vault: Vault,
    docker_config: Option<PathBuf>,
    /// What Compose calls the projects whose files do not change: asking costs a process each time.
    names: Mutex<HashMap<ProjectName, (Compose, String)>>,
}

impl Machine {
    /// Touches nothing: the engine may be away.
    #[must_use]
    pub fn new(settings: MachineSettings) -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let address = settings.docker_host.or_else(|| variable("DOCKER_HOST"));
        let chosen = settings.docker_config.clone().or_else(|| variable("DOCKER_CONFIG").map(PathBuf::from));
        Self {
            engine: Engine::new(address.unwrap_or_else(|| DEFAULT_ENGINE.to_owned()), Clock::system()),
            vault: Vault::new(settings.registries, chosen.unwrap_or_else(|| home().join(".docker"))),
            docker_config: settings.docker_config,
            names: Mutex::default(),
        }
    }

    /// Takes over registry credentials that were configured anew. Which engine is driven stays as it was.
    pub fn reconfigure(&self, settings: MachineSettings) {
        self.vault.replace(settings.registries);
    }

    /// Which engine answers.
    ///
    /// # Errors
    /// The engine does not answer, or speaks no API that windlass knows.
    pub async fn engine(&self) -> Result<EngineVersion, HostError> {
        self.engine.version().await
    }

    /// All in the project's own files that would make a deployment fail; nothing when all is well.
    pub async fn survey(&self, spec: &ProjectSpec) -> Vec<Finding> {
        let Target::Compose(compose) = &spec.target;
        survey::project(&self.compose(compose), spec).await
    }

    /// The services of a Compose project, and the images that its files name for them.
    ///
    /// # Errors
    /// Compose is missing, or does not understand the files.
    pub async fn images_in(&self, compose: &Compose) -> Result<Vec<(String, Option<String>)>, HostError> {
        let model = self.compose(compose).config().await?;
        Ok(model.services.into_iter().map(|(name, service)| (name, service.image)).collect())
    }

    fn compose<'a>(&'a self, spec: &'a Compose) -> ComposeCommand<'a> {
        ComposeCommand { spec, engine: self.engine.address(), docker_config: self.docker_config.as_deref() }
    }

    /// What Compose makes of the project's files, now.
    async fn model(&self, project: &ProjectName, compose: &Compose) -> Result<Model, HostError> {
        let model = self.compose(compose).config().await?;
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.insert(project.clone(), (compose.clone(), model.name.clone()));
        drop(names);
        Ok(model)
    }

    /// What Compose calls the project.
    async fn compose_project(&self, project: &ProjectName, compose: &Compose) -> Result<String, HostError> {
        if let Some(name) = self.known_name(project, compose) {
            return Ok(name);
        }
        Ok(self.model(project, compose).await?.name)
    }

    fn known_name(&self, project: &ProjectName, compose: &Compose) -> Option<String> {
        if compose.project_name.is_some() {
            return compose.project_name.clone();
        }
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.get(project).filter(|(known, _)| known == compose).map(|(_, name)| name.clone())
    }

    async fn pull(&self, image: &PinnedImage, narrator: &Narrator) -> Result<(), HostError> {
        let source = Source::Registry(image.clone());
        if self.engine.image_of(&source).await?.is_some() {
            narrator.say("it is here already");
            return Ok(());
        }
        let login = self.vault.login(image.image.repository().host()).await;
        self.engine.pull(image, &login, narrator).await?;
        match self.engine.image_of(&source).await? {
            Some(_) => Ok(()),
            None => {
                let reason = "the engine said that it was pulled, but does not have it".to_owned();
                Err(HostError::Pull { image: image.by_digest(), reason })
            }
        }
    }

    async fn keep(&self, project: &ProjectName, images: &[Source]) -> Result<(), HostError> {
        // The release comes first in a plan, and is held last: of several digests for one image the last one counts.
        for source in images.iter().rev() {
            // What ran before may have been removed from under its container; then there is nothing to hold.
            if let Some(image) = self.engine.image_of(source).await? {
                self.engine.keep(project, source, &image).await?;
            }
        }
        Ok(())
    }

    async fn pin(&self, reference: &ImageReference, source: &Source) -> Result<(), HostError> {
        let operation = || format!("pin {reference} to {source}");
        let Some(image) = self.engine.image_of(source).await? else {
            return Err(HostError::Engine {
                operation: operation(),
                reason: "the image is not on this host".to_owned(),
            });
        };
        let (repository, tag) = (reference.repository().to_string(), reference.tag().unwrap_or("latest"));
        self.engine.tag(&image.id, &repository, tag).await?;
        match self.engine.image(&reference.to_string()).await? {
            Some(found) if found.id == image.id => Ok(()),
            found => {
                let found = found.map_or_else(|| "nothing".to_owned(), |image| image.id.to_string());
                Err(HostError::Engine { operation: operation(), reason: format!("it means {found} all the same") })
            }
        }
    }

    async fn apply(
        &self,
        spec: &ProjectSpec,
        compose: &Compose,
        services: &[String],
        narrator: &Narrator,
    ) -> Result<(), HostError> {
        let model = self.model(&spec.name, compose).await?;
        let apply = Apply {
            engine: &self.engine,
            compose: &self.compose(compose),
            vault: &self.vault,
            limit: spec.timeout,
            narrator,
        };
        apply.services(&model, services).await
    }

    async fn await_healthy(
        &self,
        spec: &ProjectSpec,
        compose: &Compose,
        services: &[String],
        expected: &[Expected],
    ) -> Result<(), HostError> {
        let watch = Watch {
            engine: &self.engine,
            project: &self.compose_project(&spec.name, compose).await?,
            services,
            expected,
            health: &spec.health,
            directory: &compose.directory,
        };
        watch.until_healthy().await
    }
}

#[async_trait]
impl Host for Machine {
    async fn resolve(&self, image: &ImageReference) -> Result<PinnedImage, HostError> {
        if let (None, Some(digest)) = (image.tag(), image.digest()) {
            let pinned = image.clone().pinned(digest.clone());
            if self.engine.image_of(&Source::Registry(pinned.clone())).await?.is_some() {
                return Ok(pinned);
            }
        }
        let login = self.vault.login(image.repository().host()).await;
        let found = self.engine.resolve(image, &login).await?;
        match image.digest() {
            Some(named) if *named != found => {
                Err(HostError::Mismatch { image: image.to_string(), found: found.to_string() })
            }
            _ => Ok(image.clone().pinned(found)),
        }
    }

    async fn snapshot(&self, spec: &ProjectSpec, repositories: &[Repository]) -> Result<Snapshot, HostError> {
        let Target::Compose(compose) = &spec.target;
        let model = self.model(&spec.name, compose).await?;
        let selected = select(&model, compose, repositories).map_err(|reason| HostError::Target { reason })?;
        snapshot::take(&self.engine, &model.name, &selected).await
    }

    async fn perform(
        &self,
        lease: &Lease,
        spec: &ProjectSpec,
        step: &Step,
        narrator: &Narrator,
    ) -> Result<(), HostError> {
        let Target::Compose(compose) = &spec.target;
        match step {
            Step::Pull { image } => self.pull(image, narrator).await,
            Step::Keep { images } => self.keep(lease.project(), images).await,
            Step::Pin { reference, image } => self.pin(reference, image).await,
            Step::Apply { services } => self.apply(spec, compose, services, narrator).await,
            Step::AwaitHealthy { services, images } => self.await_healthy(spec, compose, services, images).await,
            Step::Withdraw { services, unpin } => {
                let project = self.compose_project(&spec.name, compose).await?;
                withdraw(&self.engine, lease, &project, services, unpin, narrator).await
            }
        }
    }

    async fn retain(&self, lease: &Lease, spec: &ProjectSpec, keep: &[PinnedImage]) -> Result<(), HostError> {
        self.engine.let_go(lease.project(), &spec.images, keep).await?;
        // Somebody may have removed what holds the others in the meantime.
        let others: Vec<Source> = keep.iter().cloned().map(Source::Registry).collect();
        self.keep(lease.project(), &others).await
    }

    async fn observe(&self, spec: &ProjectSpec) -> Result<Vec<Instance>, HostError> {
        let Target::Compose(compose) = &spec.target;
        let project = match self.known_name(&spec.name, compose) {
            Some(name) => name,
            // The containers themselves say where they come from; Compose is asked only when that leaves a doubt.
            None => match self.engine.projects_of(&working_directory(compose)).await?.as_slice() {
                [only] => only.clone(),
                _ => self.compose_project(&spec.name, compose).await?,
            },
        };
        snapshot::observe(&self.engine, &project, spec, compose).await
    }
}

/// What Compose takes for the project's directory, and writes on the containers.
fn working_directory(compose: &Compose) -> String {
    let directory = compose.files.first().and_then(|file| file.parent()).unwrap_or(&compose.directory);
    directory.display().to_string()
}

/// The home directory, as the environment says it, else the user database: a service may have no environment.
fn home() -> PathBuf {
    let variable = std::env::var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
    let database = || User::from_uid(getuid()).ok().flatten().map(|user| user.dir);
    variable.or_else(database).unwrap_or_else(|| Path::new("/root").to_owned())
}
