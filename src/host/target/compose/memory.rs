//! What Compose made of each project's files when it was asked last.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::model::Model;
use crate::deploy::spec::Compose;
use crate::model::ProjectName;

/// How many times `docker compose config` runs at once.
const READING: usize = 4;
/// For how long what was made of the files serves a deployment that goes on: its snapshot has just read them.
const FRESH: Duration = Duration::from_secs(5);

/// What Compose made of each project's files when it was asked last: asking costs a process each time.
#[derive(Debug)]
pub(in crate::host) struct Memory {
    models: Mutex<HashMap<ProjectName, Known>>,
    /// The ids of the containers that were restarted with what they follow, when each project was applied last.
    restarted: Mutex<HashMap<ProjectName, BTreeSet<String>>>,
    pub(super) reading: Semaphore,
}

#[derive(Debug)]
struct Known {
    compose: Compose,
    model: Model,
    read_at: Instant,
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
        models.get(project).filter(|known| known.compose == *compose).map(|known| what(&known.model))
    }

    /// What was made of the files a moment ago.
    pub(super) fn fresh(&self, project: &ProjectName, compose: &Compose) -> Option<Model> {
        let models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        let known = models.get(project).filter(|known| known.compose == *compose)?;
        (known.read_at.elapsed() < FRESH).then(|| known.model.clone())
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
        let known = Known { compose: compose.clone(), model: model.clone(), read_at: Instant::now() };
        models.insert(project.clone(), known);
    }
}
