//! Runs `docker compose`, as the operator would in the project's directory.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use super::model::Model;
use super::plugin;
use crate::deploy::spec::Compose;
use crate::host::engine::refusal::is_about_an_image_that_comes_or_goes;
use crate::host::program::exec::{ExecError, Output, Run};
use crate::host::program::runs::Record;
use crate::host::{HostError, Reporter};

/// Reading files takes a moment; a file on a network that hangs is given up.
const READING: Duration = Duration::from_secs(30);
/// No compose file is larger than this when all is filled in.
const LARGEST: usize = 16 * 1024 * 1024;
const NO_COMPOSE: &str = "Compose v2 is missing: install the plugin `docker compose` \
    (docker-compose-plugin, docker-compose-v2 or docker-compose 2, as the distribution calls it)";

/// `docker compose` for one project of this host.
#[derive(Debug)]
pub(in crate::host) struct ComposeCommand<'a> {
    pub(in crate::host) spec: &'a Compose,
    /// So that Compose speaks to the same engine as windlass.
    pub(in crate::host) engine: &'a str,
    /// The directory of Docker's own configuration.
    pub(in crate::host) docker_config: &'a Path,
}

/// Why Compose did not do what was asked.
#[derive(Debug, Clone)]
pub(in crate::host) enum ComposeError {
    /// It says why, in its last lines.
    Refused {
        /// The subcommand.
        command: &'static str,
        reason: String,
    },
    /// It could not even try, or not just then.
    Host(HostError),
}

impl From<HostError> for ComposeError {
    fn from(error: HostError) -> Self {
        Self::Host(error)
    }
}

impl From<ComposeError> for HostError {
    fn from(error: ComposeError) -> Self {
        match error {
            ComposeError::Refused { command, reason } => {
                Self::failed(format!("docker compose {command} failed"), reason)
            }
            ComposeError::Host(error) => error,
        }
    }
}

impl ComposeCommand<'_> {
    /// What Compose makes of the files.
    pub(in crate::host) async fn config(&self) -> Result<Model, ComposeError> {
        let output = self.run("config", &["config", "--format", "json"], READING, None, None).await?;
        if output.stdout.is_cut() {
            return Err(failed("config", "its output is larger than 16 MiB"));
        }
        Model::read(output.stdout.bytes()).map_err(|reason| failed("config", &reason))
    }

    /// The major and minor version of Compose.
    pub(super) async fn version(&self) -> Result<(u32, u32), ComposeError> {
        let output = self.run("version", &["version", "--short"], READING, None, None).await?;
        let said = String::from_utf8_lossy(output.stdout.bytes());
        version(&said).ok_or_else(|| failed("version", &format!("{:?} is not a version", said.trim())))
    }

    /// For each service of the files, what Compose compares with what it noted on a container, to see whether it must
    /// replace it.
    pub(super) async fn config_hashes(&self) -> Result<BTreeMap<String, String>, ComposeError> {
        let output = self.run("config", &["config", "--hash", "*"], READING, None, None).await?;
        let said = String::from_utf8_lossy(output.stdout.bytes());
        let pair =
            |line: &str| line.trim().split_once(' ').map(|(service, hash)| (service.to_owned(), hash.to_owned()));
        Ok(said.lines().filter_map(pair).collect())
    }

    /// Brings services up: nothing is built or pulled, and unless the options say otherwise, what the services depend on
    /// is brought along.
    pub(super) async fn up(
        &self,
        options: &[&str],
        services: &[String],
        limit: Duration,
        record: Option<Record>,
        reporter: &Reporter,
    ) -> Result<(), ComposeError> {
        let mut arguments = vec!["up", "--detach", "--no-build", "--pull", "never"];
        arguments.extend(options);
        // What follows are services, whatever they are called.
        arguments.push("--");
        arguments.extend(services.iter().map(String::as_str));
        self.run("up", &arguments, limit, record, Some(reporter)).await.map(|_| ())
    }

    async fn run(
        &self,
        command: &'static str,
        arguments: &[&str],
        deadline: Duration,
        record: Option<Record>,
        reporter: Option<&Reporter>,
    ) -> Result<Output, ComposeError> {
        let mut arguments = self.arguments(arguments);
        let plugin = plugin::find(self.docker_config).and_then(|plugin| plugin.into_os_string().into_string().ok());
        if plugin.is_none() {
            arguments.insert(0, "compose".to_owned());
        }
        let docker_config = self.docker_config.display().to_string();
        let environment = [("DOCKER_HOST", self.engine.to_owned()), ("DOCKER_CONFIG", docker_config)];
        let say = |line: &str| {
            if let Some(reporter) = reporter.filter(|_| !is_progress(line)) {
                reporter.say(remark(line).as_deref().unwrap_or(line));
            }
        };
        let run = Run {
            program: plugin.as_deref().unwrap_or("docker"),
            arguments: &arguments,
            directory: Some(&self.spec.directory),
            environment: &environment,
            input: None,
            deadline,
            keep: LARGEST,
            on_line: reporter.is_some().then_some(&say),
            record,
        };
        let output = run.output().await.map_err(|error| match error {
            ExecError::NotFound { .. } => {
                failed(command, &format!("docker is not installed, or not in PATH; {NO_COMPOSE}"))
            }
            ExecError::NoDirectory { directory } => {
                let reason = format!("the directory {directory} of the compose project does not exist");
                HostError::refused("", reason).into()
            }
            error @ ExecError::Short { .. } => HostError::short_of_resources(error.to_string()).into(),
            error => failed(command, &error.to_string()),
        })?;
        if output.status.success() {
            return Ok(output);
        }
        let error = refused(command, output.status, &String::from_utf8_lossy(output.stderr.bytes()));
        // Each version of the client words it otherwise, and takes offence at our options first.
        let is_refused = matches!(error, ComposeError::Refused { .. });
        if plugin.is_none() && is_refused && !is_installed(&environment).await {
            return Err(failed(command, NO_COMPOSE));
        }
        Err(error)
    }

    fn arguments(&self, command: &[&str]) -> Vec<String> {
        let mut arguments: Vec<String> = vec!["--ansi".to_owned(), "never".to_owned()];
        let mut option = |name: &str, value: String| arguments.extend([name.to_owned(), value]);
        for file in &self.spec.files {
            option("--file", file.display().to_string());
        }
        if let Some(name) = &self.spec.project_name {
            option("--project-name", name.clone());
        }
        for profile in &self.spec.profiles {
            option("--profile", profile.clone());
        }
        for file in &self.spec.env_files {
            option("--env-file", file.display().to_string());
        }
        arguments.extend(command.iter().map(|word| (*word).to_owned()));
        arguments
    }
}

/// The first two numbers of a version such as `v2.26.1-4`.
fn version(said: &str) -> Option<(u32, u32)> {
    let mut numbers = said.trim().trim_start_matches('v').split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Whether the client has Compose at all. One that does not answer in time has it.
async fn is_installed(environment: &[(&'static str, String)]) -> bool {
    let run = Run {
        program: "docker",
        arguments: &["compose".to_owned(), "version".to_owned()],
        directory: None,
        environment,
        input: None,
        deadline: READING,
        keep: 1024,
        on_line: None,
        record: None,
    };
    run.output().await.map_or(true, |output| output.status.success())
}

fn failed(command: &'static str, reason: &str) -> ComposeError {
    ComposeError::Refused { command, reason: reason.to_owned() }
}

fn refused(command: &'static str, status: ExitStatus, said: &str) -> ComposeError {
    // The last is what a client says whose engine ended in the middle of an answer.
    const AWAY: [&str; 3] = ["Cannot connect to the Docker daemon", "error during connect", "unexpected EOF"];
    // What the engine answers may quote what an image says, and shows that the engine is there.
    let is_of_the_client = |line: &&str| !line.contains("Error response from daemon");
    if said.lines().filter(is_of_the_client).any(|line| AWAY.iter().any(|sign| line.contains(sign))) {
        return HostError::engine_away(essence(said)).into();
    }
    let said = essence(said);
    if is_about_an_image_that_comes_or_goes(&said) {
        return HostError::passing("the engine reported a transient error", said).into();
    }
    let code = status.code().map_or_else(|| status.to_string(), |code| format!("exit code {code}"));
    failed(command, &if said.is_empty() { code } else { said })
}

/// The last lines of what Compose said, without its progress and its warnings: the cause, once.
fn essence(said: &str) -> String {
    let says_why = |line: &&str| !line.is_empty() && !is_progress(line) && remark(line).is_none();
    let mut lines: Vec<&str> = said.lines().map(str::trim).filter(says_why).collect();
    // It says some things twice: of the container, and in the end.
    if let Some(last) = lines.last().copied() {
        let count = lines.len();
        let mut index = 0;
        lines.retain(|line| {
            index += 1;
            index == count || !line.ends_with(last)
        });
    }
    lines.get(lines.len().saturating_sub(5)..).unwrap_or_default().join("; ")
}

/// Whether a line is of the form `Container shop-api-1  Recreated`, and not `Container shop-api-1  Error: …`.
fn is_progress(line: &str) -> bool {
    let words: Vec<&str> = line.split_whitespace().collect();
    matches!(words.as_slice(), ["Container" | "Network" | "Volume" | "Image" | "Service", _, state]
        if state.bytes().all(|byte| byte.is_ascii_alphabetic()))
}

/// What a line of Compose's own log remarks: `time="…" level=warning msg="…"` is `warning: …`.
fn remark(line: &str) -> Option<String> {
    let (_, rest) = line.strip_prefix("time=")?.split_once(" level=")?;
    let (level, message) = rest.split_once(" msg=")?;
    let is_remark = matches!(level, "warning" | "info" | "debug" | "trace");
    is_remark.then(|| format!("{level}: {}", message.trim_matches('"').replace("\\\"", "\"")))
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;
    use crate::deploy::spec::tests::compose_of_shop;

    #[test]
    fn what_has_to_do_with_others_is_worth_another_try() {
        let status = ExitStatus::from_raw(1 << 8);
        for (said, passes) in [
            (
                "unable to get image 'r.io/a:live': Error response from daemon: locating image with ID \"d97\": image not known",
                true,
            ),
            ("Cannot connect to the Docker daemon at unix:///run/docker.sock. Is the docker daemon running?", true),
            ("Error response from daemon: No such image: r.io/a:live", false),
            (
                "Error response from daemon: failed to create task: exec: \"Cannot connect to the Docker daemon\": executable file not found in $PATH",
                false,
            ),
            ("", false),
        ] {
            let error = HostError::from(refused("up", status, said));
            assert_eq!(error.is_passing(), passes, "{error}");
        }
    }

    #[test]
    fn the_version_of_compose_is_read() {
        for (said, read) in [("2.26.1-4\n", Some((2, 26))), ("v2.40.3", Some((2, 40))), ("5.0.0", Some((5, 0)))] {
            assert_eq!(version(said), read, "{said}");
        }
        for said in ["", "2", "dev"] {
            assert_eq!(version(said), None, "{said}");
        }
    }

    #[test]
    fn the_command_is_what_the_operator_would_type() {
        let mut spec = compose_of_shop();
        spec.files = vec!["/srv/shop/compose.yaml".into(), "/srv/shop/prod.yaml".into()];
        spec.project_name = Some("store".to_owned());
        spec.profiles = vec!["web".to_owned()];
        spec.env_files = vec!["/srv/shop/prod.env".into()];
        let command = ComposeCommand { spec: &spec, engine: "unix:///x", docker_config: Path::new("/x") };
        assert_eq!(
            command.arguments(&["config"]).join(" "),
            "--ansi never --file /srv/shop/compose.yaml --file /srv/shop/prod.yaml --project-name store \
             --profile web --env-file /srv/shop/prod.env config"
        );
    }

    #[test]
    fn what_compose_says_is_told_from_its_progress() {
        let said = " Network shop_default  Created\n Container shop-db-1  Recreate\n Container shop-db-1  Healthy\n\
            Container shop-api-1  Error response from daemon: no\nservice \"migrate\" didn't complete successfully: exit 7\n";
        let expected = "Container shop-api-1  Error response from daemon: no; \
            service \"migrate\" didn't complete successfully: exit 7";
        assert_eq!(essence(said), expected);
    }

    #[test]
    fn warnings_and_progress_are_no_reasons() {
        let warning = "time=\"2026-11-26T01:00:00Z\" level=warning msg=\"The \\\"TAG\\\" variable is not set.\"";
        let said = format!("{warning}\n Container shop-api-1  Restart\nError response from daemon: no\n");
        assert_eq!(essence(&said), "Error response from daemon: no");
        assert_eq!(remark(warning).as_deref(), Some("warning: The \"TAG\" variable is not set."));
        assert_eq!(remark("time=\"x\" level=error msg=\"no\""), None);
    }

    #[tokio::test]
    async fn a_directory_that_is_not_there_is_named() {
        let mut spec = compose_of_shop();
        spec.directory = "/no/such/shop".into();
        let command = ComposeCommand { spec: &spec, engine: "unix:///x", docker_config: Path::new("/x") };
        let error = HostError::from(command.config().await.unwrap_err());
        assert_eq!(error.to_string(), "the directory /no/such/shop of the compose project does not exist");
    }
}
