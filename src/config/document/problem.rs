//! What is wrong with a configuration: where, what, and how to fix it.

use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// One thing that is wrong, or, as a warning, probably not meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// In which file; nothing when it came from the environment.
    pub file: Option<PathBuf>,
    /// Where in the file, as far as that is known.
    pub position: Option<Position>,
    /// Which key, as `projects.shop.timeout`, or which variable of the environment.
    pub key: Option<String>,
    /// What is wrong.
    pub what: String,
    /// What to do about it, where that is not in [`Problem::what`] already.
    pub fix: Option<String>,
}

/// A place in a file. Both are counted from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// The configuration cannot be used. Never without a problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadError {
    /// All that was found, file by file.
    pub problems: Vec<Problem>,
}

impl Problem {
    /// One about a file as a whole.
    pub(crate) fn with_file(file: impl Into<PathBuf>, what: impl Into<String>) -> Self {
        Self { file: Some(file.into()), position: None, key: None, what: what.into(), fix: None }
    }

    /// A file or directory that cannot be read.
    pub(crate) fn unreadable(file: &Path, error: &std::io::Error) -> Self {
        let what = match error.kind() {
            ErrorKind::NotFound => "is not there".to_owned(),
            ErrorKind::InvalidData => "is not UTF-8".to_owned(),
            _ => format!("cannot be read: {error}"),
        };
        Self::with_file(file, what)
    }

    /// One about a variable of the environment.
    pub(crate) fn with_variable(name: &str, what: impl Into<String>) -> Self {
        Self { file: None, position: None, key: Some(name.to_owned()), what: what.into(), fix: None }
    }

    /// The same with its fix.
    pub(crate) fn fix(self, fix: impl Into<String>) -> Self {
        Self { fix: Some(fix.into()), ..self }
    }
}

impl Position {
    /// Of the byte at `offset`.
    pub(crate) fn of(text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
        Self { line, column: before.get(line_start..).unwrap_or("").chars().count() + 1 }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => write!(f, "{}", file.display())?,
            None => f.write_str("environment")?,
        }
        if let Some(Position { line, column }) = self.position {
            write!(f, ":{line}:{column}")?;
        }
        if let Some(key) = &self.key {
            write!(f, ": {key}")?;
        }
        write!(f, ": {}", self.what)?;
        if let Some(fix) = &self.fix {
            write!(f, "; {fix}")?;
        }
        Ok(())
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for LoadError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_counts_characters_and_survives_an_offset_past_the_end() {
        let text = "a\nüü = 1\n";
        assert_eq!(Position::of(text, 0), Position { line: 1, column: 1 });
        assert_eq!(Position::of(text, text.find('=').unwrap()), Position { line: 2, column: 4 });
        assert_eq!(Position::of(text, 999), Position { line: 3, column: 1 });
    }

    #[test]
    fn a_problem_is_one_line_with_what_is_known_of_it() {
        let whole = Problem::with_file("/etc/windlass/config.toml", "is not there");
        assert_eq!(whole.to_string(), "/etc/windlass/config.toml: is not there");
        let full = Problem {
            position: Some(Position { line: 7, column: 1 }),
            key: Some("limits.boddy".to_owned()),
            ..Problem::with_file("config.toml", "unknown key").fix("did you mean `body`?")
        };
        assert_eq!(full.to_string(), "config.toml:7:1: limits.boddy: unknown key; did you mean `body`?");
        let variable = Problem::with_variable("WINDLASS_LISTN", "unknown variable");
        assert_eq!(variable.to_string(), "environment: WINDLASS_LISTN: unknown variable");
    }
}
