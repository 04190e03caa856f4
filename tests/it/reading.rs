//! What can be read, by whom: with a key on the network, without one on the operators' socket.

use serde_json::{Value, json};
use windlass::auth::Scheme;
use windlass::model::Digest;

use crate::daemon::{Answer, Caller, Home, TestDaemon, client, send};

/// A host with two projects, and two deployments of the first.
async fn two_projects() -> (Home, TestDaemon, Caller, Caller, Vec<String>) {
    let home = Home::with_shop();
    home.project("blog", &["r.io/blog"]);
    home.world.service("blog", "web", "r.io/blog:live");
    home.world.publish("r.io/blog:v1", "blog v1");
    let daemon = home.start();
    let shop = Caller::new(&home, &daemon, "shop", Scheme::STANDARD);
    let blog = Caller::new(&home, &daemon, "blog", Scheme::STANDARD);
    let ids = vec![
        shop.deploy("one", "r.io/shop:v1").await.id(),
        shop.deploy("two", "r.io/shop:missing").await.id(),
        blog.deploy("one", "r.io/blog:v1").await.id(),
    ];
    (home, daemon, shop, blog, ids)
}

async fn on_socket(home: &Home, path: &str) -> Answer {
    let client = reqwest::Client::builder().unix_socket(home.socket()).build().unwrap();
    send(client.get(format!("http://localhost{path}"))).await
}

fn ids(listed: &Value) -> Vec<&str> {
    listed["deployments"].as_array().unwrap().iter().map(|found| found["id"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_shows_its_own_project_and_nothing_of_any_other() {
    let (_home, daemon, shop, blog, ids) = two_projects().await;
    let paths = |id: &str, project: &str| {
        [
            format!("/v1/deployments/{id}"),
            format!("/v1/deployments/{id}/events"),
            format!("/v1/deployments?project={project}"),
            format!("/v1/projects?project={project}"),
            format!("/v1/projects/{project}"),
        ]
    };
    for path in paths(&ids[0], "shop") {
        assert_eq!(shop.get(&path).await.status, 200, "{path}");
    }
    let mut refusals = Vec::new();
    for path in paths(&ids[2], "blog")
        .into_iter()
        .chain(paths("01jd5zk0000000000000000000", "nobody"))
        .chain(paths("not-an-id", "Not-A-Name"))
        .chain(["/v1/deployments".to_owned(), "/v1/projects".to_owned()])
        .chain(["/v1/deployments?project=shop&project=blog".to_owned()])
    {
        let signed = shop.get(&path).await;
        let unsigned = send(client().get(format!("{}{path}", daemon.url))).await;
        for answer in [signed, unsigned] {
            assert_eq!(answer.status, 401, "{path}: {}", answer.text);
            refusals.push(answer.text);
        }
    }
    refusals.dedup();
    assert_eq!(refusals.len(), 1, "{refusals:?}");
    assert_eq!(blog.get(&format!("/v1/deployments/{}", ids[2])).await.status, 200);
    // Whoever proves nothing is not told what else is wrong with the request.
    let answer = send(client().get(format!("{}/v1/deployments?project=shop&limit=x", daemon.url))).await;
    assert_eq!(answer.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_scheme_proves_who_reads() {
    let (home, daemon, _, _, ids) = two_projects().await;
    for scheme in [Scheme::STANDARD, Scheme::GITHUB, Scheme::BEARER] {
        let caller = Caller::new(&home, &daemon, "shop", scheme);
        let answer = caller.get(&format!("/v1/deployments/{}", ids[0])).await;
        assert_eq!(answer.status, 200, "{scheme}: {}", answer.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_says_what_runs_now_as_the_machine_sees_it() {
    let (home, _daemon, shop, _, ids) = two_projects().await;
    let path = format!("/v1/deployments/{}", ids[0]);
    let found = shop.get(&path).await.json();
    let running = json!([{
        "name": "shop-web-1", "image": "r.io/shop:live", "digest": Digest::of(b"v1").to_string(), "state": "healthy",
        "condition": "working"
    }]);
    assert_eq!(found["running"], running);
    home.world.state().running.clear();
    assert_eq!(shop.get(&path).await.json()["running"], json!([]), "read, not remembered");
    home.world.state().engine_away = true;
    assert_eq!(shop.get(&path).await.json()["running"], Value::Null);
    let project = shop.get("/v1/projects/shop").await.json();
    assert_eq!(project["running"], Value::Null);
    assert!(project["unreadable"].as_str().unwrap().contains("the engine does not answer"), "{project}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_newest_first_and_can_be_narrowed_and_paged() {
    let (home, _daemon, shop, _, made) = two_projects().await;
    let list = |query: &str| {
        let path = format!("/v1/deployments?project=shop{query}");
        let shop = &shop;
        async move { shop.get(&path).await }
    };
    let all = list("").await.json();
    assert_eq!(ids(&all), [&made[1], &made[0]]);
    assert!(all["deployments"].as_array().unwrap().iter().all(|found| found["running"].is_null()));
    assert_eq!(ids(&list("&limit=1").await.json()), [&made[1]]);
    assert_eq!(ids(&list(&format!("&limit=1&before={}", made[1])).await.json()), [&made[0]]);
    assert_eq!(ids(&list("&status=abandoned").await.json()), [&made[1]]);
    assert!(ids(&list("&status=running").await.json()).is_empty());
    for bad in ["&status=fine", "&limit=-1", "&limit=x", "&before=x", "&stauts=running", "&limit=1&limit=2"] {
        assert_eq!(list(bad).await.status, 400, "{bad}");
    }
    for (limit, expected) in [("0", 1), ("100000000000", 2)] {
        assert_eq!(ids(&list(&format!("&limit={limit}")).await.json()).len(), expected);
    }
    assert_eq!(ids(&on_socket(&home, "/v1/deployments").await.json()), [&made[2], &made[1], &made[0]]);
    assert_eq!(ids(&on_socket(&home, "/v1/deployments?project=blog").await.json()), [&made[2]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn projects_are_shown_as_configured_with_their_newest_deployment() {
    let (home, _daemon, shop, _, made) = two_projects().await;
    let project = shop.get("/v1/projects/shop").await.json();
    assert_eq!(project["name"], "shop");
    assert_eq!((&project["images"], &project["tags"]), (&json!(["r.io/shop"]), &json!(["*"])));
    assert_eq!((&project["target"], &project["frozen"]), (&json!("compose"), &Value::Null));
    assert_eq!(project["newest"]["id"], made[1]);
    assert_eq!(project["running"][0]["name"], "shop-web-1");

    let names = |listed: Value| -> Vec<String> {
        let projects = listed["projects"].as_array().unwrap().clone();
        projects.iter().map(|project| project["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(shop.get("/v1/projects?project=shop").await.json()), ["shop"]);
    assert_eq!(names(on_socket(&home, "/v1/projects").await.json()), ["blog", "shop"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_the_socket_everything_can_be_read_and_what_is_not_there_is_404() {
    let (home, _daemon, _, _, made) = two_projects().await;
    for path in [format!("/v1/deployments/{}", made[2]), "/v1/projects/blog".to_owned()] {
        assert_eq!(on_socket(&home, &path).await.status, 200, "{path}");
    }
    for path in [
        "/v1/deployments/01jd5zk0000000000000000000",
        "/v1/deployments/x",
        "/v1/deployments/01jd5zk0000000000000000000/events",
        "/v1/projects/nobody",
        "/v1/projects/Not-A-Name",
        "/v1/hooks/shop",
        "/v1/projects/",
    ] {
        let answer = on_socket(&home, path).await;
        assert_eq!(answer.status, 404, "{path}: {}", answer.text);
        assert_eq!(answer.json()["type"], "urn:windlass:problem:not_found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_come_in_the_form_that_is_asked_for() {
    let (_home, _daemon, shop, _, made) = two_projects().await;
    let read = |accept: &str, query: &str| {
        send(shop.reading(&format!("/v1/deployments/{}/events{query}", made[0])).header("accept", accept))
    };
    let array = read("*/*", "").await;
    assert_eq!(array.headers["content-type"], "application/json");
    let array = array.json().as_array().unwrap().clone();
    assert_eq!(array[0]["event"], "queued");
    assert!(array.iter().any(|event| event["event"] == "finished" && event["outcome"] == "succeeded"));
    assert!(array.windows(2).all(|pair| pair[0]["id"].as_i64() < pair[1]["id"].as_i64()));

    for query in ["", "?follow=0"] {
        let lines = read("application/x-ndjson", query).await;
        assert_eq!(lines.headers["content-type"], "application/x-ndjson");
        let lines: Vec<Value> = lines.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines, array);
    }
    let followed = read("application/x-ndjson", "?follow=1").await;
    let last: Value = serde_json::from_str(followed.text.lines().last().unwrap()).unwrap();
    assert_eq!((&last["event"], &last["outcome"]), (&json!("finished"), &json!("succeeded")));

    let text = read("text/plain", "").await;
    assert_eq!(text.headers["content-type"], "text/plain; charset=utf-8");
    assert!(text.text.lines().last().unwrap().starts_with("succeeded "), "{}", text.text);
    assert_eq!(read("text/event-stream", "?follow=0").await.text.matches("\ndata: ").count(), array.len());
    assert_eq!(read("text/plain", "?follow=maybe").await.status, 400);
    assert_eq!(read("text/plain", "?folow=1").await.status, 400);

    // Lines are for shells: a bad outcome is an answer that breaks off.
    let bad = shop.reading(&format!("/v1/deployments/{}/events", made[1])).header("accept", "text/plain");
    assert!(send(bad).await.text.starts_with("(broken off: "));
}

#[tokio::test(flavor = "multi_thread")]
async fn whether_it_lives_and_is_ready_is_told_to_all() {
    let (home, daemon, ..) = two_projects().await;
    for path in ["/livez", "/readyz"] {
        let network = send(client().get(format!("{}{path}", daemon.url))).await;
        let socket = on_socket(&home, path).await;
        assert_eq!((network.status, socket.status), (200, 200), "{path}");
        assert_eq!(network.text.split_whitespace().count(), 1);
    }
    let head = send(client().head(format!("{}/livez", daemon.url))).await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));
}
