//! The Debian package: one command makes a service of it, and an upgrade loses nothing.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::host::Host;
use crate::image::Image;
use crate::program::Program;
use crate::run::Run;

/// The newest libc that may be asked for: that of Ubuntu 22.04.
const NEWEST_LIBC: (u32, u32) = (2, 35);

/// The package of the windlass under test. `make test` has made it: what compiles has no place in a test.
pub fn package() -> &'static Path {
    let package = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/target/deb/test.deb"));
    assert!(package.exists(), "the package is missing: scripts/deb dev --output target/deb/test.deb");
    package
}

/// The same of another version, with another program in the place of windlass if there is one. windlass itself is there
/// as `windlass-real` then.
fn package_of(version: &str, program: Option<&str>) -> PathBuf {
    let directory = Run::get().directory.join(format!("package-{}", crate::run::random_hex()));
    let file = directory.with_extension("deb");
    Program::new("dpkg-deb").arg("-R").arg(package()).arg(&directory).text();
    let edit = format!("s/^Version: .*/Version: {version}/");
    Program::new("sed").args(["-i", &edit]).arg(directory.join("DEBIAN/control")).text();
    if let Some(program) = program {
        let binary = directory.join("usr/bin/windlass");
        std::fs::rename(&binary, directory.join("usr/bin/windlass-real")).unwrap();
        std::fs::write(&binary, program).unwrap();
        std::fs::set_permissions(&binary, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    Program::new("dpkg-deb").args(["--root-owner-group", "-Znone", "-b"]).arg(&directory).arg(&file).text();
    file
}

/// A bare host on which the package is installed by one command.
pub fn installed() -> Host {
    let host = Host::start();
    install(&host);
    host
}

/// Installs it by one command.
pub fn install(host: &Host) {
    host.use_port();
    host.copy(package(), "/root/windlass.deb");
    host.sh("dpkg -i /root/windlass.deb");
}

/// The same with a project, whose first release is in service.
pub fn with_project() -> Host {
    let host = installed();
    host.shop();
    host.publish("app:v1", &Image::web("v1"));
    // The limits are those of its start.
    host.systemctl(&["restart", "windlass.service"]);
    host.await_ready();
    host.hook(&["app:v1"]).query("wait=2m").send().succeeded();
    host
}

#[test]
fn one_command_makes_a_working_service_which_is_there_after_a_reboot() {
    let host = installed();
    assert_eq!(host.property("windlass.service", "ActiveState"), "active");
    assert_eq!(host.property("windlass.service", "StatusText"), "idle, 0 projects");
    host.await_ready();
    assert_eq!(host.sh("systemctl is-enabled windlass.service windlass.socket"), "enabled\nenabled");
    assert_eq!(host.sh("ps -o user= -C windlass"), "windlass");
    assert!(host.sh("windlass status --json").contains("[]"));

    host.shop();
    host.publish("app:v1", &Image::web("v1"));
    host.reload();
    host.hook(&["app:v1"]).query("wait=2m").send().succeeded();
    host.reboot();
    host.await_ready();
    assert_eq!(host.property("windlass.service", "StatusText"), "idle, 1 project");
}

#[test]
fn the_binary_runs_where_the_package_may_be_installed() {
    let directory = Run::get().directory.join(format!("package-{}", crate::run::random_hex()));
    Program::new("dpkg-deb").arg("-x").arg(package()).arg(&directory).text();
    let symbols = Program::new("readelf").args(["-V", "-W"]).arg(directory.join("usr/bin/windlass")).text();
    let version = |text: &str| {
        let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    };
    let newest = symbols.split("GLIBC_").skip(1).filter_map(version).max().unwrap();
    assert!(newest <= NEWEST_LIBC, "the binary needs libc {newest:?}");
    let depends = Program::new("dpkg-deb").arg("-f").arg(package()).arg("Depends").text();
    let stated = depends.split("libc6 (>= ").nth(1).and_then(version).unwrap();
    assert!(newest <= stated && stated <= NEWEST_LIBC, "the package says {stated:?}, the binary needs {newest:?}");
}

#[test]
fn what_belongs_to_a_package_is_there() {
    let host = installed();
    host.sh("test -s /usr/share/man/man1/windlass-deploy.1.gz");
    host.sh("bash -n /usr/share/bash-completion/completions/windlass && grep -q rollback /usr/share/bash-completion/completions/windlass");
    host.sh("windlass check --config /usr/share/doc/windlass/examples/config.example.toml || test $? -le 20");
}

#[test]
fn an_upgrade_keeps_the_state_and_loses_no_hook() {
    let host = with_project();
    let newer = package_of("9.0-1", None);
    host.copy(&newer, "/root/newer.deb");
    let (ids, _) = host.while_hooks_come("app:v1", || host.sh("dpkg -i /root/newer.deb"));
    assert!(ids.len() > 20, "{ids:?}");
    host.none_failed(&ids);
    assert_eq!(host.sh("dpkg-query -W -f '${Version} ${db:Status-Abbrev}' windlass"), "9.0-1 ii");
    assert_eq!(host.sh("ls -d /var/lib/windlass-upgrade 2>/dev/null || true"), "");
}

#[test]
fn a_new_version_that_crashes_at_start_is_put_back_and_dpkg_says_so() {
    let host = with_project();
    let pid = host.property("windlass.service", "MainPID");
    let broken = package_of("9.0-1", Some("#!/bin/sh\necho 'fatal: cannot start' >&2\nexit 1\n"));
    host.copy(&broken, "/root/broken.deb");
    let (ids, upgrade) = host.while_hooks_come("app:v1", || host.try_sh("dpkg -i /root/broken.deb"));
    assert_ne!(upgrade.code, 0);
    assert!(upgrade.stderr.contains("the one before runs again"), "{}", upgrade.stderr);
    assert!(ids.len() > 20, "{ids:?}");
    host.none_failed(&ids);
    assert_ne!(host.property("windlass.service", "MainPID"), pid);
    assert_eq!(host.sh("dpkg-query -W -f '${db:Status-Abbrev}' windlass"), "iF");
    assert_ne!(host.try_sh("dpkg --configure windlass").code, 0, "it is as broken as before");
    host.await_ready();

    let fixed = package_of("9.0-2", None);
    host.copy(&fixed, "/root/fixed.deb");
    host.sh("dpkg -i /root/fixed.deb");
    assert_eq!(host.sh("dpkg-query -W -f '${Version} ${db:Status-Abbrev}' windlass"), "9.0-2 ii");
    host.hook(&["app:v1"]).query("wait=2m").send().succeeded();
}

#[test]
fn a_new_version_that_spoils_the_state_and_ends_is_put_back_with_the_state_of_before() {
    let host = with_project();
    let spoil = "#!/bin/sh\nfor file in /var/lib/windlass/*; do echo spoiled >\"$file\"; done\nexit 1\n";
    let broken = package_of("9.0-1", Some(spoil));
    host.copy(&broken, "/root/broken.deb");
    assert_ne!(host.try_sh("dpkg -i /root/broken.deb").code, 0);
    host.await_ready();
    assert!(host.sh("windlass list --json").contains("succeeded"));
    host.hook(&["app:v1"]).query("wait=2m").send().succeeded();
}

/// Takes hooks for three seconds, does `then`, and ends with a failure.
fn takes_hooks_and_ends(then: &str) -> String {
    format!(
        "#!/bin/sh\n[ \"$1\" = serve ] || exec /usr/bin/windlass-real \"$@\"\n\
         sh -c 'LISTEN_PID=$$ exec /usr/bin/windlass-real \"$@\"' sh \"$@\" &\n\
         sleep 3\nkill $!\nwait\n{then}\nexit 1\n"
    )
}

#[test]
fn hooks_that_a_version_took_which_is_put_back_are_kept_where_the_one_before_can_read_them() {
    let host = with_project();
    let broken = package_of("9.0-1", Some(&takes_hooks_and_ends("date >>/var/lib/windlass/took-hooks")));
    host.copy(&broken, "/root/broken.deb");
    let (ids, upgrade) = host.while_hooks_come("app:v1", || host.try_sh("dpkg -i /root/broken.deb"));
    assert_ne!(upgrade.code, 0);
    assert!(upgrade.stderr.contains("the one before runs again"), "{}", upgrade.stderr);
    assert!(!upgrade.stderr.contains("WARNING"), "{}", upgrade.stderr);
    host.sh("test -s /var/lib/windlass/took-hooks");
    host.none_failed(&ids);
}

#[test]
fn a_state_that_the_version_before_cannot_read_is_kept_and_named_when_it_is_put_back() {
    let host = with_project();
    // The format of the state stands at this place of the file.
    let newer = "printf '\\0\\0\\0\\143' | dd of=/var/lib/windlass/windlass.db bs=1 seek=60 conv=notrunc";
    let broken = package_of("9.0-1", Some(&takes_hooks_and_ends(newer)));
    host.copy(&broken, "/root/broken.deb");
    let (ids, upgrade) = host.while_hooks_come("app:v1", || host.try_sh("dpkg -i /root/broken.deb"));
    assert_ne!(upgrade.code, 0);
    assert!(upgrade.stderr.contains("WARNING"), "{}", upgrade.stderr);
    let named = upgrade.stderr.split_whitespace().find(|word| word.starts_with("/var/lib/windlass/newer-state-"));
    let kept = named.unwrap_or_else(|| panic!("{}", upgrade.stderr));
    host.await_ready();
    let (lost, known): (Vec<String>, Vec<String>) = {
        let unknown: Vec<bool> = host.about(&ids).iter().map(|answer| answer["status"] == 404).collect();
        assert_eq!(unknown.len(), ids.len());
        let (lost, known): (Vec<_>, Vec<_>) = ids.into_iter().zip(unknown).partition(|(_, unknown)| *unknown);
        (lost.into_iter().map(|(id, _)| id).collect(), known.into_iter().map(|(id, _)| id).collect())
    };
    assert!(!lost.is_empty(), "the new version took hooks");
    for id in &lost {
        host.sh(&format!("grep -qaF {id} {kept}/windlass.db"));
    }
    host.none_failed(&known);
    host.hook(&["app:v1"]).query("wait=2m").send().succeeded();
}

#[test]
fn removing_it_leaves_the_projects_running_and_a_purge_leaves_nothing_else() {
    let host = with_project();
    let page = || host.sh("curl -sS http://127.0.0.1:{port}/");
    assert_eq!(page(), "v1");
    host.sh("dpkg --remove windlass");
    assert_eq!(host.try_sh("systemctl is-active windlass.service windlass.socket").stdout.trim(), "inactive\ninactive");
    assert_eq!(page(), "v1");
    host.sh("test -d /var/lib/windlass && test -e /etc/windlass/config.toml");
    host.sh("dpkg --purge windlass");
    assert_eq!(
        host.sh("ls -d /etc/windlass /var/lib/windlass* /run/windlass /usr/bin/windlass 2>/dev/null || true"),
        ""
    );
    assert_eq!(page(), "v1");
}
