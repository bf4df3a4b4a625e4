//! The limits of the controller, which docs/limits.md lists.

pub use super::bounded::{LARGE_BODIES, MAX_BODY, SMALL_BODY};
pub use super::large_specs::LARGE_SPECS_IN_FLIGHT;
pub use super::queue::{
    Concurrency, MAX_STATUS_DELAY, PAUSE_FACTOR, SATURATION_THRESHOLD, SATURATION_WINDOW, STATUS_BACKLOG,
};
pub use super::reconcile::MAX_GROUP_BYTES;
pub use super::secrets::MAX_HELD_VALUES;
pub use super::status::{EVENT_CONCURRENCY, EVENT_QUEUE};
pub use super::watch::{MAX_STATUS, PAGE_BYTES, READ_AHEAD};

/// The reconciles that run concurrently.
pub const RECONCILE_CONCURRENCY: Concurrency = Concurrency { shared: 64, own: 4, most: 256 };
/// The statuses that are written concurrently.
pub const STATUS_CONCURRENCY: Concurrency = Concurrency { shared: 16, own: 2, most: 64 };
