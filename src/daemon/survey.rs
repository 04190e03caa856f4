//! What stands in the way of deployments on this host: what `windlass check` and `windlass init` ask the machine, and the
//! rule that `windlass polkit` prints for it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};

use super::needs;
use crate::config::Settings;
use crate::deploy::sharing::{Uses, conflict};
use crate::deploy::spec::{Compose, ProjectSpec};
use crate::host::EngineVersion;
use crate::host::Host as _;
use crate::host::finding::Finding;
pub use crate::host::finding::Severity;
use crate::host::machine::{Machine, MachineSettings};
use crate::host::polkit;
use crate::host::record::Memory;
use crate::model::{ProjectName, Repository};

/// How many projects are looked at at a time, and how long anything may take.
const AT_ONCE: usize = 4;
const LONGEST: Duration = Duration::from_secs(20);
/// An image may have some hundred megabytes, and is unpacked beside its archive.
const ROOM_FOR_IMAGES: [u64; 2] = [256 << 20, 2 << 30];

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

/// Asks the machine about everything that `settings` name, all at once. Changes nothing.
pub async fn survey(settings: &Settings) -> Survey {
    let machine = Machine::new(settings.machine.clone(), Arc::<Memory>::default());
    let mut projects: Vec<(&ProjectName, &ProjectSpec)> =
        settings.projects.iter().map(|(name, project)| (name, &*project.spec)).collect();
    projects.sort_by_key(|(name, _)| *name);
    let specs: Vec<&ProjectSpec> = projects.iter().map(|(_, spec)| *spec).collect();
    let ((engine, of_engine), own, rule, registries, (projects, moved)) = tokio::join!(
        engine(&machine, &specs),
        own_needs(settings),
        polkit::survey(&specs),
        machine.survey_registries(&specs),
        of_projects(&machine, &projects)
    );
    let host = own.into_iter().chain(of_engine).chain(registries).chain(rule).chain(moved_twice(&moved)).collect();
    Survey { engine, host, projects }
}

/// Which engine answers, whether registries take our credentials, and how much room there is for images.
async fn engine(machine: &Machine, specs: &[&ProjectSpec]) -> (Result<EngineVersion, String>, Vec<Finding>) {
    let version = match machine.engine().await {
        Ok(version) => version,
        Err(error) => return (Err(error.to_string()), Vec::new()),
    };
    let registries: BTreeSet<&str> = specs.iter().flat_map(|spec| &spec.images).map(Repository::host).collect();
    let (mut findings, root) = tokio::join!(machine.log_in(&registries), machine.data_root());
    // It may be elsewhere, though its socket is here.
    if let Some(root) = root.filter(|root| root.exists()) {
        findings.extend(needs::room(&root, "the engine's data", ROOM_FOR_IMAGES));
    }
    (Ok(version), findings)
}

async fn own_needs(settings: &Settings) -> Vec<Finding> {
    let settings = settings.clone();
    let looking = tokio::task::spawn_blocking(move || needs::survey(&settings));
    match tokio::time::timeout(LONGEST, looking).await {
        Ok(Ok(findings)) => findings,
        _ => vec![Finding::error(format!("the state directory does not answer within {} s", LONGEST.as_secs()))],
    }
}

/// Something of each project, by name.
type ByProject<T> = Vec<(ProjectName, Vec<T>)>;

/// What stands in the way of each project, and what each moves.
async fn of_projects(
    machine: &Machine,
    projects: &[(&ProjectName, &ProjectSpec)],
) -> (ByProject<Finding>, ByProject<String>) {
    let one = async |(name, spec): (&ProjectName, &ProjectSpec)| {
        let looking = async { (machine.survey(spec).await, machine.moved(spec).await) };
        let late = || Finding::error(format!("it cannot be looked at within {} s", LONGEST.as_secs()));
        let looked = tokio::time::timeout(LONGEST, looking).await;
        let (findings, moved) = looked.unwrap_or_else(|_| (vec![late()], Vec::new()));
        ((name.clone(), findings), (name.clone(), moved))
    };
    // Each one costs processes: a few at a time.
    let looked = stream::iter(projects.iter().copied()).map(one).buffered(AT_ONCE);
    let (mut findings, moved): (ByProject<Finding>, ByProject<String>) = looked.unzip().await;
    let specs: Vec<&ProjectSpec> = projects.iter().map(|(_, spec)| *spec).collect();
    for (project, conflict) in conflicts(machine, &specs).await {
        if let Some((_, of_project)) = findings.iter_mut().find(|(name, _)| name == project) {
            of_project.push(Finding::error(conflict));
        }
    }
    for ((_, of_project), spec) in findings.iter_mut().zip(&specs).filter(|((_, found), _)| found.is_empty()) {
        of_project.push(Finding::ok(format!("its {} target can be deployed to", spec.target.as_str())));
    }
    (findings, moved)
}

/// What two projects move: each undoes what the other has deployed. It may be meant so, with other keys and tags.
fn moved_twice(moved: &ByProject<String>) -> Vec<Finding> {
    let mut first: BTreeMap<&str, &ProjectName> = BTreeMap::new();
    let mut findings = Vec::new();
    for (project, things) in moved {
        for thing in things {
            let other = *first.entry(thing).or_insert(project);
            if other != project {
                findings.push(Finding::warning(format!(
                    "the projects {other} and {project} both deploy {thing}: unless that is meant, let `services`, `units` or `images` \
                     of one of them leave it out"
                )));
            }
        }
    }
    findings
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_projects_move_is_told_of_both() {
        let project = |name: &str, things: &[&str]| {
            (name.parse().unwrap(), things.iter().map(|thing| (*thing).to_owned()).collect())
        };
        let apart = vec![project("a", &["x", "y"]), project("b", &["z"]), project("c", &[])];
        assert_eq!(moved_twice(&apart), []);
        let together = vec![project("a", &["x", "y"]), project("b", &["y"])];
        let [only] = &moved_twice(&together)[..] else { panic!("{together:?}") };
        assert!(only.severity == Severity::Warning && only.what.contains("a and b both deploy y"), "{only:?}");
    }
}
