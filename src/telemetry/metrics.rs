//! What is counted. Every label's values are of a closed set, and each series is there from the start: an alert can't
//! tell a counter that is missing from one that is 0.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry, Unit};

use super::census::{Census, CensusTaker, Queue};
use super::certificates::{Certificate, Certificates};
use super::exposition::{Format, plain_text};
use crate::controller::ERRORS;
use crate::store::{Applied, Observer, Purpose, ResyncCause};

/// Labels with their values.
pub(super) type Labels<const N: usize> = [(&'static str, &'static str); N];

/// From a lookup by number (under a millisecond) to the API server's patience.
const BUCKETS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// The classes of an answer's status that there are.
const CLASSES: [&str; 3] = ["2xx", "4xx", "5xx"];

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
    /// The number that this replica's writes carry; 0 while it may not write.
    pub epoch: Gauge,
    /// Writes that Redis refused since another had taken over.
    pub fenced: Counter,
    /// Whether Redis answers.
    pub redis_up: Gauge,
    /// Publishes that only brought back what Redis had lost.
    pub repaired: Counter,
    /// Ownership records of which the resource is gone.
    pub orphans: Gauge,
    /// Changes from outside that were not repaired at once, since there were too many.
    pub repairs_held_back: Counter,
    /// Passes in which everything that Redis holds was compared.
    pub audits: Counter,
    /// Sweeps that removed nothing since there was too much to remove.
    pub sweeps_refused: Counter,
    looks: Histogram,
    round_trips: Histogram,
    failures: Family<Labels<1>, Counter>,
    steps: Family<Labels<1>, Counter>,
    waits: Family<Labels<1>, Histogram, fn() -> Histogram>,
    connections: Family<Labels<2>, Counter>,
    drift: Family<Labels<1>, Counter>,
    checks: Family<Labels<1>, Counter>,
    requests: Family<Labels<3>, Counter>,
    durations: Family<Labels<2>, Histogram, fn() -> Histogram>,
    reviews: Family<Labels<2>, Counter>,
    census: CensusTaker,
    certificates: Certificates,
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

/// What was found not to be in Redis as the records say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drift {
    /// A number's mapping.
    Number,
    /// A tenant's config.
    Config,
    /// Anything of one record, when all of them were checked.
    Record,
}

impl Drift {
    const ALL: [Self; 3] = [Self::Number, Self::Config, Self::Record];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Config => "config",
            Self::Record => "record",
        }
    }
}

/// A registry that is being filled.
struct Filling(Registry);

impl Filling {
    fn put<M: Metric + Clone>(&mut self, name: &str, help: &str, metric: M) -> M {
        self.0.register(name, help, metric.clone());
        metric
    }

    fn counter(&mut self, name: &str, help: &str) -> Counter {
        self.put(name, help, Counter::default())
    }

    fn gauge(&mut self, name: &str, help: &str) -> Gauge {
        self.put(name, help, Gauge::default())
    }

    fn seconds<M: Metric + Clone>(&mut self, name: &str, help: &str, metric: M) -> M {
        self.0.register_with_unit(name, help, Unit::Seconds, metric.clone());
        metric
    }

    /// Counters of which each series begins at 0.
    fn counters<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = Labels<N>>,
    ) -> Family<Labels<N>, Counter> {
        let family = self.put(name, help, Family::<Labels<N>, Counter>::default());
        series.into_iter().for_each(|labels| drop(family.get_or_create(&labels)));
        family
    }

    fn histograms<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
    ) -> Family<Labels<N>, Histogram, fn() -> Histogram> {
        self.seconds(name, help, Family::new_with_constructor(duration as fn() -> Histogram))
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut all = Filling(Registry::with_prefix("runtime_operator"));
        let build: Family<Labels<1>, Gauge> = Family::default();
        build.get_or_create(&[("version", env!("CARGO_PKG_VERSION"))]).set(1);
        all.0.register_with_unit("build", "The version that runs", Unit::Other("info".to_owned()), build);
        let waits = all.histograms("queue_wait", "How long a resource waited for its turn, by queue");
        for queue in Queue::ALL {
            drop(waits.get_or_create(&[("queue", queue.as_str())]));
        }
        let (census, certificates) = (CensusTaker::default(), Certificates::default());
        let reviews = ["token", "access"].into_iter().flat_map(|kind| {
            ["allowed", "denied", "failed"].map(|result| [("kind", kind), ("result", result)])
        });
        let connections = Purpose::ALL.into_iter().flat_map(|purpose| {
            ["ok", "failed"].map(|result| [("connection", purpose.as_str()), ("result", result)])
        });
        Self {
            reconciles: all.counter("reconciles", "Looks at a resource"),
            looks: all.seconds("reconcile_duration", "How long a look at a resource took", duration()),
            failures: all.counters(
                "reconcile_errors",
                "Looks and status writes that could not be finished, by reason",
                ERRORS.map(|reason| [("reason", reason)]),
            ),
            steps: all.counters(
                "steps",
                "Steps that Redis was asked for, by result",
                Applied::RESULTS.map(|result| [("result", result)]),
            ),
            waits,
            status_writes: all.counter("status_writes", "Writes of a status"),
            unreadable: all.counter("unreadable_resources", "Looks at resources whose spec can't be read"),
            leading: all.gauge("leading", "1 while this replica may write"),
            epoch: all.gauge("epoch", "The number that this replica's writes carry, 0 while it may not write"),
            fenced: all.counter("fenced_writes", "Writes that Redis refused since another writer has taken over"),
            redis_up: all.gauge("redis_up", "1 while Redis answers"),
            round_trips: all.seconds("redis_round_trip", "How long Redis took to answer", duration()),
            connections: all.counters(
                "redis_connections",
                "Connections to Redis that were opened or could not be, by what they are for",
                connections,
            ),
            drift: all.counters(
                "drift_found",
                "What Redis did not hold as it was recorded: numbers and configs that somebody else wrote, and records \
                 that did not stand a check of everything",
                Drift::ALL.map(|what| [("what", what.as_str())]),
            ),
            repaired: all.counter("drift_repaired", "Publishes that only brought back what Redis had lost"),
            repairs_held_back: all.counter(
                "drift_repairs_held_back",
                "Changes from outside that waited for their repair, since one resource's keys changed too often",
            ),
            audits: all.counter("audits", "Passes in which all that Redis holds was compared, piece by piece"),
            checks: all.counters(
                "redis_checks",
                "Checks of everything that Redis holds, by cause",
                ResyncCause::ALL.map(|cause| [("cause", cause.as_str())]),
            ),
            orphans: all.gauge("orphaned_records", "Ownership records of which the resource is gone"),
            sweeps_refused: all.counter(
                "orphan_sweeps_refused",
                "Sweeps that removed nothing since too many records had lost their resource at once",
            ),
            requests: all.counters(
                "admin_requests",
                "Requests of admin routes, by route template and status class",
                [],
            ),
            durations: all
                .histograms("admin_request_duration", "How long answers of admin routes took, by route template"),
            reviews: all.counters(
                "admin_reviews",
                "Reviews of tokens and rights that the API server was asked for, by result",
                reviews,
            ),
            registry: {
                all.0.register_collector(Box::new(census.clone()));
                all.0.register_collector(Box::new(certificates.clone()));
                Arc::new(all.0)
            },
            census,
            certificates,
        }
    }
}

impl Metrics {
    /// A look took so long, whatever came of it.
    pub fn looked(&self, took: Duration) {
        self.looks.observe(took.as_secs_f64());
    }

    /// A look failed for this reason, of a closed set.
    pub fn reconcile_failed(&self, reason: &'static str) {
        self.failures.get_or_create(&[("reason", reason)]).inc();
    }

    /// A resource's turn has come.
    pub fn waited(&self, queue: Queue, took: Duration) {
        self.waits.get_or_create(&[("queue", queue.as_str())]).observe(took.as_secs_f64());
    }

    /// Redis did this.
    pub fn applied(&self, applied: &Applied) {
        self.steps.get_or_create(&[("result", applied.as_str())]).inc();
    }

    /// So many things of a kind were not in Redis as the records say.
    pub fn drifted(&self, what: Drift, count: usize) {
        self.drift.get_or_create(&[("what", what.as_str())]).inc_by(u64::try_from(count).unwrap_or(u64::MAX));
    }

    /// Everything is to be checked.
    pub fn checked(&self, cause: ResyncCause) {
        self.checks.get_or_create(&[("cause", cause.as_str())]).inc();
    }

    /// An admin route is served: its series begin at 0.
    pub fn serves(&self, method: &'static str, route: &'static str) {
        for class in CLASSES {
            drop(self.requests.get_or_create(&[("method", method), ("route", route), ("status", class)]));
        }
        drop(self.durations.get_or_create(&[("method", method), ("route", route)]));
    }

    /// An admin route answered. `route` is a template, `method` its own: of a closed set, as the label says.
    pub fn answered(&self, method: &'static str, route: &'static str, status: u16, took: Duration) {
        let class = match status {
            0..400 => CLASSES[0],
            400..500 => CLASSES[1],
            _ => CLASSES[2],
        };
        self.requests.get_or_create(&[("method", method), ("route", route), ("status", class)]).inc();
        self.durations.get_or_create(&[("method", method), ("route", route)]).observe(took.as_secs_f64());
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
        self.reviews.get_or_create(&[("kind", kind), ("result", result)]).inc();
    }

    /// Resources and queues are counted by this from now on, whenever somebody asks.
    pub fn count_with(&self, take: impl Fn() -> Census + Send + Sync + 'static) {
        self.census.take_with(take);
    }

    /// When this certificate ends is told from now on. The file is read whenever somebody asks.
    pub fn watch_certificate(&self, certificate: Certificate, file: PathBuf) {
        self.certificates.watch(certificate, file);
    }

    /// Everything, as a scrape wants it.
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

impl Observer for Metrics {
    fn on_reply(&self, took: Duration) {
        self.round_trips.observe(took.as_secs_f64());
    }

    fn on_connected(&self, purpose: Purpose) {
        self.connections.get_or_create(&[("connection", purpose.as_str()), ("result", "ok")]).inc();
    }

    fn on_connect_failed(&self, purpose: Purpose) {
        self.connections.get_or_create(&[("connection", purpose.as_str()), ("result", "failed")]).inc();
    }
}

fn duration() -> Histogram {
    Histogram::new(BUCKETS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_series_is_there_before_anything_happened() {
        let text = Metrics::default().encode(Format::Text);
        for line in [
            "runtime_operator_reconcile_errors_total{reason=\"RedisUnreachable\"} 0",
            "runtime_operator_drift_found_total{what=\"number\"} 0",
            "runtime_operator_redis_connections_total{connection=\"tracking\",result=\"failed\"} 0",
            "runtime_operator_tenants{condition=\"Ready\",status=\"False\"} 0",
            "runtime_operator_queue_depth{queue=\"publish\"} 0",
        ] {
            assert!(text.lines().any(|is| is == line), "{line} is not in\n{text}");
        }
    }
}
