//! `windlass import`: takes over what another deployer on this host was configured with.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::exit::Exit;
use super::global::Global;
use super::output::{Output, Style};
use crate::client::Failure;
use crate::model::ImageReference;
use crate::setup::docker_puller::{self, Source, Written};

/// What is taken over.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// The token and the hooks of docker-puller; its callers go on as they are
    DockerPuller(DockerPuller),
}

/// What docker-puller was configured with, and what it never knew.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
docker-puller knows no images, so each hook needs one: the image that CI pushes before it calls the hook. Nothing is
written before all are named.

Example:
  sudo windlass import docker-puller /opt/docker-puller/config.json --image shop=ghcr.io/acme/shop:latest")]
pub(super) struct DockerPuller {
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

pub(super) fn run(command: Command, global: &Global, output: &mut Output) -> Result<Exit, Failure> {
    let Command::DockerPuller(DockerPuller { file, images, leave_out, dir }) = command;
    let config = global.config_file(dir.as_deref())?;
    let written = docker_puller::import(&Source { file, images, leave_out }, &config)?;
    report(&written, &config, output);
    Ok(Exit::Succeeded)
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

fn report(written: &Written, config: &Path, output: &mut Output) {
    let Written { hooks, token_file, short_token, address } = written;
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
        let short = short_token.is_some();
        output.document(&json!({ "hooks": hooks, "token_file": token_file, "config": config, "short_token": short }));
        return;
    }
    for hook in hooks {
        let images: Vec<String> = hook.images.iter().map(ToString::to_string).collect();
        output.line(format_args!("wrote {}: deploys {}", hook.files.project.display(), images.join(", ")));
    }
    output.line(format_args!("wrote {}: the token", token_file.display()));
    output.line(format_args!("wrote {}: [compat.docker_puller]", config.display()));
    if let Some(bytes) = short_token {
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
        "  stop docker-puller                         it listened on {address}; `listen` in config.toml says where windlass does"
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
