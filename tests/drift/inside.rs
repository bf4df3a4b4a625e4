//! A controller in this process, with the real API server and Redis: its intervals are short, so that tests of periodic work
//! need not wait.

use std::sync::Arc;

use runtime_operator::controller::{Controller, Health, Intervals};
use runtime_operator::domain::ClusterId;
use runtime_operator::leader::{self, Writer};
use runtime_operator::store::{RedisSettings, Store};
use runtime_operator::telemetry::{Format, LabelValues, Metrics};
use test_support::World;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The cluster id of these controllers.
pub const CLUSTER: &str = "inside";

pub struct Inside {
    metrics: Metrics,
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
    leading: JoinHandle<()>,
}

impl Inside {
    /// Starts it for a world, and waits until it writes.
    pub async fn start(world: &World, intervals: Intervals) -> Self {
        let store = Store::new(RedisSettings::at(world.redis().url()));
        let store = store.unwrap().with_writer(CLUSTER, "this process");
        let writer = Writer::default();
        let metrics = Metrics::new(&LabelValues::default());
        let client = world.cluster().client_for(world.kubeconfig()).await.unwrap();
        let controller = Controller {
            client: client.clone(),
            watch_client: client,
            store: store.clone(),
            cluster: ClusterId::new(CLUSTER),
            publish_secret: true,
            max_tenant_bytes: 1 << 20,
            max_held_spec_bytes: 64 << 20,
            namespaces: world.namespaces().to_vec(),
            identity: "inside".to_owned(),
            lease: "runtime-operator".to_owned(),
            elects: false,
            writer: writer.clone(),
            metrics: metrics.clone(),
            intervals,
        };
        let health = Arc::new(Health::new(writer.clone()));
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(controller.run(Arc::clone(&health), async move { drop(stopped.await) }));
        let install = leader::Install {
            cluster: ClusterId::new(CLUSTER),
            namespace: world.namespace().to_owned(),
            lease: "runtime-operator".to_owned(),
            namespaces: world.namespaces().to_vec(),
        };
        let leading = tokio::spawn(async move { leader::without_election(install, &store, &writer).await });
        world.wait("the controller writes", || async { health.ready().map(drop) }).await;
        Self { metrics, stop, running, leading }
    }

    /// Returns a metric by its name in the text format.
    pub fn metric(&self, name: &str) -> f64 {
        let text = self.metrics.encode(Format::OpenMetrics);
        text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok()).unwrap_or_default()
    }

    /// Stops it cleanly.
    pub async fn stop(self) {
        self.stop.send(()).unwrap();
        self.running.await.unwrap();
        self.leading.abort();
    }
}
