//! What others can write proves nothing: labels of images, and containers that are called as windlass calls its own.

use std::fs;

use crate::engine::Container;
use crate::image::Image;
use crate::program::eventually;
use crate::registry::Published;
use crate::site::{PATIENCE, Site};

/// A site where v1 is in service, and v2 is in the registry.
fn with_v1_and_v2() -> (Site, [Published; 2]) {
    let mut site = Site::new();
    let releases = ["v1", "v2"].map(|version| site.publish(&format!("app:{version}"), &Image::web(version)));
    site.start();
    site.deploy("app:v1").succeeded();
    (site, releases)
}

/// An image on this host that says by its labels what a container of windlass would say that holds `image`.
fn claiming_to_hold(site: &Site, image: &Published) -> String {
    let labels = [
        ("windlass.repository", site.full("app")),
        ("windlass.digest", image.digest.clone()),
        ("windlass.keep", site.name.clone()),
    ];
    foreign(site, "foreign", &labels)
}

/// An image `{name}:1` on this host with such labels, and a volume.
fn foreign(site: &Site, name: &str, labels: &[(&str, String)]) -> String {
    let image = Image::running(name, "sleep 1000 & wait");
    let image = labels.iter().fold(image, |image, (label, value)| image.labelled(label, value));
    let image = image.with_volume("/data");
    let reference = format!("{name}:1");
    let published = site.publish(&reference, &image);
    site.fetch(&reference, &published);
    site.full(&reference)
}

/// `docker WORDS`; what it prints.
fn docker(site: &Site, words: &[&str]) -> String {
    site.engine.docker(words).text()
}

/// The containers by which windlass holds this project's images.
fn keepers(site: &Site) -> Vec<Container> {
    let filter = format!("name=windlass-keep-{}-", site.name);
    site.engine.containers(&[&filter]).iter().map(|id| site.engine.inspect(id)).collect()
}

/// All that was said about the project's deployments, as one text.
fn said(site: &Site) -> String {
    let deployments = site.read("/v1/deployments?project={name}");
    let ids = deployments["deployments"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap());
    ids.flat_map(|id| site.events(id)).map(|event| format!("{event}\n")).collect()
}

#[test]
fn a_release_is_pulled_although_the_labels_of_another_image_claim_to_be_it() {
    let (site, [_, v2]) = with_v1_and_v2();
    let image = claiming_to_hold(&site, &v2);
    docker(&site, &["create", "--name", &format!("{}-foreign", site.name), &image]);
    site.deploy("app:v2").succeeded();
    site.has(&v2);
}

#[test]
fn a_release_is_pulled_although_labels_of_the_base_of_an_innocent_image_claim_to_be_it() {
    let (site, [_, v2]) = with_v1_and_v2();
    let base = claiming_to_hold(&site, &v2);
    let (base_container, innocent) = (format!("{}-base", site.name), site.full("innocent:1"));
    docker(&site, &["create", "--name", &base_container, &base]);
    site.engine.own_client(&["commit", &base_container, &innocent]).text();
    docker(&site, &["rm", "--volumes", &base_container]);
    docker(&site, &["create", "--name", &format!("{}-innocent", site.name), &innocent]);
    site.deploy("app:v2").succeeded();
    site.has(&v2);
}

#[test]
fn no_container_is_removed_for_what_its_labels_or_its_name_say() {
    let (site, [_, v2]) = with_v1_and_v2();
    let image = foreign(&site, "foreign", &[("windlass.keep", site.name.clone())]);
    let start = |name: &str| docker(&site, &["run", "--detach", "--network", "none", "--name", name, &image]);
    let running =
        [start(&format!("{}-foreign", site.name)), start(&format!("windlass-keep-{}-0123456789ab-012345", site.name))];
    let create = |name: &str| docker(&site, &["create", "--name", name, &image]);
    let created = [
        create(&format!("{}-created", site.name)),
        create(&format!("windlass-keep-{}-123456789abc-123456", site.name)),
    ];
    let before = running.each_ref().map(|id| site.engine.inspect(id));
    for release in ["v2", "v1", "v2"] {
        site.deploy(&format!("app:{release}")).succeeded();
    }
    site.has(&v2);
    assert_eq!(running.each_ref().map(|id| site.engine.inspect(id)), before);
    for id in &created {
        assert_eq!(site.engine.inspect(id).state, "created");
    }
    assert!(!site.engine.digests(&image).is_empty(), "the foreign image is gone");
}

#[test]
fn what_holds_an_image_has_none_of_its_labels_and_cannot_be_started() {
    let mut site = Site::new();
    let image = Image::web("v1").labelled("windlass.keep", "foreign").labelled("windlass.more", "foreign");
    let image = image.labelled("com.docker.compose.project", "foreign").labelled("com.docker.compose.oneoff", "False");
    site.publish("app:v1", &image);
    site.start();
    site.deploy("app:v1").succeeded();
    let [keeper] = &keepers(&site)[..] else { panic!("{:?}", keepers(&site)) };
    let labels = docker(&site, &["container", "inspect", "--format", "{{json .Config.Labels}}", &keeper.id]);
    assert!(!labels.contains("foreign") && !labels.contains("False"), "{labels}");
    assert_ne!(site.engine.docker(&["start", &keeper.id]).output().code, 0, "it was started");
}

#[test]
fn a_container_that_has_composes_labels_from_its_image_is_named_and_left_alone() {
    let (site, [v1, v2]) = with_v1_and_v2();
    let labels = [
        ("com.docker.compose.project", site.name.clone()),
        ("com.docker.compose.service", "web".to_owned()),
        ("com.docker.compose.oneoff", "False".to_owned()),
        ("com.docker.compose.container-number", "1".to_owned()),
        ("com.docker.compose.project.working_dir", site.project_directory().display().to_string()),
    ];
    let image = foreign(&site, "foreign", &labels);
    let name = format!("{}-foreign", site.name);
    let id = docker(&site, &["run", "--detach", "--network", "none", "--name", &name, &image]);
    let before = site.engine.inspect(&id);

    let status = site.command(&["status", &site.name]);
    assert!(!status.stdout.contains("foreign"), "{}", status.stdout);
    let reason = site.deploy("app:v2").failed("abandoned");
    assert!(reason.contains(&name) && reason.contains(&image) && reason.contains("docker rm"), "{reason}");
    let check = site.command(&["check"]);
    assert!(format!("{}{}", check.stdout, check.stderr).contains(&name), "{}{}", check.stdout, check.stderr);
    assert_eq!(site.engine.inspect(&id), before);

    docker(&site, &["rm", "--force", "--volumes", &id]);
    site.has(&v1);
    site.deploy("app:v2").succeeded();
    site.has(&v2);
}

#[test]
fn what_was_pulled_is_known_although_the_engine_has_forgotten_its_digest() {
    let (site, [v1, _]) = with_v1_and_v2();
    site.deploy("app:v2").succeeded();
    let by_digest = format!("{}@{}", site.full("app"), v1.digest);
    let names = docker(&site, &["image", "inspect", "--format", "{{range .RepoTags}}{{.}} {{end}}", &by_digest]);
    docker(&site, &["tag", &by_digest, &site.full("elsewhere:1")]);
    for name in names.split_whitespace() {
        docker(&site, &["rmi", name]);
    }
    assert_eq!(site.engine.digests(&by_digest), [""; 0]);
    site.forget("app", &v1);
    let rollback = site.command(&["rollback", &site.name]);
    assert_eq!(rollback.code, 0, "{}{}", rollback.stdout, rollback.stderr);
    // The engine can bring it back from what it keeps of earlier pulls, and need not be asked to.
    let newest = &site.read("/v1/deployments?project={name}&limit=1")["deployments"][0];
    let events = site.events(newest["id"].as_str().unwrap());
    assert!(!events.iter().any(|event| event["event"] == "progress"), "{events:?}");
    let here = docker(&site, &["image", "inspect", "--format", "{{.Id}}", &site.full("elsewhere:1")]);
    assert_eq!(site.container("web").unwrap().image, here);
}

#[test]
fn what_an_earlier_windlass_held_is_let_go_of_and_that_is_told() {
    let (mut site, _) = with_v1_and_v2();
    site.deploy("app:v2").succeeded();
    site.publish("app:v3", &Image::web("v3"));
    assert_eq!(keepers(&site).len(), 2);
    site.kill();
    // Without its state it has no record of what it pulled.
    fs::remove_dir_all(site.directory.join("state")).unwrap();
    site.start();
    site.deploy("app:v3").succeeded();
    eventually(PATIENCE, "the container that holds v1 to go", || {
        let told = said(&site);
        (keepers(&site).len() == 2 && told.contains("released ")).then_some(())
    });
}
