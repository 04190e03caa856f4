//! `windlass init`: from a compose directory or a unit to a working hook. Writes a project file and a key, and nothing else.

mod choose;
mod project_file;
mod report;
mod snippet;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::exit::Exit;
use super::global::Global;
use super::new_files::NewFiles;
use super::output::Output;
use super::project_files::Files;
use crate::client::{Address, Failure, Kind};
use crate::config::{self, Settings};
use crate::daemon;
use crate::model::{Clock, ProjectName, Repository, UnitName};

use choose::Choice;
use project_file::{ProjectFile, Target};
use report::{Made, Report};

/// What a project's timeout is when its file does not say.
const TIMEOUT: Duration = Duration::from_secs(600);

/// Which project, and what puts it into service.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sudo windlass init shop --compose /srv/shop
  sudo windlass init site --unit site.service --image ghcr.io/acme/site
  sudo windlass --url https://deploy.example.com init shop --compose /srv/shop --ci github
  windlass --url https://deploy.example.com init shop --ci gitlab     for a project that is there already")]
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
    #[arg(long, value_name = "CI", value_parser = snippet::named)]
    ci: Option<snippet::Named>,
}

pub(super) async fn run(args: Args, global: &Global, output: &mut Output) -> Result<Exit, Failure> {
    let config = global.config_file(args.dir.as_deref())?;
    let directory = config.parent().unwrap_or(Path::new("/"));
    let url = global.url().map(Address::elsewhere).transpose()?;
    let files = Files::of(&args.project, directory);
    let mut report = Report {
        project: args.project,
        images: args.images,
        timeout: TIMEOUT,
        key: files.key.clone(),
        url: url.map(|url| url.to_string().trim_end_matches('/').to_owned()),
        listen: config::listen(&config),
        made: None,
    };
    match (args.compose, args.unit) {
        (Some(compose), _) => make_of_compose(&mut report, files, &compose).await?,
        (None, Some(unit)) => make(&mut report, files, &Target::Unit(&unit), Vec::new())?,
        (None, None) => look_up(&mut report, &config)?,
    }
    report.print(args.ci.as_ref().map(snippet::Named::all), output);
    Ok(Exit::Succeeded)
}

/// Makes a project of a compose directory.
async fn make_of_compose(report: &mut Report, files: Files, compose: &Path) -> Result<(), Failure> {
    let project = &report.project;
    files.must_be_new(project)?;
    let compose =
        fs::canonicalize(compose).map_err(|error| not_made(project, format!("{}: {error}", compose.display())))?;
    let mut left_out = Vec::new();
    if report.images.is_empty() {
        Choice { images: report.images, left_out } = images_of(project, &compose).await?;
    }
    make(report, files, &Target::Compose(&compose), left_out)
}

/// Writes the files of a new project.
fn make(
    report: &mut Report,
    files: Files,
    target: &Target<'_>,
    left_out: Vec<(String, String)>,
) -> Result<(), Failure> {
    files.must_be_new(&report.project)?;
    let text = ProjectFile {
        project: &report.project,
        images: &report.images,
        left_out: &left_out,
        target,
        key_file: &files.key_name,
    }
    .text();
    let mut new = NewFiles::default();
    files.write(&text, &mut new)?;
    new.keep();
    report.made = Some(Made { files, left_out });
    Ok(())
}

/// The images that the services in `compose` run and that CI may deploy.
async fn images_of(project: &ProjectName, compose: &Path) -> Result<Choice, Failure> {
    let services = daemon::compose_images(compose).await.map_err(|error| not_made(project, format!("{error:#}")))?;
    let choice = choose::choose(&services);
    if !choice.images.is_empty() {
        return Ok(choice);
    }
    let why: Vec<String> = choice.left_out.iter().map(|(service, why)| format!("{service} {why}")).collect();
    let why = if why.is_empty() { "there are no services".to_owned() } else { why.join("; ") };
    Err(not_made(project, format!("the compose files in {} name no image to deploy: {why}", compose.display()))
        .fix("let a service name the image that CI pushes, or name it here: --image REPOSITORY"))
}

/// Finds out what the configuration says about a project that is there.
fn look_up(report: &mut Report, config: &Path) -> Result<(), Failure> {
    let project = &report.project;
    let explicit = (config != Path::new(config::DEFAULT_PATH)).then_some(config);
    let (settings, _) = Settings::load(explicit, std::env::vars_os(), Clock::system().now()).map_err(|error| {
        Failure::new(Kind::Refused, "the configuration cannot be used", error).fix("windlass check says where and why")
    })?;
    let Some(known) = settings.projects.get(project) else {
        return Err(Failure::new(Kind::Refused, format!("there is no project {project}"), "it is not in projects.d")
            .fix(format!("make it: windlass init {project} --compose DIR, or --unit UNIT")));
    };
    report.images.clone_from(&known.spec.images);
    report.timeout = known.spec.timeout;
    Ok(())
}

fn not_made(project: &ProjectName, reason: impl std::fmt::Display) -> Failure {
    Failure::new(Kind::Refused, format!("the project {project} was not made"), reason)
}
