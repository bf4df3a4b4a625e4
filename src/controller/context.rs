//! The state that the controller's tasks share: clients, the index, the queues.

use std::collections::HashMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use futures::channel::mpsc::UnboundedSender;
use kube::Client;
use tokio::sync::RwLock;
use tracing::Span;

use super::error::Error;
use super::health::Health;
use super::large_specs::LargeSpecs;
use super::outages::Outages;
use super::queue::{self, Namespace, WorkQueue, WritePriority};
use super::secrets::{PrefetchPlan, SecretReader};
use super::status::EventQueue;
use crate::domain::index::{Effects, Index, Readiness, SecretUsers, TenantState};
use crate::domain::{ClusterId, Epoch, ResourceName, Uid};
use crate::leader::Writer;
use crate::store::{Store, StoreError};
use crate::telemetry::{Metrics, ResourceCounts};

/// The state that the controller's tasks share.
pub struct Context {
    /// The client for reads and writes of single objects, whose requests time out.
    pub client: Client,
    /// The store that carries this replica's writer identity.
    pub store: Store,
    /// The cluster that ownership records name.
    pub cluster: ClusterId,
    /// True when configs carry the webhook secret's value; else they carry its reference alone.
    pub publish_secret: bool,
    /// The maximum number of bytes of a spec that are read.
    pub max_tenant_bytes: usize,
    /// The permits for large specs that are read and compiled at the same time.
    pub large_specs: LargeSpecs,
    /// The watched namespaces; empty: all.
    pub namespaces: Vec<String>,
    /// The Lease, which stands for the operator as a whole.
    pub lease: ResourceName,
    /// The writer state, moved by the election and the leader's loop.
    pub writer: Writer,
    /// Readiness and liveness, which the probes report.
    pub health: Arc<Health>,
    /// Tenants to reconcile.
    pub reconciles: Arc<WorkQueue<Uid>>,
    /// Tenants whose status may have to be written: after a reconcile, or when a watch shows another status.
    pub statuses: Arc<WorkQueue<Uid>>,
    /// Events to write, fed after the change that they report.
    pub events: EventQueue,
    /// Reads Secrets, prefetched or one by one.
    pub secrets: SecretReader,
    /// Takes plans of Secrets to prefetch; a newer plan replaces the one under way.
    pub prefetches: UnboundedSender<PrefetchPlan>,
    /// The priority of publishes before statuses before events.
    pub priority: Arc<WritePriority>,
    /// The process' metrics.
    pub metrics: Metrics,
    /// The failures that were logged.
    pub outages: Outages,
    /// The number of reconciles that take long.
    pub slow_reconciles: AtomicUsize,
    /// Read-locked while one tenant is published, write-locked while a group is: no member of a group may be published from
    /// an older snapshot in between. The audit write-locks it too, while it adopts records.
    pub publishing: RwLock<()>,
    pub(super) index: Mutex<Index>,
    /// The number of times that the index was locked.
    #[cfg(test)]
    pub(super) locks: std::sync::atomic::AtomicUsize,
}

/// Effects whose tenants stand beside their namespaces, by which the queues are fair.
struct Queued {
    reconcile: Vec<(Namespace, Uid)>,
    status: Vec<(Namespace, Uid)>,
    prefetch: Option<HashMap<String, SecretUsers>>,
    readiness: Option<Readiness>,
}

impl Queued {
    fn of(index: &Index, effects: Effects) -> Self {
        let Effects { reconcile, status, prefetch, readiness } = effects;
        let place = |uid: Uid| (index.namespace(&uid), uid);
        Self {
            reconcile: reconcile.into_iter().map(place).collect(),
            status: status.into_iter().map(place).collect(),
            prefetch,
            readiness,
        }
    }
}

impl Context {
    /// The index. Never held over an await, since none of its methods waits.
    fn index(&self) -> MutexGuard<'_, Index> {
        #[cfg(test)]
        self.locks.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        // A method that panics leaves the index as it was or half-changed; resyncs and audits find and repair that.
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the index.
    pub fn read<T>(&self, read: impl FnOnce(&Index) -> T) -> T {
        read(&self.index())
    }

    /// Changes the index, and carries out the effects of the change.
    pub fn update(&self, change: impl FnOnce(&mut Index) -> Effects) {
        self.update_with(|index| (change(index), ()));
    }

    /// Changes the index, carries out the effects of the change, and returns its result.
    pub fn update_with<T>(&self, change: impl FnOnce(&mut Index) -> (Effects, T)) -> T {
        self.update_in(&Span::none(), change)
    }

    /// Does what [`Self::update_with`] does. The statuses to write belong to `span`, the trace of the change.
    pub fn update_in<T>(&self, span: &Span, change: impl FnOnce(&mut Index) -> (Effects, T)) -> T {
        let mut index = self.index();
        let (effects, result) = change(&mut index);
        let queued = Queued::of(&index, effects);
        drop(index);
        self.run(queued, span);
        result
    }

    /// Changes the index with a method that returns no effects.
    pub fn note<T>(&self, change: impl FnOnce(&mut Index) -> T) -> T {
        change(&mut self.index())
    }

    /// Carries out effects: the only place that does so.
    fn run(&self, effects: Queued, span: &Span) {
        let Queued { reconcile, status, prefetch, readiness } = effects;
        if !reconcile.is_empty() {
            self.reconciles.enqueue_all(reconcile, queue::change_span);
        }
        for (namespace, uid) in status {
            self.statuses.enqueue(namespace, uid, span.clone());
        }
        if let Some(plan) = prefetch {
            // The channel is closed only when the process is about to end.
            drop(self.prefetches.unbounded_send(PrefetchPlan(plan)));
        }
        if let Some(readiness) = readiness {
            self.health.set_readiness(readiness);
        }
    }

    /// The epoch that writes must carry.
    pub fn epoch(&self) -> Result<Epoch, Error> {
        self.writer.epoch().map_err(Error::NotWriting)
    }

    /// Reports a failed write with this epoch.
    pub fn write_failed(&self, epoch: Epoch, error: &StoreError) {
        if matches!(error, StoreError::Fenced { .. }) {
            self.metrics.fenced_writes.inc();
        }
        if error.invalidates_epoch() {
            self.writer.epoch_lost(epoch);
        }
    }

    /// True when resources of this namespace are watched.
    #[must_use]
    pub fn is_watched_namespace(&self, namespace: &str) -> bool {
        self.namespaces.is_empty() || self.namespaces.iter().any(|watched| watched == namespace)
    }

    /// True when the watch of these (`runtimetenants`, `secrets`) has listed those of the namespace: what it does not show
    /// does not exist.
    #[must_use]
    pub fn has_listed(&self, resource: &str, namespace: &str) -> bool {
        self.health.watches().all().iter().any(|watch| {
            let shows = watch.namespace.as_deref().is_none_or(|watched| watched == namespace);
            watch.listed && watch.resource == resource && shows
        })
    }

    /// Counts resources by condition, and what is queued.
    #[must_use]
    pub fn resource_counts(&self) -> ResourceCounts {
        let mut counts = ResourceCounts::default();
        self.read(|index| {
            for object in index.objects() {
                let unreadable = index.tenant(&object.uid()).is_some_and(TenantState::is_unreadable);
                match object.status() {
                    Some(status) => {
                        let conditions =
                            status.conditions().map(|text| [&*text.type_, &*text.status, &*text.reason]);
                        counts.add_resource(conditions, status.published_did_count(), unreadable);
                    }
                    None => counts.add_resource([].into_iter(), 0, unreadable),
                }
            }
        });
        let now = Instant::now();
        for (name, queue) in [(queue::RECONCILE, &self.reconciles), (queue::STATUS, &self.statuses)] {
            counts.set_queue(name, queue.depth() as u64, queue.oldest(now));
        }
        let watches = self.health.watches().all();
        let times = watches
            .iter()
            .map(|watch| (watch.resource, watch.namespace.as_deref(), watch.interrupted_for(now)));
        counts.set_watches(times);
        counts
    }
}
