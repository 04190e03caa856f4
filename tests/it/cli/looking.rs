//! What the command shows, and what it says when there is nothing to show.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Stdio;

use serde_json::json;
use windlass::model::Digest;

use super::{Done, Windlass};
use crate::daemon::Home;

#[tokio::test(flavor = "multi_thread")]
async fn status_shows_what_runs_and_list_how_it_came_to_that() {
    let home = Home::with_shop();
    home.project("quiet", &["r.io/quiet"]);
    let daemon = home.start();
    let windlass = Windlass::on(&home);
    assert_eq!(windlass.run(&["deploy", "shop", "r.io/shop:v1"]).code, 0);
    assert_eq!(windlass.run(&["deploy", "shop", "r.io/shop:missing"]).code, 20);

    let status = windlass.run(&["status"]);
    let lines: Vec<Vec<&str>> = status.out.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["PROJECT", "RUNS", "SINCE", "STATE", "LAST", "(UTC)"], "{status:?}");
    assert_eq!(lines[1], ["quiet", "-", "-", "-", "never", "deployed"], "{status:?}");
    assert_eq!(lines[2][..2], ["shop", "v1"], "{status:?}");
    assert_eq!(lines[2][3..6], ["healthy", "missing", "abandoned"], "{status:?}");
    assert!(
        status.out.contains("\n  cannot resolve r.io/shop:missing: manifest unknown  windlass follow shop\n"),
        "{status:?}"
    );

    assert!(status.out.lines().last().unwrap().starts_with("state: 2 deployments, "), "{status:?}");
    let state = &windlass.json(&["status"])["state"];
    assert!(state["deployments"] == 2 && state["bytes"].as_u64().unwrap() > 0, "{state}");

    let v1 = Digest::of(b"v1");
    for windlass in [&windlass, &Windlass::elsewhere(&home, &daemon.url, "shop", "standard")] {
        let shop = windlass.run(&["status", "shop"]);
        for expected in ["project   shop (compose)", "shop-web-1", "healthy", v1.as_str(), "succeeded", v1.short()] {
            assert!(shop.out.contains(expected), "{expected}: {}", shop.out);
        }
        let shop = windlass.json(&["status", "shop"]);
        assert_eq!(shop["project"]["running"][0]["digest"], v1.as_str());
        assert_eq!(shop["deployments"][0]["status"], "abandoned");
        let listed = windlass.json(&["list", "--project", "shop", "--status", "succeeded", "--limit", "5"]);
        assert_eq!(listed["deployments"].as_array().unwrap().len(), 1);
        assert_eq!(listed["deployments"][0]["release"], json!([{ "image": "r.io/shop:v1", "digest": v1 }]));
    }
    assert_eq!(windlass.json(&["status"])["projects"][1]["running"][0]["state"], "healthy");
    let none = windlass.run(&["list", "--project", "quiet"]);
    assert_eq!((none.code, none.out.as_str()), (0, ""), "{none:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn json_is_all_that_is_printed_when_it_is_asked_for() {
    let home = Home::with_shop();
    let _daemon = home.start();
    let windlass = Windlass::on(&home);
    let deployed = windlass.run(&["--json", "deploy", "shop", "r.io/shop:v1"]);
    let records = deployed.records();
    let id = records[0]["deployment"].as_str().unwrap().to_owned();
    assert!(records.iter().all(|record| record["deployment"] == id.as_str() && record["event"].is_string()));
    assert_eq!(records.last().unwrap()["outcome"], "succeeded");
    let followed = windlass.run(&["follow", &id, "--json"]);
    assert_eq!(followed.out, deployed.out);
    for arguments in [
        &["freeze", "shop"][..],
        &["unfreeze", "shop"],
        &["deploy", "shop", "r.io/shop:v1", "--no-wait"],
        &["plan", "shop", "r.io/shop:v1"],
        &["status"],
        &["list"],
    ] {
        assert!(windlass.json(arguments).is_object(), "{arguments:?}");
    }
    let refused = windlass.run(&["--json", "deploy", "shop", "r.io/other:v1"]);
    assert_eq!(refused.code, 10, "{refused:?}");
    let problem: serde_json::Value = serde_json::from_str(&refused.out).unwrap();
    assert_eq!(problem["type"], "urn:windlass:problem:not_allowed");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_failure_names_the_thing_the_reason_and_the_fix() {
    let home = Home::with_shop();
    let windlass = Windlass::on(&home);
    let failure = |done: &Done, code: i32, thing: &str, why: &str, fix: &str| {
        assert_eq!(done.code, code, "{done:?}");
        assert_eq!(done.out, "", "{done:?}");
        let lines: Vec<&str> = done.err.lines().collect();
        assert!(lines[0].starts_with("error: ") && lines[0].contains(thing), "{done:?}");
        assert!(lines[1].starts_with("  why: ") && lines[1].contains(why), "{done:?}");
        assert!(lines.get(2).copied().unwrap_or_default().contains(fix), "{done:?}");
    };
    let socket = home.socket();
    failure(&windlass.run(&["status"]), 12, socket.to_str().unwrap(), "no such socket", "systemctl status windlass");
    let nowhere = Windlass::elsewhere(&home, "http://127.0.0.1:1", "shop", "standard");
    failure(&nowhere.run(&["status", "shop"]), 12, "127.0.0.1:1", "connection refused", "port 1");

    let daemon = home.start();
    let unknown = windlass.run(&["status", "nosuch"]);
    failure(&unknown, 10, "nosuch cannot be shown", "there is no project nosuch", "windlass status");
    let slip = windlass.run(&["status", "shp"]);
    failure(&slip, 10, "shp cannot be shown", "did you mean shop?", "windlass status");
    let follow = windlass.run(&["follow", "01jd5zk0000000000000000000"]);
    failure(&follow, 10, "nothing can be followed", "no such deployment", "windlass list");
    let stranger = Windlass::elsewhere(&home, &daemon.url, "shop", "standard");
    home.secret("shop-standard.key", &windlass::auth::Key::generate(windlass::auth::Scheme::STANDARD).unwrap());
    failure(&stranger.run(&["deploy", "shop", "r.io/shop:v1"]), 11, "shop was not deployed", "authentic", "--scheme");
    failure(&stranger.run(&["status"]), 2, "not all projects", "its own project alone", "status PROJECT");
    failure(&stranger.run(&["freeze", "shop"]), 2, "on the host alone", "no key", "log in to the host");
    let keyless = windlass.run(&["--url", &daemon.url, "status", "shop"]);
    failure(&keyless, 2, "cannot be asked", "only to a key", "--key-file");
    let guess = windlass.run(&["--url", &daemon.url, "--key-file", "shop-bearer.key", "status", "shop"]);
    failure(&guess, 2, "shop-bearer.key", "never guessed", "--scheme bearer");
    for usage in [&["deploy"][..], &["deploy", "Shop", "r.io/shop:v1"], &["list", "--status", "fine"], &["nosuch"]] {
        assert_eq!(windlass.run(usage).code, 2, "{usage:?}");
    }

    // Root may open anything: then somebody else has to try.
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o000)).unwrap();
    let mut command = windlass.command(&["--socket", socket.to_str().unwrap(), "status"]);
    if nix::unistd::geteuid().is_root() {
        command.uid(65534).gid(65534).current_dir("/");
    }
    failure(&Done::of(command.output().unwrap()), 12, "windlass.sock", "permission denied", "usermod -aG windlass");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_goes_away_is_no_failure_and_a_full_disk_is_one() {
    let home = Home::with_shop();
    let _daemon = home.start();
    let windlass = Windlass::on(&home);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let deploy = windlass.command(&["deploy", "shop", "r.io/shop:v1"]).stdout(writer).stderr(Stdio::piped()).output();
    assert_eq!(Done::of(deploy.unwrap()).code, 0, "the outcome is the outcome, whoever looks");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let list = Done::of(windlass.command(&["list"]).stdout(writer).output().unwrap());
    assert_eq!((list.code, list.err.as_str()), (0, ""));
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let list = Done::of(windlass.command(&["list"]).stdout(full).output().unwrap());
    assert_eq!(list.code, 1, "{list:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_is_found_by_its_project_or_a_part_of_its_id() {
    let home = Home::with_shop();
    let _daemon = home.start();
    let windlass = Windlass::on(&home);
    home.world.publish("r.io/shop:v2", "v2");
    let none = windlass.run(&["follow", "shop"]);
    assert!(none.code == 10 && none.err.contains("shop is neither a project with deployments nor"), "{none:?}");
    assert_eq!(windlass.run(&["deploy", "shop", "v1"]).code, 0, "a tag alone is of the only repository");
    let first = windlass.json(&["list"])["deployments"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(windlass.run(&["deploy", "shop", ":v2"]).code, 0);

    let followed = windlass.run(&["follow", "shop"]);
    assert!(followed.code == 0 && followed.out.contains(": shop:v2\n"), "the newest: {followed:?}");
    for part in [&first[18..], &first[..20], &format!("…{}", &first[18..])] {
        let followed = windlass.run(&["follow", part]);
        assert!(followed.code == 0 && followed.out.contains(": shop:v1\n"), "{part}: {followed:?}");
    }
    let both = windlass.run(&["follow", &first[..6]]);
    assert!(both.code == 2 && both.err.contains("more than one id begins or ends with"), "{both:?}");
    let nothing = windlass.run(&["cancel", "shop"]);
    assert!(nothing.code == 10 && nothing.err.contains("no deployment of shop is under way"), "{nothing:?}");

    home.world.state().hold_health = true;
    assert_eq!(windlass.run(&["deploy", "shop", "v1", "--no-wait"]).code, 0);
    home.world.until("v1 to be applied", |state| state.running.values().any(|r| r.digest == Digest::of(b"v1"))).await;
    let cancelled = windlass.run(&["cancel", "shop"]);
    assert_eq!(cancelled.code, 0, "{cancelled:?}");
    home.world.state().hold_health = false;
    home.world.ring();
    let followed = windlass.run(&["follow", "shop"]);
    assert!(followed.code == 24 && followed.out.contains("going back to shop:v2"), "{followed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_refused_is_told_with_the_reason_that_callers_do_not_get() {
    let home = Home::with_shop();
    let daemon = home.start();
    let windlass = Windlass::on(&home);
    let quiet = windlass.run(&["refused"]);
    assert_eq!((quiet.code, quiet.out.as_str()), (0, ""), "{quiet:?}");
    let ours = Windlass::elsewhere(&home, &daemon.url, "shop", "standard");
    assert_eq!(ours.run(&["deploy", "shop", "r.io/other:v1"]).code, 10);
    home.secret("shop-standard.key", &windlass::auth::Key::generate(windlass::auth::Scheme::STANDARD).unwrap());
    for _ in 0..2 {
        assert_eq!(ours.run(&["deploy", "shop", "r.io/shop:v1"]).code, 11);
    }
    let refused = windlass.json(&["refused", "shop"])["refused"].clone();
    let shown = |place: usize| (refused[place]["status"].clone(), refused[place]["times"].clone());
    assert_eq!((shown(0), shown(1)), ((json!(401), json!(2)), (json!(422), json!(1))), "{refused}");
    let table = windlass.run(&["refused"]);
    for part in ["shop", "127.0.0.1", "no key of the project proves it", "r.io/other is not among the images"] {
        assert!(table.out.contains(part), "{part}: {table:?}");
    }
    let unknown = windlass.run(&["refused", "shopp"]);
    assert!(unknown.code == 10 && unknown.err.contains("did you mean shop?"), "{unknown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_learns_from_the_exit_code_whether_all_is_well() {
    let home = Home::with_shop();
    let _daemon = home.start();
    let windlass = Windlass::on(&home);
    assert_eq!(windlass.run(&["deploy", "shop", "v1"]).code, 0);
    for arguments in [&["status", "--check"][..], &["status", "shop", "--check"], &["status"]] {
        assert_eq!(windlass.run(arguments).code, 0, "{arguments:?}");
    }
    home.world.state().running.values_mut().for_each(|running| running.works = false);
    for (arguments, code) in [(&["status", "--check"][..], 3), (&["status", "shop", "--check"], 3), (&["status"], 0)] {
        let status = windlass.run(arguments);
        assert_eq!(status.code, code, "{status:?}");
        assert!(status.out.contains("DOWN"), "{status:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_what_runs_prints_and_follow_until_somebody_leaves() {
    let home = Home::with_shop();
    let daemon = home.start();
    let windlass = Windlass::on(&home);
    let nothing = windlass.run(&["logs", "shop"]);
    assert_eq!((nothing.code, nothing.out.as_str()), (0, ""), "{nothing:?}");
    assert_eq!(windlass.run(&["deploy", "shop", "v1"]).code, 0);
    let logs = windlass.run(&["logs", "shop", "-n", "2", "--since", "1h 5m"]);
    assert_eq!((logs.code, logs.out.as_str()), (0, "shop-web-1 | line 1\nshop-web-1 | line 2\n"), "{logs:?}");
    assert_eq!(
        windlass.run(&["logs", "shop", "--json"]).records()[0],
        json!({ "name": "shop-web-1", "line": "line 1" })
    );
    let elsewhere = Windlass::elsewhere(&home, &daemon.url, "shop", "standard").run(&["logs", "shop"]);
    assert!(elsewhere.code == 2 && elsewhere.err.contains("on the host alone"), "{elsewhere:?}");

    let mut following = windlass.start(&["logs", "shop", "--follow"]);
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(following.stdout.take().unwrap()));
    assert_eq!(lines.next().unwrap().unwrap(), "shop-web-1 | line 1");
    assert!(following.try_wait().unwrap().is_none(), "it goes on");
    following.kill().unwrap();
    following.wait().unwrap();
    home.world.state().engine_away = true;
    let away = windlass.run(&["logs", "shop"]);
    assert!(away.code == 10 && away.err.contains("engine does not answer"), "{away:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_version_is_that_of_the_command_and_of_the_daemon_where_there_is_one() {
    let home = Home::with_shop();
    let windlass = Windlass::on(&home);
    let ours = env!("CARGO_PKG_VERSION");
    let alone = windlass.run(&["version"]);
    assert_eq!((alone.code, alone.out), (0, format!("command  {ours}\n")));
    assert!(alone.err.contains("no such socket"), "{}", alone.err);
    assert_eq!(windlass.json(&["version"]), json!({ "command": ours, "daemon": null }));
    let _daemon = home.start();
    assert_eq!(windlass.json(&["version"]), json!({ "command": ours, "daemon": ours }));
    assert_eq!(windlass.run(&["version"]).out, format!("command  {ours}\ndaemon   {ours}\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn bash_completes_commands_and_projects() {
    let home = Home::with_shop();
    home.project("shelf", &["r.io/shelf"]);
    let _daemon = home.start();
    let windlass = Windlass::on(&home);
    assert_eq!(windlass.run(&["names"]).out, "shelf\nshop\n");
    fs::write(home.path().join("completions"), windlass.run(&["completions", "bash"]).out).unwrap();
    let programs = tempfile::tempdir().unwrap();
    let completed = |words: &str, last: usize| {
        let script = format!(
            "source completions; COMP_WORDS=({words}); COMP_CWORD={last}; \
             _windlass_with_projects windlass \"${{COMP_WORDS[$COMP_CWORD]}}\" \"${{COMP_WORDS[$COMP_CWORD-1]}}\"; echo \"${{COMPREPLY[@]}}\""
        );
        let config = home.config();
        let variables = [("WINDLASS_CONFIG", config.to_str().unwrap()), ("HERE", home.path().to_str().unwrap())];
        super::run_in(&["bash"], &format!("cd \"$HERE\"; {script}"), &variables, programs.path()).out
    };
    assert_eq!(completed("windlass rollb", 1), "rollback\n");
    assert_eq!(completed("windlass follow sh", 2), "shelf shop\n");
    assert_eq!(completed("windlass deploy sho", 2), "shop\n");
    assert!(completed("windlass deploy --dr", 2).contains("--dry-run"), "an option is one");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_gone_is_missing_and_the_command_that_is_named_puts_the_same_release_back() {
    let home = Home::new();
    home.project("shop", &["r.io/shop"]);
    for service in ["web", "worker"] {
        home.world.service("shop", service, "r.io/shop:live");
    }
    for tag in ["v1", "v2"] {
        home.world.publish(&format!("r.io/shop:{tag}"), tag);
    }
    let _daemon = home.start();
    let windlass = Windlass::on(&home);
    for tag in ["v1", "v2"] {
        assert_eq!(windlass.run(&["deploy", "shop", tag]).code, 0);
    }
    home.world.state().running.retain(|(_, service), _| service == "web");
    let status = windlass.run(&["status", "--check"]);
    assert_eq!(status.code, 3, "{status:?}");
    assert!(status.out.contains("1 missing") && status.out.contains("worker was deployed"), "{status:?}");
    let next = status.out.lines().find_map(|line| line.split_once("windlass rollback ")).unwrap().1;
    let words: Vec<&str> = ["rollback"].into_iter().chain(next.split_whitespace()).collect();
    let put_back = windlass.run(&words);
    assert!(put_back.code == 0 && put_back.out.contains("shop:v2"), "{put_back:?}");
    assert_eq!(home.world.runs("shop", "worker").unwrap().digest, Digest::of(b"v2"));
    assert_eq!(windlass.run(&["status", "--check"]).code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_name_of_a_project_means_no_deployment_of_another() {
    let home = Home::with_shop();
    let daemon = home.start();
    let windlass = Windlass::on(&home);
    home.world.state().hold_health = true;
    assert_eq!(windlass.run(&["deploy", "shop", "v1", "--no-wait"]).code, 0);
    let id = windlass.json(&["list"])["deployments"][0]["id"].as_str().unwrap().to_owned();
    home.project(&id[20..], &["r.io/other"]);
    daemon.daemon().reload(home.settings());
    let cancelled = windlass.run(&["cancel", &id[20..]]);
    assert_eq!(cancelled.code, 10, "{cancelled:?}");
    assert_eq!(windlass.json(&["list"])["deployments"][0]["status"], "running");
    let mut unreadable = windlass.run(&["diff", "shop"]);
    assert_eq!(unreadable.code, 0, "{unreadable:?}");
    home.world.state().engine_away = true;
    unreadable = windlass.run(&["diff", "shop"]);
    assert!(unreadable.code == 10 && unreadable.err.contains("engine does not answer"), "{unreadable:?}");
    home.world.state().engine_away = false;
    home.world.state().hold_health = false;
    home.world.ring();
}
