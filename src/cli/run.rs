//! `runtime-operator run`: the controller and the HTTP servers in one process.

use std::pin::pin;
use std::process;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client, Config};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing::{error, info};

use super::Failure;
use crate::admin::{self, Access, Limits, probes};
use crate::controller::{Controller, Health, Pace, WATCH_SILENCE};
use crate::domain::ClusterId;
use crate::leader;
use crate::settings::{AdminAuth, RunArgs, Settings};
use crate::store::{Store, StoreError};
use crate::telemetry::{self, Certificate, Metrics, Traces};

pub(super) fn call(args: RunArgs) -> Result<(), Failure> {
    let settings = Settings::check(args)?;
    let store = Store::new(settings.redis.clone())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let traces = Traces::from_environment(runtime.handle().clone())?;
    telemetry::init_logs(settings.log_format, traces.as_ref());
    let outcome = runtime.block_on(run(settings, store));
    if let Some(traces) = traces {
        traces.end();
    }
    // A look-up of a name that hangs must not hold the process.
    runtime.shutdown_timeout(Duration::from_millis(100));
    outcome.inspect_err(|error| error!(%error, "ends"))
}

/// How long the API server may take to answer. A connection that is open on this side only says nothing for ever, and
/// kube by itself waits as long.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// How long a connection of the Lease's client may say nothing: longer than a Lease counts, since one that nobody
/// renews is silent for as long.
const LEASE_SILENCE: Duration = Duration::from_secs(20);

/// A client whose connections are given up when they say nothing for so long after they were asked something.
fn client(config: &Config, silence: Duration) -> Result<Client, kube::Error> {
    let mut config = config.clone();
    config.read_timeout = Some(silence);
    config.reset_reader_on_write = true;
    Client::try_from(config)
}

async fn run(settings: Settings, store: Store) -> Result<(), Failure> {
    info!(version = env!("CARGO_PKG_VERSION"), "runtime-operator starts");
    if let Err(error @ StoreError::ClusterMode) = store.ping().await {
        return Err(error.into());
    }
    let config = Config::infer().await.map_err(|error| {
        format!(
            "no cluster: neither in one, nor is there a kubeconfig that can be used (set KUBECONFIG): {error}"
        )
    })?;
    let watches = client(&config, WATCH_SILENCE)?;
    // Leases go their own way, so that a storm of status writes can't starve them.
    let lease_client = client(&config, LEASE_SILENCE)?;
    let client = client(&config, ANSWER_WITHIN)?;
    let cluster = cluster_id(&client, settings.cluster_id.as_deref()).await?;
    let identity = identity();
    // Replicas that share a Lease must not write side by side; an operator with another Lease has other resources.
    let store = store.with_writer(&format!("{cluster}/{}", client.default_namespace()), &identity);
    let metrics = Metrics::default();
    watch_certificates(&metrics, &settings);
    let store = store.with_observer(Arc::new(metrics.clone()));
    let health = Arc::new(Health::default());
    let telemetry = TcpListener::bind(settings.telemetry_addr)
        .await
        .map_err(|error| format!("--telemetry-addr {}: {error}", settings.telemetry_addr))?;
    // Port 0 leaves the choice to the system.
    info!(address = %telemetry.local_addr()?, "probes and metrics are served");
    let access = match settings.admin.auth {
        AdminAuth::Kubernetes => Access::Kubernetes(client.clone()),
        AdminAuth::None => Access::Open,
    };
    let admin =
        admin::Server::bind(settings.admin, access, store.clone(), metrics.clone(), Limits::default())
            .await?;
    info!(address = %admin.address()?, "admin routes are served");
    let (stop, stopped) = watch::channel(false);
    let stopping = || {
        let mut stopped = stopped.clone();
        async move {
            // A sender that is gone stops too.
            let _ = stopped.wait_for(|stopped| *stopped).await;
        }
    };
    let probes = tokio::spawn(probes::serve(telemetry, metrics.clone(), Arc::clone(&health), stopping()));
    let admin = tokio::spawn(admin.serve(stopping()));
    let (leadership, leader) = leader::channel();
    let controller = Controller {
        client,
        watches,
        store: store.clone(),
        cluster,
        publish_secret: settings.publish_webhook_secret,
        namespaces: settings.watch_namespaces,
        identity: identity.clone(),
        leader: leader.clone(),
        metrics,
        pace: Pace::default(),
    };
    let mut controlling = tokio::spawn(controller.run(health, stopping()));
    // The Lease is given back after the controller has finished what runs, never before.
    let (finish, finished) = watch::channel(false);
    let leading = async {
        let finished = async {
            let _ = finished.clone().wait_for(|finished| *finished).await;
        };
        if settings.leader_elect {
            leader::elected(lease_client, &identity, &store, &leadership, &leader, finished).await
        } else {
            tokio::select! {
                () = leader::alone(&store, &leadership, &leader) => {}
                () = finished => {}
            }
            Ok(())
        }
    };
    let mut leading = pin!(leading);
    let outcome = tokio::select! {
        signal = stop_signal() => {
            info!(signal = signal?, "stops");
            Ok(())
        }
        ended = &mut controlling => Err(format!("the controller ended by itself: {ended:?}").into()),
        lost = &mut leading => lost.map_err(Failure::from).and_then(|()| Err("the election ended by itself".into())),
    };
    stop.send_replace(true);
    if outcome.is_ok() {
        controlling.await?;
        finish.send_replace(true);
        leading.await?;
    }
    admin.await?;
    probes.await?;
    info!("ended");
    outcome
}

fn watch_certificates(metrics: &Metrics, settings: &Settings) {
    if let Some((certificate, _)) = &settings.admin.tls {
        metrics.watch_certificate(Certificate::Admin, certificate.clone());
    }
    if let Some(certificate) = &settings.redis.cert_file {
        metrics.watch_certificate(Certificate::RedisClient, certificate.clone());
    }
}

async fn stop_signal() -> Result<&'static str, std::io::Error> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    })
}

/// This cluster's name in ownership records.
async fn cluster_id(client: &Client, given: Option<&str>) -> Result<ClusterId, Failure> {
    if let Some(id) = given {
        return Ok(ClusterId::new(id));
    }
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let mut waited = Duration::ZERO;
    loop {
        match namespaces.get("kube-system").await {
            Ok(namespace) => {
                return Ok(ClusterId::new(namespace.metadata.uid.unwrap_or_default()));
            }
            Err(kube::Error::Api(status)) if matches!(status.code, 401 | 403 | 404) => {
                let why = "the namespace kube-system can't be read to name this cluster: set --cluster-id (CLUSTER_ID)";
                return Err(format!("{why}: {}", status.message).into());
            }
            Err(error) if waited < Duration::from_secs(60) => {
                tracing::warn!(%error, "the API server does not answer yet");
                tokio::time::sleep(Duration::from_secs(1)).await;
                waited += Duration::from_secs(1);
            }
            Err(error) => return Err(format!("the API server does not answer: {error}").into()),
        }
    }
}

/// This replica's name: unique among those that may run at the same time.
fn identity() -> String {
    let host = std::env::var("POD_NAME").or_else(|_| std::env::var("HOSTNAME")).unwrap_or_default();
    let host = if host.is_empty() { "runtime-operator".to_owned() } else { host };
    format!("{host}_{}_{:08x}", process::id(), rand::random::<u32>())
}
