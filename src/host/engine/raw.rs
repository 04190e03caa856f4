//! Asks the engine for JSON and reads only what is needed of it.
//!
//! bollard knows each state by name and refuses an answer with a new one; Podman has names of its own, and engines
//! gain some. Containers are what windlass looks at most, so it reads them more leniently, over a connection of its own.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use http::header::{CONTENT_TYPE, HOST};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::client::{Engine, PATIENCE};
use super::refusal::Refusal;
use crate::host::error::innermost;

/// No answer about containers is larger.
const LARGEST: usize = 64 * 1024 * 1024;

#[derive(Deserialize)]
struct Complaint {
    message: String,
}

impl Engine {
    /// The answer to `GET path`.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Refusal> {
        match self.get_once(path).await {
            Err(refusal) if refusal.is_about_the_version() => {
                self.forget();
                self.get_once(path).await
            }
            answer => answer,
        }
    }

    /// What the engine says to `body`, which may hold a secret.
    pub(super) async fn post(&self, path: &str, body: Vec<u8>, patience: Duration) -> Result<(), Refusal> {
        let path = format!("{}{path}", self.link().await?.prefix);
        let request = http::Request::post(path).header(CONTENT_TYPE, "application/json").body(Full::from(body));
        match timeout(patience, self.fetch_body(request)).await {
            Ok(answer) => answer.map(drop).map_err(|refusal| refusal.at(&self.address)),
            Err(_) => Err(Refusal::Away(format!("no answer within {} s", patience.as_secs()))),
        }
    }

    async fn get_once<T: DeserializeOwned>(&self, path: &str) -> Result<T, Refusal> {
        let path = format!("{}{path}", self.link().await?.prefix);
        let request = http::Request::get(path).body(Full::default());
        let body = match timeout(PATIENCE, self.fetch_body(request)).await {
            Ok(answer) => answer.map_err(|refusal| refusal.at(&self.address))?,
            Err(_) => {
                return Err(Refusal::Away(format!("{}: no answer within {} s", self.address, PATIENCE.as_secs())));
            }
        };
        serde_json::from_slice(&body).map_err(|error| Refusal::Odd(format!("unexpected answer: {error}")))
    }

    async fn fetch_body(&self, request: http::Result<http::Request<Full<Bytes>>>) -> Result<Bytes, Refusal> {
        let mut request = request.map_err(|error| Refusal::Odd(error.to_string()))?;
        request.headers_mut().insert(HOST, HeaderValue::from_static("engine"));
        if let Some(address) = self.address.strip_prefix("tcp://").or_else(|| self.address.strip_prefix("http://")) {
            exchange(TcpStream::connect(address.trim_end_matches('/')).await.map_err(away)?, request).await
        } else {
            let socket = self.address.strip_prefix("unix://").unwrap_or(&self.address);
            exchange(UnixStream::connect(socket).await.map_err(away)?, request).await
        }
    }
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: http::Request<Full<Bytes>>,
) -> Result<Bytes, Refusal> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(away)?;
    let answer = async move {
        let answer = sender.send_request(request).await.map_err(away)?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), LARGEST).collect().await;
        let body = body.map_err(|error| Refusal::Away(error.to_string()))?.to_bytes();
        if status.is_success() {
            return Ok(body);
        }
        let message = serde_json::from_slice::<Complaint>(&body).map(|complaint| complaint.message);
        let message = message.unwrap_or_else(|_| String::from_utf8_lossy(&body).trim().to_owned());
        Err(Refusal::Status(status.as_u16(), message))
    };
    tokio::pin!(answer);
    tokio::pin!(connection);
    // The connection does the work; it may end before the last of the answer was taken from it.
    tokio::select! {
        biased;
        answer = &mut answer => answer,
        ended = &mut connection => {
            ended.map_err(away)?;
            answer.await
        }
    }
}

fn away(error: impl std::error::Error) -> Refusal {
    Refusal::Away(innermost(&error))
}

/// `text` as a part of a query.
pub(super) fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    async fn answering(answer: &'static str) -> Result<Bytes, Refusal> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0_u8; 1024];
            let count = stream.read(&mut request).await.unwrap();
            assert!(request[..count].starts_with(b"GET /v1.41/containers/x/json HTTP/1.1\r\n"));
            stream.write_all(answer.as_bytes()).await.unwrap();
        };
        let request = http::Request::get("/v1.41/containers/x/json").body(Full::default()).unwrap();
        let ask = async { exchange(TcpStream::connect(address).await.unwrap(), request).await };
        tokio::join!(ask, serve).0
    }

    #[tokio::test]
    async fn an_answer_an_error_and_half_an_answer_are_told_apart() {
        let good = answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await;
        assert_eq!(good, Ok(Bytes::from("{}")));
        let until_the_end = answering("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}").await;
        assert_eq!(until_the_end, Ok(Bytes::from("{}")));
        let gone =
            answering("HTTP/1.1 404 Not Found\r\nContent-Length: 28\r\n\r\n{\"message\":\"no such thing\"}\n").await;
        assert_eq!(gone, Err(Refusal::Status(404, "no such thing".to_owned())));
        for half in ["", "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{"] {
            assert!(matches!(answering(half).await, Err(Refusal::Away(_))), "{half}");
        }
    }

    #[test]
    fn a_query_is_encoded() {
        assert_eq!(percent_encoded(r#"{"a":["b=ü"]}"#), "%7B%22a%22%3A%5B%22b%3D%C3%BC%22%5D%7D");
    }
}
