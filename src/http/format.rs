//! The forms in which a deployment's events are told.

use std::io::Write as _;

use crate::deploy::event::Event;
use crate::deploy::status::{Phase, State, Status};
use crate::model::{DeploymentId, Timestamp, one_line};
use crate::store::Entry;
use crate::wire::text::Teller;
use crate::wire::view::EventView;

/// Longer lines are cut.
const LONGEST_LINE: usize = 4000;

/// The form of a telling, and what it has to remember.
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
    Text(Box<Tale>),
}

/// What has been told in words.
pub(super) struct Tale {
    id: DeploymentId,
    teller: Teller,
    status: Option<Status>,
    /// When what is going on now began.
    since: Option<Timestamp>,
}

/// Why a telling ends before the deployment does.
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
    /// Lines about the deployment `id`, from its first event on.
    pub(super) fn text(id: DeploymentId) -> Self {
        let teller = Teller::new(id.clone());
        Self::Text(Box::new(Tale { id, teller, status: None, since: None }))
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
                write_json(out, seq, at, event);
            }
            Self::Lines => {
                write_json(out, seq, at, event);
                out.push(b'\n');
            }
            Self::Events => {
                let _ = write!(out, "id: {seq}\nevent: {}\ndata: ", event.name());
                write_json(out, seq, at, event);
                out.extend_from_slice(b"\n\n");
            }
            Self::Text(tale) => tale.entry(at, &event, out),
        }
    }

    /// Says that there is nothing new. In an array nothing can be said.
    pub(super) fn heartbeat(&mut self, now: Timestamp, out: &mut Vec<u8>) {
        match self {
            Self::Array { .. } => {}
            Self::Lines => out.push(b'\n'),
            Self::Events => out.extend_from_slice(b": still there\n\n"),
            Self::Text(tale) => tale.heartbeat(now, out),
        }
    }

    /// Says why it is told no further.
    pub(super) fn interrupted(&mut self, why: Interruption, out: &mut Vec<u8>) {
        let why = match why {
            Interruption::WaitIsOver => "it has not ended within the time that was to be waited",
            Interruption::Closing => "windlass is being stopped on this host and takes it up again when it is back",
            Interruption::Unreadable => "the state cannot be read just now",
        };
        match self {
            Self::Array { .. } | Self::Lines => {}
            Self::Events => drop(write!(out, ": {why}\n\n")),
            Self::Text(tale) => {
                let id = &tale.id;
                let _ = writeln!(out, "running {id}: {why}; GET /v1/deployments/{id}/events follows it");
            }
        }
    }

    /// Ends what was told.
    pub(super) fn end(&mut self, out: &mut Vec<u8>) {
        if let Self::Array { begun } = self {
            out.extend_from_slice(if *begun { b"]\n" } else { b"[]\n" });
        }
    }
}

fn write_json(out: &mut Vec<u8>, seq: i64, at: Timestamp, event: Event) {
    // Into memory, and of types that JSON knows: nothing can fail.
    let _ = serde_json::to_writer(out, &EventView { id: seq, at, event });
}

impl Tale {
    fn entry(&mut self, at: Timestamp, event: &Event, out: &mut Vec<u8>) {
        for line in self.teller.tell(at, event) {
            let _ = writeln!(out, "{}", one_line(&line, LONGEST_LINE));
        }
        let before = self.status.as_ref().map(going_on);
        match &mut self.status {
            None => self.status = Status::begin(event).ok(),
            // What cannot follow was not written; and these are words, on which nothing depends.
            Some(status) => drop(status.apply(event)),
        }
        if self.status.as_ref().map(going_on) != before {
            self.since = Some(at);
        }
    }

    fn heartbeat(&self, now: Timestamp, out: &mut Vec<u8>) {
        let (phase, since) = (self.status.as_ref().map_or("queued", going_on), self.since.unwrap_or(now));
        let _ = writeln!(out, "... still {} ({} s)", phase.replace('_', " "), now.since(since).as_secs());
    }
}

fn going_on(status: &Status) -> &'static str {
    match status.state {
        State::Queued => "queued",
        State::Running | State::Finished(_) => status.phase().map_or("running", Phase::as_str),
    }
}
