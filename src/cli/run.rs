//! `runtime-operator run`: the controller and the HTTP servers in one process.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinError, JoinHandle};
use tokio::time::timeout;
use tracing::{error, info, warn};

use super::adapters::{self, ReplicaHealth, StoreMetrics};
use super::cluster::Cluster;
use super::failure::{Failure, explain};
use super::stop::{Stop, stop_channel, stop_signal};
use crate::admin::{Access, AdminAuth, Limits, Server};
use crate::controller::{Controller, Health, Intervals};
use crate::http::Listener;
use crate::leader::Writer;
use crate::settings::{RunArgs, Settings};
use crate::store::{Store, StoreError};
use crate::telemetry::{self, Certificate, Metrics, Traces};
use crate::{leader, probes};

/// Timeout of everything that ends after a signal. Each part has a shorter one of its own, so this one is for a part that
/// hangs.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(12);
/// Timeout of blocking threads at exit: a DNS lookup can hang for minutes.
const EXIT_TIMEOUT: Duration = Duration::from_millis(100);

pub(super) fn run(args: RunArgs) -> Result<(), Failure> {
    let settings = Settings::parse(args)?;
    let log_filter = telemetry::log_filter()?;
    let store = Store::new(settings.redis.clone())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    // Traces are a help, and no reason not to publish.
    let (traces, no_traces) = match Traces::from_environment(runtime.handle().clone()) {
        Ok(traces) => (traces, None),
        Err(error) => (None, Some(error)),
    };
    telemetry::init_logs(settings.log_format, log_filter, traces.as_ref());
    if let Some(error) = no_traces {
        warn!(%error, "no traces are exported");
    }
    let outcome = runtime.block_on(operate(settings, store));
    if let Some(traces) = traces {
        traces.shutdown();
    }
    runtime.shutdown_timeout(EXIT_TIMEOUT);
    outcome.inspect_err(|error| error!(error = explain(&**error), "exiting on error"))
}

/// Runs the operator until a signal stops it, or until one of its parts fails.
async fn operate(settings: Settings, store: Store) -> Result<(), Failure> {
    info!(version = env!("CARGO_PKG_VERSION"), "starting runtime-operator");
    // From the start: the first process of a container has no default action for a signal.
    let mut signalled = pin!(stop_signal());
    let cluster = tokio::select! {
        cluster = connect(&settings, &store) => cluster?,
        signal = &mut signalled => {
            info!(signal = signal?, "received signal during startup, exiting");
            return Ok(());
        }
    };
    let metrics = metrics(&settings);
    let store = store
        .with_writer(&cluster.writer(&settings.lease_name), &cluster.identity)
        .with_observer(Arc::new(StoreMetrics(metrics.clone())));
    let writer = Writer::default();
    let health = Arc::new(Health::new(writer.clone()));
    let (stop, stopped) = stop_channel();
    let servers = Servers::start(&settings, &cluster, &store, &metrics, &health, &stopped)?;
    let controller = controller(&settings, &cluster, &store, metrics, writer.clone());
    let mut controlling = tokio::spawn(controller.run(health, stopped.requested()));
    // The Lease is released after the controller has drained its queues, never before.
    let (release, released) = stop_channel();
    let mut electing = pin!(elect(&settings, &cluster, &store, &writer, released));
    let outcome = tokio::select! {
        signal = &mut signalled => {
            info!(signal = signal?, "received signal, shutting down");
            Ok(())
        }
        ended = &mut controlling => {
            let why = ended.err().map_or_else(|| "it ended".to_owned(), |error| error.to_string());
            Err(format!("the controller stopped unexpectedly: {why}").into())
        }
        ended = &mut electing => ended.and_then(|()| Err("the leader election stopped unexpectedly".into())),
    };
    stop.request();
    let ending = async {
        if outcome.is_ok() {
            controlling.await?;
            release.request();
            electing.await?;
        }
        Ok::<_, Failure>(servers.stopped().await?)
    };
    if let Ok(ended) = timeout(SHUTDOWN_TIMEOUT, ending).await {
        ended?;
    } else {
        warn!(timeout = ?SHUTDOWN_TIMEOUT, "shutdown took too long; exiting with work in flight");
    }
    info!("shutdown complete");
    outcome
}

async fn connect(settings: &Settings, store: &Store) -> Result<Cluster, Failure> {
    reject_cluster_mode(store).await?;
    Cluster::connect(settings.cluster_id.as_deref()).await
}

/// Fails at startup on a Redis Cluster, which is not supported. Every other error may be transient, and is
/// retried later.
async fn reject_cluster_mode(store: &Store) -> Result<(), Failure> {
    match store.ping().await {
        Err(error @ StoreError::ClusterMode) => Err(error.into()),
        _ => Ok(()),
    }
}

fn metrics(settings: &Settings) -> Metrics {
    let metrics = adapters::metrics();
    if let Some((certificate, _)) = &settings.admin.tls {
        metrics.watch_certificate(Certificate::Admin, certificate.clone());
    }
    if let Some(certificate) = &settings.redis.cert_file {
        metrics.watch_certificate(Certificate::RedisClient, certificate.clone());
    }
    metrics
}

fn controller(
    settings: &Settings,
    cluster: &Cluster,
    store: &Store,
    metrics: Metrics,
    writer: Writer,
) -> Controller {
    Controller {
        client: cluster.client.clone(),
        watch_client: cluster.watch_client.clone(),
        store: store.clone(),
        cluster: cluster.id.clone(),
        publish_secret: settings.publish_webhook_secret,
        max_tenant_bytes: settings.max_tenant_bytes,
        max_held_spec_bytes: settings.max_held_spec_bytes,
        namespaces: settings.watch_namespaces.clone(),
        identity: cluster.identity.clone(),
        lease: settings.lease_name.clone(),
        elects: settings.leader_elect,
        writer,
        metrics,
        intervals: Intervals::default(),
    }
}

/// Takes part in the leader election, or leads without one, until `released`.
async fn elect(
    settings: &Settings,
    cluster: &Cluster,
    store: &Store,
    writer: &Writer,
    released: Stop,
) -> Result<(), Failure> {
    let install = cluster.install(&settings.lease_name, &settings.watch_namespaces);
    if settings.leader_elect {
        let (client, released) = (cluster.lease_client.clone(), released.requested());
        leader::with_lease(client, install, &cluster.identity, store, writer, released).await?;
    } else {
        tokio::select! {
            () = leader::without_election(install, store, writer) => {}
            () = released.requested() => {}
        }
    }
    Ok(())
}

/// The HTTP servers: probes and metrics on one address, admin routes on another.
struct Servers {
    probes: JoinHandle<()>,
    admin: JoinHandle<()>,
}

impl Servers {
    /// Binds both addresses, then serves them until `stopped`.
    fn start(
        settings: &Settings,
        cluster: &Cluster,
        store: &Store,
        metrics: &Metrics,
        health: &Arc<Health>,
        stopped: &Stop,
    ) -> Result<Self, Failure> {
        let telemetry = Listener::bind(settings.telemetry_addr)
            .map_err(|error| format!("--telemetry-addr {}: {error}", settings.telemetry_addr))?;
        // The log has the bound address, since port 0 means any port.
        info!(address = %telemetry.address()?, "serving probes and metrics");
        let access = match settings.admin.auth {
            AdminAuth::Kubernetes => Access::Kubernetes(cluster.client.clone()),
            AdminAuth::Key => Access::Key(settings.admin.key_file.clone().unwrap_or_default()),
            AdminAuth::None => Access::Open,
        };
        let admin = Server::bind(&settings.admin, access, store.clone(), metrics.clone(), Limits::default())?;
        info!(address = %admin.address()?, "serving admin routes");
        let health = ReplicaHealth { controller: Arc::clone(health), key_file: admin.notice() };
        let stop = || stopped.clone().requested();
        Ok(Self {
            probes: tokio::spawn(probes::serve(
                telemetry,
                probes::limits::limits(),
                metrics.clone(),
                Arc::new(health),
                stop(),
            )),
            admin: tokio::spawn(admin.serve(stop())),
        })
    }

    /// Completes when both servers have drained their requests.
    async fn stopped(self) -> Result<(), JoinError> {
        self.admin.await?;
        self.probes.await
    }
}
