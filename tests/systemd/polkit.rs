//! The service of the package is a user that is not root: what it may do with units and files, and what it may not.

use crate::host::{Host, PATIENCE};
use crate::image::Image;
use crate::package;
use crate::program::{Output, eventually};
use crate::units::{SITE, await_page, deploy, told, unit};

const RULE: &str = "/etc/polkit-1/rules.d/50-windlass.rules";

/// A host on which the package is installed, with one project of `target`.
pub fn with_target(target: &str) -> Host {
    let host = package::installed();
    host.configure("");
    let health = "[projects.{name}.health]\nwithin = \"30s\"\nsettle = \"2s\"\n";
    host.project(&["app"], &format!("{target}\n{health}"));
    host.sh("chown windlass: /etc/windlass/registry.password /etc/windlass/keys/ci.key");
    host
}

/// Has systemd and windlass read what was written.
pub fn reload(host: &Host) {
    host.systemctl(&["daemon-reload"]);
    host.systemctl(&["reload", "windlass.service"]);
}

/// Puts the rule where polkit finds it, as README says, and waits until `systemctl COMMAND` is allowed.
pub fn install_rule(host: &Host, command: &[&str]) {
    host.sh(&format!("windlass polkit | tee {RULE}"));
    eventually(PATIENCE, "polkit to read the rule", || (as_windlass(host, command).code == 0).then_some(()));
}

/// `systemctl`, as the user of the service, whom nobody can ask for a password.
fn as_windlass(host: &Host, words: &[&str]) -> Output {
    host.exec(&["runuser", "-u", "windlass", "--", "systemctl", "--no-ask-password"]).args(words).output()
}

#[test]
fn the_service_deploys_to_a_unit_and_puts_back_what_is_bad_once_the_rule_is_there() {
    let host = with_target("[projects.{name}.systemd]\nunit = \"site.service\"\n");
    unit(&host, "site.service", SITE);
    reload(&host);
    let check = host.sh("windlass check");
    assert!(check.contains("no rule lets the user windlass manage units: `sudo windlass polkit"), "{check}");
    let reason = deploy(&host, "v1", &Image::web("v1")).failed("rolled_back");
    assert!(reason.contains("windlass polkit"), "{reason}");
    assert_eq!(host.property("site.service", "ActiveState"), "inactive");

    install_rule(&host, &["stop", "site.service"]);
    let check = host.sh("windlass check");
    assert!(check.contains("no problems found"), "{check}");
    deploy(&host, "v1", &Image::web("v1")).succeeded();
    deploy(&host, "v2", &Image::web("v2")).succeeded();
    await_page(&host, "v2");
    let bad = deploy(&host, "bad", &Image::running("bad", "echo cannot reach the database; exit 3"));
    assert!(bad.failed("rolled_back").contains("site.service"), "{}", bad.text);
    assert!(told(&host, &bad.id()).contains("cannot reach the database"), "{}", told(&host, &bad.id()));
    await_page(&host, "v2");
    host.sh("windlass rollback {name}");
    await_page(&host, "v1");
    assert_eq!(host.sh("ps -o user= -C windlass"), "windlass");

    host.sh("ln -s site.service /etc/systemd/system/nick.service && systemctl daemon-reload");
    let other =
        "[projects.other]\nimages = [\"r.io/other\"]\nsystemd.unit = \"nick.service\"\nsystemd.action = \"reload\"\n";
    host.write("/etc/windlass/projects.d/other.toml", other);
    let check = host.try_sh("windlass check").stdout;
    assert!(check.contains(&format!("{RULE} is out of date")), "{check}");
    assert!(check.contains("nick.service is another name of site.service"), "{check}");
}

#[test]
fn where_polkit_has_no_rules_the_service_deploys_to_a_unit_as_root() {
    let host = with_target("[projects.{name}.systemd]\nunit = \"site.service\"\n");
    unit(&host, "site.service", SITE);
    let root = "[Service]\nUser=root\nCapabilityBoundingSet=CAP_DAC_READ_SEARCH\n";
    host.write("/etc/systemd/system/windlass.service.d/root.conf", root);
    host.systemctl(&["mask", "--now", "polkit.service"]);
    host.systemctl(&["daemon-reload"]);
    host.systemctl(&["restart", "windlass.service"]);
    let check = host.sh("windlass check");
    assert!(check.contains("no problems found"), "{check}");
    deploy(&host, "v1", &Image::web("v1")).succeeded();
    await_page(&host, "v1");
    host.reboot();
    host.await_ready();
    deploy(&host, "v2", &Image::web("v2")).succeeded();
    await_page(&host, "v2");
}

#[test]
fn its_user_may_ask_of_configured_units_what_a_deployment_asks_and_nothing_else() {
    let host = with_target("[projects.{name}.systemd]\nunits = [\"site.service\", \"missing.service\"]\n");
    let sleeping = "[Service]\nExecStart=/usr/bin/sleep infinity\nExecReload=/usr/bin/true\n[Install]\nWantedBy=multi-user.target\n";
    for name in ["site.service", "other.service", "site.service.service", "sites.service"] {
        unit(&host, name, sleeping);
    }
    reload(&host);
    host.systemctl(&["start", "site.service", "other.service"]);
    let before = ["site.service", "other.service"].map(|unit| host.property(unit, "InvocationID"));

    let refused = |words: &[&str]| {
        let output = as_windlass(&host, words);
        let said = output.stderr.to_lowercase();
        let is_refused = said.contains("access denied") || said.contains("authentication required");
        assert!(output.code != 0 && is_refused, "{words:?}: {output:?}");
    };
    refused(&["restart", "site.service"]);
    install_rule(&host, &["restart", "site.service"]);
    assert_ne!(host.property("site.service", "InvocationID"), before[0]);
    assert_eq!(as_windlass(&host, &["stop", "site.service"]).code, 0);
    assert_eq!(host.property("site.service", "ActiveState"), "inactive");
    host.systemctl(&["start", "site.service"]);

    for unit in ["other.service", "site.service.service", "sites.service", "windlass.service", "dbus.service"] {
        for job in ["start", "stop", "restart", "reload-or-restart"] {
            refused(&[job, unit]);
        }
    }
    for verb in ["start", "reload", "reload-or-restart", "try-restart", "kill", "freeze", "clean", "reset-failed"] {
        refused(&[verb, "site.service"]);
    }
    for verb in ["enable", "disable", "mask", "revert"] {
        refused(&[verb, "site.service"]);
    }
    refused(&["set-property", "--runtime", "site.service", "MemoryMax=1G"]);
    refused(&["set-environment", "A=b"]);
    refused(&["daemon-reload"]);
    refused(&["daemon-reexec"]);
    refused(&["isolate", "rescue.target"]);
    // A unit of its own, under the name of one that is configured and not installed: that would be root.
    for name in ["missing.service", "another.service"] {
        let run = ["runuser", "-u", "windlass", "--", "systemd-run", "--no-ask-password", "--unit", name, "/bin/true"];
        let output = host.exec(&run).output();
        assert!(output.code != 0 && output.stderr.contains("authentication required"), "{name}: {output:?}");
    }
    let somebody = host.try_sh("runuser -u nobody -- systemctl --no-ask-password restart site.service");
    assert!(somebody.code != 0 && somebody.stderr.contains("authentication required"), "{somebody:?}");
    assert_eq!(host.property("other.service", "InvocationID"), before[1]);
}

/// Says what it can write: each directory and file of which `find` believes it, and a few places that it tries.
const WANDER: &str = "\
#!/bin/sh
find / \\( -path /proc -o -path /sys \\) -prune -o \\( -type d -o -type f \\) -writable -print 2>/dev/null |
    while read -r place; do test -S \"$place\" || echo \"$place\"; done
for place in /tmp /var/tmp /dev/shm /var/open /srv/open /home/open /run/open /run/lock /run/windlass /var/lib/windlass; do
    touch $place/wandered 2>/dev/null && echo wrote $place
done
exit 0
";

#[test]
fn the_service_can_write_in_its_own_directories_and_nowhere_else() {
    let host = with_target("[projects.{name}.command]\nrun = [\"/usr/local/bin/wander\"]\n");
    host.write_as("/usr/local/bin/wander", "755", WANDER);
    host.sh("mkdir -m 777 /var/open /srv/open /home/open /run/open; touch /var/open/file; chmod 666 /var/open/file");
    reload(&host);
    let outside =
        host.sh("runuser -u windlass -- /usr/local/bin/wander; rm -f {/run,/*}/open/wandered /run/lock/wandered");
    host.sh("rm -f /tmp/wandered /var/tmp/wandered /dev/shm/wandered");
    for place in ["/var/open/file", "wrote /srv/open", "wrote /home/open", "wrote /run/lock", "wrote /dev/shm"] {
        assert!(outside.lines().any(|line| line == place), "without its walls it can write {place}: {outside}");
    }

    let answer = deploy(&host, "v1", &Image::web("v1"));
    answer.succeeded();
    let events = host.read(&format!("/v1/deployments/{}/events", answer.id()));
    let said: Vec<&str> = events.as_array().unwrap().iter().filter_map(|event| event["line"].as_str()).collect();
    for place in ["wrote /var/lib/windlass", "wrote /run/windlass", "wrote /tmp"] {
        assert!(said.contains(&place), "{place}: {said:?}");
    }
    let is_its_own = |line: &&str| {
        let place = line.strip_prefix("wrote ").unwrap_or(line);
        // The last ones are its own and nobody else's, as is shown below.
        let own = ["/var/lib/windlass", "/run/windlass", "/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue"];
        own.iter().any(|own| place == *own || place.starts_with(&format!("{own}/")))
    };
    let others: Vec<&&str> = said.iter().filter(|line| !is_its_own(line)).collect();
    assert!(others.is_empty(), "{others:?}");
    assert_eq!(host.sh("ls /tmp/wandered /var/tmp/wandered /dev/shm/wandered 2>/dev/null || true"), "");
}
