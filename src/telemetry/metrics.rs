//! What is counted, in the OpenMetrics text format.

use std::sync::Arc;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use crate::store::Applied;

/// Everything that is counted. Cheap to clone; clones count the same.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Looks at a resource.
    pub reconciles: Counter,
    /// Writes of a status.
    pub status_writes: Counter,
    /// Looks at resources whose spec can't be read.
    pub unreadable: Counter,
    /// Whether this replica may write.
    pub leading: Gauge,
    /// Whether Redis answers.
    pub redis_up: Gauge,
    /// Ownership records of which the resource is gone.
    pub orphans: Gauge,
    /// Sweeps that removed nothing since there was too much to remove.
    pub sweeps_refused: Counter,
    failures: Family<ReasonLabel, Counter>,
    steps: Family<ResultLabel, Counter>,
    registry: Arc<Registry>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ResultLabel {
    result: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct BuildLabel {
    version: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("runtime_operator");
        let reconciles = counter(&mut registry, "reconciles", "Looks at a resource");
        let failures = Family::default();
        registry.register(
            "reconcile_errors",
            "Looks that could not be finished, by reason",
            failures.clone(),
        );
        let steps = Family::default();
        registry.register("steps", "Steps that Redis was asked for, by result", steps.clone());
        let status_writes = counter(&mut registry, "status_writes", "Writes of a status");
        let unreadable =
            counter(&mut registry, "unreadable_resources", "Looks at resources whose spec can't be read");
        let leading = gauge(&mut registry, "leading", "1 while this replica may write");
        let redis_up = gauge(&mut registry, "redis_up", "1 while Redis answers");
        let orphans =
            gauge(&mut registry, "orphaned_records", "Ownership records of which the resource is gone");
        let sweeps_refused = counter(
            &mut registry,
            "orphan_sweeps_refused",
            "Sweeps that removed nothing since too many records had lost their resource at once",
        );
        let build: Family<BuildLabel, Gauge> = Family::default();
        build.get_or_create(&BuildLabel { version: env!("CARGO_PKG_VERSION") }).set(1);
        registry.register_with_unit("build", "The version that runs", Unit::Other("info".to_owned()), build);
        Self {
            reconciles,
            status_writes,
            unreadable,
            leading,
            redis_up,
            orphans,
            sweeps_refused,
            failures,
            steps,
            registry: Arc::new(registry),
        }
    }
}

impl Metrics {
    /// A look failed for this reason, of a closed set.
    pub fn reconcile_failed(&self, reason: &'static str) {
        self.failures.get_or_create(&ReasonLabel { reason }).inc();
    }

    /// Redis did this.
    pub fn applied(&self, applied: &Applied) {
        let result = match applied {
            Applied::Unchanged => "unchanged",
            Applied::Recorded => "recorded",
            Applied::Published { .. } => "published",
            Applied::Removed { .. } => "removed",
            Applied::NotOwned => "not_owned",
            Applied::Refused(_) => "refused",
            Applied::Withheld => "withheld",
        };
        self.steps.get_or_create(&ResultLabel { result }).inc();
    }

    /// Everything, as a scrape wants it.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing to a String can't fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

fn counter(registry: &mut Registry, name: &str, help: &str) -> Counter {
    let counter = Counter::default();
    registry.register(name, help, counter.clone());
    counter
}

fn gauge(registry: &mut Registry, name: &str, help: &str) -> Gauge {
    let gauge = Gauge::default();
    registry.register(name, help, gauge.clone());
    gauge
}
