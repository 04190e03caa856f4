//! The same promises as in `tests/it`, kept against a real engine, a real registry with a password, and real Compose.
//!
//! `make test` sets up what is needed. Each test is a host of its own ([`site::Site`]): a compose project, a windlass, and
//! a part of a registry, all with names that no other test has. What a test leaves behind is swept away when it ends,
//! and what a run leaves behind when its process ends, however that comes about. What an engine cannot do is listed in
//! `tests/engine/exclusions`; no test leaves itself out.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    unreachable_pub,
    reason = "a test that cannot go on says where; what a module offers to the others is `pub`"
)]

mod door;
mod engine;
mod hook;
mod image;
mod interrupted;
mod program;
mod proxy;
mod registry;
mod run;
mod site;

mod crashes;
mod credentials;
mod deploys;
mod docker_puller;
mod evidence;
mod keeping;
mod kinds;
mod outages;
mod phases;
mod readme;
mod refusals;
mod services;
mod sharing;
mod signals;
mod streams;
