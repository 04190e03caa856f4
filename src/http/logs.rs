//! Hands operators what a project's containers or units print, a JSON object a line.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use serde::Deserialize;

use super::App;
use super::access::Access;
use super::error::Error;
use super::reading::{flag, query};
use crate::intake::Refused;
use crate::runner::{LogLine, LogSink, LogWish};
use crate::wire::json;
use crate::wire::view::LogLineView;

/// How many lines there are unless it is said, and at most.
const SOME: usize = 100;
const MOST: usize = 100_000;
/// Before what runs is looked at again.
const PAUSE: Duration = Duration::from_secs(1);
/// How many lines may wait for a caller that reads slowly.
const ROOM: usize = 256;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    follow: Option<String>,
    since: Option<String>,
    lines: Option<usize>,
}

pub(super) async fn logs(
    State(app): State<App>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, Error> {
    let (head, _) = request.into_parts();
    let project = Access::open(app.clone()).project(&head, &name)?;
    let Wanted { follow, since, lines } = query(&head)?;
    let since = match since.as_deref().map(humantime::parse_duration).transpose() {
        Ok(ago) => ago.map(|ago: Duration| app.0.clock.now().minus(ago)),
        Err(error) => return Err(Error::NotUnderstood(format!("`since` is how long ago, such as `10m`: {error}"))),
    };
    let follow = flag("follow", follow.as_deref())?.unwrap_or(false);
    let lines = lines.unwrap_or(if since.is_some() { MOST } else { SOME }).min(MOST);
    let wish = LogWish { lines, since, follow };
    // What cannot be read at all is an error with a status, not a line.
    app.instances(Some(&project)).await.map_err(Refused::Away)?;

    let (sink, mut printed) = LogSink::new(ROOM);
    let closing = app.0.runner.closing().clone();
    let reading = async move {
        let mut wish = wish;
        loop {
            if let Err(error) = app.0.runner.logs(&project, wish, &sink).await {
                return Some(LogLineView { name: String::new(), line: format!("error: {error}") });
            }
            if !wish.follow || sink.is_closed() {
                return None;
            }
            // What printed has ended: a deployment may have put something else in its place.
            wish = LogWish { lines: MOST, since: Some(app.0.clock.now()), ..wish };
            tokio::time::sleep(PAUSE).await;
        }
    };
    let printed = stream::poll_fn(move |context| printed.poll_recv(context))
        .map(|LogLine { name, line }| Some(LogLineView { name, line }));
    let lines = stream::select(stream::once(reading), printed).filter_map(|line| async move {
        let mut text = json::compact(&line?).ok()?;
        text.push('\n');
        Some(Ok::<_, std::convert::Infallible>(Bytes::from(text)))
    });
    let lines = lines.take_until(closing.cancelled_owned());
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response())
}
