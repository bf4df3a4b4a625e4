//! All that one test has for itself.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::Client;
use kube::api::{Api, PostParams};
use local_cluster::{Cluster, Folder, Redis, RedisOptions};
use serde_json::json;
use tokio::sync::OnceCell;

use super::operator::{Operator, OperatorBuilder};
use super::oracle::{Oracle, Watched};
use super::wait::{PATIENCE, poll};

/// The cluster of this test binary. It ends with the process.
static SHARED: OnceCell<Arc<Cluster>> = OnceCell::const_new();

async fn cluster_with_definitions() -> Arc<Cluster> {
    let cluster = Cluster::start().await.unwrap();
    let definitions = concat!(env!("CARGO_MANIFEST_DIR"), "/crds/runtimetenants.yaml");
    cluster.apply_file(definitions).await.unwrap();
    Arc::new(cluster)
}

/// A namespace, a Redis, a reader, and the operators that the test starts. It ends with [`World::finish`].
pub struct World {
    // Dropped in this order: operators and readers before what they need.
    operators: Mutex<Vec<Operator>>,
    oracles: Mutex<Vec<Oracle>>,
    watched: Arc<Watched>,
    redis: Redis,
    client: Client,
    namespaces: Vec<String>,
    kubeconfig: PathBuf,
    folder: Folder,
    cluster: Arc<Cluster>,
    logs: AtomicU32,
    finished: bool,
}

impl World {
    /// On the cluster that all tests of this binary share.
    pub async fn new() -> Self {
        Self::with_redis(RedisOptions::default()).await
    }

    /// The same with a Redis of another kind.
    pub async fn with_redis(options: RedisOptions) -> Self {
        let cluster = SHARED.get_or_init(cluster_with_definitions).await;
        Self::on(Arc::clone(cluster), options).await
    }

    /// On a cluster of its own, for tests that break its processes or watch all namespaces.
    pub async fn with_own_cluster() -> Self {
        Self::on_own_cluster(RedisOptions::default()).await
    }

    /// The same with a Redis of another kind.
    pub async fn on_own_cluster(options: RedisOptions) -> Self {
        Self::on(cluster_with_definitions().await, options).await
    }

    async fn on(cluster: Arc<Cluster>, options: RedisOptions) -> Self {
        let (redis, client) = tokio::try_join!(Redis::start(options), cluster.client()).unwrap();
        let namespace = new_namespace(&client).await;
        let watched = Arc::<Watched>::default();
        let oracle = Oracle::start(redis.client().unwrap(), Arc::clone(&watched));
        Self {
            operators: Mutex::default(),
            oracles: Mutex::new(vec![oracle]),
            watched,
            redis,
            client,
            kubeconfig: cluster.kubeconfig_in(&namespace).unwrap(),
            namespaces: vec![namespace],
            folder: Folder::new("world").unwrap(),
            cluster,
            logs: AtomicU32::default(),
            finished: false,
        }
    }

    /// Makes one more namespace, which operators built from now on watch too.
    pub async fn add_namespace(&mut self) -> String {
        let namespace = new_namespace(&self.client).await;
        self.namespaces.push(namespace.clone());
        namespace
    }

    /// An operator of this world, to be set up and started.
    pub fn operator(&self) -> OperatorBuilder<'_> {
        OperatorBuilder::new(self)
    }

    /// The cluster, which other tests may share.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// This world's own Redis.
    pub fn redis(&self) -> &Redis {
        &self.redis
    }

    /// A Kubernetes client with an administrator's rights.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The first namespace.
    pub fn namespace(&self) -> &str {
        &self.namespaces[0]
    }

    /// All namespaces of this world.
    pub fn namespaces(&self) -> &[String] {
        &self.namespaces
    }

    /// An administrator's kubeconfig whose namespace is the world's first.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// A file of this test's own, such as a password that is rotated.
    pub fn write_file(&self, name: &str, text: &str) -> PathBuf {
        self.folder.write(name, text).unwrap()
    }

    /// Reads another Redis too, such as the replica that a failover is to make the primary.
    pub fn also_read(&self, redis: &Redis) {
        let oracle = Oracle::start(redis.client().unwrap(), Arc::clone(&self.watched));
        self.oracles.lock().unwrap().push(oracle);
    }

    /// The reader notes nothing of these numbers from now on: the test is about to break them from outside.
    pub fn exempt<'a>(&self, dids: impl IntoIterator<Item = &'a str>) {
        dids.into_iter().for_each(|did| self.watched.exempt(Some(did)));
    }

    /// The reader notes nothing at all from now on, as before a FLUSHALL.
    pub fn exempt_all(&self) {
        self.watched.exempt(None);
    }

    /// The reader takes note of every number again.
    pub fn heed_all(&self) {
        self.watched.heed_all();
    }

    /// What the reader has seen so far.
    pub fn violations(&self) -> Vec<String> {
        self.oracles.lock().unwrap().iter().flat_map(Oracle::violations).collect()
    }

    /// How often the reader has read all numbers.
    pub fn rounds(&self) -> u64 {
        self.oracles.lock().unwrap().iter().map(Oracle::rounds).sum()
    }

    /// Looks until it sees something, and gives it back; a failure shows the operators' logs.
    pub async fn wait<T, F>(&self, what: &str, look: impl Fn() -> F) -> T
    where
        F: Future<Output = Result<T, String>>,
    {
        self.wait_within(PATIENCE, what, look).await
    }

    /// Waits until `operator` writes, which may not be up yet: a Lease that nobody renews lasts for 15 s.
    pub async fn wait_leading(&self, operator: &Operator) {
        self.wait("it leads", || async {
            if operator.probe("livez").await.is_none() {
                return Err("it is not up yet".into());
            }
            let leading = operator.metric("runtime_operator_leading").await;
            if leading > 0.0 { Ok(()) } else { Err(format!("runtime_operator_leading is {leading}")) }
        })
        .await;
    }

    /// The same with a patience of its own.
    pub async fn wait_within<T, F>(&self, patience: Duration, what: &str, look: impl Fn() -> F) -> T
    where
        F: Future<Output = Result<T, String>>,
    {
        match poll(patience, look).await {
            Ok(seen) => seen,
            Err(instead) => panic!("not so after {patience:?}: {what}; {instead}\n{}", self.log_tails()),
        }
    }

    /// Ends everything. Fails when a number ever mapped to a tenant without a valid config that lists it.
    pub async fn finish(self) {
        let tails = self.log_tails();
        let violations = self.close().await;
        assert!(violations.is_empty(), "the voice runtime read:\n{}\n{tails}", violations.join("\n"));
    }

    /// Ends everything, and gives back what the reader has seen.
    pub async fn close(mut self) -> Vec<String> {
        self.finished = true;
        // Threads and processes are waited for, which the runtime's own threads must not do.
        let close =
            move || self.oracles.lock().unwrap().iter_mut().flat_map(Oracle::finish).collect::<Vec<String>>();
        tokio::task::spawn_blocking(close).await.unwrap()
    }

    pub(super) fn watched(&self) -> &Watched {
        &self.watched
    }

    pub(super) fn owns(&self, operator: Operator) {
        self.operators.lock().unwrap().push(operator);
    }

    /// A name for one more process, and the file for its output.
    pub(super) fn next_log(&self, what: &str) -> (String, PathBuf) {
        let name = format!("{what}-{}", self.logs.fetch_add(1, Ordering::Relaxed));
        let path = self.folder.file(&format!("{name}.log"));
        (name, path)
    }

    fn log_tails(&self) -> String {
        let operators = self.operators.lock().unwrap();
        let tail = |operator: &Operator| {
            let running = if operator.is_running() { "runs" } else { "has ended" };
            format!("an operator {running}; the end of its log:\n{}\n", operator.log_tail())
        };
        operators.iter().map(tail).collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.log_tails());
        } else {
            assert!(self.finished, "a test ends with world.finish(), which asks the reader what it saw");
        }
        // Clones that the test still has must not outlive the Redis that they write to.
        self.operators.lock().unwrap().drain(..).for_each(|operator| operator.end());
    }
}

async fn new_namespace(client: &Client) -> String {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let namespace = serde_json::from_value(json!({ "metadata": { "generateName": "test-" } })).unwrap();
    let made = namespaces.create(&PostParams::default(), &namespace).await.unwrap();
    made.metadata.name.unwrap()
}
