//! Connects modules that don't know each other: the store and the controller on one side, metrics and probes on the other.

use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};

use crate::admin::KeyFileNotice;
use crate::controller::{self, Error, QUEUES};
use crate::probes;
use crate::store::{Applied, OPTIONAL_COMMANDS, Observer, Purpose, ResyncCause};
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
        optional_commands: &OPTIONAL_COMMANDS,
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

    fn on_denied(&self, commands: &[&'static str]) {
        self.0.set_denied_commands(&OPTIONAL_COMMANDS, commands);
        if commands.is_empty() {
            info!("Redis denies no optional command any more");
        } else {
            let commands = commands.join(", ");
            warn!(%commands, "Redis' ACL denies optional commands: grant them (docs/security.md)");
        }
    }

    fn on_replaced(&self, keys: &[String]) {
        warn!(keys = keys.join(", "), "own keys in Redis held another type, and were replaced");
    }
}

/// The health of the controller, and what the admin routes have to say beside it.
pub struct ReplicaHealth {
    /// The controller's part, which decides.
    pub controller: Arc<controller::Health>,
    /// The notice about the key file, which makes no replica unready: the earlier keys still count.
    pub key_file: KeyFileNotice,
}

impl probes::Health for ReplicaHealth {
    fn ready(&self) -> Result<String, String> {
        let state = self.controller.ready()?;
        Ok(match self.key_file.get() {
            Some(notice) => format!("{state}\nwarning: {notice}"),
            None => state,
        })
    }

    fn alive(&self) -> Result<(), String> {
        self.controller.alive()
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
