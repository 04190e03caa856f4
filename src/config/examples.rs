//! Holds the examples at the top of the repository to what is true: they load, and the defaults that they state are the
//! defaults. That they name every key is a test of `schema`.

use super::table::{command, compat, engine, health, host, key, lifecycle, project, systemd};
use super::testbed::Testbed;
use crate::auth::{Key, Scheme};

pub(super) const HOST: &str = include_str!("../../config.example.toml");
pub(super) const PROJECT: &str = include_str!("../../project.example.toml");
const PAGES: [&str; 5] = [
    include_str!("../../README.md"),
    include_str!("../../docs/compose.md"),
    include_str!("../../docs/engines.md"),
    include_str!("../../docs/migrating.md"),
    include_str!("../../docs/units.md"),
];

/// The example with every setting in force: `#key` becomes `key`, and `# text` stays what it is.
pub(super) fn in_force(example: &str) -> String {
    let in_force = example.lines().map(|line| match line.strip_prefix('#') {
        Some(setting) if setting.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => setting,
        _ => line,
    });
    in_force.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_examples_load_as_they_are_and_mean_the_defaults() {
    let key = Key::generate(Scheme::STANDARD).unwrap();
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
fn the_example_of_config_toml_states_the_defaults() {
    let text = in_force(HOST);
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
fn the_example_of_a_project_states_the_defaults() {
    let text = in_force(PROJECT);
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
fn every_setting_that_a_page_shows_is_one() {
    let of_page = |page: &'static str| page.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let blocks: Vec<&str> = PAGES.into_iter().flat_map(of_page).collect();
    let (of_projects, of_hosts): (Vec<&str>, Vec<&str>) = blocks.iter().partition(|block| block.contains("[projects."));
    for block in &of_projects {
        toml::from_str::<project::File>(block).unwrap_or_else(|error| panic!("{error}{block}"));
    }
    for block in &of_hosts {
        toml::from_str::<host::Table>(block).unwrap_or_else(|error| panic!("{error}{block}"));
    }
    assert!(of_projects.len() >= 3 && of_hosts.len() >= 2, "{blocks:#?}");
}
