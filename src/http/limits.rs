//! How much a caller may take.

use std::time::Duration;

/// What one caller may take of room and time, and all of them together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a body.
    pub body: usize,
    /// How often one key may ask for a deployment.
    pub hooks_per_minute: usize,
    /// How long the head of a request may take to arrive, and how long a connection may be idle between two.
    pub header_timeout: Duration,
    /// How long a body may take to arrive.
    pub body_timeout: Duration,
    /// How long it may take before it has to keep to a rate.
    pub body_grace: Duration,
    /// How long a caller may not take what is written to it.
    pub write_timeout: Duration,
    /// How often a caller that waits is told that there is nothing new.
    pub heartbeat: Duration,
}

/// Bytes of a request's head, and about what one connection buffers.
pub(super) const HEAD: usize = 64 * 1024;
/// A connection that has proven no key ends after so many requests, or with the first answer after so much time.
pub(super) const UNPROVEN_REQUESTS: u32 = 100;
pub(super) const UNPROVEN_AGE: Duration = Duration::from_secs(60);
/// Bytes of a request's path and query.
pub(super) const ADDRESS: usize = 8 * 1024;

impl Default for Limits {
    /// What holds unless `[limits]` of config.toml says otherwise.
    fn default() -> Self {
        Self {
            body: 1 << 20,
            hooks_per_minute: 60,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            body_grace: Duration::from_secs(5),
            write_timeout: Duration::from_secs(60),
            // Callers are promised a sign of life every 10 seconds.
            heartbeat: Duration::from_secs(8),
        }
    }
}
