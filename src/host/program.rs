//! Programs of this host: run with a deadline and without a shell, and found again after a crash.

pub(super) mod exec;
pub(super) mod own;
pub(super) mod runs;
