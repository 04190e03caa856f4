//! What is done in a round, and when: it follows from the seed alone.

use crate::host::Host;
use crate::random::Random;
use crate::stack::{BAD, GOOD, TIMEOUT};

/// One thing that is done. `part` and `stack` are places in the lists of the host.
#[derive(Debug, Clone)]
pub enum Act {
    /// A hook. Before anything is touched, the project's own command lingers for so many milliseconds.
    Deploy { part: usize, version: &'static str, lingering: u64 },
    /// The newest deployment of the project is cancelled.
    Cancel { part: usize },
    /// The project is frozen until the end of the round.
    Freeze { part: usize },
    /// windlass reads its configuration again.
    Reload,
    /// `docker compose up --detach` by hand.
    ComposeUp { stack: usize },
    /// `docker restart` by hand.
    Restart { stack: usize, service: &'static str },
    /// windlass is ended as by `kill -9`, alone or with all that it has started, and is started again later.
    Kill { with_children: bool, down: u64 },
    /// The engine is stopped as its service manager does it, and started again.
    RestartEngine,
    /// The disk with the state is full for a while.
    FillDisk { millis: u64 },
    /// Nothing, until a deployment of the project begins to replace containers.
    AwaitReplacement { part: usize },
}

/// An act, and how long after the beginning of the round, or after the last wait, it comes.
#[derive(Debug, Clone)]
pub struct Moment {
    pub millis: u64,
    pub act: Act,
}

/// A round of whatever may happen on a host.
pub fn of_every_kind(random: &mut Random, host: &Host) -> Vec<Moment> {
    const ROUND: u64 = 9_000;
    let mut moments = Vec::new();
    let mut at = |millis, act| moments.push(Moment { millis, act });
    for part in 0..host.parts.len() {
        if random.happens(85) {
            let versions = if random.happens(75) { &GOOD[..] } else { &BAD[..] };
            let version = random.pick(versions);
            let too_slow = random.happens(3);
            let lingering = if too_slow { TIMEOUT * 1000 - 1_000 - random.below(8_000) } else { random.below(2) * 300 };
            at(random.below(2_000), Act::Deploy { part, version, lingering });
        }
        if random.happens(20) {
            at(random.below(ROUND), Act::Deploy { part, version: random.pick(&GOOD), lingering: 0 });
        }
        if random.happens(30) {
            at(random.below(ROUND), Act::Cancel { part });
        }
        if random.happens(8) {
            at(random.below(ROUND), Act::Freeze { part });
        }
    }
    for stack in 0..host.stacks.len() {
        if random.happens(15) {
            at(random.below(ROUND), Act::ComposeUp { stack });
        }
        if random.happens(15) {
            let service = random.pick(&host.stacks[stack].services());
            at(random.below(ROUND), Act::Restart { stack, service });
        }
    }
    for _ in 0..=random.below(3) {
        let down = if random.happens(50) { 0 } else { random.below(3_000) };
        at(500 + random.below(ROUND), Act::Kill { with_children: random.happens(50), down });
    }
    if random.happens(10) {
        at(random.below(ROUND), Act::Reload);
    }
    if host.has_an_engine_of_its_own() && random.happens(20) {
        at(random.below(ROUND), Act::RestartEngine);
    }
    if host.has_a_disk_of_its_own() && random.happens(10) {
        at(random.below(ROUND), Act::FillDisk { millis: 500 + random.below(4_000) });
    }
    moments.sort_by_key(|moment| moment.millis);
    moments
}

/// A replacement of a stubborn container that is cancelled, runs out of time or is hit by a crash while the engine waits
/// for the old container to stop.
pub fn interruption(random: &mut Random, _: &Host) -> Vec<Moment> {
    const GRACE: u64 = 10_000;
    let (part, millis) = (0, random.below(GRACE + 1_500));
    let deploy = |lingering| Moment { millis: 0, act: Act::Deploy { part, version: "next", lingering } };
    let replacing = Moment { millis: 0, act: Act::AwaitReplacement { part } };
    let kill = |millis, random: &mut Random| {
        let (with_children, down) = (random.happens(50), random.below(2) * random.below(3_000));
        Moment { millis, act: Act::Kill { with_children, down } }
    };
    let cancel = |millis| Moment { millis, act: Act::Cancel { part } };
    match random.below(4) {
        0 => vec![deploy(0), replacing, cancel(millis)],
        1 => vec![deploy(TIMEOUT * 1000 - millis)],
        2 => vec![deploy(0), replacing, kill(millis, random)],
        _ => vec![deploy(0), replacing, kill(millis, random), cancel(millis + 300 + random.below(3_000))],
    }
}
