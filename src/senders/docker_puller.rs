//! The hooks of docker-puller that this host answers in its place, and what each of them asks for.

use std::collections::HashMap;

use crate::auth::AddressToken;
use crate::deploy::request::Ask;
use crate::model::{ImageReference, ProjectName};

/// How logs and answers call whoever has the token.
pub const CALLER: &str = "docker-puller";

/// All of them, behind the one token that docker-puller has.
#[derive(Debug)]
pub struct DockerPuller {
    /// What stands in the address of each call.
    pub token: AddressToken,
    /// By the names that callers use.
    pub hooks: HashMap<String, PullerHook>,
}

/// What a call of one hook asks for: nothing else can be said in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullerHook {
    /// Of which project.
    pub project: ProjectName,
    /// What shall be put into service.
    pub images: Vec<ImageReference>,
}

impl PullerHook {
    /// The same in the words of a sender.
    #[must_use]
    pub fn ask(&self) -> Ask {
        Ask { images: self.images.iter().map(ToString::to_string).collect(), ..Ask::default() }
    }
}
