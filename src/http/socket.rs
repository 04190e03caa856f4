//! A connection's bytes: how long the peer may leave them lying, and when they have left.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// A connection that ends when its peer takes nothing for too long.
pub(super) struct Socket<S> {
    stream: S,
    patience: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
    flushes: Flushes,
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

impl<S> Socket<S> {
    pub(super) fn new(stream: S, patience: Duration, flushes: Flushes) -> Self {
        Self { stream, patience, stalled: None, flushes }
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
        Pin::new(&mut self.stream).poll_read(cx, buf)
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
