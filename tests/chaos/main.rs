//! Chaos: a real windlass over a real engine, with projects of every kind, and faults at random moments. After each
//! round, once all is settled: nothing is lost, nothing hangs, one whole release runs, the pin is what runs, and the
//! database is sound.
//!
//! `cargo test` runs this for about a minute, `make test-chaos` for as long as it is told to. What is done, and when,
//! follows from a seed; a failure names it, and everything else that is needed to find the reason.
//!
//!   CHAOS_SEED      a number; another one each time when it is not given
//!   CHAOS_KILLS     how often windlass is killed; no limit when only the minutes are given
//!   CHAOS_MINUTES   how long rounds are begun
//!   CHAOS_ROUNDS    how many replacements of stubborn containers are interrupted
//!   CHAOS_HOSTS     how many windlasses run at the same time, with two or three projects each

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    unreachable_pub,
    reason = "a test that cannot go on says where; what a module offers to the others is `pub`"
)]

#[expect(dead_code, reason = "the tests against an engine use more of it")]
#[path = "../engine/engine.rs"]
mod engine;
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

mod acts;
mod campaign;
mod host;
mod journal;
mod random;
mod stack;
mod verdict;

use std::time::Duration;

use crate::campaign::{Campaign, Limit};
use crate::host::Host;
use crate::image::Kind;
use crate::stack::Shape;

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

fn seed() -> u64 {
    setting("CHAOS_SEED").unwrap_or_else(|| {
        let mut bytes = [0; 4];
        getrandom::fill(&mut bytes).unwrap();
        u64::from(u32::from_le_bytes(bytes))
    })
}

fn hosts(or: u64) -> usize {
    usize::try_from(setting("CHAOS_HOSTS").unwrap_or(or)).unwrap()
}

#[test]
fn whatever_happens_nothing_is_lost_nothing_hangs_and_one_whole_release_runs() {
    let (kills, minutes) = (setting("CHAOS_KILLS"), setting("CHAOS_MINUTES"));
    let minutes = minutes.or(if kills.is_some() { None } else { Some(1) });
    let limit = Limit { kills, time: minutes.map(|minutes| Duration::from_secs(60 * minutes)), rounds: None };
    let shapes = |number: usize| match number % 4 {
        0 => vec![Shape::Single(Kind::NeedsThreeSecondsToStop), Shape::Pair(Kind::FloodsItsLog)],
        1 => vec![Shape::Shared(Kind::NeedsThreeSecondsToStop), Shape::Single(Kind::BootsForFiveSeconds)],
        2 => vec![Shape::Pair(Kind::NeedsThreeSecondsToStop), Shape::Single(Kind::LabelsLie)],
        _ => vec![Shape::Single(Kind::NeedsThreeSecondsToStop), Shape::Single(Kind::IgnoresSigterm)],
    };
    let host = |number: usize| {
        if number == 2 { Host::on_an_engine_of_its_own(&shapes(number)) } else { Host::new(&shapes(number)) }
    };
    Campaign::new("faults", seed(), limit).run((0..hosts(4)).collect(), host, acts::of_every_kind);
}

#[test]
fn a_replacement_that_is_interrupted_while_a_stubborn_container_stops_never_leaves_nothing_running() {
    let limit = Limit { kills: None, time: None, rounds: Some(setting("CHAOS_ROUNDS").unwrap_or(6)) };
    let host = |_| Host::new(&[Shape::Single(Kind::IgnoresSigterm)]);
    Campaign::new("interruptions", seed(), limit).run((0..hosts(6)).collect(), host, acts::interruption);
}
