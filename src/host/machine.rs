//! The real machine: an engine, the targets that are driven on it, and the project's own checks and commands.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::{join_all, try_join_all};
use nix::unistd::{User, getuid};

use super::engine::client::Engine;
use super::engine::credentials::{CredentialStore, RegistryCredentials};
use super::engine::record::ImageRecord;
use super::finding::Finding;
use super::lifecycle;
use super::program::own::Context;
use super::program::runs::Runs;
use super::target::Equipment;
use super::target::compose::memory::Memory;
use super::target::driver::Driver;
use super::{End, EngineVersion, Host, HostError, LogSink, LogWish, Reporter};
use crate::deploy::plan::{Source, Step};
use crate::deploy::sharing::Uses;
use crate::deploy::snapshot::{Instance, Snapshot};
use crate::deploy::spec::{Compose, ProjectSpec};
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
    /// Where runs of programs are recorded, so that none outlives windlass; nowhere for one that changes nothing.
    pub runs: Option<PathBuf>,
}

/// This machine.
#[derive(Debug)]
pub struct Machine {
    engine: Engine,
    credentials: CredentialStore,
    docker_config: PathBuf,
    memory: Memory,
    runs: Runs,
}

impl Machine {
    /// Touches nothing: the engine may be away. What it pulls is written into `record`.
    #[must_use]
    pub fn new(settings: MachineSettings, record: Arc<dyn ImageRecord>) -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let address = settings.docker_host.or_else(|| variable("DOCKER_HOST"));
        let chosen = settings.docker_config.or_else(|| variable("DOCKER_CONFIG").map(PathBuf::from));
        let docker_config = chosen.unwrap_or_else(|| home().join(".docker"));
        Self {
            engine: Engine::new(address.unwrap_or_else(|| DEFAULT_ENGINE.to_owned()), Clock::system(), record),
            credentials: CredentialStore::new(settings.registries, docker_config.clone()),
            docker_config,
            memory: Memory::default(),
            runs: Runs::new(settings.runs),
        }
    }

    /// Takes over registry credentials that were configured anew. Which engine is driven stays as it was.
    pub fn reconfigure(&self, settings: MachineSettings) {
        self.credentials.replace(settings.registries);
    }

    /// Which engine answers.
    ///
    /// # Errors
    /// The engine does not answer, or speaks no API that windlass knows.
    pub async fn engine(&self) -> Result<EngineVersion, HostError> {
        self.engine.version().await
    }

    /// All that is the project's own and would make a deployment fail; nothing when all is well.
    pub async fn survey(&self, spec: &ProjectSpec) -> Vec<Finding> {
        let mut findings = self.driver(spec).survey().await;
        findings.extend(lifecycle::survey(&spec.lifecycle));
        findings
    }

    /// What keeps this host from having credentials for the registries of these projects' images.
    pub async fn survey_registries(&self, specs: &[&ProjectSpec]) -> Vec<Finding> {
        let registries: BTreeSet<&str> = specs.iter().flat_map(|spec| &spec.images).map(Repository::host).collect();
        self.credentials.survey(registries).await
    }

    /// Whether each registry takes the credentials that a pull would use. What keeps this host from having any is a
    /// finding of [`Machine::survey_registries`].
    pub async fn log_in(&self, registries: &BTreeSet<&str>) -> Vec<Finding> {
        let one = async |host: &str| self.engine.log_in(host, &self.credentials.login(host).await).await;
        join_all(registries.iter().map(|host| one(host))).await.into_iter().flatten().collect()
    }

    /// Where the engine keeps its images, where that is on this host and the engine says so.
    pub async fn data_root(&self) -> Option<PathBuf> {
        let is_here = self.engine.address().starts_with("unix://") || self.engine.address().starts_with('/');
        if is_here { self.engine.data_root().await } else { None }
    }

    /// What a deployment of the project moves, each by a name that is the same for all projects of this host. Nothing
    /// where that cannot be found out.
    pub async fn moved(&self, spec: &ProjectSpec) -> Vec<String> {
        self.driver(spec).moved().await
    }

    /// The services of a Compose project, and the images that its files name for them.
    ///
    /// # Errors
    /// Compose is missing, or does not understand the files.
    pub async fn images_in(&self, compose: &Compose) -> Result<Vec<(String, Option<String>)>, HostError> {
        let model = self.equipment().compose(compose).config().await?;
        Ok(model.services.into_iter().map(|(name, service)| (name, service.image)).collect())
    }

    fn equipment(&self) -> Equipment<'_> {
        Equipment {
            engine: &self.engine,
            credentials: &self.credentials,
            runs: &self.runs,
            docker_config: &self.docker_config,
            memory: &self.memory,
        }
    }

    fn driver<'a>(&'a self, spec: &'a ProjectSpec) -> Box<dyn Driver + 'a> {
        self.equipment().driver(spec)
    }

    async fn pull(&self, image: &PinnedImage, reporter: &Reporter) -> Result<(), HostError> {
        let source = Source::Registry(image.clone());
        if self.engine.image_of(&source).await?.is_some() {
            return Ok(());
        }
        let login = self.credentials.login(image.image.repository().host()).await;
        self.engine.pull(image, &login, reporter).await?;
        match self.engine.image_of(&source).await? {
            Some(here) => self.engine.note(image, &here).await,
            None => {
                let reason = "the engine said that it was pulled, but does not have it".to_owned();
                Err(HostError::failed(format!("pulling {} failed", image.by_digest()), reason))
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
        let login = self.credentials.login(image.repository().host()).await;
        let found = self.engine.resolve(image, &login).await?;
        match image.digest() {
            Some(named) if *named != found => {
                Err(HostError::refused("", format!("{image} is {found}, not the digest that was named with it")))
            }
            _ => Ok(image.clone().pinned(found)),
        }
    }

    async fn places(&self, spec: &ProjectSpec) -> Result<BTreeSet<String>, HostError> {
        self.driver(spec).places().await
    }

    async fn uses(&self, spec: &ProjectSpec, repositories: &[Repository]) -> Result<Uses, HostError> {
        self.driver(spec).uses(repositories).await
    }

    async fn warnings(&self, spec: &ProjectSpec) -> Result<Vec<String>, HostError> {
        self.driver(spec).warnings().await
    }

    async fn snapshot(&self, spec: &ProjectSpec, repositories: &[Repository]) -> Result<Snapshot, HostError> {
        self.driver(spec).snapshot(repositories).await
    }

    async fn is_untouched(&self, spec: &ProjectSpec, snapshot: &Snapshot) -> Result<bool, HostError> {
        self.driver(spec).is_untouched(snapshot).await
    }

    async fn perform(
        &self,
        lease: &Lease,
        spec: &ProjectSpec,
        step: &Step,
        reporter: &Reporter,
    ) -> Result<(), HostError> {
        self.runs.end_leftovers(lease.project(), reporter).await?;
        let driver = self.driver(spec);
        match step {
            Step::Pull { image } => self.pull(image, reporter).await,
            Step::Keep { images } => self.keep(lease.project(), images).await,
            Step::Before { change } => {
                let (directory, must) = (driver.directory(), change.back);
                let context = Context { lease, directory, runs: &self.runs, must, reporter };
                lifecycle::before(&spec.lifecycle, change, &context).await
            }
            Step::Pin { reference, image } => driver.pin(reference, image).await,
            Step::Apply { services, change } => driver.apply(lease, services, change, reporter).await,
            Step::AwaitHealthy { services, images } => driver.await_healthy(services, images, reporter).await,
            Step::Remove { services, unpin } => driver.remove(lease, services, unpin, reporter).await,
        }
    }

    async fn conclude(
        &self,
        lease: &Lease,
        spec: &ProjectSpec,
        end: &End,
        reporter: &Reporter,
    ) -> Result<(), HostError> {
        self.runs.end_leftovers(lease.project(), reporter).await?;
        let driver = self.driver(spec);
        let context = Context { lease, directory: driver.directory(), runs: &self.runs, must: true, reporter };
        lifecycle::conclude(&spec.lifecycle, end, &context).await
    }

    async fn retain(
        &self,
        lease: &Lease,
        spec: &ProjectSpec,
        keep: &[PinnedImage],
        reporter: &Reporter,
    ) -> Result<(), HostError> {
        self.engine.let_go(lease.project(), &spec.images, keep, reporter).await?;
        // Somebody may have removed what holds the others in the meantime.
        for source in keep.iter().rev().cloned().map(Source::Registry) {
            if let Some(image) = self.engine.image_of(&source).await? {
                self.engine.keep_on(lease.project(), &source, &image).await?;
            }
        }
        Ok(())
    }

    async fn observe(&self, spec: &ProjectSpec) -> Result<Vec<Instance>, HostError> {
        self.driver(spec).observe().await
    }

    async fn logs(&self, spec: &ProjectSpec, wish: LogWish, sink: &LogSink) -> Result<(), HostError> {
        let driver = self.driver(spec);
        let mut names: Vec<String> = driver.observe().await?.into_iter().map(|instance| instance.name).collect();
        names.dedup();
        try_join_all(names.iter().map(|name| driver.log(name, wish, sink))).await.map(drop)
    }
}

/// The home directory, as the environment says it, else the user database: a service may have no environment.
fn home() -> PathBuf {
    let variable = std::env::var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
    let database = || User::from_uid(getuid()).ok().flatten().map(|user| user.dir);
    variable.or_else(database).unwrap_or_else(|| Path::new("/root").to_owned())
}
