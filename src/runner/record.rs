//! The host's record of images is kept in the store.

use std::time::Duration;

use async_trait::async_trait;

use crate::host::HostError;
use crate::host::record::ImageRecord;
use crate::model::{Digest, Repository};
use crate::store::{Store, StoreError};

/// How long to wait before a write is tried again that the disk refused.
const RETRY: Duration = Duration::from_secs(1);

#[async_trait]
impl ImageRecord for Store {
    /// A full disk is waited for, as with the journal.
    async fn note(&self, repository: &Repository, digest: &Digest, id: &Digest) -> Result<(), HostError> {
        loop {
            match self.note_image(repository, digest, id).await {
                Err(error) if error.is_full() => tokio::time::sleep(RETRY).await,
                noted => return noted.map_err(unusable),
            }
        }
    }

    async fn recall(&self, repository: &Repository, digest: &Digest) -> Result<Option<Digest>, HostError> {
        self.noted_image(repository, digest).await.map_err(unusable)
    }

    async fn names_of(&self, id: &Digest) -> Result<Vec<(Repository, Digest)>, HostError> {
        self.noted_names(id).await.map_err(unusable)
    }
}

fn unusable(error: StoreError) -> HostError {
    HostError::refused("the record of images cannot be read or written", error.to_string())
}
