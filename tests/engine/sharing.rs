//! What projects share on a host: a Compose project that several deploy into, the name of an image, a directory.

use std::fs;
use std::os::unix::fs::symlink;

use crate::image::Image;
use crate::program::Program;
use crate::site::Site;

/// How often two first deployments are begun in the same moment.
const ROUNDS: usize = 4;

#[test]
fn two_projects_of_one_compose_project_can_be_deployed_for_the_first_time_at_once() {
    let mut site = Site::with(
        "  web:\n    image: {repo}/app:live\n    depends_on: [db]\n  api:\n    image: {repo}/api:live\n    \
         depends_on: [db]\n  db:\n    image: {repo}/db:1\n",
    );
    let app = site.publish("app:v1", &Image::web("app"));
    let api = site.publish("api:v1", &Image::web("api"));
    let db = site.publish("db:1", &Image::web("db"));
    site.fetch("db:1", &db);
    site.another("part", &["api"], "directory = \"{dir}/{name}\"");
    site.start();
    for round in 0..ROUNDS {
        std::thread::scope(|scope| {
            let other = scope.spawn(|| site.hook_of("part", "api:v1").query("wait=10m").send());
            site.deploy("app:v1").succeeded();
            other.join().unwrap().succeeded();
        });
        site.runs("web", &app);
        site.runs("api", &api);
        site.runs("db", &db);
        let networks =
            site.engine.docker(&["network", "ls", "--filter", &format!("name={}", site.name), "--quiet"]).text();
        assert_eq!(networks.lines().count(), 1, "round {round}: {networks}");
        assert_eq!(site.docker_compose(&["down"]).code, 0);
    }
}

#[test]
fn one_tag_in_two_directories_is_refused_by_check_and_by_the_hook_until_each_has_its_own() {
    let mut site = Site::new();
    let v1 = site.publish("app:v1", &Image::web("v1"));
    site.start();
    site.deploy("app:v1").succeeded();
    let staging = site.directory.join("staging");
    fs::create_dir(&staging).unwrap();
    let text = site.fill("name: {name}-staging\nservices:\n  web:\n    image: {repo}/app:");
    let compose = |tag: &str| fs::write(staging.join("compose.yaml"), format!("{text}{tag}\n")).unwrap();
    compose("live");
    site.another("staging", &["app"], "directory = \"{dir}/staging\"");
    let v2 = site.publish("app:v2", &Image::web("v2"));
    site.reload();

    let check = site.command(&["check"]);
    assert_eq!(check.code, 10, "{}", check.stdout);
    let (prod, reference) = (site.name.clone(), site.full("app:live"));
    for (project, other) in [(prod.as_str(), "staging"), ("staging", prod.as_str())] {
        let told = format!("FAIL  project {project}: the project {other} starts web of the Compose project ");
        assert!(check.stdout.contains(&told) && check.stdout.contains(&reference), "{}", check.stdout);
    }
    let before = site.container("web");
    for answer in [site.hook_of("staging", "app:v2").query("wait=10m").send(), site.deploy("app:v2")] {
        let reason = answer.failed("abandoned");
        assert!(reason.contains("too, and a name can mean one release only"), "{reason}");
    }
    assert_eq!(site.container("web"), before);
    site.has(&v1);

    compose("staging");
    let check = site.command(&["check"]);
    assert_eq!(check.code, 0, "{}", check.stdout);
    site.hook_of("staging", "app:v2").query("wait=10m").send().succeeded();
    site.pins("app:staging", &v2);
    site.has(&v1);
}

#[test]
fn check_tells_who_else_runs_from_a_name_that_is_pinned() {
    let site = Site::new();
    let v1 = site.publish("app:v1", &Image::web("v1"));
    site.bring_up_by_hand("app:live", &v1);
    let elsewhere = site.directory.join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let text = fs::read_to_string(site.project_directory().join("compose.yaml")).unwrap();
    fs::write(elsewhere.join("compose.yaml"), site.fill(&format!("name: {{name}}-b\n{text}"))).unwrap();
    site.engine.docker(&["compose", "up", "--detach"]).dir(&elsewhere).text();
    let check = site.command(&["check"]);
    assert_eq!(check.code, 0, "{}", check.stdout);
    let told = site.fill("{name}-b-web-1 (Compose project {name}-b) was started from {repo}/app:live too");
    assert!(check.stdout.contains(&told) && check.stdout.contains("WARN"), "{}", check.stdout);
}

#[test]
fn nothing_is_started_a_second_time_under_another_name_of_the_compose_project() {
    let mut site = Site::new();
    let v1 = site.publish("app:v1", &Image::web("v1"));
    site.bring_up_by_hand("app:live", &v1);
    let link = site.directory.join("current");
    symlink(site.project_directory(), &link).unwrap();
    let name = site.name.clone();
    let says = |text: &str| assert!(text.contains(&format!("set project_name = \"{name}\"")), "{text}");

    site.project(&["app"], "[projects.{name}.compose]\ndirectory = \"{dir}/current\"\n");
    site.start();
    let refused = |site: &Site| {
        let check = site.command(&["check"]);
        assert_eq!(check.code, 10, "{}", check.stdout);
        says(&check.stdout);
        says(&site.command(&["plan", &name, &site.full("app:v1")]).stderr);
        says(&site.deploy("app:v1").failed("abandoned"));
    };
    refused(&site);

    // The fix works: what runs is found again.
    site.project(&["app"], "[projects.{name}.compose]\ndirectory = \"{dir}/current\"\nproject_name = \"{name}\"\n");
    site.reload();
    let plan = site.command(&["plan", &name, &site.full("app:v1")]).stdout;
    assert!(!plan.contains("warning") && plan.contains(&v1.digest[7..19]), "{plan}");

    // The same after the top-level name has changed.
    let compose = site.project_directory().join("compose.yaml");
    let text = fs::read_to_string(&compose).unwrap();
    fs::write(&compose, format!("name: renamed-{name}\n{text}")).unwrap();
    site.project(&["app"], "");
    site.reload();
    refused(&site);
}

#[test]
fn two_networks_of_one_name_are_told_with_the_command_that_removes_one() {
    let mut site = Site::new();
    site.publish("app:v1", &Image::web("v1"));
    let v2 = site.publish("app:v2", &Image::web("v2"));
    site.start();
    site.deploy("app:v1").succeeded();
    let before = site.container("web");
    let twin = twin_of(&site.fill("{name}_default"));
    let told = format!("docker network rm {}", &twin[..12]);
    let check = site.command(&["check"]);
    assert!(check.code == 10 && check.stdout.contains(&told), "{}", check.stdout);
    let reason = site.deploy("app:v2").failed("abandoned");
    assert!(reason.contains(&told), "{reason}");
    assert_eq!(site.container("web"), before);

    site.engine.docker(&["network", "rm", &twin[..12]]).text();
    site.deploy("app:v2").succeeded();
    site.has(&v2);
}

#[test]
fn a_network_or_volume_of_others_that_is_not_there_leaves_what_runs_alone() {
    let mut site = Site::new();
    let v1 = site.publish("app:v1", &Image::web("v1"));
    let v2 = site.publish("app:v2", &Image::web("v2"));
    site.start();
    site.deploy("app:v1").succeeded();
    let before = site.container("web");
    let service = "  web:\n    image: {repo}/app:live\n";
    for (kind, text) in [
        ("network", "    networks: [edge]\nnetworks:\n  edge: {external: true, name: \"{name}-edge\"}\n"),
        ("volume", "    volumes: [\"edge:/edge\"]\nvolumes:\n  edge: {external: true, name: \"{name}-edge\"}\n"),
    ] {
        site.compose(&format!("{service}{text}"));
        let create = site.fill(&format!("docker {kind} create {{name}}-edge"));
        let check = site.command(&["check"]);
        assert!(check.code == 10 && check.stdout.contains(&create), "{}", check.stdout);
        let image = site.full("app:v2");
        let plan = site.command(&["plan", &site.name, &image]);
        assert!(plan.code != 0 && plan.stderr.contains(&create), "{plan:?}");
        let reason = site.deploy("app:v2").failed("abandoned");
        assert!(reason.contains(&create), "{reason}");
        assert_eq!(site.container("web"), before);
        site.has(&v1);
    }
    site.engine.docker(&["volume", "create", &site.fill("{name}-edge")]).text();
    site.deploy("app:v2").succeeded();
    site.has(&v2);
}

/// Makes another network of a name that is taken, as two `docker compose up` do that check for it in the same moment; its id.
fn twin_of(network: &str) -> String {
    let address = std::env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned());
    let body = serde_json::json!({ "Name": network, "CheckDuplicate": false }).to_string();
    let answer = Program::new("curl")
        .args(["-sS", "--unix-socket", address.strip_prefix("unix://").unwrap()])
        .args(["-H", "Content-Type: application/json", "-d", &body, "http://engine/v1.41/networks/create"])
        .text();
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    answer["Id"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}
