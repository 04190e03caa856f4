//! The pages about the service and about coming from docker-puller, typed along on a host.

use crate::host::Host;
use crate::image::Image;
use crate::package;
use crate::run::PASSWORD;
use crate::units::{await_page, page};

const README: &str = include_str!("../../README.md");
const SERVICE: &str = include_str!("../../docs/service.md");
const MIGRATING: &str = include_str!("../../docs/migrating.md");
const TOKEN: &str = "canary-0123456789-abcdefghijk";

/// The block of `language` in `page` that has `word` in it, in its first chapter that has one.
#[track_caller]
fn block(page: &'static str, language: &str, word: &str) -> &'static str {
    let fence = format!("\n```{language}\n");
    let of_chapter = |chapter: &'static str| -> Vec<&'static str> {
        let blocks = chapter.split(&fence).skip(1).map(|rest| rest.split("\n```").next().unwrap());
        blocks.filter(|block| block.contains(word)).collect()
    };
    let found = page.split("\n## ").map(of_chapter).find(|blocks| !blocks.is_empty()).unwrap_or_default();
    assert_eq!(found.len(), 1, "{language} with {word}: {found:?}");
    found[0]
}

/// What a page says, with this host's own names.
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
    host.write("/srv/{name}/compose.yaml", &here(&host, block(README, "yaml", "services:")));
    host.write("/etc/windlass/config.toml", &here(&host, block(README, "toml", "registries")));
    typed(&host, block(SERVICE, "sh", "GHCR_TOKEN"));
    host
}

#[test]
fn the_chapter_on_the_service_makes_one_of_the_tour() {
    let host = host();
    host.publish("app:v1", &Image::web("v1"));
    let said = typed(&host, block(SERVICE, "sh", "windlass init"));
    assert!(said.contains("no problems found"), "{said}");
    host.sh(&here(&host, "windlass deploy shop ghcr.io/acme/shop:v1"));
    assert_eq!(page(&host), "v1");

    assert_eq!(typed(&host, block(SERVICE, "sh", "windlass polkit")), "", "no project has a unit");
    let credentials = block(SERVICE, "ini", "LoadCredential");
    host.write("/etc/systemd/system/windlass.service.d/override.conf", credentials);
    host.sh("mv /etc/windlass/keys/shop-ci.key /root && chown root: /root/shop-ci.key");
    host.sh("sed -i 's,^secret_file = .*,secret_file = \"shop-ci.key\",' /etc/windlass/projects.d/shop.toml");
    host.sh("systemctl daemon-reload && systemctl restart windlass && windlass list --project shop");
    host.sh("CREDENTIALS_DIRECTORY=/run/credentials/windlass.service windlass check");
}

#[test]
fn the_chapter_on_docker_puller_takes_its_hooks_over() {
    let host = host();
    host.publish("app:latest", &Image::web("v1"));
    host.write(
        "/opt/docker-puller/config.json",
        &format!("{{\"token\": \"{TOKEN}\", \"hooks\": {{\"myhook1\": \"/opt/docker-puller/site.sh\"}}}}"),
    );
    let run = "docker run --detach --name {name}-site --network host --env PORT={port} \"$WINDLASS_IMAGE\"";
    host.write_as("/opt/docker-puller/site.sh", "755", &format!("#!/bin/sh\ndocker rm --force {{name}}-site\n{run}\n"));
    let said = typed(&host, block(MIGRATING, "sh", "windlass import"));
    assert!(said.contains("no problems found"), "{said}");
    host.reload();
    let lines: Vec<&str> = block(MIGRATING, "sh", "curl").lines().collect();
    let [begun, waited, by_path] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!(typed(&host, begun), "{\"success\": true}");
    await_page(&host, "v1");
    host.publish("app:latest", &Image::web("v2"));
    assert_eq!(typed(&host, waited), "{\"success\": true}");
    assert_eq!(page(&host), "v2");

    // The same by hand, for a project that is there already.
    host.sh("docker rm --force {name}-site; rm -r /etc/windlass/projects.d/* /etc/windlass/config.toml");
    typed(&host, block(SERVICE, "sh", "windlass init").lines().next().unwrap());
    let login = block(README, "toml", "registries");
    let table = block(MIGRATING, "toml", "compat.docker_puller");
    host.write("/etc/windlass/config.toml", &here(&host, &format!("{login}\n{table}")));
    host.reload();
    assert_eq!(typed(&host, by_path), "{\"success\": true}");
    await_page(&host, "v2");
}

#[test]
fn a_new_user_gets_from_the_package_to_a_deploy_by_curl_in_eight_commands() {
    let host = Host::start();
    host.use_port();
    host.copy(package::package(), "/root/windlass.deb");
    host.publish("app:v1", &Image::web("v1"));
    // The application that the user has.
    host.write("/srv/{name}/compose.yaml", &here(&host, block(README, "yaml", "services:")));

    let settings = here(&host, block(README, "toml", "registries"));
    let commands = [
        "dpkg -i /root/windlass.deb".to_owned(),
        format!("cat >/etc/windlass/config.toml <<'END'\n{settings}\nEND"),
        block(SERVICE, "sh", "GHCR_TOKEN").to_owned(),
        "sudo windlass init shop --compose /srv/shop".to_owned(),
        "sudo windlass check".to_owned(),
        "sudo systemctl reload windlass".to_owned(),
    ];
    let said: Vec<String> = commands.iter().map(|command| typed(&host, command)).collect();
    assert!(said[4].contains("no problems found"), "{}", said[4]);
    // What init has printed, pasted, with the tag that CI has pushed.
    let printed = said[3].split_once("# Any shell\n").unwrap().1.split_once("\n\nFor other places").unwrap().0;
    let deploy = printed.replace(":TAG", ":v1").replace(":9010", ":{hooks}");
    let said = host.sh(&host.fill(&format!("sudo() {{ \"$@\"; }}\n{deploy}")));
    assert!(said.contains("\nsucceeded ") && commands.len() < 8, "{said}");
    assert_eq!(page(&host), "v1");
}
