//! A project whose hook CI shall call: made of a compose directory or a unit, or there already.

mod choose;
mod file;

use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::new_files::NewFiles;
use super::project_files::Files;
use super::snippet::{Ci, Hook, Purpose};
use crate::client::{Failure, Kind};
use crate::config::{self, Settings};
use crate::daemon;
use crate::model::{Clock, ProjectName, Repository, UnitName};

use choose::Choice;
use file::{ProjectFile, Target};

/// What a project's timeout is when its file does not say.
const TIMEOUT: Duration = Duration::from_secs(600);
/// What a snippet has for an address that is not known.
const SOMEWHERE: &str = "https://deploy.example.com";

/// A project whose hook CI shall call.
#[derive(Debug)]
pub(crate) struct Project {
    pub(crate) name: ProjectName,
    pub(crate) images: Vec<Repository>,
    /// Where the key for CI is.
    pub(crate) key_file: PathBuf,
    /// What was made just now.
    pub(crate) made: Option<Made>,
    timeout: Duration,
    /// Where windlass listens on this host.
    listen: String,
}

/// What was made just now, besides the key.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) project_file: PathBuf,
    /// Services that are left as they are, and why.
    pub(crate) left_out: Vec<(String, String)>,
}

impl Project {
    /// Makes one of the compose files in `directory`, beside config.toml in `config`. Without `images`, those are
    /// deployed that the compose files name.
    pub(crate) async fn of_compose(
        name: ProjectName,
        images: Vec<Repository>,
        directory: &Path,
        config: &Path,
    ) -> Result<Self, Failure> {
        // Before Compose is asked, which takes its time.
        files(&name, config).must_be_new(&name)?;
        let directory = fs::canonicalize(directory)
            .map_err(|error| not_made(&name, format!("{}: {error}", directory.display())))?;
        let choice = match images.as_slice() {
            [] => images_of(&name, &directory).await?,
            _ => Choice { images, left_out: Vec::new() },
        };
        Self::make(name, choice, &Target::Compose(&directory), config)
    }

    /// Makes one of `unit`, beside config.toml in `config`.
    pub(crate) fn of_unit(
        name: ProjectName,
        images: Vec<Repository>,
        unit: &UnitName,
        config: &Path,
    ) -> Result<Self, Failure> {
        Self::make(name, Choice { images, left_out: Vec::new() }, &Target::Unit(unit), config)
    }

    /// One that the configuration has already.
    pub(crate) fn configured(name: ProjectName, config: &Path) -> Result<Self, Failure> {
        let explicit = (config != Path::new(config::DEFAULT_PATH)).then_some(config);
        let (settings, _) = Settings::load(explicit, std::env::vars_os(), Clock::system().now()).map_err(|error| {
            Failure::new(Kind::Refused, "the configuration cannot be used", error)
                .fix("windlass check says where and why")
        })?;
        let Some(known) = settings.projects.get(&name) else {
            return Err(Failure::new(Kind::Refused, format!("there is no project {name}"), "it is not in projects.d")
                .fix(format!("make it: windlass init {name} --compose DIR, or --unit UNIT")));
        };
        Ok(Self {
            images: known.spec.images.clone(),
            key_file: files(&name, config).key,
            made: None,
            timeout: known.spec.timeout,
            listen: config::listen(config),
            name,
        })
    }

    fn make(name: ProjectName, choice: Choice, target: &Target<'_>, config: &Path) -> Result<Self, Failure> {
        let files = files(&name, config);
        files.must_be_new(&name)?;
        let Choice { images, left_out } = choice;
        let key_file = &files.key_name;
        let text = ProjectFile { project: &name, images: &images, left_out: &left_out, target, key_file }.text();
        let mut new = NewFiles::default();
        files.write(&text, &mut new)?;
        new.keep();
        Ok(Self {
            name,
            images,
            key_file: files.key,
            made: Some(Made { project_file: files.project, left_out }),
            timeout: TIMEOUT,
            listen: config::listen(config),
        })
    }

    /// What to paste into `ci`, for a windlass at `url`: where that is not known, on this host for a shell, and an
    /// example for all others.
    pub(crate) fn snippet(&self, ci: Ci, purpose: Purpose, url: Option<&str>) -> String {
        let here = format!("http://{}", self.listen);
        let unknown = if ci == Ci::Shell { &here } else { SOMEWHERE };
        ci.snippet(&Hook {
            project: &self.name,
            image: self.images.first(),
            url: url.unwrap_or(unknown),
            key_hex: &self.key_hex(),
            timeout: self.timeout,
            purpose,
        })
    }

    /// The command that shows the key in the form that openssl wants.
    pub(crate) fn key_hex(&self) -> String {
        format!("sudo windlass key hex {}", self.key_file.display())
    }
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

/// The files of `project`, beside config.toml in `config`.
fn files(project: &ProjectName, config: &Path) -> Files {
    Files::of(project, config.parent().unwrap_or(Path::new("/")))
}

fn not_made(project: &ProjectName, reason: impl Display) -> Failure {
    Failure::new(Kind::Refused, format!("the project {project} was not made"), reason)
}
