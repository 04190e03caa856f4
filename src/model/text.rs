//! Text from outside, made fit for a terminal and a log.

/// `text` as one printable line of at most `longest` characters: what [`acts`] on its reader becomes a space.
#[must_use]
pub fn one_line(text: &str, longest: usize) -> String {
    let harmless = |c: char| if acts(c) { ' ' } else { c };
    let line: String = text.chars().take(longest).map(harmless).collect();
    line.trim_end().to_owned()
}

/// `text` as one printable line of at most `longest` of its characters, in which what [`acts`] is seen as `\n` or
/// `\u{2028}`: for text that is quoted because something is wrong with it.
#[must_use]
pub fn visible(text: &str, longest: usize) -> String {
    let mut line = String::with_capacity(text.len().min(longest));
    for c in text.chars().take(longest) {
        if acts(c) { line.extend(c.escape_default()) } else { line.push(c) }
    }
    line
}

/// Whether a character does something to its surroundings instead of being seen: it controls a terminal, ends a line,
/// turns the direction of writing, joins or hides.
#[must_use]
pub fn acts(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_can_forge_a_log_line_or_move_a_cursor() {
        assert_eq!(one_line("a\r\nINFO all is well\u{1b}[2K\u{202e}x\0\n", 100), "a  INFO all is well [2K x");
        assert_eq!(one_line(&"ä".repeat(100), 10), "ä".repeat(10));
    }

    #[test]
    fn what_is_wrong_with_a_text_can_be_seen() {
        assert_eq!(visible("v1\n\u{2028}\u{1b}é", 9), r"v1\n\u{2028}\u{1b}é");
        assert_eq!(visible("aaaa", 2), "aa");
    }

    #[test]
    fn every_control_of_lines_directions_and_forms_becomes_a_space() {
        for c in "\u{7f}\u{85}\u{9b}\u{ad}\u{61c}\u{200b}\u{200d}\u{200e}\u{2028}\u{2029}\u{202a}\u{2060}\u{2066}\u{2069}\u{206f}\u{feff}\u{fffa}\u{e0041}".chars() {
            assert_eq!(one_line(&format!("a{c}b"), 9), "a b", "{c:?}");
        }
        let words = "naïve Grüße, 東京, \u{5e9}\u{5dc}\u{5d5}\u{5dd}, \u{645}\u{631}\u{62d}\u{628}\u{627} 🚀";
        assert_eq!(one_line(words, 99), words, "words of any script stay");
    }
}
