//! Takes over docker-puller: a project for each hook, the token in a file of its own, and one table in config.toml.

mod config_file;
mod imported;
mod puller;
mod script;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::new_files::NewFiles;
use super::project_files::Files;
use crate::auth::AddressToken;
use crate::client::{Failure, Kind};
use crate::model::{ImageReference, ProjectName};
use crate::senders::docker_puller::CALLER;

use config_file::Addition;
use imported::{Imported, TOKEN_FILE, project_name, table};
use puller::Puller;

/// What docker-puller was configured with, and what it never knew.
#[derive(Debug)]
pub(crate) struct Source {
    /// Its config.json.
    pub(crate) file: PathBuf,
    /// Hooks, and the images that they deploy.
    pub(crate) images: Vec<(String, ImageReference)>,
    /// Hooks that are not taken over.
    pub(crate) leave_out: Vec<String>,
}

/// What was written.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) hooks: Vec<Imported>,
    pub(crate) token_file: PathBuf,
    /// How many bytes the token has, when these are so few that it can be guessed.
    pub(crate) short_token: Option<usize>,
    /// Where docker-puller listened.
    pub(crate) address: String,
}

/// Takes over what `source` says, into config.toml in `config` and files beside it: all of it or nothing.
pub(crate) fn import(source: &Source, config: &Path) -> Result<Written, Failure> {
    let puller = Puller::read(&source.file)?;
    let token = AddressToken::new(CALLER.parse().map_err(anyhow::Error::new)?, &puller.token).map_err(|error| {
        refused(format!("the token in {} cannot be used here: {error}", source.file.display()))
            .fix("write another there, such as one of `windlass key new --scheme bearer`, and give it to the callers")
    })?;
    let directory = config.parent().unwrap_or(Path::new("/"));
    let hooks = hooks(source, &puller, directory)?;
    let token_file = directory.join("keys").join(TOKEN_FILE);
    for file in hooks.iter().flat_map(|hook| [&hook.files.project, &hook.files.key]).chain([&token_file]) {
        if file.symlink_metadata().is_ok() {
            let reason = format!("{} is there already, and nothing is overwritten", file.display());
            return Err(refused(reason).fix("remove it to import again, or leave the hook out: --leave-out HOOK"));
        }
    }
    let addition = Addition::to(config)?;

    let mut files = NewFiles::default();
    files.secret(&token_file, &puller.token)?;
    for hook in &hooks {
        hook.files.write(&hook.project_file(), &mut files)?;
    }
    addition.write(&table(&hooks, token.too_short().is_some()), &mut files)?;
    files.keep();
    Ok(Written { hooks, token_file, short_token: token.too_short(), address: puller.address })
}

/// What becomes of each hook; says for all at once what is not known about them.
fn hooks(source: &Source, puller: &Puller, directory: &Path) -> Result<Vec<Imported>, Failure> {
    let named = source.images.iter().map(|(hook, _)| hook).chain(&source.leave_out);
    if let Some(unknown) = named.into_iter().find(|hook| !puller.hooks.contains_key(*hook)) {
        let known: Vec<&str> = puller.hooks.keys().map(String::as_str).collect();
        return Err(refused(format!("{} has no hook {unknown:?}", source.file.display()))
            .fix(format!("name one of its own: {}", known.join(", "))));
    }
    let file = std::path::absolute(&source.file).map_err(anyhow::Error::new)?;
    let beside = file.parent().unwrap_or(Path::new("/"));
    let (mut hooks, mut missing) = (BTreeMap::<ProjectName, Imported>::new(), Vec::new());
    for (hook, words) in puller.hooks.iter().filter(|(hook, _)| !source.leave_out.contains(hook)) {
        let run = absolute(hook, words, beside)?;
        let images: Vec<_> =
            source.images.iter().filter(|(named, _)| named == hook).map(|(_, image)| image.clone()).collect();
        let repositories: BTreeSet<_> = images.iter().map(ImageReference::repository).collect();
        if repositories.len() < images.len() {
            return Err(refused(format!("two images of the hook {hook:?} are of one repository")).fix("name one tag"));
        }
        if images.is_empty() {
            missing.push(proposal(hook, run.first().map(String::as_str)));
        }
        let project = project_name(hook).ok_or_else(|| {
            refused(format!("the hook {hook:?} cannot give a project its name")).fix("leave it out: --leave-out HOOK")
        })?;
        let files = Files::of(&project, directory);
        let imported = Imported { hook: hook.clone(), project: project.clone(), images, run, files };
        if let Some(other) = hooks.insert(project, imported) {
            return Err(refused(format!("the hooks {:?} and {hook:?} would be one project", other.hook))
                .fix("leave one of them out: --leave-out HOOK"));
        }
    }
    if !missing.is_empty() {
        return Err(refused("docker-puller does not know which image a hook is for").fix(format!(
            "name them, or leave hooks out with --leave-out HOOK: windlass import docker-puller {} {}",
            source.file.display(),
            missing.join(" ")
        )));
    }
    Ok(hooks.into_values().collect())
}

fn absolute(hook: &str, words: &[String], beside: &Path) -> Result<Vec<String>, Failure> {
    let (program, arguments) = words.split_first().map_or(("", [].as_slice()), |(first, rest)| (first, rest));
    let found = script::find(program, beside).ok_or_else(|| {
        refused(format!(
            "the hook {hook:?} runs {program:?}, which is neither a program of this host nor beside the file"
        ))
        .fix("write its absolute path there, or leave the hook out: --leave-out HOOK")
    })?;
    Ok([found.to_string_lossy().into_owned()].into_iter().chain(arguments.iter().cloned()).collect())
}

/// What to write for a hook without an image: what its script pulls, where that can be read.
fn proposal(hook: &str, program: Option<&str>) -> String {
    let text = program.and_then(|program| fs::read_to_string(program).ok()).unwrap_or_default();
    let images: Vec<String> = script::pulled(&text).iter().map(|image| format!("--image {hook}={image}")).collect();
    if images.is_empty() { format!("--image {hook}=REPOSITORY:TAG") } else { images.join(" ") }
}

fn refused(reason: impl std::fmt::Display) -> Failure {
    Failure::new(Kind::Refused, "nothing was imported", reason)
}
