//! windlass: a signed hook puts an image into service, and the caller learns the truth.
//!
//! One idea carries it: a deployment is a plan, carried out and written down. The modules, in reading order:

pub mod model;

pub mod auth;
pub mod deploy;
pub mod host;
pub mod lanes;
pub mod senders;
pub mod store;

mod client;
pub mod intake;
pub mod runner;
pub mod wire;

pub mod config;

pub mod http;
pub mod service_manager;

pub mod daemon;

mod setup;

pub mod cli;
