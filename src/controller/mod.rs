//! The controller: keeps Redis equal to the resources.
//!
//! The loop, from a change to its status (1 to 7), and the tasks beside it (8 to 10):
//!
//! 1. `watch` lists and watches `RuntimeTenant`s and Secrets, and relists after etcd was restored.
//! 2. Each event is applied to the index (`domain::index`), which returns the tenants that it affects.
//! 3. [`Context::update`](context::Context::update) carries out these effects: it feeds the queues. Only the prefetch
//!    of Secrets, the orphan sweep, and a publish that fails for one tenant of a group enqueue a tenant themselves, and a
//!    queue enqueues again what must be retried.
//! 4. `queue` processes each tenant immediately, never one tenant twice at a time; it knows which tenants wait, since
//!    when.
//! 5. `reconcile` takes one snapshot of the index, plans, reads the Secret if a publish needs it, and sends one script
//!    call to Redis if something must be written. Tenants that take DIDs from this one are published before it, in the
//!    same way.
//! 6. Its result is recorded in the index; tenants that it affects are enqueued, and those that failed are retried.
//! 7. `status` writes status, finalizer and events after the reconcile, with a lower priority while the API server is
//!    saturated.
//! 8. `resync` loads what Redis holds when this replica gets an epoch and after outages, and repairs the keys that
//!    other clients change.
//! 9. `drift` finds what sends no signal: the audit compares everything, the sweep removes the keys of
//!    resources that no longer exist.
//! 10. `health` answers the probes from the writer state, the watches and the queue of reconciles.
//!
//! `secrets` reads Secrets one by one, or lists them when many are needed together. `leader_check` reports whether this
//! replica could lead, `notices` writes Events on the Lease. `context` is what all of them share; `bounded` and
//! `large_specs` limit what is held of a response; `refusal` and `error` classify failures, `outages` limits their log lines;
//! `intervals` and `limits` are the constants.

mod bounded;
mod context;
mod drift;
mod error;
mod health;
mod intervals;
mod large_specs;
mod leader_check;
pub mod limits;
mod notices;
mod outages;
mod queue;
mod reconcile;
mod refusal;
mod resync;
mod secrets;
mod status;
mod watch;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::channel::mpsc::{UnboundedReceiver, unbounded};
use futures::{FutureExt, StreamExt};
use kube::Client;
use tokio::sync::{RwLock, oneshot};
use tracing::{info, warn};

use crate::domain::index::Index;
use crate::domain::{ClusterId, ResourceName};
use crate::leader::Writer;
use crate::store::Store;
use crate::telemetry::Metrics;
use context::Context;
pub use error::Error;
pub use health::Health;
pub use intervals::Intervals;
use large_specs::LargeSpecs;
use limits::{RECONCILE_CONCURRENCY, STATUS_CONCURRENCY};
use outages::Outages;
pub use queue::QUEUES;
use queue::{WorkQueue, WritePriority};
pub use refusal::is_from_api_server;
use resync::ResyncLoop;
use secrets::{PrefetchPlan, SecretPrefetch, SecretReader};
use status::EventWriter;
pub use watch::{Pages, SecretMeta, WATCH_SILENCE, WatchedTenant};

/// The maximum number of queued tenants that are reported as delayed at a time.
const MAX_REPORTED: usize = 1000;
/// The interval at which, before the caches have synced, watches that are refused or silent are given up on.
const SYNC_CHECK_INTERVAL: Duration = Duration::from_millis(100);
/// The time that a clean stop waits for what is in flight.
const STOP_TIMEOUT: Duration = Duration::from_secs(3);

/// The controller before it runs: its clients and settings.
pub struct Controller {
    /// The client for reads and writes of single objects.
    pub client: Client,
    /// The client for watches, which may be silent for longer than a response may take.
    pub watch_client: Client,
    /// The store, with this replica's writer identity.
    pub store: Store,
    /// The cluster that ownership records name.
    pub cluster: ClusterId,
    /// True when configs carry the webhook secret's value; else they carry its reference alone.
    pub publish_secret: bool,
    /// The maximum number of bytes of a spec that are read.
    pub max_tenant_bytes: usize,
    /// The maximum number of bytes of specs that are held together.
    pub max_held_spec_bytes: usize,
    /// The namespaces to watch; empty: all.
    pub namespaces: Vec<String>,
    /// The replica's name, which events report.
    pub identity: String,
    /// The name of the Lease, on which the operator's own events are.
    pub lease: String,
    /// True where replicas elect a leader: then this one says whether it could lead.
    pub elects: bool,
    /// The writer state, which the election moves.
    pub writer: Writer,
    /// The process' metrics.
    pub metrics: Metrics,
    /// The intervals of the periodic tasks.
    pub intervals: Intervals,
}

/// The event writer and the prefetch of Secrets: the tasks with a queue of their own, beside the two work queues.
struct Workers {
    events: EventWriter,
    prefetch: SecretPrefetch,
    prefetches: UnboundedReceiver<PrefetchPlan>,
}

impl Controller {
    /// Runs until `stop` is done, then finishes what is in flight. `health` reports its state all the time.
    pub async fn run(self, health: Arc<Health>, stop: impl Future<Output = ()> + Send + 'static) {
        let (ctx, workers) = self.context(health);
        self.run_in(ctx, workers, stop.shared()).await;
    }

    async fn run_in(
        self,
        ctx: Arc<Context>,
        workers: Workers,
        stop: impl Future<Output = ()> + Clone + Send + 'static,
    ) {
        let counted = Arc::downgrade(&ctx);
        let count = move || counted.upgrade().map(|ctx| ctx.resource_counts()).unwrap_or_default();
        ctx.metrics.set_resource_counter(count);
        let mut events = watch::streams(&self.watch_client, &ctx.namespaces, ctx.health.watches());
        let mut handler = watch::EventHandler::new(&ctx);
        let (synced, caches_synced) = oneshot::channel();
        let mut synced = Some(synced);
        let watching = async {
            // Until the caches have synced, a watch that is refused or silent changes what they wait for.
            let mut checks = tokio::time::interval(SYNC_CHECK_INTERVAL);
            loop {
                let settled = tokio::select! {
                    event = events.next() => match event {
                        Some(event) => handler.apply(event),
                        None => return,
                    },
                    _ = checks.tick(), if synced.is_some() => handler.settle(Instant::now()),
                };
                if settled && let Some(synced) = synced.take() {
                    let _ = synced.send(());
                }
            }
        };
        let leading = async {
            let mut leader = ResyncLoop::new(&ctx);
            if leader.load_ahead(caches_synced).await {
                leader.run().await;
            }
        };
        let working = work(&ctx, workers, stop.clone());
        tokio::pin!(working);
        tokio::select! {
            () = &mut working => {}
            () = watching => {}
            () = leading => {}
            () = drift::sweep(&ctx, &self.intervals) => {}
            () = drift::audit(&ctx, &self.intervals) => {}
            () = leader_check::report(&ctx, self.elects) => {}
            () = notices::report(&ctx) => {}
            () = heartbeat(&ctx) => {}
            () = report_stuck(&ctx) => {}
            () = stop => {
                info!("stopping: draining work queues");
                if tokio::time::timeout(STOP_TIMEOUT, working).await.is_err() {
                    warn!("stop timeout: work left for the next start");
                }
            }
        }
    }

    fn context(&self, health: Arc<Health>) -> (Arc<Context>, Workers) {
        let (prefetch_plans, prefetches) = unbounded();
        health.set_store(self.store.clone());
        let reconciles = health.reconciles();
        let statuses = Arc::new(WorkQueue::default());
        let priority = Arc::new(WritePriority::new(Arc::clone(&statuses)));
        let (events, event_queue) =
            EventWriter::new(self.client.clone(), self.identity.clone(), Arc::clone(&priority), &self.writer);
        let secrets = SecretReader::new(self.client.clone());
        let prefetch = SecretPrefetch {
            client: self.client.clone(),
            reader: secrets.clone(),
            reconciles: Arc::clone(&reconciles),
            writer: self.writer.clone(),
        };
        let ctx = Context {
            client: self.client.clone(),
            store: self.store.clone(),
            cluster: self.cluster.clone(),
            publish_secret: self.publish_secret,
            max_tenant_bytes: self.max_tenant_bytes,
            large_specs: LargeSpecs::default(),
            namespaces: self.namespaces.clone(),
            lease: ResourceName::new(self.client.default_namespace(), &self.lease),
            writer: self.writer.clone(),
            health,
            reconciles,
            statuses,
            events: event_queue,
            secrets,
            prefetches: prefetch_plans,
            priority,
            metrics: self.metrics.clone(),
            outages: Outages::default(),
            slow_reconciles: AtomicUsize::new(0),
            publishing: RwLock::new(()),
            index: Mutex::new(Index::new(self.publish_secret).with_held_spec_bytes(self.max_held_spec_bytes)),
            #[cfg(test)]
            locks: std::sync::atomic::AtomicUsize::new(0),
        };
        (Arc::new(ctx), Workers { events, prefetch, prefetches })
    }
}

/// The heartbeat for the liveness probe. It runs in the controller's own task, so it stops when that task blocks.
async fn heartbeat(ctx: &Context) {
    let mut ticks = tokio::time::interval(health::HEARTBEAT_INTERVAL);
    loop {
        ticks.tick().await;
        ctx.health.heartbeat();
    }
}

/// Reports queued tenants as waiting for the peer of slow reconciles, while these take all shared slots of the queue.
async fn report_stuck(ctx: &Context) {
    let mut ticks = tokio::time::interval(reconcile::SLOW / 4);
    loop {
        ticks.tick().await;
        if ctx.slow_reconciles.load(Ordering::Relaxed) >= RECONCILE_CONCURRENCY.shared {
            let queued = ctx.reconciles.queued_longer(reconcile::SLOW, MAX_REPORTED, Instant::now());
            ctx.update(|index| index.delay_queued(&queued));
        }
    }
}

/// Processes the queues until `stop` is done, then finishes what is in flight and writes the last events.
async fn work(ctx: &Arc<Context>, workers: Workers, stop: impl Future<Output = ()> + Clone + Send + 'static) {
    let Workers { mut events, prefetch, prefetches } = workers;
    let reconciles = ctx.reconciles.run(
        RECONCILE_CONCURRENCY,
        |dequeued| async move {
            let reconciled = reconcile::reconcile(&dequeued, ctx).await;
            reconciled.unwrap_or_else(|error| reconcile::error_policy(&dequeued, &error, ctx))
        },
        stop.clone(),
    );
    let statuses = ctx.statuses.run(
        STATUS_CONCURRENCY,
        |dequeued| async move {
            let written = status::update_status(&dequeued, ctx).await;
            written.unwrap_or_else(|error| status::error_policy(&dequeued, &error, ctx))
        },
        stop.clone(),
    );
    let prefetching = prefetch.run(prefetches.take_until(stop.clone()));
    futures::join!(reconciles, statuses, prefetching, events.run(stop));
    status::add_missing_finalizers(ctx).await;
    events.flush().await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Epoch;
    use crate::http::Listener;
    use crate::probes;
    use crate::store::RedisSettings;
    use crate::telemetry::LabelValues;

    /// Waits until the probe answers with this status, and returns its text.
    async fn wait_livez(url: &str, status: u16) -> String {
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().unwrap();
        for _ in 0..6000 {
            let response = client.get(url).send().await.unwrap();
            if response.status().as_u16() == status {
                return response.text().await.unwrap();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{url} does not answer with {status}");
    }

    #[tokio::test]
    async fn a_blocked_loop_fails_liveness_until_it_runs_again() {
        let unreachable = "127.0.0.1:1";
        let store = Store::new(RedisSettings::at(format!("redis://{unreachable}")));
        let writer = Writer::default();
        let metrics = Metrics::new(&LabelValues::default());
        let config = kube::Config::new(format!("http://{unreachable}").parse().unwrap());
        let client = Client::try_from(config).unwrap();
        let controller = Controller {
            client: client.clone(),
            watch_client: client,
            store: store.unwrap(),
            cluster: ClusterId::new("here"),
            publish_secret: true,
            max_tenant_bytes: crate::domain::compile::MAX_SPEC_BYTES,
            max_held_spec_bytes: crate::domain::index::MAX_HELD_SPECS,
            namespaces: Vec::new(),
            identity: "me".to_owned(),
            lease: "runtime-operator".to_owned(),
            elects: false,
            writer: writer.clone(),
            metrics: metrics.clone(),
            intervals: Intervals { sweep: Duration::from_millis(10), ..Intervals::default() },
        };
        let health = Arc::new(Health::with_heartbeat_timeout(writer.clone(), Duration::from_secs(2)));
        // So that the sweep reads the index all the time.
        writer.elected(Epoch(1));
        writer.resynced(Epoch(1));
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let url = format!("http://{}/livez", listener.address().unwrap());
        let probed = Arc::clone(&health);
        tokio::spawn(probes::serve(
            listener,
            probes::limits::limits(),
            metrics,
            probed,
            std::future::pending(),
        ));
        let (ctx, workers) = controller.context(health);
        let never = std::future::pending::<()>().shared();
        let shared = Arc::clone(&ctx);
        // On a thread of its own: what blocks there blocks nothing else.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(controller.run_in(shared, workers, never));
        });
        assert_eq!(wait_livez(&url, 200).await, "ok\n");

        let (release, released) = std::sync::mpsc::channel::<()>();
        let holds = std::thread::spawn(move || {
            let _index = ctx.index.lock();
            let _ = released.recv();
        });

        let why = wait_livez(&url, 503).await;
        assert!(why.starts_with("not alive: controller loop blocked for"), "{why}");
        release.send(()).unwrap();
        holds.join().unwrap();
        wait_livez(&url, 200).await;
    }
}
