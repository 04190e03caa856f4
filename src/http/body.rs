//! Reads a body within its limits, and says which kinds are taken at all.

use std::net::IpAddr;
use std::time::Duration;

use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use tokio::time::{Instant, timeout_at};

use super::error::Error;
use super::limits::Limits;
use super::places::{Place, Places};

/// A body up to this size needs no place of its own; larger ones are read a few at a time. No key is proven before the body
/// is complete, so this limits the memory that a caller without a key can use.
const SMALL: usize = 64 * 1024;
/// How many larger ones are read at the same time.
const LARGE_AT_A_TIME: usize = 16;
/// How many bytes a body has to bring each second.
const LEAST_A_SECOND: u32 = 1024;

/// Room for the bodies that are being read.
#[derive(Debug)]
pub(super) struct Room(Places);

impl Default for Room {
    fn default() -> Self {
        Self(Places::new(LARGE_AT_A_TIME))
    }
}

impl Room {
    /// The whole body, which comes from `address`.
    pub(super) async fn read(&self, body: Body, address: Option<IpAddr>, limits: &Limits) -> Result<Bytes, Error> {
        let mut body = Limited::new(body, limits.body);
        let mut read = BytesMut::new();
        let mut place: Option<Place> = None;
        let begun = Instant::now();
        loop {
            let until = begun + patience(read.len(), limits);
            let given_up = async {
                match &place {
                    Some(place) => place.lost().await,
                    None => std::future::pending().await,
                }
            };
            let frame = tokio::select! {
                biased;
                () = given_up => return Err(Error::BodyGivenUp),
                frame = timeout_at(until, body.frame()) => frame.map_err(|_| Error::BodyTooSlow)?,
            };
            match frame {
                None => return Ok(read.freeze()),
                Some(Ok(frame)) => {
                    let data = frame.into_data().unwrap_or_default();
                    if place.is_none() && read.len() + data.len() > SMALL {
                        place = Some(self.0.enter(address).await);
                    }
                    read.extend_from_slice(&data);
                }
                Some(Err(error)) if error.is::<LengthLimitError>() => {
                    return Err(Error::BodyTooLarge { limit: limits.body });
                }
                Some(Err(_)) => return Err(Error::BodyBroken),
            }
        }
    }
}

/// How long a body may take to bring more than `bytes`.
fn patience(bytes: usize, limits: &Limits) -> Duration {
    let at_the_rate = Duration::from_secs(1) * u32::try_from(bytes).unwrap_or(u32::MAX) / LEAST_A_SECOND;
    limits.body_timeout.min(limits.body_grace + at_the_rate)
}

/// That a body is JSON, by its headers. A handler takes it before the body when its sender writes nothing else; senders
/// whose bodies are of other types are for other handlers.
pub(super) struct IsJson;

impl<S: Sync> FromRequestParts<S> for IsJson {
    type Rejection = Error;

    async fn from_request_parts(head: &mut Parts, _: &S) -> Result<Self, Error> {
        must_be_json(&head.headers).map(|()| Self)
    }
}

/// Refuses what is encoded, whatever it is. Nothing is ever unpacked: a few bytes can become any number.
pub(super) fn must_be_plain(headers: &HeaderMap) -> Result<(), Error> {
    let plain = |encoding: &HeaderValue| encoding.as_bytes().eq_ignore_ascii_case(b"identity");
    if headers.get_all(CONTENT_ENCODING).iter().all(plain) {
        Ok(())
    } else {
        Err(Error::MediaType("send the body as it is, without `Content-Encoding`"))
    }
}

/// Refuses what is not plain JSON by its headers.
pub(super) fn must_be_json(headers: &HeaderMap) -> Result<(), Error> {
    must_be_plain(headers)?;
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
    use futures_util::{StreamExt as _, stream};

    use super::*;

    const ADDRESS: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)));

    /// A body that begins with `length` bytes and never ends.
    fn endless(length: usize) -> Body {
        let begin = stream::iter([Ok::<_, std::convert::Infallible>(Bytes::from(vec![b' '; length]))]);
        Body::from_stream(begin.chain(stream::pending()))
    }

    #[tokio::test]
    async fn a_large_body_does_not_wait_and_the_oldest_one_of_its_network_is_given_up() {
        let (room, limits) = (Room::default(), Limits::default());
        let mut held: Vec<_> = (0..3).map(|_| Box::pin(room.read(endless(SMALL + 1), ADDRESS, &limits))).collect();
        for reading in &mut held {
            assert!(futures_util::poll!(reading).is_pending());
        }
        // A network has a share of two.
        let given_up = held.remove(0).await.map_err(|error| error.status());
        assert_eq!(given_up, Err(StatusCode::SERVICE_UNAVAILABLE));
        for length in [SMALL, SMALL + 1, 1 << 20] {
            let read = room.read(Body::from(vec![b' '; length]), ADDRESS, &limits).await;
            assert_eq!(read.map(|body| body.len()).map_err(|error| error.status()), Ok(length));
        }
        let read = room.read(Body::from(vec![b' '; (1 << 20) + 1]), ADDRESS, &limits).await;
        assert_eq!(read.map_err(|error| error.status()), Err(StatusCode::PAYLOAD_TOO_LARGE));
    }

    #[tokio::test]
    async fn a_body_has_to_come_at_a_rate() {
        let limits = Limits { body_timeout: Duration::from_secs(3600), ..Limits::default() };
        let waited = |bytes| patience(bytes, &limits).as_secs();
        assert_eq!([0, 1, 4096, 1 << 20].map(waited), [5, 5, 9, 1029]);
        assert_eq!(patience(1 << 20, &Limits::default()), Limits::default().body_timeout);

        let limits = Limits { body_grace: Duration::from_millis(50), ..limits };
        let drops = stream::repeat(Bytes::from_static(b" ")).then(async |drop| {
            tokio::time::sleep(Duration::from_millis(10)).await;
            Ok::<_, std::convert::Infallible>(drop)
        });
        for body in [endless(0), Body::from_stream(drops)] {
            let read = Room::default().read(body, ADDRESS, &limits).await;
            assert_eq!(read.map_err(|error| error.status()), Err(StatusCode::REQUEST_TIMEOUT));
        }
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
