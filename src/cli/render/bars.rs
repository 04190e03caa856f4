//! Progress on a terminal: at the bottom one line for the step that is being carried out, above it what is done.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::super::output::{Output, Style};
use super::super::table;
use crate::model::{Timestamp, one_line};
use crate::wire::event::Event;
use crate::wire::event::EventView;
use crate::wire::event::Plan;
use crate::wire::text::transfer_in_words;

/// How often the spinner turns.
const TICK: Duration = Duration::from_millis(120);
/// More than any terminal has columns.
const LONGEST: usize = 500;

/// The line of the step that is being carried out.
pub(super) struct Bars {
    bar: ProgressBar,
    /// While nothing can be counted.
    plain: ProgressStyle,
    /// While bytes come in.
    counting: ProgressStyle,
    /// The step, and when it began.
    step: Option<(String, Timestamp)>,
}

impl Bars {
    pub(super) fn new(coloured: bool) -> Self {
        let (plain, counting) = if coloured {
            ("{spinner:.cyan} {elapsed:.dim} {wide_msg}", "{spinner:.cyan} {elapsed:.dim} {bar:24.cyan/dim} {wide_msg}")
        } else {
            ("{spinner} {elapsed} {wide_msg}", "{spinner} {elapsed} {bar:24} {wide_msg}")
        };
        // A template that indicatif refused would be a slip in the lines above: then its own style has to do.
        let style =
            |text: &str| ProgressStyle::with_template(text).unwrap_or_else(|_| ProgressStyle::default_spinner());
        let (plain, counting) = (style(plain), style(counting).progress_chars("━╸─"));
        let bar = ProgressBar::new_spinner().with_style(plain.clone()).with_message("waiting");
        bar.enable_steady_tick(TICK);
        Self { bar, plain, counting, step: None }
    }

    /// Shows `view`, which `lines` tell; `plan` is the one in force after it.
    pub(super) fn show(&mut self, output: &mut Output, view: &EventView, plan: &Plan, lines: &[String]) {
        match &view.event {
            Event::StepStarted { step } => {
                let name = plan.steps.get(*step).map_or("", |step| step.text.as_str());
                let name = one_line(&format!("[{}/{}] {name}", step + 1, plan.steps.len()), LONGEST);
                self.bar.set_style(self.plain.clone());
                self.bar.reset_elapsed();
                self.bar.set_message(name.clone());
                self.step = Some((name, view.at));
            }
            Event::Progress { transfer, .. } => {
                self.bar.set_style(self.counting.clone());
                self.bar.set_length(transfer.bytes.max(1));
                self.bar.set_position(transfer.bytes_done);
                let (words, name) = (transfer_in_words(transfer), self.name());
                self.bar.set_message(format!("{words} · {name}"));
            }
            // When the step fails, the failure repeats what matters of it.
            Event::Said { line, .. } => self.bar.set_message(one_line(&format!("{} · {line}", self.name()), LONGEST)),
            Event::StepFinished { .. } => {
                if let Some((name, since)) = self.step.take() {
                    let took = table::duration(view.at.since(since));
                    let (done, took) = (output.paint(Style::Good, "✓"), output.paint(Style::Dim, &took));
                    self.bar.suspend(|| output.line(format_args!("{done} {name} {took}")));
                }
            }
            _ => self.bar.suspend(|| lines.iter().for_each(|line| output.line(line))),
        }
    }

    fn name(&self) -> &str {
        self.step.as_ref().map_or("", |(name, _)| name)
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
