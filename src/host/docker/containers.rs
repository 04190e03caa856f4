//! Containers of a Compose project, as the engine describes them, and their logs.

use std::time::Duration;

use bollard::container::LogOutput;
use bollard::models::{
    ContainerInspectResponse, ContainerState, ContainerStateStatusEnum, HealthStatusEnum, RestartPolicyNameEnum,
};
use bollard::query_parameters::{
    InspectContainerOptions, ListContainersOptions, LogsOptions, RemoveContainerOptions, StopContainerOptions,
};
use futures_util::StreamExt as _;
use futures_util::future::try_join_all;
use tokio::time::timeout;

use super::{Engine, Refusal};
use crate::host::HostError;
use crate::host::container::{ContainerFacts, Health, RestartPolicy, State};
use crate::model::{Timestamp, one_line};

const PROJECT: &str = "com.docker.compose.project";
const SERVICE: &str = "com.docker.compose.service";
const NUMBER: &str = "com.docker.compose.container-number";
const WORKING_DIRECTORY: &str = "com.docker.compose.project.working_dir";
/// Set by Compose on every container; `True` on those of `docker compose run`.
const NO_ONE_OFF: &str = "com.docker.compose.oneoff=False";

/// How long logs are read: they help, but nobody waits for them.
const LOGS: Duration = Duration::from_secs(5);
/// What a container says is cut after so many characters a line.
const LONGEST_LINE: usize = 1000;
/// How long a container without a grace period of its own has to stop, and what the engine may take besides.
const GRACE: Duration = Duration::from_secs(10);
const REMOVAL: Duration = Duration::from_secs(60);

impl Engine {
    /// The services' containers of the Compose project, one-off ones left out.
    pub(crate) async fn containers(&self, project: &str) -> Result<Vec<ContainerFacts>, HostError> {
        self.containers_with(vec![format!("{PROJECT}={project}"), NO_ONE_OFF.to_owned()]).await
    }

    /// The names of the Compose projects that have containers from `directory`.
    pub(crate) async fn projects_of(&self, directory: &str) -> Result<Vec<String>, HostError> {
        let labels = vec![format!("{WORKING_DIRECTORY}={directory}"), NO_ONE_OFF.to_owned()];
        let mut projects: Vec<String> =
            self.list(labels).await?.into_iter().filter_map(|container| container.labels?.remove(PROJECT)).collect();
        projects.sort();
        projects.dedup();
        Ok(projects)
    }

    pub(super) async fn list(&self, labels: Vec<String>) -> Result<Vec<bollard::models::ContainerSummary>, HostError> {
        let options = ListContainersOptions {
            all: true,
            filters: Some([("label".to_owned(), labels)].into()),
            ..ListContainersOptions::default()
        };
        let asked = self.ask(|docker| {
            let options = options.clone();
            async move { docker.list_containers(Some(options)).await }
        });
        asked.await.map_err(|refusal| refusal.during("list the containers"))
    }

    async fn containers_with(&self, labels: Vec<String>) -> Result<Vec<ContainerFacts>, HostError> {
        let listed = self.list(labels).await?;
        let ids: Vec<String> = listed.into_iter().filter_map(|container| container.id).collect();
        let looked_at = try_join_all(ids.iter().map(|id| self.container(id))).await?;
        // One that was removed in the meantime is none.
        Ok(looked_at.into_iter().flatten().collect())
    }

    /// One container, if it exists.
    pub(crate) async fn container(&self, id: &str) -> Result<Option<ContainerFacts>, HostError> {
        let asked =
            self.ask(|docker| async move { docker.inspect_container(id, None::<InspectContainerOptions>).await });
        match asked.await {
            Ok(answer) => Ok(Some(facts(answer, self.clock.now()))),
            Err(refusal) if refusal.is_absence() => Ok(None),
            Err(refusal) => Err(refusal.during("look at a container")),
        }
    }

    /// The last lines that the container wrote, of both streams. Nothing when they cannot be had.
    pub(crate) async fn log_tail(&self, id: &str, lines: usize) -> Vec<String> {
        let Ok(link) = self.link().await else { return Vec::new() };
        let options = LogsOptions { stdout: true, stderr: true, tail: lines.to_string(), ..LogsOptions::default() };
        let mut stream = link.docker.logs(id, Some(options));
        let mut bytes = Vec::new();
        let read = async {
            while let Some(Ok(output)) = stream.next().await {
                let (LogOutput::StdOut { message }
                | LogOutput::StdErr { message }
                | LogOutput::StdIn { message }
                | LogOutput::Console { message }) = output;
                bytes.extend_from_slice(&message);
            }
        };
        // What was read until then helps as well.
        let _ = timeout(LOGS, read).await;
        let text = String::from_utf8_lossy(&bytes);
        let all: Vec<String> = text.lines().map(|line| one_line(line, LONGEST_LINE)).collect();
        all.get(all.len().saturating_sub(lines)..).unwrap_or_default().to_vec()
    }

    /// Stops and removes a container, its named and anonymous volumes left alone.
    pub(crate) async fn remove_container(&self, container: &ContainerFacts) -> Result<(), HostError> {
        let id = container.id.as_str();
        let patience = container.grace.unwrap_or(GRACE) + REMOVAL;
        let stop = self.ask_patiently(patience, |docker| async move {
            docker.stop_container(id, None::<StopContainerOptions>).await
        });
        match stop.await {
            Ok(()) | Err(Refusal::Status(304 | 404, _)) => {}
            Err(refusal) => return Err(refusal.during(&format!("stop {}", container.name))),
        }
        self.remove_by_name(id, false).await.map_err(|refusal| refusal.during(&format!("remove {}", container.name)))
    }

    pub(super) async fn remove_by_name(&self, name: &str, with_anonymous_volumes: bool) -> Result<(), Refusal> {
        let options =
            RemoveContainerOptions { force: true, v: with_anonymous_volumes, ..RemoveContainerOptions::default() };
        let asked = self.ask_patiently(REMOVAL, |docker| {
            let options = options.clone();
            async move { docker.remove_container(name, Some(options)).await }
        });
        match asked.await {
            // 409: its removal is under way.
            Ok(()) | Err(Refusal::Status(404 | 409, _)) => Ok(()),
            Err(refusal) => Err(refusal),
        }
    }
}

fn facts(answer: ContainerInspectResponse, now: Timestamp) -> ContainerFacts {
    let config = answer.config.unwrap_or_default();
    let labels = config.labels.unwrap_or_default();
    let label = |name: &str| labels.get(name).cloned().unwrap_or_default();
    let state = answer.state.unwrap_or_default();
    let policy = answer.host_config.and_then(|host| host.restart_policy).unwrap_or_default();
    let (health, health_log) = health(&state);
    let started_at = state.started_at.unwrap_or_default();
    ContainerFacts {
        id: answer.id.unwrap_or_default(),
        name: answer.name.unwrap_or_default().trim_start_matches('/').to_owned(),
        service: label(SERVICE),
        number: label(NUMBER).parse().unwrap_or(0),
        created: answer.created.unwrap_or_default(),
        image_id: answer.image.unwrap_or_default(),
        image: config.image.unwrap_or_default(),
        grace: config.stop_timeout.and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs),
        state: match state.status {
            Some(ContainerStateStatusEnum::RUNNING | ContainerStateStatusEnum::STOPPING) => State::Running,
            Some(ContainerStateStatusEnum::PAUSED) => State::Paused,
            Some(ContainerStateStatusEnum::RESTARTING) => State::Restarting,
            Some(ContainerStateStatusEnum::EXITED) => State::Exited,
            Some(ContainerStateStatusEnum::REMOVING | ContainerStateStatusEnum::DEAD) => State::Dead,
            Some(ContainerStateStatusEnum::CREATED | ContainerStateStatusEnum::EMPTY) | None => State::Created,
        },
        exit_code: state.exit_code.unwrap_or(0),
        out_of_memory: state.oom_killed.unwrap_or(false),
        error: one_line(&state.error.unwrap_or_default(), LONGEST_LINE),
        restarts: answer.restart_count.unwrap_or(0),
        uptime: started_at.parse().map_or(Duration::ZERO, |start| now.since(start)),
        started_at,
        policy: match policy.name {
            Some(RestartPolicyNameEnum::ALWAYS | RestartPolicyNameEnum::UNLESS_STOPPED) => RestartPolicy::Always,
            Some(RestartPolicyNameEnum::ON_FAILURE) => {
                RestartPolicy::OnFailure(policy.maximum_retry_count.unwrap_or(0))
            }
            Some(RestartPolicyNameEnum::NO | RestartPolicyNameEnum::EMPTY) | None => RestartPolicy::No,
        },
        health,
        health_log,
    }
}

/// What the health check says, and its last three results.
fn health(state: &ContainerState) -> (Option<Health>, Vec<String>) {
    let Some(health) = &state.health else { return (None, Vec::new()) };
    let status = match health.status {
        Some(HealthStatusEnum::STARTING) => Some(Health::Starting),
        Some(HealthStatusEnum::HEALTHY) => Some(Health::Healthy),
        Some(HealthStatusEnum::UNHEALTHY) => Some(Health::Unhealthy),
        Some(HealthStatusEnum::NONE | HealthStatusEnum::EMPTY) | None => None,
    };
    let log = health.log.as_deref().unwrap_or_default();
    let said = log.get(log.len().saturating_sub(3)..).unwrap_or_default().iter().map(|result| {
        let output = result.output.as_deref().unwrap_or_default().replace('\n', " ");
        one_line(&format!("exit code {}: {output}", result.exit_code.unwrap_or(0)), LONGEST_LINE)
    });
    (status, said.collect())
}

#[cfg(test)]
mod tests {
    use bollard::models::{ContainerConfig, HealthcheckResult, HostConfig};

    use super::*;

    #[test]
    fn an_answer_of_the_engine_becomes_facts() {
        let text = r#"{"Id":"c1","Name":"/shop-api-1","RestartCount":2,"Image":"sha256:ab","Created":"2026-11-20T10:00:00Z",
            "State":{"Status":"restarting","ExitCode":137,"OOMKilled":true,"StartedAt":"2026-11-20T10:00:01.5Z","Health":{"Status":"unhealthy",
            "Log":[{"ExitCode":0,"Output":"1"},{"ExitCode":1,"Output":"2"},{"ExitCode":1,"Output":"3"},{"ExitCode":1,"Output":"no\nway\n"}]}},
            "HostConfig":{"RestartPolicy":{"Name":"on-failure","MaximumRetryCount":5}},
            "Config":{"Image":"r.io/api:main","StopTimeout":30,"Labels":{"com.docker.compose.service":"api","com.docker.compose.container-number":"2"}}}"#;
        let facts = facts(serde_json::from_str(text).unwrap(), "2026-11-20T10:00:05Z".parse().unwrap());
        assert_eq!((facts.name.as_str(), facts.service.as_str(), facts.number), ("shop-api-1", "api", 2));
        assert_eq!((facts.state, facts.policy), (State::Restarting, RestartPolicy::OnFailure(5)));
        assert_eq!(facts.uptime, Duration::from_millis(3500));
        assert_eq!(facts.grace, Some(Duration::from_secs(30)));
        assert_eq!(facts.state_words(), "restarting, restarted 2 times, exit code 137");
        assert_eq!(facts.health, Some(Health::Unhealthy));
        assert_eq!(facts.health_log, ["exit code 1: 2", "exit code 1: 3", "exit code 1: no way"]);
    }

    #[test]
    fn a_container_without_a_health_check_has_no_health() {
        let health = bollard::models::Health {
            status: Some(HealthStatusEnum::NONE),
            log: Some(vec![HealthcheckResult::default()]),
            ..bollard::models::Health::default()
        };
        let state = ContainerState {
            status: Some(ContainerStateStatusEnum::RUNNING),
            health: Some(health),
            ..ContainerState::default()
        };
        let answer = ContainerInspectResponse {
            state: Some(state),
            config: Some(ContainerConfig::default()),
            host_config: Some(HostConfig::default()),
            ..ContainerInspectResponse::default()
        };
        let facts = facts(answer, Timestamp::from_millis(0));
        assert_eq!((facts.state, facts.health, facts.policy), (State::Running, None, RestartPolicy::No));
    }
}
