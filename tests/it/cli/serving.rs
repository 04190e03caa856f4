//! The daemon as a program, and what is said about a host on which it would not work.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::{Done, Windlass};
use crate::daemon::{Home, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn the_daemon_serves_until_it_is_told_to_stop() {
    let home = Home::with_shop();
    let windlass = Windlass::on(&home);
    let serving = windlass.start(&["serve"]);
    eventually("the socket", async || home.socket().exists() && windlass.run(&["list"]).code == 0).await;
    let stopped = std::process::Command::new("kill").args(["-TERM", &serving.id().to_string()]).status().unwrap();
    assert!(stopped.success());
    let done = Done::of(serving.wait_with_output().unwrap());
    assert_eq!((done.code, done.out.as_str()), (0, ""), "{done:?}");
    assert!(done.err.contains("ready") && done.err.contains("stopped"), "{done:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_is_aborted_leaves_no_core_with_the_keys_in_it() {
    let home = Home::with_shop();
    let windlass = Windlass::on(&home);
    let (_, hard) = getrlimit(Resource::RLIMIT_CORE).unwrap();
    setrlimit(Resource::RLIMIT_CORE, hard, hard).unwrap();
    let mut serving = windlass.start(&["serve"]);
    eventually("the socket", async || home.socket().exists()).await;
    let limits = fs::read_to_string(format!("/proc/{}/limits", serving.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{limits}");
    serving.kill().unwrap();
    serving.wait().unwrap();
}

/// `windlass serve` with a limit of open files.
fn serve_limited(windlass: &Windlass, limit: &str) -> Command {
    let serve = windlass.command(&["serve"]);
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("ulimit {limit} && exec \"$@\""), "sh"])
        .arg(serve.get_program())
        .args(serve.get_args());
    for (name, value) in serve.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn a_daemon_that_may_not_open_what_it_needs_does_not_start_and_says_what_to_change() {
    let home = Home::with_shop();
    let windlass = Windlass::on(&home);
    let refused = Done::of(serve_limited(&windlass, "-n 64").output().unwrap());
    assert_ne!(refused.code, 0, "{refused:?}");
    let why = "`limits.connections = 512` needs 832 open files, and this process may have 64; raise its limit \
        (`LimitNOFILE=` of the unit, `ulimit -n` in a shell)\n";
    assert!(refused.err.ends_with(why), "{refused:?}");
    home.configure("limits.connections = 5000");
    let refused = Done::of(serve_limited(&windlass, "-n 1024").output().unwrap());
    assert!(
        refused.code != 0 && refused.err.ends_with(", or set `limits.connections` to at most 704\n"),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_daemon_raises_its_limit_of_open_files_as_far_as_it_needs() {
    let home = Home::with_shop();
    let mut serving = serve_limited(&Windlass::on(&home), "-S -n 64").spawn().unwrap();
    eventually("the socket", async || home.socket().exists()).await;
    let limits = fs::read_to_string(format!("/proc/{}/limits", serving.id())).unwrap();
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(files.split_whitespace().nth(3), Some("832"), "{limits}");
    serving.kill().unwrap();
    serving.wait().unwrap();
}

#[test]
fn a_broken_configuration_is_told_with_its_place_by_whoever_reads_it() {
    let home = Home::with_shop();
    home.configure("concurency = 3");
    let place = format!("{}:5:1: concurency: unknown key; did you mean `concurrency`?", home.config().display());
    let windlass = Windlass::on(&home);
    let check = windlass.run(&["check"]);
    assert_eq!((check.code, check.out), (10, format!("FAIL  {place}\n")));
    let json = windlass.run(&["check", "--json"]);
    let found: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!((json.code, &found["well"]), (10, &false.into()));
    assert_eq!(found["errors"][0]["position"]["line"], 5, "{found}");
    assert_eq!(found["errors"][0]["fix"], "did you mean `concurrency`?");
    let serve = windlass.run(&["serve"]);
    assert!(serve.code == 10 && serve.err.contains(&place) && serve.err.contains("windlass check"), "{serve:?}");
    let init = windlass.run(&["init", "shop", "--ci", "all"]);
    assert!(init.code == 10 && init.err.contains("windlass check"), "{init:?}");
}

#[test]
fn a_host_without_an_engine_is_told_so_once() {
    let home = Home::with_shop();
    home.project("other", &["r.io/other"]);
    let windlass = Windlass::on(&home);
    let mut command = windlass.command(&["check"]);
    let nowhere = format!("unix://{}/docker.sock", home.path().display());
    let check = Done::of(command.env("DOCKER_HOST", nowhere).output().unwrap());
    assert_eq!(check.code, 10, "{check:?}");
    assert_eq!(check.out.matches("the engine does not answer").count(), 1, "{check:?}");
    fs::remove_file(home.path().join("shop-github.key")).unwrap();
    let missing = windlass.run(&["check"]);
    assert!(missing.code == 10 && missing.out.contains("shop-github.key"), "{missing:?}");
}

#[test]
fn check_tells_which_windlass_runs_and_what_it_has_not_read() {
    let home = Home::with_shop();
    let windlass = Windlass::on(&home);
    let row = |begin: &str| {
        let check = windlass.run(&["check"]);
        check.out.lines().find(|line| line.contains(begin)).unwrap_or_else(|| panic!("{begin}: {check:?}")).to_owned()
    };
    assert!(row("no windlass runs on").starts_with("ok    "));
    let daemon = home.start();
    let runs = row("with the configuration that is on disk");
    assert!(runs.starts_with(&format!("ok    windlass runs (pid {})", std::process::id())), "{runs}");
    assert!(row("windlass answers on the socket").starts_with("ok    "));
    assert!(row("the state directory").starts_with("ok    "));

    home.configure("concurrency = 3");
    let outdated = row("has not read");
    assert!(outdated.starts_with("WARN  ") && outdated.contains("config.toml as it is now"), "{outdated}");
    daemon.daemon().reload(home.settings());
    row("with the configuration that is on disk");
    home.project("other", &["r.io/other"]);
    assert!(row("has not read").contains("projects.d/other.toml"));
    fs::remove_file(home.path().join("projects.d/other.toml")).unwrap();
    row("with the configuration that is on disk");
    fs::remove_file(home.path().join("projects.d/shop.toml")).unwrap();
    assert!(row("has not read").contains("projects.d/shop.toml"));
}

#[test]
fn check_tells_what_windlass_cannot_have_on_this_host() {
    let home = Home::with_shop();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let _other = std::os::unix::net::UnixListener::bind(home.socket()).unwrap();
    let mut command = Windlass::on(&home).command(&["check"]);
    command.env("WINDLASS_LISTEN", &address).env("WINDLASS_STATE_DIR", home.config().join("state"));
    let check = Done::of(command.output().unwrap());
    assert_eq!(check.code, 10, "{check:?}");
    let row = |begin: &str| check.out.lines().find(|line| line.contains(begin)).unwrap_or_else(|| panic!("{check:?}"));
    assert!(row("another windlass, or another program, listens on").starts_with("FAIL  "), "{check:?}");
    // Only root may look whose socket it is.
    assert!(!row(&format!("listens on {address}")).starts_with("ok"), "{check:?}");
    assert!(row("the state directory").starts_with("FAIL  "), "{check:?}");
}

#[test]
fn a_configuration_that_everybody_can_write_is_refused_by_whoever_reads_it() {
    let home = Home::with_shop();
    let file = home.path().join("projects.d/shop.toml");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    let windlass = Windlass::on(&home);
    let expected = format!("{0}: can be written by everybody (mode 0666); run `sudo chmod go-w {0}`", file.display());
    let check = windlass.run(&["check"]);
    assert_eq!((check.code, check.out), (10, format!("FAIL  {expected}\n")));
    let serve = windlass.run(&["serve"]);
    assert!(serve.code == 10 && serve.err.contains(&expected), "{serve:?}");
}

#[test]
fn a_level_that_there_is_not_is_refused() {
    let home = Home::new();
    let mut command = Windlass::on(&home).command(&["serve"]);
    let done = Done::of(command.env("WINDLASS_LOG", "loud").output().unwrap());
    assert!(done.code == 2 && done.err.contains("one of error, warn, info"), "{done:?}");
}

#[test]
fn the_rule_of_polkit_is_for_the_configured_units_alone_and_there_is_none_without_them() {
    let home = Home::with_shop();
    let windlass = Windlass::on(&home);
    let none = windlass.run(&["polkit"]);
    assert_eq!((none.code, none.out.as_str()), (0, ""), "{none:?}");
    assert!(none.err.contains("no project has a unit"), "{none:?}");
    assert_eq!(windlass.json(&["polkit"])["rule"], serde_json::Value::Null);

    let site = "[projects.site]\nimages = ['r.io/site']\nsystemd.units = ['site.service', 'app@blue.service']\n";
    fs::write(home.path().join("projects.d/site.toml"), site).unwrap();
    let rule = windlass.run(&["polkit", "--user", "deploy"]);
    assert_eq!((rule.code, rule.err.as_str()), (0, ""), "{rule:?}");
    for line in [
        r#"var user = "deploy";"#,
        r#""app@blue.service": ["restart", "stop"],"#,
        r#""site.service": ["restart", "stop"]"#,
    ] {
        assert!(rule.out.contains(line), "{line}: {}", rule.out);
    }
    let odd = windlass.run(&["polkit", "--user", "two words"]);
    assert!(odd.code == 2 && odd.err.contains("not the name of a user"), "{odd:?}");

    home.configure("concurency = 3");
    let broken = windlass.run(&["polkit"]);
    assert_eq!((broken.code, broken.out.as_str()), (10, ""), "{broken:?}");
    assert!(broken.err.contains("unknown key") && broken.err.contains("windlass check"), "{broken:?}");
}

#[test]
fn the_schema_of_each_file_is_printed_whatever_is_configured() {
    let home = Home::with_shop();
    home.configure("concurency = 3");
    let windlass = Windlass::on(&home);
    let keys = |arguments: &[&str]| {
        let schema = windlass.json(arguments);
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        schema["properties"].as_object().unwrap().keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(keys(&["schema", "project"]), ["projects"]);
    let of_config = keys(&["schema"]);
    assert!(of_config.contains(&"listen".to_owned()) && of_config == keys(&["schema", "config"]), "{of_config:?}");
    let odd = windlass.run(&["schema", "compose"]);
    assert!(odd.code == 2 && odd.err.contains("possible values: config, project"), "{odd:?}");
}
