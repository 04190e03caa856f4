//! What the environment says: `WINDLASS_…` overrides single settings.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::PathBuf;

use config::{Config, ConfigError, File, FileFormat};

use super::explain::{explain, nearest};
use super::problem::Problem;
use super::raw;

/// The environment as far as it matters here.
#[derive(Debug, Default)]
pub(super) struct Environment {
    /// `WINDLASS_…`, by name.
    overrides: HashMap<String, String>,
    /// `CREDENTIALS_DIRECTORY`, which systemd sets.
    pub(super) credentials: Option<PathBuf>,
}

const PREFIX: &str = "WINDLASS_";
/// What the command reads for itself.
const OF_THE_COMMAND: [&str; 4] = ["WINDLASS_CONFIG", "WINDLASS_LOG", "WINDLASS_URL", "WINDLASS_KEY_FILE"];
/// Every single setting. A table or a list cannot be overridden by one variable.
const SETTINGS: [&str; 15] = [
    "listen",
    "metrics_listen",
    "socket",
    "state_dir",
    "concurrency",
    "drain_timeout",
    "retention.deployments",
    "retention.days",
    "limits.body",
    "limits.queue",
    "limits.hooks_per_minute",
    "limits.connections",
    "limits.header_timeout",
    "limits.body_timeout",
    "engine.host",
];

impl Environment {
    /// Reads the variables. One that is empty counts as not set.
    pub(super) fn new(
        variables: impl IntoIterator<Item = (impl Into<OsString>, impl Into<OsString>)>,
        problems: &mut Vec<Problem>,
    ) -> Self {
        let mut environment = Self::default();
        let mut names = Vec::new();
        for (name, value) in variables {
            let (Ok(name), value) = (name.into().into_string(), value.into()) else { continue };
            if value.is_empty() {
                continue;
            }
            match name.as_str() {
                "CREDENTIALS_DIRECTORY" => environment.credentials = Some(value.into()),
                _ if name.starts_with(PREFIX) && !OF_THE_COMMAND.contains(&name.as_str()) => {
                    names.push(name.clone());
                    match value.into_string() {
                        Ok(value) => drop(environment.overrides.insert(name, value)),
                        Err(_) => problems.push(Problem::with_variable(&name, "is not UTF-8")),
                    }
                }
                _ => {}
            }
        }
        names.sort();
        problems.extend(names.iter().filter_map(|name| environment.problem_of(name)));
        environment
    }

    /// Whether the setting `key` is overridden.
    pub(super) fn overrides(&self, key: &str) -> bool {
        self.overrides.contains_key(&variable(key))
    }

    /// What `config.toml` says, with the overrides on top; nothing when there are none. Both were found to be good by
    /// themselves: this reader knows no lines.
    pub(super) fn layered_on(&self, text: &str) -> Result<Option<raw::Host>, Problem> {
        if self.overrides.is_empty() {
            return Ok(None);
        }
        let file = File::from_str(text, FileFormat::Toml);
        let layers = Config::builder().add_source(file).add_source(source(self.overrides.clone())).build();
        let layered = layers.and_then(Config::try_deserialize);
        layered.map(Some).map_err(|error| Problem::with_variable("WINDLASS_*", error.to_string()))
    }

    /// What is wrong with one override by itself.
    fn problem_of(&self, name: &str) -> Option<Problem> {
        let known: Vec<String> = SETTINGS.iter().map(|key| variable(key)).collect();
        if !known.iter().any(|known| known == name) {
            // What all of them begin with makes none of them more alike.
            let own = |name: &'_ str| name.strip_prefix(PREFIX).map(str::to_owned).unwrap_or_default();
            let all: Vec<String> = known.iter().map(String::as_str).chain(OF_THE_COMMAND).map(own).collect();
            let all: Vec<&str> = all.iter().map(String::as_str).collect();
            let unknown = Problem::with_variable(name, "unknown variable");
            return Some(match nearest(&own(name), &all) {
                Some(near) => unknown.fix(format!("did you mean `{PREFIX}{near}`?")),
                None => unknown,
            });
        }
        let alone = HashMap::from([(name.to_owned(), self.overrides.get(name)?.clone())]);
        let read = Config::builder().add_source(source(alone)).build().and_then(Config::try_deserialize::<raw::Host>);
        Some(Problem::with_variable(name, explain(&reason(&read.err()?)).what))
    }
}

fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "__").to_uppercase())
}

fn source(overrides: HashMap<String, String>) -> config::Environment {
    config::Environment::with_prefix("WINDLASS").prefix_separator("_").separator("__").source(Some(overrides))
}

/// The reason alone: which variable it was is said already.
fn reason(error: &ConfigError) -> String {
    match error {
        ConfigError::At { error, .. } => reason(error),
        ConfigError::Type { unexpected, expected, .. } => format!("expected {expected}, not {unexpected}"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::super::testbed::Testbed;
    use super::*;

    #[test]
    fn every_single_setting_can_be_overridden_and_wins_over_the_file() {
        let file = "concurrency = 3\nlisten = '127.0.0.1:1'\n[limits]\nqueue = 4\nbody = '2MiB'\n[registries.'a.b']\n\
                    username = 'u'\npassword_file = 'p'\n";
        let testbed = Testbed::new().secret("p", "password", 0o600).file("config.toml", file);
        let loaded = testbed.load(&[
            ("WINDLASS_LISTEN", "[::1]:2"),
            ("WINDLASS_METRICS_LISTEN", "127.0.0.1:3"),
            ("WINDLASS_DRAIN_TIMEOUT", "5s"),
            ("WINDLASS_CONCURRENCY", "7"),
            ("WINDLASS_LIMITS__QUEUE", "8"),
            ("WINDLASS_LIMITS__CONNECTIONS", "9"),
            ("WINDLASS_LIMITS__HEADER_TIMEOUT", "1s"),
            ("WINDLASS_LIMITS__BODY_TIMEOUT", "2s"),
            ("WINDLASS_SOCKET", "/tmp/s"),
            ("WINDLASS_ENGINE__HOST", "unix:///x"),
        ]);
        let (settings, _) = loaded.unwrap();
        assert_eq!(settings.listen.to_string(), "[::1]:2");
        assert_eq!(settings.metrics_listen.unwrap().port(), 3);
        assert_eq!(settings.concurrency, 7);
        assert_eq!(format!("{:?}", settings.drain_timeout), "5s");
        assert_eq!((settings.limits.queue, settings.limits.connections), (8, 9));
        assert_eq!(format!("{:?} {:?}", settings.limits.header_timeout, settings.limits.body_timeout), "1s 2s");
        assert_eq!(settings.machine.docker_host.as_deref(), Some("unix:///x"));
        assert_eq!((settings.limits.body, settings.machine.registries.len()), (2 << 20, 1), "the others stay");
    }

    #[test]
    fn the_settings_that_can_be_overridden_are_all_that_there_are() {
        let unknown = |table: &str| {
            let error = toml::from_str::<raw::Host>(&format!("{table}nothing = 1")).unwrap_err();
            error.message().split('`').skip(3).step_by(2).map(str::to_owned).collect::<Vec<_>>()
        };
        let mut all: Vec<String> = unknown("");
        all.retain(|key| {
            !["retention", "limits", "engine", "registries", "compat", "projects"].contains(&key.as_str())
        });
        all.extend(unknown("[retention]\n").iter().map(|key| format!("retention.{key}")));
        all.extend(unknown("[limits]\n").iter().map(|key| format!("limits.{key}")));
        all.extend(unknown("[engine]\n").iter().map(|key| format!("engine.{key}")));
        all.sort();
        let mut listed = SETTINGS.to_vec();
        listed.sort_unstable();
        assert_eq!(listed, all);
    }

    #[test]
    fn a_variable_that_is_unknown_or_wrong_is_told_by_its_name() {
        let problems = Testbed::new().problems_with(&[
            ("WINDLASS_LISTN", "127.0.0.1:1"),
            ("WINDLASS_LIMITS_BODY", "1MiB"),
            ("WINDLASS_LIMITS__QUEUE", "many"),
            ("WINDLASS_LIMITS__BODY", "1024"),
            ("WINDLASS_CONCURRENCY", "0"),
            ("WINDLASS_PROJECTS__SHOP__KEEP", "3"),
            ("WINDLASS_ENGINE__HOST", "ssh://host"),
        ]);
        assert_snapshot!(problems, @r#"
        environment: WINDLASS_CONCURRENCY: must be from 1 to 100000, not 0
        environment: WINDLASS_ENGINE__HOST: "ssh://host" is not where the engine listens, such as "unix:///run/docker.sock" or "tcp://127.0.0.1:2375"
        environment: WINDLASS_LIMITS_BODY: unknown variable; did you mean `WINDLASS_LIMITS__BODY`?
        environment: WINDLASS_LIMITS__BODY: a size has a unit: write "1024B", "1024KiB" or "1024MiB"
        environment: WINDLASS_LIMITS__QUEUE: expected an integer, not string "many"
        environment: WINDLASS_LISTN: unknown variable; did you mean `WINDLASS_LISTEN`?
        environment: WINDLASS_PROJECTS__SHOP__KEEP: unknown variable
        "#);
    }

    #[test]
    fn what_the_command_reads_what_others_read_and_what_is_empty_is_not_looked_at() {
        let testbed = Testbed::new();
        testbed.settings(&[
            ("WINDLASS_CONFIG", "x"),
            ("WINDLASS_LOG", "debug"),
            ("WINDLASS_URL", "x"),
            ("WINDLASS_KEY_FILE", "x"),
            ("WINDLASS_LISTEN", ""),
            ("OTHER_WINDLASS_X", "x"),
            ("WINDLASSX", "x"),
        ]);
    }
}
