//! Watches what was put into service until it is proven to work, or known not to.

use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, sleep};

use super::probe;
use super::steadiness::{Mark, Steadiness, interval};
use crate::deploy::event::Evidence;
use crate::deploy::spec::{Health, Probe};
use crate::host::{HostError, Reporter};

/// How many lines of a log are evidence.
pub(in crate::host) const LOG_LINES: usize = 50;
/// Of how many that failed: a service of fifty containers that fail alike is explained by some.
pub(in crate::host) const MOST_EVIDENCE: usize = 5;
/// Between two probes that pass, while a release settles.
const REPROBE: Duration = Duration::from_secs(1);

/// What one look at all of it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::host) enum Look {
    /// It works, as far as one look can tell; the marks change when something was started anew.
    Good(Vec<Mark>),
    /// It may still come to work.
    Wait(String),
    /// It will not come to work by itself.
    Bad(String),
}

/// What can be watched: containers, units.
#[async_trait]
pub(in crate::host) trait Subject: Send {
    /// Looks once.
    async fn look(&mut self) -> Result<Look, HostError>;

    /// What those that were looked at last said last: the ones that do not work, if it is about them.
    async fn evidence(&self) -> Vec<Evidence>;
}

/// A watch over it.
pub(in crate::host) struct Watch<'a, S> {
    pub(in crate::host) subject: S,
    pub(in crate::host) health: &'a Health,
    /// Where the project's own probe is run.
    pub(in crate::host) directory: &'a Path,
    /// Is told what is not well yet.
    pub(in crate::host) reporter: &'a Reporter,
}

/// What comes up within this time is not worth a word, nor are words that come more often.
const QUIET: Duration = Duration::from_secs(3);

impl<S: Subject> Watch<'_, S> {
    /// Returns when it has worked for as long as it must.
    pub(in crate::host) async fn until_healthy(mut self) -> Result<(), HostError> {
        let begun = Instant::now();
        let mut probing = self.health.probe.as_ref().map(|probe| Probing::new(probe, self.directory));
        let mut steadiness = Steadiness::default();
        let (mut told, mut told_at) = (String::new(), begun);
        loop {
            let mut reason = String::new();
            let look = match self.subject.look().await {
                Ok(look) => look,
                // An engine that is restarted comes back, and its containers with it.
                Err(away) if away.is_passing() && begun.elapsed() < self.health.within => {
                    steadiness.lose();
                    sleep(interval(begun.elapsed()).max(Duration::from_millis(250))).await;
                    continue;
                }
                Err(error) => return Err(error),
            };
            match look {
                Look::Bad(reason) => return Err(self.failure(reason).await),
                Look::Good(marks) => steadiness.see(marks, Instant::now()),
                Look::Wait(why) => {
                    steadiness.lose();
                    reason = why;
                }
            }
            if let Some(probing) = &mut probing {
                reason = if reason.is_empty() { probing.trouble() } else { reason };
                probing.begin(steadiness.is_seen(), interval(begun.elapsed()));
            }
            if !reason.is_empty() && reason != told && told_at.elapsed() >= QUIET {
                let within = humantime::format_duration(self.health.within);
                self.reporter.say(&format!("not healthy yet, given up after {within}: {reason}"));
                (told, told_at) = (reason.clone(), Instant::now());
            }
            let since = steadiness.since(probing.is_some());
            let left = since.map(|since| self.health.settle.saturating_sub(since.elapsed()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(());
            }
            if since.is_none() && begun.elapsed() >= self.health.within {
                let within = humantime::format_duration(self.health.within);
                return Err(self.failure(format!("not healthy within {within}: {reason}")).await);
            }
            let pause = interval(begun.elapsed()).min(left.unwrap_or(Duration::MAX));
            match &mut probing {
                None => sleep(pause).await,
                Some(probing) => {
                    if let Some((begun, passed)) = probing.pause(pause).await {
                        steadiness.probe(begun, passed, Instant::now());
                    }
                }
            }
        }
    }

    async fn failure(&self, reason: String) -> HostError {
        HostError::unhealthy(reason, self.subject.evidence().await)
    }
}

/// One try, and how it ends.
type Attempt<'a> = Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;

/// A project's own probe, tried now and again beside the looks at the containers.
struct Probing<'a> {
    probe: &'a Probe,
    directory: &'a Path,
    under_way: Option<(Instant, Attempt<'a>)>,
    last: Option<(Instant, Result<(), String>)>,
}

impl<'a> Probing<'a> {
    fn new(probe: &'a Probe, directory: &'a Path) -> Self {
        Self { probe, directory, under_way: None, last: None }
    }

    /// Why it is not good, as far as that is known.
    fn trouble(&self) -> String {
        match &self.last {
            Some((_, Ok(()))) => String::new(),
            Some((_, Err(why))) => format!("{} fails: {why}", probe::name(self.probe)),
            None => format!("{} has not passed yet", probe::name(self.probe)),
        }
    }

    /// Begins a try if it is time for one.
    fn begin(&mut self, wanted: bool, pause: Duration) {
        let due = self
            .last
            .as_ref()
            .is_none_or(|(ended, result)| ended.elapsed() >= if result.is_ok() { REPROBE } else { pause });
        if wanted && due && self.under_way.is_none() {
            self.under_way = Some((Instant::now(), Box::pin(probe::try_once(self.probe, self.directory))));
        }
    }

    /// Waits so long, or until a try ends: then says when it began and whether it passed.
    async fn pause(&mut self, pause: Duration) -> Option<(Instant, bool)> {
        let Some((begun, attempt)) = &mut self.under_way else {
            sleep(pause).await;
            return None;
        };
        let begun = *begun;
        let result = tokio::select! {
            () = sleep(pause) => return None,
            result = attempt => result,
        };
        self.under_way = None;
        let passed = result.is_ok();
        self.last = Some((Instant::now(), result));
        Some((begun, passed))
    }
}
