//! Permits for large specs: those that are read and compiled at the same time are bounded in bytes, not in number.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The bytes of large specs that are in flight. One that is read, compiled, written with its secret and sent takes about six
/// times its length.
pub const LARGE_SPECS_IN_FLIGHT: usize = 4 << 20;
/// The bytes of one permit.
const UNIT: usize = 1 << 10;

/// The permits for large specs. Small ones take none: their number is bounded.
#[derive(Clone, Debug)]
pub struct LargeSpecs(Arc<Semaphore>);

impl Default for LargeSpecs {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(LARGE_SPECS_IN_FLIGHT / UNIT)))
    }
}

impl LargeSpecs {
    /// Waits for the permits that a spec of this length, in bytes, takes.
    pub async fn permit(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let units = bytes.div_ceil(UNIT).min(LARGE_SPECS_IN_FLIGHT / UNIT);
        // The semaphore is never closed.
        Arc::clone(&self.0).acquire_many_owned(u32::try_from(units).unwrap_or(u32::MAX)).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn specs_in_flight_are_bounded_in_bytes() {
        let specs = LargeSpecs::default();
        let most: Vec<_> = (0..4).map(|_| specs.permit(1 << 20).now_or_never().unwrap().unwrap()).collect();
        assert!(specs.permit(33 << 10).now_or_never().is_none());
        drop(most);
        assert!(
            specs.permit(100 << 20).now_or_never().unwrap().is_some(),
            "one that is larger than all permits"
        );
    }
}
