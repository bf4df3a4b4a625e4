//! A probe of Redis, kept for callers of the next moment.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::store::StoreError;

/// A probe of Redis.
#[derive(Clone)]
pub(super) struct Probed {
    pub(super) since: Instant,
    pub(super) at: Timestamp,
    pub(super) outcome: Result<Duration, StoreError>,
}
