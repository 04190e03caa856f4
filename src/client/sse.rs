//! Server-sent events, as they come in: bytes in any portions, whole events out.

/// What was received and is not a whole event yet.
#[derive(Debug, Default)]
pub(super) struct Parser {
    line: Vec<u8>,
    data: String,
    after_return: bool,
}

/// An event of windlass is one journal entry. What never ends is no such thing.
const LONGEST: usize = 8 * 1024 * 1024;

/// The other end does not speak server-sent events.
#[derive(Debug, thiserror::Error)]
#[error("an event without an end")]
pub(super) struct Endless;

impl Parser {
    /// Takes the next bytes; gives the data of each event that is whole now. Comments and names are left out: the
    /// data says all.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<Vec<String>, Endless> {
        let mut events = Vec::new();
        for byte in bytes {
            // A line ends with CR, LF, or both.
            match byte {
                b'\n' if self.after_return => {}
                b'\n' | b'\r' => events.extend(self.end_line()),
                byte => self.line.push(*byte),
            }
            self.after_return = *byte == b'\r';
        }
        if self.line.len() + self.data.len() > LONGEST { Err(Endless) } else { Ok(events) }
    }

    fn end_line(&mut self) -> Option<String> {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            let data = std::mem::take(&mut self.data);
            return (!data.is_empty()).then_some(data);
        }
        let line = String::from_utf8_lossy(&line);
        if let Some(data) = line.strip_prefix("data:") {
            if !self.data.is_empty() {
                self.data.push('\n');
            }
            self.data.push_str(data.strip_prefix(' ').unwrap_or(data));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = ": a heartbeat\n\nid: 1\nevent: started\ndata: {\"a\":1}\n\ndata:{\n: in between\ndata: }\r\n\r\ndata: x\r\rdata: unfinished";

    #[test]
    fn events_are_whole_however_the_bytes_are_cut() {
        for size in 1..TEXT.len() {
            let mut parser = Parser::default();
            let events: Vec<String> =
                TEXT.as_bytes().chunks(size).flat_map(|bytes| parser.feed(bytes).unwrap()).collect();
            assert_eq!(events, ["{\"a\":1}", "{\n}", "x"], "{size}");
        }
    }

    #[test]
    fn an_event_that_never_ends_is_given_up() {
        let mut parser = Parser::default();
        let refused = (0..10).map(|_| parser.feed(&[b'x'; 1024 * 1024])).find(Result::is_err);
        assert!(refused.is_some());
    }
}
