//! Units as targets: what is released is what they start, after a reboot as well, and what is bad is put back.

use serde_json::Value;

use crate::host::{Host, PATIENCE};
use crate::image::Image;
use crate::program::{Program, eventually};

/// A unit that runs an image, as people write it.
pub const SITE: &str = "\
[Unit]
After=docker.service
[Service]
ExecStartPre=-/usr/bin/docker rm --force {name}-site
ExecStart=/usr/bin/docker run --rm --name {name}-site --network host --env PORT={port} {repo}/app:latest
ExecStop=-/usr/bin/docker stop {name}-site
[Install]
WantedBy=multi-user.target
";

/// A host on which windlass runs as a plain service, with one project of the image `app` and this `target`.
pub fn host(target: &str) -> Host {
    let host = Host::start();
    host.install_windlass();
    host.configure("");
    host.project(&["app"], &format!("{target}\n[projects.{{name}}.health]\nwithin = \"30s\"\nsettle = \"2s\"\n"));
    let service = "[Service]\nExecStart=/usr/bin/windlass serve\nStateDirectory=windlass\nRuntimeDirectory=windlass\n\
                   [Install]\nWantedBy=multi-user.target\n";
    host.write("/etc/systemd/system/windlass.service", service);
    host
}

/// Writes a unit.
pub fn unit(host: &Host, name: &str, text: &str) {
    host.write(&format!("/etc/systemd/system/{name}"), text);
}

/// Starts windlass there, when all units are written.
pub fn serve(host: &Host) {
    host.systemctl(&["daemon-reload"]);
    host.systemctl(&["enable", "--now", "windlass.service"]);
    host.await_ready();
}

/// Puts `image` into service as `app:TAG`.
pub fn deploy(host: &Host, tag: &str, image: &Image) -> crate::hook::Answer {
    host.publish(&format!("app:{tag}"), image);
    host.hook(&[&format!("app:{tag}")]).query("wait=2m").send()
}

/// What the page says.
pub fn page(host: &Host) -> String {
    let url = host.fill("http://127.0.0.1:{port}/");
    let output = Program::new("curl").args(["-sf", "--noproxy", "*", "--max-time", "5", &url]).output();
    output.stdout.trim().to_owned()
}

/// Waits until the page says `version`.
#[track_caller]
pub fn await_page(host: &Host, version: &str) {
    eventually(PATIENCE, &format!("the page to say {version}"), || (page(host) == version).then_some(()));
}

/// What was told of a deployment, as lines of text.
pub fn told(host: &Host, id: &str) -> String {
    host.sh(&format!("windlass follow {id} --json || true"))
}

#[test]
fn a_unit_that_runs_an_image_starts_the_good_release_whatever_comes() {
    let host = host("[projects.{name}.systemd]\nunit = \"site.service\"\n");
    unit(&host, "site.service", SITE);
    serve(&host);
    host.systemctl(&["enable", "site.service"]);
    assert!(host.sh("windlass check").contains("no problems found"));

    deploy(&host, "v1", &Image::web("v1")).succeeded();
    await_page(&host, "v1");
    let v2 = host.publish("app:v2", &Image::web("v2"));
    let deployed = host.hook(&["app:v2"]).query("wait=2m").send().succeeded();
    await_page(&host, "v2");
    let running = &deployed["running"][0];
    assert_eq!((&running["name"], &running["state"]), (&"site.service".into(), &"active (running)".into()));
    assert_eq!(running["digest"], v2.digest);

    let bad = deploy(&host, "bad", &Image::running("bad", "echo cannot reach the database; exit 3"));
    assert!(bad.failed("rolled_back").contains("site.service"), "{}", bad.text);
    assert!(told(&host, &bad.id()).contains("cannot reach the database"), "{}", told(&host, &bad.id()));
    await_page(&host, "v2");

    host.reboot();
    host.await_ready();
    await_page(&host, "v2");
    host.sh("windlass rollback {name}");
    await_page(&host, "v1");
    host.cut_power();
    await_page(&host, "v1");
}

#[test]
fn a_first_release_that_is_bad_leaves_the_unit_out_of_service_and_an_active_one_as_it_was() {
    let host = host("[projects.{name}.systemd]\nunits = [\"site.service\", \"other.service\"]\n");
    unit(&host, "site.service", SITE);
    unit(&host, "other.service", "[Service]\nExecStart=/usr/bin/sleep infinity\n");
    serve(&host);
    host.systemctl(&["start", "other.service"]);
    deploy(&host, "bad", &Image::running("bad", "exit 3")).failed("rolled_back");
    assert_ne!(host.property("site.service", "ActiveState"), "active");
    assert_eq!(host.property("other.service", "ActiveState"), "active");
    assert_eq!(host.try_sh("docker image inspect {repo}/app:latest").code, 1, "the reference means nothing again");
}

#[test]
fn a_unit_that_restarts_in_a_loop_is_rolled_back_with_its_journal() {
    let host = host("[projects.{name}.systemd]\nunit = \"site.service\"\n");
    let looping = SITE.replace("[Install]", "Restart=always\nRestartSec=100ms\n[Install]");
    unit(&host, "site.service", &format!("{looping}[Unit]\nStartLimitIntervalSec=0\n"));
    serve(&host);
    deploy(&host, "v1", &Image::web("v1")).succeeded();
    let bad = deploy(&host, "bad", &Image::running("bad", "sleep 0.2; echo the disk is gone; exit 4"));
    let reason = bad.failed("rolled_back");
    assert!(reason.contains("restarted 3 times"), "{reason}");
    assert!(told(&host, &bad.id()).contains("the disk is gone"), "{}", told(&host, &bad.id()));
    await_page(&host, "v1");
    assert_eq!(host.property("site.service", "ActiveState"), "active");
}

#[test]
fn a_unit_that_does_not_notify_in_time_is_rolled_back() {
    let host = host("[projects.{name}.systemd]\nunit = \"late.service\"\n");
    let script = "#!/bin/sh\ndocker run --rm --network none {repo}/app:latest | tee /var/lib/late\n\
                  grep -q good /var/lib/late && systemd-notify --ready\nexec sleep infinity\n";
    host.write_as("/usr/local/bin/late", "755", script);
    let service = "[Service]\nType=notify\nNotifyAccess=all\nTimeoutStartSec=5\nExecStart=/usr/local/bin/late\n";
    unit(&host, "late.service", service);
    serve(&host);
    deploy(&host, "v1", &Image::running("good-1", "true")).succeeded();
    let late = deploy(&host, "v2", &Image::running("late", "true"));
    let reason = late.failed("rolled_back");
    assert!(reason.contains("late.service") && reason.contains("timeout"), "{reason}");
    assert!(told(&host, &late.id()).contains("version late"), "its journal says what it ran");
    assert_eq!(host.sh("cat /var/lib/late"), "version good-1");
    assert_eq!(host.property("late.service", "ActiveState"), "active");
}

#[test]
fn oneshot_forking_and_template_units_are_restarted_in_their_order() {
    let units = "units = [\"once.service\", \"stays.service\", \"app@blue.service\", \"fork.service\"]";
    let host = host(&format!("[projects.{{name}}.systemd]\n{units}\n"));
    let script = "#!/bin/sh\nset -e\nsaid=$(docker run --rm --network none {repo}/app:latest)\n\
                  echo \"$1 $said\" >>/var/lib/order\n";
    host.write_as("/usr/local/bin/note", "755", script);
    unit(&host, "once.service", "[Service]\nType=oneshot\nExecStart=/usr/local/bin/note once\n");
    let stays = "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/usr/local/bin/note stays\n";
    unit(&host, "stays.service", stays);
    let template = "[Service]\nExecStartPre=/usr/local/bin/note app-%i\nExecStart=/usr/bin/sleep infinity\n";
    unit(&host, "app@.service", template);
    let forking = "[Service]\nType=forking\nExecStart=/bin/sh -c '/usr/local/bin/note fork; sleep infinity & exit 0'\n";
    unit(&host, "fork.service", forking);
    serve(&host);
    deploy(&host, "v1", &Image::running("1", "true")).succeeded();
    let order = |version: &str| ["once", "stays", "app-blue", "fork"].map(|unit| format!("{unit} version {version}"));
    assert_eq!(host.sh("cat /var/lib/order").lines().collect::<Vec<_>>(), order("1"));
    let running = host.sh("windlass status {name}");
    assert!(running.contains("once.service") && running.contains("inactive (dead)"), "{running}");
    let shown: Value = serde_json::from_str(&host.sh("windlass status {name} --json")).unwrap();
    let conditions = shown["project"]["running"].as_array().unwrap().iter().map(|instance| &instance["condition"]);
    assert_eq!(conditions.collect::<Vec<_>>(), ["working"; 4], "{shown}");

    host.sh("rm /var/lib/order");
    let bad = deploy(&host, "v2", &Image::running("2", "exit 1"));
    assert!(bad.failed("rolled_back").contains("once.service"), "{}", bad.text);
    assert_eq!(host.sh("cat /var/lib/order").lines().collect::<Vec<_>>(), order("1"), "all are put back");
}

#[test]
fn a_unit_whose_reload_runs_compose_puts_the_release_on_the_page() {
    let host = host(
        "[projects.{name}.systemd]\nunit = \"shop.service\"\naction = \"reload\"\nreferences = [\"{repo}/app:live\"]\n",
    );
    host.write(
        "{srv}/{name}/compose.yaml",
        "services:\n  web:\n    image: {repo}/app:live\n    network_mode: host\n    environment: [PORT={port}]\n",
    );
    let up = "/usr/bin/docker compose up --detach";
    let service = format!(
        "[Service]\nType=oneshot\nRemainAfterExit=yes\nWorkingDirectory={{srv}}/{{name}}\nExecStart={up}\nExecReload={up}\n\
         ExecStop=/usr/bin/docker compose down\n"
    );
    unit(&host, "shop.service", &service);
    serve(&host);
    deploy(&host, "v1", &Image::web("v1")).succeeded();
    await_page(&host, "v1");
    let since = host.property("shop.service", "InvocationID");
    deploy(&host, "v2", &Image::web("v2")).succeeded();
    await_page(&host, "v2");
    assert_eq!(host.property("shop.service", "InvocationID"), since, "it was reloaded, not restarted");
    let missing = deploy(&host, "v3", &Image::web("v3").starting_with("/no/such/program"));
    assert!(missing.failed("rolled_back").contains("reload shop.service"), "{}", missing.text);
    await_page(&host, "v2");
}

#[test]
fn a_unit_that_starts_something_else_than_what_was_released_is_not_believed() {
    let host = host("[projects.{name}.systemd]\nunit = \"site.service\"\n");
    unit(&host, "site.service", &SITE.replace(":latest", ":stable"));
    serve(&host);
    let check = host.try_sh("windlass check");
    assert!(check.code == 10 && check.stdout.contains("/app:stable\"]"), "{check:?}");
    let reason = deploy(&host, "v1", &Image::web("v1")).failed("abandoned");
    assert!(reason.contains("names ") && reason.contains("/app:stable"), "{reason}");

    unit(&host, "site.service", SITE);
    host.systemctl(&["daemon-reload"]);
    deploy(&host, "v2", &Image::web("v2")).succeeded();
    // As one that pulls by itself does it.
    host.sh("docker tag {repo}/app:latest {repo}/app:before");
    let moving = "ExecStartPre=/usr/bin/docker tag {repo}/app:before {repo}/app:latest\nExecStart=";
    unit(&host, "site.service", &SITE.replacen("ExecStart=", moving, 1));
    host.systemctl(&["daemon-reload"]);
    let moved = deploy(&host, "v3", &Image::web("v3"));
    assert!(moved.failed("rolled_back").contains("something moved the name"), "{}", moved.text);
    await_page(&host, "v2");
}

#[test]
fn a_user_who_may_not_restart_the_unit_is_told_what_is_missing_and_nothing_has_changed() {
    let host = host("[projects.{name}.systemd]\nunit = \"site.service\"\n");
    unit(&host, "site.service", SITE);
    host.sh("useradd --system --groups docker,systemd-journal wl && chown -R wl /etc/windlass");
    host.write("/etc/systemd/system/windlass.service.d/user.conf", "[Service]\nUser=wl\n");
    serve(&host);
    let reason = deploy(&host, "v1", &Image::web("v1")).failed("rolled_back");
    assert!(reason.contains("windlass polkit"), "{reason}");
    assert_eq!(host.property("site.service", "ActiveState"), "inactive");
}
