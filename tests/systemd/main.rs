//! The same promises on hosts with a real systemd: as its service, with its units as targets, from its package.
//!
//! `make test` sets up what is needed. Each test is a host of its own ([`host::Host`]), a container in which systemd is
//! PID 1; it drives the engine outside and shares its network. What is left behind is swept away as after the engine
//! tests.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    unreachable_pub,
    reason = "a test that cannot go on says where; what a module offers to the others is `pub`"
)]

#[expect(dead_code, reason = "the tests against an engine use more of it")]
#[path = "../engine/hook.rs"]
mod hook;
#[expect(dead_code, reason = "the tests against an engine use more of it")]
#[path = "../engine/image.rs"]
mod image;
#[expect(dead_code, reason = "the tests against an engine use more of it")]
#[path = "../engine/program.rs"]
mod program;
#[expect(dead_code, reason = "the tests against an engine use more of it")]
#[path = "../engine/registry.rs"]
mod registry;
#[path = "../engine/run.rs"]
mod run;

mod host;

mod boot;
mod commands;
mod package;
mod pipeline;
mod polkit;
mod quadlet;
mod readme;
mod service;
mod units;
