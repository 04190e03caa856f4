//! A target that is a Compose project.

pub(super) mod command;
pub(super) mod driver;
pub(in crate::host) mod memory;

mod apply;
mod dependencies;
mod ghosts;
mod hints;
mod impostors;
mod leftovers;
mod model;
mod plugin;
mod ports;
mod project_containers;
mod resources;
mod restart;
mod select;
mod snapshot;
mod surroundings;
mod survey;
mod watched;
