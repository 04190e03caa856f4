//! A daemon of its own for each test, with a configuration on disk, that can be stopped or killed and started again.

use std::fs;
use std::future::Future;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use windlass::auth::{self, Key, Scheme, Scope};
use windlass::config::{LoadError, Problem, Settings};
use windlass::daemon::{Daemon, Outside};
use windlass::model::{Clock, DeliveryId, Timestamp};
use windlass::store::Store;

use crate::world::World;

/// What a daemon leaves behind when it is killed: its configuration, its state, and the machine.
pub(crate) struct Home {
    directory: TempDir,
    /// The machine.
    pub(crate) world: World,
    /// How far the daemon's clock is ahead of the real one, in milliseconds.
    pub(crate) clock_offset: Arc<AtomicI64>,
}

/// A daemon that runs.
pub(crate) struct TestDaemon {
    runtime: Option<Runtime>,
    daemon: Option<Daemon>,
    /// `http://127.0.0.1:PORT`.
    pub(crate) url: String,
}

impl Home {
    /// A host without projects.
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("projects.d")).unwrap();
        let home = Self { directory, world: World::default(), clock_offset: Arc::default() };
        home.configure("");
        home
    }

    /// A host with one project `shop` of one image, one service, and v1 in the registry.
    pub(crate) fn with_shop() -> Self {
        let home = Self::new();
        home.project("shop", &["r.io/shop"]);
        home.world.service("shop", "web", "r.io/shop:live");
        home.world.publish("r.io/shop:v1", "v1");
        home
    }

    /// Where its files are.
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Where its config.toml is.
    pub(crate) fn config(&self) -> PathBuf {
        self.path().join("config.toml")
    }

    /// Where its operators' socket is.
    pub(crate) fn socket(&self) -> PathBuf {
        self.path().join("windlass.sock")
    }

    /// Writes config.toml; `more` comes after the addresses, which are the test's own.
    pub(crate) fn configure(&self, more: &str) {
        let head =
            "listen = \"127.0.0.1:0\"\nsocket = \"windlass.sock\"\nstate_dir = \"state\"\ndrain_timeout = \"2s\"\n";
        fs::write(self.config(), format!("{head}{more}\n")).unwrap();
    }

    /// Configures a project with one key of each scheme, named after the scheme.
    pub(crate) fn project(&self, name: &str, images: &[&str]) {
        self.project_with(name, images, "");
    }

    /// The same; `more` stands in the project's own table.
    pub(crate) fn project_with(&self, name: &str, images: &[&str], more: &str) {
        let mut text = format!("[projects.{name}]\nimages = {images:?}\n{more}\n");
        for scheme in Scheme::all() {
            let file = format!("{name}-{scheme}.key");
            if !self.path().join(&file).exists() {
                self.secret(&file, &Key::generate(scheme).unwrap());
            }
            text += &format!(
                "[[projects.{name}.keys]]\nid = \"{scheme}\"\nscheme = \"{scheme}\"\nsecret_file = \"../{file}\"\n"
            );
        }
        text += &format!("[projects.{name}.compose]\ndirectory = {:?}\n", self.path());
        fs::write(self.path().join(format!("projects.d/{name}.toml")), text).unwrap();
    }

    /// Writes a file that only its owner may read.
    pub(crate) fn secret(&self, file: &str, text: &str) {
        let path = self.path().join(file);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// The key of `project` that speaks `scheme`.
    pub(crate) fn key(&self, project: &str, scheme: Scheme) -> Key {
        let text = fs::read_to_string(self.path().join(format!("{project}-{scheme}.key"))).unwrap();
        Key::new(scheme.to_string().parse().unwrap(), scheme, &text, None, Scope::default()).unwrap()
    }

    /// The time as the daemon sees it.
    pub(crate) fn clock(&self) -> Clock {
        let (real, offset) = (Clock::system(), Arc::clone(&self.clock_offset));
        Clock::new(move || Timestamp::from_millis(real.now().as_millis() + offset.load(Ordering::SeqCst)))
    }

    /// Reads the configuration as it is on disk now.
    pub(crate) fn settings(&self) -> Result<(Settings, Vec<Problem>), LoadError> {
        Settings::load(Some(&self.config()), std::iter::empty::<(String, String)>(), self.clock().now())
    }

    /// Starts a daemon here.
    pub(crate) fn start(&self) -> TestDaemon {
        self.start_on(Vec::new())
    }

    /// Starts a daemon that takes hooks on sockets which it is handed.
    pub(crate) fn start_on(&self, sockets: Vec<std::net::TcpListener>) -> TestDaemon {
        let settings = self.settings().unwrap().0;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let host = Arc::new(self.world.clone());
        let store = Store::open(&settings.host.state_dir, self.clock()).unwrap();
        let outside = Outside { store, host, clock: self.clock(), patience: Duration::from_millis(1500), sockets };
        let daemon = outside_of_runtimes(|| runtime.block_on(Daemon::start(settings, outside))).unwrap();
        TestDaemon { url: format!("http://{}", daemon.hooks()[0]), runtime: Some(runtime), daemon: Some(daemon) }
    }
}

impl TestDaemon {
    /// The daemon itself.
    pub(crate) fn daemon(&self) -> &Daemon {
        self.daemon.as_ref().unwrap()
    }

    /// Ends it as `kill -9` does: nothing more is done, nobody is told.
    pub(crate) fn kill(mut self) {
        let (runtime, daemon) = (self.runtime.take().unwrap(), self.daemon.take());
        outside_of_runtimes(|| runtime.shutdown_timeout(Duration::from_secs(5)));
        drop(daemon);
    }

    /// Ends it as SIGTERM does.
    pub(crate) fn stop(mut self) {
        let (runtime, daemon) = (self.runtime.take().unwrap(), self.daemon.take().unwrap());
        outside_of_runtimes(|| {
            runtime.block_on(daemon.stop());
            runtime.shutdown_timeout(Duration::from_secs(5));
        });
    }
}

impl Drop for TestDaemon {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A runtime may neither be entered nor dropped from within another.
fn outside_of_runtimes<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(work).join().unwrap())
}

/// What a daemon answered.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The headers.
    pub(crate) headers: reqwest::header::HeaderMap,
    /// The body as text.
    pub(crate) text: String,
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// Of the deployment that it speaks of.
    pub(crate) fn id(&self) -> String {
        let json = self.json();
        let id = json.get("id").or_else(|| json.pointer("/deployment/id")).or_else(|| json.get("deployment"));
        id.and_then(Value::as_str).unwrap_or_else(|| panic!("no id in {}", self.text)).to_owned()
    }
}

/// Sends a request and reads the whole answer.
pub(crate) async fn send(request: reqwest::RequestBuilder) -> Answer {
    let response = request.timeout(Duration::from_secs(300)).send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Answer { status, headers, text: response.text().await.unwrap_or_else(|error| format!("(broken off: {error})")) }
}

/// A client that keeps no connection from one daemon to the next.
pub(crate) fn client() -> reqwest::Client {
    builder().build().unwrap()
}

/// A client of the operators' socket.
pub(crate) fn operator(home: &Home) -> reqwest::Client {
    builder().unix_socket(home.socket()).build().unwrap()
}

fn builder() -> reqwest::ClientBuilder {
    // The first test to come by installs it for all.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy()
}

/// One caller: a key of a project.
pub(crate) struct Caller {
    url: String,
    project: String,
    key: Key,
    clock: Clock,
    client: reqwest::Client,
}

impl Caller {
    /// Who calls `project` with its key of `scheme`.
    pub(crate) fn new(home: &Home, daemon: &TestDaemon, project: &str, scheme: Scheme) -> Self {
        Self {
            url: daemon.url.clone(),
            project: project.to_owned(),
            key: home.key(project, scheme),
            clock: home.clock(),
            client: client(),
        }
    }

    /// A signed hook with a delivery id and a query such as `?wait=10s`.
    pub(crate) fn hook(&self, id: &str, query: &str, body: impl Into<String>) -> reqwest::RequestBuilder {
        let body = body.into();
        let id: DeliveryId = id.parse().unwrap();
        let headers = auth::sign(&self.key, &id, body.as_bytes(), self.clock.now()).unwrap();
        self.client
            .post(format!("{}/v1/hooks/{}{query}", self.url, self.project))
            .headers(headers)
            .header("content-type", "application/json")
            .body(body)
    }

    /// Deploys `image` and waits for the outcome.
    pub(crate) async fn deploy(&self, id: &str, image: &str) -> Answer {
        send(self.hook(id, "?wait=20s", json!({ "image": image }).to_string())).await
    }

    /// Asks for `image` and does not wait.
    pub(crate) async fn ask(&self, id: &str, image: &str) -> Answer {
        send(self.hook(id, "", json!({ "image": image }).to_string())).await
    }

    /// A signed reading.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        send(self.reading(path)).await
    }

    /// A signed reading that is not sent yet.
    pub(crate) fn reading(&self, path: &str) -> reqwest::RequestBuilder {
        let id: DeliveryId = "reading".parse().unwrap();
        let headers = auth::sign(&self.key, &id, b"", self.clock.now()).unwrap();
        self.client.get(format!("{}{path}", self.url)).headers(headers)
    }

    /// Waits until the deployment has ended, and gives its JSON.
    pub(crate) async fn outcome(&self, id: &str) -> Value {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(300);
        loop {
            let answer = self.get(&format!("/v1/deployments/{id}")).await;
            assert_eq!(answer.status, 200, "{}", answer.text);
            let deployment = answer.json();
            if !matches!(deployment["status"].as_str(), Some("queued" | "running")) {
                return deployment;
            }
            assert!(tokio::time::Instant::now() < deadline, "never ended: {deployment}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Waits until `condition` holds, which is asked again and again.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(300);
    while !condition().await {
        assert!(tokio::time::Instant::now() < deadline, "waited for {what} in vain");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
