//! Sockets that outlive windlass: whoever comes while it is restarted is answered, not refused.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use windlass::auth::Scheme;

use crate::daemon::{Caller, Home, send};

/// A socket as a service manager holds it, and a second handle for each windlass.
fn socket() -> (TcpListener, impl Fn() -> Vec<TcpListener>) {
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let again = held.try_clone().unwrap();
    let hand_over = move || {
        let handed = again.try_clone().unwrap();
        handed.set_nonblocking(true).unwrap();
        vec![handed]
    };
    (held, hand_over)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_while_windlass_is_restarted_is_answered_by_the_next_one() {
    let home = Home::with_shop();
    let (_held, hand_over) = socket();
    let daemon = home.start_on(hand_over());
    let caller = Caller::new(&home, &daemon, "shop", Scheme::STANDARD);
    daemon.stop();
    let (answer, next) = tokio::join!(caller.deploy("one", "r.io/shop:v1"), async { home.start_on(hand_over()) });
    assert_eq!(answer.status, 200, "{}", answer.text);
    drop(next);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_hook_is_lost_or_refused_in_a_crowd_of_hooks_while_windlass_is_restarted_again_and_again() {
    let home = Home::with_shop();
    home.configure("[limits]\nqueue = 10000\nhooks_per_minute = 100000");
    let (_held, hand_over) = socket();
    let mut daemon = home.start_on(hand_over());
    let enough = Arc::new(AtomicBool::new(false));
    let mut crowd = tokio::task::JoinSet::new();
    for who in 0..4 {
        let (caller, enough) = (Caller::new(&home, &daemon, "shop", Scheme::STANDARD), Arc::clone(&enough));
        crowd.spawn(async move {
            let mut ids = Vec::new();
            while !enough.load(Ordering::SeqCst) {
                // As a job's curl does: a connection for each hook.
                let body = r#"{"image":"r.io/shop:v1"}"#.to_owned();
                let hook = caller.hook(&format!("{who}-{}", ids.len()), "", body);
                let answer = send(hook.header("connection", "close")).await;
                assert_eq!(answer.status, 202, "{}", answer.text);
                ids.push(answer.id());
            }
            ids
        });
    }
    for _ in 0..3 {
        daemon.stop();
        daemon = home.start_on(hand_over());
    }
    enough.store(true, Ordering::SeqCst);
    let last = Caller::new(&home, &daemon, "shop", Scheme::STANDARD);
    for ids in crowd.join_all().await {
        assert!(!ids.is_empty());
        for id in ids {
            let status = last.outcome(&id).await["status"].clone();
            assert!(status == "succeeded" || status == "superseded", "{status}");
        }
    }
}
