//! A windlass with several projects, and the hands that reach into them.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use crate::engine::{Engine, PrivateEngine};
use crate::hook::{Answer, Hook, key_text};
use crate::program::{Output, PATIENCE, Program, Running, eventually};
use crate::run::{self, PASSWORD, Run, USER, free_port};
use crate::stack::{BAD, GOOD, Part, Shape, Stack, TIMEOUT};

pub struct Host {
    pub name: String,
    pub directory: PathBuf,
    pub engine: Engine,
    pub stacks: Vec<Stack>,
    pub parts: Vec<Part>,
    hooks: u16,
    daemon: Mutex<Option<Running>>,
    own_engine: Mutex<Option<PrivateEngine>>,
    disk: bool,
    /// The digests of what was published, by project and version.
    published: HashMap<(String, &'static str), String>,
}

impl Host {
    /// A host on the engine of `DOCKER_HOST`.
    pub fn new(shapes: &[Shape]) -> Self {
        Self::with(shapes, |_| None)
    }

    /// A host on an engine that may be restarted.
    pub fn on_an_engine_of_its_own(shapes: &[Shape]) -> Self {
        Self::with(shapes, |directory| Some(PrivateEngine::start(&directory.join("engine"), &[])))
    }

    fn with(shapes: &[Shape], own_engine: impl FnOnce(&Path) -> Option<PrivateEngine>) -> Self {
        let run = Run::get();
        let name = run.name_a_test();
        let directory = run.directory.join(&name);
        for part in ["projects.d", "state"] {
            fs::create_dir_all(directory.join(part)).unwrap();
        }
        let own_engine = own_engine(&directory);
        let stack = |(index, shape): (usize, &Shape)| Stack::new(format!("{name}-s{index}"), *shape);
        let stacks: Vec<Stack> = shapes.iter().enumerate().map(stack).collect();
        let size = ["-t", "tmpfs", "-o", "size=64m", "tmpfs"];
        let mut host = Self {
            engine: own_engine.as_ref().map(PrivateEngine::engine).unwrap_or_default(),
            parts: stacks.iter().flat_map(Stack::parts).collect(),
            stacks,
            hooks: free_port(),
            daemon: Mutex::new(None),
            own_engine: Mutex::new(own_engine),
            // Only root can mount one.
            disk: Program::new("mount").args(size).arg(directory.join("state")).output().code == 0,
            published: HashMap::new(),
            name,
            directory,
        };
        host.configure();
        host.publish();
        host
    }

    fn configure(&self) {
        let registry = &Run::get().registry.address;
        self.secret("registry.password", PASSWORD);
        let config = format!(
            "listen = \"127.0.0.1:{}\"\nsocket = \"windlass.sock\"\nstate_dir = \"state\"\n\
             [registries.\"{registry}\"]\nusername = \"{USER}\"\npassword_file = \"registry.password\"\n",
            self.hooks
        );
        fs::write(self.directory.join("config.toml"), config).unwrap();
        let script = self.directory.join("linger");
        fs::write(&script, "#!/bin/sh\nexec sleep \"$(cat \"$1\")\"\n").unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        for stack in &self.stacks {
            let file = stack.compose_file(&format!("{registry}/{}", stack.name), !self.has_an_engine_of_its_own());
            fs::create_dir_all(self.directory.join(&stack.name)).unwrap();
            fs::write(self.directory.join(&stack.name).join("compose.yaml"), file).unwrap();
        }
        for part in &self.parts {
            let (project, directory) = (&part.project, self.directory.display());
            let text = format!(
                "[projects.{project}]\nimages = [\"{}\"]\ntimeout = \"{TIMEOUT}s\"\n\
                 [[projects.{project}.keys]]\nid = \"ci\"\nscheme = \"standard\"\nsecret_file = \"../{project}.key\"\n\
                 [projects.{project}.compose]\ndirectory = \"{directory}/{}\"\n\
                 [projects.{project}.lifecycle]\nbefore = [\"{directory}/linger\", \"{directory}/{project}.seconds\"]\n\
                 deadline = \"10m\"\n[projects.{project}.health]\nwithin = \"40s\"\nsettle = \"500ms\"\n",
                self.repository(part),
                part.stack
            );
            fs::write(self.directory.join(format!("projects.d/{project}.toml")), text).unwrap();
            self.secret(&format!("{project}.key"), &key_text(&part.key));
            self.linger(part, 0);
        }
    }

    fn publish(&mut self) {
        let registry = &Run::get().registry;
        for part in &self.parts {
            let repository = format!("{}/{}", part.stack, part.repository);
            for version in GOOD.into_iter().chain(BAD) {
                let published = registry.publish(&repository, version, &part.image(version));
                self.published.insert((part.project.clone(), version), published.digest);
            }
            registry.publish(&format!("{}/db", part.stack), "1", &part.image("db"));
        }
    }

    fn secret(&self, name: &str, text: &str) {
        let path = self.directory.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    pub fn repository(&self, part: &Part) -> String {
        format!("{}/{}/{}", Run::get().registry.address, part.stack, part.repository)
    }

    pub fn digest(&self, part: &Part, version: &'static str) -> &str {
        &self.published[&(part.project.clone(), version)]
    }

    pub fn has_an_engine_of_its_own(&self) -> bool {
        self.engine.address().is_some()
    }

    pub fn has_a_disk_of_its_own(&self) -> bool {
        self.disk
    }

    pub fn state(&self) -> PathBuf {
        self.directory.join("state")
    }

    /// How long the project's own command takes before anything is touched.
    pub fn linger(&self, part: &Part, millis: u64) {
        let seconds = format!("{}.{:03}\n", millis / 1000, millis % 1000);
        fs::write(self.directory.join(format!("{}.seconds", part.project)), seconds).unwrap();
    }

    /// Sends a hook; nothing where nobody answers.
    pub fn hook(&self, part: &Part, version: &str) -> Option<Answer> {
        let body = serde_json::json!({ "image": format!("{}:{version}", self.repository(part)) }).to_string();
        let url = format!("http://127.0.0.1:{}/v1/hooks/{}", self.hooks, part.project);
        Hook::new(&url, &part.key, &body).attempt().ok()
    }

    /// Runs a windlass command to its end, whatever comes of it.
    pub fn command(&self, words: &[&str]) -> Output {
        self.windlass(Program::new(env!("CARGO_BIN_EXE_windlass"))).args(words).output()
    }

    fn windlass(&self, program: Program) -> Program {
        let program = program.arg("--config").arg(self.directory.join("config.toml"));
        self.engine.address().into_iter().fold(program, |program, address| program.env("DOCKER_HOST", address))
    }

    /// `docker compose` in the directory of a stack, as its operator types it.
    pub fn docker_compose(&self, stack: &Stack, words: &[&str]) -> Output {
        self.engine.docker(&["compose"]).args(words).dir(&self.directory.join(&stack.name)).output()
    }

    /// Starts windlass, and does not wait until it is ready.
    pub fn start(&self) {
        let program = self.windlass(Program::lasting(env!("CARGO_BIN_EXE_windlass")));
        *self.daemon() = Some(program.arg("serve").start(&self.log()));
    }

    /// Ends windlass as `kill -9` does, alone or with all that it has started; false where it does not run.
    pub fn kill(&self, with_children: bool) -> bool {
        let Some(mut daemon) = self.daemon().take() else { return false };
        let mut ids = vec![daemon.id()];
        if with_children {
            descendants(daemon.id(), &mut ids);
        }
        // All of them in one go: none sees the end of another.
        Program::new("kill").arg("-9").args(ids.iter().map(u32::to_string)).output();
        daemon.kill();
        true
    }

    /// Has windlass read its configuration again.
    pub fn reload(&self) {
        if let Some(daemon) = &*self.daemon() {
            Program::new("kill").args(["-HUP", &daemon.id().to_string()]).output();
        }
    }

    pub fn restart_engine(&self) {
        if let Some(engine) = &mut *self.own_engine.lock().unwrap() {
            engine.stop();
            engine.start_again();
        }
    }

    pub fn fill_disk(&self) {
        let to = format!("of={}", self.filler().display());
        Program::new("dd").args(["if=/dev/zero", "bs=4096"]).arg(to).output();
    }

    pub fn make_room(&self) {
        let _ = fs::remove_file(self.filler());
    }

    /// Has windlass run and take hooks. One that ended by itself is an error.
    pub fn await_ready(&self) -> Result<(), String> {
        let ready = format!("http://127.0.0.1:{}/readyz", self.hooks);
        eventually(PATIENCE, "windlass to be ready", || {
            let mut daemon = self.daemon();
            let Some(running) = daemon.as_mut() else { return Some(Err("windlass was not started".to_owned())) };
            if let Some(code) = running.ended() {
                let said = running.said();
                let end: Vec<&str> = said.lines().rev().take(5).collect();
                return Some(Err(format!("windlass ended by itself, with {code}: {}", end.join(" / "))));
            }
            let answer = Program::new("curl").args(["-sf", "--noproxy", "*", "-m", "10", &ready]).output();
            (answer.code == 0).then_some(Ok(()))
        })
    }

    /// Starts windlass anew where it has ended by itself, which on a full disk it may.
    pub fn revive(&self) {
        let ended = self.daemon().as_mut().is_none_or(|daemon| daemon.ended().is_some());
        if ended {
            self.start();
        }
    }

    /// Removes all containers but those that hold images.
    pub fn clear(&self) {
        let name = format!("name=^/?{}", self.name);
        let ids = self.engine.containers(&[&name]);
        if !ids.is_empty() {
            self.engine.docker(&["rm", "--force"]).args(&ids).output();
        }
    }

    pub fn log(&self) -> PathBuf {
        self.directory.join("daemon.log")
    }

    fn filler(&self) -> PathBuf {
        self.state().join("filler")
    }

    fn daemon(&self) -> MutexGuard<'_, Option<Running>> {
        self.daemon.lock().unwrap()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        *self.daemon() = None;
        if self.has_an_engine_of_its_own() {
            self.clear();
        } else {
            run::sweep(&self.name);
        }
        if self.disk {
            Program::new("umount").arg("--lazy").arg(self.state()).output();
        }
    }
}

/// Adds the children of a process, and theirs.
fn descendants(of: u32, ids: &mut Vec<u32>) {
    let entries: Vec<(u32, u32)> =
        fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| parent(&entry.path())).collect();
    let mut above = vec![of];
    while let Some(parent) = above.pop() {
        let children = entries.iter().filter(|(_, of)| *of == parent).map(|(id, _)| *id);
        for id in children {
            ids.push(id);
            above.push(id);
        }
    }
}

/// The process of a directory in /proc, and its parent.
fn parent(directory: &Path) -> Option<(u32, u32)> {
    let id = directory.file_name()?.to_str()?.parse().ok()?;
    let stat = fs::read_to_string(directory.join("stat")).ok()?;
    // The name between parentheses may contain anything.
    let (_, after) = stat.rsplit_once(") ")?;
    Some((id, after.split(' ').nth(1)?.parse().ok()?))
}
