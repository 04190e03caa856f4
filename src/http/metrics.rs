//! The figures for Prometheus, in its text format. What is in the store is counted there when somebody asks.

use std::fmt::Write as _;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};

use super::App;
use super::error::Error;

pub(super) async fn metrics(State(app): State<App>) -> Result<Response, Error> {
    let mut text = String::with_capacity(4096);
    let ready = app.0.readiness.borrow().takes_work();
    let tally = &app.0.tally;

    head(&mut text, "windlass_build_info", "gauge", "Always 1; the version is in the label.");
    let _ = writeln!(text, "windlass_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"));

    head(&mut text, "windlass_ready", "gauge", "1 while hooks are taken.");
    let _ = writeln!(text, "windlass_ready {}", u8::from(ready));

    head(&mut text, "windlass_hook_answers_total", "counter", "Answers to hooks, by HTTP status, since the start.");
    for (status, count) in tally.hooks() {
        let _ = writeln!(text, "windlass_hook_answers_total{{status=\"{status}\"}} {count}");
    }

    head(&mut text, "windlass_not_authentic_total", "counter", "Requests that no key proved, since the start.");
    let _ = writeln!(text, "windlass_not_authentic_total {}", tally.refused());

    head(&mut text, "windlass_deployments", "gauge", "Deployments on record, by project and status.");
    // Names of projects and statuses need no escaping.
    for (project, state, count) in app.0.store.counts().await? {
        let _ = writeln!(text, "windlass_deployments{{project=\"{project}\",status=\"{state}\"}} {count}");
    }
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}
