//! Drives a compose project.

use std::collections::BTreeSet;
use std::path::Path;

use async_trait::async_trait;

use super::apply::{Apply, remove};
use super::command::{ComposeCommand, ComposeError};
use super::memory::Memory;
use super::model::Model;
use super::select::{candidates, place, select, uses};
use super::watched::Containers;
use super::{dependencies, ghosts, impostors, leftovers, ports, resources, restart, snapshot, surroundings, survey};
use crate::deploy::plan::{Change, Expected, Source};
use crate::deploy::sharing::Uses;
use crate::deploy::snapshot::{Instance, Snapshot};
use crate::deploy::spec::{Compose, ProjectSpec};
use crate::host::engine::client::Engine;
use crate::host::engine::credentials::CredentialStore;
use crate::host::engine::pins;
use crate::host::finding::Finding;
use crate::host::health::watch::Watch;
use crate::host::program::runs::Runs;
use crate::host::target::driver::Driver;
use crate::host::{HostError, LogSink, LogWish, Reporter};
use crate::lanes::Lease;
use crate::model::{ImageReference, Repository};

/// How often a release is put into service again that was disturbed while it was watched.
const AGAIN: u32 = 2;

/// One compose project.
pub(in crate::host::target) struct ComposeDriver<'a> {
    pub(in crate::host::target) engine: &'a Engine,
    pub(in crate::host::target) credentials: &'a CredentialStore,
    pub(in crate::host::target) memory: &'a Memory,
    pub(in crate::host::target) runs: &'a Runs,
    pub(in crate::host::target) command: ComposeCommand<'a>,
    pub(in crate::host::target) spec: &'a ProjectSpec,
    pub(in crate::host::target) compose: &'a Compose,
}

impl ComposeDriver<'_> {
    /// What Compose makes of the project's files, now.
    async fn model(&self) -> Result<Model, ComposeError> {
        let model = {
            // Never closed.
            let _turn = self.memory.reading.acquire().await;
            self.command.config().await?
        };
        self.memory.learn(&self.spec.name, self.compose, &model);
        Ok(model)
    }

    /// What Compose calls the project.
    async fn project(&self) -> Result<String, HostError> {
        match self.known_name() {
            Some(name) => Ok(name),
            None => Ok(self.model().await?.name),
        }
    }

    async fn put_into_service(
        &self,
        model: &Model,
        services: &[String],
        back: bool,
        reporter: &Reporter,
    ) -> Result<(), HostError> {
        let limit = if back { self.spec.time_back() } else { self.spec.timeout };
        let apply = Apply {
            engine: self.engine,
            compose: &self.command,
            credentials: self.credentials,
            runs: self.runs,
            project: &self.spec.name,
            limit,
            back,
            reporter,
        };
        apply.services(model, services).await?;
        let restarted = restart::followers(self.engine, model, services, limit, reporter).await?;
        self.memory.note_restarted(&self.spec.name, restarted);
        Ok(())
    }

    /// Starts again what the failed release took down with it: it ran before.
    async fn start_again(
        &self,
        project: &str,
        restarted: &BTreeSet<String>,
        reporter: &Reporter,
    ) -> Result<(), HostError> {
        if restarted.is_empty() {
            return Ok(());
        }
        for container in restart::fallen(&self.engine.containers(project).await?, restarted) {
            reporter.say(&format!("starting {} again, which ran before", container.name));
            self.engine.restart_container(container).await?;
            self.memory.note_restarted(&self.spec.name, [container.id.clone()]);
        }
        Ok(())
    }

    /// Pins once more what has got another meaning while it was watched, and says whether there was any: somebody else
    /// moved the name, or the engine carried out late what an interrupted step had asked for. What is proven is what the
    /// next `docker compose up`, or a reboot, starts.
    async fn pin_again(&self, expected: &[Expected], reporter: &Reporter) -> Result<bool, HostError> {
        let mut moved = false;
        for Expected { reference, image, .. } in expected {
            // Only a name of the plan: what the files say by now may be somebody else's.
            let Some(reference) = reference else { continue };
            if !pins::holds(self.engine, reference, image).await? {
                reporter.say(&format!("{reference} means something else now: pinning it to {image} again"));
                pins::pin(self.engine, reference, image).await?;
                moved = true;
            }
        }
        Ok(moved)
    }

    /// Fails where the files no longer name an image of the release for one of its services: Compose would start what
    /// nobody asked for.
    fn still_uses(&self, model: &Model, services: &[String], change: &Change) -> Result<(), HostError> {
        let named = candidates(model, self.compose);
        let is_of_release = |reference: &ImageReference| {
            change.to.iter().any(|source| matches!(source, Source::Local(_)) || source.is_of(reference.repository()))
        };
        for service in services {
            let reference = named.iter().find(|(name, _)| name == service).map(|(_, reference)| reference);
            if !reference.is_some_and(is_of_release) {
                let names = reference.map_or_else(|| "no image".to_owned(), ToString::to_string);
                let reason = format!(
                    "the compose file was changed meanwhile: {service} names {names}, and not an image of the release"
                );
                return Err(HostError::failed("", reason));
            }
        }
        Ok(())
    }

    /// That the project runs under another name of the Compose project than it would be deployed under.
    async fn other_name(&self, project: &str) -> Result<Option<String>, HostError> {
        surroundings::other_name(self.engine, project, working_directory(self.compose)).await
    }

    /// Why Compose could not put `services` into service here, with what to do about it.
    async fn obstacles(&self, model: &Model, services: &[String]) -> Result<Vec<String>, HostError> {
        let mut obstacles = impostors::find(self.engine, &model.name).await?;
        obstacles.extend(ghosts::find(self.engine, &model.name).await?);
        obstacles.extend(resources::troubles(self.engine, model, services).await?);
        obstacles.extend(ports::taken(self.engine, model, services).await?);
        obstacles.extend(dependencies::paused(model, &self.engine.containers(&model.name).await?, services));
        // Where the configuration chooses the name, it says which of several projects of one directory is meant.
        if self.compose.project_name.is_none() {
            obstacles.extend(self.other_name(&model.name).await?);
        }
        Ok(obstacles)
    }

    /// What on the host has to do with the project and stands in its way.
    async fn survey_host(&self, model: &Model) -> Result<Vec<Finding>, HostError> {
        let uses = uses(model, self.compose, &self.spec.images);
        let selected = candidates(model, self.compose).into_iter();
        let moved = selected.filter(|(_, image)| self.spec.images.contains(image.repository()));
        let services: Vec<String> = moved.map(|(name, _)| name).collect();
        let obstacles = self.obstacles(model, &services).await?;
        let mut findings: Vec<Finding> = obstacles.into_iter().map(Finding::error).collect();
        let others = surroundings::other_users(self.engine, &model.name, &uses.into_keys().collect()).await?;
        findings.extend(self.warnings().await?.into_iter().chain(others).map(Finding::warning));
        Ok(findings)
    }

    fn known_name(&self) -> Option<String> {
        let named = self.compose.project_name.clone();
        named.or_else(|| self.memory.recall(&self.spec.name, self.compose, |model| model.name.clone()))
    }
}

#[async_trait]
impl Driver for ComposeDriver<'_> {
    fn directory(&self) -> &Path {
        &self.compose.directory
    }

    async fn places(&self) -> Result<BTreeSet<String>, HostError> {
        Ok([place(&self.project().await?)].into())
    }

    async fn uses(&self, repositories: &[Repository]) -> Result<Uses, HostError> {
        let uses = |model: &Model| uses(model, self.compose, repositories);
        match self.model().await {
            Ok(model) => Ok(uses(&model)),
            Err(error) => self.memory.recall(&self.spec.name, self.compose, uses).ok_or_else(|| error.into()),
        }
    }

    async fn snapshot(&self, repositories: &[Repository]) -> Result<Snapshot, HostError> {
        let model = self.model().await?;
        let selected = select(&model, self.compose, repositories).map_err(|reason| HostError::refused("", reason))?;
        let services: Vec<String> = selected.iter().map(|service| service.name.clone()).collect();
        if let Some(reason) = self.obstacles(&model, &services).await?.into_iter().next() {
            return Err(HostError::refused("", reason));
        }
        snapshot::take(self.engine, &model, &selected).await
    }

    async fn is_untouched(&self, snapshot: &Snapshot) -> Result<bool, HostError> {
        snapshot::is_untouched(self.engine, snapshot).await
    }

    async fn pin(&self, reference: &ImageReference, source: &Source) -> Result<(), HostError> {
        pins::pin(self.engine, reference, source).await
    }

    async fn apply(
        &self,
        _lease: &Lease,
        services: &[String],
        change: &Change,
        reporter: &Reporter,
    ) -> Result<(), HostError> {
        let restarted = self.memory.forget_restarted(&self.spec.name);
        let model = self.model().await?;
        self.still_uses(&model, services, change)?;
        self.put_into_service(&model, services, change.back, reporter).await?;
        if change.back { self.start_again(&model.name, &restarted, reporter).await } else { Ok(()) }
    }

    async fn await_healthy(
        &self,
        services: &[String],
        expected: &[Expected],
        reporter: &Reporter,
    ) -> Result<(), HostError> {
        let mut again = 0..AGAIN;
        loop {
            let (project, restarted) = (self.project().await?, self.memory.restarted(&self.spec.name));
            let containers = Containers::new(self.engine, project, services, restarted, expected);
            let watch = Watch { subject: containers, health: &self.spec.health, directory: self.directory(), reporter };
            let Err(error) = watch.until_healthy().await else { break };
            let model = self.model().await?;
            let is_replaced = leftovers::are_there(self.engine, &model, services).await?;
            let is_disturbed = self.pin_again(expected, reporter).await? || is_replaced;
            if !is_disturbed || again.next().is_none() {
                return Err(error);
            }
            reporter.say(&format!("{error}: it was disturbed from outside; applying the release again"));
            self.put_into_service(&model, services, false, reporter).await?;
        }
        self.pin_again(expected, reporter).await.map(drop)
    }

    async fn remove(
        &self,
        lease: &Lease,
        services: &[String],
        unpin: &[ImageReference],
        reporter: &Reporter,
    ) -> Result<(), HostError> {
        remove(self.engine, lease, &self.project().await?, services, unpin, reporter).await
    }

    async fn observe(&self) -> Result<Vec<Instance>, HostError> {
        let project = match self.known_name() {
            Some(name) => name,
            // The containers themselves say where they come from; Compose is asked only when that leaves a doubt.
            None => {
                match self.engine.projects_of(&working_directory(self.compose).display().to_string()).await?.as_slice()
                {
                    [only] => only.clone(),
                    _ => self.project().await?,
                }
            }
        };
        snapshot::observe(self.engine, &project, self.spec, self.compose).await
    }

    async fn log(&self, name: &str, wish: LogWish, sink: &LogSink) -> Result<(), HostError> {
        self.engine.log(name, wish, sink).await
    }

    async fn warnings(&self) -> Result<Vec<String>, HostError> {
        match &self.compose.project_name {
            Some(project) => Ok(self.other_name(project).await?.into_iter().collect()),
            None => Ok(Vec::new()),
        }
    }

    async fn survey(&self) -> Vec<Finding> {
        let model = match self.model().await {
            Ok(model) => model,
            Err(error) => return vec![Finding::error(survey::config_error(self.compose, error))],
        };
        let mut findings = survey::of_model(&model, self.compose, self.spec);
        findings.extend(self.survey_host(&model).await.unwrap_or_else(|error| vec![Finding::error(error.to_string())]));
        findings
    }

    async fn moved(&self) -> Vec<String> {
        let ours = |model: &Model| {
            let services = candidates(model, self.compose).into_iter();
            let ours = services.filter(|(_, reference)| self.spec.images.contains(reference.repository()));
            ours.map(|(service, _)| format!("{service} of {}", place(&model.name))).collect()
        };
        // That the files cannot be read is said by the survey, which asks first.
        self.memory.recall(&self.spec.name, self.compose, ours).unwrap_or_default()
    }
}

/// What Compose takes for the project's directory, and writes on the containers.
fn working_directory(compose: &Compose) -> &Path {
    compose.files.first().and_then(|file| file.parent()).unwrap_or(&compose.directory)
}
