//! The intervals of the periodic tasks.

use std::time::Duration;

use rand::Rng;

use crate::domain::backoff;

/// The intervals of the periodic tasks.
#[derive(Clone, Copy, Debug)]
pub struct Intervals {
    /// Between two audits; each time between half and one and a half of it.
    pub audit: Duration,
    /// Between two sweeps for orphans.
    pub sweep: Duration,
    /// The time for which a record must lack its resource before it is an orphan: longer than a relist from a stale API
    /// server takes.
    pub grace: Duration,
    /// The number of tenants that an audit compares in one round trip.
    pub batch_size: usize,
}

impl Default for Intervals {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { audit: seconds(300), sweep: seconds(10), grace: seconds(60), batch_size: 256 }
    }
}

/// Between half and one and a half of `time`, so that what failed together does not return together.
#[must_use]
pub fn jittered(time: Duration) -> Duration {
    backoff::jittered(time, rand::rng().random_range(0.0..1.0))
}
