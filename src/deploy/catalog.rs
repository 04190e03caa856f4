//! All projects of this host: what each one is, and who may ask for it.

use std::collections::HashMap;
use std::sync::Arc;

use super::spec::ProjectSpec;
use crate::auth::Key;
use crate::model::ProjectName;

/// One project together with its keys.
#[derive(Debug, Clone)]
pub struct Project {
    /// What may be deployed, and how.
    pub spec: Arc<ProjectSpec>,
    /// Who may ask. With none, only operators on this host can.
    pub keys: Vec<Key>,
}

/// All projects that are configured, by name. A reload makes a new one; what runs keeps the one it began with.
pub type Catalog = HashMap<ProjectName, Arc<Project>>;
