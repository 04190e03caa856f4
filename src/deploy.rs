//! What a deployment is: pure decisions, without a clock, input, output or tasks.
//!
//! A deployment is a plan, carried out and written down. This module says what may be deployed, what will be
//! done, what was said while it was done, what follows from that, and what to do about it after a crash.

pub mod catalog;
pub mod event;
pub mod gate;
pub mod in_service;
pub mod incident;
pub mod plan;
pub mod recover;
pub mod request;
pub mod retention;
pub mod rollout;
pub mod sharing;
pub mod snapshot;
pub mod spec;
pub mod status;
pub mod way_back;
