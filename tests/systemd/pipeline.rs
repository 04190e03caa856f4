//! The pipeline that many hosts have: a stage builds an image and posts docker-puller's address, and a unit's reload runs
//! `docker compose up`. It goes on as it is, and now a bad image does not get through.

use crate::host::Host;
use crate::image::Image;
use crate::program::{Output, Program};
use crate::units::{await_page, page, serve};

const TOKEN: &str = "canary-0123456789-abcdefghijk";

const SERVICE: &str = "\
[Service]
Type=oneshot
RemainAfterExit=yes
WorkingDirectory={srv}/{name}
ExecStart=/usr/bin/docker compose up --detach
ExecReload=/usr/bin/docker compose up --detach
ExecStop=/usr/bin/docker compose down
";

const COMPOSE: &str = "\
services:
  web:
    image: {repo}/app:latest
    network_mode: host
    environment: [PORT={port}]
";

/// A stage of a job, as a shell runs it after the image was pushed.
fn stage(host: &Host, query: &str) -> Output {
    let url = host.fill("http://127.0.0.1:{hooks}/");
    let script = "set -e\ncurl -fsS --noproxy '*' -X POST \"$DEPLOY_URL?token=$DEPLOY_TOKEN&hook=shop-web$QUERY\"\n";
    Program::new("sh")
        .args(["-c", script])
        .env("DEPLOY_URL", &url)
        .env("DEPLOY_TOKEN", TOKEN)
        .env("QUERY", query)
        .output()
}

fn host() -> Host {
    let target = "[projects.{name}.systemd]\nunit = \"shop.service\"\naction = \"reload-or-restart\"\n";
    let host = crate::units::host(target);
    host.configure(
        "[compat.docker_puller]\ntoken_file = \"docker-puller.token\"\n\
         [compat.docker_puller.hooks.shop-web]\nproject = \"{name}\"\nimages = [\"{repo}/app:latest\"]",
    );
    host.write_as("/etc/windlass/docker-puller.token", "600", TOKEN);
    host.write("{srv}/{name}/compose.yaml", COMPOSE);
    host.write("/etc/systemd/system/shop.service", SERVICE);
    serve(&host);
    host
}

#[test]
fn a_stage_that_posts_docker_pullers_address_changes_the_page_through_the_units_reload() {
    let host = host();
    host.publish("app:latest", &Image::web("v1"));
    let done = stage(&host, "");
    assert_eq!((done.code, done.stdout.trim()), (0, "{\"success\": true}"), "{}", done.stderr);
    await_page(&host, "v1");
    let since = host.property("shop.service", "InvocationID");

    host.publish("app:latest", &Image::web("v2"));
    assert_eq!(stage(&host, "&wait=2m").code, 0);
    assert_eq!(page(&host), "v2", "who waits sees the new page");
    assert_eq!(host.property("shop.service", "InvocationID"), since, "it was reloaded, not restarted");

    host.publish("app:latest", &Image::web("v3").starting_with("/no/such/program"));
    let failed = stage(&host, "&wait=2m");
    assert_eq!(failed.code, 22, "curl's word for a status of 400 or more: {}", failed.stderr);
    await_page(&host, "v2");

    host.reboot();
    host.await_ready();
    host.systemctl(&["start", "shop.service"]);
    await_page(&host, "v2");
    assert!(!host.journal("windlass.service").contains(TOKEN));
}
