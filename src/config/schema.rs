//! The JSON Schema of the files, with which editors complete and check them.
//!
//! It is made from the tables that are read, so that it knows a key as soon as they do. It refuses nothing that they
//! take; what it cannot say, such as that a file is there, is left to `windlass check`.

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};
use serde_json::Value;

use super::table::{host, project};

/// The schema of `config.toml`.
#[must_use]
pub fn of_config() -> Value {
    of::<host::Table>("config.toml of windlass")
}

/// The schema of the files in `projects.d`.
#[must_use]
pub fn of_projects() -> Value {
    of::<project::File>("project file of windlass")
}

/// The settings of `config.toml` that are one value in every configuration, by their keys, as `limits.body`.
pub(super) fn single_settings() -> Vec<String> {
    let mut keys = Vec::new();
    collect_single_settings(&of_config(), "", &mut keys);
    keys
}

fn collect_single_settings(table: &Value, path: &str, keys: &mut Vec<String>) {
    let properties = table.get("properties").and_then(Value::as_object);
    for (key, property) in properties.into_iter().flatten() {
        let key = format!("{path}{key}");
        match property.get("type").and_then(Value::as_str) {
            // A table that needs a key is not there in every configuration.
            Some("object") if property.get("required").is_none() => {
                collect_single_settings(property, &format!("{key}."), keys);
            }
            Some("object" | "array") => {}
            _ => keys.push(key),
        }
    }
}

fn of<T: JsonSchema>(title: &str) -> Value {
    // Many editors ignore what is beside a reference, such as a description.
    let inlined = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let generator = inlined.with_transform(RecursiveTransform(for_toml)).into_generator();
    let mut schema = generator.into_root_schema_for::<T>();
    schema.insert("title".to_owned(), title.into());
    schema.to_value()
}

fn for_toml(schema: &mut Schema) {
    without_null(schema);
    if let Some(Value::String(description)) = schema.get_mut("description") {
        // The lines are those of the source.
        *description = description.replace('\n', " ");
    }
}

/// TOML has no null: what may be missing is not written.
fn without_null(schema: &mut Schema) {
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            schema.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(words)) = schema.get_mut("enum") {
        words.retain(|word| !word.is_null());
    }
    if let Some(Value::Array(either)) = schema.get_mut("anyOf") {
        either.retain(|schema| schema.get("type").is_none_or(|name| name != "null"));
        if let [Value::Object(only)] = either.as_slice() {
            let only = only.clone();
            schema.remove("anyOf");
            for (key, value) in only {
                // What is said at the field is about the field.
                schema.ensure_object().entry(key).or_insert(value);
            }
        }
    }
    if schema.get("default").is_some_and(Value::is_null) {
        schema.remove("default");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use schemars::SchemaGenerator;
    use serde_json::json;

    use super::super::document::value::{Deadline, FilePath, ListenAddress, Pause, Size, Written, text_schema};
    use super::super::examples::{HOST, PROJECT, in_force};
    use super::super::table::names;
    use super::super::testbed::{SHOP, Testbed};
    use super::*;
    use crate::model::{KeyId, ProjectName};

    /// A text of TOML, as a program sees it that looks at it with a schema.
    fn value(text: &str) -> Value {
        fn json(value: toml::Value) -> Value {
            match value {
                toml::Value::Datetime(moment) => moment.to_string().into(),
                toml::Value::Array(list) => list.into_iter().map(json).collect(),
                toml::Value::Table(table) => table.into_iter().map(|(key, value)| (key, json(value))).collect(),
                other => serde_json::to_value(other).unwrap(),
            }
        }
        json(toml::Value::Table(text.parse().unwrap_or_else(|error| panic!("{error}{text}"))))
    }

    /// Both examples with every setting in force, as one `config.toml`.
    fn all_in_force() -> Value {
        let mut all = value(&in_force(HOST));
        all["projects"] = value(&in_force(PROJECT))["projects"].take();
        all
    }

    fn refused(schema: &Value, instance: &Value) -> Vec<String> {
        let validator = jsonschema::validator_for(schema).unwrap();
        validator.iter_errors(instance).map(|error| format!("{}: {error}", error.instance_path())).collect()
    }

    /// The schema of what is below `key` of a table, or of any entry of a map.
    fn below<'s>(table: &'s Value, key: &str) -> Option<&'s Value> {
        let of_map = || table["patternProperties"].as_object().and_then(|map| map.values().next());
        table["properties"].get(key).or_else(of_map)
    }

    /// Calls `visit` with each table of `value`, the schema of it and its path.
    fn each_table(schema: &Value, value: &Value, path: &str, visit: &mut impl FnMut(&Value, &Value, &str)) {
        match value {
            Value::Array(list) => list.iter().for_each(|value| each_table(&schema["items"], value, path, visit)),
            Value::Object(table) => {
                // Before it is fit for TOML, a table that may be missing is that or null.
                let schema = schema["anyOf"].get(0).unwrap_or(schema);
                visit(schema, value, path);
                for (key, value) in table {
                    each_table(below(schema, key).unwrap_or(&Value::Null), value, &format!("{path}.{key}"), visit);
                }
            }
            _ => {}
        }
    }

    #[test]
    fn the_examples_name_every_key_of_the_schema_and_no_other() {
        let (mut unknown, mut unnamed) = (Vec::new(), Vec::new());
        let mut tables = 0;
        each_table(&of_config(), &all_in_force(), "", &mut |schema, table, path| {
            tables += 1;
            for key in table.as_object().unwrap().keys().filter(|key| below(schema, key).is_none()) {
                unknown.push(format!("{path}.{key}"));
            }
            let keys = schema["properties"].as_object().map(|keys| keys.keys().collect()).unwrap_or(Vec::new());
            unnamed.extend(keys.iter().filter(|key| table.get(key).is_none()).map(|key| format!("{path}.{key}")));
        });
        assert_eq!((unknown, unnamed), (Vec::<String>::new(), Vec::<String>::new()));
        assert!(tables > 15, "{tables}");
        let of_map = |schema: Value| schema["properties"]["projects"]["patternProperties"].clone();
        assert_eq!(of_map(of_config()), of_map(of_projects()));
    }

    #[test]
    fn the_examples_are_good_as_they_are_and_with_each_choice_in_force() {
        assert_eq!(refused(&of_config(), &value(HOST)), [""; 0]);
        assert_eq!(refused(&of_projects(), &value(PROJECT)), [""; 0]);
        let only = |table: &mut Value, among: &[&str], chosen: &str| {
            table.as_object_mut().unwrap().retain(|key, _| key == chosen || !among.contains(&key.as_str()));
        };
        for target in ["compose", "systemd", "command"] {
            for probe in ["http", "tcp", "command"] {
                for unit in ["unit", "units"] {
                    let mut all = all_in_force();
                    let shop = &mut all["projects"]["shop"];
                    only(&mut shop["systemd"], &["unit", "units"], unit);
                    only(&mut shop["health"], &["http", "tcp", "command"], probe);
                    only(shop, &["compose", "systemd", "command"], target);
                    assert_eq!(refused(&of_config(), &all), [""; 0], "{target} {probe} {unit}");
                }
            }
        }
    }

    /// `value` with what `change` makes of each setting, which is nothing where it is to be left out.
    fn with_each(schema: &Value, value: &Value, change: &impl Fn(&Value, bool, &Value) -> Option<Value>) -> Value {
        match value {
            Value::Array(list) if schema["items"]["type"] == "object" => {
                list.iter().map(|value| with_each(&schema["items"], value, change)).collect()
            }
            Value::Object(table) => table
                .iter()
                .filter_map(|(key, value)| {
                    let setting = below(schema, key).unwrap();
                    let required = schema["required"].as_array().is_some_and(|keys| keys.contains(&json!(key)));
                    Some((key.clone(), change(setting, required, &with_each(setting, value, change))?))
                })
                .collect(),
            other => other.clone(),
        }
    }

    #[test]
    fn the_defaults_of_the_schema_are_the_defaults() {
        let read = |value: &Value| toml::from_str::<host::Table>(&toml::to_string(value).unwrap()).unwrap();
        let all = all_in_force();
        let schema = of_config();
        let stated =
            with_each(&schema, &all, &|setting, _, value| Some(setting.get("default").unwrap_or(value).clone()));
        let left_out =
            with_each(&schema, &all, &|setting, _, value| setting.get("default").is_none().then(|| value.clone()));
        assert_ne!(stated, left_out);
        assert_eq!(read(&stated), read(&left_out));
    }

    #[test]
    fn every_setting_is_required_or_has_a_default_or_may_be_missing() {
        let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
        let schema = settings.into_generator().into_root_schema_for::<host::Table>().to_value();
        let mut without = Vec::new();
        each_table(&schema, &all_in_force(), "", &mut |schema, _, path| {
            for (key, setting) in schema["properties"].as_object().into_iter().flatten() {
                let required = schema["required"].as_array().is_some_and(|keys| keys.contains(&json!(key)));
                let may_be_missing = setting["type"].as_array().is_some_and(|types| types.contains(&json!("null")));
                let has_tables = setting["type"] == "object"
                    || setting.get("anyOf").is_some()
                    || setting["items"]["type"] == "object";
                if !required && setting.get("default").is_none() && !may_be_missing && !has_tables {
                    without.push(format!("{path}.{key}"));
                }
            }
        });
        assert_eq!(without, [""; 0]);
    }

    #[test]
    fn every_key_and_every_table_is_described() {
        let mut silent = Vec::new();
        for schema in [of_config(), of_projects()] {
            each_table(&schema, &all_in_force(), "", &mut |schema, _, path| {
                for (key, setting) in schema["properties"].as_object().into_iter().flatten() {
                    let description = setting["description"].as_str().unwrap_or("");
                    if !description.ends_with('.') || description.contains('\n') || setting["type"].is_null() {
                        silent.push(format!("{path}.{key}: {description}"));
                    }
                }
            });
        }
        assert_eq!(silent, [""; 0]);
    }

    /// What the reader says of `SHOP` with `config` beside it, and what the schema says.
    fn both(config: &str, shop: &str) -> (String, Vec<String>) {
        let testbed = Testbed::new().key("ci.key").secret("password", "password", 0o600);
        let told = testbed.secret("token", &"t".repeat(24), 0o600).project(shop).file("config.toml", config).problems();
        let errors = told.lines().filter(|line| !line.starts_with("warning")).collect::<Vec<_>>().join("\n");
        let mut refused_in_both = refused(&of_config(), &value(config));
        refused_in_both.extend(refused(&of_projects(), &value(shop)));
        (errors, refused_in_both)
    }

    #[test]
    fn what_the_schema_refuses_the_reader_refuses_too() {
        let bad_hosts = [
            "listn = '127.0.0.1:1'",
            "listen = 9010",
            "listen = 'localhost:9010'",
            "concurrency = 0",
            "concurrency = '2'",
            "concurrency = 100001",
            "drain_timeout = 30",
            "drain_timeout = '30'",
            "drain_timeout = 'soon'",
            "socket = ''",
            "limits.body = '1MB'",
            "limits.body = '0B'",
            "limits.boddy = '1MiB'",
            "engine.host = 'ssh://host'",
            "engine = 'docker'",
            "retention.days = -1",
            "[registries.'https://ghcr.io']\nusername = 'ci'\npassword_file = 'password'",
            "[registries.'ghcr.io']\nusername = ''\npassword_file = 'password'",
            "[registries.'ghcr.io']\nusername = 'ci'",
            "[compat.docker_puller]\nallow_short_token = true",
            "[compat.docker_puller]\ntoken_file = 'token'\nhooks.shop = { project = 'shop', images = [] }",
            "[compat.docker_puller]\ntoken_file = 'token'\nhooks.'' = { project = 'shop', images = ['ghcr.io/acme/shop:v1'] }",
            "[compat.docker_puler]\ntoken_file = 'token'",
            "projects.'The Shop' = { images = ['ghcr.io/acme/shop'], compose.directory = '/' }",
        ];
        for bad in bad_hosts {
            let (errors, refused) = both(bad, SHOP);
            assert!(!refused.is_empty() && !errors.is_empty(), "{bad}\n{errors}\n{refused:#?}");
        }
        let with = |target: &str, more: &str| {
            let head = format!("[projects.shop]\nimages = ['ghcr.io/acme/shop']\n{target}\n{more}\n");
            head + "[[projects.shop.keys]]\nid = 'ci'\nscheme = 'github'\nsecret_file = 'ci.key'\n"
        };
        let compose = |more: &str| with("compose.directory = '/srv/shop'", more);
        let bad_projects = [
            compose("tiemout = '10m'"),
            compose("timeout = '10 minuets'"),
            compose("tags = ['v[0-9]*']"),
            compose("tags = 'v*'"),
            compose("allow_untagged = 'yes'"),
            compose("keep = 0"),
            compose("systemd.unit = 'shop.service'"),
            compose("command.run = ['/bin/true']"),
            compose("health = { http = 'http://127.0.0.1/', tcp = '127.0.0.1:80' }"),
            compose("health.http = '/health'"),
            compose("health.tcp = '5432'"),
            compose("health.command = []"),
            compose("health.command = 'true'"),
            compose("lifecycle.before = ['true']"),
            compose("lifecycle.befor = ['/bin/true']"),
            with("", ""),
            with("compose = {}", ""),
            with("compose = { directory = '/', project_name = 'Shop' }", ""),
            with("compose = { directory = '/', services = ['-v'] }", ""),
            with("systemd = {}", ""),
            with("systemd = { units = [] }", ""),
            with("systemd = { unit = 'shop' }", ""),
            with("systemd = { unit = 'a.service', units = ['b.service'] }", ""),
            with("systemd = { unit = 'a.service', action = 'start' }", ""),
            with("systemd = { unit = 'a.service', references = ['ghcr.io/acme/shop'] }", ""),
            with("command = {}", ""),
            with("command = { run = ['restart'] }", ""),
            SHOP.replace("images = [\"ghcr.io/acme/shop\"]\n", ""),
            SHOP.replace("ghcr.io/acme/shop", "shop"),
            SHOP.replace("ghcr.io/acme/shop", "acme/shop"),
            SHOP.replace("ghcr.io/acme/shop", "ghcr.io/acme/shop:v1"),
            SHOP.replace("\"github\"", "\"gitlab\""),
            SHOP.replace("id = \"ci\"", "id = \"a b\""),
            SHOP.replace("id = \"ci\"\n", ""),
            SHOP.replace("secret_file", "secret"),
            format!("{SHOP}expires = 'never'\n"),
            format!("{SHOP}scope = {{ may = [] }}\n"),
            format!("{SHOP}scope = {{ may = ['write'] }}\n"),
            format!("listen = '127.0.0.1:1'\n{SHOP}"),
        ];
        for bad in bad_projects {
            let (errors, refused) = both("", &bad);
            assert!(!refused.is_empty() && !errors.is_empty(), "{bad}\n{errors}\n{refused:#?}");
        }
    }

    #[test]
    fn what_the_reader_takes_the_schema_takes_too() {
        let hosts = [
            "",
            "listen = '[::1]:9010'\nmetrics_listen = '0.0.0.0:1'",
            "drain_timeout = '0s'\nlimits = { body = '64 KiB', header_timeout = '1m30s', body_timeout = ' 1.5 min 2 secs ' }",
            "engine.host = 'tcp://127.0.0.1:2375/'",
            "[registries.'ghcr.io']\nusername = 'ci'\npassword_file = 'password'",
            "[compat.docker_puller]\ntoken_file = 'token'\nhooks.'a/b' = { project = 'shop', images = ['ghcr.io/acme/shop:v1'] }",
        ];
        for good in hosts {
            assert_eq!(both(good, SHOP), (String::new(), Vec::new()), "{good}");
        }
        let images = "[projects.shop]\nimages = ['ghcr.io/acme/shop']\nkeys = []\n";
        let projects = [
            SHOP.to_owned(),
            format!("{SHOP}expires = 2027-01-31\n"),
            format!("{SHOP}expires = 2027-01-31T12:00:00+01:00\n"),
            format!("{SHOP}expires = '2027-01-31 12:00:00Z'\n"),
            SHOP.replace("ghcr.io/acme/shop", "[::1]:5000/shop"),
            SHOP.replace("ghcr.io/acme/shop", "localhost/a/b"),
            format!("{images}systemd = {{ unit = 'app@blue.service', units = [] }}"),
            format!("{images}systemd.units = ['a.service', 'shop.container']"),
            format!("{images}command.run = ['/bin/true', '']\nhealth.http = 'HTTPS://[::1]?a=b@c'"),
            format!("{images}compose.directory = '.'\nhealth = {{}}\ntags = []"),
            String::new(),
        ];
        for good in projects {
            assert_eq!(both("", &good), (String::new(), Vec::new()), "{good}");
        }
    }

    /// Whether the schema of a text takes what its reader takes.
    fn takes_what_is_read<T: Written>(text: &str) -> bool {
        T::read(text).is_err() || jsonschema::is_valid(text_schema(T::KIND, T::PATTERN).as_value(), &json!(text))
    }

    proptest! {
        #[test]
        fn no_text_that_means_something_is_refused(
            time in r"[0-9 ]{1,3}(\.[0-9 ]{1,2})?[ a-z]{1,5}[0-9 ]{0,2}[a-zµ]{0,2}",
            size in r"[0-9]{1,3} ?(B|KiB|MiB|GiB|MB)",
            address in r"([0-9]{1,3}\.){3}[0-9]{1,3}:[0-9]{1,5}|\[[0-9a-f:]{2,9}\]:[0-9]{1,5}",
            image in r"([a-z]{1,3}\.[a-z]{1,3}|\[::1\]|localhost)(:[0-9]{1,4})?/[a-z._/-]{1,6}(:[a-zA-Z0-9._-]{1,6})?",
            id in r"[-a-zA-Z0-9_]{1,5}",
            other in r"[-a-zA-Z0-9_.:@/*?\\ ]{1,9}(\.service)?",
        ) {
            prop_assert!(takes_what_is_read::<Pause>(&time) && takes_what_is_read::<Deadline>(&time));
            prop_assert!(takes_what_is_read::<Size>(&size));
            prop_assert!(takes_what_is_read::<ListenAddress>(&address) && takes_what_is_read::<FilePath>(&other));
            let takes = |schema: Schema, text: &str| jsonschema::is_valid(schema.as_value(), &json!(text));
            let schema = SchemaGenerator::default().root_schema_for::<KeyId>();
            prop_assert!(id.parse::<KeyId>().is_err() || takes(schema, &id));
            let schema = SchemaGenerator::default().root_schema_for::<ProjectName>();
            prop_assert!(id.parse::<ProjectName>().is_err() || takes(schema, &id));
            for text in [&image, &other] {
                prop_assert!(takes_what_is_read::<names::Image>(text) && takes_what_is_read::<names::Reference>(text));
                prop_assert!(takes_what_is_read::<names::RegistryHost>(text) && takes_what_is_read::<names::Unit>(text));
                prop_assert!(takes_what_is_read::<names::Glob>(text) && takes_what_is_read::<names::HookName>(text));
                prop_assert!(takes_what_is_read::<names::ComposeName>(text));
                prop_assert!(takes_what_is_read::<names::ComposeProject>(text));
                prop_assert!(takes_what_is_read::<names::HostPort>(text));
                let (url, engine) = (format!("http://{text}"), format!("tcp://{text}"));
                prop_assert!(takes_what_is_read::<names::HttpUrl>(&url));
                prop_assert!(takes_what_is_read::<names::EngineHost>(&engine));
            }
        }
    }
}
