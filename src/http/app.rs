//! What all doors work with.

use std::sync::Arc;

use tokio::sync::watch;

use super::body::Room;
use super::limits::Limits;
use super::readiness::Readiness;
use super::recent::Recent;
use super::refusals::Refusals;
use super::tally::Tally;
use crate::intake::Intake;
use crate::model::Clock;
use crate::runner::Runner;
use crate::senders::docker_puller::DockerPuller;
use crate::store::Store;

/// What all doors work with. Cheap to clone.
#[derive(Clone)]
pub struct App(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) runner: Runner,
    pub(super) store: Store,
    pub(super) clock: Clock,
    pub(super) limits: Limits,
    pub(super) docker_puller: watch::Receiver<Option<Arc<DockerPuller>>>,
    pub(super) readiness: watch::Receiver<Readiness>,
    pub(super) room: Room,
    pub(super) refusals: Refusals,
    pub(super) recent: Recent,
    pub(super) intake: Intake,
    pub(super) tally: Tally,
}

impl App {
    /// An application that was asked nothing yet.
    #[must_use]
    pub fn new(
        runner: Runner,
        store: Store,
        clock: Clock,
        limits: Limits,
        docker_puller: watch::Receiver<Option<Arc<DockerPuller>>>,
        readiness: watch::Receiver<Readiness>,
    ) -> Self {
        let (room, refusals, recent, tally) = Default::default();
        let intake = Intake::new(runner.clone(), store.clone(), clock.clone(), limits.hooks_per_minute);
        Self(Arc::new(Inner {
            runner,
            store,
            clock,
            limits,
            docker_puller,
            readiness,
            room,
            refusals,
            recent,
            intake,
            tally,
        }))
    }
}
