//! Writes docs/configuration.md from the schema and the examples, and holds it up to date.

use std::fs;

use serde_json::Value;

use super::document::key_path::KeyPath;
use super::document::tree::Tree;
use super::examples::{HOST, PROJECT, in_force};
use super::schema;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");
/// The environment variable with which the file is written instead of compared.
const RENEW: &str = "RENEW_DOCS";

const OPENING: &str = "\
<!-- Made from the doc comments in src/config/table and from the examples: see CONTRIBUTING.md. -->

# Configuration

`/etc/windlass/config.toml` has the settings of the host, and each `/etc/windlass/projects.d/*.toml` one or more projects.
Projects may also be in `config.toml`. [config.example.toml](../config.example.toml) and
[project.example.toml](../project.example.toml) are examples with every key.

- A key is optional unless it is *required*. An unknown key is an error.
- `windlass check` reports everything that is wrong, with file, line and fix.
- `windlass schema` prints a JSON Schema, with which editors complete and check the files; `windlass schema --help` says how.
- `systemctl reload windlass` reads projects, keys and credentials again. Other settings take effect at the next start. If
  anything is wrong, nothing changes.
- A *duration* is a text such as `\"10s\"`, `\"5m\"` or `\"1m 30s\"`, a *size* one such as `\"512B\"`, `\"64KiB\"` or `\"1MiB\"`.
- A relative *path* begins in the directory of the file that it is in.
- A setting of `config.toml` that is not in `registries`, `compat` or `projects` can be set by an environment variable, such as
  `WINDLASS_LISTEN` or, with two underscores after the name of a table, `WINDLASS_LIMITS__BODY`. The path in a variable begins
  in the directory where windlass was started.
";

const PROJECT_FILES: &str = "
## Project files

A file in `projects.d` has nothing but projects. It is read if its name ends in `.toml` and does not begin with a dot.
";

/// An example with every setting in force.
struct Example {
    text: String,
    values: toml::Value,
}

impl Example {
    fn new(text: &str) -> Self {
        let text = in_force(text);
        let values = toml::Value::Table(text.parse().unwrap());
        Self { text, values }
    }

    /// The keys of a table in the order in which the example has them.
    fn in_order<'s>(&self, table: &'s Value, at: &KeyPath) -> Vec<(&'s String, &'s Value)> {
        let (tree, _) = Tree::parse(&self.text);
        let mut properties: Vec<_> = table["properties"].as_object().into_iter().flatten().collect();
        properties.sort_by_key(|(key, _)| tree.offset(&at.key(key)));
        properties
    }

    /// Writes the table at `at`, whose name is `header`, and those below it.
    fn write(&self, page: &mut String, table: &Value, values: &toml::Value, at: &KeyPath, header: &str) {
        let is_table = |schema: &Value| schema["type"] == "object" || schema["items"]["type"] == "object";
        let (tables, settings): (Vec<_>, Vec<_>) =
            self.in_order(table, at).into_iter().partition(|(_, schema)| is_table(schema));
        if !settings.is_empty() {
            *page += "\n| key | meaning | type | default | example |\n|---|---|---|---|---|\n";
        }
        for (key, setting) in settings {
            let required = table["required"].as_array().is_some_and(|keys| keys.contains(&Value::from(key.as_str())));
            let default = match setting.get("default") {
                _ if required => "*required*".to_owned(),
                Some(default) => format!("`{}`", toml::Value::try_from(default).unwrap()),
                None => "none".to_owned(),
            };
            let (meaning, kind, example) = (description(setting), kind(setting), &values[key.as_str()]);
            *page += &format!("| `{key}` | {meaning} | {kind} | {default} | `{example}` |\n");
        }
        for (key, table) in tables {
            let Some(values) = values.get(key) else { continue };
            let (at, below) = (at.key(key), format!("{header}{key}"));
            if let Some(entry) = table["patternProperties"].as_object().and_then(|map| map.values().next()) {
                let (name, values) = values.as_table().unwrap().iter().next().unwrap();
                let placeholder = if name.contains('.') { "\"HOST\"" } else { "NAME" };
                let header = format!("{below}.{placeholder}");
                *page += &format!("\n### `[{header}]`\n\n{} {}\n", description(table), description(entry));
                self.write(page, entry, values, &at.key(name), &format!("{header}."));
            } else if table["type"] == "array" {
                *page += &format!("\n### `[[{below}]]`\n\n{} {}\n", description(table), description(&table["items"]));
                self.write(page, &table["items"], &values[0], &at.index(0), &format!("{below}."));
            } else {
                // One that has nothing but tables needs no section of its own.
                if table["properties"].as_object().unwrap().values().any(|property| !is_table(property)) {
                    *page += &format!("\n### `[{below}]`\n\n{}\n", description(table));
                }
                self.write(page, table, values, &at, &format!("{below}."));
            }
        }
    }
}

fn description(schema: &Value) -> String {
    schema["description"].as_str().unwrap().replace('|', "\\|")
}

/// What a setting is, in a few words.
fn kind(schema: &Value) -> String {
    if let Some(words) = schema["enum"].as_array() {
        return words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    }
    let name = |schema: &Value| schema["title"].as_str().map(str::to_owned);
    name(schema).unwrap_or_else(|| match schema["type"].as_str() {
        Some("array") => format!("list ({})", kind(&schema["items"])),
        Some("integer") => format!("number from {} to {}", schema["minimum"], schema["maximum"]),
        Some("boolean") => "`true`, `false`".to_owned(),
        Some("string") => "text".to_owned(),
        other => panic!("{other:?} is not a kind of setting"),
    })
}

fn page() -> String {
    let mut page = OPENING.to_owned();
    let host = Example::new(HOST);
    page += &format!("\n## `config.toml`\n\n{}\n", description(&schema::of_config()));
    host.write(&mut page, &schema::of_config(), &host.values, &KeyPath::default(), "");
    page += PROJECT_FILES;
    let project = Example::new(PROJECT);
    project.write(&mut page, &schema::of_projects(), &project.values, &KeyPath::default(), "");
    page
}

#[test]
fn the_page_about_the_configuration_is_up_to_date() {
    let page = page();
    if std::env::var_os(RENEW).is_some() {
        fs::write(FILE, &page).unwrap();
    }
    let written = fs::read_to_string(FILE).unwrap_or_default();
    let differs = page.lines().zip(written.lines()).find(|(made, written)| made != written);
    assert!(
        page == written,
        "docs/configuration.md is out of date: run `{RENEW}=1 cargo test --lib config::reference`\n{differs:#?}"
    );
}
