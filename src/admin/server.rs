//! Accepts and serves connections, within limits and with TLS if configured, and drains them when the process stops.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tracing::{debug, warn};

use super::limits::{Limits, WriteTimeout};
use super::routes::{App, routes};
use super::settings::{Access, AdminSettings};
use super::tls::{Files, TlsError};
use crate::store::Store;
use crate::telemetry::Metrics;

/// The response to a client that does not finish the head of a request in time: hyper closes the connection without
/// one.
const HEAD_TIMED_OUT: &[u8] =
    b"HTTP/1.1 408 Request Timeout\r\ncontent-type: application/json\r\nconnection: close\r\n\
    content-length: 27\r\n\r\n{\"error\":\"request_timeout\"}";

/// The admin routes on a socket of their own.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    certificate: Option<(Files, Arc<ServerConfig>)>,
    limits: Limits,
    app: App,
}

/// The reason why the admin routes can't be served. The message names the setting.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address can't be listened on.
    #[error("--admin-addr {addr}: {cause}")]
    Address {
        /// The address.
        addr: SocketAddr,
        /// The error of the operating system.
        cause: std::io::Error,
    },
    /// The certificate can't be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl Server {
    /// Binds the address and reads the certificate. No connection is accepted before [`Self::serve`].
    pub async fn bind(
        settings: AdminSettings,
        access: Access,
        store: Store,
        metrics: Metrics,
        limits: Limits,
    ) -> Result<Self, ServerError> {
        let certificate = match settings.tls.clone().map(|(cert, key)| Files { cert, key }) {
            Some(files) => Some((files.clone(), files.load()?)),
            None => None,
        };
        let addr = settings.addr;
        let listener = TcpListener::bind(addr).await.map_err(|cause| ServerError::Address { addr, cause })?;
        let app = App::new(&settings, access, store, metrics, limits.clone());
        Ok(Self { listener, certificate, limits, app })
    }

    /// The address that was bound.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves requests until `stop` completes; then accepts no more connections and drains those in flight.
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        let Self { listener, certificate, limits, app } = self;
        let slots = Arc::new(Semaphore::new(limits.connections));
        let (stopping, stopped) = watch::channel(false);
        let mut connections = JoinSet::new();
        let tls = certificate.map(|(files, config)| {
            let (configs, config) = watch::channel(config);
            connections.spawn(files.watch(configs));
            config
        });
        let mut stop = pin!(stop);
        loop {
            let accept = async {
                let slot = Arc::clone(&slots).acquire_owned().await;
                (listener.accept().await, slot)
            };
            let (accepted, slot) = tokio::select! {
                accepted = accept => accepted,
                () = &mut stop => break,
            };
            while connections.try_join_next().is_some() {}
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    accept_failed(&error).await;
                    continue;
                }
            };
            let connection =
                Connection { app: app.clone(), limits: limits.clone(), peer, stopped: stopped.clone() };
            let config = tls.as_ref().map(|tls| tls.borrow().clone());
            connections.spawn(async move {
                connection.accepted(stream, config).await;
                drop(slot);
            });
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
}

/// Logs a failed accept and waits a moment, since a lack of file descriptors persists and must not cause a hot loop. A
/// connection that the client aborted before it was accepted is no failure.
async fn accept_failed(error: &std::io::Error) {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if !matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        warn!(%error, "accept failed on the admin listener");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

struct Connection {
    app: App,
    limits: Limits,
    peer: SocketAddr,
    stopped: watch::Receiver<bool>,
}

impl Connection {
    async fn accepted(self, stream: TcpStream, tls: Option<Arc<ServerConfig>>) {
        let peer = self.peer;
        // A small response must not wait for more data.
        let _ = stream.set_nodelay(true);
        let Some(config) = tls else { return self.serve(stream).await };
        let handshake = TlsAcceptor::from(config).accept(stream);
        match timeout(self.limits.handshake, handshake).await {
            Ok(Ok(stream)) => self.serve(stream).await,
            Ok(Err(error)) => debug!(%peer, %error, "TLS handshake failed"),
            Err(_) => debug!(%peer, "TLS handshake timed out"),
        }
    }

    async fn serve<IO: AsyncRead + AsyncWrite + Unpin + Send + 'static>(self, io: IO) {
        let Self { app, limits, peer, mut stopped } = self;
        let service = TowerToHyperService::new(warp::service(routes(app, peer)));
        let io = TokioIo::new(WriteTimeout::new(io, limits.response_pause));
        let mut connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head)
            .max_header_size(limits.head_bytes)
            .serve_connection(io, service);
        let stop = async move {
            // A dropped sender counts as a stop, too.
            let _ = stopped.wait_for(|stopped| *stopped).await;
        };
        let ended = tokio::select! {
            ended = &mut connection => ended,
            () = stop => {
                std::pin::Pin::new(&mut connection).graceful_shutdown();
                (&mut connection).await
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
