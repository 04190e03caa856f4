//! Programs with their arguments, as a list of words: no shell is involved.

use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use super::reader::Reader;
use crate::config::document::key_path::KeyPath;
use crate::deploy::spec::CommandLine;

/// A program and its arguments.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(transparent)]
pub(crate) struct Program(pub(crate) Vec<String>);

impl JsonSchema for Program {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Program".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "array",
            "title": "program and arguments",
            "minItems": 1,
            "prefixItems": [{ "type": "string", "pattern": "^/" }],
            "items": { "type": "string" },
        })
    }
}

/// The program that `key` of the table at `at` names, which may take as long as `deadline`.
pub(super) fn read(
    reader: &mut Reader<'_>,
    at: &KeyPath,
    key: &str,
    program: Program,
    deadline: Duration,
) -> CommandLine {
    check(reader, at, key, &program);
    CommandLine { words: program.0, deadline }
}

/// Finds what is wrong with a program and its arguments.
pub(super) fn check(reader: &mut Reader<'_>, at: &KeyPath, key: &str, Program(words): &Program) {
    let at = at.key(key);
    match words.first() {
        None => reader.problem(&at, format!("needs a program, such as {key} = [\"/usr/bin/true\"]")),
        Some(program) if !program.starts_with('/') => {
            reader.problem(&at, format!("{program:?} is not an absolute path: no shell looks for it"));
        }
        Some(_) if words.iter().any(|word| word.contains('\0')) => {
            reader.problem(&at, "has a word that no program can be given");
        }
        Some(_) => {}
    }
}
