//! Texts as TOML writes them.

/// A text as a value of TOML; where it has no control characters, also as a key.
pub(super) fn quote(text: &str) -> String {
    toml::Value::from(text).to_string()
}
