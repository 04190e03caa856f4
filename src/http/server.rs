//! Accepts connections and serves each within the limits. HTTP/1 only.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::header::CONNECTION;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_service::Service as _;

use super::limits::{self, Limits};
use super::peer::{Origin, Peer};
use super::places::{Place, Places};
use super::socket::{Flushes, Lengths, Socket};

/// How long to wait when there is no file descriptor left for a connection.
const BREATHER: Duration = Duration::from_millis(250);
/// How long a connection that is open at shutdown has to send its request.
const FIRST_WORD: Duration = Duration::from_secs(1);
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

/// What is served, and where.
#[derive(Debug)]
pub struct Door {
    /// Where connections come in.
    pub listener: Listener,
    /// What answers.
    pub router: Router,
    /// How many connections there may be. Several doors may share their places.
    pub places: Places,
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
/// under way are finished on `tasks`. Who has connected and not yet asked is heard first.
pub async fn serve(door: Door, limits: Limits, tasks: &TaskTracker, stop: CancellationToken) {
    let Door { listener, router, places } = door;
    let mut complained = false;
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, origin)) => {
                complained = false;
                // A connection that was accepted is served even if a stop is under way.
                let place = places.enter(origin.address()).await;
                let (router, places, stop) = (router.clone(), places.clone(), stop.clone());
                let connection = Connection { origin, router, places, place, limits, stop };
                tasks.spawn(async move {
                    match stream {
                        Stream::Tcp(stream) => connection.serve(stream).await,
                        Stream::Unix(stream) => connection.serve(stream).await,
                    }
                });
            }
            Err(error) if concerns_one_connection(&error) => {}
            Err(error) => {
                if !complained {
                    complained = true;
                    tracing::error!(%error, "failed to accept a connection; trying again until it works");
                }
                // There may be no file descriptor left.
                places.make_room();
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
    places: Places,
    place: Place,
    limits: Limits,
    stop: CancellationToken,
}

impl Connection {
    async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(self, stream: S) {
        let Self { origin, router, places, place, limits, stop } = self;
        let place = Arc::new(place);
        let peer = Peer { origin, flushes: Flushes::default(), lengths: Lengths::default(), place: Arc::clone(&place) };
        let socket = Socket::new(stream, limits.write_timeout, peer.flushes.clone(), peer.lengths.clone());
        let asked = Arc::new(Notify::new());
        let has_asked = Arc::clone(&asked);
        let tenure =
            Arc::new(Tenure { places, place: Arc::clone(&place), begun: Instant::now(), asked: AtomicU32::new(0) });
        let stopping = stop.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            has_asked.notify_one();
            let mut request = request.map(axum::body::Body::new);
            request.extensions_mut().insert(peer.clone());
            // The router is always ready, and its answer always one.
            let (answer, stopping, tenure) = (router.clone().call(request), stopping.clone(), Arc::clone(&tenure));
            Box::pin(async move {
                let mut response = answer.await?;
                // Who asks again had better not do it here.
                if tenure.ends() || stopping.is_cancelled() {
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Ok(response)
            }) as Pin<Box<dyn Future<Output = Result<Response, std::convert::Infallible>> + Send>>
        });
        let mut connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_timeout)
            // It would take the time from the system, and ends the process when that is after 9999. `door` writes one.
            .auto_date_header(false)
            .max_buf_size(limits::HEAD)
            .max_header_size(limits::HEAD)
            .serve_connection(TokioIo::new(socket), service);

        let stop_politely = async {
            stop.cancelled().await;
            let _ = tokio::time::timeout(FIRST_WORD, asked.notified()).await;
        };
        let mut stop_politely = std::pin::pin!(stop_politely);
        let mut stopping = false;
        let served = loop {
            tokio::select! {
                biased;
                () = place.lost() => return,
                () = &mut stop_politely, if !stopping => {
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
        tokio::select! {
            () = place.lost() => {}
            () = stop.cancelled() => {}
            _ = tokio::time::timeout(LINGER, part(stream)) => {}
        }
    }
}

/// Decides how long a connection stays open.
struct Tenure {
    places: Places,
    place: Arc<Place>,
    begun: Instant,
    asked: AtomicU32,
}

impl Tenure {
    /// Counts an answer, and says whether the connection ends with it: a connection that has proven no key ends after some
    /// requests, after some time, and when places run short.
    fn ends(&self) -> bool {
        let answers = self.asked.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let is_over = || answers >= limits::UNPROVEN_REQUESTS || self.begun.elapsed() >= limits::UNPROVEN_AGE;
        !self.place.is_kept() && (is_over() || self.places.are_short())
    }
}

/// Closes this end, and hears the other one out.
async fn part<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) {
    if stream.shutdown().await.is_ok() {
        let _ = tokio::io::copy(&mut stream.take(LINGER_BYTES), &mut tokio::io::sink()).await;
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::body::Body;
    use axum::routing::get;
    use bytes::Bytes;
    use futures_util::stream;
    use tokio::net::TcpStream;
    use tokio::time::timeout;

    use super::*;

    const SOON: Duration = Duration::from_secs(10);
    const ASK: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

    struct Served {
        address: SocketAddr,
        tasks: TaskTracker,
        stop: CancellationToken,
    }

    async fn served(router: Router, limits: Limits) -> Served {
        served_with(router, limits, 64).await
    }

    async fn served_with(router: Router, limits: Limits, places: usize) -> Served {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let (own, token) = (tasks.clone(), stop.clone());
        let places = Places::new(places);
        tasks
            .spawn(async move { serve(Door { listener: listener.into(), router, places }, limits, &own, token).await });
        Served { address, tasks, stop }
    }

    impl Served {
        async fn connect(&self) -> TcpStream {
            TcpStream::connect(self.address).await.unwrap()
        }

        /// Until nothing is left of what was served.
        async fn ended(&self) {
            self.tasks.close();
            timeout(SOON, self.tasks.wait()).await.expect("something is still being served");
        }
    }

    async fn some(stream: &mut TcpStream) -> String {
        let mut bytes = [0; 1024];
        let count = timeout(SOON, stream.read(&mut bytes)).await.expect("no answer").unwrap_or(0);
        String::from_utf8_lossy(&bytes[..count]).into_owned()
    }

    async fn rest(stream: &mut TcpStream) -> String {
        let mut bytes = Vec::new();
        let _ = timeout(SOON, stream.read_to_end(&mut bytes)).await.expect("the connection stays open");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn greeting() -> Router {
        Router::new().route("/", get(|| async { "hello" }))
    }

    #[tokio::test]
    async fn when_places_run_short_the_oldest_connection_gives_way_and_the_others_end_with_their_answer() {
        let served = served_with(greeting(), Limits::default(), 4).await;
        let mut all = Vec::new();
        for count in 1..=4 {
            let mut stream = served.connect().await;
            stream.write_all(ASK).await.unwrap();
            let answer = some(&mut stream).await;
            assert!(answer.ends_with("hello"), "{answer}");
            assert_eq!(answer.contains("connection: close"), count >= 3, "{count}: {answer}");
            all.push(stream);
        }
        let mut newcomer = served.connect().await;
        newcomer.write_all(ASK).await.unwrap();
        assert!(some(&mut newcomer).await.ends_with("hello"), "there is always room");
        assert_eq!(rest(&mut all[0]).await, "", "it was the oldest");
        all[1].write_all(ASK).await.unwrap();
        assert!(some(&mut all[1]).await.ends_with("hello"), "the others are not disturbed");
    }

    #[tokio::test]
    async fn a_connection_that_proves_nothing_brings_a_hundred_requests() {
        let served = served(greeting(), Limits::default()).await;
        let mut stream = served.connect().await;
        stream.write_all(&ASK.repeat(150)).await.unwrap();
        let answers = rest(&mut stream).await;
        assert_eq!((answers.matches("hello").count(), answers.matches("connection: close").count()), (100, 1));
    }

    #[tokio::test]
    async fn a_connection_that_proves_nothing_ends_with_its_first_answer_after_a_minute() {
        let places = Places::new(64);
        let ends = |place: Place, age| {
            let begun = Instant::now().checked_sub(age).unwrap();
            let tenure = Tenure { places: places.clone(), place: Arc::new(place), begun, asked: AtomicU32::new(0) };
            tenure.ends()
        };
        let enter = || places.enter(Some([192, 0, 2, 1].into()));
        assert!(!ends(enter().await, limits::UNPROVEN_AGE / 2));
        assert!(ends(enter().await, limits::UNPROVEN_AGE));
        let proven = enter().await;
        proven.prove("shop/ci");
        assert!(!ends(proven, limits::UNPROVEN_AGE));
    }

    #[tokio::test]
    async fn when_it_stops_idle_connections_end_and_answers_under_way_are_finished() {
        let (asked, answer) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (has_asked, may_answer) = (Arc::clone(&asked), Arc::clone(&answer));
        let slow = move || async move {
            has_asked.notify_one();
            may_answer.notified().await;
            "at last"
        };
        let served = served(greeting().route("/slow", get(slow)), Limits::default()).await;
        let (mut untouched, mut idle, mut busy) =
            (served.connect().await, served.connect().await, served.connect().await);
        idle.write_all(ASK).await.unwrap();
        assert!(some(&mut idle).await.ends_with("hello"));
        busy.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        asked.notified().await;

        served.stop.cancel();
        assert_eq!(rest(&mut untouched).await, "");
        assert_eq!(rest(&mut idle).await, "");
        answer.notify_one();
        let answered = rest(&mut busy).await;
        assert!(answered.contains("connection: close") && answered.ends_with("at last"), "{answered}");
        served.ended().await;
        assert!(TcpStream::connect(served.address).await.is_err());
    }

    #[tokio::test]
    async fn who_has_connected_when_it_stops_may_still_ask() {
        let served = served(greeting(), Limits::default()).await;
        let mut first = served.connect().await;
        first.write_all(ASK).await.unwrap();
        some(&mut first).await;
        let mut late = served.connect().await;
        // Connections are taken in the order in which they came: once this one is answered, the other was taken.
        let mut last = served.connect().await;
        last.write_all(ASK).await.unwrap();
        some(&mut last).await;

        served.stop.cancel();
        assert_eq!(rest(&mut last).await, "");
        late.write_all(ASK).await.unwrap();
        let answered = rest(&mut late).await;
        assert!(answered.contains("connection: close") && answered.ends_with("hello"), "{answered}");
        served.ended().await;
    }

    #[tokio::test]
    async fn who_does_not_take_an_answer_does_not_keep_its_place_for_ever() {
        let endless = || async {
            let page = Bytes::from_static(&[b'x'; 65536]);
            Body::from_stream(stream::repeat_with(move || Ok::<_, io::Error>(page.clone())))
        };
        let limits = Limits { write_timeout: Duration::from_millis(100), ..Limits::default() };
        let served = served(Router::new().route("/", get(endless)), limits).await;
        let mut stream = served.connect().await;
        stream.write_all(ASK).await.unwrap();
        some(&mut stream).await;
        served.stop.cancel();
        served.ended().await;
    }

    #[tokio::test]
    async fn an_answer_reaches_even_who_is_still_sending() {
        let refuse = || async { (axum::http::StatusCode::PAYLOAD_TOO_LARGE, "too much") };
        let served = served(Router::new().route("/", axum::routing::post(refuse)), Limits::default()).await;
        for _ in 0..20 {
            let mut stream = served.connect().await;
            let head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n";
            stream.write_all(head).await.unwrap();
            let _ = stream.write_all(&vec![b'x'; 3_000_000]).await;
            assert!(rest(&mut stream).await.contains("too much"));
        }
    }
}
