//! Networks and volumes of this host.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::Engine;
use super::raw::percent_encoded;
use crate::host::HostError;

/// A network as a list shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct Network {
    pub(crate) id: String,
    pub(crate) name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct InspectedNetwork {
    /// Those that run, by id.
    containers: Option<BTreeMap<String, IgnoredAny>>,
}

impl Engine {
    /// All networks.
    pub(crate) async fn networks(&self) -> Result<Vec<Network>, HostError> {
        self.get("/networks").await.map_err(|refusal| refusal.during("list the networks"))
    }

    /// Whether a container that runs is attached to the network with this id.
    pub(crate) async fn is_in_use(&self, network: &str) -> Result<bool, HostError> {
        match self.get::<InspectedNetwork>(&format!("/networks/{network}")).await {
            Ok(found) => Ok(found.containers.is_some_and(|containers| !containers.is_empty())),
            Err(refusal) if refusal.is_absence() => Ok(false),
            Err(refusal) => Err(refusal.during("look at a network")),
        }
    }

    /// Whether there is a volume of this name.
    pub(crate) async fn has_volume(&self, name: &str) -> Result<bool, HostError> {
        match self.get::<IgnoredAny>(&format!("/volumes/{}", percent_encoded(name))).await {
            Ok(_) => Ok(true),
            Err(refusal) if refusal.is_absence() => Ok(false),
            Err(refusal) => Err(refusal.during(&format!("look at the volume {name}"))),
        }
    }
}
