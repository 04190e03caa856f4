//! What windlass itself wrote down about images: an engine forgets a digest with the last tag of its repository, and
//! what labels say can be written by others.

use std::fmt;
use std::sync::Mutex;
use std::sync::PoisonError;

use async_trait::async_trait;

use crate::host::HostError;
use crate::model::{Digest, Repository};

/// Which image of this host a registry's digest is. Written when the engine itself says so.
#[async_trait]
pub trait ImageRecord: fmt::Debug + Send + Sync + 'static {
    /// Writes down that `digest` of `repository` is the image `id` here, and that nothing was noted later than this.
    async fn note(&self, repository: &Repository, digest: &Digest, id: &Digest) -> Result<(), HostError>;

    /// The image that `digest` of `repository` was when it was noted.
    async fn recall(&self, repository: &Repository, digest: &Digest) -> Result<Option<Digest>, HostError>;

    /// What the image `id` was noted as. What was noted last comes first.
    async fn names_of(&self, id: &Digest) -> Result<Vec<(Repository, Digest)>, HostError>;
}

/// A record that lasts as long as the process: for what only looks at a machine.
#[derive(Debug, Default)]
pub struct Memory(Mutex<Vec<(Repository, Digest, Digest)>>);

#[async_trait]
impl ImageRecord for Memory {
    async fn note(&self, repository: &Repository, digest: &Digest, id: &Digest) -> Result<(), HostError> {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        noted.retain(|(its, known, _)| its != repository || known != digest);
        noted.insert(0, (repository.clone(), digest.clone(), id.clone()));
        Ok(())
    }

    async fn recall(&self, repository: &Repository, digest: &Digest) -> Result<Option<Digest>, HostError> {
        let noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = noted.iter().find(|(its, known, _)| its == repository && known == digest);
        Ok(found.map(|(_, _, id)| id.clone()))
    }

    async fn names_of(&self, id: &Digest) -> Result<Vec<(Repository, Digest)>, HostError> {
        let noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let names = noted.iter().filter(|(_, _, its)| its == id);
        Ok(names.map(|(repository, digest, _)| (repository.clone(), digest.clone())).collect())
    }
}
