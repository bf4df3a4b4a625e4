//! One connection: the TLS handshake, its requests, and its end.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tracing::debug;

use super::limits::ConnectionLimits;
use super::slots::{Busy, Slot};
use super::timed_io::TimedIo;

/// The response to a client that does not finish the head of a request in time: hyper closes the connection without
/// one.
const HEAD_TIMED_OUT: &[u8] =
    b"HTTP/1.1 408 Request Timeout\r\ncontent-type: application/json\r\nconnection: close\r\n\
    content-length: 27\r\n\r\n{\"error\":\"request_timeout\"}";

/// A connection that was accepted, with its slot.
pub(super) struct Connection<S> {
    pub(super) service: S,
    pub(super) limits: Arc<ConnectionLimits>,
    pub(super) peer: SocketAddr,
    pub(super) slot: Arc<Slot>,
    pub(super) stopped: watch::Receiver<bool>,
}

/// A part of a response that protects its connection from eviction until it is sent.
struct Sending {
    bytes: Bytes,
    _busy: Arc<Busy>,
}

impl AsRef<[u8]> for Sending {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// A response's body whose parts are [`Sending`].
struct SendingBody<B> {
    body: B,
    busy: Arc<Busy>,
}

impl<B: Body<Data = Bytes> + Unpin> Body for SendingBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        let sending = |bytes| Bytes::from_owner(Sending { bytes, _busy: Arc::clone(&self.busy) });
        frame.map_ok(|frame| frame.map_data(sending))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<S, B> Connection<S>
where
    S: Service<Request<Incoming>, Response = Response<B>> + Send + Sync,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    S::Future: Send,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    pub(super) async fn accepted(self, stream: TcpStream, tls: Option<Arc<ServerConfig>>) {
        let peer = self.peer;
        // A small response must not wait for more data.
        let _ = stream.set_nodelay(true);
        let Some(config) = tls else { return self.serve(stream).await };
        let mut stopped = self.stopped.clone();
        let handshake = timeout(self.limits.handshake, TlsAcceptor::from(config).accept(stream));
        let handshake = tokio::select! {
            handshake = handshake => handshake,
            () = self.slot.evicted() => return debug!(%peer, "TLS handshake gave way to a newer connection"),
            () = requested(&mut stopped) => return,
        };
        match handshake {
            Ok(Ok(stream)) => self.serve(stream).await,
            Ok(Err(error)) => debug!(%peer, %error, "TLS handshake failed"),
            Err(_) => debug!(%peer, "TLS handshake timed out"),
        }
    }

    async fn serve<IO: AsyncRead + AsyncWrite + Unpin + Send>(self, io: IO) {
        let Self { service, limits, peer, slot, mut stopped } = self;
        let service = service_fn(|request| {
            let busy = Arc::new(slot.busy());
            let response = service.call(request);
            async move {
                let response = response.await?;
                Ok::<_, S::Error>(response.map(|body| SendingBody { body, busy }))
            }
        });
        let io = TokioIo::new(TimedIo::new(io, limits.answer_pause, limits.answer));
        let mut connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head)
            .max_header_size(limits.head_bytes)
            // Without it hyper may copy a response, which would then be in memory twice.
            .writev(true)
            .serve_connection(io, service);
        let ended = tokio::select! {
            ended = &mut connection => ended,
            () = slot.evicted() => {
                if slot.is_waiting() {
                    return debug!(%peer, "connection without a request gave way to a newer one");
                }
                // A request has arrived since: its response is the last one.
                Pin::new(&mut connection).graceful_shutdown();
                (&mut connection).await
            }
            () = requested(&mut stopped) => {
                Pin::new(&mut connection).graceful_shutdown();
                tokio::select! {
                    ended = &mut connection => ended,
                    () = sleep(limits.stop_head) => {
                        if slot.is_waiting() {
                            return debug!(%peer, "connection without a request closed: the process stops");
                        }
                        (&mut connection).await
                    }
                }
            }
        };
        let Err(error) = ended else { return };
        debug!(%peer, %error, "connection closed by peer");
        if error.is_timeout() {
            let parts = connection.into_parts();
            // A connection on which no byte of a request arrived was idle, not slow: it gets no response.
            if !parts.read_buf.is_empty() {
                let mut io = parts.io.into_inner();
                let _ = io.write_all(HEAD_TIMED_OUT).await;
                let _ = io.shutdown().await;
            }
        }
    }
}

/// Completes when the stop is requested.
async fn requested(stop: &mut watch::Receiver<bool>) {
    // A dropped sender counts as a request, too.
    let _ = stop.wait_for(|requested| *requested).await;
}
