//! What the operator wrote, and what it means.
//!
//! A configuration goes through two forms. The tables in `table` are what may be written: a field for every key, with
//! its default, and nothing that is not known. [`Settings`] is what was meant: types of the domain, absolute paths, keys
//! with their secrets. `document` reads TOML and knows no key of ours.
//!
//! On the way all that is wrong is collected, each [`Problem`] with its place and its fix, so that nobody fixes a file
//! one mistake at a time.
//!
//! Secrets are read into [`crate::auth::Key`] and appear neither in settings that are printed nor in problems.

mod document;
pub mod effective;
mod guard;
mod load;
mod lookup;
mod part;
pub mod schema;
mod secret_file;
mod settings;
mod table;
mod variables;

#[cfg(test)]
mod examples;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod testbed;

pub(crate) use lookup::{listen, socket};

pub use document::problem::{LoadError, Position, Problem};
pub use settings::{DEFAULT_PATH, Settings};
pub use table::{HostSettings, Limits, Retention};
