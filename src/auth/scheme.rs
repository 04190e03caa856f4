//! The schemes that a key can have, by their names.

use std::fmt;
use std::str::FromStr;

use http::request::Parts;

use super::key_text::KeyText;
use super::mac::{self, row};
use super::reason::Reason;
use super::token::{self, Place};

/// How a key proves a request: a family, and the member of it. With a secret it becomes a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// A code over the request that only the secret makes, as a row of the table says.
    Mac(&'static row::Row),
    /// The secret itself, sent along in this place: signs nothing.
    Token(Place),
}

/// Why a text is not a scheme.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a scheme is {}", one_of_all())]
pub struct SchemeError;

impl Scheme {
    /// Standard Webhooks: signs id, time and body.
    pub const STANDARD: Self = Self::Mac(&row::STANDARD);
    /// As GitHub signs: the body alone.
    pub const GITHUB: Self = Self::Mac(&row::GITHUB);
    /// The secret itself in `Authorization`.
    pub const BEARER: Self = Self::Token(Place::Authorization);

    /// All that a key of a project can have. Where several prove one request, the first counts.
    pub fn all() -> impl Iterator<Item = Self> {
        row::ROWS.iter().copied().map(Self::Mac).chain([Self::BEARER])
    }

    /// Its name in configuration files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mac(row) => row.name,
            Self::Token(place) => place.name(),
        }
    }

    /// Whether a request claims by its head, in the right form, to be proven so.
    pub(super) fn is_claimed(self, head: &Parts) -> Result<(), Reason> {
        match self {
            Self::Mac(row) => mac::Claim::read(row, &head.headers).map(drop),
            Self::Token(place) => token::read(place, head).map(drop),
        }
    }

    /// How the file of its keys writes the secret.
    pub(super) const fn key_text(self) -> KeyText {
        match self {
            Self::Mac(row) => row.key,
            Self::Token(_) => KeyText::Graphic,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scheme {
    type Err = SchemeError;

    fn from_str(text: &str) -> Result<Self, SchemeError> {
        Self::all().find(|scheme| scheme.as_str() == text).ok_or(SchemeError)
    }
}

fn one_of_all() -> String {
    let names: Vec<String> = Scheme::all().map(|scheme| format!("`{scheme}`")).collect();
    names.split_last().map(|(last, others)| format!("{} or {last}", others.join(", "))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scheme_is_read_by_the_name_that_it_is_written_by() {
        for scheme in Scheme::all() {
            assert_eq!(scheme.to_string().parse(), Ok(scheme));
        }
        for bad in ["", "Standard", "GITHUB", "gitlab", Scheme::Token(Place::Address).as_str()] {
            assert_eq!(bad.parse::<Scheme>(), Err(SchemeError), "{bad}");
        }
        assert_eq!(SchemeError.to_string(), "a scheme is `standard`, `github` or `bearer`");
    }
}
