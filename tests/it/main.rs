//! Black box: a real daemon with real files and sockets, over a machine that exists only in memory.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says where"
)]

mod bad_input;
mod cli;
mod crash;
mod crowd;
mod daemon;
mod docker_puller;
mod flow;
mod handover;
mod hook;
mod house;
mod journals;
mod lifecycle;
mod messages;
mod operators;
mod proxies;
mod raw;
mod reading;
mod sharing;
mod stream;
mod world;
