//! What the command prints: results to standard output, remarks to standard error, and no panic when nobody reads.

use std::fmt;
use std::io::{self, IsTerminal as _, Write as _};

use serde::Serialize;
use terminal_size::Width;

use super::exit::Exit;
use crate::client::{Failure, Kind};
use crate::model::acts;
use crate::wire::json;

/// The only way to print.
#[derive(Debug)]
pub(super) struct Output {
    json: bool,
    colour: bool,
    terminal: bool,
    broken: Option<io::Error>,
}

/// How a word is shown on a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// As any other.
    Plain,
    /// A heading.
    Bold,
    /// Beside the point.
    Dim,
    /// All is well.
    Good,
    /// Under way, or to be looked at.
    Busy,
    /// Failed.
    Bad,
}

impl Output {
    /// Prints for people, or JSON and nothing else.
    pub(super) fn new(json: bool) -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let terminal = io::stdout().is_terminal() && !dumb;
        Self { json, colour: terminal && may_be_coloured(), terminal, broken: None }
    }

    /// Whether standard output is JSON and nothing else.
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    /// Whether somebody looks at both standard output and standard error as they are written.
    pub(super) fn is_watched(&self) -> bool {
        self.terminal && io::stderr().is_terminal()
    }

    /// Whether colours are shown.
    pub(super) fn is_coloured(&self) -> bool {
        self.colour
    }

    /// How many columns there are, where somebody looks at a terminal that says so.
    pub(super) fn width(&self) -> Option<usize> {
        let (Width(columns), _) = terminal_size::terminal_size_of(io::stdout()).filter(|_| self.terminal)?;
        Some(columns.into())
    }

    /// One line of the result.
    pub(super) fn line(&mut self, text: impl fmt::Display) {
        self.write(|stdout| show(stdout, text));
    }

    /// One whole document.
    pub(super) fn document(&mut self, value: &impl Serialize) {
        self.write(|stdout| writeln!(stdout, "{}", json::pretty(value)?));
    }

    /// One record of several, on a line of its own.
    pub(super) fn record(&mut self, value: &impl Serialize) {
        self.write(|stdout| writeln!(stdout, "{}", json::compact(value)?));
    }

    /// One line beside the result.
    pub(super) fn remark(&mut self, text: impl fmt::Display) {
        // When nobody reads remarks, nobody misses them.
        let _ = show(&mut io::stderr().lock(), text);
    }

    /// `text` as it is shown with `style`.
    pub(super) fn paint(&self, style: Style, text: &str) -> String {
        let code = match style {
            Style::Plain => return text.to_owned(),
            Style::Bold => "1",
            Style::Dim => "2",
            Style::Good => "32",
            Style::Busy => "33",
            Style::Bad => "31",
        };
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// Tells a failure, and says how the command ends for it.
    pub(super) fn tell(&mut self, failure: &Failure) -> Exit {
        self.remark(failure);
        if let (true, Some(problem)) = (self.json, failure.problem()) {
            self.document(problem);
        }
        failure.kind().into()
    }

    /// How the command ends, now that all is printed. A result that could not be written was not delivered.
    pub(super) fn finish(mut self, exit: Exit) -> Exit {
        self.write(io::Write::flush);
        match self.broken.take() {
            // A reader that has seen enough, such as `head`, is no failure.
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                let failure = Failure::new(Kind::Internal, "the result could not be printed", error);
                self.remark(&failure);
                if exit == Exit::Succeeded { failure.kind().into() } else { exit }
            }
            _ => exit,
        }
    }

    fn write(&mut self, write: impl FnOnce(&mut io::StdoutLock<'static>) -> io::Result<()>) {
        // After the first failure the rest is not written either: half a result with a hole in it helps nobody.
        if self.broken.is_none() {
            self.broken = write(&mut io::stdout().lock()).err();
        }
    }
}

/// Prints `text` as it is, but for what acts on a terminal and is neither the end of a line nor a colour.
fn show(out: &mut impl io::Write, text: impl fmt::Display) -> io::Result<()> {
    let mut harmless = Harmless { out, failure: None };
    match fmt::write(&mut harmless, format_args!("{text}\n")) {
        Ok(()) => Ok(()),
        Err(fmt::Error) => Err(harmless.failure.unwrap_or_else(|| io::Error::other("it cannot be put into words"))),
    }
}

struct Harmless<'o, W> {
    out: &'o mut W,
    failure: Option<io::Error>,
}

impl<W: io::Write> fmt::Write for Harmless<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| *c != '\n' && acts(*c)) {
            let (before, from) = rest.split_at(at);
            let colour = colour_of(from);
            let (shown, after) = match colour {
                Some(colour) => (colour, from.strip_prefix(colour)),
                None => (" ", from.strip_prefix(c)),
            };
            self.put(before)?;
            self.put(shown)?;
            rest = after.unwrap_or_default();
        }
        self.put(rest)
    }
}

impl<W: io::Write> Harmless<'_, W> {
    fn put(&mut self, text: &str) -> fmt::Result {
        self.out.write_all(text.as_bytes()).map_err(|error| {
            self.failure = Some(error);
            fmt::Error
        })
    }
}

/// The sequence at the beginning of `text` that sets a colour and nothing else.
fn colour_of(text: &str) -> Option<&str> {
    let digits = text.strip_prefix("\u{1b}[")?;
    let length = digits.find(|c: char| !c.is_ascii_digit())?;
    digits.get(length..)?.starts_with('m').then(|| text.get(..length + 3)).flatten()
}

/// Whether colours are wanted at all, wherever they could be shown.
pub(super) fn may_be_coloured() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_shown_only_where_they_are_wanted() {
        let output = |colour| Output { json: false, colour, terminal: true, broken: None };
        assert_eq!(output(true).paint(Style::Good, "succeeded"), "\u{1b}[32msucceeded\u{1b}[0m");
        assert_eq!(output(true).paint(Style::Plain, "shop"), "shop");
        assert_eq!(output(false).paint(Style::Bad, "abandoned"), "abandoned");
    }

    #[test]
    fn nothing_that_is_printed_acts_on_the_terminal_but_colours_and_ends_of_lines() {
        let shown = |text: &str| {
            let mut out = Vec::new();
            show(&mut out, text).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(shown("\u{1b}[32msucceeded\u{1b}[0m\n  why: é"), "\u{1b}[32msucceeded\u{1b}[0m\n  why: é\n");
        for (text, expected) in [
            ("a\u{1b}[2Kb", "a [2Kb\n"),
            ("a\u{1b}[2;3mb\u{1b}", "a [2;3mb \n"),
            ("a\rb\tc\u{9b}2J\u{202e}d\u{2028}e\u{61c}", "a b c 2J d e \n"),
        ] {
            assert_eq!(shown(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_reader_that_went_away_does_not_change_how_the_command_ends_but_a_full_disk_does() {
        let output = |kind| Output { json: false, colour: false, terminal: false, broken: Some(io::Error::from(kind)) };
        assert_eq!(output(io::ErrorKind::BrokenPipe).finish(Exit::Succeeded), Exit::Succeeded);
        assert_eq!(output(io::ErrorKind::StorageFull).finish(Exit::Succeeded), Exit::Internal);
        assert_eq!(output(io::ErrorKind::StorageFull).finish(Exit::RolledBack), Exit::RolledBack);
    }
}
