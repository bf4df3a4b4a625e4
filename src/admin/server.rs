//! The admin routes on a socket of their own, with TLS if configured.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::auth::{Authorizer, KeyAuth, KeyFile, KeyFileError, KeyFileNotice, Keys};
use super::limits::Limits;
use super::routes::{App, Authentication, routes};
use super::settings::{Access, AdminSettings};
use super::tls::{Files, TlsError};
use crate::http::{self, ConnectionLimits, ListenAddress, Listener};
use crate::store::Store;
use crate::telemetry::Metrics;

/// The admin routes on a socket of their own.
#[derive(Debug)]
pub struct Server {
    listener: Listener,
    certificate: Option<(Files, Arc<ServerConfig>)>,
    keys: Option<(KeyFile, watch::Sender<Arc<Keys>>)>,
    notice: KeyFileNotice,
    metrics: Metrics,
    limits: ConnectionLimits,
    app: App,
}

/// The reason why the admin routes can't be served. The message names the setting.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address can't be listened on.
    #[error("--admin-addr {addr}: {cause}")]
    Address {
        /// The address.
        addr: ListenAddress,
        /// The error of the operating system.
        cause: std::io::Error,
    },
    /// The certificate can't be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The key file can't be used.
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
}

impl Server {
    /// Binds the address, and reads the certificate and the key file. No connection is accepted before [`Self::serve`]. Must be called in a
    /// runtime.
    pub fn bind(
        settings: &AdminSettings,
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
        let listener = Listener::bind(addr).map_err(|cause| ServerError::Address { addr, cause })?;
        let mut keys = None;
        let authentication = match access {
            Access::Kubernetes(client) => {
                Authentication::Kubernetes(Authorizer::new(client, limits.review, metrics.clone()))
            }
            Access::Key(file) => {
                let file = KeyFile(file);
                let (sender, receiver) = watch::channel(Arc::new(file.load()?));
                keys = Some((file, sender));
                Authentication::Key(KeyAuth::new(receiver))
            }
            Access::Open => Authentication::Open,
        };
        metrics.admin_key_file_usable.set(1);
        let connections = limits.connections.clone();
        let app = App::new(settings, authentication, store, metrics.clone(), limits);
        let notice = KeyFileNotice::default();
        Ok(Self { listener, certificate, keys, notice, metrics, limits: connections, app })
    }

    /// Says why the present key file is not in use.
    #[must_use]
    pub fn notice(&self) -> KeyFileNotice {
        self.notice.clone()
    }

    /// The address that was bound.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.address()
    }

    /// Serves requests until `stop` completes; then accepts no more connections and drains those in flight.
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        let Self { listener, certificate, keys, notice, metrics, limits, app } = self;
        // Aborted when dropped.
        let mut watching = JoinSet::new();
        let tls = certificate.map(|(files, config)| {
            let (configs, config) = watch::channel(config);
            watching.spawn(files.watch(configs));
            config
        });
        if let Some((file, keys)) = keys {
            watching.spawn(file.watch(keys, notice, metrics));
        }
        let service = |peer| TowerToHyperService::new(warp::service(routes(app.clone(), peer)));
        http::serve(listener, tls, limits, service, stop).await;
    }
}
