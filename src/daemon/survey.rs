//! What stands in the way of deployments on this host: what `windlass check` and `windlass init` ask the machine, and the
//! rule that `windlass polkit` prints for it.

use std::path::Path;
use std::sync::Arc;

use futures_util::future::join_all;

use crate::config::Settings;
use crate::deploy::sharing::{Uses, conflict};
use crate::deploy::spec::{Compose, ProjectSpec};
use crate::host::Host as _;
use crate::host::machine::{Machine, MachineSettings};
use crate::host::polkit;
use crate::host::record::Memory;
pub use crate::host::survey::Severity;
use crate::host::survey::{EngineVersion, Finding};
use crate::model::ProjectName;

/// What was found on the machine.
#[derive(Debug)]
pub struct Survey {
    /// Which engine answers, or why none does.
    pub engine: Result<EngineVersion, String>,
    /// About the host as a whole.
    pub host: Vec<Finding>,
    /// About each project, by name. Never empty: a project without any other finding is in order.
    pub projects: Vec<(ProjectName, Vec<Finding>)>,
}

/// Asks the machine about everything that `settings` name. Changes nothing.
pub async fn survey(settings: &Settings) -> Survey {
    let machine = Machine::new(settings.machine.clone(), Arc::<Memory>::default());
    let engine = machine.engine().await.map_err(|error| error.to_string());
    let mut names: Vec<_> = settings.projects.iter().collect();
    names.sort_by_key(|(name, _)| (*name).clone());
    let one = async |(name, project): (&ProjectName, &Arc<crate::deploy::catalog::Project>)| {
        (name.clone(), machine.survey(&project.spec).await)
    };
    // Each one costs a process: a few at a time.
    let mut projects = Vec::with_capacity(names.len());
    for some in names.chunks(4) {
        projects.extend(join_all(some.iter().map(|found| one(*found))).await);
    }
    let specs: Vec<&ProjectSpec> = names.iter().map(|(_, project)| &*project.spec).collect();
    for (project, conflict) in conflicts(&machine, &specs).await {
        if let Some((_, findings)) = projects.iter_mut().find(|(name, _)| name == project) {
            findings.push(Finding::error(conflict));
        }
    }
    for ((_, findings), spec) in projects.iter_mut().zip(&specs).filter(|((_, findings), _)| findings.is_empty()) {
        findings.push(Finding::ok(format!("its {} target can be deployed to", spec.target.as_str())));
    }
    let mut host: Vec<Finding> = polkit::survey(&specs).await.into_iter().collect();
    host.extend(machine.survey_registries(&specs).await);
    Survey { engine, host, projects }
}

/// Which projects would move what another one starts, and why.
async fn conflicts<'a>(machine: &Machine, specs: &[&'a ProjectSpec]) -> Vec<(&'a ProjectName, String)> {
    let shares = |one: &ProjectSpec| {
        let in_common = |other: &&ProjectSpec| other.images.iter().any(|image| one.images.contains(image));
        specs.iter().copied().filter(|other| other.name != one.name).any(|other| in_common(&other))
    };
    let mut uses = Vec::new();
    for spec in specs.iter().copied().filter(|spec| shares(spec)) {
        // Why it cannot be read is a finding of its own.
        if let Ok(its) = machine.uses(spec, &spec.images).await {
            uses.push((&spec.name, its));
        }
    }
    let conflict_of = |(name, its): &(&'a ProjectName, Uses)| {
        let others = uses.iter().filter(|(other, _)| other != name).map(|(other, theirs)| (*other, theirs));
        Some((*name, conflict(name, its, others)?))
    };
    uses.iter().filter_map(conflict_of).collect()
}

/// The rule of polkit with which `user` may do with units what windlass does; nothing where no project has any.
#[must_use]
pub fn polkit_rule(settings: &Settings, user: &str) -> Option<String> {
    polkit::rule(user, settings.projects.values().map(|project| &*project.spec))
}

/// The services of the compose files in `directory`, and the images that they name.
///
/// # Errors
/// When Compose is missing or does not understand the files.
pub async fn compose_images(directory: &Path) -> anyhow::Result<Vec<(String, Option<String>)>> {
    let compose = Compose {
        directory: directory.to_owned(),
        files: Vec::new(),
        project_name: None,
        profiles: Vec::new(),
        env_files: Vec::new(),
        services: Vec::new(),
    };
    Ok(Machine::new(MachineSettings::default(), Arc::<Memory>::default()).images_in(&compose).await?)
}
