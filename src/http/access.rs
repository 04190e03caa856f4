//! Who may read what. Handlers that read get projects and deployments here and nowhere else.
//!
//! On the network a key is needed, and shows its own project alone. There a request has to say which project it is
//! about, in its path, in `?project=` or by the deployment that it names: to try the keys of all projects would cost
//! more the more there are, and would let one caller try all keys at once.

use std::sync::Arc;

use axum::http::request::Parts;
use bytes::Bytes;

use super::App;
use super::error::Error;
use crate::auth::{self, Permission};
use crate::deploy::catalog::Project;
use crate::model::{DeploymentId, ProjectName, visible};
use crate::store::Deployment;

/// How one door lets its callers read.
#[derive(Clone)]
pub(super) struct Access {
    pub(super) app: App,
    key_needed: bool,
}

impl Access {
    /// Only with a key, as on the network.
    pub(super) const fn with_key(app: App) -> Self {
        Self { app, key_needed: true }
    }

    /// Whoever came as far as here, as on the socket.
    pub(super) const fn open(app: App) -> Self {
        Self { app, key_needed: false }
    }

    /// Whether whoever came as far as here may know everything about this host.
    pub(super) const fn is_open(&self) -> bool {
        !self.key_needed
    }

    /// The project `name`.
    pub(super) fn project(&self, head: &Parts, name: &str) -> Result<Arc<Project>, Error> {
        if self.key_needed {
            return self.prove(head, name);
        }
        let project = name.parse().ok().and_then(|name: ProjectName| self.app.0.runner.project(&name));
        project.ok_or_else(|| self.no_project(name))
    }

    /// That there is no such project, told to who may know what others there are.
    fn no_project(&self, name: &str) -> Error {
        let catalog = self.app.0.runner.catalog();
        let is_near = |known: &&ProjectName| strsim::damerau_levenshtein(known.as_str(), name) <= 2;
        let mut near: Vec<ProjectName> = catalog.keys().filter(is_near).cloned().collect();
        near.sort();
        near.truncate(3);
        Error::UnknownProject { name: visible(name, 80), near }
    }

    /// The projects that a list is about: the one that is named, else all, where that needs no key.
    pub(super) fn projects(&self, head: &Parts, name: Option<&str>) -> Result<Vec<Arc<Project>>, Error> {
        match name {
            Some(name) => Ok(vec![self.project(head, name)?]),
            None if self.key_needed => Err(self.app.not_authentic(head, None, "a list without `?project=`")),
            None => {
                let mut projects: Vec<_> = self.app.0.runner.catalog().values().cloned().collect();
                projects.sort_by(|a, b| a.spec.name.cmp(&b.spec.name));
                Ok(projects)
            }
        }
    }

    /// The project that a list of deployments is limited to; nothing for all. Where no key is needed, the project may
    /// have been taken out of the configuration since.
    pub(super) fn limited_to(&self, head: &Parts, name: Option<&str>) -> Result<Option<ProjectName>, Error> {
        match name {
            Some(name) if self.key_needed => Ok(Some(self.prove(head, name)?.spec.name.clone())),
            None if self.key_needed => Err(self.app.not_authentic(head, None, "a list without `?project=`")),
            Some(name) => match name.parse() {
                Ok(name) => Ok(Some(name)),
                Err(error) => Err(Error::NotUnderstood(format!("`project`: {error}"))),
            },
            None => Ok(None),
        }
    }

    /// The deployment `id`, and its project as far as that is configured.
    pub(super) async fn deployment(&self, head: &Parts, id: &str) -> Result<(Deployment, Option<Arc<Project>>), Error> {
        if self.key_needed && !auth::plausible(head) {
            return Err(self.app.not_authentic(head, None, "the headers belong to no scheme"));
        }
        let id: Option<DeploymentId> = id.parse().ok();
        let found = match &id {
            Some(id) => self.app.0.store.deployment(id).await?,
            None => None,
        };
        match found {
            Some(found) if self.key_needed => {
                let project = self.prove(head, found.project.as_str())?;
                Ok((found, Some(project)))
            }
            Some(found) => {
                let project = self.app.0.runner.project(&found.project);
                Ok((found, project))
            }
            // The same work and the same answer as for one that is somebody else's.
            None if self.key_needed => self.prove(head, "").and(Err(Error::NotAuthentic)),
            None => Err(Error::Unknown("such deployment")),
        }
    }

    /// Proves a request without a body. Who reads signs an empty one.
    fn prove(&self, head: &Parts, name: &str) -> Result<Arc<Project>, Error> {
        let (project, proof) = self.app.prove(name, head, &Bytes::new())?;
        if !proof.scope().allows(Permission::Read) {
            return Err(Error::MayNotRead(proof.key().clone()));
        }
        Ok(project)
    }
}
