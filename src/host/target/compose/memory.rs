//! What Compose made of each project's files when it was asked last.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Semaphore;

use super::model::Model;
use crate::deploy::spec::Compose;
use crate::model::ProjectName;

/// How many times `docker compose config` runs at once.
const READING: usize = 4;

/// What Compose made of each project's files when it was asked last: asking costs a process each time.
#[derive(Debug)]
pub(in crate::host) struct Memory {
    models: Mutex<HashMap<ProjectName, (Compose, Model)>>,
    pub(super) reading: Semaphore,
}

impl Default for Memory {
    fn default() -> Self {
        Self { models: Mutex::default(), reading: Semaphore::new(READING) }
    }
}

impl Memory {
    /// Something of what was made of the files last.
    pub(super) fn recall<T>(
        &self,
        project: &ProjectName,
        compose: &Compose,
        what: impl FnOnce(&Model) -> T,
    ) -> Option<T> {
        let models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        models.get(project).filter(|(known, _)| known == compose).map(|(_, model)| what(model))
    }

    /// Keeps what was made of the files just now.
    pub(super) fn learn(&self, project: &ProjectName, compose: &Compose, model: &Model) {
        let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        models.insert(project.clone(), (compose.clone(), model.clone()));
    }
}
