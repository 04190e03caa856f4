//! How ready windlass is to take hooks.

use std::sync::Arc;

use crate::model::Timestamp;

/// How ready windlass is to take hooks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// What was under way before is being taken up again.
    Starting,
    /// All is well.
    Ready,
    /// It works, with the configuration of before: the newest one is broken.
    StaleConfiguration {
        /// The first of its problems. The log has all.
        problem: Arc<str>,
        /// When the one that is in force was read.
        in_force_since: Timestamp,
    },
    /// It takes no more work and finishes what it has.
    Draining,
}

impl Readiness {
    /// The word for it.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::StaleConfiguration { .. } => "stale-configuration",
            Self::Draining => "draining",
        }
    }

    /// Whether hooks are taken. A configuration that is out of date is a reason to look, not to send nobody here.
    #[must_use]
    pub const fn takes_work(&self) -> bool {
        matches!(self, Self::Ready | Self::StaleConfiguration { .. })
    }
}
