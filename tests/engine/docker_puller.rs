//! A stage of a pipeline posts docker-puller's address with curl, as it always did, and the release is put into service.

use crate::image::Image;
use crate::program::{Output, Program, eventually};
use crate::site::{PATIENCE, Site};

const TOKEN: &str = "canary-0123456789-abcdefghijk";

/// A site whose hook `myhook1` of docker-puller deploys what `app:latest` is in the registry.
fn site() -> Site {
    let mut site = Site::new();
    site.secret("puller.token", TOKEN);
    site.configure(
        "",
        "[compat.docker_puller]\ntoken_file = \"puller.token\"\n[compat.docker_puller.hooks.myhook1]\n\
         project = \"{name}\"\nimages = [\"{repo}/app:latest\"]\n",
    );
    site.start();
    site
}

/// What a stage of a pipeline does.
fn stage(site: &Site, address: &str) -> Output {
    let url = site.fill(&format!("{{hooks}}{address}"));
    Program::new("curl").args(["-sS", "--noproxy", "*", "-w", "%{http_code}", "-X", "POST", &url]).output()
}

#[test]
fn a_pipeline_that_posts_docker_pullers_address_deploys_and_learns_the_truth_when_it_waits() {
    let site = site();
    let v1 = site.publish("app:latest", &Image::web("v1"));
    let done = stage(&site, &format!("/?token={TOKEN}&hook=myhook1"));
    assert_eq!((done.code, done.stdout.as_str()), (0, "{\"success\": true}\n200"), "{}", done.stderr);
    eventually(PATIENCE, "v1 to be in service", || {
        let deployments = site.read("/v1/deployments");
        (deployments["deployments"][0]["status"] == "succeeded").then_some(())
    });
    site.has(&v1);

    let v2 = site.publish("app:latest", &Image::web("v2"));
    let by_path = site.fill(&format!("/{TOKEN}/{{name}}/myhook1?wait=5m"));
    let done = stage(&site, &by_path);
    assert_eq!(done.stdout, "{\"success\": true}\n200", "{}", done.stderr);
    site.has(&v2);

    site.publish("app:latest", &Image::running("v3", "exit 3"));
    let done = stage(&site, &format!("/?token={TOKEN}&hook=myhook1&wait=5m"));
    assert!(done.stdout.ends_with("422") && done.stdout.contains("rolled_back"), "{}", done.stdout);
    assert!(done.stdout.contains("\"success\": false"), "{}", done.stdout);
    site.has(&v2);

    let wrong = stage(&site, "/?token=abc123&hook=myhook1");
    assert_eq!(wrong.stdout, "{\"error\": \"Invalid token\", \"success\": false}\n400");
    let log = std::fs::read_to_string(site.directory.join("daemon.log")).unwrap();
    assert!(log.contains("accepted") && !log.contains(TOKEN), "{log}");
}
