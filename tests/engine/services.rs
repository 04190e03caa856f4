//! What compose projects are made of: names, ports, dependencies, profiles, several services and several images.

use crate::image::Image;
use crate::program::{Program, eventually};
use crate::site::{PATIENCE, Site};

#[test]
fn a_container_keeps_the_name_that_the_compose_file_gives_it() {
    let mut site = Site::with("  web:\n    image: {repo}/app:live\n    container_name: {name}-shop\n");
    site.publish("app:v1", &Image::web("v1"));
    let v2 = site.publish("app:v2", &Image::web("v2"));
    site.start();
    site.deploy("app:v1").succeeded();
    site.deploy("app:v2").succeeded();
    site.has(&v2);
    assert_eq!(site.container("web").unwrap().name, site.fill("{name}-shop"));
}

#[test]
fn a_published_port_serves_the_new_release() {
    let mut site = Site::with("  web:\n    image: {repo}/app:live\n    ports: [\"127.0.0.1:{port}:8080\"]\n");
    site.publish("app:v1", &Image::web("v1"));
    site.publish("app:v2", &Image::web("v2"));
    site.project(
        &["app"],
        "[projects.{name}.health]\nhttp = \"http://127.0.0.1:{port}/\"\nwithin = \"30s\"\nsettle = \"0s\"\n",
    );
    site.start();
    for version in ["v1", "v2"] {
        site.deploy(&format!("app:{version}")).succeeded();
        assert_eq!(page(&site.fill("http://127.0.0.1:{port}/")), version);
    }
}

#[test]
fn what_a_service_depends_on_is_brought_up_when_it_is_not_there_and_never_recreated() {
    let mut site = Site::with(
        "  web:\n    image: {repo}/app:live\n    depends_on: [db]\n  db:\n    image: {repo}/db:1\n    environment: {A: \"1\"}\n",
    );
    let v1 = site.publish("app:v1", &Image::web("v1"));
    let v2 = site.publish("app:v2", &Image::web("v2"));
    let db = site.publish("db:1", &Image::web("db"));
    site.start();
    site.fetch("db:1", &db);
    site.deploy("app:v1").succeeded();
    site.has(&v1);
    site.runs("db", &db);

    // Compose itself would recreate it now: its configuration is another.
    let text = std::fs::read_to_string(site.project_directory().join("compose.yaml")).unwrap();
    std::fs::write(site.project_directory().join("compose.yaml"), text.replace("A: \"1\"", "A: \"2\"")).unwrap();
    let before = site.container("db");
    site.deploy("app:v2").succeeded();
    site.has(&v2);
    assert_eq!(site.container("db"), before);

    let stopped = before.unwrap().id;
    site.engine.docker(&["stop", &stopped]).text();
    site.deploy("app:v1").succeeded();
    site.has(&v1);
    assert_eq!(site.container("db").map(|db| (db.id, db.state)), Some((stopped, "running".to_owned())));
}

#[test]
fn an_operators_compose_up_finds_nothing_to_do_after_a_deployment() {
    let mut site = Site::with(
        "  web:\n    image: {repo}/app:live\n    depends_on: {db: {condition: service_healthy}, api: {condition: \
         service_started}}\n  api:\n    image: {repo}/api:1\n    depends_on: [db]\n  db:\n    image: {repo}/db:1\n",
    );
    site.publish("app:v1", &Image::web("v1"));
    let v2 = site.publish("app:v2", &Image::web("v2"));
    let api = site.publish("api:1", &Image::web("api"));
    let db = site.publish("db:1", &Image::web("db").checked("true"));
    site.start();
    site.fetch("db:1", &db);
    site.fetch("api:1", &api);
    for release in ["app:v1", "app:v2"] {
        site.deploy(release).succeeded();
        let before = ["web", "api", "db"].map(|service| site.container(service).unwrap());
        let up = site.docker_compose(&["up", "--detach"]);
        assert_eq!(up.code, 0, "{}", up.stderr);
        assert_eq!(["web", "api", "db"].map(|service| site.container(service).unwrap()), before, "{release}");
    }
    site.has(&v2);
}

#[test]
fn a_service_waits_for_the_one_it_depends_on_to_be_healthy() {
    let mut site = Site::with(
        "  web:\n    image: {repo}/app:live\n    depends_on: {db: {condition: service_healthy}}\n  db:\n    image: {repo}/db:1\n",
    );
    let v1 = site.publish("app:v1", &Image::web("v1"));
    let ready_later = Image::running("db", "sleep 2; touch /tmp/ready; sleep 1000 & trap 'exit 0' TERM; wait");
    let db = site.publish("db:1", &ready_later.checked("test -e /tmp/ready").with_patience(30));
    site.fetch("db:1", &db);
    site.start();
    site.deploy("app:v1").succeeded();
    site.has(&v1);
    site.runs("db", &db);
}

#[test]
fn a_service_behind_a_profile_is_moved_where_the_project_names_the_profile() {
    let services = "  web:\n    image: {repo}/app:live\n  extra:\n    image: {repo}/app:live\n    profiles: [extra]\n";
    let mut site = Site::with(services);
    let v1 = site.publish("app:v1", &Image::web("v1"));
    let v2 = site.publish("app:v2", &Image::web("v2"));
    site.start();
    site.deploy("app:v1").succeeded();
    site.has(&v1);
    assert_eq!(site.container("extra"), None);

    site.project(&["app"], "[projects.{name}.compose]\ndirectory = \"{dir}/{name}\"\nprofiles = [\"extra\"]\n");
    site.reload();
    site.deploy("app:v2").succeeded();
    site.has(&v2);
    site.runs("extra", &v2);
}

#[test]
fn a_one_shot_service_that_ends_well_is_healthy() {
    let mut site = Site::with(
        "  web:\n    image: {repo}/app:live\n    depends_on: {migrate: {condition: service_completed_successfully}}\n  \
         migrate:\n    image: {repo}/app:live\n    command: [echo, migrated]\n",
    );
    let v1 = site.publish("app:v1", &Image::web("v1"));
    let v2 = site.publish("app:v2", &Image::web("v2"));
    site.start();
    for version in [&v1, &v2] {
        site.deploy(&format!("app:{}", version.tag)).succeeded();
        site.has(version);
        let migrate = site.container("migrate").unwrap();
        assert_eq!((migrate.state.as_str(), migrate.exit_code), ("exited", 0));
        site.is_made_from(&migrate, version);
    }
}

#[test]
fn a_migration_that_fails_leaves_the_service_that_waits_for_it_untouched() {
    let mut site = Site::with(
        "  web:\n    image: {repo}/app:live\n    depends_on: {migrate: {condition: service_completed_successfully}}\n  \
         migrate:\n    image: {repo}/app:live\n    command: [/bin/sh, -c, \"! ls /bulk-*\"]\n",
    );
    let v1 = site.publish("app:v1", &Image::web("v1"));
    // Its migration finds a file that it does not expect.
    site.publish("app:v2", &Image::web("v2").with_megabytes(1));
    site.start();
    site.deploy("app:v1").succeeded();
    let before = site.container("web");
    let id = site.ask("app:v2");
    let deployment = site.outcome(&id);
    assert_eq!(deployment["status"], "rolled_back", "{deployment}");
    assert!(deployment["reason"].as_str().unwrap().contains("migrate"), "{deployment}");
    assert_eq!(site.container("web"), before, "its id, and when it was started, stay");
    site.has(&v1);
    let migrate = site.container("migrate").unwrap();
    assert_eq!((migrate.state.as_str(), migrate.exit_code), ("exited", 0));
    site.is_made_from(&migrate, &v1);
}

#[test]
fn all_services_of_an_image_move_together_and_no_other_is_touched() {
    let mut site = Site::with(
        "  web:\n    image: {repo}/app:live\n  worker:\n    image: {repo}/app:live\n  \
         old:\n    image: {repo}/app:other\n  cache:\n    image: {repo}/cache:1\n",
    );
    let cache = site.publish("cache:1", &Image::web("cache"));
    let v1 = site.publish("app:v1", &Image::web("v1"));
    let v2 = site.publish("app:v2", &Image::web("v2"));
    site.fetch("cache:1", &cache);
    site.fetch("app:other", &v1);
    site.fetch("app:live", &v1);
    assert_eq!(site.docker_compose(&["up", "--detach"]).code, 0);
    let before = site.container("cache");
    site.start();
    site.deploy("app:v2").succeeded();
    for service in ["web", "worker", "old"] {
        site.runs(service, &v2);
    }
    site.pins("app:live", &v2);
    site.pins("app:other", &v2);
    assert_eq!(site.container("cache"), before, "its id, and when it was started, stay");
}

#[test]
fn several_images_move_with_one_hook_and_the_others_stay() {
    let mut site = Site::with(
        "  web:\n    image: {repo}/app:live\n  api:\n    image: {repo}/api:live\n  job:\n    image: {repo}/job:live\n",
    );
    site.project(&["app", "api", "job"], "");
    let (app1, api1, job1) = (
        site.publish("app:v1", &Image::web("app 1")),
        site.publish("api:v1", &Image::web("api 1")),
        site.publish("job:v1", &Image::web("job 1")),
    );
    let (app2, api2) = (site.publish("app:v2", &Image::web("app 2")), site.publish("api:v2", &Image::web("api 2")));
    site.start();
    site.hook(&["app:v1", "api:v1", "job:v1"]).query("wait=10m").send().succeeded();
    site.has(&app1);
    site.runs("api", &api1);
    let before = site.container("job");
    site.hook(&["app:v2", "api:v2"]).query("wait=10m").send().succeeded();
    site.has(&app2);
    site.runs("api", &api2);
    site.pins("api:live", &api2);
    assert_eq!(site.container("job"), before);
    site.runs("job", &job1);
}

#[test]
fn all_containers_of_a_scaled_service_are_of_the_new_release() {
    let mut site = Site::with("  web:\n    image: {repo}/app:live\n    deploy: {replicas: 2}\n");
    site.publish("app:v1", &Image::web("v1"));
    let v2 = site.publish("app:v2", &Image::web("v2"));
    site.start();
    site.deploy("app:v1").succeeded();
    let deployment = site.deploy("app:v2").succeeded();
    let running = deployment["running"].as_array().unwrap();
    assert_eq!(running.len(), 2);
    assert!(running.iter().all(|container| container["digest"] == v2.digest), "{running:?}");
}

#[test]
fn the_operators_own_compose_up_leaves_the_deployed_release() {
    let mut site = Site::new();
    site.publish("app:v1", &Image::web("v1"));
    let v2 = site.publish("app:v2", &Image::web("v2"));
    site.start();
    site.deploy("app:v1").succeeded();
    site.deploy("app:v2").succeeded();
    let before = site.container("web");
    let up = site.docker_compose(&["up", "--detach"]);
    assert_eq!(up.code, 0, "{}", up.stderr);
    assert_eq!(site.container("web"), before);
    site.docker_compose(&["down"]);
    assert_eq!(site.container("web"), None);
    site.docker_compose(&["up", "--detach"]);
    site.has(&v2);
}

#[test]
fn the_image_of_what_a_service_depends_on_is_fetched_with_the_same_credentials() {
    let mut site =
        Site::with("  web:\n    image: {repo}/app:live\n    depends_on: [db]\n  db:\n    image: {repo}/db:1\n");
    let v1 = site.publish("app:v1", &Image::web("v1"));
    let db = site.publish("db:1", &Image::web("db"));
    site.start();
    site.deploy("app:v1").succeeded();
    site.has(&v1);
    site.runs("db", &db);
}

#[test]
fn a_service_that_lives_in_the_network_of_a_released_one_is_not_cut_off() {
    let mut site = Site::with(
        "  web:\n    image: {repo}/app:live\n  beside:\n    image: {repo}/beside:1\n    network_mode: service:web\n    \
         depends_on: [web]\n",
    );
    site.publish("app:v1", &Image::web("v1"));
    let v2 = site.publish("app:v2", &Image::web("v2"));
    let beside = site.publish("beside:1", &Image::running("beside", "trap 'exit 0' TERM; sleep 1000 & wait"));
    site.start();
    site.deploy("app:v1").succeeded();
    site.fetch("beside:1", &beside);
    assert_eq!(site.docker_compose(&["up", "--detach"]).code, 0);
    site.deploy("app:v2").succeeded();
    site.has(&v2);
    let id = site.container("beside").unwrap().id;
    let page = site.engine.docker(&["exec", &id, "wget", "-q", "-O", "-", "http://127.0.0.1:8080/"]).text();
    assert_eq!(page, "v2");
}

#[test]
fn a_service_that_asks_to_follow_another_one_is_restarted_when_that_was_replaced() {
    let mut site = Site::with(
        "  web:\n    image: {repo}/app:live\n  worker:\n    image: {repo}/job:1\n    depends_on: {web: {condition: \
         service_healthy, restart: true}}\n  other:\n    image: {repo}/job:1\n    depends_on: [web]\n",
    );
    let checked = |version: &str| Image::web(version).checked("wget -q -O /dev/null http://127.0.0.1:8080/");
    site.publish("app:v1", &checked("v1"));
    let v2 = site.publish("app:v2", &checked("v2"));
    let job = site.publish("job:1", &Image::running("job", "trap 'exit 0' TERM; sleep 1000 & wait"));
    site.fetch("job:1", &job);
    site.start();
    site.deploy("app:v1").succeeded();
    assert_eq!(site.docker_compose(&["up", "--detach"]).code, 0);
    let (worker, other) = (site.container("worker").unwrap(), site.container("other"));
    site.deploy("app:v2").succeeded();
    site.has(&v2);
    let after = site.container("worker").unwrap();
    assert_eq!((&after.id, after.state.as_str()), (&worker.id, "running"));
    assert_ne!(after.started_at, worker.started_at);
    assert_eq!(site.container("other"), other);

    // What was not replaced restarts nobody.
    site.deploy("app:v2").succeeded();
    assert_eq!(site.container("worker").unwrap(), after);
}

#[test]
fn a_release_that_takes_down_a_service_that_follows_it_is_rolled_back_and_that_one_is_started_again() {
    let mut site = Site::with(
        "  web:\n    image: {repo}/app:live\n  worker:\n    image: {repo}/job:1\n    restart: \"no\"\n    depends_on: \
         {web: {condition: service_started, restart: true}}\n",
    );
    let v1 = site.publish("app:v1", &Image::web("v1"));
    site.publish("app:v2", &Image::web("v2"));
    // It fails when it is started for the second time, and at no other.
    let once = "echo x >>/tmp/starts; [ $(wc -l </tmp/starts) != 2 ] || { echo cannot do with v2; exit 3; }";
    let job = site.publish("job:1", &Image::running("job", &format!("{once}; trap 'exit 0' TERM; sleep 1000 & wait")));
    site.fetch("job:1", &job);
    site.project(&["app"], "[projects.{name}.health]\nwithin = \"40s\"\nsettle = \"3s\"\n");
    site.start();
    site.deploy("app:v1").succeeded();
    assert_eq!(site.docker_compose(&["up", "--detach"]).code, 0);
    let worker = site.container("worker").unwrap();
    let answer = site.deploy("app:v2");
    let reason = answer.failed("rolled_back");
    assert!(reason.contains("worker-1 does not work since it was restarted: exited (3)"), "{reason}");
    site.has(&v1);
    let after = site.container("worker").unwrap();
    assert_eq!((&after.id, after.state.as_str()), (&worker.id, "running"));
}

fn page(url: &str) -> String {
    eventually(PATIENCE, url, || {
        let output = Program::new("curl").args(["-sf", "--noproxy", "*", "--max-time", "2", url]).output();
        (output.code == 0).then(|| output.stdout.trim().to_owned())
    })
}
