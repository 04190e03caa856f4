//! What Compose makes of its files, as far as windlass asks.

use std::collections::BTreeMap;

use serde::Deserialize;

/// What Compose makes of its files: of services with active profiles.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(in crate::host) struct Model {
    pub(in crate::host) name: String,
    pub(in crate::host) services: BTreeMap<String, ModelService>,
    pub(in crate::host) networks: BTreeMap<String, Resource>,
    pub(in crate::host) volumes: BTreeMap<String, Resource>,
}

/// A network or a volume.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(in crate::host) struct Resource {
    /// What the engine calls it.
    pub(in crate::host) name: String,
    /// `true` where it must be there already. Compose of before wrote an object.
    external: serde_json::Value,
}

/// One service, as far as windlass asks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(in crate::host) struct ModelService {
    pub(in crate::host) image: Option<String>,
    /// Compose writes into this what follows from other settings, such as `network_mode: service:x`, as well.
    pub(in crate::host) depends_on: BTreeMap<String, Dependency>,
    container_name: Option<String>,
    scale: Option<u32>,
    deploy: Option<Deploy>,
    network_mode: Option<String>,
    pid: Option<String>,
    ipc: Option<String>,
    networks: Option<BTreeMap<String, serde_json::Value>>,
    volumes: Vec<Mount>,
    pub(in crate::host) ports: Vec<Port>,
    pub(in crate::host) pull_policy: Option<String>,
    pub(in crate::host) healthcheck: Option<HealthCheck>,
}

/// A port that is published.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(in crate::host) struct Port {
    pub(in crate::host) host_ip: Option<String>,
    /// A text, or a number.
    pub(in crate::host) published: serde_json::Value,
    pub(in crate::host) protocol: Option<String>,
}

/// A health check as the files have it; durations as Compose writes them, such as `5m0s`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(in crate::host) struct HealthCheck {
    test: serde_json::Value,
    disable: bool,
    pub(in crate::host) start_period: Option<String>,
    pub(in crate::host) interval: Option<String>,
    pub(in crate::host) retries: Option<u32>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Mount {
    #[serde(rename = "type")]
    kind: String,
    source: Option<String>,
}

/// How one service needs another.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(in crate::host) struct Dependency {
    pub(in crate::host) condition: Condition,
    /// The service is to be restarted when the other one was replaced.
    pub(in crate::host) restart: bool,
}

/// When the other one has done what is needed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub(in crate::host) enum Condition {
    #[serde(rename = "service_healthy")]
    Healthy,
    #[serde(rename = "service_completed_successfully")]
    Completed,
    #[default]
    #[serde(rename = "service_started", other)]
    Started,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Deploy {
    replicas: Option<u32>,
}

impl Model {
    /// Reads what `docker compose config` prints as JSON.
    pub(super) fn read(json: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(json).map_err(|error| format!("its output is not what was expected: {error}"))
    }
}

impl Resource {
    /// Whether somebody else makes it.
    pub(in crate::host) fn is_external(&self) -> bool {
        self.external.as_bool().unwrap_or(!self.external.is_null())
    }
}

impl HealthCheck {
    /// Whether the files switch off the check that the image may have.
    pub(in crate::host) fn is_off(&self) -> bool {
        self.disable || self.test.get(0).and_then(serde_json::Value::as_str) == Some("NONE")
    }
}

impl ModelService {
    /// The networks that it is attached to, by their names in the files.
    pub(in crate::host) fn networks(&self) -> impl Iterator<Item = &str> {
        self.networks.iter().flat_map(BTreeMap::keys).map(String::as_str)
    }

    /// The volumes with a name that it uses, by their names in the files.
    pub(in crate::host) fn volumes(&self) -> impl Iterator<Item = &str> {
        self.volumes.iter().filter(|mount| mount.kind == "volume").filter_map(|mount| mount.source.as_deref())
    }

    /// How many containers the files ask for.
    pub(in crate::host) fn replicas(&self) -> u32 {
        self.scale.or_else(|| self.deploy.as_ref()?.replicas).unwrap_or(1)
    }

    /// The name that the files choose for its container, if they do.
    pub(in crate::host) fn container_name(&self) -> Option<&str> {
        self.container_name.as_deref()
    }

    /// Whether it lives in a namespace of `other`, and so is cut off when that one's container is replaced.
    pub(in crate::host) fn lives_in(&self, other: &str) -> bool {
        [&self.network_mode, &self.pid, &self.ipc]
            .into_iter()
            .flatten()
            .any(|mode| mode.strip_prefix("service:").is_some_and(|service| service == other))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::host) fn model(json: &str) -> Model {
        Model::read(json.as_bytes()).unwrap()
    }

    #[test]
    fn what_compose_prints_is_read() {
        let model = model(
            r#"{"name":"shop","services":{
              "api":{"image":"ghcr.io/acme/api:main","command":null,"environment":{"A":"b"},
                "depends_on":{"db":{"condition":"service_healthy","required":true},
                  "migrate":{"condition":"service_completed_successfully","restart":true},
                  "cache":{"condition":"service_new_thing"}},
                "deploy":{"replicas":3,"resources":{}},"ports":[{"target":8080}]},
              "sidecar":{"image":"x","network_mode":"service:api","scale":2},
              "built":{"build":{"context":"."}}},"networks":{}}"#,
        );
        assert_eq!(model.name, "shop");
        let (api, sidecar) = (&model.services["api"], &model.services["sidecar"]);
        assert_eq!((api.replicas(), sidecar.replicas(), model.services["built"].replicas()), (3, 2, 1));
        assert_eq!(api.depends_on["db"].condition, Condition::Healthy);
        assert_eq!(api.depends_on["cache"].condition, Condition::Started);
        assert!(api.depends_on["migrate"].restart && !api.depends_on["db"].restart);
        assert!(sidecar.lives_in("api") && !sidecar.lives_in("ap") && !api.lives_in("sidecar"));
        assert_eq!(model.services["built"].image, None);
    }
}
