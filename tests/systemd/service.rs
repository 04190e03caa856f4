//! windlass as a service of systemd: it says how it is, comes back whatever happens, and loses no hook on the way.

use crate::host::{Host, PATIENCE};
use crate::image::Image;
use crate::package;
use crate::program::{Program, eventually};

const UNIT: &str = "windlass.service";

/// Healthy once it is told to be.
fn gated(version: &str) -> Image {
    Image::web(version).checked("test -e /tmp/healthy").with_patience(1000)
}

/// Lets what runs of the project become healthy.
fn open_gate(host: &Host) {
    let container = host.fill("{name}-web-1");
    eventually(PATIENCE, "the container", || {
        let touched = Program::new("docker").args(["exec", &container, "touch", "/tmp/healthy"]).output();
        (touched.code == 0).then_some(())
    });
}

fn status(host: &Host) -> String {
    host.property(UNIT, "StatusText")
}

fn until_status(host: &Host, what: &str, is_it: impl Fn(&str) -> bool) {
    eventually(PATIENCE, what, || is_it(&status(host)).then_some(()));
}

/// A deployment under way that waits for the gate; its id.
fn deploying(host: &Host) -> String {
    host.publish("app:v2", &gated("v2"));
    let answer = host.hook(&["app:v2"]).send();
    assert_eq!(answer.status, 202, "{}", answer.text);
    let id = answer.id();
    let expected = host.fill(&format!("deploying {{name}} ({id})"));
    until_status(host, "the deployment", |status| status == expected);
    let phase = || host.read(&format!("/v1/deployments/{id}"))["phase"] == "verifying";
    eventually(PATIENCE, "the health check", || phase().then_some(()));
    id
}

#[test]
fn the_unit_is_sound_and_its_score_is_good() {
    let host = package::installed();
    let unit = "/usr/lib/systemd/system/windlass.service";
    let score = host.sh(&format!("systemd-analyze security --no-pager --offline=true --threshold=15 {unit}"));
    assert!(score.contains("OK"), "{score}");
    let complaints = host.try_sh(&format!("systemd-analyze verify --man=no {unit} 2>&1"));
    assert_eq!((complaints.code, complaints.stdout.as_str()), (0, ""));
}

#[test]
fn the_status_tells_what_is_being_deployed_and_what_waits() {
    let host = package::with_project();
    assert_eq!(status(&host), "idle, 1 project");
    let id = deploying(&host);
    let waiting = host.hook(&["app:v1"]).send().id();
    until_status(&host, "the second one", |status| status.ends_with("), 1 waiting"));
    open_gate(&host);
    assert_eq!(host.outcomes(&[id, waiting]), ["succeeded", "succeeded"]);
    until_status(&host, "rest", |status| status == "idle, 1 project");
}

#[test]
fn no_hook_is_lost_or_refused_while_it_is_restarted() {
    let host = package::with_project();
    let (ids, ()) = host.while_hooks_come("app:v1", || {
        for _ in 0..3 {
            host.systemctl(&["restart", UNIT]);
        }
    });
    assert!(ids.len() >= 9, "{ids:?}");
    host.none_failed(&ids);
}

#[test]
fn killed_in_the_middle_of_a_deployment_it_is_started_again_and_the_deployment_reaches_its_outcome() {
    let host = package::with_project();
    let id = deploying(&host);
    host.systemctl(&["kill", "--signal", "KILL", UNIT]);
    eventually(PATIENCE, "the restart", || (host.property(UNIT, "NRestarts") == "1").then_some(()));
    open_gate(&host);
    host.await_ready();
    assert_eq!(host.outcomes(&[id]), ["succeeded"]);
    assert_eq!(host.sh("curl -sS http://127.0.0.1:{port}/"), "v2");
}

#[test]
fn stopped_in_the_middle_of_a_deployment_it_goes_on_with_it_after_a_reboot() {
    let host = package::with_project();
    let id = deploying(&host);
    let stop = std::thread::scope(|scope| {
        let stop = scope.spawn(|| host.exec(&["systemctl", "stop", "windlass.socket", UNIT]).output());
        until_status(&host, "the end to begin", |status| status.starts_with("stopping; deploying"));
        open_gate(&host);
        stop.join().unwrap()
    });
    assert_eq!(stop.code, 0, "{}", stop.stderr);
    host.reboot();
    host.await_ready();
    assert_eq!(host.outcomes(&[id]), ["succeeded"]);
}

#[test]
fn a_daemon_that_hangs_is_noticed_and_started_again() {
    let host = Host::start();
    host.write("/etc/systemd/system/windlass.service.d/watchdog.conf", "[Service]\nWatchdogSec=2s\n");
    package::install(&host);
    host.await_ready();
    // For longer than it has to show itself: the signs of life come.
    let pid = host.property(UNIT, "MainPID");
    host.sh("sleep 5");
    assert_eq!(host.property(UNIT, "MainPID"), pid);
    host.systemctl(&["kill", "--signal", "STOP", UNIT]);
    eventually(PATIENCE, "another process", || {
        let now = host.property(UNIT, "MainPID");
        (now != pid && now != "0").then_some(())
    });
    host.await_ready();
    assert!(host.sh("journalctl --no-pager -u windlass.service").contains("Watchdog timeout"));
}

#[test]
fn a_broken_configuration_changes_nothing_when_it_is_reloaded_and_the_status_says_so() {
    let host = package::with_project();
    host.write("/etc/windlass/projects.d/other.toml", "[projects.other]\nimages = [\"r.io/other\"]\ncompse = 1\n");
    host.systemctl(&["reload", UNIT]);
    until_status(&host, "the complaint", |status| status.contains("the newest configuration is broken"));
    host.hook(&["app:v1"]).query("wait=2m").send().succeeded();
    host.sh("rm /etc/windlass/projects.d/other.toml");
    host.systemctl(&["reload", UNIT]);
    until_status(&host, "no complaint", |status| status == "idle, 1 project");
    assert_eq!(host.property(UNIT, "NRestarts"), "0");
}

#[test]
fn keys_and_passwords_may_come_as_credentials_that_only_root_can_read() {
    let host = package::with_project();
    let secret = "install -m 600 /etc/windlass/registry.password /etc/windlass/keys/ci.key /root && \
                  rm /etc/windlass/registry.password /etc/windlass/keys/ci.key && \
                  sed -i s,../keys/ci.key,ci.key, /etc/windlass/projects.d/project.toml";
    host.sh(secret);
    let load = "LoadCredential=ci.key:/root/ci.key\nLoadCredential=registry.password:/root/registry.password\n";
    host.write("/etc/systemd/system/windlass.service.d/keys.conf", &format!("[Service]\n{load}"));
    host.sh("systemctl daemon-reload && systemctl restart windlass.service");
    // Who looks from outside of the service sees what was handed over as well, when that is said.
    assert_eq!(host.try_sh("windlass check").code, 10);
    host.sh("CREDENTIALS_DIRECTORY=/run/credentials/windlass.service windlass check");
    host.publish("app:v3", &Image::web("v3"));
    host.hook(&["app:v3"]).query("wait=2m").send().succeeded();
}
