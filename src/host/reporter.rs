//! What is told while a step is carried out: lines, and how far a pull is.

use tokio::sync::mpsc;

use crate::deploy::event::Transfer;
use crate::model::one_line;

/// Takes what is worth telling while a step is carried out. Never blocks, never fails.
#[derive(Debug, Clone)]
pub struct Reporter(mpsc::UnboundedSender<Remark>);

/// Something worth telling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remark {
    /// One line. The reporter has taken the control characters out of it.
    Line(String),
    /// How far a pull is; only the newest counts.
    Transfer(Transfer),
}

impl Reporter {
    /// A reporter and the end at which its remarks come out.
    #[must_use]
    pub fn new() -> (Self, mpsc::UnboundedReceiver<Remark>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }

    /// One line; control characters become spaces, and what is longer than 1,000 characters is cut.
    pub fn say(&self, line: &str) {
        // Nothing listens only once the step was given up.
        let _ = self.0.send(Remark::Line(one_line(line, 1000)));
    }

    /// How far a pull is.
    pub fn transfer(&self, transfer: Transfer) {
        let _ = self.0.send(Remark::Transfer(transfer));
    }
}
