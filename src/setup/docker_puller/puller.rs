//! docker-puller's config.json. Nothing of it is repeated in an error: anything in it may be the token.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::client::{Failure, Kind};
use crate::model::acts;

/// What stands in it.
#[derive(Debug)]
pub(super) struct Puller {
    /// Where it listened.
    pub(super) address: String,
    pub(super) token: Zeroizing<String>,
    /// The programs by the names of their hooks, each with its arguments.
    pub(super) hooks: BTreeMap<String, Vec<String>>,
}

impl Puller {
    /// Reads a config.json.
    pub(super) fn read(file: &Path) -> Result<Self, Failure> {
        let wrong = |reason: String| {
            Failure::new(Kind::Refused, format!("{} cannot be imported", file.display()), reason)
                .fix("name docker-puller's config.json, which has `token` and `hooks`")
        };
        let text = Zeroizing::new(fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?);
        let value: Value = serde_json::from_str(&text)
            .map_err(|error| wrong(format!("it is not JSON, at line {}, column {}", error.line(), error.column())))?;
        let table = value.as_object().ok_or_else(|| wrong("it is not a JSON object".to_owned()))?;
        let token = text_of(table, "token").ok_or_else(|| wrong("`token` is missing, or not a text".to_owned()))?;
        let hooks = table.get("hooks").and_then(Value::as_object);
        let hooks = hooks.ok_or_else(|| wrong("`hooks` is missing, or not an object".to_owned()))?;
        let hooks = hooks.iter().map(|(name, program)| {
            if name.is_empty() || name.len() > 200 || name.chars().any(acts) {
                return Err(wrong(format!("{name:?} cannot be the name of a hook here")));
            }
            let words = words(program).ok_or_else(|| wrong(format!("the hook {name:?} has no program")))?;
            Ok((name.clone(), words))
        });
        Ok(Self {
            address: format!(
                "{}:{}",
                text_of(table, "host").unwrap_or("localhost"),
                table.get("port").and_then(Value::as_u64).unwrap_or(8000)
            ),
            token: Zeroizing::new(token.to_owned()),
            hooks: hooks.collect::<Result<_, Failure>>()?,
        })
    }
}

fn text_of<'v>(table: &'v Map<String, Value>, key: &str) -> Option<&'v str> {
    table.get(key)?.as_str()
}

/// docker-puller ran a text as one program without arguments, blanks included, and a list as a program with them.
fn words(program: &Value) -> Option<Vec<String>> {
    let words: Vec<String> = match program {
        Value::String(program) => vec![program.clone()],
        Value::Array(words) => words.iter().map(|word| word.as_str().map(str::to_owned)).collect::<Option<_>>()?,
        _ => return None,
    };
    let is_usable = |word: &String| !word.contains('\0');
    (words.first().is_some_and(|program| !program.is_empty()) && words.iter().all(is_usable)).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Puller, String> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config.json");
        fs::write(&file, text).unwrap();
        Puller::read(&file).map_err(|failure| failure.to_string())
    }

    #[test]
    fn a_hook_is_a_program_or_a_program_with_its_arguments() {
        let puller = read(
            r#"{"host": "0.0.0.0", "port": 8080, "token": "abc123", "more": 1,
                "hooks": {"a": "/srv/my restart.sh", "b": ["scripts/b.sh", "--now"]}}"#,
        )
        .unwrap();
        assert_eq!((puller.address.as_str(), puller.token.as_str()), ("0.0.0.0:8080", "abc123"));
        assert_eq!(puller.hooks["a"], ["/srv/my restart.sh"]);
        assert_eq!(puller.hooks["b"], ["scripts/b.sh", "--now"]);
        assert_eq!(read(r#"{"token": "abc123", "hooks": {}}"#).unwrap().address, "localhost:8000");
    }

    #[test]
    fn what_is_wrong_is_said_without_a_word_of_the_file() {
        for text in [
            "canary",
            r#"{"token": "canary""#,
            r#"{"token": "canary", canary}"#,
            r#"["canary"]"#,
            r#"{"token": ["canary"], "hooks": {}}"#,
            r#"{"hooks": {}}"#,
            r#"{"token": "canary"}"#,
            r#"{"token": "canary", "hooks": ["canary"]}"#,
            r#"{"token": "canary", "hooks": {"a": 5}}"#,
            r#"{"token": "canary", "hooks": {"a": ""}}"#,
            r#"{"token": "canary", "hooks": {"a": []}}"#,
            r#"{"token": "canary", "hooks": {"a": ["x", 5]}}"#,
            r#"{"token": "canary", "hooks": {"a": "x\u0000"}}"#,
            r#"{"token": "canary", "hooks": {"": "x"}}"#,
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains("cannot be imported") && !error.contains("canary"), "{error}");
        }
    }
}
