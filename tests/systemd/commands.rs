//! A program as the target, and programs around a deployment.

use serde_json::json;

use crate::host::Host;
use crate::image::Image;
use crate::units::{await_page, deploy, host, page, serve, told};

/// Puts the image that it is told into service, and writes down what it was told.
const PUT: &str = "\
#!/bin/sh
set -e
echo \"$WINDLASS_ACTION $WINDLASS_IMAGE from ${WINDLASS_PREVIOUS_IMAGE:-nothing}\" >>/var/lib/put
echo \"putting $WINDLASS_IMAGE into service\"
docker rm --force {name}-site >/dev/null 2>&1
docker run --detach --name {name}-site --network host --env PORT={port} \"$WINDLASS_IMAGE\" >/dev/null
sleep 1
docker top {name}-site >/dev/null
";

fn with_a_program(more: &str) -> Host {
    let target = "[projects.{name}.command]\nrun = [\"/usr/local/bin/put\"]\n";
    let host = host(&format!("{target}{more}"));
    host.write_as("/usr/local/bin/put", "755", PUT);
    host
}

#[test]
fn a_program_is_told_the_image_and_its_exit_code_decides() {
    let host = with_a_program("");
    serve(&host);
    assert!(host.sh("windlass check").contains("no problems found"));
    let v1 = host.publish("app:v1", &Image::web("v1"));
    let first = host.hook(&["app:v1"]).query("wait=2m").send();
    let running = &first.succeeded()["running"][0];
    assert_eq!((&running["digest"], &running["condition"]), (&json!(v1.digest), &json!("unknown")));
    assert!(told(&host, &first.id()).contains("putting"), "what it says is told");
    await_page(&host, "v1");
    let v2 = host.publish("app:v2", &Image::web("v2"));
    host.hook(&["app:v2"]).query("wait=2m").send().succeeded();
    await_page(&host, "v2");

    let bad = deploy(&host, "bad", &Image::running("bad", "exit 3"));
    let reason = bad.failed("rolled_back");
    assert!(reason.contains("/usr/local/bin/put failed: exit code 1"), "{reason}");
    await_page(&host, "v2");
    let repo = host.fill("{repo}/app");
    let written = host.sh("cat /var/lib/put");
    let lines: Vec<&str> = written.lines().collect();
    assert_eq!(lines[0], format!("deploy {repo}@{} from nothing", v1.digest));
    assert_eq!(lines[1], format!("deploy {repo}@{} from {repo}@{}", v2.digest, v1.digest));
    assert_eq!(lines[3], format!("rollback {repo}@{} from nothing", v2.digest));

    host.sh("chmod o+w /usr/local/bin/put");
    let check = host.try_sh("windlass check");
    assert!(check.code == 10 && check.stdout.contains("can be written by everybody"), "{check:?}");
}

#[test]
fn a_program_of_its_own_puts_back_and_takes_a_first_bad_release_away() {
    let host = with_a_program("rollback = [\"/usr/local/bin/back\"]\n");
    let back = "#!/bin/sh\necho \"$WINDLASS_ACTION to ${WINDLASS_IMAGE:-nothing}\" >>/var/lib/back\n\
                docker rm --force {name}-site\n";
    host.write_as("/usr/local/bin/back", "755", back);
    serve(&host);
    deploy(&host, "bad", &Image::running("bad", "exit 3")).failed("rolled_back");
    assert_eq!(host.sh("cat /var/lib/back"), "rollback to nothing");
    assert_eq!(host.try_sh("docker inspect {name}-site").code, 1);
}

#[test]
fn a_first_bad_release_that_nobody_can_take_away_needs_a_person() {
    let host = with_a_program("");
    serve(&host);
    let reason = deploy(&host, "bad", &Image::running("bad", "exit 3")).failed("rollback_failed");
    assert!(reason.contains("the project has no `rollback` program"), "{reason}");
}

#[test]
fn a_failing_before_abandons_and_a_failing_after_changes_nothing() {
    let lifecycle = "[projects.{name}.lifecycle]\nbefore = [\"/usr/local/bin/before\"]\n\
                     after = [\"/usr/local/bin/after\", \"with a word\"]\non_failure = [\"/usr/local/bin/on-failure\"]\n";
    let host = with_a_program(lifecycle);
    host.write_as("/usr/local/bin/before", "755", "#!/bin/sh\ntest ! -e /var/lib/no || { echo no >&2; exit 7; }\n");
    host.write_as("/usr/local/bin/after", "755", "#!/bin/sh\necho \"$1\" $WINDLASS_OUTCOME >>/var/lib/after; exit 5\n");
    let failure = "#!/bin/sh\necho $WINDLASS_OUTCOME \"$WINDLASS_REASON\" >>/var/lib/failure\n";
    host.write_as("/usr/local/bin/on-failure", "755", failure);
    serve(&host);
    let first = deploy(&host, "v1", &Image::web("v1"));
    first.succeeded();
    assert_eq!(host.sh("cat /var/lib/after"), "with a word succeeded");
    assert!(told(&host, &first.id()).contains("/usr/local/bin/after failed: exit code 5"), "it is told");
    assert_eq!(host.try_sh("test -e /var/lib/failure").code, 1);

    host.sh("touch /var/lib/no");
    let second = deploy(&host, "v2", &Image::web("v2"));
    let reason = second.failed("abandoned");
    assert!(reason.contains("/usr/local/bin/before failed: exit code 7: no"), "{reason}");
    assert_eq!(page(&host), "v1");
    assert_eq!(host.sh("wc -l </var/lib/put"), "1", "the program was not run");
    assert_eq!(host.sh("cat /var/lib/failure"), format!("abandoned {reason}"));
}
