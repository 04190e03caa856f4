//! Makes configuration: of a compose directory, of a unit, or of what another deployer had; says what to paste into CI.
//!
//! A project is made whole or not at all, and nothing that is there is overwritten.

pub(crate) mod docker_puller;
pub(crate) mod key;
mod new_files;
mod project;
mod project_files;
mod quote;
mod snippet;

pub(crate) use project::{Made, Project};
pub(crate) use project_files::KEY_ID;
pub(crate) use snippet::{Ci, Purpose};
