//! What a project's containers or units print: the last lines, and on wish those to come.

use tokio::sync::mpsc;

use crate::model::{Timestamp, one_line};

/// Longer lines are cut, in characters.
const LONGEST_LINE: usize = 4000;

/// Which lines are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogWish {
    /// So many of the last ones, of each container or unit.
    pub lines: usize,
    /// None that is older.
    pub since: Option<Timestamp>,
    /// Those to come as well, until somebody stops listening.
    pub follow: bool,
}

/// One line that was printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// The container or unit.
    pub name: String,
    /// The line, made fit for a terminal.
    pub line: String,
}

/// Where lines go that were printed.
#[derive(Debug, Clone)]
pub struct LogSink(mpsc::Sender<LogLine>);

impl LogSink {
    /// A sink, and the end at which the lines come out; at most `room` wait there.
    #[must_use]
    pub fn new(room: usize) -> (Self, mpsc::Receiver<LogLine>) {
        let (sender, receiver) = mpsc::channel(room);
        (Self(sender), receiver)
    }

    /// Hands on a line that `name` has printed, once there is room. Whether somebody still listens.
    pub async fn hand_on(&self, name: &str, line: &str) -> bool {
        self.0.send(log_line(name, line)).await.is_ok()
    }

    /// Whether nobody listens any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// The same without waiting: where there is no room the line is lost.
    pub fn try_hand_on(&self, name: &str, line: &str) {
        let _ = self.0.try_send(log_line(name, line));
    }
}

fn log_line(name: &str, line: &str) -> LogLine {
    LogLine { name: name.to_owned(), line: one_line(line, LONGEST_LINE) }
}
