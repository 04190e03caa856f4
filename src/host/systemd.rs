//! systemd: its bus, what units say, and what its users have to be allowed.

pub(super) mod bus;
pub(super) mod facts;
pub(super) mod journal;
pub mod polkit;
