//! `[compat]`: the interfaces of other deployers that windlass answers.

use schemars::JsonSchema;
use serde::Deserialize;

use super::docker_puller;

/// The interfaces of other deployers, for callers that cannot be changed yet.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(crate) struct Table {
    pub(crate) docker_puller: Option<docker_puller::Table>,
}
