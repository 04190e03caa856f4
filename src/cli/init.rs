//! `windlass init`: from a compose directory or a unit to a working hook. Writes a project file and a key, and nothing else.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::exit::Exit;
use super::global::Global;
use super::output::{Output, Style};
use crate::client::{Address, Failure};
use crate::model::{ProjectName, Repository, UnitName, one_line};
use crate::setup::{Ci, KEY_ID, Made, Project, Purpose};

/// Which project, and what puts it into service.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sudo windlass init shop --compose /srv/shop
  sudo windlass init site --unit site.service --image ghcr.io/acme/site
  sudo windlass --url https://deploy.example.com init shop --compose /srv/shop --ci github
  windlass --url https://deploy.example.com init shop --ci gitlab     for a project that is there already
  windlass --url https://deploy.example.com init shop --ci github --plan     what a pull request would deploy")]
pub(super) struct Args {
    /// The name that the project shall have
    project: ProjectName,
    /// The directory of its compose files
    #[arg(long, value_name = "DIR", required_unless_present_any = ["unit", "ci"])]
    compose: Option<PathBuf>,
    /// The unit of systemd that runs it, such as site.service; then --image says what
    #[arg(long, value_name = "UNIT", conflicts_with = "compose", requires = "images")]
    unit: Option<UnitName>,
    /// A repository that may be deployed; what the compose files use when it is not given
    #[arg(id = "images", long = "image", value_name = "REPOSITORY")]
    images: Vec<Repository>,
    /// Where the configuration is, when it is not where config.toml is
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Print what to paste into github, gitlab, circleci, jenkins, teamcity, shell, or all; without --compose and
    /// --unit, nothing else is done
    #[arg(long, value_name = "CI", value_parser = chosen)]
    ci: Option<Chosen>,
    /// What is printed shows what a deployment would do, and deploys nothing: for pull requests
    #[arg(long, requires = "ci")]
    plan: bool,
}

/// The places that somebody named.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Chosen(Vec<Ci>);

/// Reads the name of a place; `all` means all of them.
fn chosen(text: &str) -> Result<Chosen, String> {
    if text == "all" {
        return Ok(Chosen(Ci::ALL.to_vec()));
    }
    let found = Ci::ALL.into_iter().find(|ci| ci.name() == text);
    found.map(|ci| Chosen(vec![ci])).ok_or_else(|| format!("known are {} and all", Ci::ALL.map(Ci::name).join(", ")))
}

pub(super) async fn run(args: Args, global: &Global, output: &mut Output) -> Result<Exit, Failure> {
    let Args { project, compose, unit, images, dir, ci, plan } = args;
    let config = global.config_file(dir.as_deref())?;
    let url = global.url().map(Address::elsewhere).transpose()?;
    let url = url.map(|url| url.to_string().trim_end_matches('/').to_owned());
    let project = match (compose, unit) {
        (Some(directory), _) => Project::of_compose(project, images, &directory, &config).await?,
        (None, Some(unit)) => Project::of_unit(project, images, &unit, &config)?,
        (None, None) => Project::configured(project, &config)?,
    };
    let purpose = if plan { Purpose::Plan } else { Purpose::Deploy };
    let snippet = |ci: Ci| project.snippet(ci, purpose, url.as_deref());
    let snippets = ci.as_ref().map_or(&[Ci::Shell][..], |chosen| &chosen.0);
    if output.is_json() {
        let snippets: Map<String, Value> =
            snippets.iter().map(|ci| (ci.name().to_owned(), snippet(*ci).into())).collect();
        output.document(&json!({
            "project": project.name,
            "project_file": project.made.as_ref().map(|made| &made.project_file),
            "key_file": project.key_file,
            "images": project.images,
            "snippets": snippets,
        }));
        return Ok(Exit::Succeeded);
    }
    if let Some(made) = &project.made {
        print_made(&project, made, output);
    }
    output.line(format_args!("In CI, keep what `{}` shows as the secret WINDLASS_KEY_HEX.", project.key_hex()));
    for ci in snippets {
        output.line("");
        output.line(output.paint(Style::Bold, &format!("# {}", ci.title())));
        snippet(*ci).lines().for_each(|line| output.line(line));
    }
    if ci.is_none() {
        let others = Ci::ALL.map(Ci::name).join("|");
        output.line("");
        output.line(format_args!("For other places: windlass init {} --ci {others}|all", project.name));
    }
    Ok(Exit::Succeeded)
}

fn print_made(project: &Project, made: &Made, output: &mut Output) {
    let images: Vec<String> = project.images.iter().map(ToString::to_string).collect();
    output.line(format_args!("wrote {}: deploys {}", made.project_file.display(), images.join(", ")));
    for (service, why) in &made.left_out {
        output.line(one_line(&format!("  not deployed: {service} {why}"), 300));
    }
    output.line(format_args!("wrote {}: the key `{KEY_ID}`, scheme standard", project.key_file.display()));
    output.line("");
    output.line("Next, on this host:");
    output.line("  windlass check                     is everything there that a deployment needs?");
    output.line("  sudo systemctl reload windlass     takes the project in");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_found_by_its_name() {
        for ci in Ci::ALL {
            assert_eq!(chosen(ci.name()), Ok(Chosen(vec![ci])));
        }
        assert_eq!(chosen("all"), Ok(Chosen(Ci::ALL.to_vec())));
        assert!(chosen("travis").unwrap_err().contains("circleci"));
    }
}
