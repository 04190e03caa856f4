//! README's chapters about the service, and about coming from docker-puller, typed along on a host.

use crate::host::Host;
use crate::image::Image;
use crate::package;
use crate::run::PASSWORD;
use crate::units::{await_page, page};

const README: &str = include_str!("../../README.md");
const TOKEN: &str = "canary-0123456789-abcdefghijk";

/// The blocks of `language` in the chapter `title`.
fn blocks(title: &str, language: &str) -> Vec<&'static str> {
    let begin = README.find(&format!("\n## {title}\n")).unwrap() + 1;
    let chapter = README[begin..].split("\n## ").next().unwrap();
    let fence = format!("\n```{language}\n");
    let blocks: Vec<&str> = chapter.split(&fence).skip(1).map(|rest| rest.split("\n```").next().unwrap()).collect();
    assert!(!blocks.is_empty(), "{title} has no {language}");
    blocks
}

/// The one of them that has `word` in it.
#[track_caller]
fn block(title: &str, language: &str, word: &str) -> &'static str {
    let found: Vec<&str> = blocks(title, language).into_iter().filter(|block| block.contains(word)).collect();
    assert_eq!(found.len(), 1, "{word} in {title}: {found:?}");
    found[0]
}

/// What README says, with this host's own names.
fn here(host: &Host, text: &str) -> String {
    let text = text.replace("ghcr.io/acme", "{repo}").replace("ghcr.io", "{registry}").replace("/shop:", "/app:");
    // Compose calls its project after the directory, and the engine is everybody's.
    let text = text.replace("/srv/shop", "/srv/{name}");
    host.fill(&text.replace("{repo}/shop", "{repo}/app").replace(":9010", ":{hooks}").replace(":8080:", ":{port}:"))
}

/// Types a block along, as root, for whom sudo is nothing; what it prints.
#[track_caller]
fn typed(host: &Host, block: &str) -> String {
    let (password, script) = (PASSWORD, here(host, block));
    host.sh(&format!("set -e; sudo() {{ \"$@\"; }}; GHCR_TOKEN='{password}'; TOKEN='{TOKEN}'\n{script}"))
}

/// A bare host with the package, with the compose project and the settings of the tour.
fn host() -> Host {
    let host = package::installed();
    let tour = "From nothing to a deploy from CI";
    host.write("/srv/{name}/compose.yaml", &here(&host, block(tour, "yaml", "services:")));
    host.write("/etc/windlass/config.toml", &here(&host, block(tour, "toml", "registries")));
    typed(&host, block("As a service", "sh", "GHCR_TOKEN"));
    host
}

#[test]
fn the_chapter_on_the_service_makes_one_of_the_tour() {
    let host = host();
    host.publish("app:v1", &Image::web("v1"));
    let said = typed(&host, block("As a service", "sh", "windlass init"));
    assert!(said.contains("no problems found"), "{said}");
    host.sh(&here(&host, "windlass deploy shop ghcr.io/acme/shop:v1"));
    assert_eq!(page(&host), "v1");

    assert_eq!(typed(&host, block("As a service", "sh", "windlass polkit")), "", "no project has a unit");
    let credentials = block("As a service", "ini", "LoadCredential");
    host.write("/etc/systemd/system/windlass.service.d/override.conf", credentials);
    host.sh("mv /etc/windlass/keys/shop-ci.key /root && chown root: /root/shop-ci.key");
    host.sh("sed -i 's,^secret_file = .*,secret_file = \"shop-ci.key\",' /etc/windlass/projects.d/shop.toml");
    host.sh("systemctl daemon-reload && systemctl restart windlass && windlass list --project shop");
    host.sh("CREDENTIALS_DIRECTORY=/run/credentials/windlass.service windlass check");
}

#[test]
fn the_chapter_on_docker_puller_takes_its_hooks_over() {
    const CHAPTER: &str = "Coming from docker-puller";
    let host = host();
    host.publish("app:latest", &Image::web("v1"));
    host.write(
        "/opt/docker-puller/config.json",
        &format!("{{\"token\": \"{TOKEN}\", \"hooks\": {{\"myhook1\": \"/opt/docker-puller/site.sh\"}}}}"),
    );
    let run = "docker run --detach --name {name}-site --network host --env PORT={port} \"$WINDLASS_IMAGE\"";
    host.write_as("/opt/docker-puller/site.sh", "755", &format!("#!/bin/sh\ndocker rm --force {{name}}-site\n{run}\n"));
    let said = typed(&host, block(CHAPTER, "sh", "windlass import"));
    assert!(said.contains("no problems found"), "{said}");
    host.reload();
    let lines: Vec<&str> = block(CHAPTER, "sh", "curl").lines().collect();
    let [begun, waited, by_path] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!(typed(&host, begun), "{\"success\": true}");
    await_page(&host, "v1");
    host.publish("app:latest", &Image::web("v2"));
    assert_eq!(typed(&host, waited), "{\"success\": true}");
    assert_eq!(page(&host), "v2");

    // The same by hand, for a project that is there already.
    host.sh("docker rm --force {name}-site; rm -r /etc/windlass/projects.d/* /etc/windlass/config.toml");
    typed(&host, block("As a service", "sh", "windlass init").lines().next().unwrap());
    let login = block("From nothing to a deploy from CI", "toml", "registries");
    let table = block(CHAPTER, "toml", "compat.docker_puller");
    host.write("/etc/windlass/config.toml", &here(&host, &format!("{login}\n{table}")));
    host.reload();
    assert_eq!(typed(&host, by_path), "{\"success\": true}");
    await_page(&host, "v2");
}
