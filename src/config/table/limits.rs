//! `[limits]`: what callers may use up.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::document::value::{Count, Deadline, Size};
use crate::http;

/// What callers may use up.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(crate) struct Table {
    /// The largest body of a hook. A larger one is refused with 413.
    pub(crate) body: Size,
    /// How many deployments of one project may wait. When the queue is full, hooks are answered 503 with Retry-After.
    pub(crate) queue: Count,
    /// How often one key may ask for a deployment in a minute. Further hooks are answered 429 with Retry-After. Dry
    /// runs and readings do not count.
    pub(crate) hooks_per_minute: Count,
    /// How many connections may be open on the hook port. When there is no room for a new one, the oldest that has
    /// proven no key is closed. One key holds at most an eighth of them, and all keys together three quarters.
    pub(crate) connections: Count,
    /// How long a caller may take to send the head of a request.
    pub(crate) header_timeout: Deadline,
    /// How long a caller may take to send the body. After its first 5 seconds a body also has to bring 1 KiB a second.
    pub(crate) body_timeout: Deadline,
}

impl Default for Table {
    fn default() -> Self {
        let http = http::Limits::default();
        Self {
            body: Size(http.body),
            queue: Count(32),
            hooks_per_minute: Count(http.hooks_per_minute),
            connections: Count(512),
            header_timeout: Deadline(http.header_timeout),
            body_timeout: Deadline(http.body_timeout),
        }
    }
}

/// What callers may use up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Waiting deployments of one project.
    pub queue: usize,
    /// Open connections on the hook port.
    pub connections: usize,
    /// What one caller may take of room and time.
    pub http: http::Limits,
}

impl Table {
    pub(super) fn read(self) -> Limits {
        Limits {
            queue: self.queue.0,
            connections: self.connections.0,
            http: http::Limits {
                body: self.body.0,
                hooks_per_minute: self.hooks_per_minute.0,
                header_timeout: self.header_timeout.0,
                body_timeout: self.body_timeout.0,
                ..http::Limits::default()
            },
        }
    }
}
