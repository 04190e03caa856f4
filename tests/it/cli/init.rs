//! From a compose directory to a working hook: what `init` writes is loaded, and what it prints is run.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::Value;

use super::{Done, SHELLS, Windlass, run_in, shell};
use crate::daemon::Home;
use crate::world::Behaviour;

const COMMIT: &str = "3f2a91c0000000000000000000000000000000ff";

/// A host on which `init` has made the project `site`.
fn initialised() -> Home {
    let home = Home::new();
    home.world.service("site", "web", "r.io/site:live");
    home.world.publish(&format!("r.io/site:{COMMIT}"), "good");
    fs::create_dir(home.path().join("srv")).unwrap();
    let made = Windlass::on(&home).run(&["init", "site", "--compose", "srv", "--image", "r.io/site"]);
    assert_eq!(made.code, 0, "{made:?}");
    home
}

/// A directory with programs that the scripts find: without `sudo`, because who runs the tests may have none.
fn programs() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    program(directory.path(), "sudo", "#!/bin/sh\nexec \"$@\"\n");
    directory
}

fn program(directory: &Path, name: &str, text: &str) {
    fs::write(directory.join(name), text).unwrap();
    fs::set_permissions(directory.join(name), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn what_is_written_is_loaded_and_never_overwritten() {
    let home = initialised();
    let (settings, warnings) = home.settings().unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
    let site = &settings.projects[&"site".parse().unwrap()];
    assert_eq!(site.spec.images[0].to_string(), "r.io/site");
    assert_eq!((site.keys.len(), site.keys[0].id.as_str()), (1, "ci"));
    let key = home.path().join("keys/site-ci.key");
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);

    let before = fs::read(&key).unwrap();
    let again = Windlass::on(&home).run(&["init", "site", "--compose", "srv", "--image", "r.io/site"]);
    assert_eq!(again.code, 10, "{again:?}");
    assert!(again.err.contains("nothing is overwritten") && again.err.contains("init site --ci all"), "{again:?}");
    assert_eq!(fs::read(&key).unwrap(), before);
    let text = String::from_utf8(before).unwrap();
    let all = Windlass::on(&home).run(&["init", "site", "--ci", "all"]);
    assert!(all.code == 0 && !all.out.contains(text.trim()), "the secret is shown only on request: {all:?}");
}

#[test]
fn a_unit_becomes_a_project_when_its_image_is_named() {
    let home = Home::new();
    let missing = Windlass::on(&home).run(&["init", "site", "--unit", "site.service"]);
    assert!(missing.code == 2 && missing.err.contains("--image"), "{missing:?}");
    let template = Windlass::on(&home).run(&["init", "site", "--unit", "app@.service", "--image", "r.io/site"]);
    assert!(template.code == 2 && template.err.contains("is a template"), "{template:?}");
    let made = Windlass::on(&home).run(&["init", "site", "--unit", "site.service", "--image", "r.io/site"]);
    assert_eq!(made.code, 0, "{made:?}");
    let (settings, warnings) = home.settings().unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
    let site = &settings.projects[&"site".parse().unwrap()];
    assert!(format!("{:?}", site.spec.target).contains("site.service"), "{:?}", site.spec.target);
}

#[test]
fn the_images_are_those_of_the_compose_files_that_are_not_other_peoples() {
    let home = Home::new();
    let programs = programs();
    let services = r#"{"name":"site","services":{"web":{"image":"r.io/site:live"},"db":{"image":"postgres:16"}}}"#;
    let plugins = programs.path().join("cli-plugins");
    fs::create_dir(&plugins).unwrap();
    program(&plugins, "docker-compose", &format!("#!/bin/sh\necho '{services}'\n"));
    let docker = [("DOCKER_CONFIG", programs.path().to_str().unwrap())];
    let config = home.config();
    let script = format!("windlass --config {} init site --compose . --ci shell", config.display());
    let made = shell(&script, &docker, programs.path());
    assert_eq!(made.code, 0, "{made:?}");
    assert!(made.out.contains("deploys r.io/site\n  not deployed: db uses docker.io/library/postgres"), "{made:?}");
    let text = fs::read_to_string(home.path().join("projects.d/site.toml")).unwrap();
    assert!(text.contains("images = [\"r.io/site\"]"), "{text}");

    program(&plugins, "docker-compose", "#!/bin/sh\necho 'no configuration file provided' >&2; exit 14\n");
    let script = script.replace("init site", "init other");
    let refused = shell(&script, &docker, programs.path());
    assert_eq!(refused.code, 10, "{refused:?}");
    assert!(refused.err.contains("no configuration file provided"), "{refused:?}");
    assert!(!home.path().join("keys/other-ci.key").exists());
}

#[test]
fn what_is_printed_for_a_shell_deploys_and_fails_with_the_deployment() {
    let home = initialised();
    let daemon = home.start();
    let windlass = Windlass::on(&home);
    let printed = windlass.run(&["--url", &daemon.url, "init", "site", "--ci", "shell"]);
    let script = printed.out.split_once("# Any shell\n").unwrap().1;
    let programs = programs();
    let run = |tag: &str| shell(&script.replace(":TAG", &format!(":{tag}")), &[], programs.path());
    let good = run(COMMIT);
    assert_eq!((good.code, good.last().starts_with("succeeded")), (0, true), "{good:?}");
    let bad = run("missing");
    assert_ne!(bad.code, 0, "{bad:?}");
    assert!(bad.last().starts_with("abandoned") && bad.last().contains("manifest unknown"), "{bad:?}");
    assert!(bad.out.ends_with("curl calls that error 18\n"), "{bad:?}");
}

/// The lines under `marker`, without their indentation.
fn block(snippet: &str, marker: &str, end: Option<&str>) -> String {
    let text = snippet.split_once(&format!("{marker}\n")).unwrap().1;
    let text = end.map_or(text, |end| text.split_once(end).unwrap().0);
    let indent = text.len() - text.trim_start_matches(' ').len();
    text.lines().map(|line| line.get(indent..).unwrap_or_default().to_owned() + "\n").collect()
}

/// What each CI makes of its snippet: the script, and the variables that it sets.
fn as_run_by(ci: &str, snippet: &str) -> (String, Vec<(&'static str, &'static str)>) {
    match ci {
        "github" => (
            block(snippet, "run: |", None),
            vec![
                ("GITHUB_SHA", COMMIT),
                ("GITHUB_RUN_ID", "17"),
                ("GITHUB_RUN_ATTEMPT", "1"),
                ("GITHUB_JOB", "deploy-site"),
                ("GITHUB_SERVER_URL", "https://github.com"),
                ("GITHUB_REPOSITORY", "acme/site"),
            ],
        ),
        "gitlab" => (
            block(snippet, "- |", None),
            vec![("CI_COMMIT_SHA", COMMIT), ("CI_JOB_ID", "17"), ("CI_JOB_URL", "https://gitlab.com/acme/site/17")],
        ),
        "circleci" => (
            block(snippet, "command: |", None),
            vec![
                ("CIRCLE_SHA1", COMMIT),
                ("CIRCLE_WORKFLOW_JOB_ID", "5034460f-c7c4-4c43-9457-de07e2029e7b"),
                ("CIRCLE_BUILD_URL", "https://circleci.com/gh/acme/site/17"),
            ],
        ),
        "jenkins" => (
            block(snippet, "sh '''", Some("      '''")).replace("\\\\", "\\"),
            vec![
                ("GIT_COMMIT", COMMIT),
                ("BUILD_TAG", "jenkins-Our Site v1.2-17"),
                ("BUILD_URL", "https://jenkins/job/17/"),
            ],
        ),
        "teamcity" => {
            let script = snippet.replace("%teamcity.build.id%", "17").replace("%teamcity.serverUrl%", "https://tc");
            (script.replace("%%", "%"), vec![("BUILD_VCS_NUMBER", COMMIT)])
        }
        other => panic!("nobody knows how {other} runs it"),
    }
}

#[test]
fn what_is_printed_for_each_ci_deploys_once_for_each_attempt_and_fails_with_the_deployment() {
    let home = initialised();
    let daemon = home.start();
    let windlass = Windlass::on(&home);
    let snippets = windlass.json(&["--url", &daemon.url, "init", "site", "--ci", "all"])["snippets"].clone();
    let key = home.path().join("keys/site-ci.key");
    let hex = windlass.run(&["key", "hex", key.to_str().unwrap()]).out.trim().to_owned();
    let programs = programs();
    for (ci, snippet) in snippets.as_object().unwrap() {
        let snippet = snippet.as_str().unwrap();
        if ci == "shell" {
            continue;
        }
        assert!(snippet.contains(&daemon.url) && snippet.contains("WINDLASS_KEY_HEX"), "{snippet}");
        let (script, mut variables) = as_run_by(ci, snippet);
        variables.retain(|(name, _)| !name.is_empty());
        let mut with_secrets = vec![("WINDLASS_URL", daemon.url.as_str()), ("WINDLASS_KEY_HEX", hex.as_str())];
        with_secrets.extend(variables);
        let run = || shell(&script, &with_secrets, programs.path());
        let count = || windlass.json(&["list"])["deployments"].as_array().unwrap().len();

        let before = count();
        let good = run();
        assert_eq!((good.code, good.last().starts_with("succeeded")), (0, true), "{ci}: {good:?}");
        assert!(!good.out.contains(&hex) && !good.err.contains(&hex), "{ci}: {good:?}");
        let again = run();
        assert_eq!(again.out.split_once('\n').unwrap().1, good.out, "{ci}: sent again it joins");
        assert_eq!(count(), before + 1, "{ci}");
        let newest: Value = windlass.json(&["list"])["deployments"][0].clone();
        assert_eq!(newest["requested_by"]["commit"], COMMIT, "{ci}");
        assert!(newest["requested_by"]["run_url"].as_str().unwrap().contains("17"), "{ci}: {newest}");

        let bad = home.world.publish("r.io/site:bad", "bad");
        home.world.state().behaviours.insert(bad, Behaviour::Unhealthy);
        // The next build; the port may have the same digits in it.
        let script = script.replacen("$IMAGE", "r.io/site:bad", 1).replace(&daemon.url, "$URL").replace("17", "18");
        let script = script.replace("$URL", &daemon.url);
        let bad = failing(&script, &with_secrets, programs.path());
        assert!(bad.last().starts_with("rolled_back"), "{ci}: {bad:?}");
    }
}

#[test]
fn what_is_pasted_as_the_key_is_checked_before_openssl_could_print_it() {
    let home = initialised();
    let daemon = home.start();
    let windlass = Windlass::on(&home);
    let snippets = windlass.json(&["--url", &daemon.url, "init", "site", "--ci", "all"])["snippets"].clone();
    let key = home.path().join("keys/site-ci.key");
    let text = fs::read_to_string(&key).unwrap().trim().to_owned();
    let hex = windlass.run(&["key", "hex", key.to_str().unwrap()]).out.trim().to_owned();
    let programs = programs();
    for (ci, snippet) in snippets.as_object().unwrap() {
        let snippet = snippet.as_str().unwrap();
        let run = |shell: &[&str], pasted: &str| {
            let (script, mut variables) = match ci.as_str() {
                // There the key comes from a command.
                "shell" => {
                    let begin = snippet.find("$(").unwrap() + 2;
                    let end = begin + snippet[begin..].find(" | tr").unwrap();
                    let command = format!("printf %s \"$PASTED\"{}", &snippet[end..]);
                    let script = format!("{}{command}", &snippet[..begin]).replace(":TAG", &format!(":{COMMIT}"));
                    (script, vec![("PASTED", pasted)])
                }
                ci => as_run_by(ci, snippet),
            };
            variables.extend([("WINDLASS_URL", daemon.url.as_str()), ("WINDLASS_KEY_HEX", pasted)]);
            run_in(shell, &script, &variables, programs.path())
        };
        for handled in [format!("{hex}\n"), format!("{hex}\r\n"), format!(" {hex} "), hex.to_uppercase()] {
            for shell in SHELLS {
                let good = run(shell, &handled);
                let succeeded = good.last().starts_with("succeeded");
                assert_eq!((good.code, succeeded), (0, true), "{ci}: {shell:?}: {handled:?}: {good:?}");
            }
        }
        let (cut, odd) = (&hex[..20], &hex[1..]);
        for refused in ["", "\n", &text, &format!("{text}\n"), cut, odd, &format!("0x{hex}"), "${WINDLASS_KEY_HEX}"] {
            for shell in SHELLS {
                let bad = run(shell, refused);
                assert_eq!(bad.code, 1, "{ci}: {shell:?}: {refused:?}: {bad:?}");
                assert!(bad.err.contains("WINDLASS_KEY_HEX is not a key in hex digits"), "{ci}: {refused:?}: {bad:?}");
                let secret = refused.trim();
                let printed = [&bad.out, &bad.err].iter().any(|said| secret.len() > 4 && said.contains(secret));
                assert!(!printed || secret.starts_with('$'), "{ci}: {refused:?}: {bad:?}");
            }
        }
    }
}

/// A snippet as it is run, whichever it is: that for a shell has its key from a command.
fn script_of(ci: &str, snippet: &str, hex: &str) -> (String, Vec<(&'static str, &'static str)>) {
    match ci {
        "shell" => {
            let begin = snippet.find("$(").unwrap() + 2;
            let end = begin + snippet[begin..].find(" | tr").unwrap();
            let script = format!("{}printf %s {hex}{}", &snippet[..begin], &snippet[end..]);
            (script.replace(":TAG", &format!(":{COMMIT}")), Vec::new())
        }
        ci => as_run_by(ci, snippet),
    }
}

#[test]
fn what_is_printed_for_a_pull_request_shows_the_plan_and_deploys_nothing() {
    let home = initialised();
    let daemon = home.start();
    let windlass = Windlass::on(&home);
    let printed = windlass.json(&["--url", &daemon.url, "init", "site", "--ci", "all", "--plan"]);
    let hex = windlass.run(&["key", "hex", printed["key_file"].as_str().unwrap()]).out.trim().to_owned();
    let programs = programs();
    for (ci, snippet) in printed["snippets"].as_object().unwrap() {
        let (script, mut variables) = script_of(ci, snippet.as_str().unwrap(), &hex);
        variables.extend([("WINDLASS_URL", daemon.url.as_str()), ("WINDLASS_KEY_HEX", hex.as_str())]);
        for shell in SHELLS {
            let planned = run_in(shell, &script, &variables, programs.path());
            assert_eq!((planned.code, planned.last()), (0, "nothing was changed"), "{ci}: {shell:?}: {planned:?}");
            assert!(planned.out.contains("1. pull site:"), "{ci}: {planned:?}");
        }
        let missing = script.replacen("$IMAGE", "r.io/site:missing", 1).replacen(&format!(":{COMMIT}"), ":missing", 1);
        let missing = run_in(SHELLS[0], &missing, &variables, programs.path());
        assert_eq!(missing.code, 1, "{ci}: {missing:?}");
        assert!(missing.out.starts_with("refused: ") && missing.out.contains("manifest unknown"), "{ci}: {missing:?}");
    }
    assert_eq!(windlass.json(&["list"])["deployments"], serde_json::json!([]));
}

#[test]
fn what_is_refused_says_why_in_the_log_of_each_ci_and_an_older_curl_says_where_to_look() {
    let home = initialised();
    let daemon = home.start();
    let windlass = Windlass::on(&home);
    let printed = windlass.json(&["--url", &daemon.url, "init", "site", "--ci", "all"]);
    let hex = windlass.run(&["key", "hex", printed["key_file"].as_str().unwrap()]).out.trim().to_owned();
    assert_eq!(windlass.run(&["freeze", "site", "--reason", "the database is being moved"]).code, 0);
    let (programs, older) = (programs(), self::programs());
    let curl = String::from_utf8(std::process::Command::new("which").arg("curl").output().unwrap().stdout).unwrap();
    let old = "case \" $* \" in *' --help '*) CURL --help all | grep -v fail-with-body ;; *--fail-with-body*) exit 2 ;; \
        *) exec CURL \"$@\" ;; esac";
    program(older.path(), "curl", &format!("#!/bin/sh\n{}\n", old.replace("CURL", curl.trim())));
    for (ci, snippet) in printed["snippets"].as_object().unwrap() {
        let (script, mut variables) = script_of(ci, snippet.as_str().unwrap(), &hex);
        variables.extend([("WINDLASS_URL", daemon.url.as_str()), ("WINDLASS_KEY_HEX", hex.as_str())]);
        for shell in SHELLS {
            let refused = run_in(shell, &script, &variables, programs.path());
            assert_eq!(refused.code, 1, "{ci}: {shell:?}: {refused:?}");
            assert!(refused.out.starts_with("refused: the project is frozen by "), "{ci}: {shell:?}: {refused:?}");
            assert!(refused.out.ends_with(": the database is being moved\n"), "{ci}: {shell:?}: {refused:?}");
            let refused = run_in(shell, &script, &variables, older.path());
            assert_eq!((refused.code, refused.out.as_str()), (1, ""), "{ci}: {shell:?}: {refused:?}");
            assert!(refused.err.contains("`windlass refused site` does, on its host"), "{ci}: {shell:?}: {refused:?}");
        }
    }
}

/// The same as another attempt, with an image that does not work.
fn failing(script: &str, variables: &[(&str, &str)], programs: &Path) -> Done {
    let variables: Vec<(&str, String)> = variables.iter().map(|(name, value)| (*name, attempt(name, value))).collect();
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let done = shell(script, &variables, programs);
    assert_ne!(done.code, 0, "{done:?}");
    done
}

fn attempt(name: &str, value: &str) -> String {
    match name {
        "GITHUB_RUN_ATTEMPT" => "2".to_owned(),
        "CI_JOB_ID" | "BUILD_TAG" | "CIRCLE_WORKFLOW_JOB_ID" => format!("{value}-next"),
        _ => value.to_owned(),
    }
}
