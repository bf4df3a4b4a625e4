//! The cluster, the Redis and the operator that are measured.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::{Api, Client};
use local_cluster::{Cluster, Launch, Process, Redis, RedisOptions};
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;

use crate::load::Tenant;

pub const NAMESPACE: &str = "default";
/// How long anything may take before the run is given up.
const PATIENCE: Duration = Duration::from_secs(600);

pub struct Site {
    pub client: Client,
    cluster: Cluster,
    redis: Redis,
    connection: MultiplexedConnection,
    folder: tempfile::TempDir,
}

pub struct Operator {
    pub process: Process,
    telemetry: String,
}

impl Site {
    pub async fn start() -> Self {
        let (cluster, redis) = tokio::join!(Cluster::start(), Redis::start(RedisOptions::default()));
        let (cluster, redis) = (cluster.unwrap(), redis.unwrap());
        let crd = concat!(env!("CARGO_MANIFEST_DIR"), "/crds/runtimetenants.yaml");
        cluster.apply_file(crd).await.unwrap();
        let client = cluster.client().await.unwrap();
        let connection = redis.connection().await.unwrap();
        Self { client, cluster, redis, connection, folder: tempfile::tempdir().unwrap() }
    }

    pub fn tenants(&self) -> Api<DynamicObject> {
        let resource = ApiResource {
            group: "runtime.veralux.io".to_owned(),
            version: "v1".to_owned(),
            api_version: "runtime.veralux.io/v1".to_owned(),
            kind: "RuntimeTenant".to_owned(),
            plural: "runtimetenants".to_owned(),
        };
        Api::namespaced_with(self.client.clone(), NAMESPACE, &resource)
    }

    pub async fn operator(&self) -> Operator {
        let free = || std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (admin, telemetry) = (free(), free());
        let program = PathBuf::from(env!("CARGO_BIN_EXE_runtime-operator"));
        let launch = Launch::new("runtime-operator", program, self.folder.path().join("operator.log"))
            .args(["run"])
            .env("KUBECONFIG", self.cluster.kubeconfig())
            .env("REDIS_URL", self.redis.url())
            .env("ADMIN_ADDR", admin.to_string())
            .env("TELEMETRY_ADDR", telemetry.to_string())
            .env("RUST_LOG", "warn")
            .ready(move || async move {
                let answer = reqwest::get(format!("http://{telemetry}/readyz")).await;
                answer
                    .and_then(reqwest::Response::error_for_status)
                    .map(drop)
                    .map_err(|error| error.to_string())
            });
        Operator { process: Process::start(launch).await.unwrap(), telemetry: format!("http://{telemetry}") }
    }

    /// How many numbers and configs there are, counted by the index that costs Redis nothing.
    pub async fn keys(&self) -> usize {
        let pattern = "tenantcfg:*";
        self.scan(pattern).await
    }

    async fn scan(&self, pattern: &str) -> usize {
        let mut connection = self.connection.clone();
        let (mut cursor, mut count) = (0_u64, 0);
        loop {
            let (next, keys): (u64, Vec<Vec<u8>>) = redis::cmd("SCAN")
                .arg(cursor)
                .arg("MATCH")
                .arg(pattern)
                .arg("COUNT")
                .arg(10_000)
                .query_async(&mut connection)
                .await
                .unwrap();
            count += keys.len();
            cursor = next;
            if cursor == 0 {
                return count;
            }
        }
    }

    /// Waits until so many tenants have their config and both numbers.
    pub async fn wait_keys(&self, tenants: usize) {
        // Three keys and a record a tenant, the epoch and two indexes: the size is read for nothing, the keys are
        // counted once it is reached.
        let began = Instant::now();
        loop {
            let size: usize = redis::cmd("DBSIZE").query_async(&mut self.connection.clone()).await.unwrap();
            if size >= tenants * 4
                && self.scan("tenantmap:did:*").await >= tenants * 2
                && self.keys().await >= tenants
            {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{tenants} tenants are not readable");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    pub async fn wait_ready(&self, tenants: usize) {
        let began = Instant::now();
        loop {
            let list = self.tenants().list(&ListParams::default()).await.unwrap();
            let ready = |item: &&DynamicObject| {
                let conditions = item.data["status"]["conditions"].as_array();
                conditions.into_iter().flatten().any(|c| c["type"] == "Ready" && c["status"] == "True")
            };
            if list.items.iter().filter(ready).count() >= tenants {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{tenants} tenants are not Ready");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until the resource has its status: the next sample begins at rest.
    pub async fn wait_quiet(&self, tenant: &Tenant) {
        loop {
            let object = self.tenants().get(&tenant.name).await.unwrap();
            if object.data["status"]["publishedHash"].is_string() {
                return;
            }
        }
    }

    pub async fn wait_key(&self, key: &str, there: bool) {
        let mut connection = self.connection.clone();
        let began = Instant::now();
        while connection.exists::<_, bool>(key).await.unwrap() != there {
            assert!(began.elapsed() < PATIENCE, "{key} does not come or go");
        }
    }

    pub async fn wait_config(&self, tenant: &Tenant, text: &str) {
        let mut connection = self.connection.clone();
        let began = Instant::now();
        loop {
            let config: Option<String> = connection.get(tenant.config_key()).await.unwrap();
            if config.is_some_and(|config| config.contains(text)) {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{} is not published anew", tenant.name);
        }
    }

    pub async fn delete_key(&self, key: &str) {
        self.connection.clone().del::<_, ()>(key).await.unwrap();
    }

    pub async fn set_key(&self, key: &str, value: &str) {
        self.connection.clone().set::<_, _, ()>(key, value).await.unwrap();
    }

    pub async fn flush(&self) {
        redis::cmd("FLUSHALL").query_async::<()>(&mut self.connection.clone()).await.unwrap();
    }

    /// Waits until the operator has not looked at anything for a second.
    pub async fn wait_settled(&self, operator: &Operator) {
        let mut before = operator.counter("runtime_operator_reconciles_total").await;
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let now = operator.counter("runtime_operator_reconciles_total").await;
            if now == before {
                return;
            }
            before = now;
        }
    }

    async fn commands(&self) -> Vec<(String, u64)> {
        let info: String =
            redis::cmd("INFO").arg("commandstats").query_async(&mut self.connection.clone()).await.unwrap();
        info.lines()
            .filter_map(|line| {
                let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
                Some((name.to_owned(), rest.split(',').next()?.parse().ok()?))
            })
            .collect()
    }

    /// Calls of commands that write, within scripts too.
    pub async fn redis_writes(&self) -> u64 {
        let writes = ["set", "del", "hset", "hdel", "sadd", "srem", "incr"];
        self.commands()
            .await
            .iter()
            .filter(|(name, _)| writes.contains(&name.as_str()))
            .map(|(_, calls)| calls)
            .sum()
    }

    /// Calls of all commands, but for `INFO`, which asks.
    pub async fn redis_calls(&self) -> u64 {
        self.commands().await.iter().filter(|(name, _)| name != "info").map(|(_, calls)| calls).sum()
    }

    pub async fn newest_version(&self) -> u64 {
        let list = self.tenants().list(&ListParams::default()).await.unwrap();
        list.metadata.resource_version.unwrap().parse().unwrap()
    }

    pub async fn written_since(&self, version: u64) -> u64 {
        let list = self.tenants().list(&ListParams::default()).await.unwrap();
        let newer = |item: &&DynamicObject| {
            item.metadata
                .resource_version
                .as_deref()
                .and_then(|v| v.parse::<u64>().ok())
                .is_some_and(|v| v > version)
        };
        list.items.iter().filter(newer).count() as u64
    }
}

impl Operator {
    pub async fn counter(&self, name: &str) -> u64 {
        let text = reqwest::get(format!("{}/metrics", self.telemetry)).await.unwrap().text().await.unwrap();
        text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok()).unwrap_or_default()
    }

    /// Waits until it has looked at so many resources since its start.
    pub async fn wait_checked(&self, tenants: usize) {
        let began = Instant::now();
        while self.counter("runtime_operator_reconciles_total").await < tenants as u64 {
            assert!(began.elapsed() < PATIENCE, "{tenants} tenants are not checked");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Resident memory now and at its peak, bytes.
    pub fn memory(&self) -> (u64, u64) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id().unwrap())).unwrap();
        let kilobytes = |field: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
            line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() * 1024
        };
        (kilobytes("VmRSS:"), kilobytes("VmHWM:"))
    }

    /// Processor time used so far, of all its threads.
    pub fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id().unwrap())).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        // Linux counts these in hundredths of a second everywhere (USER_HZ).
        Duration::from_millis(ticks * 10)
    }
}
