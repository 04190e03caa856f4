//! Reads a body within its limits, and says which kinds are taken at all.

use axum::body::Body;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use super::error::Error;
use super::limits::Limits;

/// The whole body.
pub(super) async fn read(body: Body, limits: &Limits) -> Result<Bytes, Error> {
    let collected = tokio::time::timeout(limits.body_timeout, Limited::new(body, limits.body).collect()).await;
    match collected.map_err(|_| Error::BodyTooSlow)? {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Error::BodyTooLarge { limit: limits.body }),
        Err(_) => Err(Error::BodyBroken),
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
