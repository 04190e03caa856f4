//! Connections that break while a deployment goes on: nothing is lost, nothing is told twice, nothing is done twice.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;

use super::{Done, Windlass};
use crate::daemon::Home;

/// Passes connections on to `to`, and cuts off each of the first two answers after a few hundred bytes.
fn unreliable(to: &str) -> String {
    let to = to.trim_start_matches("http://").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for (number, client) in listener.incoming().enumerate() {
            let (client, server) = (client.unwrap(), TcpStream::connect(&to).unwrap());
            let (mut up_from, mut up_to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || std::io::copy(&mut up_from, &mut up_to));
            let limit = if number < 2 { 900 } else { u64::MAX };
            thread::spawn(move || pass_on(server, client, limit));
        }
    });
    url
}

fn pass_on(mut from: TcpStream, mut to: TcpStream, mut limit: u64) {
    let mut buffer = [0; 100];
    while limit > 0 {
        match from.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(length) => {
                if to.write_all(&buffer[..length]).is_err() {
                    break;
                }
                limit = limit.saturating_sub(length as u64);
            }
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}

fn is_told_once_and_in_order(done: &Done) {
    let ids: Vec<i64> = done.records().iter().map(|record| record["id"].as_i64().unwrap()).collect();
    assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "{ids:?}");
    let events: Vec<String> = done.records().iter().map(|record| record["event"].to_string()).collect();
    assert_eq!(events.first().map(String::as_str), Some("\"queued\""), "{events:?}");
    assert_eq!(events.last().map(String::as_str), Some("\"finished\""), "{events:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_whose_connection_breaks_is_told_to_its_end_and_done_once() {
    for scheme in ["standard", "github", "bearer"] {
        let home = Home::with_shop();
        let daemon = home.start();
        let url = unreliable(&daemon.url);
        let windlass = Windlass::elsewhere(&home, &url, "shop", scheme);
        let done = windlass.run(&["--json", "deploy", "shop", "r.io/shop:v1"]);
        assert_eq!(done.code, 0, "{scheme}: {done:?}");
        is_told_once_and_in_order(&done);
        let list = Windlass::on(&home).json(&["list"]);
        assert_eq!(list["deployments"].as_array().unwrap().len(), 1, "{scheme}: {list}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sees_the_end_of_what_a_killed_windlass_took_up_again() {
    let home = Home::with_shop();
    let daemon = home.start();
    home.world.state().hold_health = true;
    let looking = Windlass::on(&home).start(&["--json", "deploy", "shop", "r.io/shop:v1"]);
    home.world.until("v1 to be applied", |state| !state.running.is_empty()).await;
    daemon.kill();
    home.world.state().hold_health = false;
    let _daemon = home.start();
    let done = Done::of(looking.wait_with_output().unwrap());
    assert_eq!(done.code, 0, "{done:?}");
    is_told_once_and_in_order(&done);
    assert!(done.out.contains("\"resumed\""), "{done:?}");
}
