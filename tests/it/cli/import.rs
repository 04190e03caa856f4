//! From docker-puller's config.json to projects: what is written, what is asked for, and that nothing is overwritten.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use windlass::model::ImageReference;

use super::Windlass;
use crate::daemon::Home;

const TOKEN: &str = "canary42";

/// A host with docker-puller, whose hooks are `shop` and `Other_Hook`.
fn host() -> Home {
    let home = Home::new();
    let puller = home.path().join("puller");
    fs::create_dir_all(puller.join("scripts")).unwrap();
    fs::write(puller.join("scripts/shop.sh"), "#!/bin/sh\ndocker pull r.io/shop:live\ndocker restart shop\n").unwrap();
    let config = serde_json::json!({
        "host": "0.0.0.0", "port": 8000, "token": TOKEN,
        "hooks": { "shop": "./scripts/shop.sh", "Other_Hook": ["/opt/other.sh", "--now"] }
    });
    fs::write(puller.join("config.json"), config.to_string()).unwrap();
    home
}

const IMPORT: [&str; 3] = ["import", "docker-puller", "puller/config.json"];
const BOTH: [&str; 4] = ["--image", "shop=r.io/shop:live", "--image", "Other_Hook=r.io/other:v1"];

fn toml(home: &Home, file: &str) -> toml::Table {
    fs::read_to_string(home.path().join(file)).unwrap().parse().unwrap()
}

/// Every file of the configuration, with its text.
fn all(home: &Home) -> Vec<(String, String)> {
    let mut files = Vec::new();
    for directory in [".", "projects.d", "keys"] {
        let Ok(entries) = fs::read_dir(home.path().join(directory)) else { continue };
        for entry in entries.map(Result::unwrap).filter(|entry| entry.path().is_file()) {
            files.push((entry.path().display().to_string(), fs::read_to_string(entry.path()).unwrap()));
        }
    }
    files.sort();
    files
}

#[test]
fn each_hook_becomes_a_project_and_the_token_a_file_of_its_own() {
    let home = host();
    home.configure("concurrency = 3");
    let done = Windlass::on(&home).run(&[&IMPORT[..], &BOTH].concat());
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.out.contains("warning: the token has 8 bytes") && done.out.contains("0.0.0.0:8000"), "{done:?}");
    assert!(!format!("{done:?}").contains(TOKEN), "{done:?}");

    let config = toml(&home, "config.toml");
    assert_eq!(config["concurrency"].as_integer(), Some(3));
    let puller = &config["compat"]["docker_puller"];
    assert_eq!(puller["allow_short_token"].as_bool(), Some(true));
    let hook = &puller["hooks"]["Other_Hook"];
    assert_eq!((hook["project"].as_str(), hook["images"][0].as_str()), (Some("other_hook"), Some("r.io/other:v1")));
    let token = home.path().join("keys").join(puller["token_file"].as_str().unwrap());
    assert_eq!(fs::read_to_string(&token).unwrap(), format!("{TOKEN}\n"));
    let key = home.path().join("keys/shop-ci.key");
    for secret in [&token, &key] {
        assert_eq!(fs::metadata(secret).unwrap().permissions().mode() & 0o777, 0o600);
    }

    let shop = &toml(&home, "projects.d/shop.toml")["projects"]["shop"];
    let program = home.path().join("puller/scripts/shop.sh");
    assert_eq!(shop["command"]["run"][0].as_str(), program.to_str());
    let other = &toml(&home, "projects.d/other_hook.toml")["projects"]["other_hook"];
    let words: Vec<_> = other["command"]["run"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    assert_eq!(words, ["/opt/other.sh", "--now"]);
    let image: ImageReference = hook["images"][0].as_str().unwrap().parse().unwrap();
    assert_eq!(other["images"][0].as_str(), Some(image.repository().to_string().as_str()));
}

#[test]
fn without_an_image_for_each_hook_nothing_is_written_and_what_to_type_is_said() {
    let home = host();
    let before = all(&home);
    let windlass = Windlass::on(&home);
    let done = windlass.run(&IMPORT);
    assert_eq!(done.code, 10, "{done:?}");
    let proposed = "--image Other_Hook=REPOSITORY:TAG --image shop=r.io/shop:live";
    assert!(done.err.contains(proposed), "{done:?}");
    for (more, said) in [
        (&["--image", "nothing=r.io/a:b"][..], "name one of its own: Other_Hook, shop"),
        (&["--leave-out", "nothing"], "name one of its own: Other_Hook, shop"),
        (&["--image", "shop=r.io/shop:a", "--image", "shop=r.io/shop:b"], "one repository"),
    ] {
        let done = windlass.run(&[&IMPORT[..], more].concat());
        assert!(done.code == 10 && done.err.contains(said), "{done:?}");
    }
    let unusable = windlass.run(&[&IMPORT[..], &["--image", "shop"]].concat());
    assert!(unusable.code == 2 && unusable.err.contains("HOOK=IMAGE"), "{unusable:?}");
    assert_eq!(all(&home), before);
    let one = windlass.json(&[&IMPORT[..], &["--image", "shop=r.io/shop:live", "--leave-out", "Other_Hook"]].concat());
    assert_eq!((one["hooks"].as_array().unwrap().len(), &one["hooks"][0]["project"]), (1, &"shop".into()));
    assert_eq!(one["short_token"], true);
}

#[test]
fn nothing_is_overwritten_and_half_an_import_is_none() {
    for there in ["projects.d/shop.toml", "projects.d/other_hook.toml", "keys/docker-puller.token", "keys/shop-ci.key"]
    {
        let home = host();
        fs::create_dir_all(home.path().join("keys")).unwrap();
        home.secret(there, "mine");
        let before = all(&home);
        let done = Windlass::on(&home).run(&[&IMPORT[..], &BOTH].concat());
        assert!(done.code == 10 && done.err.contains("nothing is overwritten") && done.err.contains(there), "{done:?}");
        assert_eq!(all(&home), before);
    }
    for config in ["compat = {}", "[compat.docker_puller]\ntoken_file = 'x'", "broken ["] {
        let home = host();
        home.configure(config);
        let before = all(&home);
        let done = Windlass::on(&home).run(&[&IMPORT[..], &BOTH].concat());
        assert_eq!(done.code, 10, "{done:?}");
        assert_eq!(all(&home), before);
    }
}

#[test]
fn what_cannot_be_imported_is_told_without_the_token() {
    let home = host();
    let windlass = Windlass::on(&home);
    let file = home.path().join("puller/config.json");
    for (text, said) in [
        ("{".to_owned(), "not JSON"),
        (format!("{{\"token\": {TOKEN}}}"), "not JSON"),
        (format!("{{\"token\": [\"{TOKEN}\"], \"hooks\": {{}}}}"), "`token`"),
        (format!("{{\"token\": \"{TOKEN} x\", \"hooks\": {{}}}}"), "windlass key new"),
        (format!("{{\"token\": \"{TOKEN}\", \"hooks\": {{\"a\": \"nowhere.sh\"}}}}"), "absolute path"),
        (format!("{{\"token\": \"{TOKEN}\", \"hooks\": {{\"a b\": \"/x\", \"a-b\": \"/x\"}}}}"), "one project"),
        (format!("{{\"token\": \"{TOKEN}\", \"hooks\": {{\"ä\": \"/x\"}}}}"), "cannot give a project its name"),
    ] {
        fs::write(&file, text).unwrap();
        let done = windlass.run(&IMPORT);
        assert!(done.code == 10 && done.err.contains(said), "{said}: {done:?}");
        assert!(!format!("{done:?}").contains(TOKEN), "{done:?}");
    }
    fs::remove_file(&file).unwrap();
    assert_eq!(windlass.run(&IMPORT).code, 10);
}
