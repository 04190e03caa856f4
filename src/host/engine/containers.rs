//! Containers, as the engine lists and describes them, and their logs.

use std::collections::HashMap;
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::query_parameters::{
    LogsOptions, RemoveContainerOptions, RenameContainerOptions, RestartContainerOptions, StopContainerOptions,
};
use futures_util::StreamExt as _;
use futures_util::future::try_join_all;
use serde::{Deserialize, Deserializer};
use tokio::time::timeout;

use super::client::Engine;
use super::container::{ContainerFacts, Health, RestartPolicy, State};
use super::labels::{CONFIG_HASH, NUMBER, SERVICE};
use super::raw::percent_encoded;
use super::refusal::Refusal;
use crate::host::{HostError, LogSink, LogWish};
use crate::model::{Timestamp, one_line};

/// How long logs are read: they help, but nobody waits for them.
const LOGS: Duration = Duration::from_secs(5);
/// What a container says is cut after so many characters a line.
const LONGEST_LINE: usize = 1000;
/// What is longer without the end of a line, in bytes, is several lines.
const LONGEST_UNENDED: usize = 64 * 1024;
/// What the engine may take besides when a container stops.
const REMOVAL: Duration = Duration::from_secs(60);

impl Engine {
    /// All containers that pass these filters.
    pub(in crate::host) async fn list(&self, filters: &[(&str, &[String])]) -> Result<Vec<Listed>, HostError> {
        let filters: HashMap<_, _> = filters.iter().copied().collect();
        let filters = serde_json::json!(filters).to_string();
        let answer = self.get(&format!("/containers/json?all=true&filters={}", percent_encoded(&filters))).await;
        answer.map_err(|refusal| refusal.during("list the containers"))
    }

    /// Describes each container of a list.
    pub(in crate::host) async fn look_at(
        &self,
        listed: impl Iterator<Item = &Listed>,
    ) -> Result<Vec<ContainerFacts>, HostError> {
        let looked_at = try_join_all(listed.map(|container| self.container(&container.id))).await?;
        // One that was removed in the meantime is none.
        Ok(looked_at.into_iter().flatten().collect())
    }

    /// One container, if it exists.
    pub(in crate::host) async fn container(&self, id: &str) -> Result<Option<ContainerFacts>, HostError> {
        match self.get(&format!("/containers/{id}/json")).await {
            Ok(answer) => Ok(Some(facts(answer, self.clock.now()))),
            Err(refusal) if refusal.is_absence() => Ok(None),
            Err(refusal) => Err(refusal.during("look at a container")),
        }
    }

    /// Hands on what a container writes, of both streams.
    pub(in crate::host) async fn log(&self, name: &str, wish: LogWish, sink: &LogSink) -> Result<(), HostError> {
        let link = self.link().await.map_err(|refusal| refusal.during("read a log"))?;
        let since = wish.since.map_or(0, |since| i32::try_from(since.as_seconds()).unwrap_or(i32::MAX));
        let tail = wish.lines.to_string();
        let options =
            LogsOptions { stdout: true, stderr: true, follow: wish.follow, since, tail, ..LogsOptions::default() };
        let mut stream = link.docker.logs(name, Some(options));
        let mut rest = Vec::new();
        while let Some(output) = stream.next().await {
            let output = output.map_err(|error| Refusal::from(error).during(&format!("read the log of {name}")))?;
            rest.extend_from_slice(&output.into_bytes());
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = rest.drain(..=end).collect();
                if !sink.hand_on(name, &String::from_utf8_lossy(&line)).await {
                    return Ok(());
                }
            }
            // What never ends a line is handed on in pieces.
            if rest.len() > LONGEST_UNENDED {
                sink.hand_on(name, &String::from_utf8_lossy(&std::mem::take(&mut rest))).await;
            }
        }
        if !rest.is_empty() {
            sink.hand_on(name, &String::from_utf8_lossy(&rest)).await;
        }
        Ok(())
    }

    /// The last lines that the container wrote, of both streams. Nothing when they cannot be had.
    pub(in crate::host) async fn log_tail(&self, id: &str, lines: usize) -> Vec<String> {
        let Ok(link) = self.link().await else { return Vec::new() };
        let options = LogsOptions { stdout: true, stderr: true, tail: lines.to_string(), ..LogsOptions::default() };
        let mut stream = link.docker.logs(id, Some(options));
        let mut bytes = Vec::new();
        let mut refused = None;
        let read = async {
            while let Some(output) = stream.next().await {
                let output = match output {
                    Ok(output) => output,
                    Err(error) => {
                        refused = Some(Refusal::from(error));
                        break;
                    }
                };
                let (LogOutput::StdOut { message }
                | LogOutput::StdErr { message }
                | LogOutput::StdIn { message }
                | LogOutput::Console { message }) = output;
                bytes.extend_from_slice(&message);
            }
        };
        // What was read until then helps as well.
        let _ = timeout(LOGS, read).await;
        if let (true, Some(Refusal::Status(_, why))) = (bytes.is_empty(), refused) {
            return vec![self.unreadable_log(id, &why).await];
        }
        let text = String::from_utf8_lossy(&bytes);
        let all: Vec<String> = text.lines().map(|line| one_line(line, LONGEST_LINE)).collect();
        all.get(all.len().saturating_sub(lines)..).unwrap_or_default().to_vec()
    }

    /// Stops a container, within its grace period, and starts it again.
    pub(in crate::host) async fn restart_container(&self, container: &ContainerFacts) -> Result<(), HostError> {
        let id = container.id.as_str();
        let patience = container.grace() + REMOVAL;
        let restart = self.ask_patiently(patience, |docker| async move {
            docker.restart_container(id, None::<RestartContainerOptions>).await
        });
        restart.await.map_err(|refusal| refusal.during(&format!("restart {}", container.name)))
    }

    /// What stands in the place of a log that the engine does not give out.
    async fn unreadable_log(&self, id: &str, why: &str) -> String {
        let inspected: Result<Inspected, _> = self.get(&format!("/containers/{id}/json")).await;
        let driver = inspected.ok().and_then(|found| found.host_config?.log_config).map(|config| config.kind);
        match driver.filter(|driver| !driver.is_empty()) {
            Some(driver) => format!("its log cannot be read (logging driver {driver})"),
            None => one_line(&format!("its log cannot be read: {why}"), LONGEST_LINE),
        }
    }

    /// Stops and removes a container, its named and anonymous volumes left alone.
    pub(in crate::host) async fn remove_container(&self, container: &ContainerFacts) -> Result<(), HostError> {
        self.stop_container(container).await?;
        let id = container.id.as_str();
        // Its restart policy may have started it again.
        let options = RemoveContainerOptions { force: true, ..RemoveContainerOptions::default() };
        let removal = self.ask_patiently(REMOVAL, |docker| {
            let options = options.clone();
            async move { docker.remove_container(id, Some(options)).await }
        });
        match removal.await {
            // 409: its removal is under way.
            Ok(()) | Err(Refusal::Status(404 | 409, _)) => Ok(()),
            Err(refusal) => Err(refusal.during(&format!("remove {}", container.name))),
        }
    }

    /// Stops a container, and returns when it has stopped.
    pub(in crate::host) async fn stop_container(&self, container: &ContainerFacts) -> Result<(), HostError> {
        let id = container.id.as_str();
        let patience = container.grace() + REMOVAL;
        let stop = self.ask_patiently(patience, |docker| async move {
            docker.stop_container(id, None::<StopContainerOptions>).await
        });
        match stop.await {
            Ok(()) | Err(Refusal::Status(304 | 404, _)) => Ok(()),
            Err(refusal) => Err(refusal.during(&format!("stop {}", container.name))),
        }
    }

    /// Removes a container that was never started; one that was started in the meantime stays.
    pub(in crate::host) async fn remove_unstarted(&self, container: &ContainerFacts) -> Result<(), HostError> {
        let id = container.id.as_str();
        let asked = self.ask_patiently(REMOVAL, |docker| async move {
            docker.remove_container(id, None::<RemoveContainerOptions>).await
        });
        match asked.await {
            Ok(()) | Err(Refusal::Status(404 | 409, _)) => Ok(()),
            Err(refusal) => Err(refusal.during(&format!("remove {}", container.name))),
        }
    }

    /// Gives a container another name. Where another container has that name in the meantime, it keeps its own.
    pub(in crate::host) async fn rename_container(
        &self,
        container: &ContainerFacts,
        name: &str,
    ) -> Result<(), HostError> {
        let id = container.id.as_str();
        let options = RenameContainerOptions { name: name.to_owned() };
        let asked = self.ask(|docker| {
            let options = options.clone();
            async move { docker.rename_container(id, options).await }
        });
        match asked.await {
            Ok(()) | Err(Refusal::Status(404 | 409, _)) => Ok(()),
            Err(refusal) => Err(refusal.during(&format!("rename {} to {name}", container.name))),
        }
    }
}

/// A container as a list shows it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(in crate::host) struct Listed {
    pub(in crate::host) id: String,
    #[serde(rename = "ImageID")]
    pub(in crate::host) image_id: String,
    pub(in crate::host) names: Vec<String>,
    pub(in crate::host) state: String,
    #[serde(deserialize_with = "or_none")]
    pub(in crate::host) labels: HashMap<String, String>,
}

/// What an engine may write as `null`.
fn or_none<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(value: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(value)?.unwrap_or_default())
}

/// A container as it is inspected. The engine leaves out, or writes as `null`, what it has nothing to say about.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Inspected {
    id: String,
    name: String,
    image: String,
    created: String,
    restart_count: i64,
    state: InspectedState,
    host_config: Option<InspectedHost>,
    config: Option<InspectedConfig>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct InspectedState {
    status: String,
    exit_code: i64,
    #[serde(rename = "OOMKilled")]
    out_of_memory: bool,
    error: String,
    started_at: String,
    health: Option<InspectedHealth>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct InspectedHealth {
    status: String,
    log: Option<Vec<InspectedCheck>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct InspectedCheck {
    exit_code: i64,
    output: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct InspectedHost {
    restart_policy: Option<InspectedPolicy>,
    port_bindings: Option<HashMap<String, serde_json::Value>>,
    log_config: Option<InspectedLog>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct InspectedLog {
    #[serde(rename = "Type")]
    kind: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct InspectedPolicy {
    name: String,
    maximum_retry_count: i64,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct InspectedConfig {
    image: String,
    labels: Option<HashMap<String, String>>,
    stop_timeout: Option<u64>,
}

fn facts(answer: Inspected, now: Timestamp) -> ContainerFacts {
    let config = answer.config.unwrap_or_default();
    let labels = config.labels.unwrap_or_default();
    let label = |name: &str| labels.get(name).cloned().unwrap_or_default();
    let host = answer.host_config.unwrap_or_default();
    let policy = host.restart_policy.unwrap_or_default();
    let serves = host.port_bindings.is_some_and(|ports| !ports.is_empty());
    let state = answer.state;
    let (health, health_log) = state.health.map_or((None, Vec::new()), health);
    ContainerFacts {
        id: answer.id,
        name: answer.name.trim_start_matches('/').to_owned(),
        service: label(SERVICE),
        number: label(NUMBER).parse().unwrap_or(0),
        created: answer.created,
        config_hash: label(CONFIG_HASH),
        image_id: with_algorithm(answer.image),
        image: config.image,
        stop_timeout: config.stop_timeout.map(Duration::from_secs),
        state: match state.status.as_str() {
            "running" | "stopping" => State::Running,
            "paused" => State::Paused,
            "restarting" => State::Restarting,
            // The latter is Podman's, when it has not cleaned up yet.
            "exited" | "stopped" => State::Exited,
            "removing" | "dead" => State::Dead,
            _ => State::Created,
        },
        exit_code: state.exit_code,
        out_of_memory: state.out_of_memory,
        error: one_line(&state.error, LONGEST_LINE),
        restarts: answer.restart_count,
        uptime: state.started_at.parse().map_or(Duration::ZERO, |start| now.since(start)),
        started_at: state.started_at,
        policy: match policy.name.as_str() {
            "always" | "unless-stopped" => RestartPolicy::Always,
            "on-failure" => RestartPolicy::OnFailure(policy.maximum_retry_count),
            _ => RestartPolicy::No,
        },
        health,
        health_log,
        serves,
    }
}

/// An image's id. Podman leaves the algorithm out in places.
pub(in crate::host) fn with_algorithm(id: String) -> String {
    if id.is_empty() || id.contains(':') { id } else { format!("sha256:{id}") }
}

/// What the health check says, and its last three results.
fn health(health: InspectedHealth) -> (Option<Health>, Vec<String>) {
    let status = match health.status.as_str() {
        "starting" => Some(Health::Starting),
        "healthy" => Some(Health::Healthy),
        "unhealthy" => Some(Health::Unhealthy),
        _ => None,
    };
    let log = health.log.unwrap_or_default();
    let said = log.get(log.len().saturating_sub(3)..).unwrap_or_default().iter().map(|check| {
        one_line(&format!("exit code {}: {}", check.exit_code, check.output.trim().replace('\n', " ")), LONGEST_LINE)
    });
    (status, said.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> ContainerFacts {
        facts(serde_json::from_str(text).unwrap(), "2026-11-20T10:00:05Z".parse().unwrap())
    }

    #[test]
    fn an_answer_of_the_engine_becomes_facts() {
        let facts = read(
            r#"{"Id":"c1","Name":"/shop-api-1","RestartCount":2,"Image":"sha256:ab","Created":"2026-11-20T10:00:00Z",
            "State":{"Status":"restarting","ExitCode":137,"OOMKilled":true,"StartedAt":"2026-11-20T10:00:01.5Z",
              "Health":{"Status":"unhealthy","Log":[{"ExitCode":0,"Output":"1"},{"ExitCode":1,"Output":"2"},
                {"ExitCode":1,"Output":"3"},{"ExitCode":1,"Output":"no\nway\n"}]}},
            "HostConfig":{"RestartPolicy":{"Name":"on-failure","MaximumRetryCount":5}},
            "Config":{"Image":"r.io/api:main","StopTimeout":30,
              "Labels":{"com.docker.compose.service":"api","com.docker.compose.container-number":"2"}}}"#,
        );
        assert_eq!((facts.name.as_str(), facts.service.as_str(), facts.number), ("shop-api-1", "api", 2));
        assert_eq!((facts.state, facts.policy), (State::Restarting, RestartPolicy::OnFailure(5)));
        assert_eq!((facts.uptime, facts.grace()), (Duration::from_millis(3500), Duration::from_secs(30)));
        assert_eq!(facts.state_words(), "restarting, restarted 2 times, exit code 137");
        assert_eq!(facts.health, Some(Health::Unhealthy));
        assert_eq!(facts.health_log, ["exit code 1: 2", "exit code 1: 3", "exit code 1: no way"]);
        assert!(!facts.serves, "a health check makes no server");
        assert!(read(r#"{"HostConfig":{"PortBindings":{"80/tcp":[{"HostPort":"8080"}]}}}"#).serves);
    }

    #[test]
    fn what_an_engine_leaves_out_or_names_differently_is_no_trouble() {
        let facts = read(
            r#"{"Id":"c1","Image":"ab","State":{"Status":"stopped","Health":{"Status":"","Log":null}},
            "HostConfig":{"RestartPolicy":null},"Config":{"Labels":null,"StopTimeout":null}}"#,
        );
        assert_eq!((facts.state, facts.health, facts.policy), (State::Exited, None, RestartPolicy::No));
        assert_eq!(facts.image_id, "sha256:ab");
        assert_eq!(read(r#"{"State":{"Status":"a new one"},"HostConfig":null,"Config":null}"#).state, State::Created);
    }
}
