//! What a CI job sees that has nothing but curl: the lines as they happen, and an exit code that tells the truth.

use crate::image::Image;
use crate::site::Site;

#[test]
fn plain_curl_sees_every_step_and_ends_well_when_the_release_runs() {
    let mut site = Site::new();
    let v1 = site.publish("app:v1", &Image::web("v1").with_megabytes(8));
    site.start();
    let errors = site.directory.join("curl.errors");
    let mut lines = site.hook(&["app:v1"]).query("wait=10m").stream(&errors);
    let code = lines.finish();
    let text = lines.text();
    assert_eq!(code, 0, "{text}");
    assert!(text.lines().last().unwrap().starts_with("succeeded "), "{text}");
    for step in ["queued ", " comes into service", "] pull ", "] keep ", "] pin ", "] apply web", "] await healthy web"]
    {
        assert!(text.contains(step), "{step:?} is missing in {text}");
    }
    let digits = v1.digest.strip_prefix("sha256:").unwrap();
    assert!(text.contains(&digits[..12]), "{text}");
    assert!(text.lines().count() <= 8, "{text}");
    site.has(&v1);
}

#[test]
fn plain_curl_fails_when_the_release_is_rolled_back_and_shows_why() {
    let mut site = Site::new();
    let v1 = site.publish("app:v1", &Image::web("v1"));
    site.publish("app:v2", &Image::running("v2", "echo 'fatal: no database' >&2; exit 3"));
    site.start();
    site.deploy("app:v1").succeeded();
    let errors = site.directory.join("curl.errors");
    let mut lines = site.hook(&["app:v2"]).query("wait=10m").stream(&errors);
    let code = lines.finish();
    let text = lines.text();
    assert_eq!(code, 18, "curl says that the transfer was not complete: {text}");
    let last = text.lines().rfind(|line| !line.starts_with(' ')).unwrap();
    assert!(last.starts_with("rolled_back ") && last.contains("exited (3)"), "{text}");
    assert!(text.contains("fatal: no database") && text.contains("going back to app:v1 ("), "{text}");
    assert!(text.contains("  app:v1 (") && text.contains(") is in service again\n"), "{text}");
    site.has(&v1);
}

#[test]
fn plain_curl_fails_when_the_image_cannot_be_had() {
    let mut site = Site::new();
    site.start();
    let mut lines = site.hook(&["app:nope"]).query("wait=10m").stream(&site.directory.join("curl.errors"));
    assert_ne!(lines.finish(), 0);
    let text = lines.text();
    let last = text.lines().rfind(|line| !line.starts_with(' ')).unwrap();
    assert!(last.starts_with("abandoned "), "{text}");
}

#[test]
fn the_lines_come_while_it_happens_and_a_heartbeat_when_nothing_does() {
    let mut site = Site::with("  web:\n    image: {repo}/app:live\n    volumes: [\"./gate:/gate\"]\n");
    site.publish("app:v1", &Image::web("v1").checked("test -e /gate/open").with_patience(1000));
    site.start();
    let mut lines = site.hook(&["app:v1"]).query("wait=10m").stream(&site.directory.join("curl.errors"));
    let applied = lines.until("] apply web");
    // No line is due before the gate is opened but the one that says that windlass is still there.
    let heartbeat = lines.next_line();
    assert!(heartbeat - applied <= std::time::Duration::from_secs(60), "{}", lines.text());
    std::fs::write(site.project_directory().join("gate/open"), "").unwrap();
    assert_eq!(lines.finish(), 0, "{}", lines.text());
}

#[test]
fn logs_show_what_the_containers_print_and_go_on_while_they_do() {
    let mut site = Site::new();
    site.publish(
        "app:v1",
        &Image::running("v1", "for n in 1 2 3 4 5 6 7 8 9; do echo number $n; sleep 1; done; sleep 1000"),
    );
    site.start();
    site.deploy("app:v1").succeeded();
    let mut following = site.program(&["logs", &site.name, "--follow"]).lines(&site.directory.join("logs.errors"));
    following.until("-web-1 | number 9");
    assert!(following.text().contains("-web-1 | version v1\n"), "{}", following.text());
    let logs = site.command(&["logs", &site.name, "-n", "2"]);
    let lines: Vec<&str> = logs.stdout.lines().map(|line| line.rsplit(" | ").next().unwrap()).collect();
    assert_eq!((logs.code, lines), (0, vec!["number 8", "number 9"]), "{}", logs.stderr);
}
