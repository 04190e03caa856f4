//! The hosts of these tests are what they are said to be.

use crate::host::Host;
use crate::image::Image;

#[test]
fn a_host_runs_systemd_and_windlass_and_comes_back_after_a_reboot() {
    let host = Host::start();
    host.install_windlass();
    assert_eq!(host.systemctl(&["is-system-running"]), "running");
    assert!(host.sh("windlass --version").starts_with("windlass "));
    assert!(host.sh("docker version --format '{{.Server.Version}}'").starts_with(|c: char| c.is_ascii_digit()));

    host.sh("touch /run/gone /var/lib/stays");
    host.reboot();
    assert_eq!(host.sh("ls /run/gone /var/lib/stays 2>/dev/null || true"), "/var/lib/stays");
}

#[test]
fn a_hook_from_outside_is_deployed_on_the_host_and_windlass_starts_again_after_a_power_cut() {
    let host = Host::start();
    host.install_windlass();
    host.configure("");
    host.project(&["app"], "[projects.{name}.compose]\ndirectory = \"{srv}/{name}\"\n");
    host.write("{srv}/{name}/compose.yaml", "services:\n  web:\n    image: {repo}/app:live\n");
    host.write(
        "/etc/systemd/system/plain.service",
        "[Service]\nExecStart=/usr/bin/windlass serve\n[Install]\nWantedBy=multi-user.target\n",
    );
    host.systemctl(&["enable", "--now", "plain.service"]);
    host.await_ready();
    host.publish("app:v1", &Image::web("v1"));
    host.hook(&["app:v1"]).query("wait=2m").send().succeeded();
    assert!(host.journal("plain.service").contains("succeeded"), "{}", host.journal("plain.service"));

    host.cut_power();
    host.await_ready();
    assert_eq!(host.property("plain.service", "ActiveState"), "active");
}
