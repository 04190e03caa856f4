//! Images made for one test: a seed that is built once, with another command, health check or layer each.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::program::Program;
use crate::registry::{Registry, digest, docker_login};
use crate::run::{Run, random_hex};

/// A busybox that was built by the engine and pushed into the run's registry; all other images differ from it in
/// their configuration alone, so that they need no engine to be made.
pub struct Seed {
    /// Of an image, without what a test decides.
    config: Value,
    layers: Vec<(String, u64)>,
    repository: String,
    files: PathBuf,
}

/// An image that a test wants.
#[derive(Clone)]
pub struct Image {
    version: String,
    script: String,
    stop: Option<Stop>,
    boot: u32,
    floods: bool,
    labels: Vec<(String, String)>,
    program: Option<String>,
    check: Option<Value>,
    volumes: Vec<String>,
    megabytes: usize,
    /// Set when it is for another machine than this one.
    pub architecture: Option<String>,
}

/// What the first process does when it is told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    AtOnce,
    /// After so many seconds.
    After(u32),
    /// It ignores the signal, so that the engine waits for the whole grace period.
    Never,
}

/// How the containers of an image behave: real ones are seldom as easy to handle as the first kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    StopsAtOnce,
    NeedsThreeSecondsToStop,
    IgnoresSigterm,
    BootsForFiveSeconds,
    FloodsItsLog,
    /// Its labels say that it belongs to others, and what they run.
    LabelsLie,
}

pub const KINDS: [Kind; 6] = [
    Kind::StopsAtOnce,
    Kind::NeedsThreeSecondsToStop,
    Kind::IgnoresSigterm,
    Kind::BootsForFiveSeconds,
    Kind::FloodsItsLog,
    Kind::LabelsLie,
];

/// Something that a registry keeps under its digest.
pub struct Blob {
    pub file: PathBuf,
    pub digest: String,
    /// Where the registry has it already.
    pub seed: Option<String>,
    size: u64,
}

impl Seed {
    pub fn make(run: &str, directory: &Path, registry: &Registry) -> Self {
        let (repository, files) = (format!("{run}/seed"), directory.join("seed"));
        let name = format!("{}/{repository}:1", registry.address);
        let login = files.join("docker");
        docker_login(&login, &registry.address);
        Program::script("scripts/image").args([&name, "seed", "web"]).text();
        Program::new("docker").arg("--config").arg(&login).args(["push", "--quiet", &name]).text();

        let manifest = registry.manifest(&repository, "1");
        let layer = |layer: &Value| (layer["digest"].as_str().unwrap().to_owned(), layer["size"].as_u64().unwrap());
        let layers: Vec<_> = manifest["layers"].as_array().unwrap().iter().map(layer).collect();
        for (digest, _) in &layers {
            // Other registries of this run are given the same layers.
            let url = format!("http://{}/v2/{repository}/blobs/{digest}", registry.address);
            let user = format!("user = \"{}:{}\"\n", crate::run::USER, crate::run::PASSWORD);
            Program::new("curl").args(["-sSfL", "-K", "-", "-o"]).arg(files.join(digest)).arg(url).input(user).text();
        }
        let config = registry.blob(&repository, manifest["config"]["digest"].as_str().unwrap());
        Self { config: serde_json::from_str(&config).unwrap(), layers, repository, files }
    }
}

impl Image {
    /// Serves its version as a web page on port 8080, or `$PORT`. It needs a second to stop, and its labels lie.
    pub fn web(version: &str) -> Self {
        Self::friendly(version).stopping(Stop::After(1)).with_lying_labels()
    }

    fn friendly(version: &str) -> Self {
        let serve = "httpd -f -p \"${PORT:-8080}\" -h /www & wait $!";
        Self::running(version, &format!("echo {version} >/www/index.html; {serve}")).stopping(Stop::AtOnce)
    }

    /// The same, of a kind.
    pub fn web_of(kind: Kind, version: &str) -> Self {
        let image = Self::friendly(version);
        match kind {
            Kind::StopsAtOnce => image,
            Kind::NeedsThreeSecondsToStop => image.stopping(Stop::After(3)),
            Kind::IgnoresSigterm => image.stopping(Stop::Never),
            Kind::BootsForFiveSeconds => image.booting(5),
            Kind::FloodsItsLog => image.flooding(),
            Kind::LabelsLie => image.with_lying_labels(),
        }
    }

    /// Says its version and runs a script. It ends by a signal as the script does, which is never unless it says so.
    pub fn running(version: &str, script: &str) -> Self {
        Self {
            version: version.to_owned(),
            script: script.to_owned(),
            stop: None,
            boot: 0,
            floods: false,
            labels: Vec::new(),
            program: None,
            check: None,
            volumes: Vec::new(),
            megabytes: 0,
            architecture: None,
        }
    }

    /// The same, told to stop.
    pub fn stopping(self, stop: Stop) -> Self {
        Self { stop: Some(stop), ..self }
    }

    /// The same, doing nothing for some seconds first.
    pub fn booting(self, seconds: u32) -> Self {
        Self { boot: seconds, ..self }
    }

    /// The same, logging a megabyte of random bytes first, and more all the time.
    pub fn flooding(self) -> Self {
        Self { floods: true, ..self }
    }

    /// The same with a label. In its value, `{name}` stands for the name of the test.
    pub fn labelled(mut self, key: &str, value: &str) -> Self {
        self.labels.push((key.to_owned(), value.to_owned()));
        self
    }

    fn with_lying_labels(self) -> Self {
        let digest = digest(b"what is run by others");
        self.labelled("windlass.keep", "{name}")
            .labelled("windlass.project", "another")
            .labelled("windlass.repository", "registry.invalid/another")
            .labelled("windlass.digest", &digest)
            .labelled("com.docker.compose.project", "{name}")
            .labelled("com.docker.compose.service", "web")
            .labelled("com.docker.compose.oneoff", "True")
            .labelled("com.docker.compose.container-number", "7")
            .labelled("com.docker.compose.config-hash", "another")
            .labelled("com.docker.compose.image", &digest)
            .labelled("com.docker.compose.replace", "another")
            .labelled("com.docker.compose.project.working_dir", "/another")
            .labelled("PODMAN_SYSTEMD_UNIT", "another.service")
    }

    /// The same with a health check, asked every second; two failures are enough.
    pub fn checked(mut self, command: &str) -> Self {
        let second = 1_000_000_000_u64;
        let check = json!({ "Test": ["CMD-SHELL", command], "Interval": second, "Timeout": 2 * second, "Retries": 2 });
        self.check = Some(check);
        self
    }

    /// The same, but so many failures in a row are needed before it counts as unhealthy.
    pub fn with_patience(mut self, retries: u32) -> Self {
        if let Some(check) = &mut self.check {
            check["Retries"] = json!(retries);
        }
        self
    }

    /// The same with a path for which every container gets a volume.
    pub fn with_volume(mut self, path: &str) -> Self {
        self.volumes.push(path.to_owned());
        self
    }

    /// The same with another program to start, which need not exist.
    pub fn starting_with(mut self, program: &str) -> Self {
        self.program = Some(program.to_owned());
        self
    }

    /// The same with so much of what cannot be compressed, other each time.
    pub fn with_megabytes(mut self, megabytes: usize) -> Self {
        self.megabytes = megabytes;
        self
    }

    /// The same in an index that offers it for another architecture alone.
    pub fn only_for(mut self, architecture: &str) -> Self {
        self.architecture = Some(architecture.to_owned());
        self
    }

    /// What the shell of a container does. One that waits is interrupted by a signal, one that runs a program is not.
    fn command(&self) -> String {
        let mut lines = vec![format!("echo version {}", self.version)];
        match self.stop {
            None => {}
            Some(Stop::AtOnce) => lines.push("trap 'exit 0' TERM INT".to_owned()),
            Some(Stop::After(seconds)) => lines.push(format!("trap 'sleep {seconds}; exit 0' TERM INT")),
            Some(Stop::Never) => lines.push("trap '' TERM INT".to_owned()),
        }
        if self.floods {
            lines.push("head -c 1000000 /dev/urandom".to_owned());
            lines.push("while :; do head -c 16384 /dev/urandom; sleep 0.2; done &".to_owned());
        }
        if self.boot > 0 {
            lines.push(format!("sleep {} & wait $!", self.boot));
        }
        lines.push(self.script.clone());
        lines.join("\n")
    }

    /// Its configuration and its layers. The labels name the run and the repository's first part, which is the test.
    pub fn blobs(&self, repository: &str) -> (Blob, Vec<Blob>) {
        let run = Run::get();
        let seed = &run.seed;
        let mut config = seed.config.clone();
        let test = repository.split('/').next().unwrap();
        config["config"] = json!({
            "Cmd": ["/bin/sh", "-c", self.command()],
            "Env": ["PATH=/bin"],
            "Labels": { run.name.as_str(): "", test: "" },
        });
        for (key, value) in &self.labels {
            config["config"]["Labels"][key] = json!(value.replace("{name}", test));
        }
        for path in &self.volumes {
            config["config"]["Volumes"][path] = json!({});
        }
        if let Some(program) = &self.program {
            config["config"]["Cmd"] = json!([program]);
        }
        if let Some(check) = &self.check {
            config["config"]["Healthcheck"] = check.clone();
            // Health may be asked for in vain while it boots.
            config["config"]["Healthcheck"]["StartPeriod"] = json!(u64::from(self.boot) * 1_000_000_000);
        }
        if let Some(architecture) = &self.architecture {
            config["architecture"] = json!(architecture);
        }
        config.as_object_mut().unwrap().remove("container_config");
        // The engine wants a history entry for each layer, or none at all.
        config.as_object_mut().unwrap().remove("history");

        let from_seed = |(digest, size): &(String, u64)| Blob {
            file: seed.files.join(digest),
            digest: digest.clone(),
            seed: Some(seed.repository.clone()),
            size: *size,
        };
        let mut layers: Vec<Blob> = seed.layers.iter().map(from_seed).collect();
        if self.megabytes > 0 {
            let (layer, content) = bulk(&seed.files, self.megabytes);
            config["rootfs"]["diff_ids"].as_array_mut().unwrap().push(json!(content));
            layers.push(layer);
        }
        let text = config.to_string();
        let file = seed.files.join(random_hex());
        std::fs::write(&file, &text).unwrap();
        let size = text.len() as u64;
        (Blob { file, digest: digest(text.as_bytes()), seed: None, size }, layers)
    }
}

impl Blob {
    pub fn size(&self) -> u64 {
        self.size
    }
}

/// A layer with one file of random bytes, and the digest of its content.
fn bulk(directory: &Path, megabytes: usize) -> (Blob, String) {
    let name = format!("bulk-{}", &random_hex()[..8]);
    let make = format!(
        "head -c {megabytes}M /dev/urandom >{name} && tar -cf {name}.tar {name} && rm {name} && \
         sha256sum {name}.tar && gzip -1 {name}.tar && sha256sum {name}.tar.gz"
    );
    let sums = Program::new("sh").args(["-c", &make]).dir(directory).text();
    let mut sums = sums.lines().map(|line| format!("sha256:{}", line.split(' ').next().unwrap()));
    let (content, digest) = (sums.next().unwrap(), sums.next().unwrap());
    let file = directory.join(format!("{name}.tar.gz"));
    let size = std::fs::metadata(&file).unwrap().len();
    (Blob { file, digest, seed: None, size }, content)
}
