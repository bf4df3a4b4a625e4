//! The limits of the admin server: sizes, times and concurrency.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// The limits of the admin server. `run` uses the default.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Concurrent connections; further ones wait to be accepted.
    pub connections: usize,
    /// Concurrent requests; the response to further ones is 503 `overloaded`.
    pub requests: usize,
    /// Bytes of all bodies in memory; the response to further ones is 503 `overloaded`.
    pub body_bytes: usize,
    /// Bytes of a request's head; the response to a longer one, or to one with more than hyper's 100 headers, is 431.
    pub head_bytes: usize,
    /// Timeout of a TLS handshake.
    pub handshake: Duration,
    /// Timeout of a request's head, then 408; and of an idle connection, which is then closed.
    pub head: Duration,
    /// Timeout between two parts of a body, then 408.
    pub body_pause: Duration,
    /// Timeout of a whole body, then 408.
    pub body: Duration,
    /// Timeout of a client that does not read its response; then the connection is closed.
    pub response_pause: Duration,
    /// Grace period for requests in flight when the process stops. Less than a pod's 30 s.
    pub stop: Duration,
    /// Timeout of a review by the API server; then the request is rejected.
    pub review: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            requests: 256,
            body_bytes: 48 * 1024 * 1024,
            head_bytes: 32 * 1024,
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(30),
            body_pause: Duration::from_secs(10),
            body: Duration::from_secs(60),
            response_pause: Duration::from_secs(30),
            stop: Duration::from_secs(20),
            review: Duration::from_secs(5),
        }
    }
}

/// A connection that fails when the other side does not read for a while. Its own reads have no timeout here.
pub(super) struct WriteTimeout<T> {
    io: T,
    timeout: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<T> WriteTimeout<T> {
    pub(super) fn new(io: T, timeout: Duration) -> Self {
        Self { io, timeout, stalled: None }
    }

    /// Passes the outcome of a write on; fails instead if writes have been pending for the timeout.
    fn poll_with_timeout<R>(
        &mut self,
        cx: &mut Context<'_>,
        outcome: Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        if outcome.is_ready() {
            self.stalled = None;
            return outcome;
        }
        let timeout = self.timeout;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(timeout)));
        // The sleep must not be polled again once it has completed.
        if stalled.deadline() <= Instant::now() || stalled.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for WriteTimeout<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for WriteTimeout<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.io).poll_write(cx, buf);
        self.poll_with_timeout(cx, outcome)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.io).poll_flush(cx);
        self.poll_with_timeout(cx, outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.io).poll_shutdown(cx);
        self.poll_with_timeout(cx, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.poll_with_timeout(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
