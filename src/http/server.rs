//! Accepts connections and serves each within the limits. HTTP/1 only.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_service::Service as _;

use super::limits::{self, Limits};
use super::peer::{Origin, Peer};
use super::socket::{Flushes, Socket};

/// How long to wait when there is no file descriptor left for a connection.
const BREATHER: Duration = Duration::from_millis(250);
/// How long, and how much, a peer may go on sending after the last answer. To close at once would make the system
/// throw that answer away.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: u64 = 4 << 20;

/// Where connections come in.
#[derive(Debug)]
pub enum Listener {
    /// From the network.
    Tcp(TcpListener),
    /// From this host.
    Unix(UnixListener),
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self::Tcp(listener)
    }
}

impl From<UnixListener> for Listener {
    fn from(listener: UnixListener) -> Self {
        Self::Unix(listener)
    }
}

enum Stream {
    Tcp(tokio::net::TcpStream),
    Unix(tokio::net::UnixStream),
}

/// Serves what comes in until `stop` fires. Then no further connection is taken, idle ones are closed, and answers
/// under way are finished on `tasks`.
pub async fn serve(listener: Listener, router: Router, limits: Limits, tasks: &TaskTracker, stop: CancellationToken) {
    let room = Arc::new(Semaphore::new(limits.connections.max(1)));
    let mut complained = false;
    // While there is no room, who comes waits in the system's queue.
    while let Some(Ok(permit)) = stop.run_until_cancelled(Arc::clone(&room).acquire_owned()).await {
        match stop.run_until_cancelled(listener.accept()).await {
            None => break,
            Some(Ok((stream, origin))) => {
                complained = false;
                let connection = Connection { origin, router: router.clone(), limits, stop: stop.clone(), permit };
                tasks.spawn(async move {
                    match stream {
                        Stream::Tcp(stream) => connection.serve(stream).await,
                        Stream::Unix(stream) => connection.serve(stream).await,
                    }
                });
            }
            Some(Err(error)) if concerns_one_connection(&error) => {}
            Some(Err(error)) => {
                if !complained {
                    complained = true;
                    tracing::error!(%error, "failed to accept a connection; trying again until it works");
                }
                let _ = stop.run_until_cancelled(tokio::time::sleep(BREATHER)).await;
            }
        }
    }
}

fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind as K;
    matches!(error.kind(), K::ConnectionAborted | K::ConnectionReset | K::ConnectionRefused | K::Interrupted)
}

impl Listener {
    async fn accept(&self) -> io::Result<(Stream, Origin)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                // Answers are short and whole; there is nothing to wait for.
                stream.set_nodelay(true)?;
                Ok((Stream::Tcp(stream), Origin::Network(address)))
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                let uid = stream.peer_cred().ok().map(|credentials| credentials.uid());
                Ok((Stream::Unix(stream), Origin::Host { uid }))
            }
        }
    }
}

struct Connection {
    origin: Origin,
    router: Router,
    limits: Limits,
    stop: CancellationToken,
    permit: OwnedSemaphorePermit,
}

impl Connection {
    async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(self, stream: S) {
        let Self { origin, router, limits, stop, permit } = self;
        let peer = Peer { origin, flushes: Flushes::default() };
        let socket = Socket::new(stream, limits.write_timeout, peer.flushes.clone());
        let service = service_fn(move |request: Request<Incoming>| {
            let mut request = request.map(axum::body::Body::new);
            request.extensions_mut().insert(peer.clone());
            // The router is always ready, and its answer always one.
            let answer = router.clone().call(request);
            Box::pin(answer) as Pin<Box<dyn Future<Output = Result<Response, std::convert::Infallible>> + Send>>
        });
        let mut connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_timeout)
            .max_buf_size(limits::HEAD)
            .serve_connection(TokioIo::new(socket), service);

        let mut stopping = false;
        let served = loop {
            tokio::select! {
                biased;
                () = stop.cancelled(), if !stopping => {
                    stopping = true;
                    Pin::new(&mut connection).graceful_shutdown();
                }
                served = std::future::poll_fn(|cx| connection.poll_without_shutdown(cx)) => break served,
            }
        };
        if let Err(error) = served {
            tracing::debug!(peer = %origin, %error, "connection broke off");
        }
        let stream = connection.into_parts().io.into_inner().into_inner();
        let _ = stop.run_until_cancelled(tokio::time::timeout(LINGER, part(stream))).await;
        drop(permit);
    }
}

/// Closes this end, and hears the other one out.
async fn part<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) {
    if stream.shutdown().await.is_ok() {
        let _ = tokio::io::copy(&mut stream.take(LINGER_BYTES), &mut tokio::io::sink()).await;
    }
}
