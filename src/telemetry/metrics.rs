//! What is counted, in the OpenMetrics text format.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
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
    /// Resources whose keys were set right after somebody else had changed them.
    pub repairs: Counter,
    /// Changes from outside that were not repaired at once, since there were too many.
    pub repairs_held_back: Counter,
    /// Passes in which everything that Redis holds was compared.
    pub audits: Counter,
    /// Sweeps that removed nothing since there was too much to remove.
    pub sweeps_refused: Counter,
    failures: Family<ReasonLabel, Counter>,
    steps: Family<ResultLabel, Counter>,
    requests: Family<RequestLabels, Counter>,
    durations: Family<RouteLabels, Histogram, fn() -> Histogram>,
    reviews: Family<ReviewLabels, Counter>,
    registry: Arc<Registry>,
}

/// What the API server is asked for about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Review {
    /// Whose token it is.
    Token,
    /// Whether they may.
    Access,
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
struct RequestLabels {
    method: &'static str,
    route: &'static str,
    status: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RouteLabels {
    method: &'static str,
    route: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReviewLabels {
    kind: &'static str,
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
        let repairs = counter(
            &mut registry,
            "drift_repairs",
            "Times that a resource's keys in Redis were set right after somebody else had changed them",
        );
        let repairs_held_back = counter(
            &mut registry,
            "drift_repairs_held_back",
            "Changes from outside that waited for their repair, since one resource's keys changed too often",
        );
        let audits = counter(&mut registry, "audits", "Passes in which all that Redis holds was compared");
        let sweeps_refused = counter(
            &mut registry,
            "orphan_sweeps_refused",
            "Sweeps that removed nothing since too many records had lost their resource at once",
        );
        let requests = Family::default();
        registry.register(
            "admin_requests",
            "Requests of admin routes, by route template and status class",
            requests.clone(),
        );
        let durations = Family::new_with_constructor(duration as fn() -> Histogram);
        registry.register_with_unit(
            "admin_request_duration",
            "How long answers of admin routes took, by route template",
            Unit::Seconds,
            durations.clone(),
        );
        let reviews = Family::default();
        registry.register(
            "admin_reviews",
            "Reviews of tokens and rights that the API server was asked for, by result",
            reviews.clone(),
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
            repairs,
            repairs_held_back,
            audits,
            sweeps_refused,
            failures,
            steps,
            requests,
            durations,
            reviews,
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

    /// An admin route answered. `route` is a template, `method` its own: of a closed set, as the label says.
    pub fn answered(&self, method: &'static str, route: &'static str, status: u16, took: Duration) {
        let class = match status {
            0..300 => "2xx",
            300..400 => "3xx",
            400..500 => "4xx",
            _ => "5xx",
        };
        self.requests.get_or_create(&RequestLabels { method, route, status: class }).inc();
        self.durations.get_or_create(&RouteLabels { method, route }).observe(took.as_secs_f64());
    }

    /// The API server said yes or no; none: it did not answer.
    pub fn reviewed(&self, kind: Review, result: Option<bool>) {
        let kind = match kind {
            Review::Token => "token",
            Review::Access => "access",
        };
        let result = match result {
            Some(true) => "allowed",
            Some(false) => "denied",
            None => "failed",
        };
        self.reviews.get_or_create(&ReviewLabels { kind, result }).inc();
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

/// From a lookup by number (under a millisecond) to the API server's patience.
fn duration() -> Histogram {
    Histogram::new([0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0])
}

fn gauge(registry: &mut Registry, name: &str, help: &str) -> Gauge {
    let gauge = Gauge::default();
    registry.register(name, help, gauge.clone());
    gauge
}
