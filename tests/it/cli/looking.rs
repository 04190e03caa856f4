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
    failure(&unknown, 10, "nosuch cannot be shown", "no such project", "windlass status");
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
