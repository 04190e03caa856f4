//! Identifiers: of projects, keys, deliveries and deployments.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a text is not the identifier it was meant to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {rule}, not {given:?}")]
pub struct NameError {
    what: &'static str,
    rule: &'static str,
    given: String,
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The identifier as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    let given = text.chars().take(80).collect();
                    Err(NameError { what: $what, rule: $rule, given })
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

identifier!(
    /// What is configured on this host under one name. Safe in a path, a URL, a label and an image tag.
    ProjectName,
    "a project name",
    "has 1 to 63 characters of a-z, 0-9, `-` and `_` and begins with a letter or digit",
    |text| is_label(text, 63, |b| b.is_ascii_lowercase() || b.is_ascii_digit())
);

identifier!(
    /// Which key of a project spoke. It is no secret: it stands in logs and answers.
    KeyId,
    "a key id",
    "has 1 to 63 characters of a-z, A-Z, 0-9, `-` and `_` and begins with a letter or digit",
    |text| is_label(text, 63, |b| b.is_ascii_alphanumeric())
);

identifier!(
    /// What makes two deliveries the same one. Printable ASCII without spaces, at most 256 characters.
    DeliveryId,
    "a delivery id",
    "has 1 to 256 printable ASCII characters without spaces",
    |text| (1..=256).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
);

identifier!(
    /// One deployment. A ULID in lower case: sorts by the time it was made.
    DeploymentId,
    "a deployment id",
    "is a ULID: 26 characters of Crockford's base 32",
    |text| text.len() == 26 && ulid::Ulid::from_string(text).is_ok() && !text.bytes().any(|b| b.is_ascii_uppercase())
);

impl DeploymentId {
    /// A new one, never given before.
    #[must_use]
    pub fn new(now: super::Timestamp) -> Self {
        let mut random = [0_u8; 16];
        // Without randomness the id would still be unique on this host within a millisecond's resolution;
        // the store refuses a second use of one all the same.
        let _ = getrandom::fill(&mut random);
        let millis = u64::try_from(now.as_millis()).unwrap_or(0);
        Self(ulid::Ulid::from_parts(millis, u128::from_le_bytes(random)).to_string().to_lowercase())
    }
}

fn is_label(text: &str, longest: usize, inner: fn(u8) -> bool) -> bool {
    let mut bytes = text.bytes();
    text.len() <= longest && bytes.next().is_some_and(inner) && bytes.all(|b| inner(b) || b == b'-' || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::super::Timestamp;
    use super::*;

    #[test]
    fn a_project_name_can_stand_in_a_path_and_a_url() {
        for good in ["shop", "a", "0", "shop-api_2"] {
            assert!(good.parse::<ProjectName>().is_ok(), "{good}");
        }
        for bad in ["", "Shop", "-shop", "_shop", "a/b", "a b", "..", "a.b", "a%00", "ü", &"a".repeat(64)] {
            assert!(bad.parse::<ProjectName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_deployment_id_reads_back_and_differs_from_the_next() {
        let now = Timestamp::from_millis(1_700_000_000_000);
        let (one, two) = (DeploymentId::new(now), DeploymentId::new(now));
        assert_ne!(one, two);
        assert_eq!(one.as_str().parse::<DeploymentId>(), Ok(one.clone()));
        assert!(one < DeploymentId::new(now.plus(std::time::Duration::from_millis(1))));
    }
}
