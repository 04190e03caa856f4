//! A release that does not work is not left in service: the caller learns why, and the one before runs again.

use std::net::TcpListener;

use serde_json::Value;

use crate::hook::Answer;
use crate::image::Image;
use crate::registry::Published;
use crate::site::Site;

/// A site where v1 is in service.
fn with_v1(services: &str, more: &str) -> (Site, Published) {
    let mut site = Site::with(services);
    let v1 = site.publish("app:v1", &Image::web("v1"));
    site.project(&["app"], more);
    site.start();
    site.deploy("app:v1").succeeded();
    site.has(&v1);
    (site, v1)
}

const WEB: &str = "  web:\n    image: {repo}/app:live\n";
const HOST: &str = "  web:\n    image: {repo}/app:live\n    network_mode: host\n    environment: {PORT: \"{port}\"}\n";

/// What the containers said last, with the results of their health checks: all of it as one text.
fn evidence(site: &Site, answer: &Answer) -> (String, String) {
    let events = site.events(&answer.id());
    let failed = events.iter().find(|event| event["event"] == "step_failed").unwrap();
    let texts = |key: &str| {
        let of_one = |one: &Value| one[key].as_array().cloned().unwrap_or_default();
        let lines: Vec<Value> = failed["evidence"].as_array().unwrap().iter().flat_map(of_one).collect();
        lines.iter().map(|line| format!("{}\n", line.as_str().unwrap())).collect::<String>()
    };
    (texts("log"), texts("health"))
}

#[test]
fn a_tag_that_does_not_exist_is_abandoned_and_nothing_is_touched() {
    let (site, v1) = with_v1(WEB, "");
    let before = site.container("web");
    let reason = site.deploy("app:nope").failed("abandoned");
    assert!(
        reason.contains("/app has no tag nope: has CI pushed it?") && reason.contains("manifest unknown"),
        "{reason}"
    );
    assert_eq!(site.container("web"), before);
    site.has(&v1);
}

#[test]
fn an_image_for_another_platform_is_abandoned_and_nothing_is_touched() {
    let (site, v1) = with_v1(WEB, "");
    site.publish("app:foreign", &Image::web("foreign").only_for("s390x"));
    let before = site.container("web");
    let reason = site.deploy("app:foreign").failed("abandoned");
    assert!(reason.contains("build it for"), "{reason}");
    assert_eq!(site.container("web"), before);
    site.has(&v1);
}

#[test]
fn content_that_does_not_match_its_digest_is_abandoned_at_once_and_says_so() {
    let (site, v1) = with_v1(WEB, "");
    let before = site.container("web");
    let repository = format!("{}/app", site.name);
    for part in ["manifest", "config", "layer"] {
        let bad = site.publish(&format!("app:{part}"), &Image::web(part).with_megabytes(1));
        let manifest = site.registry().manifest(&repository, part);
        let text = |value: &Value| value["digest"].as_str().unwrap().to_owned();
        let digest = match part {
            "manifest" => bad.digest,
            "config" => text(&manifest["config"]),
            _ => text(manifest["layers"].as_array().unwrap().last().unwrap()),
        };
        site.registry().tamper(&digest, |bytes| {
            // JSON stays JSON: of the same length, and another.
            let at = bytes.windows(6).position(|six| six == b"sha256").map_or(bytes.len() / 2, |at| at + 20);
            bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
        });
        let answer = site.deploy(&format!("app:{part}"));
        let reason = answer.failed("abandoned");
        assert!(reason.contains("does not match its digest") && reason.contains(&site.address), "{part}: {reason}");
        let events: String = site.events(&answer.id()).iter().map(Value::to_string).collect();
        assert!(!events.contains("trying again"), "{part}: {events}");
    }
    assert_eq!(site.container("web"), before);
    site.has(&v1);
}

#[test]
fn a_wrong_password_is_abandoned_and_says_whose_credentials_were_refused() {
    let (mut site, v1) = with_v1(WEB, "");
    site.publish("app:v2", &Image::web("v2"));
    site.secret("registry.password", "not the password");
    site.kill();
    site.start();
    let answer = site.deploy("app:v2");
    let reason = answer.failed("abandoned");
    assert!(reason.contains("unauthorized") && reason.contains("config.toml"), "{reason}");
    assert!(!answer.text.contains("not the password"), "{}", answer.text);
    site.has(&v1);
}

#[test]
fn a_release_that_exits_is_rolled_back_and_its_last_words_are_told() {
    let (site, v1) = with_v1(WEB, "");
    site.publish("app:v2", &Image::running("v2", "echo 'fatal: no database' >&2; exit 3"));
    let answer = site.deploy("app:v2");
    let reason = answer.failed("rolled_back");
    assert!(reason.contains("exited (3)"), "{reason}");
    let (log, _) = evidence(&site, &answer);
    assert!(log.contains("version v2") && log.contains("fatal: no database"), "{log}");
    site.has(&v1);
    assert_eq!(answer.deployment()["running"][0]["digest"], Value::from(v1.digest));
}

#[test]
fn a_release_that_ends_well_although_it_publishes_a_port_is_rolled_back() {
    let (site, v1) = with_v1("  web:\n    image: {repo}/app:live\n    ports: [\"127.0.0.1:{port}:8080\"]\n", "");
    site.publish("app:v2", &Image::running("v2", "echo 'no configuration, so nothing to do'"));
    let reason = site.deploy("app:v2").failed("rolled_back");
    assert!(reason.contains("exited (0)"), "{reason}");
    site.has(&v1);
    // Somebody stops it, and it ends as it should.
    let well = |code: i32| assert_eq!(site.command(&["status", "--check"]).code, code);
    well(0);
    site.engine.docker(&["stop", &site.container("web").unwrap().id]).text();
    well(3);
}

#[test]
fn a_job_may_end_although_its_image_has_a_health_check() {
    let mut site = Site::with("  job:\n    image: {repo}/app:live\n");
    site.publish("app:v1", &Image::running("v1", "sleep 1").checked("exit 1"));
    site.start();
    site.deploy("app:v1").succeeded();
    assert_eq!(site.command(&["status", "--check"]).code, 0);
}

#[test]
fn a_release_that_restarts_in_a_loop_is_rolled_back() {
    let (site, v1) = with_v1("  web:\n    image: {repo}/app:live\n    restart: always\n", "");
    site.publish("app:v2", &Image::running("v2", "echo 'fatal: giving up' >&2; exit 1"));
    let answer = site.deploy("app:v2");
    let reason = answer.failed("rolled_back");
    assert!(reason.contains("restart"), "{reason}");
    assert!(evidence(&site, &answer).0.contains("fatal: giving up"));
    site.has(&v1);
}

#[test]
fn a_release_that_exits_while_it_settles_is_rolled_back() {
    let settle = "[projects.{name}.health]\nwithin = \"20s\"\nsettle = \"5s\"\n";
    let (site, v1) = with_v1(WEB, settle);
    site.publish("app:v2", &Image::running("v2", "sleep 2; echo 'fatal: lost the database'; exit 1"));
    let answer = site.deploy("app:v2");
    answer.failed("rolled_back");
    let (log, _) = evidence(&site, &answer);
    assert!(log.contains("fatal: lost the database"), "{log}{:?}", site.events(&answer.id()));
    site.has(&v1);
}

#[test]
fn a_release_that_never_becomes_healthy_is_rolled_back_and_its_health_log_is_told() {
    let (site, v1) = with_v1(WEB, "");
    site.publish("app:v2", &Image::web("v2").checked("echo 'feeling sick'; exit 1"));
    let answer = site.deploy("app:v2");
    let reason = answer.failed("rolled_back");
    assert!(reason.contains("unhealthy"), "{reason}");
    let (log, health) = evidence(&site, &answer);
    assert!(log.contains("version v2") && health.contains("feeling sick"), "{log}{health}");
    site.has(&v1);
}

#[test]
fn a_release_that_does_not_become_healthy_in_time_is_rolled_back() {
    let within = "[projects.{name}.health]\nwithin = \"3s\"\nsettle = \"0s\"\n";
    let (site, v1) = with_v1(WEB, within);
    site.publish("app:v2", &Image::web("v2").checked("sleep 1000"));
    let reason = site.deploy("app:v2").failed("rolled_back");
    assert!(reason.contains("3 s") || reason.contains("3s"), "{reason}");
    site.has(&v1);
}

#[test]
fn a_release_that_fails_the_http_probe_is_rolled_back() {
    let health =
        "[projects.{name}.health]\nhttp = \"http://127.0.0.1:{port}/index.html\"\nwithin = \"5s\"\nsettle = \"0s\"\n";
    let (site, v1) = with_v1(HOST, health);
    let serves_nothing = "trap 'exit 0' TERM; rm -f /www/index.html; httpd -f -p $PORT -h /www & wait";
    site.publish("app:v2", &Image::running("v2", serves_nothing));
    let reason = site.deploy("app:v2").failed("rolled_back");
    assert!(reason.contains("404"), "{reason}");
    site.has(&v1);
}

#[test]
fn a_release_that_fails_the_tcp_probe_is_rolled_back() {
    let health = "[projects.{name}.health]\ntcp = \"127.0.0.1:{port}\"\nwithin = \"5s\"\nsettle = \"0s\"\n";
    let (site, v1) = with_v1(HOST, health);
    site.publish("app:v2", &Image::running("v2", "trap 'exit 0' TERM; sleep 1000 & wait"));
    let reason = site.deploy("app:v2").failed("rolled_back");
    assert!(reason.contains(&site.fill("127.0.0.1:{port}")), "{reason}");
    site.has(&v1);
}

#[test]
fn a_release_that_fails_the_command_probe_is_rolled_back() {
    let health = "[projects.{name}.health]\ncommand = [\"/usr/bin/grep\", \"-q\", \"v1\", \"{dir}/{name}/out/version\"]\nwithin = \"5s\"\n\
                  settle = \"0s\"\n";
    let mut site = Site::with("  web:\n    image: {repo}/app:live\n    volumes: [\"./out:/out\"]\n");
    let saying = |version: &str| {
        Image::running(version, &format!("echo {version} >/out/version; trap 'exit 0' TERM; sleep 1000 & wait"))
    };
    let v1 = site.publish("app:v1", &saying("v1"));
    site.publish("app:v2", &saying("v2"));
    site.project(&["app"], health);
    site.start();
    site.deploy("app:v1").succeeded();
    let reason = site.deploy("app:v2").failed("rolled_back");
    assert!(reason.contains("grep"), "{reason}");
    site.has(&v1);
}

#[test]
fn a_release_that_cannot_be_started_is_rolled_back_and_says_what_compose_said() {
    let (site, v1) = with_v1(WEB, "");
    site.publish("app:v2", &Image::web("v2").starting_with("/no/such/program"));
    let reason = site.deploy("app:v2").failed("rolled_back");
    assert!(reason.contains("docker compose up failed") && reason.contains("/no/such/program"), "{reason}");
    site.has(&v1);
}

#[test]
fn a_first_release_whose_port_another_container_has_leaves_nothing_behind() {
    let mut site = Site::with(
        "  web:\n    image: {repo}/app:live\n    ports: [\"127.0.0.1:{port}:8080\"]\n  \
         other:\n    image: {repo}/other:1\n    ports: [\"127.0.0.1:{port}:8080\"]\n",
    );
    let v1 = site.publish("app:v1", &Image::web("v1"));
    let other = site.publish("other:1", &Image::web("other"));
    site.fetch("other:1", &other);
    assert_eq!(site.docker_compose(&["up", "--detach", "other"]).code, 0);
    site.start();
    let reason = site.deploy("app:v1").failed("abandoned");
    let told = format!("the container {} has the port {}", site.fill("{name}-other-1"), site.ports[0]);
    assert!(reason.contains(&told), "{reason}");
    assert_eq!(site.container("web"), None);
    site.runs("other", &other);

    site.docker_compose(&["rm", "--stop", "--force", "other"]);
    site.deploy("app:v1").succeeded();
    site.has(&v1);
}

#[test]
fn a_rollback_that_fails_says_so_and_the_next_deployment_fixes_it() {
    let (site, _) = with_v1(WEB, "");
    let v2 = site.publish("app:v2", &Image::web("v2"));
    // Neither release can be started as the compose file is now: this host has no such address.
    site.compose("  web:\n    image: {repo}/app:live\n    ports: [\"203.0.113.7:{port}:8080\"]\n");
    let reason = site.deploy("app:v2").failed("rollback_failed");
    assert!(reason.contains("putting back what ran before failed"), "{reason}");
    site.compose(WEB);
    site.deploy("app:v2").succeeded();
    site.has(&v2);
}

#[test]
fn a_port_that_another_program_has_leaves_what_runs_alone() {
    let (site, v1) = with_v1(WEB, "");
    site.publish("app:v2", &Image::web("v2"));
    let before = site.container("web");
    let taken = TcpListener::bind(site.fill("127.0.0.1:{port}")).unwrap();
    site.compose("  web:\n    image: {repo}/app:live\n    ports: [\"127.0.0.1:{port}:8080\"]\n");
    let told = format!("another program has the port {}", site.ports[0]);
    let check = site.command(&["check"]);
    assert!(check.code == 10 && check.stdout.contains(&told), "{}", check.stdout);
    let reason = site.deploy("app:v2").failed("abandoned");
    assert!(reason.contains(&told), "{reason}");
    assert_eq!(site.container("web"), before);
    site.has(&v1);
    drop(taken);
    site.deploy("app:v2").succeeded();
    // Its own port is no obstacle to the next one.
    site.deploy("app:v1").succeeded();
    site.has(&v1);
}

#[test]
fn a_release_that_the_engine_refuses_to_make_leaves_the_container_of_before() {
    let (site, v1) = with_v1(WEB, "");
    site.publish("app:v2", &Image::web("v2"));
    let before = site.container("web");
    // What Compose takes and the engine does not.
    site.compose("  web:\n    image: {repo}/app:live\n    cpus: 9999\n");
    let answer = site.deploy("app:v2");
    let reason = answer.failed("rolled_back");
    assert!(reason.contains("CPUs"), "{reason}");
    assert_eq!(site.container("web"), before, "the very same");
    site.has(&v1);
}

#[test]
fn a_service_that_is_needed_and_paused_leaves_what_runs_alone() {
    let (site, v1) = with_v1("  web:\n    image: {repo}/app:live\n  db:\n    image: {repo}/db:1\n", "");
    site.publish("app:v2", &Image::web("v2"));
    let db = site.publish("db:1", &Image::web("db"));
    site.fetch("db:1", &db);
    site.compose("  web:\n    image: {repo}/app:live\n    depends_on: [db]\n  db:\n    image: {repo}/db:1\n");
    assert_eq!(site.docker_compose(&["up", "--detach"]).code, 0);
    let (before, db) = (site.container("web"), site.container("db").unwrap());
    site.engine.docker(&["pause", &db.id]).text();
    let reason = site.deploy("app:v2").failed("abandoned");
    assert!(reason.contains(&format!("docker unpause {}", db.name)), "{reason}");
    assert_eq!(site.container("web"), before);
    site.has(&v1);
    site.engine.docker(&["unpause", &db.id]).text();
}

#[test]
fn a_log_that_the_engine_does_not_give_out_is_told_as_such() {
    let (site, v1) = with_v1("  web:\n    image: {repo}/app:live\n    logging: {driver: none}\n", "");
    site.publish("app:v2", &Image::running("v2", "exit 3"));
    let answer = site.deploy("app:v2");
    answer.failed("rolled_back");
    let (log, _) = evidence(&site, &answer);
    assert!(log.contains("its log cannot be read (logging driver none)"), "{log}");
    site.has(&v1);
}

#[test]
fn a_first_release_that_is_bad_leaves_nothing_behind() {
    let mut site =
        Site::with("  web:\n    image: {repo}/app:live\n    depends_on: [db]\n  db:\n    image: {repo}/db:1\n");
    let db = site.publish("db:1", &Image::web("db"));
    site.fetch("db:1", &db);
    site.publish("app:v1", &Image::running("v1", "exit 1"));
    site.start();
    let answer = site.deploy("app:v1");
    answer.failed("rolled_back");
    assert_eq!(site.container("web"), None);
    assert_eq!(site.engine.digests(&site.full("app:live")), [""; 0], "the pin is gone");
    assert_eq!(answer.deployment()["running"].as_array().unwrap().len(), 0);

    let v2 = site.publish("app:v2", &Image::web("v2"));
    site.deploy("app:v2").succeeded();
    site.has(&v2);
}

#[test]
fn one_bad_service_takes_all_services_of_the_release_back() {
    let mut site = Site::with("  web:\n    image: {repo}/app:live\n  api:\n    image: {repo}/api:live\n");
    site.project(&["app", "api"], "");
    let app1 = site.publish("app:v1", &Image::web("app 1"));
    let api1 = site.publish("api:v1", &Image::web("api 1"));
    site.publish("app:v2", &Image::web("app 2"));
    site.publish("api:v2", &Image::running("api 2", "exit 1"));
    site.start();
    site.hook(&["app:v1", "api:v1"]).query("wait=10m").send().succeeded();
    site.hook(&["app:v2", "api:v2"]).query("wait=10m").send().failed("rolled_back");
    site.has(&app1);
    site.runs("api", &api1);
    site.pins("api:live", &api1);
}
