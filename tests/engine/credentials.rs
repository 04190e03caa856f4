//! Where the registry's password may be: beside the configuration, in Docker's own file, with a helper.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use base64::Engine as _;
use serde_json::{Value, json};

use crate::image::Image;
use crate::program::Program;
use crate::run::{PASSWORD, USER};
use crate::site::Site;

/// A site whose config.toml says nothing of the registry, and where Docker's own file has this in it.
fn with_docker_config(config: Value) -> Site {
    let mut site = Site::new();
    site.configure_without_login("", "");
    let directory = site.directory.join("docker");
    fs::create_dir(&directory).unwrap();
    fs::write(directory.join("config.json"), site.fill(&config.to_string())).unwrap();
    site.env("DOCKER_CONFIG", "{dir}/docker");
    site
}

#[test]
fn a_password_with_every_character_in_a_file_beside_the_configuration_opens_the_registry() {
    let encoded = base64::engine::general_purpose::STANDARD.encode(PASSWORD);
    assert!(encoded.contains(['+', '/']), "it must tell the two kinds of base64 apart");
    let mut site = Site::new();
    let v1 = site.publish("app:v1", &Image::web("v1"));
    site.start();
    site.deploy("app:v1").succeeded();
    site.has(&v1);
}

#[test]
fn without_credentials_the_answer_says_how_to_add_them() {
    let mut site = with_docker_config(json!({}));
    site.publish("app:v1", &Image::web("v1"));
    site.start();
    let reason = site.deploy("app:v1").failed("abandoned");
    assert!(reason.contains("registries") || reason.contains("docker login"), "{reason}");
    assert_eq!(site.container("web"), None);
}

#[test]
fn what_docker_login_wrote_opens_the_registry() {
    let auth = base64::engine::general_purpose::STANDARD.encode(format!("{USER}:{PASSWORD}"));
    let mut site = with_docker_config(json!({ "auths": { "{address}": { "auth": auth } } }));
    let v1 = site.publish("app:v1", &Image::web("v1"));
    site.start();
    site.deploy("app:v1").succeeded();
    site.has(&v1);
}

#[test]
fn a_credential_helper_opens_the_registry() {
    let mut site = with_docker_config(json!({ "credHelpers": { "{address}": "windlass-test" } }));
    let helper = site.directory.join("docker-credential-windlass-test");
    let answer = json!({ "ServerURL": "{address}", "Username": USER, "Secret": PASSWORD });
    let script = "#!/bin/sh\n[ \"$1\" = get ] && [ \"$(cat)\" = '{address}' ] && echo '{answer}'\n";
    fs::write(&helper, site.fill(&script.replace("{answer}", &answer.to_string()))).unwrap();
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
    let path = std::env::var("PATH").unwrap();
    site.env("PATH", &format!("{{dir}}:{path}"));
    let v1 = site.publish("app:v1", &Image::web("v1"));
    site.start();
    site.deploy("app:v1").succeeded();
    site.has(&v1);
}

#[test]
fn check_tries_the_credentials_that_a_pull_would_use() {
    let site = Site::new();
    let row = || {
        let check = site.command(&["check"]);
        let row = check.stdout.lines().find(|line| line.contains("registry ")).map(str::to_owned);
        (check.code, row.unwrap_or_else(|| panic!("{}{}", check.stdout, check.stderr)))
    };
    let (code, good) = row();
    assert!(code == 0 && good.starts_with("ok    registry ") && good.contains(USER), "{good}");
    site.secret("registry.password", "wrong-canary");
    let (code, bad) = row();
    assert!(code == 10 && bad.starts_with("FAIL  registry ") && bad.contains("config.toml"), "{bad}");
    assert!(!bad.contains("canary"), "{bad}");
}

#[test]
fn a_client_without_compose_is_told_what_to_install() {
    let site = Site::new();
    let hide = "for directory in /usr/libexec/docker /usr/lib/docker /usr/local/libexec/docker /usr/local/lib/docker; do \
        [ ! -d \"$directory/cli-plugins\" ] || mount -t tmpfs none \"$directory/cli-plugins\"; done; exec \"$@\"";
    let config = site.directory.join("config.toml");
    let check = Program::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", hide, "sh"])
        .args([env!("CARGO_BIN_EXE_windlass"), "--config", config.to_str().unwrap(), "check"])
        .env("DOCKER_CONFIG", site.directory.join("no-docker"))
        .output();
    assert_eq!(check.code, 10, "{}{}", check.stdout, check.stderr);
    assert!(check.stdout.contains("Compose v2 is missing: install the plugin"), "{}", check.stdout);
    assert!(!check.stdout.contains("--ansi"), "{}", check.stdout);
}
