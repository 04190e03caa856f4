//! The container engine: its containers and images, the registries that it asks, and what is pinned and kept here.

pub(super) mod client;
pub(super) mod container;
pub(super) mod containers;
pub mod credentials;
pub(super) mod images;
pub(super) mod labels;
pub(super) mod pins;
pub mod record;
pub(super) mod refusal;
pub(super) mod resources;

mod keep;
mod meaning;
mod progress;
mod pull;
mod raw;
mod registry;
mod version;

pub use version::EngineVersion;
