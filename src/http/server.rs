//! Accepts connections within limits, and drains them when the process stops.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Incoming};
use hyper::service::Service;
use hyper::{Request, Response};
use rustls::ServerConfig;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{debug, warn};

use super::address::Listener;
use super::connection::Connection;
use super::limits::ConnectionLimits;
use super::slots::Slots;

/// The pause after a failed accept.
const ACCEPT_RETRY: Duration = Duration::from_millis(200);

/// Serves each connection with the service that `service` makes for its peer, until `stop` completes. Then it accepts no
/// more connections, closes those without a request, and gives requests in flight [`ConnectionLimits::stop`].
pub async fn serve<S, B>(
    listener: Listener,
    tls: Option<watch::Receiver<Arc<ServerConfig>>>,
    limits: ConnectionLimits,
    service: impl Fn(SocketAddr) -> S,
    stop: impl Future<Output = ()>,
) where
    S: Service<Request<Incoming>, Response = Response<B>> + Send + Sync + 'static,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
    S::Future: Send,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let slots = Slots::new(limits.connections, limits.connections_per_peer);
    let limits = Arc::new(limits);
    let (stopping, stopped) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        while connections.try_join_next().is_some() {}
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                accept_failed(&error, &slots).await;
                continue;
            }
        };
        let Some(slot) = slots.admit(peer.into()) else {
            debug!(%peer, "connection refused: all that the peer may have are busy");
            continue;
        };
        let connection = Connection {
            service: service(peer),
            limits: Arc::clone(&limits),
            peer,
            slot,
            stopped: stopped.clone(),
        };
        let config = tls.as_ref().map(|tls| tls.borrow().clone());
        connections.spawn(connection.accepted(stream, config));
    }
    drop((listener, tls));
    stopping.send_replace(true);
    let finished = timeout(limits.stop, async { while connections.join_next().await.is_some() {} }).await;
    if finished.is_err() {
        warn!(
            connections = connections.len(),
            "closing connections that did not finish within the grace period"
        );
        connections.shutdown().await;
    }
}

/// Logs a failed accept and waits a moment, since a lack of file descriptors persists and must not cause a hot loop. A
/// connection that the client aborted before it was accepted is no failure.
async fn accept_failed(error: &std::io::Error, slots: &Slots) {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if !matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        warn!(%error, "accept failed");
        slots.evict_one();
        tokio::time::sleep(ACCEPT_RETRY).await;
    }
}
