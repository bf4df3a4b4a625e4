//! The environment of one test.

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
use super::reader::{RuntimeReader, Watched};
use super::wait::{TIMEOUT, poll};

/// The cluster that the tests of this binary share. It ends with the process.
static SHARED: OnceCell<Arc<Cluster>> = OnceCell::const_new();

async fn cluster_with_definitions() -> Arc<Cluster> {
    let cluster = Cluster::start().await.unwrap();
    let definitions = Path::new(crate::REPOSITORY).join("crds/runtimetenants.yaml");
    cluster.apply_file(definitions).await.unwrap();
    Arc::new(cluster)
}

/// A namespace, a Redis, a reader, and the operators that the test starts. A test ends with [`World::finish`].
pub struct World {
    // Dropped in this order: operators and readers before the servers that they use.
    operators: Mutex<Vec<Operator>>,
    readers: Mutex<Vec<RuntimeReader>>,
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
    /// Starts on the cluster that all tests of this binary share.
    pub async fn new() -> Self {
        Self::with_redis(RedisOptions::default()).await
    }

    /// Starts on the shared cluster, with a Redis of another kind.
    pub async fn with_redis(options: RedisOptions) -> Self {
        let cluster = SHARED.get_or_init(cluster_with_definitions).await;
        Self::on(Arc::clone(cluster), options).await
    }

    /// Starts on a cluster of its own, for tests that break its processes or watch all namespaces.
    pub async fn with_own_cluster() -> Self {
        Self::on_own_cluster(RedisOptions::default()).await
    }

    /// Starts on a cluster of its own, with a Redis of another kind.
    pub async fn on_own_cluster(options: RedisOptions) -> Self {
        Self::on(cluster_with_definitions().await, options).await
    }

    async fn on(cluster: Arc<Cluster>, options: RedisOptions) -> Self {
        let (redis, client) = tokio::try_join!(Redis::start(options), cluster.client()).unwrap();
        let namespace = new_namespace(&client).await;
        let watched = Arc::<Watched>::default();
        let reader = RuntimeReader::start(redis.client().unwrap(), Arc::clone(&watched));
        Self {
            operators: Mutex::default(),
            readers: Mutex::new(vec![reader]),
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

    /// Creates another namespace, which operators built from now on watch too.
    pub async fn add_namespace(&mut self) -> String {
        let namespace = new_namespace(&self.client).await;
        self.namespaces.push(namespace.clone());
        namespace
    }

    /// Returns a builder for an operator of this world.
    pub fn operator(&self) -> OperatorBuilder<'_> {
        OperatorBuilder::new(self)
    }

    /// Returns the cluster, which other tests may share.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Returns this world's own Redis.
    pub fn redis(&self) -> &Redis {
        &self.redis
    }

    /// Returns a Kubernetes client with an administrator's permissions.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Returns the first namespace.
    pub fn namespace(&self) -> &str {
        &self.namespaces[0]
    }

    /// Returns all namespaces of this world.
    pub fn namespaces(&self) -> &[String] {
        &self.namespaces
    }

    /// Returns an administrator's kubeconfig whose namespace is the world's first.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Writes a file of this test, such as a password that is rotated.
    pub fn write_file(&self, name: &str, text: &str) -> PathBuf {
        self.folder.write(name, text).unwrap()
    }

    /// Starts a reader of another Redis too, such as the replica that a failover will promote.
    pub fn also_read(&self, redis: &Redis) {
        let reader = RuntimeReader::start(redis.client().unwrap(), Arc::clone(&self.watched));
        self.readers.lock().unwrap().push(reader);
    }

    /// Ignores violations of these DIDs from now on: the test is about to break them as an external client.
    pub fn exempt<'a>(&self, dids: impl IntoIterator<Item = &'a str>) {
        dids.into_iter().for_each(|did| self.watched.exempt(Some(did)));
    }

    /// Ignores all violations from now on, as before a FLUSHALL.
    pub fn exempt_all(&self) {
        self.watched.exempt(None);
    }

    /// Records violations of every DID again.
    pub fn resume_checks(&self) {
        self.watched.resume_checks();
    }

    /// Returns the violations that the reader has recorded so far.
    pub fn violations(&self) -> Vec<String> {
        self.readers.lock().unwrap().iter().flat_map(RuntimeReader::violations).collect()
    }

    /// Returns how often the reader has read all DIDs.
    pub fn rounds(&self) -> u64 {
        self.readers.lock().unwrap().iter().map(RuntimeReader::rounds).sum()
    }

    /// Calls `check` until it returns `Ok`, and returns its value; a failure shows the operators' logs.
    pub async fn wait<T, F>(&self, what: &str, check: impl Fn() -> F) -> T
    where
        F: Future<Output = Result<T, String>>,
    {
        self.wait_within(TIMEOUT, what, check).await
    }

    /// Waits until `operator`, which may still be starting, leads: a Lease that no replica renews expires after 15 s.
    pub async fn wait_leading(&self, operator: &Operator) {
        self.wait("the operator leads", || async {
            if operator.probe("livez").await.is_none() {
                return Err("its probes are not served yet".into());
            }
            let leading = operator.metric("runtime_operator_leading").await;
            if leading > 0.0 { Ok(()) } else { Err(format!("runtime_operator_leading is {leading}")) }
        })
        .await;
    }

    /// Waits with another timeout; see [`World::wait`].
    pub async fn wait_within<T, F>(&self, timeout: Duration, what: &str, check: impl Fn() -> F) -> T
    where
        F: Future<Output = Result<T, String>>,
    {
        match poll(timeout, check).await {
            Ok(found) => found,
            Err(state) => panic!("timeout after {timeout:?}: {what}; {state}\n{}", self.log_tails()),
        }
    }

    /// Ends everything. Fails if a DID ever mapped to a tenant without a valid config that lists it.
    pub async fn finish(self) {
        let tails = self.log_tails();
        let violations = self.close().await;
        assert!(violations.is_empty(), "the voice runtime read:\n{}\n{tails}", violations.join("\n"));
    }

    /// Ends everything, and returns the violations that the reader recorded.
    pub async fn close(mut self) -> Vec<String> {
        self.finished = true;
        // Blocks until threads and processes have ended, which the runtime's own threads must not do.
        let close = move || {
            self.readers.lock().unwrap().iter_mut().flat_map(RuntimeReader::finish).collect::<Vec<String>>()
        };
        tokio::task::spawn_blocking(close).await.unwrap()
    }

    pub(super) fn watched(&self) -> &Watched {
        &self.watched
    }

    pub(super) fn owns(&self, operator: Operator) {
        self.operators.lock().unwrap().push(operator);
    }

    /// Returns a name for another process, and the file for its output.
    pub(super) fn next_log(&self, what: &str) -> (String, PathBuf) {
        let name = format!("{what}-{}", self.logs.fetch_add(1, Ordering::Relaxed));
        let path = self.folder.file(&format!("{name}.log"));
        (name, path)
    }

    fn log_tails(&self) -> String {
        let operators = self.operators.lock().unwrap();
        let tail = |operator: &Operator| {
            let running = if operator.is_running() { "is running" } else { "has ended" };
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
            assert!(self.finished, "a test ends with world.finish(), which fails on violations");
        }
        // Clones that the test still holds must not outlive the Redis that they write to.
        self.operators.lock().unwrap().drain(..).for_each(|operator| operator.end());
    }
}

async fn new_namespace(client: &Client) -> String {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let namespace = serde_json::from_value(json!({ "metadata": { "generateName": "test-" } })).unwrap();
    let made = namespaces.create(&PostParams::default(), &namespace).await.unwrap();
    made.metadata.name.unwrap()
}
