//! Networks, volumes and published ports of this host.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr};

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::client::Engine;
use super::labels::{PROJECT, SERVICE};
use super::raw::percent_encoded;
use crate::host::HostError;

/// A network as a list shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(in crate::host) struct Network {
    pub(in crate::host) id: String,
    pub(in crate::host) name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct InspectedNetwork {
    /// Those that run, by id.
    containers: Option<BTreeMap<String, IgnoredAny>>,
}

/// A container that runs, with the ports of the host that it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::host) struct Publisher {
    pub(in crate::host) name: String,
    /// Of Compose, where labels name them.
    pub(in crate::host) project: Option<String>,
    pub(in crate::host) service: Option<String>,
    pub(in crate::host) ports: Vec<Binding>,
    /// Whether it has the host's own network, and listens there unseen by the engine.
    pub(in crate::host) on_host_network: bool,
}

/// A port in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::host) struct Binding {
    /// Unspecified for all addresses.
    pub(in crate::host) address: IpAddr,
    pub(in crate::host) port: u16,
    pub(in crate::host) tcp: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct ListedPublisher {
    names: Vec<String>,
    labels: Option<HashMap<String, String>>,
    ports: Option<Vec<ListedPort>>,
    host_config: ListedHost,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct ListedHost {
    network_mode: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct ListedPort {
    #[serde(rename = "IP")]
    address: Option<String>,
    public_port: Option<u16>,
    #[serde(rename = "Type")]
    protocol: String,
}

impl Binding {
    /// Whether two programs cannot both have theirs.
    pub(in crate::host) fn collides(&self, other: &Self) -> bool {
        let anywhere = self.address.is_unspecified() || other.address.is_unspecified();
        self.tcp == other.tcp && self.port == other.port && (anywhere || self.address == other.address)
    }
}

impl ListedPort {
    fn binding(&self) -> Option<Binding> {
        let unspecified = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let address = self.address.as_deref().and_then(|address| address.parse().ok()).unwrap_or(unspecified);
        Some(Binding { address, port: self.public_port?, tcp: self.protocol == "tcp" })
    }
}

impl Engine {
    /// All containers that run, with their ports.
    pub(in crate::host) async fn publishers(&self) -> Result<Vec<Publisher>, HostError> {
        let listed: Vec<ListedPublisher> =
            self.get("/containers/json").await.map_err(|refusal| refusal.during("list the containers"))?;
        let publisher = |container: ListedPublisher| {
            let mut labels = container.labels.unwrap_or_default();
            Publisher {
                name: container.names.first().map(|name| name.trim_start_matches('/').to_owned()).unwrap_or_default(),
                project: labels.remove(PROJECT),
                service: labels.remove(SERVICE),
                ports: container.ports.unwrap_or_default().iter().filter_map(ListedPort::binding).collect(),
                on_host_network: container.host_config.network_mode == "host",
            }
        };
        Ok(listed.into_iter().map(publisher).collect())
    }

    /// All networks.
    pub(in crate::host) async fn networks(&self) -> Result<Vec<Network>, HostError> {
        self.get("/networks").await.map_err(|refusal| refusal.during("list the networks"))
    }

    /// Whether a container that runs is attached to the network with this id.
    pub(in crate::host) async fn is_in_use(&self, network: &str) -> Result<bool, HostError> {
        match self.get::<InspectedNetwork>(&format!("/networks/{network}")).await {
            Ok(found) => Ok(found.containers.is_some_and(|containers| !containers.is_empty())),
            Err(refusal) if refusal.is_absence() => Ok(false),
            Err(refusal) => Err(refusal.during("look at a network")),
        }
    }

    /// Whether there is a volume of this name.
    pub(in crate::host) async fn has_volume(&self, name: &str) -> Result<bool, HostError> {
        match self.get::<IgnoredAny>(&format!("/volumes/{}", percent_encoded(name))).await {
            Ok(_) => Ok(true),
            Err(refusal) if refusal.is_absence() => Ok(false),
            Err(refusal) => Err(refusal.during(&format!("look at the volume {name}"))),
        }
    }
}
