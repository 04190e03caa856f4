//! Reads a deployment's journal as it grows. The rows are the stream; the number of the newest one only says when to look.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::deploy::event::Event;
use crate::model::DeploymentId;
use crate::store::{Entry, Store, StoreError};

/// Rows that are held in memory for one reader at a time.
const PAGE: usize = 64;
/// Rows of every deployment on the host count. A reader for whom there was none does not look again sooner.
const LULL: Duration = Duration::from_millis(50);

/// One reader of one deployment's journal.
pub(super) struct Follower {
    store: Store,
    newest_row: watch::Receiver<i64>,
    id: DeploymentId,
    after: i64,
    looked: Instant,
    /// Whether rows were written since something was found.
    has_news: bool,
}

impl Follower {
    /// A reader of all that comes after the row `after`.
    pub(super) fn new(store: &Store, id: DeploymentId, after: i64) -> Self {
        Self {
            store: store.clone(),
            newest_row: store.newest_row(),
            id,
            after,
            looked: Instant::now(),
            has_news: false,
        }
    }

    pub(super) fn id(&self) -> &DeploymentId {
        &self.id
    }

    /// What is there already, up to a page of it.
    pub(super) async fn page(&mut self) -> Result<Vec<Entry>, StoreError> {
        // What is written from here on counts again.
        self.newest_row.mark_unchanged();
        self.looked = Instant::now();
        let entries = self.store.events(&self.id, self.after, PAGE).await?;
        if let Some(last) = entries.last() {
            self.after = last.seq;
        }
        Ok(entries)
    }

    /// The next page, once there is something in it. Nothing is lost when this is given up half-way: it begins with
    /// a look, whether rows were written or not.
    pub(super) async fn next(&mut self) -> Result<Vec<Entry>, StoreError> {
        loop {
            let entries = self.page().await?;
            if !entries.is_empty() {
                self.has_news = false;
                return Ok(entries);
            }
            self.newest_row.changed().await.map_err(|_| StoreError::Closed)?;
            if self.has_news {
                sleep_until(self.looked + LULL).await;
            }
            self.has_news = true;
        }
    }

    /// Whether nothing is there that was not read.
    pub(super) async fn is_at_end(&self) -> Result<bool, StoreError> {
        Ok(self.store.events(&self.id, self.after, 1).await?.is_empty())
    }

    /// Until the deployment has an outcome.
    pub(super) async fn outcome(&mut self) -> Result<(), StoreError> {
        self.until(|event| matches!(event, Event::Finished { .. })).await
    }

    /// Until the deployment is on its way back, or has an outcome.
    pub(super) async fn turn(&mut self) -> Result<(), StoreError> {
        self.until(|event| matches!(event, Event::RollingBack { .. } | Event::Finished { .. })).await
    }

    async fn until(&mut self, is_it: impl Fn(&Event) -> bool + Send + Sync) -> Result<(), StoreError> {
        while !self.next().await?.iter().any(|entry| is_it(&entry.event)) {}
        Ok(())
    }
}
