//! Whether windlass is there, and whether it takes work: one word each.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};

use super::App;

pub(super) async fn livez() -> &'static str {
    "ok\n"
}

pub(super) async fn readyz(State(app): State<App>) -> Response {
    let readiness = app.0.readiness.borrow().clone();
    let status = if readiness.takes_work() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, format!("{}\n", readiness.as_str())).into_response()
}
