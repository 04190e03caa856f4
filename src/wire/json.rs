//! JSON as it is sent and printed: text that acts on a terminal stands in it escaped, and reads back as it was.

use std::fmt::Write as _;

use serde::Serialize;

use crate::model::acts;

/// `value` on one line.
///
/// # Errors
/// When JSON has no form for it.
pub fn compact<T: Serialize + ?Sized>(value: &T) -> Result<String, serde_json::Error> {
    serde_json::to_string(value).map(escaped)
}

/// `value` on several lines, for people.
///
/// # Errors
/// When JSON has no form for it.
pub fn pretty<T: Serialize + ?Sized>(value: &T) -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(value).map(escaped)
}

/// The serialiser escapes the controls of ASCII but for DEL. All others can only stand within a string.
fn escaped(json: String) -> String {
    let acts_raw = |c: char| c >= '\u{7f}' && acts(c);
    if !json.contains(acts_raw) {
        return json;
    }
    let mut escaped = String::with_capacity(json.len() + 64);
    for c in json.chars() {
        if acts_raw(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a String cannot fail.
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        } else {
            escaped.push(c);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_on_a_terminal_is_escaped_and_reads_back_as_it_was() {
        let text = "a\n\u{1b}[2K\u{7f}\u{9b}2J\u{85}\u{61c}\u{2028}\u{2029}\u{202e}\u{feff}\u{e0041}é 東京 🚀";
        for json in [compact(&[text]).unwrap(), pretty(&[text]).unwrap()] {
            assert_eq!(serde_json::from_str::<[String; 1]>(&json).unwrap(), [text]);
            assert!(json.chars().all(|c| c == '\n' || !acts(c)), "{json:?}");
            assert!(json.contains(r"\u202e") && json.contains(r"\udb40\udc41"), "{json}");
            assert!(json.contains("é 東京 🚀"), "{json}");
        }
    }
}
