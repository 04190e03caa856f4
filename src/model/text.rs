//! Text from outside, made fit for a terminal and a log.

use std::str::Chars;

/// A control string that is longer is taken for none, in bytes.
const LONGEST_STRING: usize = 1024;

/// `text` as one printable line of at most `longest` characters: what steers a terminal is left out as a whole, and
/// what else [`acts`] on its reader becomes a space.
#[must_use]
pub fn one_line(text: &str, longest: usize) -> String {
    let harmless = |c: char| if acts(c) { ' ' } else { c };
    let line: String = Steerless(text.chars()).take(longest).map(harmless).collect();
    line.trim_end().to_owned()
}

/// The characters of a text without the control sequences and control strings of ECMA-48, such as those that set a
/// colour (`ESC [ 31 m`) or a title. Of what is none, or does not end, the first character alone is left out.
struct Steerless<'t>(Chars<'t>);

impl Iterator for Steerless<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        loop {
            let c = self.0.next()?;
            let rest = self.0.as_str();
            let length = match c {
                '\u{1b}' => match rest.chars().next() {
                    Some('[') => rest.get(1..).and_then(control_sequence).map(|length| length + 1),
                    Some(']' | 'P' | '^' | '_' | 'X') => {
                        rest.get(1..).and_then(control_string).map(|length| length + 1)
                    }
                    _ => None,
                },
                '\u{9b}' => control_sequence(rest),
                _ => None,
            };
            let Some(length) = length else { return Some(c) };
            self.0 = rest.get(length..).unwrap_or_default().chars();
        }
    }
}

/// How many bytes a control sequence has after its introducer: parameters, intermediates, one that ends it.
fn control_sequence(text: &str) -> Option<usize> {
    let end = text.bytes().position(|byte| !(0x20..=0x3f).contains(&byte))?;
    text.as_bytes().get(end).filter(|byte| (0x40..=0x7e).contains(*byte)).map(|_| end + 1)
}

/// How many bytes a control string has after its introducer, its end included.
fn control_string(text: &str) -> Option<usize> {
    let near = text.as_bytes().get(..LONGEST_STRING).unwrap_or(text.as_bytes());
    let bell = near.iter().position(|byte| *byte == 0x07).map(|at| at + 1);
    let terminator = near.windows(2).position(|pair| pair == b"\x1b\\").map(|at| at + 2);
    bell.into_iter().chain(terminator).min()
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
        assert_eq!(one_line("a\r\nINFO all is well\u{1b}[2K\u{202e}x\0\n", 100), "a  INFO all is well x");
        assert_eq!(one_line(&"ä".repeat(100), 10), "ä".repeat(10));
    }

    #[test]
    fn colours_and_titles_are_left_out_as_a_whole() {
        for (text, shown) in [
            ("\u{1b}[31mERROR\u{1b}[0m no database", "ERROR no database"),
            ("\u{1b}[1;38;5;196mred\u{9b}0m\u{1b}[K", "red"),
            ("\u{1b}]0;a title\u{7}a\u{1b}]8;;https://x\u{1b}\\b", "ab"),
            ("a\u{1b}]0;no end", "a ]0;no end"),
            ("a\u{1b}[31", "a [31"),
            ("a\u{1b}[3é", "a [3é"),
            ("a\u{1b}", "a"),
        ] {
            assert_eq!(one_line(text, 99), shown, "{text:?}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_text_can_be_seen() {
        assert_eq!(visible("v1\n\u{2028}\u{1b}é", 9), r"v1\n\u{2028}\u{1b}é");
        assert_eq!(visible("aaaa", 2), "aa");
    }

    #[test]
    fn every_control_of_lines_directions_and_forms_becomes_a_space() {
        for c in "\u{7f}\u{85}\u{ad}\u{61c}\u{200b}\u{200d}\u{200e}\u{2028}\u{2029}\u{202a}\u{2060}\u{2066}\u{2069}\u{206f}\u{feff}\u{fffa}\u{e0041}".chars() {
            assert_eq!(one_line(&format!("a{c}b"), 9), "a b", "{c:?}");
        }
        let words = "naïve Grüße, 東京, \u{5e9}\u{5dc}\u{5d5}\u{5dd}, \u{645}\u{631}\u{62d}\u{628}\u{627} 🚀";
        assert_eq!(one_line(words, 99), words, "words of any script stay");
    }
}
