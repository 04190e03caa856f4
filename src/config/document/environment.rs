//! What the environment says: a variable overrides a single setting.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::PathBuf;

use config::{Config, ConfigError, File, FileFormat};
use serde::de::DeserializeOwned;

use super::explain::{explain, nearest};
use super::problem::Problem;

/// The environment as far as it matters here.
#[derive(Debug)]
pub(crate) struct Environment {
    known: Variables,
    /// By name.
    overrides: HashMap<String, String>,
    /// `CREDENTIALS_DIRECTORY`, which systemd sets.
    pub(crate) credentials: Option<PathBuf>,
}

/// Which variables there are.
#[derive(Debug)]
pub(crate) struct Variables {
    /// What all of them begin with, without the underscore that follows.
    pub(crate) prefix: &'static str,
    /// Every single setting, as `limits.body`. A table or a list cannot be overridden by one variable.
    pub(crate) settings: fn() -> Vec<String>,
    /// What somebody else reads: the rest of their names.
    pub(crate) others: &'static [&'static str],
}

impl Environment {
    /// Reads the variables, each of which overrides one setting of `T`. One that is empty counts as not set.
    pub(crate) fn new<T: DeserializeOwned>(
        known: Variables,
        variables: impl IntoIterator<Item = (impl Into<OsString>, impl Into<OsString>)>,
        problems: &mut Vec<Problem>,
    ) -> Self {
        let mut environment = Self { known, overrides: HashMap::new(), credentials: None };
        let mut names = Vec::new();
        for (name, value) in variables {
            let (Ok(name), value) = (name.into().into_string(), value.into()) else { continue };
            if value.is_empty() {
                continue;
            }
            match (name.as_str(), environment.known.own(&name)) {
                ("CREDENTIALS_DIRECTORY", _) => environment.credentials = Some(value.into()),
                (_, Some(own)) if !environment.known.others.contains(&own) => {
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
        if !names.is_empty() {
            let settings: Vec<String> =
                (environment.known.settings)().iter().map(|key| environment.known.variable(key)).collect();
            problems.extend(names.iter().filter_map(|name| environment.problem_of::<T>(name, &settings)));
        }
        environment
    }

    /// Whether the setting `key` is overridden.
    pub(crate) fn overrides(&self, key: &str) -> bool {
        self.overrides.contains_key(&self.known.variable(key))
    }

    /// The variable that overrides the setting `key`, and what it says.
    pub(crate) fn overriding(&self, key: &str) -> Option<(String, &str)> {
        let name = self.known.variable(key);
        let value = self.overrides.get(&name)?;
        Some((name, value))
    }

    /// What a file with this text says, with the overrides on top; nothing when there are none. Both were found to be
    /// good by themselves: this reader knows no lines.
    pub(crate) fn layered_on<T: DeserializeOwned>(&self, text: &str) -> Result<Option<T>, Problem> {
        if self.overrides.is_empty() {
            return Ok(None);
        }
        let file = File::from_str(text, FileFormat::Toml);
        let overrides = self.known.source(self.overrides.clone());
        let layered =
            Config::builder().add_source(file).add_source(overrides).build().and_then(Config::try_deserialize);
        let all = format!("{}_*", self.known.prefix);
        layered.map(Some).map_err(|error| Problem::with_variable(&all, error.to_string()))
    }

    /// What is wrong with one override by itself, which is one of `settings` or of none.
    fn problem_of<T: DeserializeOwned>(&self, name: &str, settings: &[String]) -> Option<Problem> {
        if !settings.iter().any(|known| known == name) {
            // What all of them begin with makes none of them more alike.
            let own = |name: &str| self.known.own(name).map(str::to_owned);
            let others = self.known.others.iter().map(|other| (*other).to_owned());
            let all: Vec<String> = settings.iter().filter_map(|known| own(known)).chain(others).collect();
            let all: Vec<&str> = all.iter().map(String::as_str).collect();
            let unknown = Problem::with_variable(name, "unknown variable");
            return Some(match nearest(&own(name)?, &all) {
                Some(near) => unknown.fix(format!("did you mean `{}_{near}`?", self.known.prefix)),
                None => unknown,
            });
        }
        let alone = HashMap::from([(name.to_owned(), self.overrides.get(name)?.clone())]);
        let alone = Config::builder().add_source(self.known.source(alone)).build();
        let error = alone.and_then(Config::try_deserialize::<T>).err()?;
        Some(Problem::with_variable(name, explain(&reason(&error)).what))
    }
}

impl Variables {
    /// The name of a variable without what all of them begin with.
    fn own<'n>(&self, name: &'n str) -> Option<&'n str> {
        name.strip_prefix(self.prefix)?.strip_prefix('_')
    }

    /// The name of the variable that overrides the setting `key`.
    fn variable(&self, key: &str) -> String {
        format!("{}_{}", self.prefix, key.replace('.', "__").to_uppercase())
    }

    fn source(&self, overrides: HashMap<String, String>) -> config::Environment {
        let own = config::Environment::with_prefix(self.prefix);
        own.prefix_separator("_").separator("__").source(Some(overrides))
    }
}

/// The reason alone: which variable it was is said already.
fn reason(error: &ConfigError) -> String {
    match error {
        ConfigError::At { error, .. } => reason(error),
        ConfigError::Type { unexpected, expected, .. } => format!("expected {expected}, not {unexpected}"),
        other => other.to_string(),
    }
}
