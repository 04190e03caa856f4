//! The tables of the configuration, a file each: what may be written in it, what holds when nothing is, what it means.
//!
//! In each file `Table` is what may be written. A key that is not a field of it is refused, and the sentences at its
//! fields are the ones that the schema and the documentation show. `names` and `program` have the values that tables have
//! in common, `reader` what it takes to read one.

pub(super) mod command;
pub(super) mod compat;
pub(super) mod compose;
pub(super) mod docker_puller;
mod domain;
pub(super) mod engine;
pub(super) mod health;
pub(super) mod host;
pub(super) mod key;
pub(super) mod lifecycle;
pub(super) mod limits;
pub(super) mod names;
pub(super) mod program;
pub(super) mod project;
pub(super) mod reader;
pub(super) mod registry;
pub(super) mod retention;
pub(super) mod systemd;
pub(super) mod target;

pub use host::HostSettings;
pub use limits::Limits;
pub use retention::Retention;
