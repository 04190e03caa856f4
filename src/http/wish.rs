//! What the caller of a hook wants to be told, when, and in which form.

use std::time::Duration;

use axum::extract::Query;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Version};
use serde::Deserialize;

use super::negotiate::choose;

/// What the caller wants to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wish {
    /// How long to hold the answer until the outcome.
    pub(super) wait: Option<Duration>,
    /// Only what would be done.
    pub(super) dry_run: bool,
    /// The form of the answer.
    pub(super) form: Form,
}

/// The form of the answer to a hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// One answer, with a status that says it all.
    Json,
    /// Lines as things happen.
    Text,
    /// Server-sent events as things happen.
    Events,
}

// Whoever writes `dry-run` must not find a deployment instead: what is not known is refused.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    wait: Option<String>,
    dry_run: Option<String>,
}

impl Wish {
    /// Whether the answer may take as long as the deployment.
    pub(super) fn takes_long(&self) -> bool {
        !self.dry_run && (self.wait.is_some() || self.form != Form::Json)
    }

    /// Reads it from the head of a request. Nobody waits longer than `longest`.
    pub(super) fn read(head: &Parts, longest: Duration) -> Result<Self, String> {
        let written = match head.uri.query() {
            None => Written::default(),
            Some(_) => {
                let Query(written) = Query::try_from_uri(&head.uri)
                    .map_err(|_| "the query takes `wait` and `dry_run`, once each".to_owned())?;
                written
            }
        };
        let wait = written.wait.as_deref().map(read_wait).transpose()?.map(|wait| wait.min(longest));
        let dry_run = match written.dry_run.as_deref() {
            None | Some("0" | "false") => false,
            Some("1" | "true") => true,
            Some(_) => return Err("write `dry_run=1`, or leave it out".to_owned()),
        };
        Ok(Self { wait, dry_run, form: form(&head.headers, head.version) })
    }
}

/// A wait as it stands in a query.
pub(super) fn read_wait(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| {
        let given: String = text.chars().take(40).collect();
        format!("`wait` is a duration such as `30s` or `10m`, not {given:?}: {error}")
    })
}

/// Before HTTP/1.1 the end of a body cannot be told from its breaking off: a stream could not say that it failed.
fn form(headers: &HeaderMap, version: Version) -> Form {
    if version < Version::HTTP_11 {
        return Form::Json;
    }
    choose(
        headers,
        ("application/json", Form::Json),
        &[("text/plain", Form::Text), ("text/event-stream", Form::Events)],
    )
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn wish(query: &str, version: Version) -> Result<Wish, String> {
        let request = Request::builder().uri(format!("/v1/hooks/shop{query}")).version(version);
        let (head, ()) = request.header("accept", "text/plain").body(()).unwrap().into_parts();
        Wish::read(&head, Duration::from_secs(600))
    }

    #[test]
    fn a_wait_is_a_duration_and_never_longer_than_the_project_may_take() {
        let wait = |query: &str| wish(query, Version::HTTP_11).map(|wish| wish.wait);
        assert_eq!(wait(""), Ok(None));
        assert_eq!(wait("?"), Ok(None));
        assert_eq!(wait("?wait=30s"), Ok(Some(Duration::from_secs(30))));
        assert_eq!(wait("?wait=1h%2030m"), Ok(Some(Duration::from_secs(600))));
        for bad in ["", "30", "-1s", "s", "1e9s", "99999999999999999999999y", "ever", "%00", "%ff", "1s&wait=2s"] {
            let query = format!("?wait={bad}");
            assert!(wait(&query).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_dry_run_is_asked_for_in_so_many_words() {
        let dry_run = |query: &str| wish(query, Version::HTTP_11).map(|wish| wish.dry_run);
        for (query, expected) in [("", false), ("?dry_run=1", true), ("?dry_run=true", true), ("?dry_run=0", false)] {
            assert_eq!(dry_run(query), Ok(expected), "{query}");
        }
        for bad in ["?dry-run=1", "?dryrun=1", "?dry_run=yes", "?dry_run=", "?dry_run", "?dry_run=1&dry_run=0"] {
            assert!(dry_run(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn who_cannot_see_a_stream_break_off_gets_no_stream() {
        assert_eq!(wish("", Version::HTTP_11).map(|wish| wish.form), Ok(Form::Text));
        assert_eq!(wish("", Version::HTTP_10).map(|wish| wish.form), Ok(Form::Json));
    }
}
