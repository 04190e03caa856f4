//! The targets that a project may have. A new one is a file or a folder here, and a line of [`Equipment::driver`].

pub(super) mod compose;
pub(super) mod driver;

mod command;
mod systemd;

use std::path::Path;

use self::command::CommandDriver;
use self::compose::command::ComposeCommand;
use self::compose::driver::ComposeDriver;
use self::compose::memory::Memory;
use self::driver::Driver;
use self::systemd::driver::SystemdDriver;
use super::engine::client::Engine;
use super::engine::credentials::CredentialStore;
use super::program::runs::Runs;
use crate::deploy::spec::{Compose, ProjectSpec, Target};

/// What a machine has for its targets.
pub(super) struct Equipment<'a> {
    pub(super) engine: &'a Engine,
    pub(super) credentials: &'a CredentialStore,
    pub(super) runs: &'a Runs,
    /// The directory of Docker's own configuration.
    pub(super) docker_config: &'a Path,
    /// What Compose made of each project's files.
    pub(super) memory: &'a Memory,
}

impl<'a> Equipment<'a> {
    /// What drives the project's target.
    pub(super) fn driver(&self, spec: &'a ProjectSpec) -> Box<dyn Driver + 'a> {
        let Self { engine, credentials, runs, memory, .. } = *self;
        match &spec.target {
            Target::Compose(compose) => Box::new(ComposeDriver {
                engine,
                credentials,
                memory,
                runs,
                command: self.compose(compose),
                spec,
                compose,
            }),
            Target::Systemd(systemd) => Box::new(SystemdDriver { engine, spec, systemd }),
            Target::Command(commands) => Box::new(CommandDriver { engine, runs, spec, commands }),
        }
    }

    /// `docker compose` for one Compose project.
    pub(super) fn compose(&self, spec: &'a Compose) -> ComposeCommand<'a> {
        ComposeCommand { spec, engine: self.engine.address(), docker_config: self.docker_config }
    }
}
