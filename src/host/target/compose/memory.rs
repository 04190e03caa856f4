//! What Compose made of each project's files when it was asked last.

use std::collections::{BTreeSet, HashMap};
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
    /// The ids of the containers that were restarted with what they follow, when each project was applied last.
    restarted: Mutex<HashMap<ProjectName, BTreeSet<String>>>,
    pub(super) reading: Semaphore,
}

impl Default for Memory {
    fn default() -> Self {
        Self { models: Mutex::default(), restarted: Mutex::default(), reading: Semaphore::new(READING) }
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

    /// Notes that these containers of `project` were restarted.
    pub(super) fn note_restarted(&self, project: &ProjectName, ids: impl IntoIterator<Item = String>) {
        let mut restarted = self.restarted.lock().unwrap_or_else(PoisonError::into_inner);
        restarted.entry(project.clone()).or_default().extend(ids);
    }

    /// What was restarted since this was last forgotten.
    pub(super) fn restarted(&self, project: &ProjectName) -> BTreeSet<String> {
        let restarted = self.restarted.lock().unwrap_or_else(PoisonError::into_inner);
        restarted.get(project).cloned().unwrap_or_default()
    }

    /// Forgets, and gives, what was restarted.
    pub(super) fn forget_restarted(&self, project: &ProjectName) -> BTreeSet<String> {
        self.restarted.lock().unwrap_or_else(PoisonError::into_inner).remove(project).unwrap_or_default()
    }

    /// Keeps what was made of the files just now.
    pub(super) fn learn(&self, project: &ProjectName, compose: &Compose, model: &Model) {
        let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        models.insert(project.clone(), (compose.clone(), model.clone()));
    }
}
