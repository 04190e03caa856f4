//! Holds the examples at the top of the repository to what is true: they load, they name every key, and the
//! defaults that they state are the defaults.

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::table::{
    command, compat, compose, docker_puller, engine, health, host, key, lifecycle, limits, project, registry,
    retention, systemd,
};
use super::testbed::Testbed;
use crate::auth::{Key, Scheme};

const HOST: &str = include_str!("../../config.example.toml");
const PROJECT: &str = include_str!("../../project.example.toml");
const README: &str = include_str!("../../README.md");

/// The example with every setting in force: `#key` becomes `key`, and `# text` stays what it is.
fn in_force(example: &str) -> String {
    let in_force = example.lines().map(|line| match line.strip_prefix('#') {
        Some(setting) if setting.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => setting,
        _ => line,
    });
    in_force.collect::<Vec<_>>().join("\n")
}

/// Every key that a table of the configuration may have, as serde lists them for one that it may not have.
fn keys_of<T: DeserializeOwned>() -> Vec<String> {
    let error = toml::from_str::<T>("nothing_like_it = 1").err().unwrap();
    error.message().split('`').skip(3).step_by(2).map(str::to_owned).collect()
}

fn assert_names_all<T: DeserializeOwned>(table: &Value) {
    for key in keys_of::<T>() {
        assert!(table.get(&key).is_some(), "{key} is not in the example");
    }
}

#[test]
fn the_examples_load_as_they_are_and_mean_the_defaults() {
    let key = Key::generate(Scheme::Standard).unwrap();
    let testbed = Testbed::new().file("config.toml", HOST).file("projects.d/shop.toml", PROJECT).secret(
        "keys/shop-ci.key",
        &key,
        0o600,
    );
    let settings = testbed.settings(&[]);
    assert_eq!(settings.projects.len(), 1);
    assert_eq!(toml::from_str::<host::Table>(HOST).unwrap(), host::Table::default());
}

#[test]
fn the_example_of_config_toml_states_every_key_with_its_default() {
    let text = in_force(HOST);
    let all: Table = text.parse().unwrap();
    let all = Value::Table(all);
    for key in keys_of::<host::Table>().into_iter().filter(|key| key != "projects") {
        assert!(all.get(&key).is_some(), "{key} is not in the example");
    }
    assert_names_all::<retention::Table>(&all["retention"]);
    assert_names_all::<limits::Table>(&all["limits"]);
    assert_names_all::<engine::Table>(&all["engine"]);
    assert_names_all::<registry::Table>(&all["registries"]["ghcr.io"]);
    let puller = &all["compat"]["docker_puller"];
    assert_names_all::<compat::Table>(&all["compat"]);
    assert_names_all::<docker_puller::Table>(puller);
    assert_names_all::<docker_puller::Hook>(&puller["hooks"]["shop"]);

    let stated: host::Table = toml::from_str(&text).unwrap();
    assert!(stated.metrics_listen.is_some() && stated.engine.host.is_some() && stated.registries.len() == 1);
    let with_a_default = host::Table {
        metrics_listen: None,
        engine: engine::Table::default(),
        registries: std::collections::BTreeMap::new(),
        compat: compat::Table::default(),
        ..stated
    };
    assert_eq!(with_a_default, host::Table::default());
}

#[test]
fn the_example_of_a_project_states_every_key_with_its_default() {
    let text = in_force(PROJECT);
    let all: Table = text.parse().unwrap();
    let shop = &all["projects"]["shop"];
    assert_names_all::<project::Table>(shop);
    assert_names_all::<key::Table>(&shop["keys"][0]);
    assert_names_all::<key::Scope>(&shop["keys"][0]["scope"]);
    assert_names_all::<compose::Table>(&shop["compose"]);
    assert_names_all::<systemd::Table>(&shop["systemd"]);
    assert_names_all::<command::Table>(&shop["command"]);
    assert_names_all::<lifecycle::Table>(&shop["lifecycle"]);
    assert_names_all::<health::Table>(&shop["health"]);

    let stated: project::File = toml::from_str(&text).unwrap();
    let stated = stated.projects.into_values().next().unwrap();
    let [key] = &*stated.keys else { panic!("one key is an example, more are a pattern") };
    assert_eq!(key.scope, key::Scope::default());
    let examples = stated.health.clone();
    let (systemd, command) = (stated.systemd.clone().unwrap(), stated.command.clone().unwrap());
    assert_eq!(systemd.action, systemd::Table::default().action);
    assert_eq!(command.deadline, command::Table::default().deadline);
    assert_eq!(stated.lifecycle.deadline, lifecycle::Table::default().deadline);
    let default = project::Table {
        images: stated.images.clone(),
        keys: stated.keys.clone(),
        compose: stated.compose.clone(),
        systemd: Some(systemd),
        command: Some(command),
        lifecycle: stated.lifecycle.clone(),
        health: health::Table {
            http: examples.http,
            tcp: examples.tcp,
            command: examples.command,
            ..health::Table::default()
        },
        ..project::Table::default()
    };
    assert_eq!(stated, default);
}

#[test]
fn every_setting_in_the_readme_is_one() {
    let blocks: Vec<&str> = README.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let (of_projects, of_hosts): (Vec<&str>, Vec<&str>) = blocks.iter().partition(|block| block.contains("[projects."));
    for block in &of_projects {
        toml::from_str::<project::File>(block).unwrap_or_else(|error| panic!("{error}{block}"));
    }
    for block in &of_hosts {
        toml::from_str::<host::Table>(block).unwrap_or_else(|error| panic!("{error}{block}"));
    }
    assert!(of_projects.len() >= 3 && of_hosts.len() >= 2, "{blocks:#?}");
}
