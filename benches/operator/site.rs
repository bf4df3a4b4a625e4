//! The cluster and the Redis for the measured operators.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Secret;
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::{Api, Client};
use local_cluster::{Cluster, Launch, Process, Redis, RedisOptions};

use crate::keyspace::Keyspace;
use crate::operator::{Backlog, Operator};
use crate::requests::Requests;

pub const NAMESPACE: &str = "default";
/// The timeout of every wait.
pub const TIMEOUT: Duration = Duration::from_secs(600);
/// An operator is settled when it was idle for this time, and did nothing in the same time after that.
const SETTLED: Duration = Duration::from_millis(500);

pub struct Site {
    pub client: Client,
    pub requests: Requests,
    pub keys: Keyspace,
    pub redis: Redis,
    cluster: Cluster,
    folder: tempfile::TempDir,
}

impl Site {
    pub async fn start() -> Self {
        let (cluster, redis) = tokio::join!(Cluster::start(), Redis::start(RedisOptions::default()));
        let (cluster, redis) = (cluster.unwrap(), redis.unwrap());
        let crd = concat!(env!("CARGO_MANIFEST_DIR"), "/crds/runtimetenants.yaml");
        cluster.apply_file(crd).await.unwrap();
        let requests = Requests::default();
        let client = requests.client(cluster.kubeconfig()).await;
        let keys = Keyspace::new(redis.connection().await.unwrap());
        Self { client, requests, keys, redis, cluster, folder: tempfile::tempdir().unwrap() }
    }

    /// An administrator's kubeconfig.
    pub fn kubeconfig(&self) -> &Path {
        self.cluster.kubeconfig()
    }

    /// Writes a file that lasts as long as the site.
    pub fn write_file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    pub fn resource() -> ApiResource {
        ApiResource {
            group: "runtime.veralux.io".to_owned(),
            version: "v1".to_owned(),
            api_version: "runtime.veralux.io/v1".to_owned(),
            kind: "RuntimeTenant".to_owned(),
            plural: "runtimetenants".to_owned(),
        }
    }

    pub fn tenants(&self) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), NAMESPACE, &Self::resource())
    }

    pub fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }

    pub async fn operator(&self) -> Operator {
        self.operator_with(&[]).await
    }

    /// Starts an operator with these variables in addition to, or instead of, the common ones.
    pub async fn operator_with(&self, more: &[(&str, &str)]) -> Operator {
        let free = || std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (admin, telemetry) = (free().to_string(), free());
        let program = PathBuf::from(env!("CARGO_BIN_EXE_runtime-operator"));
        let launch = Launch::new("runtime-operator", program, self.folder.path().join("operator.log"))
            .args(["run"])
            .env("KUBECONFIG", self.cluster.kubeconfig())
            .env("REDIS_URL", self.redis.url())
            .env("ADMIN_ADDR", &admin)
            .env("TELEMETRY_ADDR", telemetry.to_string())
            .env("RUST_LOG", "warn")
            // The image sets it, too.
            .env("GLIBC_TUNABLES", "glibc.malloc.mmap_threshold=131072")
            .ready(move || async move {
                let answer = reqwest::get(format!("http://{telemetry}/readyz")).await;
                answer
                    .and_then(reqwest::Response::error_for_status)
                    .map(drop)
                    .map_err(|error| error.to_string())
            });
        let launch = more.iter().fold(launch, |launch, (name, value)| launch.env(name, value));
        Operator::new(Process::start(launch).await.unwrap(), format!("http://{telemetry}"), admin)
    }

    /// Returns the number of Ready resources in the API server.
    pub async fn ready(&self) -> usize {
        let list = self.tenants().list(&ListParams::default()).await.unwrap();
        let ready = |item: &&DynamicObject| {
            let conditions = item.data["status"]["conditions"].as_array();
            conditions.into_iter().flatten().any(|c| c["type"] == "Ready" && c["status"] == "True")
        };
        list.items.iter().filter(ready).count()
    }

    /// Waits until an operator has no pending work and no event to write. Returns the processor time that it had used by then,
    /// without the time for its metrics.
    pub async fn wait_settled(&self, operator: &Operator) -> Duration {
        let (began, mut before) = (Instant::now(), None);
        loop {
            let quiet = operator.wait_quiet(SETTLED).await;
            let work = operator.work().await;
            let now = (work, self.requests.of_others(&self.client).await);
            match before {
                Some((same, cpu)) if same == now && work.backlog == Backlog::default() => return cpu,
                _ => assert!(began.elapsed() < TIMEOUT, "the operator still has pending work: {work:?}"),
            }
            before = Some((now, quiet.cpu));
        }
    }
}
