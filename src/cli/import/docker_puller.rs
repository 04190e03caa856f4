//! `windlass import docker-puller`: a project for each hook, the token in a file of its own, and one table in config.toml.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::super::exit::Exit;
use super::super::global::Global;
use super::super::new_files::NewFiles;
use super::super::output::{Output, Style};
use super::super::project_files::Files;
use super::config_file::Addition;
use super::imported::{Imported, TOKEN_FILE, project_name, table};
use super::puller::Puller;
use super::script;
use crate::auth::Token;
use crate::client::{Failure, Kind};
use crate::model::{ImageReference, ProjectName};
use crate::senders::docker_puller::CALLER;

/// What docker-puller was configured with, and what it never knew.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
docker-puller knows no images, so each hook needs one: the image that CI pushes before it calls the hook. Nothing is
written before all are named.

Example:
  sudo windlass import docker-puller /opt/docker-puller/config.json --image shop=ghcr.io/acme/shop:latest")]
pub(in super::super) struct Args {
    /// docker-puller's config.json
    file: PathBuf,
    /// The image that a hook deploys, with its tag; a hook may have several
    #[arg(long = "image", value_name = "HOOK=IMAGE", value_parser = hook_and_image)]
    images: Vec<(String, ImageReference)>,
    /// A hook that is not taken over
    #[arg(long, value_name = "HOOK")]
    leave_out: Vec<String>,
    /// Where the configuration is, when it is not where config.toml is
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(super) fn run(args: &Args, global: &Global, output: &mut Output) -> Result<Exit, Failure> {
    let puller = Puller::read(&args.file)?;
    let token = Token::new(CALLER.parse().map_err(anyhow::Error::new)?, &puller.token).map_err(|error| {
        refused(format!("the token in {} cannot be used here: {error}", args.file.display()))
            .fix("write another there, such as one of `windlass key new --scheme bearer`, and give it to the callers")
    })?;
    let config = global.config_file(args.dir.as_deref())?;
    let directory = config.parent().unwrap_or(Path::new("/"));
    let hooks = hooks(args, &puller, directory)?;
    let token_file = directory.join("keys").join(TOKEN_FILE);
    for file in hooks.iter().flat_map(|hook| [&hook.files.project, &hook.files.key]).chain([&token_file]) {
        if file.symlink_metadata().is_ok() {
            let reason = format!("{} is there already, and nothing is overwritten", file.display());
            return Err(refused(reason).fix("remove it to import again, or leave the hook out: --leave-out HOOK"));
        }
    }
    let addition = Addition::to(&config)?;

    let mut files = NewFiles::default();
    files.secret(&token_file, &puller.token)?;
    for hook in &hooks {
        hook.files.write(&hook.project_file(), &mut files)?;
    }
    addition.write(&table(&hooks, token.too_short().is_some()), &mut files)?;
    files.keep();
    report(&hooks, &puller, &token, [&token_file, &config], output);
    Ok(Exit::Succeeded)
}

/// What becomes of each hook; says for all at once what is not known about them.
fn hooks(args: &Args, puller: &Puller, directory: &Path) -> Result<Vec<Imported>, Failure> {
    let named = args.images.iter().map(|(hook, _)| hook).chain(&args.leave_out);
    if let Some(unknown) = named.into_iter().find(|hook| !puller.hooks.contains_key(*hook)) {
        let known: Vec<&str> = puller.hooks.keys().map(String::as_str).collect();
        return Err(refused(format!("{} has no hook {unknown:?}", args.file.display()))
            .fix(format!("name one of its own: {}", known.join(", "))));
    }
    let file = std::path::absolute(&args.file).map_err(anyhow::Error::new)?;
    let beside = file.parent().unwrap_or(Path::new("/"));
    let (mut hooks, mut missing) = (BTreeMap::<ProjectName, Imported>::new(), Vec::new());
    for (hook, words) in puller.hooks.iter().filter(|(hook, _)| !args.leave_out.contains(hook)) {
        let run = absolute(hook, words, beside)?;
        let images: Vec<_> =
            args.images.iter().filter(|(named, _)| named == hook).map(|(_, image)| image.clone()).collect();
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
            args.file.display(),
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

fn hook_and_image(text: &str) -> Result<(String, ImageReference), String> {
    let (hook, image) = text.split_once('=').ok_or("write HOOK=IMAGE, such as shop=ghcr.io/acme/shop:latest")?;
    // As `docker pull` read it in the script.
    let image = ImageReference::parse_familiar(image).map_err(|error| error.to_string())?;
    if image.digest().is_some() {
        return Err("a digest never moves: name the tag that CI pushes to".to_owned());
    }
    Ok((hook.to_owned(), image))
}

fn refused(reason: impl std::fmt::Display) -> Failure {
    Failure::new(Kind::Refused, "nothing was imported", reason)
}

fn report(hooks: &[Imported], puller: &Puller, token: &Token, [token_file, config]: [&Path; 2], output: &mut Output) {
    if output.is_json() {
        let hooks: Vec<_> = hooks
            .iter()
            .map(|hook| {
                json!({
                    "hook": hook.hook, "project": hook.project, "project_file": hook.files.project, "images": hook.images,
                    "run": hook.run,
                })
            })
            .collect();
        let short = token.too_short().is_some();
        output.document(&json!({ "hooks": hooks, "token_file": token_file, "config": config, "short_token": short }));
        return;
    }
    for hook in hooks {
        let images: Vec<String> = hook.images.iter().map(ToString::to_string).collect();
        output.line(format_args!("wrote {}: deploys {}", hook.files.project.display(), images.join(", ")));
    }
    output.line(format_args!("wrote {}: the token", token_file.display()));
    output.line(format_args!("wrote {}: [compat.docker_puller]", config.display()));
    if let Some(bytes) = token.too_short() {
        let warning = output.paint(Style::Busy, "warning");
        output.line(format_args!(
            "{warning}: the token has {bytes} bytes and can be guessed; give the callers one of `windlass key new --scheme bearer`"
        ));
    }
    output.line("");
    output.line("Next, on this host:");
    output.line("  take `docker pull` out of the programs     windlass has pulled by then, and knows the way back");
    output.line("  windlass check                             is everything there that a deployment needs?");
    output.line(format_args!(
        "  stop docker-puller                         it listened on {}; `listen` in config.toml says where windlass does",
        puller.address
    ));
    output
        .line("  sudo systemctl reload windlass             takes the projects in; a changed `listen` needs a restart");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_named_as_docker_pull_named_it_but_never_by_a_digest() {
        let (hook, image) = hook_and_image("shop=acme/shop").unwrap();
        assert_eq!((hook.as_str(), image.to_string().as_str()), ("shop", "docker.io/acme/shop:latest"));
        let digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        for bad in ["shop", "shop=", "shop=A B", &format!("shop=r.io/a@{digest}"), &format!("shop=r.io/a:v1@{digest}")]
        {
            assert!(hook_and_image(bad).is_err(), "{bad}");
        }
    }
}
