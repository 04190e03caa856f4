//! Tells a deployment's events while they happen, as the body of an answer.
//!
//! Rows are read a page at a time and only when the caller has taken the page before: a slow reader costs its
//! connection and no memory. A stream that is not to the caller's liking is broken off, without the chunk that ends a
//! body well, so that every client notices. What was said before still arrives.

use std::time::Duration;

use axum::body::Body;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use axum::http::request::Parts;
use axum::response::Response;
use bytes::Bytes;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::App;
use super::follow::Follower;
use super::format::{Format, Interruption};
use super::peer::Peer;
use super::socket::Flushes;
use crate::deploy::event::{Event, Outcome};
use crate::model::Clock;
use crate::store::{Entry, StoreError};

/// How far it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// What is there already.
    Now,
    /// To the outcome.
    Outcome {
        /// But no longer than this.
        at_most: Option<Instant>,
    },
}

/// One deployment told to one caller.
pub(super) struct EventStream {
    follower: Follower,
    format: Format,
    until: Until,
    interrupted: Option<Interruption>,
    only_success_ends_well: bool,
    clock: Clock,
    closing: CancellationToken,
    heartbeat: Duration,
    patience: Duration,
    flushes: Option<Flushes>,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Streaming,
    BreakingOff,
    Over,
}

/// The end of a body that was not told to a good end.
#[derive(Debug, thiserror::Error)]
#[error("broken off on purpose: the deployment did not succeed, or has not ended")]
struct BrokenOff;

enum Happened {
    Read(Result<Vec<Entry>, StoreError>),
    Nothing,
    Interrupted(Interruption),
}

impl EventStream {
    pub(super) fn new(app: &App, head: &Parts, follower: Follower, format: Format, until: Until) -> Self {
        Self {
            follower,
            format,
            until,
            interrupted: None,
            only_success_ends_well: false,
            clock: app.0.clock.clone(),
            closing: app.0.runner.closing().clone(),
            heartbeat: app.0.limits.heartbeat,
            patience: app.0.limits.write_timeout,
            flushes: head.extensions.get::<Peer>().map(|peer| peer.flushes.clone()),
            stage: Stage::Streaming,
        }
    }

    /// Any outcome but success breaks the answer off: for callers that look at nothing else.
    pub(super) fn breaking_off_unless_good(mut self) -> Self {
        self.only_success_ends_well = true;
        self
    }

    pub(super) fn response(self) -> Response {
        let content_type = HeaderValue::from_static(self.format.content_type());
        let told = futures_util::stream::unfold(self, |stream| stream.next());
        let mut response = Response::new(Body::from_stream(told));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, content_type);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        // nginx would otherwise keep lines back until it has a buffer full of them.
        headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
        response
    }

    async fn next(mut self) -> Option<(Result<Bytes, BrokenOff>, Self)> {
        match self.stage {
            Stage::Streaming => {
                let mut words = Vec::new();
                while words.is_empty() && self.stage == Stage::Streaming {
                    self.go_on(&mut words).await;
                }
                Some((Ok(words.into()), self))
            }
            Stage::BreakingOff => {
                if let Some(flushes) = &self.flushes {
                    let _ = tokio::time::timeout(self.patience, flushes.next()).await;
                }
                self.stage = Stage::Over;
                Some((Err(BrokenOff), self))
            }
            Stage::Over => None,
        }
    }

    async fn go_on(&mut self, words: &mut Vec<u8>) {
        match self.happens().await {
            Happened::Read(Ok(entries)) => self.tell(entries, words),
            Happened::Read(Err(error)) => {
                tracing::error!(deployment = %self.follower.id(), %error, "failed to read the journal");
                self.interrupt(Interruption::Unreadable, words);
            }
            Happened::Nothing => self.format.heartbeat(self.clock.now(), words),
            // What was written in the meantime is told first: it may be the outcome.
            Happened::Interrupted(why) => self.interrupted = Some(why),
        }
    }

    async fn happens(&mut self) -> Happened {
        let (Until::Outcome { at_most }, None) = (self.until, self.interrupted) else {
            return Happened::Read(self.follower.page().await);
        };
        let end = async {
            match at_most {
                Some(at_most) => sleep_until(at_most).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            read = self.follower.next() => Happened::Read(read),
            () = self.closing.cancelled() => Happened::Interrupted(Interruption::Closing),
            () = end => Happened::Interrupted(Interruption::WaitIsOver),
            () = sleep(self.heartbeat) => Happened::Nothing,
        }
    }

    fn tell(&mut self, entries: Vec<Entry>, words: &mut Vec<u8>) {
        if entries.is_empty() {
            // Only where nobody waits for more, or not any longer.
            return match self.interrupted {
                Some(why) => self.interrupt(why, words),
                None => self.end(words),
            };
        }
        for entry in entries {
            let outcome = match entry.event {
                Event::Finished { outcome, .. } => Some(outcome),
                _ => None,
            };
            self.format.entry(entry, words);
            if let (Some(outcome), Until::Outcome { .. }) = (outcome, self.until) {
                // Notes may follow, but nobody waits for them.
                return match outcome {
                    Outcome::Succeeded => self.end(words),
                    _ if self.only_success_ends_well => self.break_off(words),
                    _ => self.end(words),
                };
            }
        }
    }

    fn end(&mut self, words: &mut Vec<u8>) {
        self.format.end(words);
        self.stage = Stage::Over;
    }

    fn interrupt(&mut self, why: Interruption, words: &mut Vec<u8>) {
        self.format.interrupted(why, words);
        self.break_off(words);
    }

    fn break_off(&mut self, words: &mut Vec<u8>) {
        self.format.breaking_off(words);
        self.stage = Stage::BreakingOff;
    }
}
