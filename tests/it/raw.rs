//! Speaks to a port byte by byte, for what no client would send.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use windlass::auth;

use crate::daemon::Home;

/// A connection to the port of `url`.
pub(crate) struct Raw(pub(crate) TcpStream);

impl Raw {
    pub(crate) async fn connect(url: &str) -> Self {
        Self(TcpStream::connect(url.strip_prefix("http://").unwrap()).await.unwrap())
    }

    /// Sends; what the other end does not take any more is its own affair.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.0.write_all(bytes.as_ref()).await;
    }

    /// All that comes until the other end closes, which it has to do within 10 seconds.
    pub(crate) async fn read_to_end(&mut self) -> String {
        let mut bytes = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(300), self.0.read_to_end(&mut bytes)).await;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        match read {
            Ok(Ok(_)) => text,
            // After it was reset, what had come is still an answer.
            Ok(Err(_)) => text,
            Err(_) => panic!("the connection stays open after {text:?}"),
        }
    }

    /// The next answer, whole: its head and as much body as that says.
    pub(crate) async fn answer(&mut self) -> String {
        let mut text = String::new();
        let read = async {
            loop {
                let mut bytes = [0; 4096];
                let count = self.0.read(&mut bytes).await.unwrap_or(0);
                if count == 0 {
                    return;
                }
                text.push_str(&String::from_utf8_lossy(&bytes[..count]));
                let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                let length = head.to_lowercase().split("content-length: ").nth(1).map(|rest| {
                    rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse::<usize>().unwrap()
                });
                if length.is_none_or(|length| body.len() >= length) {
                    return;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(300), read).await.unwrap_or_else(|_| panic!("no answer"));
        text
    }
}

/// The status of an answer; 0 for none.
pub(crate) fn status(answer: &str) -> u16 {
    answer.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)).and_then(|code| code.parse().ok()).unwrap_or(0)
}

/// The headers that sign `body` as `project`'s key of scheme `standard`, as they stand in a request.
pub(crate) fn signature(home: &Home, project: &str, id: &str, body: &[u8]) -> String {
    let key = home.key(project, auth::Scheme::STANDARD);
    let headers = auth::sign(&key, &id.parse().unwrap(), body, home.clock().now()).unwrap();
    headers.iter().map(|(name, value)| format!("{name}: {}\r\n", value.to_str().unwrap())).collect()
}
