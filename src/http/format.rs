//! The forms in which a deployment's events are told.

use std::io::Write as _;

use crate::deploy::event::Event;
use crate::model::{DeploymentId, ProjectName, Timestamp, Zone, one_line};
use crate::store::Entry;
use crate::wire::event::EventView;
use crate::wire::json;
use crate::wire::text::{Detail, TextWriter};

/// Longer lines are cut.
const LONGEST_LINE: usize = 4000;

/// What a caller reads last whose program will report an error of the network.
const ON_PURPOSE: &str = "  this transfer is ended early on purpose, so that the job fails: curl calls that error 18\n";

/// The form of a stream, and what it has to remember.
pub(super) enum Format {
    /// One JSON array.
    Array {
        /// Whether something stands in it.
        begun: bool,
    },
    /// One JSON object a line.
    Lines,
    /// Server-sent events.
    Events,
    /// Lines for people.
    Text(Box<TextWriter>),
}

/// Why a stream ends before the deployment does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Interruption {
    /// The caller wanted to wait no longer.
    WaitIsOver,
    /// windlass is being stopped.
    Closing,
    /// The journal cannot be read.
    Unreadable,
}

impl Format {
    /// Lines about the deployment `id` of `project`, from its first event on.
    pub(super) fn text(id: DeploymentId, project: ProjectName) -> Self {
        Self::Text(Box::new(TextWriter::new(id, project, Zone::utc(), Detail::Brief)))
    }

    /// The same for a caller who has asked for this before.
    pub(super) fn repeated(self) -> Self {
        match self {
            Self::Text(writer) => Self::Text(Box::new(writer.repeated())),
            other => other,
        }
    }

    pub(super) const fn content_type(&self) -> &'static str {
        match self {
            Self::Array { .. } => "application/json",
            Self::Lines => "application/x-ndjson",
            Self::Events => "text/event-stream",
            Self::Text(_) => "text/plain; charset=utf-8",
        }
    }

    /// Tells one event.
    pub(super) fn entry(&mut self, entry: Entry, out: &mut Vec<u8>) {
        let Entry { seq, at, event } = entry;
        match self {
            Self::Array { begun } => {
                out.push(if *begun { b',' } else { b'[' });
                *begun = true;
                write_json(out, seq, at, &event);
            }
            Self::Lines => {
                write_json(out, seq, at, &event);
                out.push(b'\n');
            }
            Self::Events => {
                let _ = write!(out, "id: {seq}\nevent: {}\ndata: ", event.name());
                write_json(out, seq, at, &event);
                out.extend_from_slice(b"\n\n");
            }
            Self::Text(writer) => write_lines(out, &writer.tell(at, &(&event).into())),
        }
    }

    /// Says that there is nothing new. In an array nothing can be said.
    pub(super) fn heartbeat(&mut self, now: Timestamp, out: &mut Vec<u8>) {
        match self {
            Self::Array { .. } => {}
            Self::Lines => out.push(b'\n'),
            Self::Events => out.extend_from_slice(b": still there\n\n"),
            Self::Text(writer) => write_lines(out, &[writer.waiting(now)]),
        }
    }

    /// Says why it is told no further.
    pub(super) fn interrupted(&mut self, why: Interruption, out: &mut Vec<u8>) {
        let why = match why {
            Interruption::WaitIsOver => "it has not ended within the time that was to be waited",
            Interruption::Closing => "windlass is stopping on this host and resumes it at the next start",
            Interruption::Unreadable => "the state cannot be read just now",
        };
        match self {
            Self::Array { .. } | Self::Lines => {}
            Self::Events => drop(write!(out, ": {why}\n\n")),
            Self::Text(writer) => {
                let id = writer.deployment();
                write_lines(
                    out,
                    &[format!("running {id}: {why}"), format!("  windlass follow {id} shows how it ends")],
                );
            }
        }
    }

    /// Says that the body is broken off, which programs report as an error of the network.
    pub(super) fn breaking_off(&self, out: &mut Vec<u8>) {
        if let Self::Text(_) = self {
            out.extend_from_slice(ON_PURPOSE.as_bytes());
        }
    }

    /// Ends what was told.
    pub(super) fn end(&mut self, out: &mut Vec<u8>) {
        if let Self::Array { begun } = self {
            out.extend_from_slice(if *begun { b"]\n" } else { b"[]\n" });
        }
    }
}

fn write_json(out: &mut Vec<u8>, seq: i64, at: Timestamp, event: &Event) {
    // Of types that JSON knows: nothing can fail.
    out.extend(json::compact(&EventView { id: seq, at, event: event.into() }).unwrap_or_default().into_bytes());
}

fn write_lines(out: &mut Vec<u8>, lines: &[String]) {
    for line in lines {
        // Of a vector: nothing can fail.
        let _ = writeln!(out, "{}", one_line(line, LONGEST_LINE));
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::deploy::event::{Cause, Outcome, RequestedBy, Wanted};
    use crate::deploy::plan::{Change, Plan, Step};
    use crate::deploy::snapshot::Snapshot;
    use crate::model::{Digest, ImageReference};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(1_763_680_200_000 + seconds * 1000)
    }

    /// A deployment that goes wrong, an event every ten seconds.
    fn history() -> Vec<Entry> {
        let apply =
            || Plan { steps: vec![Step::Apply { services: vec!["web".to_owned()], change: Change::default() }] };
        let wanted = Wanted::Images(vec!["r.io/web:v2".parse().unwrap()]);
        let events = [
            Event::Queued { wanted, requested_by: RequestedBy::default(), rollback: None },
            Event::Started,
            Event::Resolved {
                images: vec!["r.io/web:v2".parse::<ImageReference>().unwrap().pinned(Digest::of(b"v2"))],
            },
            Event::Planned { snapshot: Snapshot::default(), plan: apply(), target: None },
            Event::StepStarted { step: 0 },
            Event::StepFailed { step: 0, reason: "no\nroom".to_owned(), evidence: vec![] },
            Event::RollingBack { cause: Cause::Failed("no\nroom".to_owned()), plan: Plan::default() },
            Event::Finished { outcome: Outcome::RolledBack, reason: Some("no\nroom\u{1b}[2K".to_owned()) },
        ];
        let entry = |(n, event)| Entry { seq: n, at: at(n * 10), event };
        (0..).zip(events).map(entry).collect()
    }

    fn told(mut format: Format, after_each: impl Fn(&mut Format, Timestamp, &mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        for entry in history() {
            let now = entry.at.plus(std::time::Duration::from_secs(7));
            let is_last = matches!(entry.event, Event::Finished { .. });
            format.entry(entry, &mut out);
            if !is_last {
                after_each(&mut format, now, &mut out);
            }
        }
        format.end(&mut out);
        String::from_utf8(out).unwrap()
    }

    fn text() -> Format {
        Format::text("01jd5zk0000000000000000000".parse().unwrap(), "shop".parse().unwrap())
    }

    #[test]
    fn a_heartbeat_says_what_is_going_on_and_since_when() {
        assert_snapshot!(told(text(), |format, now, out| format.heartbeat(now, out)), @r"
        queued 01jd5zk0000000000000000000 at 2025-11-20 23:10:00 UTC: web:v2
        23:10:07 ... queued, 7 s so far
        23:10:17 ... asking what the images are and what runs, 17 s so far
        23:10:27 ... asking what the images are and what runs, 27 s so far
        23:10:30 web:v2 (fb04dcb6970e) comes into service; nothing of it runs now
        23:10:37 ... working, 37 s so far
        23:10:47 ... [1/1] apply web, 7 s so far
        23:10:50 [1/1] apply web failed after 10.0 s: no room
        23:10:57 ... working, 57 s so far
        23:11:00 taking it out of service again: nothing of it ran before
        23:11:07 ... going back, 67 s so far
        rolled_back 01jd5zk0000000000000000000 in 1 min 10 s: no room
          nothing of it is in service, as before
          all lines: windlass follow 01jd5zk0000000000000000000
        ");
    }

    #[test]
    fn whatever_was_said_is_one_line_and_the_last_one_that_is_not_indented_begins_with_the_outcome() {
        let told = told(text(), |_, _, _| {});
        let last = told.lines().rfind(|line| !line.starts_with(' ')).unwrap();
        assert!(last.starts_with("rolled_back 01jd5zk0000000000000000000 in 1 min 10 s: no room"), "{told}");
        assert!(told.bytes().all(|byte| byte >= b' ' || byte == b'\n'), "{told:?}");
    }

    #[test]
    fn an_interruption_says_running_and_where_to_go_on() {
        let mut out = Vec::new();
        text().interrupted(Interruption::WaitIsOver, &mut out);
        assert_snapshot!(String::from_utf8(out).unwrap(), @r"
        running 01jd5zk0000000000000000000: it has not ended within the time that was to be waited
          windlass follow 01jd5zk0000000000000000000 shows how it ends
        ");
    }

    #[test]
    fn an_array_is_one_json_value_with_all_events_in_it() {
        let all: Vec<EventView> = history()
            .iter()
            .map(|entry| EventView { id: entry.seq, at: entry.at, event: (&entry.event).into() })
            .collect();
        let array = told(Format::Array { begun: false }, |_, _, _| {});
        assert_eq!(serde_json::from_str::<Vec<EventView>>(&array).unwrap(), all);
        let mut nothing = Vec::new();
        Format::Array { begun: false }.end(&mut nothing);
        assert_eq!(nothing, b"[]\n");

        let lines = told(Format::Lines, |format, now, out| format.heartbeat(now, out));
        let lines = lines.lines().filter(|line| !line.is_empty());
        assert_eq!(lines.map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<EventView>>(), all);
    }

    #[test]
    fn an_event_of_a_stream_is_its_number_its_name_and_one_line_of_json() {
        let told = told(Format::Events, |_, _, _| {});
        let second = told.split("\n\n").nth(1).unwrap();
        assert_snapshot!(second, @r#"
        id: 1
        event: started
        data: {"id":1,"at":"2025-11-20T23:10:10.000Z","event":"started"}
        "#);
        assert!(told.split_terminator("\n\n").all(|event| event.lines().count() == 3), "{told}");
    }
}
