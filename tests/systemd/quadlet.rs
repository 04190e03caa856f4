//! Podman's Quadlet: the real generator makes the service, and the real systemd runs it. Podman itself is of a newer
//! release than these hosts and is not run: in its place a script hands the image that it is told to the engine.

use crate::host::Host;
use crate::image::Image;
use crate::polkit::{install_rule, reload, with_target};
use crate::program::Program;
use crate::units::{await_page, deploy, unit};

/// Where systemd looks for it.
const GENERATOR: &str = "/usr/lib/systemd/system-generators/podman-system-generator";

/// Runs the image that it is told with the last word, and says when it does.
const PODMAN: &str = "\
#!/bin/bash
docker rm --force {name}-site >/dev/null 2>&1
[ \"$1\" = run ] || exit 0
docker run --rm --name {name}-site --network host --env PORT={port} \"${@: -1}\" &
systemd-notify --ready
wait
";

/// A host on which the service of the package may pin `site.container`.
fn with_a_quadlet() -> Host {
    let host = with_target("[projects.{name}.systemd]\nunit = \"site.container\"\n");
    host.sh("mkdir -p /usr/lib/systemd/system-generators");
    host.copy(Program::script("scripts/quadlet").text(), GENERATOR);
    host.write_as("/usr/bin/podman", "755", PODMAN);
    host.write("/etc/containers/systemd/site.container", "[Container]\nImage={repo}/app:latest\n");
    reload(&host);
    host
}

#[test]
fn the_service_that_quadlet_makes_names_the_release_by_digest_and_goes_back_with_it() {
    let host = with_a_quadlet();
    let check = host.try_sh("windlass check");
    let directory = "/etc/containers/systemd/site.container.d";
    let fix = format!("sudo install -d -o windlass {directory}");
    assert!(check.code == 10 && check.stdout.contains(&fix), "{check:?}");
    host.sh(&fix.replace("sudo ", ""));
    let drop_in = format!("[Service]\nReadWritePaths={directory}\n");
    host.write("/etc/systemd/system/windlass.service.d/quadlet.conf", &drop_in);
    host.systemctl(&["daemon-reload"]);
    host.systemctl(&["restart", "windlass.service"]);
    install_rule(&host, &["daemon-reload"]);
    let check = host.sh("windlass check");
    assert!(check.contains("no problems found"), "{check}");

    let named =
        || host.sh("systemctl show --property ExecStart site.service | grep -o '[^ ]*@sha256:[0-9a-f]*' | sort -u");
    let digest = |image: &str| host.fill(&format!("{{repo}}/app@{image}"));
    let v1 = host.publish("app:v1", &Image::web("v1"));
    host.hook(&["app:v1"]).query("wait=2m").send().succeeded();
    await_page(&host, "v1");
    assert_eq!(named(), digest(&v1.digest));
    let v2 = host.publish("app:v2", &Image::web("v2"));
    host.hook(&["app:v2"]).query("wait=2m").send().succeeded();
    await_page(&host, "v2");
    assert_eq!(named(), digest(&v2.digest));
    let bad = deploy(&host, "bad", &Image::running("bad", "exit 3"));
    assert!(bad.failed("rolled_back").contains("site.service"), "{}", bad.text);
    assert_eq!(named(), digest(&v2.digest));
    await_page(&host, "v2");
    host.reboot();
    assert_eq!(named(), digest(&v2.digest));
}

#[test]
fn a_service_that_does_not_heed_the_drop_in_is_not_believed() {
    let host = with_a_quadlet();
    host.sh("install -d -o windlass /etc/containers/systemd/site.container.d");
    host.write("/etc/systemd/system/windlass.service.d/quadlet.conf", "[Service]\nReadWritePaths=/etc/containers\n");
    // It comes before what Quadlet makes.
    unit(&host, "site.service", "[Service]\nExecStart=/usr/bin/sleep infinity\n");
    host.systemctl(&["daemon-reload"]);
    host.systemctl(&["restart", "windlass.service"]);
    install_rule(&host, &["daemon-reload"]);
    let reason = deploy(&host, "v1", &Image::web("v1")).failed("rolled_back");
    assert!(reason.contains("does not name") && reason.contains("Podman 5.0"), "{reason}");
    assert_eq!(host.property("site.service", "ActiveState"), "inactive");
    assert_eq!(host.sh("ls /etc/containers/systemd/site.container.d"), "");
}
