//! What the command prints: results to standard output, remarks to standard error, and no panic when nobody reads.

use std::fmt;
use std::io::{self, IsTerminal as _, Write as _};

use serde::Serialize;

use super::exit::Exit;
use super::failure::Failure;

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

    /// One line of the result.
    pub(super) fn line(&mut self, text: impl fmt::Display) {
        self.write(|stdout| writeln!(stdout, "{text}"));
    }

    /// One whole document.
    pub(super) fn document(&mut self, value: &impl Serialize) {
        self.write(|stdout| {
            serde_json::to_writer_pretty(&mut *stdout, value)?;
            writeln!(stdout)
        });
    }

    /// One record of several, on a line of its own.
    pub(super) fn record(&mut self, value: &impl Serialize) {
        self.write(|stdout| {
            serde_json::to_writer(&mut *stdout, value)?;
            writeln!(stdout)
        });
    }

    /// One line beside the result.
    pub(super) fn remark(&mut self, text: impl fmt::Display) {
        // When nobody reads remarks, nobody misses them.
        let _ = writeln!(io::stderr().lock(), "{text}");
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
        failure.exit()
    }

    /// How the command ends, now that all is printed. A result that could not be written was not delivered.
    pub(super) fn finish(mut self, exit: Exit) -> Exit {
        self.write(io::Write::flush);
        match self.broken.take() {
            // A reader that has seen enough, such as `head`, is no failure.
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                let failure = Failure::new(Exit::Internal, "the result could not be printed", error);
                self.remark(&failure);
                if exit == Exit::Succeeded { failure.exit() } else { exit }
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
    fn a_reader_that_went_away_does_not_change_how_the_command_ends_but_a_full_disk_does() {
        let output = |kind| Output { json: false, colour: false, terminal: false, broken: Some(io::Error::from(kind)) };
        assert_eq!(output(io::ErrorKind::BrokenPipe).finish(Exit::Succeeded), Exit::Succeeded);
        assert_eq!(output(io::ErrorKind::StorageFull).finish(Exit::Succeeded), Exit::Internal);
        assert_eq!(output(io::ErrorKind::StorageFull).finish(Exit::RolledBack), Exit::RolledBack);
    }
}
