//! Puts the settings together: finds the files, reads each by itself, then looks at what they say together.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::num::NonZero;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::document::Document;
use super::document::environment::Environment;
use super::document::problem::{LoadError, Problem};
use super::guard::Owners;
use super::part::Part;
use super::secret_file::SecretFiles;
use super::settings::{DEFAULT_PATH, Settings};
use super::table::project::path_of;
use super::table::reader::Reader;
use super::table::{docker_puller, host, project, registry};
use super::variables::variables;
use crate::deploy::catalog::Catalog;
use crate::host::machine::MachineSettings;
use crate::model::{ProjectName, Timestamp};
use crate::senders::docker_puller::DockerPuller;

/// More would only wait for each other.
const MOST_THREADS: usize = 4;
/// Fewer files are read before a thread has started.
const LEAST_SHARE: usize = 50;

impl Settings {
    /// Reads everything anew: `config.toml` at `path` or at its usual place, the projects beside it, their keys, and
    /// what `environment` overrides. Also returns what is probably not meant, though it can be used.
    ///
    /// Nothing is remembered between two calls: reloading is loading again.
    ///
    /// # Errors
    /// [`LoadError`] with all problems that could be found in one go.
    pub fn load(
        path: Option<&Path>,
        environment: impl IntoIterator<Item = (impl Into<OsString>, impl Into<OsString>)>,
        now: Timestamp,
    ) -> Result<(Self, Vec<Problem>), LoadError> {
        let mut problems = Vec::new();
        let environment = Environment::new::<host::Table>(variables(), environment, &mut problems);
        let document = host_file(path, &mut problems);
        let directory = document.directory().to_owned();
        let owners = Owners::of_this_process();
        let secrets = SecretFiles {
            found: Mutex::default(),
            owners: owners.clone(),
            credentials: environment.credentials.clone(),
            keys: directory.join("keys"),
        };

        let mut problems_of_host = Vec::new();
        let mut host: host::Table = document.parse(&mut problems_of_host);
        let projects = std::mem::take(&mut host.projects);
        let docker_puller = std::mem::take(&mut host.compat).docker_puller;
        // What is wrong with either is found by now; what is right layers without an error.
        if problems.is_empty() && problems_of_host.is_empty() {
            match environment.layered_on(document.text()) {
                Ok(Some(layered)) => host = layered,
                Ok(None) => {}
                Err(problem) => problems.push(problem),
            }
        }
        let mut reader = Reader::new(document.clone(), problems_of_host, &secrets, now);
        let registries = registry::read(&mut reader, std::mem::take(&mut host.registries));
        let projects = project::read(&mut reader, projects);
        let token = docker_puller.as_ref().and_then(|table| docker_puller::token(&mut reader, table));
        let mut parts = vec![Part::new(reader, projects)];
        let projects_d = directory.join("projects.d");
        let directories = [&*directory, &projects_d];
        for part in read_all(&project_files(&projects_d, &mut problems), &secrets, now) {
            parts.extend(part.map_err(|problem| problems.push(problem)));
        }
        problems.extend(exposed(&owners, &directories, &parts));
        let mut warnings = Vec::new();
        for part in &mut parts {
            problems.append(&mut part.problems);
            warnings.append(&mut part.warnings);
        }
        find_shared_secrets(&parts, &mut problems);
        let images = parts.iter().flat_map(|part| &part.projects).flat_map(|project| &project.spec.images);
        registry::warn_of_unused(&registries, images, &document, &mut warnings);
        let documents = parts.iter().filter(|part| part.document.metadata().is_some());
        let mut sources: Vec<PathBuf> = documents.map(|part| part.document.file().to_owned()).collect();
        let (mut projects, files) = gather(parts, &mut problems);
        let docker_puller = docker_puller.and_then(|table| {
            let hooks = docker_puller::hooks(&document, table.hooks, &projects, &mut problems);
            docker_puller::let_in(&mut projects, &hooks);
            Some(Arc::new(DockerPuller { token: token?, hooks }))
        });

        sources.extend(secrets.found.into_inner().unwrap_or_else(PoisonError::into_inner));
        let docker_host = std::mem::take(&mut host.engine).host.map(|host| host.0);
        // A path in a file begins beside it; one of the environment, where the process is.
        let base = |key: &str| if environment.overrides(key) { Path::new("") } else { &*directory };
        let host = host.read(base, &mut problems);
        let machine =
            MachineSettings { docker_host, registries, docker_config: None, runs: Some(host.state_dir.join("runs")) };
        let settings = Self { host, machine, docker_puller, projects, files, sources, read_at: now };
        if problems.is_empty() { Ok((settings, warnings)) } else { Err(LoadError { problems }) }
    }
}

/// `config.toml`, which says nothing when it is not there and nobody asked for it by name.
pub(super) fn host_file(path: Option<&Path>, problems: &mut Vec<Problem>) -> Document {
    let file = path.unwrap_or(Path::new(DEFAULT_PATH));
    let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let read = if path.is_some() { Document::read } else { Document::read_if_there };
    read(file.clone()).unwrap_or_else(|problem| {
        problems.push(problem);
        Document::empty(file)
    })
}

/// What somebody else can write, and so have windlass run what they like.
fn exposed(owners: &Owners, directories: &[&Path], parts: &[Part]) -> Vec<Problem> {
    // One that is not there has nothing to be read.
    let of_directory = |path: &&Path| owners.problem(path, &std::fs::metadata(path).ok()?);
    let of_file = |part: &Part| owners.problem(part.document.file(), part.document.metadata()?);
    directories.iter().filter_map(of_directory).chain(parts.iter().filter_map(of_file)).collect()
}

/// The files of projects, in order. Hidden ones are those that editors leave behind.
fn project_files(directory: &Path, problems: &mut Vec<Problem>) -> Vec<PathBuf> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) => {
            if error.kind() != ErrorKind::NotFound {
                problems.push(Problem::unreadable(directory, &error));
            }
            return Vec::new();
        }
    };
    let mut files = Vec::new();
    for entry in entries {
        match entry {
            Ok(entry) => {
                let file = entry.path();
                let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
                if !is_hidden && file.extension().is_some_and(|extension| extension == "toml") {
                    files.push(file);
                }
            }
            Err(error) => problems.push(Problem::unreadable(directory, &error)),
        }
    }
    files.sort();
    files
}

/// Reads the files in their order, on several threads when there are many: nearly all of the time is spent on opening
/// them, and a start is waited for.
fn read_all(files: &[PathBuf], secrets: &SecretFiles, now: Timestamp) -> Vec<Result<Part, Problem>> {
    let read = |files: &[PathBuf]| files.iter().map(|file| Part::read(file, secrets, now)).collect::<Vec<_>>();
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get).min(MOST_THREADS);
    let share = files.len().div_ceil(threads).max(LEAST_SHARE);
    if files.len() <= share {
        return read(files);
    }
    std::thread::scope(|scope| {
        let threads: Vec<_> = files.chunks(share).map(|files| scope.spawn(move || read(files))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    })
}

/// A secret in two places is a key that one of its holders can use elsewhere.
fn find_shared_secrets(parts: &[Part], problems: &mut Vec<Problem>) {
    let mut first = HashMap::new();
    for part in parts {
        for secret in &part.secrets {
            let (document, other) = *first.entry(secret.fingerprint).or_insert((&part.document, secret));
            if std::ptr::eq(secret, other) {
                continue;
            }
            let (holder, other) = (&secret.holder, &other.holder);
            let what = format!("{holder} has the same secret as {other} ({})", document.file().display());
            problems.push(part.document.problem(&secret.at, what).fix("make another with `windlass key new`"));
        }
    }
}

/// All projects by name, with the file that each is from.
fn gather(parts: Vec<Part>, problems: &mut Vec<Problem>) -> (Catalog, HashMap<ProjectName, PathBuf>) {
    let (mut catalog, mut files) = (Catalog::new(), HashMap::<ProjectName, PathBuf>::new());
    for part in parts {
        for project in part.projects {
            let name = project.spec.name.clone();
            if let Some(first) = files.get(&name) {
                let what = format!("project {name} is configured in {} already", first.display());
                problems.push(part.document.problem(&path_of(&name), what));
            } else {
                files.insert(name.clone(), part.document.file().to_owned());
                catalog.insert(name, Arc::new(project));
            }
        }
    }
    (catalog, files)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::net::SocketAddr;
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::Duration;

    use insta::assert_snapshot;

    use super::super::testbed::{CANARY, SHOP, Testbed, now};
    use super::*;
    use crate::auth::{Permission, Scheme};
    use crate::deploy::spec::{Compose, Probe, Target};

    /// All problems of a `config.toml`, or of its warnings.
    fn of_host(text: &str) -> String {
        Testbed::new().key("ci.key").project(SHOP).file("config.toml", text).problems()
    }

    /// All problems of one project, whose keys are in order.
    fn of_project(text: &str) -> String {
        Testbed::new().key("ci.key").key("other.key").project(text).problems()
    }

    #[test]
    fn a_file_that_is_not_there_means_the_defaults_unless_it_was_named() {
        let named = Settings::load(Some(Path::new("/nowhere/config.toml")), [("", ""); 0], now()).unwrap_err();
        assert_eq!(named.to_string(), "/nowhere/config.toml: is not there");
        let settings = Testbed::new().settings(&[]);
        assert_eq!(settings.host.listen, SocketAddr::from(([127, 0, 0, 1], 9010)));
        assert_eq!(settings.host.state_dir, Path::new("/var/lib/windlass"));
        assert!(settings.projects.is_empty());
    }

    #[test]
    fn what_somebody_else_can_write_is_not_read_as_a_configuration() {
        let problems = |name: &str, mode: u32| {
            let testbed = Testbed::new().key("ci.key").project(SHOP);
            fs::set_permissions(testbed.path().join(name), fs::Permissions::from_mode(mode)).unwrap();
            testbed.problems()
        };
        assert_snapshot!(problems("projects.d/shop.toml", 0o666), @"projects.d/shop.toml: can be written by everybody (mode 0666); run `sudo chmod go-w projects.d/shop.toml`");
        assert_snapshot!(problems("config.toml", 0o646), @"config.toml: can be written by everybody (mode 0646); run `sudo chmod go-w config.toml`");
        assert_snapshot!(problems("projects.d", 0o777), @"projects.d: can be written by everybody (mode 0777); run `sudo chmod go-w projects.d`");
        assert_snapshot!(problems(".", 0o777), @".: can be written by everybody (mode 0777); run `sudo chmod go-w .`");
        assert_eq!(problems("projects.d", 0o755), "");
    }

    #[test]
    fn every_key_of_a_project_reaches_its_place() {
        let testbed = Testbed::new().key("ci.key").key("look.key").project(
            r#"
            [projects.shop]
            images = ["ghcr.io/acme/api", "127.0.0.1:5000/web"]
            tags = ["v*", "main-*"]
            allow_untagged = true
            timeout = "5m"
            keep = 5
            keys = [
                { id = "ci", scheme = "github", secret_file = "ci.key", expires = 2027-01-01 },
                { id = "look", scheme = "bearer", secret_file = "look.key", scope = { may = ["read"], tags = ["v*"] } },
            ]
            [projects.shop.compose]
            directory = "../shop/."
            files = ["compose.yaml", "/etc/shop.yaml"]
            project_name = "shop"
            profiles = ["web"]
            env_files = [".env"]
            services = ["api"]
            [projects.shop.health]
            command = ["/usr/bin/true", "x"]
            within = "2m"
            settle = "0s"
            "#,
        );
        let settings = testbed.settings(&[]);
        let shop = &settings.projects[&"shop".parse().unwrap()];
        let spec = &shop.spec;
        assert_eq!(format!("{:?}", spec.images), "[ghcr.io/acme/api, 127.0.0.1:5000/web]");
        assert_eq!(spec.tags, ["v*", "main-*"]);
        assert!(spec.allow_untagged);
        assert_eq!((spec.timeout, spec.keep_releases), (Duration::from_secs(300), 5));
        let directory = testbed.path().join("projects.d/../shop");
        let compose = Compose {
            files: vec![directory.join("compose.yaml"), "/etc/shop.yaml".into()],
            project_name: Some("shop".to_owned()),
            profiles: vec!["web".to_owned()],
            env_files: vec![directory.join(".env")],
            services: vec!["api".to_owned()],
            directory,
        };
        assert_eq!(spec.target, Target::Compose(compose));
        assert_eq!(spec.health.probe, Some(Probe::Command(vec!["/usr/bin/true".to_owned(), "x".to_owned()])));
        assert_eq!((spec.health.within, spec.health.settle), (Duration::from_secs(120), Duration::ZERO));
        let [ci, look] = &*shop.keys else { panic!("{:?}", shop.keys) };
        assert_eq!((ci.id.as_str(), ci.scheme()), ("ci", Scheme::GITHUB));
        assert_eq!(ci.expires.unwrap().to_string(), "2027-01-01T00:00:00.000Z");
        assert_eq!((look.scheme(), look.expires), (Scheme::BEARER, None));
        assert_eq!((&*look.scope.may, &*look.scope.tags), (&[Permission::Read][..], &["v*".to_owned()][..]));
        assert_eq!(settings.files[&"shop".parse().unwrap()], testbed.path().join("projects.d/shop.toml"));
    }

    #[test]
    fn paths_of_a_file_begin_beside_it_and_those_of_the_environment_where_the_process_is() {
        let testbed = Testbed::new().file("config.toml", "state_dir = 'state'\nsocket = '/s'");
        let settings = testbed.settings(&[]);
        assert_eq!(settings.host.state_dir, testbed.path().join("state"));
        assert_eq!(settings.host.socket, Path::new("/s"));
        let settings = testbed.settings(&[("WINDLASS_STATE_DIR", "other")]);
        assert_eq!(settings.host.state_dir, std::env::current_dir().unwrap().join("other"));
        assert_eq!(settings.host.socket, Path::new("/s"));
    }

    #[test]
    fn projects_come_from_config_toml_and_from_every_visible_toml_file_beside_it() {
        let project = |name: &str| SHOP.replace("shop]", &format!("{name}]")).replace("shop.", &format!("{name}."));
        let with_key = |name: &str| project(name).replace("ci.key", &format!("{name}.key"));
        let testbed = ["a", "b", "c"]
            .iter()
            .fold(Testbed::new(), |testbed, name| testbed.key(&format!("{name}.key")))
            .file("config.toml", &with_key("a"))
            .file("projects.d/b.toml", &with_key("b"))
            .file("projects.d/c.toml", &with_key("c"))
            .file("projects.d/.#d.toml", "broken [")
            .file("projects.d/e.toml~", "broken [")
            .file("projects.d/README", "broken [");
        let settings = testbed.settings(&[]);
        let mut names: Vec<_> = settings.projects.keys().map(ToString::to_string).collect();
        names.sort();
        assert_eq!(names, ["a", "b", "c"]);
    }

    #[test]
    fn what_is_wrong_in_config_toml_is_told_all_at_once() {
        assert_snapshot!(of_host(r#"
listn = "127.0.0.1:1"
metrics_listen = ":9011"
concurrency = "x"
drain_timeout = 10
state_dir = ""
[limits]
boddy = "1MiB"
body = "1MB"
queue = 0
[engine]
host = "ssh://host"
[registries."https://ghcr.io"]
username = "x"
password_file = "y"
[registries."ghcr.io"]
username = 5
[limit]
"#), @r#"
config.toml:2:1: listn: unknown key; did you mean `listen`?
config.toml:3:18: metrics_listen: ":9011" is not an IP address and a port, such as "127.0.0.1:9010" or "[::]:9010"
config.toml:4:15: concurrency: expected a number from 1 to 100000, not string "x"
config.toml:5:17: drain_timeout: a duration has a unit: write "10s"
config.toml:6:13: state_dir: "" is not a path
config.toml:8:1: limits.boddy: unknown key; did you mean `body`?
config.toml:9:8: limits.body: "1MB" is not a size with its unit, such as "64KiB" or "1MiB"; the units are B, KiB, MiB and GiB
config.toml:10:9: limits.queue: must be from 1 to 100000, not 0
config.toml:12:8: engine.host: "ssh://host" is not where the engine listens, such as "unix:///run/docker.sock" or "tcp://127.0.0.1:2375"
config.toml:13:13: registries."https://ghcr.io": "https://ghcr.io" is not the host of a registry, such as "ghcr.io" or "registry.example.com:5000"
config.toml:17:12: registries."ghcr.io".username: expected a text in quotes, not integer `5`
config.toml:18:2: limit: unknown key; did you mean `limits`?
"#);
    }

    #[test]
    fn what_is_not_toml_is_told_with_its_place() {
        assert_snapshot!(of_host("listen = \n"), @"config.toml:1:10: not TOML: string values must be quoted, expected literal string");
        assert_snapshot!(of_host("concurrency = 1\nconcurrency = 2\n"), @"config.toml:2:1: not TOML: duplicate key");
        assert_snapshot!(of_host("[limits\n"), @"config.toml:1:8: not TOML: unclosed table, expected `]`");
        assert_snapshot!(of_project("\u{feff}[projects.shop\n"), @"projects.d/shop.toml:1:16: not TOML: unclosed table, expected `]`");
    }

    #[test]
    fn what_is_wrong_in_a_project_is_told_all_at_once() {
        assert_snapshot!(of_project(r#"
[projects.shop]
images = ["nginx", "ghcr.io/acme/shop:v1", "ghcr.io/acme/shop", 5]
tags = ["v[0-9]*", ""]
allow_untagged = "yes"
tiemout = "10m"
timeout = "0s"
keep = 0
[projects.shop.compose]
files = "compose.yaml"
project_name = "Shop"
services = ["-v"]
[projects.shop.health]
http = "/health"
tcp = "5432"
command = "true"
within = 60
[[projects.shop.keys]]
id = "a b"
scheme = "gitlab"
secret_file = "ci.key"
expires = "never"
[[projects.shop.keys]]
scheme = "github"
scope = { may = ["deploi"], tag = [] }
"#), @r#"
projects.d/shop.toml:3:11: projects.shop.images[0]: write the full name with its registry, such as `docker.io/library/nginx`
projects.d/shop.toml:3:20: projects.shop.images[1]: a repository has neither tag nor digest
projects.d/shop.toml:3:65: projects.shop.images[3]: expected a repository, such as "ghcr.io/acme/shop", not integer `5`
projects.d/shop.toml:4:9: projects.shop.tags[0]: "v[0-9]*" matches no tag: tags have no '[', and patterns know only `*` and `?`
projects.d/shop.toml:4:20: projects.shop.tags[1]: an empty pattern matches no tag; "*" matches all
projects.d/shop.toml:5:18: projects.shop.allow_untagged: expected true or false, not string "yes"
projects.d/shop.toml:6:1: projects.shop.tiemout: unknown key; did you mean `timeout`?
projects.d/shop.toml:7:11: projects.shop.timeout: must be greater than zero
projects.d/shop.toml:8:8: projects.shop.keep: must be from 1 to 100000, not 0
projects.d/shop.toml:9:1: projects.shop.compose: `directory` is missing
projects.d/shop.toml:10:9: projects.shop.compose.files: expected a list, not string "compose.yaml"
projects.d/shop.toml:11:16: projects.shop.compose.project_name: "Shop" is not a name of a-z, 0-9, `_` and `-` that begins with a letter or digit, as Compose requires
projects.d/shop.toml:12:13: projects.shop.compose.services[0]: "-v" is not a name of a-z, A-Z, 0-9, `_`, `.` and `-` that begins without `-`
projects.d/shop.toml:14:8: projects.shop.health.http: "/health" is not a URL, such as "http://127.0.0.1:8080/health"
projects.d/shop.toml:15:7: projects.shop.health.tcp: "5432" is not a host and a port, such as "127.0.0.1:5432"
projects.d/shop.toml:16:11: projects.shop.health.command: expected a list, not string "true"
projects.d/shop.toml:17:10: projects.shop.health.within: a duration has a unit: write "60s"
projects.d/shop.toml:19:6: projects.shop.keys[0].id: a key id has 1 to 63 characters of a-z, A-Z, 0-9, `-` and `_` and begins with a letter or digit, not "a b"
projects.d/shop.toml:20:10: projects.shop.keys[0].scheme: "gitlab" is not one of standard, github, bearer; did you mean `github`?
projects.d/shop.toml:22:11: projects.shop.keys[0].expires: "never" is not a date such as 2027-01-31, or 2027-01-31T12:00:00Z
projects.d/shop.toml:23:1: projects.shop.keys[1]: `id` is missing
projects.d/shop.toml:25:18: projects.shop.keys[1].scope.may[0]: "deploi" is not one of deploy, read; did you mean `deploy`?
projects.d/shop.toml:25:29: projects.shop.keys[1].scope.tag: unknown key; did you mean `tags`?
"#);
    }

    #[test]
    fn what_a_project_lacks_or_contradicts_is_told() {
        assert_snapshot!(of_project(r#"
[projects.shop]
[projects.site]
images = []
compose.directory = "/srv/site"
[projects.site.health]
http = "http://127.0.0.1/"
tcp = "127.0.0.1:80"
command = ["true"]
[[projects.site.keys]]
id = "ci"
scheme = "github"
secret_file = "ci.key"
scope.may = []
[[projects.site.keys]]
id = "ci"
scheme = "bearer"
secret_file = "other.key"
[projects.blog]
images = ["ghcr.io/acme/blog"]
compose = {}
health.command = []
"#), @r#"
projects.d/shop.toml:2:11: projects.shop: needs at least one image, such as images = ["ghcr.io/acme/shop"]
projects.d/shop.toml:2:11: projects.shop: needs a table that says how to put it into service: one of [projects.shop.compose], [projects.shop.systemd], [projects.shop.command]
projects.d/shop.toml:3:11: projects.site: needs at least one image, such as images = ["ghcr.io/acme/shop"]
projects.d/shop.toml:6:16: projects.site.health: is one of `http`, `tcp` and `command`, not several
projects.d/shop.toml:9:11: projects.site.health.command: "true" is not an absolute path: no shell looks for it
projects.d/shop.toml:14:13: projects.site.keys[0].scope.may: is empty: a key that may do nothing is of no use
projects.d/shop.toml:16:6: projects.site.keys[1].id: ci is the id of another key of this project
projects.d/shop.toml:21:11: projects.blog.compose: `directory` is missing
projects.d/shop.toml:22:18: projects.blog.health.command: needs a program, such as command = ["/usr/bin/true"]
"#);
    }

    #[test]
    fn what_stands_outside_of_the_projects_of_a_project_file_is_told_where_it_belongs() {
        assert_snapshot!(of_project("images = ['ghcr.io/acme/shop']\nlisten = '127.0.0.1:1'\n"), @r"
        projects.d/shop.toml:1:1: images: unknown key; everything in a project file is under [projects.NAME]
        projects.d/shop.toml:2:1: listen: unknown key; everything in a project file is under [projects.NAME]
        ");
        assert_snapshot!(of_project("[project.shop]\nimages = []\n"), @"projects.d/shop.toml:1:2: project: unknown key; did you mean `projects`?");
        assert_snapshot!(of_project("[projects.\"The Shop\"]\n"), @r#"projects.d/shop.toml:1:11: projects."The Shop": a project name has 1 to 63 characters of a-z, 0-9, `-` and `_` and begins with a letter or digit, not "The Shop""#);
        assert_snapshot!(of_project("projects = 1\n"), @"projects.d/shop.toml:1:12: projects: expected a table, not integer `1`");
    }

    #[test]
    fn a_project_that_is_configured_twice_is_told_with_both_files() {
        let again = SHOP.replace("ci.key", "other.key");
        let testbed = Testbed::new().key("ci.key").key("other.key").project(SHOP);
        assert_snapshot!(testbed.file("projects.d/again.toml", &again).problems(), @"projects.d/shop.toml:1:11: projects.shop: project shop is configured in projects.d/again.toml already");
        let testbed = Testbed::new().key("ci.key").key("other.key").project(SHOP);
        assert_snapshot!(testbed.file("config.toml", &again).problems(), @"projects.d/shop.toml:1:11: projects.shop: project shop is configured in config.toml already");
    }

    #[test]
    fn a_key_file_that_cannot_be_used_is_told_where_it_is_named() {
        let shop = |testbed: Testbed| testbed.project(SHOP).problems();
        assert_snapshot!(shop(Testbed::new()), @"projects.d/shop.toml:7:15: projects.shop.keys[0].secret_file: no such file: looked for projects.d/ci.key, keys/ci.key");
        assert_snapshot!(shop(Testbed::new().secret("keys/ci.key", "", 0o600)), @"projects.d/shop.toml:7:15: projects.shop.keys[0].secret_file: keys/ci.key: the key is empty: make one with `windlass key new`");
        assert_snapshot!(shop(Testbed::new().secret("keys/ci.key", "short", 0o600)), @"projects.d/shop.toml:7:15: projects.shop.keys[0].secret_file: keys/ci.key: the key has 5 bytes, and fewer than 24 can be guessed: make one with `windlass key new`");
        assert_snapshot!(shop(Testbed::new().secret("keys/ci.key", "long enough to be a key", 0o640)), @"projects.d/shop.toml:7:15: projects.shop.keys[0].secret_file: keys/ci.key can be read by others than its owner (mode 0640); run `chmod 600 keys/ci.key`");
        assert_snapshot!(shop(Testbed::new().file("keys/ci.key/is_a_directory", "")), @"projects.d/shop.toml:7:15: projects.shop.keys[0].secret_file: keys/ci.key is not a file");
    }

    #[test]
    fn one_secret_used_twice_is_told_with_both_keys() {
        let more = "[[projects.shop.keys]]\nid = 'again'\nscheme = 'bearer'\nsecret_file = 'ci.key'\n";
        let site = SHOP.replace("shop", "site").replace("ci.key", "copy");
        let testbed = Testbed::new().key("ci.key").project(&format!("{SHOP}{more}"));
        let secret = std::fs::read_to_string(testbed.path().join("keys/ci.key")).unwrap();
        let testbed = testbed.secret("projects.d/copy", &secret, 0o600).file("projects.d/site.toml", &site);
        assert_snapshot!(testbed.problems(), @r"
        projects.d/shop.toml:11:15: projects.shop.keys[1].secret_file: key again of project shop has the same secret as key ci of project shop (projects.d/shop.toml); make another with `windlass key new`
        projects.d/site.toml:7:15: projects.site.keys[0].secret_file: key ci of project site has the same secret as key ci of project shop (projects.d/shop.toml); make another with `windlass key new`
        ");
    }

    #[test]
    fn what_is_odd_but_usable_is_a_warning() {
        let expired = SHOP.replace("secret_file", "expires = 2026-11-20\nsecret_file");
        assert_snapshot!(of_project(&expired), @"warning: projects.d/shop.toml:7:11: projects.shop.keys[0].expires: key ci expired at 2026-11-20T00:00:00.000Z and no longer proves anything");
        let slow = SHOP.replace("compose.dir", "timeout = '1m'\nhealth.within = '1m'\ncompose.dir");
        assert_snapshot!(of_project(&slow), @"warning: projects.d/shop.toml:3:11: projects.shop.timeout: a deployment is given up after its timeout of 1m, before `within` and `settle` of `health` are over");
        assert_snapshot!(of_project("projects.shop = { images = ['a.b/c'], compose.directory = '/' }"), @"warning: projects.d/shop.toml:1:10: projects.shop: has no keys: only operators on this host can deploy it");
    }

    #[test]
    fn nothing_that_is_printed_shows_a_secret() {
        let more = "[[projects.shop.keys]]\nid = 'again'\nscheme = 'standard'\nsecret_file = 'again.key'\n";
        let testbed = Testbed::new().key("ci.key").project(SHOP);
        let settings = testbed.settings(&[]);
        assert!(!format!("{settings:?} {settings:#?}").contains(CANARY));
        // Not of its scheme; then too long, then of two lines, then the same one twice.
        let testbed = testbed.key("again.key").project(&format!("{SHOP}{more}"));
        for text in [CANARY.to_owned(), CANARY.repeat(100), format!("{CANARY}\n{CANARY}"), format!("{CANARY}-ci.key")] {
            for scheme in ["standard", "github", "bearer"] {
                let other = more.replace("standard", scheme);
                testbed.write("keys/again.key", &text);
                testbed.write("projects.d/shop.toml", &format!("{SHOP}{other}"));
                let error = testbed.load(&[]).unwrap_err();
                assert!(!format!("{error} {error:?} {error:#?}").contains(CANARY), "{error}");
            }
        }
    }

    #[test]
    fn many_files_are_read_as_one_would_be_and_told_in_their_order() {
        let mut testbed = Testbed::new();
        for i in 0..LEAST_SHARE * MOST_THREADS + 7 {
            let project =
                format!("projects.p{i} = {{ images = ['a.b/c'], compose.directory = '/', keep = {} }}", i % 100);
            testbed = testbed.file(&format!("projects.d/{i:03}.toml"), &project);
        }
        let problems = testbed.problems();
        let told: Vec<_> = problems.lines().filter_map(|line| line.split(':').next()).collect();
        assert_eq!(told, ["projects.d/000.toml", "projects.d/100.toml", "projects.d/200.toml"]);
    }

    #[test]
    fn directories_that_cannot_be_listed_are_told() {
        assert_snapshot!(Testbed::new().file("projects.d", "").problems(), @"projects.d: cannot be read: Not a directory (os error 20)");
        assert_snapshot!(Testbed::new().file("projects.d/x.toml/y", "").problems(), @"projects.d/x.toml: cannot be read: Is a directory (os error 21)");
    }
}
