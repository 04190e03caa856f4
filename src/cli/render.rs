//! Shows the events of a deployment: as bars on a terminal, as lines elsewhere, as JSON for programs.

mod bars;

use serde::Serialize;

use super::exit::Exit;
use super::output::{Output, Style};
use super::table::wrapped;
use crate::model::{DeploymentId, ProjectName, Zone, one_line};
use crate::wire::event::Event;
use crate::wire::event::EventView;
use crate::wire::state::Outcome;
use crate::wire::text::{Detail, TextWriter};

use bars::Bars;

/// Longer than any line that windlass tells.
const LONGEST_LINE: usize = 2000;

/// Shows one deployment.
pub(super) struct Renderer {
    deployment: DeploymentId,
    writer: TextWriter,
    bars: Option<Bars>,
}

/// One line of `--json`: an event, and whose it is.
#[derive(Serialize)]
struct Record<'e> {
    deployment: &'e DeploymentId,
    #[serde(flatten)]
    event: &'e EventView,
}

impl Renderer {
    /// Shows `deployment` of `project` in the way that suits `output`.
    pub(super) fn new(deployment: DeploymentId, project: ProjectName, detail: Detail, output: &Output) -> Self {
        let bars = (output.is_watched() && !output.is_json()).then(|| Bars::new(output.is_coloured(), detail));
        Self { writer: TextWriter::new(deployment.clone(), project, Zone::of_system(), detail), deployment, bars }
    }

    /// Shows one event. After the last one, says how the command ends.
    pub(super) fn show(&mut self, output: &mut Output, view: &EventView) -> Option<Exit> {
        if output.is_json() {
            output.record(&Record { deployment: &self.deployment, event: view });
        } else {
            let lines = self.writer.tell(view.at, &view.event);
            let (first, rest) = styles(&view.event);
            let styles = std::iter::once(first).chain(std::iter::repeat(rest));
            let paint = |(line, style): (&String, Style)| {
                let parts = wrapped(&one_line(line, LONGEST_LINE), output.width());
                parts.into_iter().map(|part| output.paint(style, &part)).collect::<Vec<_>>()
            };
            let lines: Vec<String> = lines.iter().zip(styles).flat_map(paint).collect();
            match &mut self.bars {
                Some(bars) => bars.show(output, view, &self.writer, &lines),
                None => lines.iter().for_each(|line| output.line(line)),
            }
        }
        match &view.event {
            Event::Finished { outcome, .. } => Some((*outcome).into()),
            _ => None,
        }
    }

    /// Takes the bars off the terminal, before something else is printed.
    pub(super) fn clear(&mut self) {
        self.bars = None;
    }
}

/// How the first line about an event is shown, and the others.
fn styles(event: &Event) -> (Style, Style) {
    match event {
        Event::StepFailed { .. } => (Style::Bad, Style::Dim),
        Event::RollingBack { .. } | Event::Resumed => (Style::Busy, Style::Plain),
        Event::Finished { outcome: Outcome::Succeeded, .. } => (Style::Good, Style::Plain),
        Event::Finished { outcome: Outcome::Superseded | Outcome::Cancelled, .. } => (Style::Busy, Style::Plain),
        Event::Finished { .. } => (Style::Bad, Style::Plain),
        Event::Said { .. } | Event::Progress { .. } | Event::Noted { .. } => (Style::Dim, Style::Dim),
        _ => (Style::Plain, Style::Plain),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;
    use crate::wire::event::{Cause, Plan, Transfer};

    #[test]
    fn what_went_wrong_stands_out_and_what_is_said_on_the_way_stands_back() {
        let finished = |outcome| Event::Finished { outcome, reason: None };
        for (event, expected) in [
            (Event::Started, Style::Plain),
            (Event::Resumed, Style::Busy),
            (Event::RollingBack { cause: Cause::Failed, reason: String::new(), plan: Plan::default() }, Style::Busy),
            (Event::Said { step: 0, line: String::new() }, Style::Dim),
            (Event::Progress { step: 0, transfer: Transfer::default() }, Style::Dim),
            (Event::StepFailed { step: 0, reason: String::new(), evidence: Vec::new() }, Style::Bad),
            (finished(Outcome::Succeeded), Style::Good),
            (finished(Outcome::Superseded), Style::Busy),
            (finished(Outcome::Cancelled), Style::Busy),
            (finished(Outcome::Abandoned), Style::Bad),
            (finished(Outcome::RolledBack), Style::Bad),
            (finished(Outcome::RollbackFailed), Style::Bad),
        ] {
            assert_eq!(styles(&event).0, expected, "{event:?}");
        }
    }

    #[test]
    fn a_record_is_the_event_as_it_was_sent_and_whose_it_is() {
        let deployment = "01jd5zk0000000000000000000".parse().unwrap();
        let event = EventView {
            id: 7,
            at: Timestamp::from_millis(0),
            event: Event::Finished { outcome: Outcome::Abandoned, reason: Some("no".to_owned()) },
        };
        let record = serde_json::to_string(&Record { deployment: &deployment, event: &event }).unwrap();
        insta::assert_snapshot!(record, @r#"{"deployment":"01jd5zk0000000000000000000","id":7,"at":"1970-01-01T00:00:00.000Z","event":"finished","outcome":"abandoned","reason":"no"}"#);
    }
}
