//! One run of these tests: its name, its directory, the registry that all share, and the end of all that.

use std::fs::{self, File};
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};

use crate::image::Seed;
use crate::program::Program;
use crate::registry::Registry;

/// Who the registry lets in. The password's encoding has characters in which the two kinds of base64 differ.
pub const USER: &str = "ci";
pub const PASSWORD: &str = "p~?>~~??>>";

/// One run of these tests. Whatever belongs to it has its name in its own.
pub struct Run {
    /// `wl-` and six hexadecimal digits.
    pub name: String,
    pub directory: PathBuf,
    /// The registry that all tests share. It asks for a password.
    pub registry: Registry,
    /// What all images are made from.
    pub seed: Seed,
    tests: AtomicUsize,
    _lock: File,
    _sweeper: Child,
}

impl Run {
    /// This run; begun by the first test that asks.
    pub fn get() -> &'static Self {
        static RUN: OnceLock<Result<Run, String>> = OnceLock::new();
        let run = RUN.get_or_init(|| std::panic::catch_unwind(Self::begin).map_err(|_| said_before()));
        run.as_ref().unwrap_or_else(|reason| panic!("{reason}"))
    }

    fn begin() -> Self {
        let engine = Program::new("docker").args(["version", "--format", "{{.Server.Version}}"]).output();
        let address = std::env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned());
        assert!(engine.code == 0, "no engine answers at {address}: `make test` sets one up ({})", engine.stderr.trim());

        let home = std::env::temp_dir().join("windlass-engine-tests");
        fs::create_dir_all(&home).unwrap();
        sweep_leftovers(&home);

        let name = format!("wl-{}", &random_hex()[..6]);
        let directory = home.join(&name);
        fs::create_dir(&directory).unwrap();
        let lock = File::create(directory.join("lock")).unwrap();
        lock.try_lock().unwrap();
        // In a session of its own: a Ctrl-C shall end the tests, not their sweeper.
        let sweeper = Program::lasting("setsid")
            .arg(sweep_script())
            .args([name.as_str(), directory.to_str().unwrap()])
            .env("WAIT", "1")
            .start_leashed(&home.join("sweep.log"));

        fs::write(directory.join("password"), PASSWORD).unwrap();
        let registry = Registry::start(&directory.join("registry"), 0);
        let seed = Seed::make(&name, &directory, &registry);
        Self { name, directory, registry, seed, tests: AtomicUsize::new(0), _lock: lock, _sweeper: sweeper }
    }

    /// A name for one test and what belongs to it.
    pub fn name_a_test(&self) -> String {
        format!("{}-{:03}", self.name, self.tests.fetch_add(1, Ordering::Relaxed))
    }
}

/// Removes what belongs to `name` on the engine.
pub fn sweep(name: &str) {
    let output = Program::new(&sweep_script()).arg(name).output();
    assert!(output.code == 0, "{}", output.stderr);
}

/// A port that nobody uses now, and that nobody is given by chance: below those that the system hands out.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let begin = u16::try_from(std::process::id() % 100).unwrap() * 100;
    loop {
        let port = 20_000 + (begin + NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// 64 hexadecimal digits.
pub fn random_hex() -> String {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).unwrap();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sweep_script() -> String {
    format!("{}/tests/engine/sweep", env!("CARGO_MANIFEST_DIR"))
}

/// A run whose lock is free was ended before it could clean up.
fn sweep_leftovers(home: &Path) {
    for entry in fs::read_dir(home).unwrap().flatten() {
        let (name, directory) = (entry.file_name(), entry.path());
        match File::open(directory.join("lock")).map(|lock| lock.try_lock()) {
            Ok(Err(_)) => {}
            Err(error) if error.kind() != io::ErrorKind::NotFound => {}
            Ok(Ok(())) => {
                Program::new(&sweep_script()).args([name.as_os_str(), directory.as_os_str()]).output();
            }
            Err(_) => {}
        }
    }
}

fn said_before() -> String {
    "the run could not begin; the first test that failed says why".to_owned()
}
