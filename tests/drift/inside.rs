//! A controller in this process, against the same API server and Redis as one that is installed: so that what happens by
//! the clock happens in a moment.

use std::sync::Arc;

use runtime_operator::controller::{Controller, Health, Pace};
use runtime_operator::domain::ClusterId;
use runtime_operator::leader;
use runtime_operator::store::{RedisSettings, Store};
use runtime_operator::telemetry::{Format, Metrics};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::support::World;

/// The cluster id of all controllers of this kind.
pub const CLUSTER: &str = "inside";

pub struct Inside {
    metrics: Metrics,
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
    leading: JoinHandle<()>,
}

impl Inside {
    /// Starts it for a world, and waits until it writes.
    pub async fn start(world: &World, pace: Pace) -> Self {
        let store = Store::new(RedisSettings::at(world.redis().url()));
        let store = store.unwrap().with_writer(CLUSTER, "this process");
        let (sender, leader) = leader::channel();
        let metrics = Metrics::default();
        let client = world.cluster().client_for(world.kubeconfig()).await.unwrap();
        let controller = Controller {
            client: client.clone(),
            watches: client,
            store: store.clone(),
            cluster: ClusterId::new(CLUSTER),
            publish_secret: true,
            namespaces: world.namespaces().to_vec(),
            identity: "inside".to_owned(),
            leader: leader.clone(),
            metrics: metrics.clone(),
            pace,
        };
        let health = Arc::<Health>::default();
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(controller.run(Arc::clone(&health), async move { drop(stopped.await) }));
        let leading = tokio::spawn(async move { leader::alone(&store, &sender, &leader).await });
        world.wait("the controller writes", || async { health.ready().map(drop) }).await;
        Self { metrics, stop, running, leading }
    }

    /// A metric, by its name in the text format.
    pub fn metric(&self, name: &str) -> f64 {
        let text = self.metrics.encode(Format::OpenMetrics);
        text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok()).unwrap_or_default()
    }

    /// Stops it clean.
    pub async fn stop(self) {
        self.stop.send(()).unwrap();
        self.running.await.unwrap();
        self.leading.abort();
    }
}
