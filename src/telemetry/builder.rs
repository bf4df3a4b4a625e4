//! Registers metrics of each kind.

use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry, Unit};

use super::labels::Labels;

/// The buckets of histograms, in seconds: from a Redis lookup to the timeout of an API request.
const BUCKETS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// A family of histograms that share [`BUCKETS`].
pub(super) type Histograms<const N: usize> = Family<Labels<N>, Histogram, fn() -> Histogram>;

/// Registers metrics, each with its help. The registry adds the prefix, and `_total` to the names of counters.
pub(super) struct MetricsBuilder(Registry);

impl MetricsBuilder {
    pub(super) fn new() -> Self {
        let mut registry = Registry::with_prefix("runtime_operator");
        let build: Family<Labels<1>, Gauge> = Family::default();
        build.get_or_create(&[("version", env!("CARGO_PKG_VERSION"))]).set(1);
        registry.register_with_unit("build", "Running version", Unit::Other("info".to_owned()), build);
        Self(registry)
    }

    pub(super) fn counter(&mut self, name: &str, help: &str) -> Counter {
        self.register(name, help, Counter::default())
    }

    pub(super) fn gauge(&mut self, name: &str, help: &str) -> Gauge {
        self.register(name, help, Gauge::default())
    }

    pub(super) fn gauge_bytes(&mut self, name: &str, help: &str) -> Gauge {
        let gauge = Gauge::default();
        self.0.register_with_unit(name, help, Unit::Bytes, gauge.clone());
        gauge
    }

    pub(super) fn histogram(&mut self, name: &str, help: &str) -> Histogram {
        self.register_seconds(name, help, duration_histogram())
    }

    /// A family of counters; `series` are those that exist from the start.
    pub(super) fn counters<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = Labels<N>>,
    ) -> Family<Labels<N>, Counter> {
        let family = self.register(name, help, Family::<Labels<N>, Counter>::default());
        for labels in series {
            // Creates the series; the guard holds a lock.
            drop(family.get_or_create(&labels));
        }
        family
    }

    /// A family of gauges; `series` are those that exist from the start, with the value 0.
    pub(super) fn gauges<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = Labels<N>>,
    ) -> Family<Labels<N>, Gauge> {
        let family = self.register(name, help, Family::<Labels<N>, Gauge>::default());
        for labels in series {
            drop(family.get_or_create(&labels));
        }
        family
    }

    /// A family of histograms; `series` are those that exist from the start.
    pub(super) fn histograms<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = Labels<N>>,
    ) -> Histograms<N> {
        let constructor = duration_histogram as fn() -> Histogram;
        let family = self.register_seconds(name, help, Family::new_with_constructor(constructor));
        for labels in series {
            drop(family.get_or_create(&labels));
        }
        family
    }

    /// Registers a collector, which computes its metrics at each scrape.
    pub(super) fn collector(&mut self, collector: impl Collector + 'static) {
        self.0.register_collector(Box::new(collector));
    }

    pub(super) fn finish(self) -> Arc<Registry> {
        Arc::new(self.0)
    }

    fn register<M: Metric + Clone>(&mut self, name: &str, help: &str, metric: M) -> M {
        self.0.register(name, help, metric.clone());
        metric
    }

    fn register_seconds<M: Metric + Clone>(&mut self, name: &str, help: &str, metric: M) -> M {
        self.0.register_with_unit(name, help, Unit::Seconds, metric.clone());
        metric
    }
}

fn duration_histogram() -> Histogram {
    Histogram::new(BUCKETS)
}
