//! The doors: hooks from the network, operators on the host, and all who read. Requests come in here and answers go
//! out; nothing about deployments is decided here.
//!
//! There are three routers, each for a listener of its own: [`hooks`], [`operators`] and [`metrics`]. [`serve`] runs
//! one behind limits that hold for every connection. A handler gets a project or a deployment only from `signed` or
//! `access`, which have asked whether the caller may.

mod app;

mod door;
mod limits;
mod places;
mod server;

mod peer;
mod socket;

mod access;
mod body;
mod signed;

mod docker_puller;
mod hook;
mod logs;
mod operators;
mod reading;

mod decided;
mod wish;

mod event_stream;
mod follow;
mod format;
mod negotiate;

mod answer;
mod error;
mod health;
mod metrics;
mod readiness;
mod recent;
mod refusals;
mod tally;

use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};

pub use app::App;
pub use axum::Router;
pub use limits::Limits;
pub use places::Places;
pub use readiness::Readiness;
pub use server::{Door, Listener, serve};

use access::Access;

/// The door to the network: hooks, and reading with a key.
pub fn hooks(app: App) -> Router {
    let hook = Router::new().route("/v1/hooks/{project}", post(hook::hook)).with_state(app.clone());
    let ours = hook.merge(reading(Access::with_key(app.clone()))).merge(health(&app));
    // Its callers write what they want into addresses that are none of ours.
    let puller = app.clone();
    behind_door(ours.fallback(move |request| docker_puller::call(puller, request)), app)
}

/// The door for operators on the host: whoever can open its socket may do everything.
pub fn operators(app: App) -> Router {
    let act = Router::new()
        .route("/v1/projects/{project}/deploy", post(operators::deploy))
        .route("/v1/projects/{project}/rollback", post(operators::rollback).get(operators::ways_back))
        .route("/v1/projects/{project}/logs", get(logs::logs))
        .route("/v1/projects/{project}/freeze", post(operators::freeze))
        .route("/v1/projects/{project}/unfreeze", post(operators::unfreeze))
        .route("/v1/deployments/{id}/cancel", post(operators::cancel))
        .route("/v1/refused", get(operators::refused))
        .route("/v1/version", get(operators::version))
        .route("/metrics", get(metrics::metrics))
        .with_state(app.clone());
    behind_door(act.merge(reading(Access::open(app.clone()))).merge(health(&app)).fallback(door::not_found), app)
}

/// A door for the figures alone.
pub fn metrics(app: App) -> Router {
    let figures = Router::new().route("/metrics", get(metrics::metrics)).with_state(app.clone());
    behind_door(figures.merge(health(&app)).fallback(door::not_found), app)
}

fn reading(access: Access) -> Router {
    Router::new()
        .route("/v1/deployments", get(reading::deployments))
        .route("/v1/deployments/{id}", get(reading::deployment))
        .route("/v1/deployments/{id}/events", get(reading::events))
        .route("/v1/projects", get(reading::projects))
        .route("/v1/projects/{project}", get(reading::project))
        .with_state(access)
}

fn health(app: &App) -> Router {
    Router::new().route("/livez", get(health::livez)).route("/readyz", get(health::readyz)).with_state(app.clone())
}

fn behind_door(router: Router, app: App) -> Router {
    router.method_not_allowed_fallback(door::method_not_allowed).layer(from_fn_with_state(app, door::pass))
}
