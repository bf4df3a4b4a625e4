//! The Kubernetes cluster: the clients for it, its id, and the identity of this replica in it.

use std::env;
use std::net::IpAddr;
use std::process;
use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client, Config};
use tokio::time::sleep;
use tracing::warn;

use super::failure::Failure;
use crate::controller::{WATCH_SILENCE, is_from_api_server};
use crate::domain::ClusterId;
use crate::leader::{DEFAULT_LEASE, Install};
use crate::telemetry::with_causes;

/// Timeout of a response by the API server. A half-open connection never fails, and kube has no timeout by default.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);
/// Timeout of a connection that watches a Lease: longer than a Lease is valid, since a Lease that is not renewed causes no
/// event for that time.
const LEASE_TIMEOUT: Duration = Duration::from_secs(20);
/// Timeout and interval of the retries at startup while the API server is unreachable.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(60);
const CONNECT_INTERVAL: Duration = Duration::from_secs(1);

/// The cluster that the operator runs against.
pub(super) struct Cluster {
    pub(super) client: Client,
    /// Only for watches, which are silent for longer than a response may take.
    pub(super) watch_client: Client,
    /// Only for Leases, so that many status writes can't delay their renewal.
    pub(super) lease_client: Client,
    /// The name of this cluster in ownership records.
    pub(super) id: ClusterId,
    /// The name of this replica, unique among those that may run concurrently.
    pub(super) identity: String,
}

impl Cluster {
    /// Connects to the cluster of the Pod, or else of the kubeconfig.
    pub(super) async fn connect(id: Option<&str>) -> Result<Self, Failure> {
        let config = infer_config().await?;
        let client = client(&config, RESPONSE_TIMEOUT)?;
        let id = match id {
            Some(id) => ClusterId::new(id),
            None => ClusterId::new(kube_system_uid(&client).await?),
        };
        Ok(Self {
            watch_client: self::client(&config, WATCH_SILENCE)?,
            lease_client: self::client(&config, LEASE_TIMEOUT)?,
            client,
            id,
            identity: identity(),
        })
    }

    /// The name that replicas share which must not write concurrently: those of one Lease. An operator with another Lease
    /// has other resources.
    pub(super) fn writer(&self, lease: &str) -> String {
        let scope = format!("{}/{}", self.id, self.client.default_namespace());
        if lease == DEFAULT_LEASE { scope } else { format!("{scope}/{lease}") }
    }

    /// The identity of this install of the operator.
    pub(super) fn install(&self, lease: &str, namespaces: &[String]) -> Install {
        Install {
            cluster: self.id.clone(),
            namespace: self.client.default_namespace().to_owned(),
            lease: lease.to_owned(),
            namespaces: namespaces.to_vec(),
        }
    }
}

/// Finds the cluster of the Pod, or else of the kubeconfig.
pub(super) async fn infer_config() -> Result<Config, Failure> {
    let mut config = Config::infer().await.map_err(|error| {
        let why = with_causes(&error);
        format!("no cluster found: not running in a Pod, and no usable kubeconfig (set KUBECONFIG): {why}")
    })?;
    if is_loopback(config.cluster_url.host().unwrap_or_default()) && is_from_environment(&config) {
        config.proxy_url = None;
    }
    Ok(config)
}

/// Returns `true` for a host that kubectl never reaches through the proxy of the environment (Go,
/// `net/http.ProxyFromEnvironment`). kube leaves out only those of `NO_PROXY`.
fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// Returns `true` if the proxy is that of the environment, and not the kubeconfig's.
fn is_from_environment(config: &Config) -> bool {
    let proxies = ["HTTPS_PROXY", "https_proxy"].into_iter().filter_map(|name| env::var(name).ok());
    let mut proxies = proxies.filter_map(|proxy| proxy.parse().ok());
    proxies.any(|proxy| config.proxy_url.as_ref() == Some(&proxy))
}

/// A client that closes a connection on which a request got no response for this time.
fn client(config: &Config, timeout: Duration) -> Result<Client, kube::Error> {
    let mut config = config.clone();
    config.read_timeout = Some(timeout);
    config.reset_reader_on_write = true;
    // It would hide 429 and 503 for minutes. The sender of a request tries again, and reports meanwhile what is wrong.
    config.default_retry = false;
    Client::try_from(config)
}

/// Reads the UID of the namespace kube-system, which identifies a cluster.
async fn kube_system_uid(client: &Client) -> Result<String, Failure> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let mut waited = Duration::ZERO;
    loop {
        match namespaces.get("kube-system").await {
            Ok(namespace) => return Ok(namespace.metadata.uid.unwrap_or_default()),
            Err(kube::Error::Api(status))
                if matches!(status.code, 401 | 403 | 404) && is_from_api_server(&status) =>
            {
                let message = status.message;
                return Err(format!(
                    "no permission to read the namespace kube-system, whose UID names this cluster: set \
                     --cluster-id (CLUSTER_ID): {message}"
                )
                .into());
            }
            Err(error) if waited < CONNECT_TIMEOUT => {
                warn!(error = with_causes(&error), "API server unreachable, retrying");
                sleep(CONNECT_INTERVAL).await;
                waited += CONNECT_INTERVAL;
            }
            Err(error) => return Err(with_causes(&error).into()),
        }
    }
}

fn identity() -> String {
    let host = env::var("POD_NAME").or_else(|_| env::var("HOSTNAME")).unwrap_or_default();
    let host = if host.is_empty() { "runtime-operator" } else { &host };
    format!("{host}_{}_{:08x}", process::id(), rand::random::<u32>())
}
