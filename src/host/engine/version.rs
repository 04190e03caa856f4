//! Which engine answers, and the API that both sides speak.

use std::fmt;

/// The newest API that windlass was tried with, and the oldest that it can use.
const NEWEST: Api = Api(1, 51);
const OLDEST: Api = Api(1, 41);

/// Which engine answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EngineVersion {
    /// Its own version: `28.5.2`.
    pub version: String,
    /// The newest API that it speaks: `1.51`.
    pub api: String,
    /// The oldest API that it speaks; empty where it does not say.
    pub oldest_api: String,
    /// What its containers run on: `linux`.
    pub os: String,
    /// In the registries' words: `amd64`, `arm64`.
    pub architecture: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Api(u32, u32);

impl EngineVersion {
    /// The newest API that both sides speak.
    pub(super) fn agreed(&self) -> Result<String, String> {
        let newest = Api::parse(&self.api)
            .ok_or_else(|| format!("the engine says that it speaks API {:?}, which windlass cannot read", self.api))?;
        let oldest = Api::parse(&self.oldest_api).unwrap_or(OLDEST);
        if newest < OLDEST {
            return Err(format!(
                "the engine speaks API {newest}, and windlass needs {OLDEST}: update to Docker 20.10 or newer"
            ));
        }
        if oldest > NEWEST {
            return Err(format!(
                "the engine speaks API {oldest} or newer, and windlass up to {NEWEST}: update windlass"
            ));
        }
        Ok(newest.min(NEWEST).to_string())
    }
}

impl Api {
    fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once('.')?;
        Some(Self(major.parse().ok()?, minor.parse().ok()?))
    }
}

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_api_that_both_speak_is_agreed() {
        for (newest, oldest, agreed) in [
            ("1.41", "1.12", Ok("1.41")),
            ("1.45", "1.24", Ok("1.45")),
            ("1.52", "1.44", Ok("1.51")),
            ("1.41", "", Ok("1.41")),
            ("1.40", "1.12", Err("update to Docker 20.10 or newer")),
            ("1.70", "1.60", Err("update windlass")),
            ("", "", Err("cannot read")),
        ] {
            let version =
                EngineVersion { api: newest.to_owned(), oldest_api: oldest.to_owned(), ..EngineVersion::default() };
            match (version.agreed(), agreed) {
                (Ok(found), Ok(agreed)) => assert_eq!(found, agreed),
                (Err(found), Err(agreed)) => assert!(found.contains(agreed), "{found}"),
                (found, _) => panic!("{newest} {oldest}: {found:?}"),
            }
        }
    }
}
