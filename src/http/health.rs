//! Whether windlass is there, and whether it takes work: one word each.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};

use super::App;

/// How ready windlass is to take hooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// What was under way before is being taken up again.
    Starting,
    /// All is well.
    Ready,
    /// It works, with the configuration of before: the newest one is broken, as the log says.
    StaleConfiguration,
    /// It takes no more work and finishes what it has.
    Draining,
}

impl Readiness {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::StaleConfiguration => "stale-configuration",
            Self::Draining => "draining",
        }
    }

    /// Whether hooks are taken. A configuration that is out of date is a reason to look, not to send nobody here.
    #[must_use]
    pub const fn takes_work(self) -> bool {
        matches!(self, Self::Ready | Self::StaleConfiguration)
    }
}

pub(super) async fn livez() -> &'static str {
    "ok\n"
}

pub(super) async fn readyz(State(app): State<App>) -> Response {
    let readiness = *app.0.readiness.borrow();
    let status = if readiness.takes_work() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, format!("{}\n", readiness.as_str())).into_response()
}
