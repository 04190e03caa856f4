//! What is under way right now, for whoever shows it. The journal is the truth; this is a copy in memory.

use std::collections::BTreeMap;

use tokio::sync::watch;

use crate::model::{DeploymentId, ProjectName};

/// What is under way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Activity {
    /// What is being carried out.
    pub running: BTreeMap<DeploymentId, ProjectName>,
    /// How many wait for their turn.
    pub waiting: usize,
}

/// A deployment's place in the [`Activity`], given up when dropped.
pub(super) struct Place {
    activity: watch::Sender<Activity>,
    began: Option<DeploymentId>,
}

impl Place {
    /// Of one that waits.
    pub(super) fn waiting(activity: &watch::Sender<Activity>) -> Self {
        activity.send_modify(|activity| activity.waiting += 1);
        Self { activity: activity.clone(), began: None }
    }

    /// Its turn has come.
    pub(super) fn begin(&mut self, id: &DeploymentId, project: &ProjectName) {
        self.began = Some(id.clone());
        self.activity.send_modify(|activity| {
            activity.waiting = activity.waiting.saturating_sub(1);
            activity.running.insert(id.clone(), project.clone());
        });
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.activity.send_modify(|activity| match &self.began {
            Some(id) => drop(activity.running.remove(id)),
            None => activity.waiting = activity.waiting.saturating_sub(1),
        });
    }
}
