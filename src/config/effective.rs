//! Which value each setting of the host has, and where it is from.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::document::environment::Environment;
use super::document::key_path::KeyPath;
use super::document::problem::{LoadError, Position};
use super::document::tree::Tree;
use super::load::host_file;
use super::schema;
use super::settings::Settings;
use super::table::host;
use super::variables::variables;
use crate::model::{ProjectName, Timestamp};

/// A setting that is one value, as it is in force when windlass starts.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Effective {
    /// Its key, as `limits.body`.
    pub key: String,
    /// Its value as TOML writes it; nothing where it has none.
    pub value: Option<String>,
    /// Where that is from.
    pub from: Source,
}

/// Where a value is from.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Nobody has set it.
    Default,
    /// This file, at this line.
    File(PathBuf, usize),
    /// This variable of the environment.
    Environment(String),
}

/// Each project, and the file that it is from.
pub type Projects = Vec<(ProjectName, PathBuf)>;

/// The settings of the host that are one value, and each project with its file.
///
/// # Errors
/// [`LoadError`] when the configuration cannot be used.
pub fn effective(
    path: Option<&Path>,
    variables_set: Vec<(OsString, OsString)>,
    now: Timestamp,
) -> Result<(Vec<Effective>, Projects), LoadError> {
    let (settings, _) = Settings::load(path, variables_set.clone(), now)?;
    let mut problems = Vec::new();
    let environment = Environment::new::<host::Table>(variables(), variables_set, &mut problems);
    let document = host_file(path, &mut problems);
    let (tree, _) = Tree::parse(document.text());
    let defaults = schema::of_config();
    let one = |key: String| {
        let parts: Vec<&str> = key.split('.').collect();
        let (value, from) = if let Some((name, value)) = environment.overriding(&key) {
            (Some(value.to_owned()), Source::Environment(name))
        } else if let Some(span) = tree.span(&KeyPath::of(&parts)) {
            let line = Position::of(document.text(), span.start).line;
            (document.text().get(span).map(str::to_owned), Source::File(document.file().to_owned(), line))
        } else {
            (default_of(&defaults, &parts), Source::Default)
        };
        Effective { key, value, from }
    };
    let mut projects: Vec<_> = settings.files.into_iter().collect();
    projects.sort();
    Ok((schema::single_settings().into_iter().map(one).collect(), projects))
}

fn default_of(schema: &Value, parts: &[&str]) -> Option<String> {
    let setting = parts.iter().try_fold(schema, |table, part| table.get("properties")?.get(part))?;
    Some(setting.get("default").filter(|default| !default.is_null())?.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::testbed::{SHOP, Testbed, now};
    use super::*;

    #[test]
    fn each_value_is_from_the_environment_from_a_line_or_the_default() {
        let testbed = Testbed::new()
            .key("ci.key")
            .project(SHOP)
            .file("config.toml", "\nlisten = '127.0.0.1:1'\n[limits]\nqueue = 4\n");
        let variables = vec![("WINDLASS_LIMITS__BODY".into(), "2MiB".into())];
        let file = testbed.path().join("config.toml");
        let (settings, projects) = effective(Some(&file), variables, now()).unwrap();
        let of = |key: &str| {
            let found = settings.iter().find(|setting| setting.key == key).unwrap();
            (found.value.clone().unwrap_or_default(), found.from.clone())
        };
        assert_eq!(of("listen"), ("'127.0.0.1:1'".to_owned(), Source::File(file.clone(), 2)));
        assert_eq!(of("limits.queue"), ("4".to_owned(), Source::File(file, 4)));
        assert_eq!(of("limits.body"), ("2MiB".to_owned(), Source::Environment("WINDLASS_LIMITS__BODY".to_owned())));
        assert_eq!(of("concurrency").1, Source::Default);
        assert!(!of("concurrency").0.is_empty());
        assert_eq!(of("metrics_listen"), (String::new(), Source::Default));
        assert_eq!(projects[0].0.as_str(), "shop");
    }
}
