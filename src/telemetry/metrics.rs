//! The metrics that are counted as things happen. A field is called as its metric; every series exists from the start,
//! since an alert can't distinguish a missing counter from one that is 0.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::builder::{Histograms, MetricsBuilder};
use super::certificates::{Certificate, CertificateCollector};
use super::exposition::{Format, plain_text};
use super::labels::{LabelValues, Labels, pairs};
use super::redis_state::RedisState;
use super::resources::{ResourceCollector, ResourceCounts};

/// The classes of response statuses.
const STATUS_CLASSES: [&str; 3] = ["2xx", "4xx", "5xx"];

/// Everything that is counted. Cheap to clone; clones share their counts.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Reconciliations started.
    pub reconciles: Counter,
    /// Status writes.
    pub status_writes: Counter,
    /// Reconciliations of resources whose spec can't be decoded.
    pub unreadable_resources: Counter,
    /// 1 while this replica is the leader and may write.
    pub leading: Gauge,
    /// The Unix time since which this replica is the leader; 0 while it may not write.
    pub leading_since_timestamp_seconds: Gauge,
    /// The difference of this node's clock to that of the leader's node, in seconds; 0 up to 5 s.
    pub clock_skew_seconds: Gauge,
    /// The fencing epoch of this replica's writes; 0 while it may not write.
    pub epoch: Gauge,
    /// 1 while another install writes for the same namespaces.
    pub second_install: Gauge,
    /// Writes rejected by Redis because their epoch is no longer current.
    pub fenced_writes: Counter,
    /// 1 while Redis replies.
    pub redis_up: Gauge,
    /// The report of Redis about its memory, and what the Sentinels report.
    pub redis_state: RedisState,
    /// Publishes that only repaired drift.
    pub drift_repaired: Counter,
    /// Repairs deferred by the per-tenant rate limit.
    pub drift_repairs_deferred: Counter,
    /// Ownership records without a resource.
    pub orphaned_records: Gauge,
    /// Orphan sweeps refused because too many records were orphaned.
    pub orphan_sweeps_refused: Counter,
    /// Completed audits.
    pub audits: Counter,
    /// 1 while the file with the keys of the admin routes can be used.
    pub admin_key_file_usable: Gauge,
    reconcile: ReconcileMetrics,
    redis: RedisMetrics,
    admin: AdminMetrics,
    resources: ResourceCollector,
    certificates: CertificateCollector,
    registry: Arc<Registry>,
}

#[derive(Clone, Debug)]
struct ReconcileMetrics {
    duration: Histogram,
    errors: Family<Labels<1>, Counter>,
    queue_wait: Histograms<1>,
}

#[derive(Clone, Debug)]
struct RedisMetrics {
    operations: Family<Labels<1>, Counter>,
    round_trip: Histogram,
    connections: Family<Labels<2>, Counter>,
    drift_found: Family<Labels<1>, Counter>,
    full_resyncs: Family<Labels<1>, Counter>,
    denied_commands: Family<Labels<1>, Gauge>,
}

#[derive(Clone, Debug)]
struct AdminMetrics {
    requests: Family<Labels<3>, Counter>,
    duration: Histograms<2>,
    reviews: Family<Labels<2>, Counter>,
}

/// A review of an admin request by the API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Review {
    /// TokenReview: the user of a token.
    Token,
    /// SubjectAccessReview: the user's permission.
    Access,
}

impl Review {
    const ALL: [&str; 2] = [Self::Token.as_str(), Self::Access.as_str()];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Access => "access",
        }
    }
}

/// The outcome of a [`Review`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReviewResult {
    /// The token is valid, or the user is permitted.
    Allowed,
    /// The token is not valid, or the user is not permitted.
    Denied,
    /// The API server did not respond.
    Failed,
}

impl ReviewResult {
    const ALL: [&str; 3] = [Self::Allowed.as_str(), Self::Denied.as_str(), Self::Failed.as_str()];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::Failed => "failed",
        }
    }
}

/// The kind of a key that differs from its ownership record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drift {
    /// The mapping of a DID.
    Did,
    /// A tenant's config.
    Config,
    /// Any key of one record, found in a full resync or an audit.
    Record,
}

impl Drift {
    const ALL: [Self; 3] = [Self::Did, Self::Config, Self::Record];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Did => "did",
            Self::Config => "config",
            Self::Record => "record",
        }
    }
}

impl Metrics {
    /// Registers every metric, with a series for each of the `values`.
    #[must_use]
    pub fn new(values: &LabelValues<'_>) -> Self {
        let mut all = MetricsBuilder::new();
        let resources = ResourceCollector::new(values.queues);
        all.collector(resources.clone());
        let certificates = CertificateCollector::default();
        all.collector(certificates.clone());
        Self {
            reconciles: all.counter("reconciles", "Reconciliations started"),
            status_writes: all.counter("status_writes", "Status writes"),
            unreadable_resources: all
                .counter("unreadable_resources", "Reconciliations of resources whose spec can't be decoded"),
            leading: all.gauge("leading", "1 while this replica is the leader and may write"),
            leading_since_timestamp_seconds: all.gauge(
                "leading_since_timestamp_seconds",
                "Unix time since which this replica is the leader, 0 while it may not write",
            ),
            clock_skew_seconds: all.gauge(
                "clock_skew_seconds",
                "Seconds by which this node's clock is ahead of the leader's, 0 up to 5",
            ),
            epoch: all.gauge("epoch", "Fencing epoch of this replica's writes, 0 while it may not write"),
            second_install: all.gauge(
                "second_install",
                "1 while another install writes for the same namespaces, or takes this one's epochs",
            ),
            fenced_writes: all.counter(
                "fenced_writes",
                "Writes rejected by Redis because their epoch is no longer current",
            ),
            redis_up: all.gauge("redis_up", "1 while Redis replies"),
            redis_state: RedisState::new(&mut all),
            drift_repaired: all.counter("drift_repaired", "Publishes that only repaired drift"),
            drift_repairs_deferred: all
                .counter("drift_repairs_deferred", "Repairs deferred by the per-tenant rate limit"),
            orphaned_records: all.gauge("orphaned_records", "Ownership records without a resource"),
            orphan_sweeps_refused: all.counter(
                "orphan_sweeps_refused",
                "Orphan sweeps refused because too many records were orphaned",
            ),
            audits: all.counter("audits", "Completed audits"),
            admin_key_file_usable: all.gauge(
                "admin_key_file_usable",
                "0 while the file with the keys of the admin routes is broken, so that the earlier keys stay",
            ),
            reconcile: ReconcileMetrics::new(&mut all, values),
            redis: RedisMetrics::new(&mut all, values),
            admin: AdminMetrics::new(&mut all),
            resources,
            certificates,
            registry: all.finish(),
        }
    }

    /// Records a finished reconciliation, successful or not.
    pub fn observe_reconcile(&self, took: Duration) {
        self.reconcile.duration.observe(took.as_secs_f64());
    }

    /// Counts a failed reconciliation or status update. `reason` is one of [`LabelValues::reconcile_errors`].
    pub fn count_reconcile_error(&self, reason: &'static str) {
        self.reconcile.errors.get_or_create(&[("reason", reason)]).inc();
    }

    /// Records the time between enqueue and processing. `queue` is one of [`LabelValues::queues`].
    pub fn observe_queue_wait(&self, queue: &'static str, took: Duration) {
        self.reconcile.queue_wait.get_or_create(&[("queue", queue)]).observe(took.as_secs_f64());
    }

    /// Counts an operation that Redis replied to. `result` is one of [`LabelValues::operation_results`].
    pub fn count_operation(&self, result: &'static str) {
        self.redis.operations.get_or_create(&[("result", result)]).inc();
    }

    /// Records the time that Redis took to reply.
    pub fn observe_redis_round_trip(&self, took: Duration) {
        self.redis.round_trip.observe(took.as_secs_f64());
    }

    /// Counts an attempt to connect to Redis. `purpose` is one of [`LabelValues::connection_purposes`].
    pub fn count_redis_connection(&self, purpose: &'static str, established: bool) {
        let result = if established { "ok" } else { "failed" };
        self.redis.connections.get_or_create(&[("connection", purpose), ("result", result)]).inc();
    }

    /// Counts keys that differ from their ownership record.
    pub fn count_drift(&self, what: Drift, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.redis.drift_found.get_or_create(&[("what", what.as_str())]).inc_by(count);
    }

    /// Counts a full resync with Redis. `cause` is one of [`LabelValues::resync_causes`].
    pub fn count_resync(&self, cause: &'static str) {
        self.redis.full_resyncs.get_or_create(&[("cause", cause)]).inc();
    }

    /// Sets which of the optional commands Redis denies.
    pub fn set_denied_commands(&self, all: &[&'static str], denied: &[&'static str]) {
        for command in all {
            let gauge = self.redis.denied_commands.get_or_create(&[("command", command)]);
            gauge.set(i64::from(denied.contains(command)));
        }
    }

    /// Creates the series of an admin route, with the value 0.
    pub fn register_route(&self, method: &'static str, route: &'static str) {
        for class in STATUS_CLASSES {
            drop(self.admin.requests.get_or_create(&[
                ("method", method),
                ("route", route),
                ("status", class),
            ]));
        }
        drop(self.admin.duration.get_or_create(&[("method", method), ("route", route)]));
    }

    /// Records the response to an admin request. `route` is a template, and `method` the route's own: the values of
    /// both labels are a closed set.
    pub fn observe_admin_request(
        &self,
        method: &'static str,
        route: &'static str,
        status: u16,
        took: Duration,
    ) {
        let class = match status {
            0..400 => STATUS_CLASSES[0],
            400..500 => STATUS_CLASSES[1],
            _ => STATUS_CLASSES[2],
        };
        self.admin.requests.get_or_create(&[("method", method), ("route", route), ("status", class)]).inc();
        self.admin
            .duration
            .get_or_create(&[("method", method), ("route", route)])
            .observe(took.as_secs_f64());
    }

    /// Counts a review by the API server.
    pub fn count_review(&self, review: Review, result: ReviewResult) {
        self.admin.reviews.get_or_create(&[("kind", review.as_str()), ("result", result.as_str())]).inc();
    }

    /// Sets the function that counts resources and queues at each scrape. Only the first call has an effect, since
    /// there is one controller in a process.
    pub fn set_resource_counter(&self, count: impl Fn() -> ResourceCounts + Send + Sync + 'static) {
        self.resources.set(count);
    }

    /// Reports the expiry of this certificate from now on. The file is read at each scrape.
    pub fn watch_certificate(&self, certificate: Certificate, file: PathBuf) {
        self.certificates.watch(certificate, file);
    }

    /// Encodes all metrics in the given format.
    #[must_use]
    pub fn encode(&self, format: Format) -> String {
        let mut text = String::new();
        // Writing to a String can't fail.
        let _ = encode(&mut text, &self.registry);
        match format {
            Format::OpenMetrics => text,
            Format::Text => plain_text(&text),
        }
    }
}

impl ReconcileMetrics {
    fn new(all: &mut MetricsBuilder, values: &LabelValues<'_>) -> Self {
        Self {
            duration: all.histogram("reconcile_duration", "Duration of a reconciliation"),
            errors: all.counters(
                "reconcile_errors",
                "Failed reconciliations and status updates, by reason",
                values.reconcile_errors.iter().map(|reason| [("reason", *reason)]),
            ),
            queue_wait: all.histograms(
                "queue_wait",
                "Time between enqueue and processing, by queue",
                values.queues.iter().map(|queue| [("queue", *queue)]),
            ),
        }
    }
}

impl RedisMetrics {
    fn new(all: &mut MetricsBuilder, values: &LabelValues<'_>) -> Self {
        Self {
            operations: all.counters(
                "redis_operations",
                "Publish and remove operations sent to Redis, by result",
                values.operation_results.iter().map(|result| [("result", *result)]),
            ),
            round_trip: all.histogram("redis_round_trip", "Time that Redis took to reply"),
            connections: all.counters(
                "redis_connections",
                "Attempts to connect to Redis, by the purpose of the connection and result",
                pairs(("connection", values.connection_purposes), ("result", &["ok", "failed"])),
            ),
            drift_found: all.counters(
                "drift_found",
                "Keys in Redis that differ from their ownership record, by kind",
                Drift::ALL.map(|what| [("what", what.as_str())]),
            ),
            full_resyncs: all.counters(
                "full_resyncs",
                "Full resyncs with Redis, by cause",
                values.resync_causes.iter().map(|cause| [("cause", *cause)]),
            ),
            denied_commands: all.gauges(
                "redis_denied_commands",
                "1 while Redis' ACL denies a command without which a check is left out",
                values.optional_commands.iter().map(|command| [("command", *command)]),
            ),
        }
    }
}

impl AdminMetrics {
    fn new(all: &mut MetricsBuilder) -> Self {
        Self {
            requests: all.counters(
                "admin_requests",
                "Requests to admin routes, by route template and status class",
                [],
            ),
            duration: all.histograms(
                "admin_request_duration",
                "Duration of requests to admin routes, by route template",
                [],
            ),
            reviews: all.counters(
                "admin_reviews",
                "TokenReviews and SubjectAccessReviews requested from the API server, by result",
                pairs(("kind", &Review::ALL), ("result", &ReviewResult::ALL)),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_series_exists_before_its_first_event() {
        let values = LabelValues {
            reconcile_errors: &["RedisUnreachable"],
            connection_purposes: &["tracking"],
            queues: &["reconcile"],
            ..LabelValues::default()
        };
        let text = Metrics::new(&values).encode(Format::Text);
        for line in [
            "runtime_operator_reconcile_errors_total{reason=\"RedisUnreachable\"} 0",
            "runtime_operator_drift_found_total{what=\"did\"} 0",
            "runtime_operator_redis_connections_total{connection=\"tracking\",result=\"failed\"} 0",
            "runtime_operator_tenants{condition=\"Ready\",status=\"False\"} 0",
            "runtime_operator_queue_depth{queue=\"reconcile\"} 0",
        ] {
            assert!(text.lines().any(|is| is == line), "{line} is not in\n{text}");
        }
    }
}
