//! One file of the configuration: its text, what it says, and where it says it.

use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Read as _};
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::explain::{Explanation, explain};
use super::key_path::KeyPath;
use super::problem::{Position, Problem};
use super::tree::Tree;

/// A file that was read, or one that need not be there.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    file: PathBuf,
    text: String,
    /// Of what was read.
    metadata: Option<Metadata>,
}

/// A file with more mistakes than this is some other file.
const MOST_PROBLEMS: usize = 50;

/// What stands in a file, and who may write that very file.
fn read(file: &Path) -> io::Result<(Metadata, String)> {
    let mut opened = File::open(file)?;
    let mut text = String::new();
    opened.read_to_string(&mut text)?;
    Ok((opened.metadata()?, text))
}

impl Document {
    /// Reads a file.
    pub(crate) fn read(file: PathBuf) -> Result<Self, Problem> {
        match read(&file) {
            Ok((metadata, text)) => Ok(Self { file, text, metadata: Some(metadata) }),
            Err(error) => Err(Problem::unreadable(&file, &error)),
        }
    }

    /// Reads a file, or nothing where there is none.
    pub(crate) fn read_if_there(file: PathBuf) -> Result<Self, Problem> {
        match read(&file) {
            Ok((metadata, text)) => Ok(Self { file, text, metadata: Some(metadata) }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::empty(file)),
            Err(error) => Err(Problem::unreadable(&file, &error)),
        }
    }

    /// A file of which nothing is known.
    pub(crate) fn empty(file: PathBuf) -> Self {
        Self { file, text: String::new(), metadata: None }
    }

    /// Who may write the file, where it was read.
    pub(crate) fn metadata(&self) -> Option<&Metadata> {
        self.metadata.as_ref()
    }

    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Where relative paths in this file begin.
    pub(crate) fn directory(&self) -> &Path {
        self.file.parent().unwrap_or(Path::new("/"))
    }

    /// What the file says. What is wrong with it is told and left out, so that the rest can be looked at too.
    pub(crate) fn parse<T: DeserializeOwned + Default>(&self, problems: &mut Vec<Problem>) -> T {
        if let Ok(said) = toml::from_str(&self.text) {
            return said;
        }
        let (whole, errors) = Tree::parse(&self.text);
        if let Some(first) = errors.first() {
            // The others often follow from it.
            problems.push(Problem {
                position: first.span().map(|span| Position::of(&self.text, span.start)),
                ..Problem::with_file(&self.file, format!("not TOML: {}", first.message()))
            });
            return T::default();
        }
        let mut rest = whole.clone();
        for _ in 0..MOST_PROBLEMS {
            let error = match rest.read() {
                Ok(said) => return said,
                Err(error) => error,
            };
            let span = error.span().unwrap_or(0..0);
            let problem = self.misunderstood(&whole, &span, error.message(), problems);
            problems.extend(problem);
            if !rest.find(&span).is_some_and(|path| rest.remove(&path)) {
                break;
            }
        }
        T::default()
    }

    /// The same without its text, of which there is a lot where there are a thousand files. It is read again where it takes
    /// it to say where something is wrong.
    pub(crate) fn without_text(self) -> Self {
        Self { text: String::new(), ..self }
    }

    /// A problem of the setting at `key`.
    pub(crate) fn problem(&self, key: &KeyPath, what: impl Into<String>) -> Problem {
        if self.text.is_empty()
            && let Ok((metadata, text)) = read(&self.file)
            && !text.is_empty()
        {
            return Self { file: self.file.clone(), text, metadata: Some(metadata) }.problem(key, what);
        }
        let (tree, _) = Tree::parse(&self.text);
        self.problem_at(key, tree.offset(key), what.into())
    }

    /// Whether `problems` has one at `key` or below already: what was left out for it is not missing.
    pub(crate) fn is_told(&self, key: &KeyPath, problems: &[Problem]) -> bool {
        let key = key.to_string();
        problems.iter().any(|problem| {
            problem.file.as_deref() == Some(&self.file)
                && problem.key.as_ref().is_some_and(|told| told.starts_with(&key))
        })
    }

    fn problem_at(&self, key: &KeyPath, offset: usize, what: String) -> Problem {
        Problem {
            position: Some(Position::of(&self.text, offset)),
            key: (!key.is_root()).then(|| key.to_string()),
            ..Problem::with_file(&self.file, what)
        }
    }

    /// What serde said about `span`; nothing when it misses what had to be left out.
    fn misunderstood(&self, whole: &Tree<'_>, span: &Range<usize>, message: &str, told: &[Problem]) -> Option<Problem> {
        let key = whole.find(span).unwrap_or_default();
        let Explanation { what, missing, fix } = explain(message);
        if missing.is_some_and(|missing| self.is_told(&key.key(missing), told)) {
            return None;
        }
        Some(Problem { fix, ..self.problem_at(&key, span.start, what) })
    }
}
