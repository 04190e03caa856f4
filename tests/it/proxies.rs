//! The proxies of docs/hook.md in front of the hook port, with the lines that stand there: what curl sees through them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use windlass::auth::{self, Scheme};

use crate::cli::{Windlass, shell};
use crate::daemon::{Home, TestDaemon};
use crate::world::Behaviour;

#[expect(clippy::disallowed_types, reason = "a caller's own program, and what is in front of windlass")]
type Command = std::process::Command;

const PAGE: &str = include_str!("../../docs/hook.md");
const HOST: &str = "deploy.example.com";

/// A proxy that runs, and curl that trusts it.
struct Proxy {
    name: &'static str,
    process: Child,
    port: u16,
    directory: tempfile::TempDir,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The lines that the page has for a program.
fn page(language: &str) -> &'static str {
    let begin = format!("```{language}\n");
    PAGE.split_once(&begin).unwrap().1.split_once("```").unwrap().0
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn certificate(directory: &Path) {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", &format!("/CN={HOST}")])
        .args(["-addext", &format!("subjectAltName=DNS:{HOST}"), "-keyout", "key.pem", "-out", "cert.pem"])
        .current_dir(directory)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let both = fs::read_to_string(directory.join("cert.pem")).unwrap()
        + &fs::read_to_string(directory.join("key.pem")).unwrap();
    fs::write(directory.join("both.pem"), both).unwrap();
}

impl Proxy {
    fn start(name: &'static str, daemon: &TestDaemon) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (here, port) = (directory.path().display(), free_port());
        certificate(directory.path());
        let lines = page(name).replace("127.0.0.1:9010", daemon.url.strip_prefix("http://").unwrap());
        let (text, arguments): (String, &[&str]) = match name {
            "nginx" => (
                format!(
                    "daemon off; pid {here}/pid; events {{}}\nhttp {{\naccess_log off; client_body_temp_path {here}/body;\n\
                     proxy_temp_path {here}/proxy; fastcgi_temp_path {here}/f; uwsgi_temp_path {here}/u; scgi_temp_path {here}/s;\n\
                     server {{\nlisten 127.0.0.1:{port} ssl http2; server_name {HOST};\nssl_certificate {here}/cert.pem;\n\
                     ssl_certificate_key {here}/key.pem;\n{lines}}}\n}}\n"
                ),
                &["-e", "stderr", "-c"],
            ),
            "haproxy" => (
                format!(
                    "defaults\n    mode http\n    timeout connect 5s\n    timeout client 1h\nfrontend deploy\n    \
                     bind 127.0.0.1:{port} ssl crt {here}/both.pem alpn h2,http/1.1\n    default_backend windlass\n{lines}"
                ),
                &["-f"],
            ),
            _ => (
                format!(
                    "{{\nadmin off\nauto_https disable_redirects\nstorage file_system {here}/storage\n}}\n{}",
                    lines.replacen(
                        &format!("{HOST} {{\n"),
                        &format!("https://{HOST}:{port} {{\nbind 127.0.0.1\ntls {here}/cert.pem {here}/key.pem\n"),
                        1
                    )
                ),
                &["run", "--adapter", "caddyfile", "--config"],
            ),
        };
        let (file, log) = (directory.path().join("configuration"), directory.path().join("log"));
        fs::write(&file, text).unwrap();
        let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap());
        let program = std::env::split_paths(&path).map(|place| place.join(name)).find(|program| program.exists());
        let program = program.unwrap_or_else(|| panic!("{name} is missing: run scripts/setup proxies"));
        let output = fs::File::create(&log).unwrap();
        let process = Command::new(program)
            .args(arguments)
            .arg(&file)
            .env("HOME", directory.path())
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        let proxy = Self { name, process, port, directory };
        let begun = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(300), "{name}: {}", fs::read_to_string(&log).unwrap());
            std::thread::sleep(Duration::from_millis(20));
        }
        proxy
    }

    /// Sends a hook through it.
    fn curl(&self, home: &Home, http: &str, id: &str, image: &str, query: &str, accept: &str) -> Command {
        let body = json!({ "image": image }).to_string();
        let key = home.key("shop", Scheme::STANDARD);
        let headers = auth::sign(&key, &id.parse().unwrap(), body.as_bytes(), home.clock().now()).unwrap();
        let mut command = Command::new("curl");
        command.args(["-q", "--fail-with-body", "-sSN", "--noproxy", "*", http, "--cacert"]);
        command.arg(self.directory.path().join("cert.pem"));
        command.args(["--resolve", &format!("{HOST}:{}:127.0.0.1", self.port), "-H", "Content-Type: application/json"]);
        for (name, value) in &headers {
            command.arg("-H").arg(format!("{name}: {}", value.to_str().unwrap()));
        }
        command.args(["-H", &format!("Accept: {accept}"), "-d", &body]);
        command.arg(format!("https://{HOST}:{}/v1/hooks/shop{query}", self.port));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Has any curl whose home this is find the proxy, and trust it.
    fn configure_curl(&self, http: &str) {
        let here = self.directory.path().display();
        let text = format!(
            "{http}\ncacert = \"{here}/cert.pem\"\nresolve = \"{HOST}:{}:127.0.0.1\"\nnoproxy = \"*\"\n",
            self.port
        );
        fs::write(self.directory.path().join(".curlrc"), text).unwrap();
    }

    /// What `windlass init` prints for a shell.
    fn snippet(&self, home: &Home) -> String {
        fs::create_dir_all(home.path().join("keys")).unwrap();
        fs::copy(home.path().join("shop-standard.key"), home.path().join("keys/shop-ci.key")).unwrap();
        let url = format!("https://{HOST}:{}", self.port);
        let printed = Windlass::on(home).run(&["--url", &url, "init", "shop", "--ci", "shell"]);
        printed.out.split_once("# Any shell\n").unwrap_or_else(|| panic!("{printed:?}")).1.to_owned()
    }

    fn run(&self, home: &Home, http: &str, id: &str, image: &str, query: &str, accept: &str) -> (i32, String) {
        let output = self.curl(home, http, id, image, query, accept).output().unwrap();
        let (said, why) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        (output.status.code().unwrap(), format!("{said}{why}({}, {http})", self.name))
    }
}

/// `one` and `two` are what curl may end with over HTTP/1.1 and over HTTP/2 when windlass breaks an answer off.
fn through(name: &'static str, one: &[i32], two: &[i32]) {
    let home = Home::with_shop();
    let daemon = home.start();
    let sick = home.world.publish("r.io/shop:sick", "sick");
    home.world.state().behaviours.insert(sick, Behaviour::Unhealthy);
    let proxy = Proxy::start(name, &daemon);
    let programs = tempfile::tempdir().unwrap();
    fs::write(programs.path().join("sudo"), "#!/bin/sh\nexec \"$@\"\n").unwrap();
    fs::set_permissions(programs.path().join("sudo"), fs::Permissions::from_mode(0o755)).unwrap();
    for (http, version, breaks_off) in [("--http1.1", 1, one), ("--http2", 2, two)] {
        proxy.configure_curl(http);
        let run = |id: &str, image: &str, query: &str, accept: &str| {
            proxy.run(&home, http, &format!("{id}-{version}"), &format!("r.io/{image}"), query, accept)
        };
        let (code, said) = run("good", "shop:v1", "?wait=10m", "text/plain");
        assert!(code == 0 && said.contains("\nsucceeded "), "{said}");
        let (code, said) = run("sick", "shop:sick", "?wait=10m", "text/plain");
        assert!(said.contains("\nrolled_back ") && breaks_off.contains(&code), "{code}: {said}");
        let script = proxy.snippet(&home).replace(":TAG", ":sick");
        let done = shell(&script, &[("HOME", proxy.directory.path().to_str().unwrap())], programs.path());
        assert_eq!((done.code, done.last().starts_with("rolled_back ")), (1, true), "{name} {http}: {done:?}");
        let done = shell(
            &script.replace(":sick", ":v1"),
            &[("HOME", proxy.directory.path().to_str().unwrap())],
            programs.path(),
        );
        assert_eq!((done.code, done.last().starts_with("succeeded ")), (0, true), "{name} {http}: {done:?}");
        let (code, said) = run("other", "other:v1", "", "text/plain");
        assert!(code == 22 && said.starts_with("refused: r.io/other is not among"), "{code}: {said}");
        let (code, said) = run("json", "shop:v1", "?wait=10m", "application/json");
        assert!(code == 0 && said.contains("\"status\":\"succeeded\""), "{code}: {said}");

        // Lines come while things happen, through the proxy as well.
        home.world.state().hold_health = true;
        let mut child =
            proxy.curl(&home, http, &format!("live-{version}"), "r.io/shop:v1", "", "text/plain").spawn().unwrap();
        let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
        while !lines.next().unwrap().unwrap().contains("[4/5] apply web") {}
        home.world.state().hold_health = false;
        home.world.ring();
        assert!(lines.any(|line| line.unwrap().starts_with("succeeded ")), "{name} {http}");
        assert!(child.wait().unwrap().success());
    }
}

#[test]
fn caddy_passes_on_what_is_said_while_it_is_said_and_no_failure_looks_like_a_success() {
    // Newer ones pass it on.
    through("caddy", &[0, 18], &[0, 92]);
}

#[test]
fn nginx_passes_on_what_is_said_while_it_is_said_and_no_failure_looks_like_a_success() {
    through("nginx", &[18], &[92]);
}

#[test]
fn haproxy_passes_on_what_is_said_while_it_is_said_and_no_failure_looks_like_a_success() {
    through("haproxy", &[18], &[0, 92]);
}
