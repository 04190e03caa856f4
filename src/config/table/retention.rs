//! `[retention]`: how much is remembered of each project.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::document::value::Count;

/// What is remembered of each project. The 100 newest deployments, the 100 newest that succeeded and those without an
/// outcome are always kept, because a rollback may need them.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(crate) struct Table {
    /// How many deployments are kept, with their journals.
    pub(crate) deployments: Count,
    /// After how many days a deployment is removed.
    pub(crate) days: Count,
}

impl Default for Table {
    fn default() -> Self {
        Self { deployments: Count(1000), days: Count(90) }
    }
}

/// What is remembered of each project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// How many deployments.
    pub deployments: usize,
    /// For how long.
    pub age: Duration,
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Table {
    pub(super) fn read(self) -> Retention {
        let days = u32::try_from(self.days.0).unwrap_or(u32::MAX);
        Retention { deployments: self.deployments.0, age: DAY.saturating_mul(days) }
    }
}
