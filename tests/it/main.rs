//! Black box: a real daemon with real files and sockets, over a machine that exists only in memory.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says where"
)]

mod crash;
mod daemon;
mod flow;
mod house;
mod world;
