//! Networks and volumes that compose files take for granted: what is wrong with them is found before anything is touched.

use std::collections::BTreeSet;

use super::model::{Model, Resource};
use crate::host::HostError;
use crate::host::engine::client::Engine;
use crate::host::engine::resources::Network;

/// Why `services`, or what they need, could not be started: a network or volume of somebody else that is not there, or two
/// networks of one name. Each with the command that puts it right.
pub(super) async fn troubles(engine: &Engine, model: &Model, services: &[String]) -> Result<Vec<String>, HostError> {
    let Used { networks, volumes } = used(model, services);
    let mut troubles = Vec::new();
    let existing = engine.networks().await?;
    for (service, network) in networks {
        let found: Vec<&Network> = existing.iter().filter(|existing| existing.name == network.name).collect();
        if found.is_empty() && network.is_external() && !existing.iter().any(|other| other.id == network.name) {
            troubles.push(absent(service, "network", network));
        }
        if found.len() > 1 {
            troubles.push(ambiguous(engine, &network.name, &found).await?);
        }
    }
    for (service, volume) in volumes {
        if volume.is_external() && !engine.has_volume(&volume.name).await? {
            troubles.push(absent(service, "volume", volume));
        }
    }
    Ok(troubles)
}

/// Networks and volumes, each once and with a service that uses it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Used<'a> {
    networks: Vec<(&'a str, &'a Resource)>,
    volumes: Vec<(&'a str, &'a Resource)>,
}

/// What the services use, and all that they need.
fn used<'a>(model: &'a Model, services: &'a [String]) -> Used<'a> {
    let mut used = Used::default();
    let mut seen = BTreeSet::new();
    for name in with_dependencies(model, services) {
        let Some(service) = model.services.get(name) else { continue };
        for network in service.networks().filter_map(|key| model.networks.get(key)) {
            if seen.insert(("network", &network.name)) {
                used.networks.push((name, network));
            }
        }
        for volume in service.volumes().filter_map(|key| model.volumes.get(key)) {
            if seen.insert(("volume", &volume.name)) {
                used.volumes.push((name, volume));
            }
        }
    }
    used
}

/// The services and all that they need, directly or through others.
fn with_dependencies<'a>(model: &'a Model, services: &'a [String]) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut next: Vec<&str> = services.iter().map(String::as_str).collect();
    while let Some(name) = next.pop() {
        if found.insert(name)
            && let Some(service) = model.services.get(name)
        {
            next.extend(service.depends_on.keys().map(String::as_str));
        }
    }
    found
}

fn absent(service: &str, kind: &str, resource: &Resource) -> String {
    let name = &resource.name;
    format!(
        "the {kind} {name:?}, which the compose file calls external and the service {service} uses, does not exist: \
         correct the name, or create it with `docker {kind} create {name}`"
    )
}

/// Two networks of one name are left behind when two `docker compose up` create it in the same moment.
async fn ambiguous(engine: &Engine, name: &str, found: &[&Network]) -> Result<String, HostError> {
    let mut idle = Vec::new();
    for network in found {
        if !engine.is_in_use(&network.id).await? {
            idle.push(network.id.get(..12).unwrap_or(&network.id));
        }
    }
    // One of them has to stay.
    idle.truncate(found.len().saturating_sub(1));
    let count = found.len();
    Ok(if idle.is_empty() {
        format!(
            "{count} networks are called {name}, so that Compose cannot tell them apart, and containers use each: \
             run `docker compose down`, `docker network rm {name}` until none is left, and deploy again"
        )
    } else {
        format!(
            "{count} networks are called {name}, so that Compose cannot tell them apart: \
             run `docker network rm {}`, which no container uses",
            idle.join(" ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::target::compose::model::tests::model;

    #[test]
    fn what_a_service_needs_is_looked_at_as_well() {
        let model = model(
            r#"{"name":"shop","services":{"web":{"depends_on":{"api":{}}},"api":{"depends_on":{"db":{},"web":{}}},"db":{},"job":{}}}"#,
        );
        assert_eq!(with_dependencies(&model, &["web".to_owned()]), ["api", "db", "web"].into());
        assert_eq!(with_dependencies(&model, &["db".to_owned(), "gone".to_owned()]), ["db", "gone"].into());
    }

    #[test]
    fn only_what_is_used_is_looked_for() {
        let model = model(
            r#"{"name":"shop","services":{
              "web":{"networks":{"default":null,"proxy":{}},"depends_on":{"db":{}},
                "volumes":[{"type":"volume","source":"data"},{"type":"bind","source":"/srv"},{"type":"volume"}]},
              "db":{"networks":{"default":null},"volumes":[{"type":"volume","source":"data"}]},
              "other":{"networks":{"unused":null},"network_mode":"host"}},
            "networks":{"default":{"name":"shop_default"},"proxy":{"name":"edge","external":true},
              "unused":{"name":"x","external":true}},
            "volumes":{"data":{"name":"shop_data","external":{"name":"shop_data"}},"lost":{"external":true}}}"#,
        );
        let services = ["web".to_owned()];
        let names = |found: &[(&str, &Resource)]| {
            let one = |(service, resource): &(&str, &Resource)| {
                format!("{service} {} {}", resource.name, resource.is_external())
            };
            found.iter().map(one).collect::<Vec<_>>()
        };
        let found = used(&model, &services);
        assert_eq!(names(&found.networks), ["db shop_default false", "web edge true"]);
        assert_eq!(names(&found.volumes), ["db shop_data true"]);
    }
}
