//! What happens to a key after it was processed.

use std::time::Duration;

/// When a key is processed again, unless it is enqueued before: kube-runtime's `Action`, which has no getter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Action(Option<Duration>);

impl Action {
    /// Only when it is enqueued.
    #[must_use]
    pub const fn await_change() -> Self {
        Self(None)
    }

    /// After this time.
    #[must_use]
    pub const fn requeue(after: Duration) -> Self {
        Self(Some(after))
    }

    /// The time after which the key is processed again.
    #[must_use]
    pub const fn requeue_after(self) -> Option<Duration> {
        self.0
    }
}
