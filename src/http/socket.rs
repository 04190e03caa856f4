//! A connection's bytes: how long the peer may leave them lying, when they have left, and the `Content-Length` lines among
//! them.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use futures_util::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// A connection that ends when its peer takes nothing for too long.
pub(super) struct Socket<S> {
    stream: S,
    patience: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
    flushes: Flushes,
    lengths: Lengths,
    scan: Scan,
}

/// Counts how often everything that was written had gone to the system.
///
/// What is in HTTP's own buffer when a body breaks off is thrown away. A body that has something to say before it
/// breaks off waits here until that was heard.
#[derive(Debug, Clone, Default)]
pub(super) struct Flushes(Arc<Count>);

#[derive(Debug, Default)]
struct Count {
    flushes: AtomicU64,
    waiting: AtomicWaker,
}

impl Flushes {
    /// Until everything has left that was handed over before.
    pub(super) async fn next(&self) {
        let before = self.0.flushes.load(Ordering::Acquire);
        std::future::poll_fn(|cx| {
            self.0.waiting.register(cx.waker());
            if self.0.flushes.load(Ordering::Acquire) == before { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
    }

    fn count(&self) {
        self.0.flushes.fetch_add(1, Ordering::Release);
        self.0.waiting.wake();
    }
}

/// Counts the `Content-Length` lines that no request has accounted for yet.
///
/// hyper drops a `Content-Length` that comes with a `Transfer-Encoding`, so the request does not show that both were there.
#[derive(Debug, Clone, Default)]
pub(super) struct Lengths(Arc<AtomicU64>);

impl Lengths {
    /// Accounts for a request, and says whether it had both headers. A chunked request that is sent together with the next
    /// one is mistaken for such a request if the next one has a length.
    pub(super) fn contradict(&self, headers: &HeaderMap) -> bool {
        if headers.contains_key(TRANSFER_ENCODING) {
            return self.0.load(Ordering::Relaxed) > 0;
        }
        if headers.contains_key(CONTENT_LENGTH) {
            let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| count.checked_sub(1));
        }
        false
    }

    fn add(&self, found: u64) {
        self.0.fetch_add(found, Ordering::Relaxed);
    }
}

/// Looks for a header at the beginning of lines, across reads.
#[derive(Debug, Default)]
struct Scan {
    /// How much of the header the line has so far; nothing when it is another line.
    matched: Option<usize>,
}

impl Scan {
    const HEADER: &[u8] = b"content-length:";

    /// How often the header begins a line in `bytes`.
    fn count(&mut self, bytes: &[u8]) -> u64 {
        let mut found = 0;
        for byte in bytes {
            self.matched = match self.matched {
                _ if *byte == b'\n' => Some(0),
                Some(matched) if Self::HEADER.get(matched) == Some(&byte.to_ascii_lowercase()) => Some(matched + 1),
                _ => None,
            };
            if self.matched == Some(Self::HEADER.len()) {
                found += 1;
                self.matched = None;
            }
        }
        found
    }
}

impl<S> Socket<S> {
    pub(super) fn new(stream: S, patience: Duration, flushes: Flushes, lengths: Lengths) -> Self {
        Self { stream, patience, stalled: None, flushes, lengths, scan: Scan::default() }
    }

    pub(super) fn into_inner(self) -> S {
        self.stream
    }

    /// Ends the wait of a writer that has waited long enough.
    fn judge<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(self.patience)));
        stalled.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Socket<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        let found = self.scan.count(buf.filled().get(before..).unwrap_or_default());
        self.lengths.add(found);
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.judge(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.judge(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        if matches!(flushed, Poll::Ready(Ok(()))) {
            self.flushes.count();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_found_at_the_beginning_of_lines_however_it_comes_in_pieces() {
        let text = b"POST /content-length: HTTP/1.1\r\nContent-Length: 3\r\nX: content-length:\r\nCONTENT-LENGTH:4\n\
            content-lengt: 1\r\nX-Content-Length: 2\r\n\r\n";
        for size in [1, 2, 3, 7, 1000] {
            let mut scan = Scan::default();
            assert_eq!(text.chunks(size).map(|piece| scan.count(piece)).sum::<u64>(), 2, "{size}");
        }
    }
}
