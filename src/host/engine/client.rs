//! Speaks to the engine: connects when first asked, and agrees on an API version.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bollard::errors::Error;
use bollard::{API_DEFAULT_VERSION, BollardRequest, Docker};
use http::HeaderValue;
use http::uri::PathAndQuery;
use tokio::time::{sleep, timeout};

use super::record::ImageRecord;
use super::refusal::{Refusal, is_about_an_image_that_comes_or_goes};
use super::version::EngineVersion;
use crate::host::HostError;
use crate::model::Clock;

/// How long the engine may take for an answer from its own memory or disk.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// How long it may take for what needs the disk or a registry: bollard waits this long for the head of an answer.
pub(super) const LONG_PATIENCE: Duration = Duration::from_secs(120);

/// How often something is asked again that has nothing wrong in itself, and after how long where others are the reason.
const RETRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(100);

/// The engine of this host. Nothing is asked of it before the first call, and every call may find it restarted,
/// updated or gone.
#[derive(Debug)]
pub(in crate::host) struct Engine {
    pub(super) address: String,
    link: Mutex<Option<Link>>,
    pub(super) clock: Clock,
    pub(super) record: Arc<dyn ImageRecord>,
}

#[derive(Debug, Clone)]
pub(super) struct Link {
    pub(super) docker: Docker,
    version: EngineVersion,
    /// What paths begin with: the agreed version.
    pub(super) prefix: String,
}

impl Engine {
    /// The engine at `address`: `unix:///path` or `tcp://host:port`.
    pub(in crate::host) fn new(address: String, clock: Clock, record: Arc<dyn ImageRecord>) -> Self {
        Self { address, link: Mutex::new(None), clock, record }
    }

    /// As `DOCKER_HOST` says it.
    pub(in crate::host) fn address(&self) -> &str {
        &self.address
    }

    /// Which engine answers.
    pub(in crate::host) async fn version(&self) -> Result<EngineVersion, HostError> {
        self.forget();
        Ok(self.link().await.map_err(|refusal| refusal.during("ask the engine for its version"))?.version)
    }

    /// As [`Engine::version`], but from memory where it was asked before.
    pub(super) async fn known_version(&self) -> Result<EngineVersion, HostError> {
        Ok(self.link().await.map_err(|refusal| refusal.during("ask the engine for its version"))?.version)
    }

    /// Asks one thing that is answered from the engine's own memory or disk.
    pub(super) async fn ask<T, F>(&self, request: impl Fn(Docker) -> F + Send + Sync) -> Result<T, Refusal>
    where
        F: Future<Output = Result<T, Error>> + Send,
    {
        self.ask_patiently(PATIENCE, request).await
    }

    /// Asks one thing, and waits so long for the answer.
    pub(super) async fn ask_patiently<T, F>(
        &self,
        patience: Duration,
        request: impl Fn(Docker) -> F + Send + Sync,
    ) -> Result<T, Refusal>
    where
        F: Future<Output = Result<T, Error>> + Send,
    {
        let mut answer = self.ask_once(patience, &request).await;
        for _ in 0..RETRIES {
            match &answer {
                // Another engine answers than the one that the version was agreed with.
                Err(refusal) if refusal.is_about_the_version() => self.forget(),
                Err(Refusal::Status(500, message)) if is_about_an_image_that_comes_or_goes(message) => {
                    sleep(PAUSE).await;
                }
                _ => break,
            }
            answer = self.ask_once(patience, &request).await;
        }
        answer
    }

    async fn ask_once<T, F>(&self, patience: Duration, request: impl Fn(Docker) -> F + Send) -> Result<T, Refusal>
    where
        F: Future<Output = Result<T, Error>> + Send,
    {
        // bollard's own limit is for the head of an answer only, and must not come first.
        let docker = self.link().await?.docker.with_timeout(patience * 2);
        match timeout(patience, request(docker)).await {
            Ok(answer) => answer.map_err(|error| Refusal::from(error).at(&self.address)),
            Err(_) => Err(Refusal::Away(format!("{}: no answer within {} s", self.address, patience.as_secs()))),
        }
    }

    pub(super) fn forget(&self) {
        *self.link.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(super) async fn link(&self) -> Result<Link, Refusal> {
        let known = self.link.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(link) = known {
            return Ok(link);
        }
        let docker = dial(&self.address)?;
        let answer = timeout(PATIENCE, docker.version()).await;
        let answer = answer.map_err(|_| Refusal::Away(format!("no answer from {}", self.address)))?;
        let answer = answer.map_err(|error| Refusal::from(error).at(&self.address))?;
        let version = EngineVersion {
            version: answer.version.unwrap_or_default(),
            api: answer.api_version.unwrap_or_default(),
            oldest_api: answer.min_api_version.unwrap_or_default(),
            os: answer.os.unwrap_or_default(),
            architecture: answer.arch.unwrap_or_default(),
        };
        let prefix = format!("/v{}", version.agreed().map_err(Refusal::Odd)?);
        let own_prefix = prefix.clone();
        let docker = docker.with_request_modifier(move |request| shape(request, &own_prefix));
        let link = Link { docker, version, prefix };
        *self.link.lock().unwrap_or_else(PoisonError::into_inner) = Some(link.clone());
        Ok(link)
    }
}

fn dial(address: &str) -> Result<Docker, Refusal> {
    let dialled = if address.starts_with("unix://") || address.starts_with('/') {
        Docker::connect_with_unix(address, LONG_PATIENCE.as_secs(), API_DEFAULT_VERSION)
    } else if address.starts_with("tcp://") || address.starts_with("http://") {
        Docker::connect_with_http(address, LONG_PATIENCE.as_secs(), API_DEFAULT_VERSION)
    } else {
        let reason =
            format!("{address:?} is not an address of an engine; set DOCKER_HOST to unix:///path or tcp://host:port");
        return Err(Refusal::Odd(reason));
    };
    dialled.map_err(|error| Refusal::Away(error.to_string()))
}

/// Puts right what bollard sends.
///
/// It asks without an API version, and an engine then answers in its newest, which bollard may not know. And it writes
/// credentials in the standard base64 alphabet, where the engine expects the one for URLs: with a password whose
/// encoding has a `+` or a `/` the engine would drop the header without a word, and ask the registry as nobody.
fn shape(mut request: BollardRequest, prefix: &str) -> BollardRequest {
    if let Some(value) = request.headers_mut().get_mut("X-Registry-Auth") {
        let text = String::from_utf8_lossy(value.as_bytes()).replace('+', "-").replace('/', "_");
        if let Ok(mut corrected) = HeaderValue::from_str(&text) {
            corrected.set_sensitive(true);
            *value = corrected;
        }
    }
    let mut parts = request.uri().clone().into_parts();
    let path = parts.path_and_query.as_ref().map_or("/", PathAndQuery::as_str);
    if !path.starts_with("/v1.")
        && let Ok(versioned) = format!("{prefix}{path}").parse()
    {
        parts.path_and_query = Some(versioned);
        if let Ok(uri) = http::Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
    }
    request
}

#[cfg(test)]
pub(in crate::host) mod tests {
    use std::cell::{Cell, RefCell};

    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};
    use bollard::auth::DockerCredentials;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;
    use crate::deploy::plan::Source;
    use crate::host::engine::record::Memory;
    use crate::model::{Digest, ImageReference};

    fn record() -> Arc<Memory> {
        Arc::default()
    }

    fn request(path: &str, auth: Option<&str>) -> BollardRequest {
        let mut builder = http::Request::builder().uri(format!("unix://2f78{path}"));
        if let Some(auth) = auth {
            builder = builder.header("X-Registry-Auth", auth);
        }
        builder.body(bollard::body_full(bytes::Bytes::new())).unwrap()
    }

    #[test]
    fn every_request_carries_the_agreed_version_once() {
        let once = shape(request("/images/json?all=true", None), "/v1.41");
        assert_eq!(once.uri().to_string(), "unix://2f78/v1.41/images/json?all=true");
        let twice = shape(once, "/v1.41");
        assert_eq!(twice.uri().to_string(), "unix://2f78/v1.41/images/json?all=true");
    }

    #[test]
    fn credentials_go_out_in_the_alphabet_that_the_engine_reads() {
        for password in ["~~~???>>>", "a?b~c>d", "ÿÿÿ", "plain", "~", "??", ">>>>"] {
            let credentials = DockerCredentials {
                username: Some("ci".to_owned()),
                password: Some(password.to_owned()),
                ..DockerCredentials::default()
            };
            let json = serde_json::to_string(&credentials).unwrap();
            let shaped = shape(request("/distribution/x/json", Some(&STANDARD.encode(&json))), "/v1.41");
            let header = shaped.headers().get("X-Registry-Auth").unwrap();
            assert!(header.is_sensitive());
            let decoded = URL_SAFE.decode(header.as_bytes()).expect("the engine could not read it");
            assert_eq!(serde_json::from_slice::<DockerCredentials>(&decoded).unwrap(), credentials, "{password}");
        }
    }

    /// An engine that can be replaced by another one: the oldest and the newest API that it speaks, and what it was asked.
    pub(in crate::host) struct Replaceable {
        listener: TcpListener,
        speaks: Cell<(u32, u32)>,
        /// How often it stumbles over an image that nobody asked for.
        stumbles: Cell<u32>,
        /// Whether it lists a container that it does not have.
        pub(in crate::host) is_haunted: Cell<bool>,
        asked: RefCell<Vec<String>>,
    }

    impl Replaceable {
        pub(in crate::host) async fn begin() -> (Self, Engine) {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let engine = Engine::new(format!("tcp://{}", listener.local_addr().unwrap()), Clock::system(), record());
            let speaks = Cell::new((12, 41));
            (
                Self {
                    listener,
                    speaks,
                    stumbles: Cell::default(),
                    is_haunted: Cell::default(),
                    asked: RefCell::default(),
                },
                engine,
            )
        }

        pub(in crate::host) async fn serve(&self) {
            loop {
                let (mut stream, _) = self.listener.accept().await.unwrap();
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                let head = String::from_utf8(head).unwrap().to_lowercase();
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
                stream.read_exact(&mut body).await.unwrap();
                let path = head.split(' ').nth(1).unwrap().to_owned();
                self.asked.borrow_mut().push(path.clone());
                let (status, body) = self.answer(&path);
                let length = body.len();
                let answer =
                    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        }

        /// In the words of Docker 20.10 to 29.
        fn answer(&self, path: &str) -> (&'static str, String) {
            let (oldest, newest) = self.speaks.get();
            let minor = |path: &str| path.strip_prefix("/v1.")?.split('/').next()?.parse::<u32>().ok();
            match minor(path) {
                None => {
                    ("200 OK", format!(r#"{{"ApiVersion":"1.{newest}","MinAPIVersion":"1.{oldest}","Os":"linux"}}"#))
                }
                Some(minor) if minor > newest => (
                    "400 Bad Request",
                    format!(
                        r#"{{"message":"client version 1.{minor} is too new. Maximum supported API version is 1.{newest}"}}"#
                    ),
                ),
                Some(minor) if minor < oldest => (
                    "400 Bad Request",
                    format!(
                        r#"{{"message":"client version 1.{minor} is too old. Minimum supported API version is 1.{oldest}, please upgrade your client to a newer version"}}"#
                    ),
                ),
                Some(_) if self.stumbles.get() > 0 => {
                    self.stumbles.set(self.stumbles.get() - 1);
                    let message = "reading image \\\"ab\\\": locating image with ID \\\"ab\\\": image not known";
                    ("500 Internal Server Error", format!(r#"{{"message":"{message}"}}"#))
                }
                Some(_) if path.contains("/containers/create") => {
                    ("201 Created", r#"{"Id":"c1","Warnings":[]}"#.to_owned())
                }
                Some(_) if path.contains("/tag?") => ("201 Created", String::new()),
                Some(_) if path.contains("/containers/json") && self.is_haunted.get() => {
                    ("200 OK", r#"[{"Id":"e78ad49f4fcc00"}]"#.to_owned())
                }
                Some(_) if path.contains("/containers/json") => ("200 OK", "[]".to_owned()),
                Some(_) if path.contains("/containers/") => {
                    ("404 Not Found", r#"{"message":"No such container"}"#.to_owned())
                }
                Some(_) => {
                    let (id, digest) = (Digest::of(b"image"), Digest::of(b"manifest"));
                    ("200 OK", format!(r#"{{"Id":"{id}","RepoDigests":["r.io/shop@{digest}"]}}"#))
                }
            }
        }

        /// Looks at containers and at an image; which versions that was asked with.
        async fn ask(&self, engine: &Engine) -> Vec<String> {
            self.asked.borrow_mut().clear();
            assert!(engine.list(&[]).await.unwrap().is_empty());
            assert_eq!(engine.image("r.io/shop:1").await.unwrap().unwrap().id, Digest::of(b"image"));
            let version = |path: &String| path.split('/').nth(1).unwrap().to_owned();
            self.asked.borrow().iter().map(version).collect()
        }
    }

    #[tokio::test]
    async fn an_older_engine_is_asked_in_its_newest_version_and_a_newer_one_in_ours() {
        for (speaks, version) in [((12, 41), "v1.41"), ((24, 45), "v1.45"), ((24, 51), "v1.51"), ((44, 60), "v1.51")] {
            let (replaceable, engine) = Replaceable::begin().await;
            replaceable.speaks.set(speaks);
            tokio::select! {
                () = replaceable.serve() => {}
                asked = replaceable.ask(&engine) => assert_eq!(asked, ["version", version, version], "{speaks:?}"),
            }
        }
    }

    #[tokio::test]
    async fn an_engine_that_was_replaced_by_an_older_or_a_newer_one_is_agreed_with_anew() {
        let (replaceable, engine) = Replaceable::begin().await;
        let work = async {
            replaceable.ask(&engine).await;
            replaceable.speaks.set((44, 60));
            assert_eq!(replaceable.ask(&engine).await, ["v1.41", "version", "v1.51", "v1.51"]);
            replaceable.speaks.set((12, 41));
            engine.image("r.io/shop:1").await.unwrap().unwrap();
            assert_eq!(replaceable.ask(&engine).await, ["v1.41", "v1.41"]);
            replaceable.speaks.set((12, 40));
            let too_old = engine.image("r.io/shop:1").await.unwrap_err().to_string();
            assert!(too_old.contains("update to Docker 20.10 or newer"), "{too_old}");
        };
        tokio::select! {
            () = replaceable.serve() => {}
            () = work => {}
        }
    }

    #[tokio::test]
    async fn what_another_repository_has_under_the_same_digest_is_not_the_image() {
        let (replaceable, engine) = Replaceable::begin().await;
        let source = |repository: &str| {
            let image: ImageReference = repository.parse().unwrap();
            Source::Registry(image.pinned(Digest::of(b"manifest")))
        };
        let work = async {
            assert!(engine.image_of(&source("r.io/shop")).await.unwrap().is_some());
            assert_eq!(engine.image_of(&source("r.io/other")).await.unwrap(), None);
        };
        tokio::select! {
            () = replaceable.serve() => {}
            () = work => {}
        }
    }

    #[tokio::test]
    async fn an_image_that_is_kept_on_gets_no_other_name_while_it_has_one() {
        let (replaceable, engine) = Replaceable::begin().await;
        let image: ImageReference = "r.io/shop:live".parse().unwrap();
        let source = Source::Registry(image.pinned(Digest::of(b"manifest")));
        let work = async {
            let mut image = engine.image("r.io/shop:live").await.unwrap().unwrap();
            for (tags, tagged) in [(vec!["r.io/shop:live".to_owned()], false), (Vec::new(), true)] {
                image.tags = tags;
                replaceable.asked.borrow_mut().clear();
                engine.keep_on(&"shop".parse().unwrap(), &source, &image).await.unwrap();
                let asked = replaceable.asked.borrow();
                assert!(asked.iter().any(|path| path.contains("/containers/create")), "{asked:?}");
                assert_eq!(asked.iter().any(|path| path.contains("/tag")), tagged, "{asked:?}");
            }
        };
        tokio::select! {
            () = replaceable.serve() => {}
            () = work => {}
        }
    }

    #[tokio::test]
    async fn an_engine_that_stumbles_over_another_image_is_asked_again_and_not_for_ever() {
        let (replaceable, engine) = Replaceable::begin().await;
        let work = async {
            replaceable.stumbles.set(2);
            assert!(engine.image("r.io/shop:1").await.unwrap().is_some());
            replaceable.stumbles.set(100);
            let given_up = engine.image("r.io/shop:1").await.unwrap_err().to_string();
            assert!(given_up.contains("image not known"), "{given_up}");
            assert!(replaceable.stumbles.get() > 90);
        };
        tokio::select! {
            () = replaceable.serve() => {}
            () = work => {}
        }
    }

    #[tokio::test]
    async fn an_engine_that_is_not_there_is_away_and_an_address_that_is_none_is_an_error() {
        let away = Engine::new("unix:///no/such/docker.sock".to_owned(), Clock::system(), record())
            .version()
            .await
            .unwrap_err();
        assert!(away.is_passing(), "{away}");
        assert!(away.to_string().contains("/no/such/docker.sock"), "{away}");
        let wrong = Engine::new("ssh://host".to_owned(), Clock::system(), record()).version().await.unwrap_err();
        assert!(!wrong.is_passing() && wrong.to_string().contains("unix:///path"), "{wrong}");
    }
}
