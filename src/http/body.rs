//! Reads a body within its limits, and says which kinds are taken at all.

use axum::body::{Body, HttpBody as _};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use tokio::sync::Semaphore;

use super::error::Error;
use super::limits::Limits;

/// Bodies up to this size cost no more than their connection; further ones are read a few at a time. No key is proven
/// before the body is there, so this is what anybody can make windlass hold in memory.
const SMALL: u64 = 64 * 1024;
/// How many larger ones are read at the same time.
const LARGE_AT_A_TIME: usize = 16;

/// Room for the bodies that are being read.
#[derive(Debug)]
pub(super) struct Room(Semaphore);

impl Default for Room {
    fn default() -> Self {
        Self(Semaphore::new(LARGE_AT_A_TIME))
    }
}

impl Room {
    /// The whole body.
    pub(super) async fn read(&self, body: Body, limits: &Limits) -> Result<Bytes, Error> {
        let is_small = body.size_hint().exact().is_some_and(|length| length <= SMALL);
        let reading = async {
            // The room is never closed.
            let _place = if is_small { None } else { self.0.acquire().await.ok() };
            Limited::new(body, limits.body).collect().await
        };
        match tokio::time::timeout(limits.body_timeout, reading).await.map_err(|_| Error::BodyTooSlow)? {
            Ok(collected) => Ok(collected.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => Err(Error::BodyTooLarge { limit: limits.body }),
            Err(_) => Err(Error::BodyBroken),
        }
    }
}

/// Refuses what is not plain JSON by its headers. Nothing is ever unpacked: a few bytes can become any number.
pub(super) fn must_be_json(headers: &HeaderMap) -> Result<(), Error> {
    let plain = |encoding: &HeaderValue| encoding.as_bytes().eq_ignore_ascii_case(b"identity");
    if !headers.get_all(CONTENT_ENCODING).iter().all(plain) {
        return Err(Error::MediaType("send the body as it is, without `Content-Encoding`"));
    }
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    match (types.next(), types.next()) {
        (Some(kind), None) if is_json(kind) => Ok(()),
        _ => Err(Error::MediaType("send JSON, with `Content-Type: application/json`")),
    }
}

fn is_json(kind: &HeaderValue) -> bool {
    let essence = kind.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(b"application/json")
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use axum::http::header::HeaderName;

    use super::*;

    #[tokio::test]
    async fn large_bodies_wait_for_each_other_and_small_ones_for_nobody() {
        let room = Room::default();
        let _taken = room.0.acquire_many(u32::try_from(LARGE_AT_A_TIME).unwrap()).await.unwrap();
        let limits = Limits { body_timeout: std::time::Duration::from_millis(50), ..Limits::default() };
        let read = |length: usize| {
            let (room, body) = (&room, Body::from(vec![b' '; length]));
            async move { room.read(body, &limits).await.map(|body| body.len()).map_err(|error| error.status()) }
        };
        assert_eq!(read(65_536).await, Ok(65_536));
        assert_eq!(read(65_537).await, Err(StatusCode::REQUEST_TIMEOUT));
        drop(_taken);
        assert_eq!(read(65_537).await, Ok(65_537));
        assert_eq!(read((1 << 20) + 1).await, Err(StatusCode::PAYLOAD_TOO_LARGE));
    }

    #[test]
    fn only_json_as_it_is_is_taken() {
        let verdict = |lines: &[(HeaderName, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in lines {
                headers.append(name, HeaderValue::from_static(value));
            }
            must_be_json(&headers).map_err(|error| error.status())
        };
        for good in ["application/json", "application/json; charset=utf-8", "Application/JSON;charset=UTF-8"] {
            assert_eq!(verdict(&[(CONTENT_TYPE, good)]), Ok(()), "{good}");
            assert_eq!(verdict(&[(CONTENT_TYPE, good), (CONTENT_ENCODING, "identity")]), Ok(()), "{good}");
        }
        for bad in
            ["", "text/plain", "application/x-www-form-urlencoded", "application/json5", "application/problem+json"]
        {
            assert_eq!(verdict(&[(CONTENT_TYPE, bad)]), Err(StatusCode::UNSUPPORTED_MEDIA_TYPE), "{bad}");
        }
        let json = (CONTENT_TYPE, "application/json");
        for lines in [
            &[][..],
            &[json.clone(), json.clone()],
            &[json.clone(), (CONTENT_ENCODING, "gzip")],
            &[json.clone(), (CONTENT_ENCODING, "identity"), (CONTENT_ENCODING, "gzip")],
            &[json.clone(), (CONTENT_ENCODING, "")],
        ] {
            assert_eq!(verdict(lines), Err(StatusCode::UNSUPPORTED_MEDIA_TYPE), "{lines:?}");
        }
    }
}
