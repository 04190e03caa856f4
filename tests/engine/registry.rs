//! Image registries with a password, and what tests put into them.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::image::{Blob, Image};
use crate::program::{PATIENCE, Program, eventually};
use crate::run::{PASSWORD, USER};

const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const CONFIG: &str = "application/vnd.docker.container.image.v1+json";
const LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

/// A registry on the loopback interface that asks for a password.
pub struct Registry {
    directory: PathBuf,
    /// `127.0.0.1:PORT`.
    pub address: String,
}

/// An image in a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// Its manifest's digest: what identifies a release.
    pub digest: String,
    /// Its tag.
    pub tag: String,
}

impl Registry {
    /// Starts one in `directory`; port 0 takes a free one.
    pub fn start(directory: &Path, port: u16) -> Self {
        let password = directory.parent().unwrap().join("password");
        std::fs::write(&password, PASSWORD).unwrap();
        let start = Program::script("scripts/registry").arg("start").arg(directory).arg(port.to_string());
        let address = start.arg(USER).arg(password).text();
        Self { directory: directory.to_owned(), address }
    }

    pub fn port(&self) -> u16 {
        self.address.rsplit(':').next().unwrap().parse().unwrap()
    }

    /// Ends it as a power cut does.
    pub fn kill(&self) {
        let pid = std::fs::read_to_string(self.directory.join("pid")).unwrap();
        Program::new("kill").args(["-9", pid.trim()]).text();
        eventually(PATIENCE, "the end of the registry", || (self.ask("/v2/", &[]).code != 0).then_some(()));
    }

    /// Puts `image` into `repository` (without the registry's address), once for each tag.
    pub fn publish(&self, repository: &str, tag: &str, image: &Image) -> Published {
        let (config, layers) = image.blobs(repository);
        let mut described = Vec::new();
        for layer in &layers {
            self.put_blob(repository, layer);
            described.push(json!({ "mediaType": LAYER, "size": layer.size(), "digest": layer.digest }));
        }
        self.put_blob(repository, &config);
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": { "mediaType": CONFIG, "size": config.size(), "digest": config.digest },
            "layers": described,
        });
        match &image.architecture {
            None => self.put_manifest(repository, tag, MANIFEST, &manifest),
            Some(architecture) => {
                let only = self.put_manifest(repository, &format!("{tag}-{architecture}"), MANIFEST, &manifest);
                let index = json!({
                    "schemaVersion": 2,
                    "mediaType": INDEX,
                    "manifests": [{
                        "mediaType": MANIFEST, "size": manifest.to_string().len(), "digest": only.digest,
                        "platform": { "os": "linux", "architecture": architecture },
                    }],
                });
                self.put_manifest(repository, tag, INDEX, &index)
            }
        }
    }

    /// The manifest under `tag`.
    pub fn manifest(&self, repository: &str, tag: &str) -> Value {
        let accept = format!("Accept: {MANIFEST}");
        serde_json::from_str(&self.fetch(&format!("/v2/{repository}/manifests/{tag}"), &["-H", &accept])).unwrap()
    }

    /// The text of a blob.
    pub fn blob(&self, repository: &str, digest: &str) -> String {
        self.fetch(&format!("/v2/{repository}/blobs/{digest}"), &["-L"])
    }

    /// Takes a manifest out.
    pub fn forget(&self, repository: &str, image: &Published) {
        self.fetch(&format!("/v2/{repository}/manifests/{}", image.digest), &["-X", "DELETE"]);
    }

    /// Lets the registry serve something else under a digest.
    pub fn tamper(&self, digest: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let hex = digest.strip_prefix("sha256:").unwrap();
        let blobs = self.directory.join("images/docker/registry/v2/blobs/sha256");
        let file = blobs.join(&hex[..2]).join(hex).join("data");
        let mut bytes = std::fs::read(&file).unwrap();
        change(&mut bytes);
        std::fs::write(&file, bytes).unwrap();
    }

    fn put_manifest(&self, repository: &str, tag: &str, kind: &str, manifest: &Value) -> Published {
        let text = manifest.to_string();
        let kind = format!("Content-Type: {kind}");
        self.fetch(&format!("/v2/{repository}/manifests/{tag}"), &["-X", "PUT", "-H", &kind, "--data-binary", &text]);
        Published { digest: digest(text.as_bytes()), tag: tag.to_owned() }
    }

    fn put_blob(&self, repository: &str, blob: &Blob) {
        let mount = blob.seed.as_ref().map(|from| format!("?mount={}&from={from}", blob.digest)).unwrap_or_default();
        let begin = format!("/v2/{repository}/blobs/uploads/{mount}");
        let head = self.fetch(&begin, &["-X", "POST", "-o", "/dev/null", "-D", "-"]);
        if head.lines().next().unwrap_or_default().contains(" 201") {
            return;
        }
        let header = |line: &str| Some(line.split_once(": ")?.1.trim().to_owned());
        let to = head.lines().find(|line| line.to_ascii_lowercase().starts_with("location:")).and_then(header).unwrap();
        let url = format!("{to}{}digest={}", if to.contains('?') { '&' } else { '?' }, blob.digest);
        let path = url.split_once("/v2/").unwrap().1;
        let data = format!("@{}", blob.file.display());
        let kind = "Content-Type: application/octet-stream";
        self.fetch(&format!("/v2/{path}"), &["-X", "PUT", "-H", kind, "--data-binary", &data]);
    }

    fn fetch(&self, path: &str, options: &[&str]) -> String {
        let output = self.ask(path, options);
        assert!(output.code == 0, "{path}: {}{}", output.stdout, output.stderr);
        output.stdout
    }

    fn ask(&self, path: &str, options: &[&str]) -> crate::program::Output {
        Program::new("curl")
            .args(["-sS", "--fail-with-body", "--noproxy", "*", "-K", "-"])
            .args(options)
            .arg(format!("http://{}{path}", self.address))
            .input(format!("user = \"{USER}:{PASSWORD}\"\n"))
            .output()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        Program::script("scripts/registry").arg("stop").arg(&self.directory).output();
    }
}

/// `sha256:…` of some bytes.
pub fn digest(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    format!("sha256:{}", hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

/// Logs the engine's own client in, in a directory of its own.
pub fn docker_login(directory: &Path, address: &str) {
    use base64::Engine as _;
    let auth = base64::engine::general_purpose::STANDARD.encode(format!("{USER}:{PASSWORD}"));
    std::fs::create_dir_all(directory).unwrap();
    let config = json!({ "auths": { address: { "auth": auth } } });
    std::fs::write(directory.join("config.json"), config.to_string()).unwrap();
}
