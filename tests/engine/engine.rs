//! The engine under test, as its own client sees it, and engines that one test has for itself.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::program::{PATIENCE, Program, Running, eventually};

/// An engine; the one of `DOCKER_HOST` unless it is another.
#[derive(Debug, Clone, Default)]
pub struct Engine {
    address: Option<String>,
}

/// A container as the engine describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    pub id: String,
    pub name: String,
    /// The id of what it was made from.
    pub image: String,
    /// `running`, `exited`, …
    pub state: String,
    pub exit_code: i64,
    pub started_at: String,
}

impl Engine {
    /// A docker command.
    pub fn docker(&self, words: &[&str]) -> Program {
        // Podman stumbles over any image that another test removes just then.
        let program = Program::new("docker").args(words).again_when("image not known");
        match &self.address {
            Some(address) => program.env("DOCKER_HOST", address),
            None => program,
        }
    }

    /// Its own client's command, for what Docker's does not do with it: Podman's API refuses `docker image prune --all`.
    pub fn own_client(&self, words: &[&str]) -> Program {
        let parts = self.docker(&["version", "--format", "{{range .Server.Components}}{{.Name}}, {{end}}"]).text();
        if !parts.contains("Podman") {
            return self.docker(words);
        }
        let address = self.address.clone().or_else(|| std::env::var("DOCKER_HOST").ok());
        Program::new("podman").env("CONTAINER_HOST", address.unwrap()).arg("--remote").args(words)
    }

    /// Whether a container was asked to stop. Docker tells by an event alone, Podman by the state alone.
    pub fn is_stopping(&self, id: &str) -> bool {
        let of_it = format!("container={id}");
        let told = ["events", "--since", "1h", "--until", "0s", "--filter", "event=kill", "--filter", &of_it];
        self.inspect(id).state == "stopping" || !self.docker(&told).text().is_empty()
    }

    /// What its containers run on, in the registries' words.
    pub fn architecture(&self) -> String {
        self.docker(&["version", "--format", "{{.Server.Arch}}"]).text()
    }

    /// `unix://…`, where it is not the one of `DOCKER_HOST`.
    pub fn address(&self) -> Option<&str> {
        self.address.as_deref()
    }

    /// The one container of a service of a compose project, if there is any.
    pub fn container(&self, project: &str, service: &str) -> Option<Container> {
        let ids = self.containers(&[
            &format!("label=com.docker.compose.project={project}"),
            &format!("label=com.docker.compose.service={service}"),
        ]);
        assert!(ids.len() <= 1, "{service} has several containers: {ids:?}");
        ids.first().map(|id| self.inspect(id))
    }

    /// The container of that id or name.
    pub fn inspect(&self, id: &str) -> Container {
        let json: Value = serde_json::from_str(&self.docker(&["container", "inspect", id]).text()).unwrap();
        let json = &json[0];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Container {
            id: text(&json["Id"]),
            name: text(&json["Name"]).trim_start_matches('/').to_owned(),
            image: text(&json["Image"]),
            state: text(&json["State"]["Status"]),
            exit_code: json["State"]["ExitCode"].as_i64().unwrap_or(-1),
            started_at: text(&json["State"]["StartedAt"]),
        }
    }

    /// The ids of all containers, those that do not run included, that pass the filters.
    pub fn containers(&self, filters: &[&str]) -> Vec<String> {
        let mut program = self.docker(&["ps", "--all", "--quiet", "--no-trunc"]);
        for filter in filters {
            program = program.args(["--filter", filter]);
        }
        program.text().lines().map(str::to_owned).collect()
    }

    /// The registry's digests of an image on this host, named by reference or id; none where it is not here.
    pub fn digests(&self, image: &str) -> Vec<String> {
        let output = self.docker(&["image", "inspect", image]).output();
        if output.code != 0 {
            return Vec::new();
        }
        let json: Value = serde_json::from_str(&output.stdout).unwrap();
        json[0]["RepoDigests"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    }
}

/// An engine that one test may stop and start: the `dockerd` of `PATH`, with storage of its own.
pub struct PrivateEngine {
    directory: PathBuf,
    process: Option<Running>,
    options: Vec<String>,
}

impl PrivateEngine {
    pub fn start(directory: &Path, options: &[&str]) -> Self {
        fs::create_dir_all(directory).unwrap();
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let mut engine = Self { directory: directory.to_owned(), process: None, options };
        engine.start_again();
        engine
    }

    pub fn engine(&self) -> Engine {
        Engine { address: Some(format!("unix://{}/docker.sock", self.directory.display())) }
    }

    /// Starts it after [`PrivateEngine::stop`].
    pub fn start_again(&mut self) {
        let root = Program::new("id").arg("-u").text() == "0";
        assert!(root, "starting an engine needs root; `make test` leaves this test out for others");
        let path = |name: &str| self.directory.join(name).display().to_string();
        let namespace = format!("windlass-test-{}", std::process::id());
        let log = self.directory.join("log");
        let process = Program::lasting("dockerd")
            .args(["--host", &format!("unix://{}", path("docker.sock")), "--data-root", &path("root")])
            .args(["--exec-root", &path("run"), "--pidfile", &path("pid"), "--bridge", "none", "--iptables=false"])
            .args([
                "--containerd-namespace",
                &namespace,
                "--containerd-plugins-namespace",
                &format!("{namespace}-plugins"),
            ])
            .args(&self.options)
            .start(&log);
        let process = self.process.insert(process);
        let engine = Engine { address: Some(format!("unix://{}/docker.sock", self.directory.display())) };
        eventually(PATIENCE, "the engine", || {
            if process.ended().is_some() {
                panic!("dockerd ended: {}", process.said());
            }
            (engine.docker(&["version"]).output().code == 0).then_some(())
        });
    }

    /// Stops it as its service manager does: its containers stop too.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.signal("TERM");
            process.wait(PATIENCE);
        }
    }
}

impl Drop for PrivateEngine {
    fn drop(&mut self) {
        self.stop();
    }
}
