//! What is promised holds for every kind of container, not only for those that stop when they are told to.

use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::image::{Image, KINDS, Kind};
use crate::registry::Published;
use crate::site::Site;

/// Checks a promise for each of several cases, all at the same time: most of it is waiting.
pub fn for_each<T: Copy + Debug + Send + Sync>(cases: &[T], promise: impl Fn(T) + Sync) {
    let promise = &promise;
    let kept = |case| catch_unwind(AssertUnwindSafe(|| promise(case))).is_ok();
    let broken: Vec<T> = std::thread::scope(|scope| {
        let checks: Vec<_> = cases.iter().map(|case| (*case, scope.spawn(move || kept(*case)))).collect();
        checks.into_iter().filter_map(|(case, check)| (!check.join().unwrap()).then_some(case)).collect()
    });
    assert!(broken.is_empty(), "broken for {broken:?}: see above");
}

/// A release that is healthy once it serves its page.
fn good(kind: Kind, version: &str) -> Image {
    Image::web_of(kind, version).checked("wget -q -O - http://127.0.0.1:8080/")
}

/// A site where v1 is in service.
fn site_of(kind: Kind) -> (Site, Published) {
    let mut site = Site::new();
    let v1 = site.publish("app:v1", &good(kind, "v1"));
    site.start();
    site.deploy("app:v1").succeeded();
    site.has(&v1);
    (site, v1)
}

/// Asserts that the whole project is one container under its own name, which runs `image` and is what the tag means.
#[track_caller]
pub fn is_whole(site: &Site, image: &Published) {
    site.has(image);
    let containers = site.engine.containers(&[&format!("name={}-web", site.name)]);
    let names: Vec<String> = containers.iter().map(|id| site.engine.inspect(id).name).collect();
    assert_eq!(names, [format!("{}-web-1", site.name)]);
}

#[test]
fn a_release_of_any_kind_takes_the_place_of_one_of_its_kind() {
    for_each(&KINDS, |kind| {
        let (site, _) = site_of(kind);
        let v2 = site.publish("app:v2", &good(kind, "v2"));
        let deployment = site.deploy("app:v2").succeeded();
        assert_eq!(deployment["running"].as_array().unwrap().len(), 1, "{deployment}");
        is_whole(&site, &v2);
    });
}

#[test]
fn a_sick_release_of_any_kind_gives_way_to_the_one_before() {
    for_each(&KINDS, |kind| {
        let (site, v1) = site_of(kind);
        site.publish("app:sick", &Image::web_of(kind, "sick").checked("echo sick; exit 1"));
        let reason = site.deploy("app:sick").failed("rolled_back");
        assert!(reason.contains("unhealthy"), "{reason}");
        is_whole(&site, &v1);
    });
}

#[test]
fn an_operator_goes_back_to_the_release_before_whatever_its_kind() {
    for_each(&KINDS, |kind| {
        let (site, v1) = site_of(kind);
        site.publish("app:v2", &good(kind, "v2"));
        site.deploy("app:v2").succeeded();
        let back = site.command(&["rollback", &site.name]);
        assert_eq!(back.code, 0, "{}{}", back.stdout, back.stderr);
        is_whole(&site, &v1);
    });
}
