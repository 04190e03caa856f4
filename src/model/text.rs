//! Text from outside, made fit for a terminal and a log.

/// `text` as one printable line of at most `longest` characters: control characters and those that turn the direction
/// of writing become spaces.
#[must_use]
pub fn one_line(text: &str, longest: usize) -> String {
    let harmless = |c: char| if c.is_control() || turns_direction(c) { ' ' } else { c };
    let line: String = text.chars().take(longest).map(harmless).collect();
    line.trim_end().to_owned()
}

fn turns_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_can_forge_a_log_line_or_move_a_cursor() {
        assert_eq!(one_line("a\r\nINFO all is well\u{1b}[2K\u{202e}x\0\n", 100), "a  INFO all is well [2K x");
        assert_eq!(one_line(&"ä".repeat(100), 10), "ä".repeat(10));
    }
}
