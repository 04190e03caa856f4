//! Drives a compose project.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use super::Driver;
use crate::deploy::plan::{Change, Expected, Source};
use crate::deploy::snapshot::{Instance, Snapshot};
use crate::deploy::spec::{Compose, ProjectSpec};
use crate::host::apply::{Apply, withdraw};
use crate::host::compose::{ComposeCommand, Model};
use crate::host::containers::Containers;
use crate::host::credentials::Vault;
use crate::host::docker::Engine;
use crate::host::select::select;
use crate::host::survey::Finding;
use crate::host::watch::Watch;
use crate::host::{HostError, Narrator, impostors, pins, snapshot, survey};
use crate::lanes::Lease;
use crate::model::{ImageReference, ProjectName, Repository};

/// What Compose calls the projects whose files do not change: asking costs a process each time.
#[derive(Debug, Default)]
pub(crate) struct Names(Mutex<HashMap<ProjectName, (Compose, String)>>);

/// One compose project.
pub(crate) struct ComposeDriver<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) vault: &'a Vault,
    pub(crate) names: &'a Names,
    pub(crate) command: ComposeCommand<'a>,
    pub(crate) spec: &'a ProjectSpec,
    pub(crate) compose: &'a Compose,
}

impl Names {
    fn known(&self, project: &ProjectName, compose: &Compose) -> Option<String> {
        let names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        names.get(project).filter(|(known, _)| known == compose).map(|(_, name)| name.clone())
    }

    fn learn(&self, project: &ProjectName, compose: &Compose, name: &str) {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        names.insert(project.clone(), (compose.clone(), name.to_owned()));
    }
}

impl ComposeDriver<'_> {
    /// What Compose makes of the project's files, now.
    async fn model(&self) -> Result<Model, HostError> {
        let model = self.command.config().await?;
        self.names.learn(&self.spec.name, self.compose, &model.name);
        Ok(model)
    }

    /// What Compose calls the project.
    async fn project(&self) -> Result<String, HostError> {
        match self.known_name() {
            Some(name) => Ok(name),
            None => Ok(self.model().await?.name),
        }
    }

    fn known_name(&self) -> Option<String> {
        self.compose.project_name.clone().or_else(|| self.names.known(&self.spec.name, self.compose))
    }
}

#[async_trait]
impl Driver for ComposeDriver<'_> {
    fn directory(&self) -> &Path {
        &self.compose.directory
    }

    async fn snapshot(&self, repositories: &[Repository]) -> Result<Snapshot, HostError> {
        let model = self.model().await?;
        let selected = select(&model, self.compose, repositories).map_err(|reason| HostError::Target { reason })?;
        if let Some(reason) = impostors::find(self.engine, &model.name).await?.into_iter().next() {
            return Err(HostError::Target { reason });
        }
        snapshot::take(self.engine, &model.name, &selected).await
    }

    async fn pin(&self, reference: &ImageReference, source: &Source) -> Result<(), HostError> {
        pins::pin(self.engine, reference, source).await
    }

    async fn apply(
        &self,
        _lease: &Lease,
        services: &[String],
        _change: &Change,
        narrator: &Narrator,
    ) -> Result<(), HostError> {
        let model = self.model().await?;
        let apply = Apply {
            engine: self.engine,
            compose: &self.command,
            vault: self.vault,
            limit: self.spec.timeout,
            narrator,
        };
        apply.services(&model, services).await
    }

    async fn await_healthy(&self, services: &[String], expected: &[Expected]) -> Result<(), HostError> {
        let containers = Containers::new(self.engine, self.project().await?, services, expected);
        Watch { subject: containers, health: &self.spec.health, directory: self.directory() }.until_healthy().await
    }

    async fn withdraw(
        &self,
        lease: &Lease,
        services: &[String],
        unpin: &[ImageReference],
        narrator: &Narrator,
    ) -> Result<(), HostError> {
        withdraw(self.engine, lease, &self.project().await?, services, unpin, narrator).await
    }

    async fn observe(&self) -> Result<Vec<Instance>, HostError> {
        let project = match self.known_name() {
            Some(name) => name,
            // The containers themselves say where they come from; Compose is asked only when that leaves a doubt.
            None => match self.engine.projects_of(&working_directory(self.compose)).await?.as_slice() {
                [only] => only.clone(),
                _ => self.project().await?,
            },
        };
        snapshot::observe(self.engine, &project, self.spec, self.compose).await
    }

    async fn survey(&self) -> Vec<Finding> {
        survey::project(self.engine, &self.command, self.spec).await
    }
}

/// What Compose takes for the project's directory, and writes on the containers.
fn working_directory(compose: &Compose) -> String {
    let directory = compose.files.first().and_then(|file| file.parent()).unwrap_or(&compose.directory);
    directory.display().to_string()
}
