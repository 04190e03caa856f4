//! A host of its own for each test: one compose project, one windlass, and what to expect of them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use crate::engine::{Container, Engine};
use crate::hook::{Answer, Hook, key_text};
use crate::image::Image;
pub use crate::program::PATIENCE;
use crate::program::{Output, Program, Running, eventually};
use crate::registry::{Published, Registry, docker_login};
use crate::run::{self, PASSWORD, Run, USER, free_port};

/// One compose project, one windlass that deploys into it.
pub struct Site {
    /// Of the compose project, of the windlass project, and of the repositories in the registry.
    pub name: String,
    pub directory: PathBuf,
    /// Through which address the engine and windlass see the registry.
    pub address: String,
    pub ports: [u16; 2],
    pub engine: Engine,
    key: String,
    hooks: u16,
    environment: Vec<(String, String)>,
    daemon: Option<Running>,
    own_registry: Option<Arc<Registry>>,
}

impl Site {
    /// One service `web` of the image `app`, which the compose file names with the tag `live`.
    pub fn new() -> Self {
        Self::with("  web:\n    image: {repo}/app:live\n")
    }

    /// The services as the compose file has them. In this and in all other texts `{repo}` stands for the test's part
    /// of the registry, `{name}` for the test's name, `{port}` and `{port2}` for two free ports, `{dir}` for the directory.
    pub fn with(services: &str) -> Self {
        let registry = &Run::get().registry;
        Self::beside(None, &registry.address, services)
    }

    /// The same with a registry of its own, reached at `address`, which may be a proxy's.
    pub fn with_registry(registry: Arc<Registry>, address: &str, services: &str) -> Self {
        Self::beside(Some(registry), address, services)
    }

    fn beside(own_registry: Option<Arc<Registry>>, address: &str, services: &str) -> Self {
        let run = Run::get();
        let name = run.name_a_test();
        let directory = run.directory.join(&name);
        fs::create_dir_all(directory.join("projects.d")).unwrap();
        fs::create_dir_all(directory.join(&name)).unwrap();
        let site = Self {
            name,
            directory,
            address: address.to_owned(),
            ports: [free_port(), free_port()],
            engine: Engine::default(),
            key: run::random_hex(),
            hooks: free_port(),
            environment: Vec::new(),
            daemon: None,
            own_registry,
        };
        site.compose(services);
        site.secret("ci.key", &key_text(&site.key));
        site.secret("registry.password", PASSWORD);
        site.configure("", "");
        site.project(&["app"], "");
        site
    }

    /// Replaces the services of the compose file.
    pub fn compose(&self, services: &str) {
        fs::write(self.project_directory().join("compose.yaml"), self.fill(&format!("services:\n{services}"))).unwrap();
    }

    /// Writes config.toml. `settings` are the host's own, `tables` come at the end. The registry is known there.
    pub fn configure(&self, settings: &str, tables: &str) {
        let login = "[registries.\"{address}\"]\nusername = \"{user}\"\npassword_file = \"registry.password\"\n";
        self.configure_without_login(settings, &format!("{login}{tables}"));
    }

    /// The same, but the registry is not known.
    pub fn configure_without_login(&self, settings: &str, tables: &str) {
        let text = format!(
            "listen = \"127.0.0.1:{}\"\nsocket = \"windlass.sock\"\nstate_dir = \"state\"\n{settings}\n{tables}",
            self.hooks
        );
        fs::write(self.directory.join("config.toml"), self.fill(&text)).unwrap();
    }

    /// Writes the project's file: its images by their last part, and more tables or keys. Releases settle for a
    /// moment only, unless `more` says otherwise.
    pub fn project(&self, images: &[&str], more: &str) {
        self.project_with(images, "", more);
    }

    /// The same with more in the project's own table.
    pub fn project_with(&self, images: &[&str], own: &str, more: &str) {
        let images: Vec<String> = images.iter().map(|image| format!("{{repo}}/{image}")).collect();
        let health = if more.contains("[projects.{name}.health]") {
            ""
        } else {
            "[projects.{name}.health]\nwithin = \"40s\"\nsettle = \"500ms\"\n"
        };
        let compose = if more.contains("[projects.{name}.compose]") {
            ""
        } else {
            "[projects.{name}.compose]\ndirectory = \"{dir}/{name}\"\n"
        };
        let text = format!(
            "[projects.{{name}}]\nimages = {images:?}\n{own}\n\
             [[projects.{{name}}.keys]]\nid = \"ci\"\nscheme = \"standard\"\nsecret_file = \"../ci.key\"\n\
             {compose}{health}{more}"
        );
        fs::write(self.directory.join("projects.d/project.toml"), self.fill(&text)).unwrap();
    }

    /// Writes a file that only its owner may read.
    pub fn secret(&self, name: &str, text: &str) {
        let path = self.directory.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// Sets a variable of the daemon's environment, and of the commands'.
    pub fn env(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), self.fill(value)));
    }

    /// Puts an image into the registry: `app:v1`.
    pub fn publish(&self, name: &str, image: &Image) -> Published {
        let (repository, tag) = name.split_once(':').unwrap();
        self.registry().publish(&format!("{}/{repository}", self.name), tag, image)
    }

    /// Takes an image out of the registry.
    pub fn forget(&self, repository: &str, image: &Published) {
        self.registry().forget(&format!("{}/{repository}", self.name), image);
    }

    /// Starts windlass and waits until it is ready.
    pub fn start(&mut self) {
        assert!(self.daemon.is_none(), "it runs already");
        let log = self.directory.join("daemon.log");
        let program = self.set_up(Program::lasting(env!("CARGO_BIN_EXE_windlass")));
        let daemon = program.arg("serve").start(&log);
        let ready = self.fill("{hooks}/readyz");
        let daemon = self.daemon.insert(daemon);
        eventually(PATIENCE, "windlass to be ready", || {
            if let Some(code) = daemon.ended() {
                panic!("windlass ended with {code}: {}", daemon.said());
            }
            let answer = Program::new("curl").args(["-sf", "--noproxy", "*", &ready]).output();
            (answer.code == 0).then_some(())
        });
    }

    /// Starts windlass again after it has ended by itself.
    pub fn restart_after_end(&mut self) {
        self.daemon = None;
        self.start();
    }

    /// The daemon as a process.
    pub fn daemon(&mut self) -> &mut Running {
        self.daemon.as_mut().unwrap()
    }

    /// Ends windlass as `kill -9` does. What it had started goes on.
    pub fn kill(&mut self) {
        self.daemon.take().unwrap().kill();
    }

    fn set_up(&self, program: Program) -> Program {
        let program = program.arg("--config").arg(self.directory.join("config.toml"));
        let engine = self.engine.address().map(|address| ("DOCKER_HOST".to_owned(), address.to_owned()));
        self.environment.iter().chain(&engine).fold(program, |program, (name, value)| program.env(name, value))
    }

    /// Runs a windlass command to its end.
    pub fn command(&self, words: &[&str]) -> Output {
        self.program(words).output()
    }

    /// The same, not yet run.
    pub fn program(&self, words: &[&str]) -> Program {
        self.set_up(Program::new(env!("CARGO_BIN_EXE_windlass"))).args(words)
    }

    /// Configures another project with the same key. `table` is its compose table: `directory = "…"`, and what else.
    pub fn another(&self, project: &str, images: &[&str], table: &str) {
        let images: Vec<String> = images.iter().map(|image| format!("{{repo}}/{image}")).collect();
        let text = format!(
            "[projects.{project}]\nimages = {images:?}\n\
             [[projects.{project}.keys]]\nid = \"ci\"\nscheme = \"standard\"\nsecret_file = \"../{project}.key\"\n\
             [projects.{project}.compose]\n{table}\n\
             [projects.{project}.health]\nwithin = \"40s\"\nsettle = \"500ms\"\n"
        );
        self.secret(&format!("{project}.key"), &key_text(&self.key.chars().rev().collect::<String>()));
        fs::write(self.directory.join(format!("projects.d/{project}.toml")), self.fill(&text)).unwrap();
    }

    /// A hook for a project that [`Site::another`] has configured.
    pub fn hook_of(&self, project: &str, image: &str) -> Hook {
        let body = serde_json::json!({ "image": self.full(image) }).to_string();
        let key: String = self.key.chars().rev().collect();
        Hook::new(&self.fill(&format!("{{hooks}}/v1/hooks/{project}")), &key, &body)
    }

    /// A hook that asks for images: `app:v1`, or several.
    pub fn hook(&self, images: &[&str]) -> Hook {
        let images: Vec<String> = images.iter().map(|image| format!("{}/{image}", self.repository())).collect();
        let body = match images.as_slice() {
            [image] => serde_json::json!({ "image": image }),
            images => serde_json::json!({ "images": images }),
        };
        Hook::new(&self.fill("{hooks}/v1/hooks/{name}"), &self.key, &body.to_string())
    }

    /// Deploys and waits for the answer.
    pub fn deploy(&self, image: &str) -> Answer {
        self.hook(&[image]).query("wait=10m").send()
    }

    /// Asks for a deployment and does not wait; its id.
    pub fn ask(&self, image: &str) -> String {
        let answer = self.hook(&[image]).send();
        assert_eq!(answer.status, 202, "{}", answer.text);
        answer.id()
    }

    /// A reading on the operators' socket.
    pub fn read(&self, path: &str) -> Value {
        let socket = self.directory.join("windlass.sock");
        let url = self.fill(&format!("http://windlass{path}"));
        let text = Program::new("curl").arg("-sS").arg("--unix-socket").arg(socket).arg(url).text();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}: {text}"))
    }

    /// The deployment, once it has ended.
    pub fn outcome(&self, id: &str) -> Value {
        eventually(PATIENCE, "an outcome", || {
            let deployment = self.read(&format!("/v1/deployments/{id}"));
            (!matches!(deployment["status"].as_str(), Some("queued" | "running"))).then_some(deployment)
        })
    }

    /// What a deployment has said so far.
    pub fn events(&self, id: &str) -> Vec<Value> {
        self.read(&format!("/v1/deployments/{id}/events")).as_array().unwrap().clone()
    }

    /// Waits until a deployment has said something, which it must before it ends.
    #[track_caller]
    pub fn until(&self, id: &str, what: &str, said: impl Fn(&[Value]) -> bool) {
        eventually(PATIENCE, what, || {
            let events = self.events(id);
            let has_said = said(&events);
            let has_ended = events.iter().any(|event| event["event"] == "finished");
            assert!(has_said || !has_ended, "it ended without {what}: {events:#?}");
            has_said.then_some(())
        });
    }

    /// The one container of a service, if there is any.
    pub fn container(&self, service: &str) -> Option<Container> {
        self.engine.container(&self.name, service)
    }

    /// The reference of `app:live` in full.
    pub fn full(&self, image: &str) -> String {
        format!("{}/{image}", self.repository())
    }

    /// Asserts that `service` runs `image`, as the engine says it.
    #[track_caller]
    pub fn runs(&self, service: &str, image: &Published) {
        let container = self.container(service).unwrap_or_else(|| panic!("{service} has no container"));
        assert_eq!(container.state, "running", "{container:?}");
        self.is_made_from(&container, image);
    }

    #[track_caller]
    pub fn is_made_from(&self, container: &Container, image: &Published) {
        let digests = self.engine.digests(&container.image);
        assert!(
            digests.iter().any(|digest| digest.ends_with(&image.digest)),
            "{} is made from {digests:?}, not from {}",
            container.name,
            image.digest
        );
    }

    /// Asserts that a reference such as `app:live` means `image` on this host.
    #[track_caller]
    pub fn pins(&self, reference: &str, image: &Published) {
        let digests = self.engine.digests(&self.full(reference));
        let wanted = &image.digest;
        assert!(digests.iter().any(|digest| digest.ends_with(wanted)), "{reference} is {digests:?}, not {wanted}");
    }

    /// Asserts that `web` runs `image`, and that a reboot would start it too.
    #[track_caller]
    pub fn has(&self, image: &Published) {
        self.runs("web", image);
        self.pins("app:live", image);
    }

    /// `docker compose` in the project's directory, as its operator types it.
    pub fn docker_compose(&self, words: &[&str]) -> Output {
        self.engine.docker(&["compose"]).args(words).dir(&self.project_directory()).output()
    }

    /// Ends, as `kill -9` does, whatever Compose windlass had started here and left behind; how many processes.
    pub fn kill_compose(&self) -> usize {
        let here = self.project_directory();
        let processes = fs::read_dir("/proc").unwrap().flatten().filter(|entry| {
            let directory = fs::read_link(entry.path().join("cwd"));
            directory.is_ok_and(|directory| directory == here)
        });
        let ids: Vec<String> = processes.map(|entry| entry.file_name().into_string().unwrap()).collect();
        Program::new("kill").arg("-9").args(&ids).output();
        ids.len()
    }

    /// Brings `image` to this host and gives it a reference such as `db:1`, as its operator would.
    pub fn fetch(&self, reference: &str, image: &Published) {
        let login = self.directory.join("operator");
        docker_login(&login, &self.address);
        let (full, repository) = (self.full(reference), self.full(reference.split(':').next().unwrap()));
        let (name, login) = (format!("{repository}@{}", image.digest), login.display().to_string());
        self.engine.docker(&["--config", &login, "pull", "--quiet", &name]).text();
        self.engine.docker(&["tag", &name, &full]).text();
    }

    /// Puts `image` into service without windlass.
    pub fn bring_up_by_hand(&self, reference: &str, image: &Published) {
        self.fetch(reference, image);
        let up = self.docker_compose(&["up", "--detach"]);
        assert_eq!(up.code, 0, "{}", up.stderr);
    }

    /// Has windlass read its configuration again, and waits until it has.
    pub fn reload(&mut self) {
        let said = |daemon: &Running| daemon.said().matches("configuration").count();
        let before = said(self.daemon());
        self.daemon().signal("HUP");
        let daemon = self.daemon();
        eventually(PATIENCE, "the configuration to be read again", || (said(daemon) > before).then_some(()));
    }

    pub fn project_directory(&self) -> PathBuf {
        self.directory.join(&self.name)
    }

    fn repository(&self) -> String {
        format!("{}/{}", self.address, self.name)
    }

    /// Fills in what stands for something else.
    pub fn fill(&self, text: &str) -> String {
        [
            ("{repo}", self.repository()),
            ("{address}", self.address.clone()),
            ("{name}", self.name.clone()),
            ("{port}", self.ports[0].to_string()),
            ("{port2}", self.ports[1].to_string()),
            ("{dir}", self.directory.display().to_string()),
            ("{hooks}", format!("http://127.0.0.1:{}", self.hooks)),
            ("{user}", USER.to_owned()),
        ]
        .iter()
        .fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
    }

    pub fn registry(&self) -> &Registry {
        self.own_registry.as_deref().unwrap_or(&Run::get().registry)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        drop(self.daemon.take());
        if std::thread::panicking() {
            show(&self.directory.join("daemon.log"));
        }
        if self.engine.address().is_none() {
            run::sweep(&self.name);
        }
    }
}

fn show(log: &Path) {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    eprintln!("the end of windlass' log:\n{}", lines[lines.len().saturating_sub(40)..].join("\n"));
}
