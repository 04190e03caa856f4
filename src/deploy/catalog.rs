//! The projects of this host, and who may ask for what in them.

use std::collections::HashMap;
use std::sync::Arc;

use crate::auth::Key;
use crate::deploy::spec::ProjectSpec;
use crate::model::{KeyId, ProjectName};

/// One project as it is configured.
#[derive(Debug)]
pub struct Project {
    /// What may be deployed, and how.
    pub spec: Arc<ProjectSpec>,
    /// Who may ask. Without keys only operators on the host can.
    pub keys: Vec<Key>,
    /// Senders that may ask as well, and prove themselves with a secret of the host.
    pub services: Vec<KeyId>,
}

/// All projects of this host. Replaced as a whole when the configuration is read again.
pub type Catalog = HashMap<ProjectName, Arc<Project>>;
