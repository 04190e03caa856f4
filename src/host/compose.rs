//! Runs `docker compose`, as the operator would in the project's directory, and reads what it makes of its files.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use serde::Deserialize;

use super::engine::refusal::is_about_an_image_that_comes_or_goes;
use super::program::exec::{ExecError, Output, Run};
use super::program::runs::Record;
use super::{HostError, Narrator};
use crate::deploy::spec::Compose;

/// Reading files takes a moment; a file on a network that hangs is given up.
const READING: Duration = Duration::from_secs(30);
/// No compose file is larger than this when all is filled in.
const LARGEST: usize = 16 * 1024 * 1024;
const NO_COMPOSE: &str = "Compose v2 is missing: install the plugin `docker compose` \
    (docker-compose-plugin, docker-compose-v2 or docker-compose 2, as the distribution calls it)";

/// `docker compose` for one project of this host.
#[derive(Debug)]
pub(crate) struct ComposeCommand<'a> {
    pub(crate) spec: &'a Compose,
    /// So that Compose speaks to the same engine as windlass.
    pub(crate) engine: &'a str,
    /// Docker's own configuration, where another than the default one was chosen.
    pub(crate) docker_config: Option<&'a Path>,
}

/// What Compose makes of its files: of services with active profiles.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Model {
    pub(crate) name: String,
    pub(crate) services: BTreeMap<String, ModelService>,
    pub(crate) networks: BTreeMap<String, Resource>,
    pub(crate) volumes: BTreeMap<String, Resource>,
}

/// A network or a volume.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Resource {
    /// What the engine calls it.
    pub(crate) name: String,
    /// `true` where it must be there already. Compose of before wrote an object.
    external: serde_json::Value,
}

/// One service, as far as windlass asks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct ModelService {
    pub(crate) image: Option<String>,
    /// Compose writes into this what follows from other settings, such as `network_mode: service:x`, as well.
    pub(crate) depends_on: BTreeMap<String, Dependency>,
    container_name: Option<String>,
    scale: Option<u32>,
    deploy: Option<Deploy>,
    network_mode: Option<String>,
    pid: Option<String>,
    ipc: Option<String>,
    networks: Option<BTreeMap<String, serde_json::Value>>,
    volumes: Vec<Mount>,
    pub(crate) ports: Vec<Port>,
    pub(crate) pull_policy: Option<String>,
    pub(crate) healthcheck: Option<HealthCheck>,
}

/// A port that is published.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Port {
    pub(crate) host_ip: Option<String>,
    /// A text, or a number.
    pub(crate) published: serde_json::Value,
    pub(crate) protocol: Option<String>,
}

/// A health check as the files have it; durations as Compose writes them, such as `5m0s`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct HealthCheck {
    test: serde_json::Value,
    disable: bool,
    pub(crate) start_period: Option<String>,
    pub(crate) interval: Option<String>,
    pub(crate) retries: Option<u32>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Mount {
    #[serde(rename = "type")]
    kind: String,
    source: Option<String>,
}

/// How one service needs another.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Dependency {
    pub(crate) condition: Condition,
    /// The service is to be restarted when the other one was replaced.
    pub(crate) restart: bool,
}

/// When the other one has done what is needed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub(crate) enum Condition {
    #[serde(rename = "service_healthy")]
    Healthy,
    #[serde(rename = "service_completed_successfully")]
    Completed,
    #[default]
    #[serde(rename = "service_started", other)]
    Started,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Deploy {
    replicas: Option<u32>,
}

impl Model {
    fn read(json: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(json).map_err(|error| format!("its output is not what was expected: {error}"))
    }
}

impl Resource {
    /// Whether somebody else makes it.
    pub(crate) fn is_external(&self) -> bool {
        self.external.as_bool().unwrap_or(!self.external.is_null())
    }
}

impl HealthCheck {
    /// Whether the files switch off the check that the image may have.
    pub(crate) fn is_off(&self) -> bool {
        self.disable || self.test.get(0).and_then(serde_json::Value::as_str) == Some("NONE")
    }
}

impl ModelService {
    /// The networks that it is attached to, by their names in the files.
    pub(crate) fn networks(&self) -> impl Iterator<Item = &str> {
        self.networks.iter().flat_map(BTreeMap::keys).map(String::as_str)
    }

    /// The volumes with a name that it uses, by their names in the files.
    pub(crate) fn volumes(&self) -> impl Iterator<Item = &str> {
        self.volumes.iter().filter(|mount| mount.kind == "volume").filter_map(|mount| mount.source.as_deref())
    }

    /// How many containers the files ask for.
    pub(crate) fn replicas(&self) -> u32 {
        self.scale.or_else(|| self.deploy.as_ref()?.replicas).unwrap_or(1)
    }

    /// The name that the files choose for its container, if they do.
    pub(crate) fn container_name(&self) -> Option<&str> {
        self.container_name.as_deref()
    }

    /// Whether it lives in a namespace of `other`, and so is cut off when that one's container is replaced.
    pub(crate) fn lives_in(&self, other: &str) -> bool {
        [&self.network_mode, &self.pid, &self.ipc]
            .into_iter()
            .flatten()
            .any(|mode| mode.strip_prefix("service:").is_some_and(|service| service == other))
    }
}

impl ComposeCommand<'_> {
    /// What Compose makes of the files.
    pub(crate) async fn config(&self) -> Result<Model, HostError> {
        let output = self.run("config", &["config", "--format", "json"], READING, None, None).await?;
        if output.stdout.is_cut() {
            return Err(failed("config", "its output is larger than 16 MiB"));
        }
        Model::read(output.stdout.bytes()).map_err(|reason| failed("config", &reason))
    }

    /// The major and minor version of Compose.
    pub(crate) async fn version(&self) -> Result<(u32, u32), HostError> {
        let output = self.run("version", &["version", "--short"], READING, None, None).await?;
        let said = String::from_utf8_lossy(output.stdout.bytes());
        version(&said).ok_or_else(|| failed("version", &format!("{:?} is not a version", said.trim())))
    }

    /// For each service of the files, what Compose compares with what it noted on a container, to see whether it must
    /// replace it.
    pub(crate) async fn config_hashes(&self) -> Result<BTreeMap<String, String>, HostError> {
        let output = self.run("config", &["config", "--hash", "*"], READING, None, None).await?;
        let said = String::from_utf8_lossy(output.stdout.bytes());
        let pair =
            |line: &str| line.trim().split_once(' ').map(|(service, hash)| (service.to_owned(), hash.to_owned()));
        Ok(said.lines().filter_map(pair).collect())
    }

    /// Brings services up: nothing is built or pulled, and unless the options say otherwise, what the services depend on
    /// is brought along.
    pub(crate) async fn up(
        &self,
        options: &[&str],
        services: &[String],
        limit: Duration,
        record: Option<Record>,
        narrator: &Narrator,
    ) -> Result<(), HostError> {
        let mut arguments = vec!["up", "--detach", "--no-build", "--pull", "never"];
        arguments.extend(options);
        // What follows are services, whatever they are called.
        arguments.push("--");
        arguments.extend(services.iter().map(String::as_str));
        self.run("up", &arguments, limit, record, Some(narrator)).await.map(|_| ())
    }

    async fn run(
        &self,
        command: &'static str,
        arguments: &[&str],
        deadline: Duration,
        record: Option<Record>,
        narrator: Option<&Narrator>,
    ) -> Result<Output, HostError> {
        let arguments = self.arguments(arguments);
        let mut environment = vec![("DOCKER_HOST", self.engine.to_owned())];
        if let Some(directory) = self.docker_config {
            environment.push(("DOCKER_CONFIG", directory.display().to_string()));
        }
        let say = |line: &str| {
            if let Some(narrator) = narrator {
                narrator.say(remark(line).as_deref().unwrap_or(line));
            }
        };
        let run = Run {
            program: "docker",
            arguments: &arguments,
            directory: Some(&self.spec.directory),
            environment: &environment,
            input: None,
            deadline,
            keep: LARGEST,
            on_line: narrator.is_some().then_some(&say),
            record,
        };
        let output = run.output().await.map_err(|error| match error {
            ExecError::NotFound { .. } => {
                failed(command, &format!("docker is not installed, or not in PATH; {NO_COMPOSE}"))
            }
            ExecError::NoDirectory { directory } => {
                HostError::Target { reason: format!("the directory {directory} of the compose project does not exist") }
            }
            error @ ExecError::Short { .. } => HostError::Short { reason: error.to_string() },
            error => failed(command, &error.to_string()),
        })?;
        if output.status.success() {
            return Ok(output);
        }
        let error = refused(command, output.status, &String::from_utf8_lossy(output.stderr.bytes()));
        // Each version of the client words it otherwise, and takes offence at our options first.
        if !error.is_passing() && !is_installed(&environment).await {
            return Err(failed(command, NO_COMPOSE));
        }
        Err(error)
    }

    fn arguments(&self, command: &[&str]) -> Vec<String> {
        let mut arguments: Vec<String> = vec!["compose".to_owned(), "--ansi".to_owned(), "never".to_owned()];
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

fn failed(command: &'static str, reason: &str) -> HostError {
    HostError::Compose { command, reason: reason.to_owned() }
}

fn refused(command: &'static str, status: ExitStatus, said: &str) -> HostError {
    // The last is what a client says whose engine ended in the middle of an answer.
    const AWAY: [&str; 3] = ["Cannot connect to the Docker daemon", "error during connect", "unexpected EOF"];
    // What the engine answers may quote what an image says, and shows that the engine is there.
    let is_of_the_client = |line: &&str| !line.contains("Error response from daemon");
    if said.lines().filter(is_of_the_client).any(|line| AWAY.iter().any(|sign| line.contains(sign))) {
        return HostError::EngineAway { reason: essence(said) };
    }
    let said = essence(said);
    if is_about_an_image_that_comes_or_goes(&said) {
        return HostError::EngineDisturbed { reason: said };
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
pub(crate) mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;
    use crate::deploy::spec::tests::compose_of_shop;

    pub(crate) fn model(json: &str) -> Model {
        Model::read(json.as_bytes()).unwrap()
    }

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
            let error = refused("up", status, said);
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
    fn what_compose_prints_is_read() {
        let model = model(
            r#"{"name":"shop","services":{
              "api":{"image":"ghcr.io/acme/api:main","command":null,"environment":{"A":"b"},
                "depends_on":{"db":{"condition":"service_healthy","required":true},
                  "migrate":{"condition":"service_completed_successfully","restart":true},
                  "cache":{"condition":"service_new_thing"}},
                "deploy":{"replicas":3,"resources":{}},"ports":[{"target":8080}]},
              "sidecar":{"image":"x","network_mode":"service:api","scale":2},
              "built":{"build":{"context":"."}}},"networks":{}}"#,
        );
        assert_eq!(model.name, "shop");
        let (api, sidecar) = (&model.services["api"], &model.services["sidecar"]);
        assert_eq!((api.replicas(), sidecar.replicas(), model.services["built"].replicas()), (3, 2, 1));
        assert_eq!(api.depends_on["db"].condition, Condition::Healthy);
        assert_eq!(api.depends_on["cache"].condition, Condition::Started);
        assert!(api.depends_on["migrate"].restart && !api.depends_on["db"].restart);
        assert!(sidecar.lives_in("api") && !sidecar.lives_in("ap") && !api.lives_in("sidecar"));
        assert_eq!(model.services["built"].image, None);
    }

    #[test]
    fn the_command_is_what_the_operator_would_type() {
        let mut spec = compose_of_shop();
        spec.files = vec!["/srv/shop/compose.yaml".into(), "/srv/shop/prod.yaml".into()];
        spec.project_name = Some("store".to_owned());
        spec.profiles = vec!["web".to_owned()];
        spec.env_files = vec!["/srv/shop/prod.env".into()];
        let command = ComposeCommand { spec: &spec, engine: "unix:///x", docker_config: None };
        assert_eq!(
            command.arguments(&["config"]).join(" "),
            "compose --ansi never --file /srv/shop/compose.yaml --file /srv/shop/prod.yaml --project-name store \
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
        let command = ComposeCommand { spec: &spec, engine: "unix:///x", docker_config: None };
        let error = command.config().await.unwrap_err();
        assert_eq!(error.to_string(), "the directory /no/such/shop of the compose project does not exist");
    }
}
