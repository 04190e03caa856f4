//! Names of systemd units.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A unit that has jobs: `site.service`, `app@blue.service`, `site.container` for one that Quadlet makes.
///
/// It has the characters that systemd allows, a type that is known, and no path; a template without an instance is
/// none.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UnitName(String);

/// Why a text is not the name of a unit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitNameError {
    /// Characters that systemd does not allow, nothing, or too many.
    #[error(
        "{0:?} is not the name of a unit: it has 1 to 255 characters of a-z, A-Z, 0-9, `:`, `-`, `_`, `.`, `\\` and `@`"
    )]
    Characters(String),
    /// No type, or one that nothing can be deployed to.
    #[error("{0:?} names no type of unit: write it in full, such as \"{stem}.service\"", stem = stem(.0))]
    Type(String),
    /// A template.
    #[error("{0:?} is a template: name an instance of it, such as \"{instance}\"", instance = .0.replacen('@', "@blue", 1))]
    Template(String),
}

/// Types whose jobs put something into service. The last is a file from which Quadlet makes a service.
const TYPES: [&str; 7] = ["service", "target", "timer", "socket", "path", "mount", CONTAINER];
const CONTAINER: &str = "container";
/// As systemd has it, the end of the text included.
const LONGEST: usize = 255;

impl UnitName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is a file from which Quadlet makes a service.
    #[must_use]
    pub fn is_quadlet(&self) -> bool {
        self.0.ends_with(".container")
    }

    /// The unit whose jobs are started: the one that Quadlet makes, or itself.
    #[must_use]
    pub fn started(&self) -> Self {
        match self.0.strip_suffix(".container") {
            Some(stem) => Self(format!("{stem}.service")),
            None => self.clone(),
        }
    }
}

impl TryFrom<String> for UnitName {
    type Error = UnitNameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<UnitName> for String {
    fn from(name: UnitName) -> Self {
        name.0
    }
}

impl FromStr for UnitName {
    type Err = UnitNameError;

    fn from_str(text: &str) -> Result<Self, UnitNameError> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b':' | b'-' | b'_' | b'.' | b'\\' | b'@');
        let given = || text.chars().take(80).collect::<String>();
        // One that begins with `-` could be taken for an option.
        if !(1..=LONGEST).contains(&text.len()) || !text.bytes().all(allowed) || text.starts_with(['-', '.', '@']) {
            return Err(UnitNameError::Characters(given()));
        }
        let stem = match text.rsplit_once('.') {
            Some((stem, kind)) if TYPES.contains(&kind) && !stem.is_empty() => stem,
            _ => return Err(UnitNameError::Type(given())),
        };
        if stem.ends_with('@') {
            return Err(UnitNameError::Template(given()));
        }
        Ok(Self(text.to_owned()))
    }
}

fn stem(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

impl fmt::Display for UnitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for UnitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_has_a_type_and_no_path_and_a_template_needs_an_instance() {
        for good in ["site.service", "app@blue.service", "a:b-c_d.e\\x2df.service", "up.target", "site.container"] {
            assert_eq!(good.parse::<UnitName>().unwrap().as_str(), good);
        }
        let long = format!("{}.service", "a".repeat(255));
        for (bad, why) in [
            ("", "1 to 255"),
            ("/etc/systemd/system/site.service", "1 to 255"),
            ("../site.service", "1 to 255"),
            ("-H.service", "1 to 255"),
            ("site .service", "1 to 255"),
            ("site.service\n", "1 to 255"),
            ("s\u{ef}te.service", "1 to 255"),
            (long.as_str(), "1 to 255"),
            ("site", "such as \"site.service\""),
            ("site.conf", "such as \"site.service\""),
            (".service", "1 to 255"),
            ("app@.service", "such as \"app@blue.service\""),
        ] {
            let error = bad.parse::<UnitName>().unwrap_err().to_string();
            assert!(error.contains(why), "{bad}: {error}");
        }
    }

    #[test]
    fn quadlet_makes_a_service_of_a_container() {
        let unit: UnitName = "site.container".parse().unwrap();
        assert!(unit.is_quadlet());
        assert_eq!(unit.started().as_str(), "site.service");
        let plain: UnitName = "site.service".parse().unwrap();
        assert!(!plain.is_quadlet());
        assert_eq!(plain.started(), plain);
    }
}
