//! Connects modules that don't know each other: the store and the controller on one side, metrics and probes on the other.

use std::time::Duration;

use crate::controller::{self, Error, QUEUES};
use crate::probes;
use crate::store::{Applied, Observer, Purpose, ResyncCause};
use crate::telemetry::{LabelValues, Metrics};

/// Creates the operator's metrics, with the label values that the store and the controller define.
#[must_use]
pub fn metrics() -> Metrics {
    Metrics::new(&LabelValues {
        reconcile_errors: &Error::reasons(),
        operation_results: &Applied::RESULTS,
        connection_purposes: &Purpose::ALL.map(Purpose::as_str),
        resync_causes: &ResyncCause::ALL.map(ResyncCause::as_str),
        queues: &QUEUES,
    })
}

/// Counts what the store observes.
pub struct StoreMetrics(pub Metrics);

impl Observer for StoreMetrics {
    fn on_reply(&self, took: Duration) {
        self.0.observe_redis_round_trip(took);
    }

    fn on_connected(&self, purpose: Purpose) {
        self.0.count_redis_connection(purpose.as_str(), true);
    }

    fn on_connect_failed(&self, purpose: Purpose) {
        self.0.count_redis_connection(purpose.as_str(), false);
    }
}

impl probes::Health for controller::Health {
    fn ready(&self) -> Result<String, String> {
        self.ready()
    }

    fn alive(&self) -> Result<(), String> {
        self.alive()
    }
}
