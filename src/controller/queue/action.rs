//! The requeue that follows the processing of a key.

use std::time::Duration;

/// The time after which a key is processed again, unless it is enqueued before: kube-runtime's `Action`, which has no
/// getter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Action(Option<Duration>);

impl Action {
    /// Processes the key again only when it is enqueued.
    #[must_use]
    pub const fn await_change() -> Self {
        Self(None)
    }

    /// Processes the key again after this time.
    #[must_use]
    pub const fn requeue(after: Duration) -> Self {
        Self(Some(after))
    }

    /// The time after which the key is processed again; none: only when it is enqueued.
    #[must_use]
    pub const fn requeue_after(self) -> Option<Duration> {
        self.0
    }
}
