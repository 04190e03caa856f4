//! The compose projects of a host, and the windlass projects that deploy into them.

use crate::image::{Image, Kind, Stop};
use crate::run::random_hex;

/// Releases that work, and releases that do not.
pub const GOOD: [&str; 3] = ["v1", "v2", "v3"];
pub const BAD: [&str; 2] = ["crash", "sick"];

/// How many seconds a deployment may take, and a rollback as well.
pub const TIMEOUT: u64 = 45;

/// What a compose project is made of.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// One service.
    Single(Kind),
    /// Two services of one image, and a database that both depend on.
    Pair(Kind),
    /// Two services that two windlass projects deploy, and a database that both depend on.
    Shared(Kind),
}

/// A compose project.
pub struct Stack {
    /// Its own name, and that of its directory.
    pub name: String,
    shape: Shape,
}

/// What one windlass project deploys into a compose project.
pub struct Part {
    /// The windlass project's name.
    pub project: String,
    /// The compose project.
    pub stack: String,
    /// The last part of the repository.
    pub repository: &'static str,
    pub services: Vec<&'static str>,
    /// What signs its hooks.
    pub key: String,
    kind: Kind,
}

impl Stack {
    pub fn new(name: String, shape: Shape) -> Self {
        Self { name, shape }
    }

    pub fn services(&self) -> Vec<&'static str> {
        match self.shape {
            Shape::Single(_) => vec!["web"],
            Shape::Pair(_) => vec!["web", "worker", "db"],
            Shape::Shared(_) => vec!["web", "api", "db"],
        }
    }

    pub fn parts(&self) -> Vec<Part> {
        let part = |suffix: &str, repository, services: &[&'static str], kind| Part {
            project: format!("{}{suffix}", self.name),
            stack: self.name.clone(),
            repository,
            services: services.to_vec(),
            key: random_hex(),
            kind,
        };
        match self.shape {
            Shape::Single(kind) => vec![part("", "app", &["web"], kind)],
            Shape::Pair(kind) => vec![part("", "app", &["web", "worker"], kind)],
            Shape::Shared(kind) => vec![part("-web", "app", &["web"], kind), part("-api", "api", &["api"], kind)],
        }
    }

    /// The compose file. Images are in the repositories of `repo`, which are the stack's own.
    pub fn compose_file(&self, repo: &str, with_network: bool) -> String {
        let service = |service: &&str| {
            let image = match (*service, self.shape) {
                ("db", _) => "db:1",
                ("api", _) => "api:live",
                _ => "app:live",
            };
            let depends =
                if *service != "db" && self.services().contains(&"db") { "    depends_on: [db]\n" } else { "" };
            let network = if with_network { "" } else { "    network_mode: none\n" };
            format!("  {service}:\n    image: {repo}/{image}\n    restart: unless-stopped\n{network}{depends}")
        };
        format!("services:\n{}", self.services().iter().map(service).collect::<String>())
    }
}

impl Part {
    /// The image of a version: of its kind, and at least three seconds are needed to stop it.
    pub fn image(&self, version: &str) -> Image {
        let stop = if self.kind == Kind::IgnoresSigterm { Stop::Never } else { Stop::After(3) };
        let image = Image::web_of(self.kind, version).stopping(stop);
        match version {
            "crash" => Image::running(version, "echo fatal: cannot start; exit 1"),
            "sick" => image.checked("echo sick; exit 1"),
            _ if self.kind == Kind::BootsForFiveSeconds => image.checked("wget -q -O - http://127.0.0.1:8080/"),
            _ => image,
        }
    }
}
