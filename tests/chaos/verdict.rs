//! What must hold once all is settled, as the engine and the database say it.

use std::fs;
use std::path::Path;

use serde_json::Value;
use windlass::deploy::event::Outcome;

use crate::host::Host;
use crate::journal::{self, Told};
use crate::stack::Part;

/// Everything that is not as it must be on the machine: which containers there are, what they run, what is pinned.
pub fn on_the_machine(host: &Host, deployments: &[Told]) -> Vec<String> {
    let mut faults = Vec::new();
    let containers = containers(host);
    let images = images(host);
    let mut expected = Vec::new();
    for stack in &host.stacks {
        for service in stack.services() {
            let name = format!("/{}-{service}-1", stack.name);
            match containers.iter().find(|container| container["Name"] == *name) {
                Some(container) if container["State"]["Status"] == "running" => {}
                Some(container) => faults.push(format!("{name} does not run: {}", container["State"])),
                None => faults.push(format!("{name} does not exist")),
            }
            expected.push(name);
        }
    }
    for container in &containers {
        let name = container["Name"].as_str().unwrap_or_default();
        let holds = name.starts_with("/windlass-keep-");
        if !holds && !expected.iter().any(|expected| expected == name) {
            faults.push(format!("{name} is left over: {}", container["State"]["Status"]));
        } else if holds && container["State"]["Status"] != "created" {
            faults.push(format!("{name} holds an image and was started: {}", container["State"]["Status"]));
        }
    }
    for part in &host.parts {
        faults.extend(of_project(host, part, &containers, &images, deployments));
    }
    faults.extend(processes_left_over(&host.directory));
    faults
}

/// Whether a project's services run the release that succeeded last, and whether its tag means it.
fn of_project(host: &Host, part: &Part, containers: &[Value], images: &[Value], deployments: &[Told]) -> Vec<String> {
    let succeeded = |told: &&Told| told.project == part.project && told.outcome() == Some(Outcome::Succeeded);
    let Some(newest) = deployments.iter().rev().find(succeeded) else {
        return vec![format!("{} was never deployed", part.project)];
    };
    let digest =
        newest.status.release.iter().flatten().next().map(|image| image.digest.to_string()).unwrap_or_default();
    let reference = format!("{}:live", host.repository(part));
    let has_tag =
        |image: &&Value| image["RepoTags"].as_array().is_some_and(|tags| tags.iter().any(|tag| *tag == reference));
    let Some(pinned) = images.iter().find(has_tag) else {
        return vec![format!("{reference} means nothing")];
    };
    let mut faults = Vec::new();
    // Two repositories may have the same image, and the engine may know it by the other one alone: a digest says what an
    // image is, whatever repository it is in.
    let is_released = pinned["RepoDigests"].as_array().is_some_and(|known| {
        known
            .iter()
            .filter_map(Value::as_str)
            .any(|known| known.rsplit_once('@').is_some_and(|(_, found)| found == digest))
    });
    if !is_released {
        faults.push(format!("{reference} is {}, and {} put {digest} into service", pinned["RepoDigests"], newest.id));
    }
    for service in &part.services {
        let name = format!("/{}-{service}-1", part.stack);
        let made_from =
            containers.iter().filter(|container| container["Name"] == *name).map(|container| &container["Image"]);
        for image in made_from {
            if *image != pinned["Id"] {
                faults.push(format!("{name} is made from {image}, and {reference} is {}", pinned["Id"]));
            }
        }
    }
    faults
}

/// Everything that is not as it must be in the database.
pub fn in_the_database(host: &Host, accepted: &[String], deployments: &[Told]) -> Vec<String> {
    let mut faults = Vec::new();
    match journal::damage(&host.state()) {
        Ok(None) => {}
        Ok(Some(damage)) => faults.push(format!("the database is damaged: {damage}")),
        Err(error) => faults.push(format!("the database cannot be read: {error}")),
    }
    for id in accepted {
        if !deployments.iter().any(|told| told.id == *id) {
            faults.push(format!("lost: {id} was accepted and is not known any more"));
        }
    }
    for told in deployments {
        if told.outcome().is_none() {
            faults.push(format!("stuck: {} of {} has no outcome", told.id, told.project));
        }
        if let Err(reason) = told.replays() {
            faults.push(format!("the journal of {} does not replay: {reason}", told.id));
        }
    }
    faults
}

fn containers(host: &Host) -> Vec<Value> {
    let ids = host.engine.containers(&[&format!("name={}", host.name)]);
    if ids.is_empty() {
        return Vec::new();
    }
    inspect(host, "container", &ids)
}

fn images(host: &Host) -> Vec<Value> {
    let references: Vec<String> = host.parts.iter().map(|part| format!("{}:live", host.repository(part))).collect();
    inspect(host, "image", &references)
}

/// What the engine says of those of these that exist.
fn inspect(host: &Host, kind: &str, names: &[String]) -> Vec<Value> {
    let output = host.engine.docker(&[kind, "inspect"]).args(names).output();
    serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}{}", output.stdout, output.stderr))
}

/// Programs that were started for a stack and outlived their purpose.
fn processes_left_over(directory: &Path) -> Vec<String> {
    let in_a_stack = |entry: &fs::DirEntry| {
        let at = fs::read_link(entry.path().join("cwd")).unwrap_or_default();
        at.strip_prefix(directory).is_ok_and(|at| !at.as_os_str().is_empty() && !at.starts_with("engine"))
    };
    let describe = |entry: fs::DirEntry| {
        let words = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let words = String::from_utf8_lossy(&words).replace('\0', " ");
        format!("process {} is left over: {words}", entry.file_name().display())
    };
    fs::read_dir("/proc").unwrap().flatten().filter(in_a_stack).map(describe).collect()
}
