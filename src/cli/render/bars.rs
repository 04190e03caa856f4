//! Progress on a terminal: at the bottom one line for the step that is being carried out, above it what is done.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::super::output::{Output, Style};
use super::super::table::cut;
use crate::model::{Timestamp, one_line};
use crate::wire::event::{Event, EventView};
use crate::wire::text::{Detail, TextWriter, in_words};

/// How often the spinner turns.
const TICK: Duration = Duration::from_millis(120);
/// More than any terminal has columns.
const LONGEST: usize = 500;
/// How much of a step's name is shown, so that at 80 columns there is room for what happens in it.
const LONGEST_NAME: usize = 36;

/// The line of the step that is being carried out.
pub(super) struct Bars {
    bar: ProgressBar,
    detail: Detail,
    /// While nothing can be counted.
    plain: ProgressStyle,
    /// While bytes come in.
    counting: ProgressStyle,
    /// When the step began.
    since: Option<Timestamp>,
}

impl Bars {
    pub(super) fn new(coloured: bool, detail: Detail) -> Self {
        let (plain, counting) = if coloured {
            (
                "{spinner:.cyan} {prefix} {elapsed:.dim} {wide_msg:.dim}",
                "{spinner:.cyan} {prefix} {bar:14.cyan/dim} {wide_msg}",
            )
        } else {
            ("{spinner} {prefix} {elapsed} {wide_msg}", "{spinner} {prefix} {bar:14} {wide_msg}")
        };
        // A template that indicatif refused would be a slip in the lines above: then its own style has to do.
        let style =
            |text: &str| ProgressStyle::with_template(text).unwrap_or_else(|_| ProgressStyle::default_spinner());
        let (plain, counting) = (style(plain), style(counting).progress_chars("━╸─"));
        let bar = ProgressBar::new_spinner().with_style(plain.clone()).with_prefix("waiting");
        bar.enable_steady_tick(TICK);
        Self { bar, detail, plain, counting, since: None }
    }

    /// Shows `view`, which `lines` tell; `writer` has told them.
    pub(super) fn show(&mut self, output: &mut Output, view: &EventView, writer: &TextWriter, lines: &[String]) {
        match &view.event {
            Event::Started => self.begin("asking what the images are and what runs", view.at),
            Event::StepStarted { step } => self.begin(&writer.step_in_words(*step), view.at),
            Event::Progress { transfer, .. } => {
                self.bar.set_style(self.counting.clone());
                self.bar.set_length(transfer.bytes.max(1));
                self.bar.set_position(transfer.bytes_done);
                self.bar.set_message(in_words(transfer, view.at.since(self.since.unwrap_or(view.at))));
            }
            Event::Said { line, .. } => {
                self.bar.set_message(one_line(line, LONGEST));
                // When the step fails, the failure repeats what matters of it.
                if self.detail == Detail::Full {
                    self.print(output, lines);
                }
            }
            Event::StepFinished { .. } => {
                let done = output.paint(Style::Good, "✓");
                self.print(output, &lines.iter().map(|line| format!("{done} {line}")).collect::<Vec<_>>());
            }
            _ => self.print(output, lines),
        }
    }

    fn begin(&mut self, name: &str, at: Timestamp) {
        self.bar.set_style(self.plain.clone());
        self.bar.reset_elapsed();
        self.bar.set_prefix(cut(&one_line(name, LONGEST), LONGEST_NAME));
        self.bar.set_message("");
        self.since = Some(at);
    }

    fn print(&self, output: &mut Output, lines: &[String]) {
        self.bar.suspend(|| lines.iter().for_each(|line| output.line(line)));
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
