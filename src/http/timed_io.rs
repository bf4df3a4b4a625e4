//! A connection that fails when the other side does not read what is sent to it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// A connection whose writes have two timeouts: of a pause, and of everything from the first byte to the flush. Its reads
/// have none here.
pub(super) struct TimedIo<T> {
    io: T,
    pause: Duration,
    whole: Duration,
    /// The start of what is not flushed yet.
    began: Option<Instant>,
    /// Set while the other side reads nothing.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<T> TimedIo<T> {
    pub(super) fn new(io: T, pause: Duration, whole: Duration) -> Self {
        Self { io, pause, whole, began: None, stalled: None }
    }

    /// Passes the outcome of a write on; fails instead after a timeout.
    fn poll_with_timeout<R>(
        &mut self,
        cx: &mut Context<'_>,
        outcome: Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        if outcome.is_ready() {
            self.stalled = None;
            return outcome;
        }
        let now = Instant::now();
        let deadline = *self.began.get_or_insert(now) + self.whole;
        let pause = self.pause;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep_until(deadline.min(now + pause))));
        // The sleep must not be polled again once it has completed.
        if stalled.deadline() <= now || stalled.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }

    fn write_begins(&mut self) {
        self.began.get_or_insert_with(Instant::now);
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for TimedIo<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for TimedIo<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.write_begins();
        let outcome = Pin::new(&mut self.io).poll_write(cx, buf);
        self.poll_with_timeout(cx, outcome)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // hyper flushes when it has written everything that it holds.
        let outcome = Pin::new(&mut self.io).poll_flush(cx);
        if outcome.is_ready() {
            self.began = None;
        }
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
        self.write_begins();
        let outcome = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.poll_with_timeout(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const LONG: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_millis(200);

    #[tokio::test]
    async fn a_peer_that_reads_a_little_now_and_then_is_cut_off_in_the_end() {
        let (ours, mut theirs) = duplex(8);
        let mut io = TimedIo::new(ours, LONG, SHORT);
        let reads = async {
            let mut byte = [0];
            while theirs.read_exact(&mut byte).await.is_ok() {
                tokio::time::sleep(SHORT / 10).await;
            }
        };
        let response = vec![0; 100_000];
        let error = tokio::select! {
            written = io.write_all(&response) => written.unwrap_err(),
            () = reads => unreachable!(),
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_peer_that_reads_nothing_is_cut_off_after_the_pause() {
        let (ours, _theirs) = duplex(8);
        let mut io = TimedIo::new(ours, SHORT, LONG);
        let began = Instant::now();
        assert_eq!(io.write_all(&[0; 1000]).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(began.elapsed() < LONG / 2);
    }

    #[tokio::test]
    async fn each_flushed_response_has_its_own_time() {
        let (ours, _theirs) = duplex(8);
        let mut io = TimedIo::new(ours, LONG, LONG);
        io.write_all(&[0; 4]).await.unwrap();
        assert!(io.began.is_some());
        io.flush().await.unwrap();
        assert!(io.began.is_none());
    }
}
