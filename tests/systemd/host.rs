//! A host of its own for each test: a container in which systemd is PID 1.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::hook::{Hook, key_text};
use crate::image::Image;
use crate::program::{Output, Program, eventually};
use crate::registry::Published;
use crate::run::{self, PASSWORD, Run, USER, free_port};

/// How long anything may take before a test gives up on it.
pub const PATIENCE: Duration = crate::program::PATIENCE;

/// A host with systemd. It shares the network of this machine, and drives its engine.
pub struct Host {
    /// Of the container, of the project, and of the repositories in the registry.
    pub name: String,
    /// What the test keeps outside.
    pub directory: PathBuf,
    /// Where hooks are taken.
    pub hooks: u16,
    /// A port for whatever is deployed.
    pub port: u16,
    key: String,
}

impl Host {
    /// A bare host, booted. `directory()/srv` outside is [`Host::srv`] inside.
    pub fn start() -> Self {
        let run = Run::get();
        let name = run.name_a_test();
        let directory = run.directory.join(&name);
        fs::create_dir_all(directory.join("srv")).unwrap();
        let host = Self { name, directory, hooks: free_port(), port: free_port(), key: run::random_hex() };
        let volume = format!("{}:{}", host.directory.join("srv").display(), host.srv());
        Program::script("scripts/systemd-host").args(["start", &host.name, "--volume", &volume]).text();
        host
    }

    /// A directory of the host that is seen outside as well: nothing that hardening would hide.
    pub fn srv(&self) -> String {
        format!("/srv/{}", self.name)
    }

    /// A program on the host, as root.
    pub fn exec(&self, words: &[&str]) -> Program {
        Program::new("docker").args(["exec", "--interactive", &self.name]).args(words)
    }

    /// A script on the host, as root; what it prints. It must succeed.
    #[track_caller]
    pub fn sh(&self, script: &str) -> String {
        let output = self.try_sh(script);
        assert!(output.code == 0, "{script}: exit code {}: {}{}", output.code, output.stdout, output.stderr);
        output.stdout.trim().to_owned()
    }

    /// The same, but it may fail.
    pub fn try_sh(&self, script: &str) -> Output {
        self.exec(&["bash", "-c", &self.fill(script)]).output()
    }

    /// Writes a file on the host, for root alone to write and for all to read. Placeholders are filled in.
    pub fn write(&self, path: &str, text: &str) {
        self.write_as(path, "644", text);
    }

    /// The same with permissions of its own.
    pub fn write_as(&self, path: &str, mode: &str, text: &str) {
        let script = "install -D -m \"$1\" /dev/stdin \"$2\"";
        self.exec(&["bash", "-c", script, "write", mode, &self.fill(path)]).input(self.fill(text)).text();
    }

    /// Copies a file from outside; not to /run or /tmp.
    pub fn copy(&self, from: impl AsRef<Path>, to: &str) {
        Program::new("docker")
            .args(["cp", "--follow-link"])
            .arg(from.as_ref())
            .arg(format!("{}:{to}", self.name))
            .text();
    }

    /// Puts the windlass under test into /usr/bin.
    pub fn install_windlass(&self) {
        self.copy(env!("CARGO_BIN_EXE_windlass"), "/usr/bin/windlass");
    }

    /// Writes the host's settings, with the login of the registry, and `more`.
    pub fn configure(&self, more: &str) {
        let login = "[registries.\"{registry}\"]\nusername = \"{user}\"\npassword_file = \"registry.password\"\n";
        self.write("/etc/windlass/config.toml", &format!("listen = \"127.0.0.1:{{hooks}}\"\n{more}\n{login}"));
        self.write_as("/etc/windlass/registry.password", "600", PASSWORD);
    }

    /// Writes the project's file: its images by their last part, its key, and `target`.
    pub fn project(&self, images: &[&str], target: &str) {
        let images: Vec<String> = images.iter().map(|image| format!("{{repo}}/{image}")).collect();
        let text = format!(
            "[projects.{{name}}]\nimages = {images:?}\n\
             [[projects.{{name}}.keys]]\nid = \"ci\"\nscheme = \"standard\"\nsecret_file = \"../keys/ci.key\"\n\
             {target}"
        );
        self.write("/etc/windlass/projects.d/project.toml", &text);
        self.write_as("/etc/windlass/keys/ci.key", "600", &key_text(&self.key));
    }

    /// Has the socket of the package listen on the test's own port.
    pub fn use_port(&self) {
        let listen = "[Socket]\nListenStream=\nListenStream=127.0.0.1:{hooks}\n";
        self.write("/etc/systemd/system/windlass.socket.d/port.conf", listen);
    }

    /// Configures a project of one Compose service, a page on `port`, for the windlass of the package.
    pub fn shop(&self) {
        let web = "  web:\n    image: {repo}/app:live\n    ports: [\"127.0.0.1:{port}:8080\"]\n";
        self.write("{srv}/{name}/compose.yaml", &format!("services:\n{web}"));
        self.configure("[limits]\nqueue = 10000\nhooks_per_minute = 100000");
        let health = "[projects.{name}.health]\nwithin = \"40s\"\nsettle = \"500ms\"\n";
        self.project(&["app"], &format!("[projects.{{name}}.compose]\ndirectory = \"{{srv}}/{{name}}\"\n{health}"));
        self.sh("chown windlass: /etc/windlass/registry.password /etc/windlass/keys/ci.key");
    }

    /// Has callers send hooks, one after the other each, while `work` is done. Asserts that each hook was
    /// accepted; gives the deployments' ids, and what came of the work.
    pub fn while_hooks_come<T>(&self, image: &str, work: impl FnOnce() -> T) -> (Vec<String>, T) {
        let enough = AtomicBool::new(false);
        let call = || {
            let mut ids = Vec::new();
            while !enough.load(Ordering::SeqCst) {
                let answer = self.hook(&[image]).send();
                assert_eq!(answer.status, 202, "{}", answer.text);
                ids.push(answer.id());
            }
            ids
        };
        std::thread::scope(|scope| {
            let callers: Vec<_> = (0..3).map(|_| scope.spawn(call)).collect();
            // Should it panic, the callers would go on for ever.
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            enough.store(true, Ordering::SeqCst);
            let ids = callers.into_iter().flat_map(|caller| caller.join().unwrap()).collect();
            (ids, done.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        })
    }

    /// A reading on the operators' socket, on the host.
    pub fn read(&self, path: &str) -> Value {
        let url = format!("http://windlass{path}");
        let socket = "/run/windlass/windlass.sock";
        serde_json::from_str(&self.exec(&["curl", "-sS", "--unix-socket", socket, &url]).text()).unwrap()
    }

    /// How deployments ended, once they all have.
    pub fn outcomes(&self, ids: &[String]) -> Vec<String> {
        self.ended(ids).iter().map(|deployment| deployment["status"].as_str().unwrap().to_owned()).collect()
    }

    /// Waits until deployments have ended, and asserts that each succeeded or gave way to a newer one.
    #[track_caller]
    pub fn none_failed(&self, ids: &[String]) {
        let failed = |deployment: &Value| !matches!(deployment["status"].as_str(), Some("succeeded" | "superseded"));
        let failed: Vec<Value> = self.ended(ids).into_iter().filter(failed).collect();
        assert!(failed.is_empty(), "{failed:#?}");
    }

    /// What windlass says about each of these deployments, known or not.
    pub fn about(&self, ids: &[String]) -> Vec<Value> {
        let urls: Vec<String> = ids.iter().map(|id| format!("http://windlass/v1/deployments/{id}")).collect();
        let curl = ["curl", "-sS", "--unix-socket", "/run/windlass/windlass.sock", "-w", "\n"];
        let text = self.exec(&curl).args(&urls).text();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    fn ended(&self, ids: &[String]) -> Vec<Value> {
        eventually(PATIENCE, "the outcomes", || {
            let deployments = self.about(ids);
            let has_ended = |deployment: &Value| !matches!(deployment["status"].as_str(), Some("queued" | "running"));
            (deployments.len() == ids.len() && deployments.iter().all(has_ended)).then_some(deployments)
        })
    }

    /// Waits until windlass takes hooks.
    pub fn await_ready(&self) {
        let ready = self.fill("http://127.0.0.1:{hooks}/readyz");
        eventually(PATIENCE, "windlass to be ready", || {
            let answer = Program::new("curl").args(["-sf", "--noproxy", "*", &ready]).output();
            (answer.code == 0).then_some(())
        });
    }

    /// Has windlass read its configuration again. systemd does not wait for that: it only sends the signal.
    pub fn reload(&self) {
        let count = || self.journal("windlass.service").matches("configuration read again").count();
        let before = count();
        self.systemctl(&["reload", "windlass.service"]);
        eventually(PATIENCE, "the configuration", || (count() > before).then_some(()));
    }

    /// Puts an image into the registry: `app:v1`.
    pub fn publish(&self, name: &str, image: &Image) -> Published {
        let (repository, tag) = name.split_once(':').unwrap();
        Run::get().registry.publish(&format!("{}/{repository}", self.name), tag, image)
    }

    /// A hook that asks for images, sent from outside.
    pub fn hook(&self, images: &[&str]) -> Hook {
        let images: Vec<String> = images.iter().map(|image| self.fill(&format!("{{repo}}/{image}"))).collect();
        let body = serde_json::json!({ "images": images });
        Hook::new(&self.fill("http://127.0.0.1:{hooks}/v1/hooks/{name}"), &self.key, &body.to_string())
    }

    /// `systemctl`; what it prints. It must succeed.
    #[track_caller]
    pub fn systemctl(&self, words: &[&str]) -> String {
        self.exec(&["systemctl"]).args(words).text()
    }

    /// A property of a unit.
    pub fn property(&self, unit: &str, name: &str) -> String {
        self.systemctl(&["show", "--value", "--property", name, unit])
    }

    /// What a unit has said since the host was made.
    pub fn journal(&self, unit: &str) -> String {
        self.exec(&["journalctl", "--no-pager", "--output", "cat", "--unit", unit]).text()
    }

    /// Restarts the host: everything ends, /run and /tmp are new, systemd boots.
    pub fn reboot(&self) {
        Program::new("docker").args(["restart", "--time", "30", &self.name]).text();
        self.await_boot();
    }

    /// Restarts the host as a power cut does.
    pub fn cut_power(&self) {
        Program::new("docker").args(["kill", &self.name]).text();
        Program::new("docker").args(["start", &self.name]).text();
        self.await_boot();
    }

    fn await_boot(&self) {
        eventually(PATIENCE, "systemd to be up", || {
            let state = self.exec(&["systemctl", "is-system-running"]).output().stdout;
            (state.trim() == "running").then_some(())
        });
    }

    /// Fills in what stands for something else: `{name}`, `{srv}`, `{registry}`, `{repo}`, `{hooks}`, `{port}`, `{user}`.
    pub fn fill(&self, text: &str) -> String {
        let registry = &Run::get().registry.address;
        text.replace("{repo}", &format!("{registry}/{}", self.name))
            .replace("{registry}", registry)
            .replace("{name}", &self.name)
            .replace("{srv}", &self.srv())
            .replace("{hooks}", &self.hooks.to_string())
            .replace("{port}", &self.port.to_string())
            .replace("{user}", USER)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.exec(&["journalctl", "--no-pager", "--boot", "--lines", "60"]).output().stdout;
            eprintln!("the end of the host's journal:\n{log}");
        }
        run::sweep(&self.name);
    }
}
