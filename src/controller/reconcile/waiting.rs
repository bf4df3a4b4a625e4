//! What a reconcile waits for, so that a slow one can say so while it waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use crate::domain::index::Failure;
use crate::domain::reason::Reason;

tokio::task_local! {
    /// The peer for which the reconcile in this scope waits.
    static CURRENT: WaitingFor;
}

/// The other side for whose answer a reconcile waits. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct WaitingFor(Arc<AtomicU8>);

/// The other side of a request.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub enum Peer {
    /// Redis, or another reconcile's step in Redis.
    Redis = 0,
    /// The API server, for a Secret.
    Secret = 1,
    /// The API server, for a resource.
    Resource = 2,
    /// Other reconciles, for the memory that their large specs take.
    LargeSpecs = 3,
}

impl WaitingFor {
    /// Runs a reconcile, whose [`requests`](request) are noted here.
    pub fn scope<T>(&self, reconcile: impl Future<Output = T>) -> impl Future<Output = T> {
        CURRENT.scope(self.clone(), reconcile)
    }

    /// The failure that a reconcile has so far, which has waited for this time.
    pub fn failure(&self, waited: Duration) -> Failure {
        let seconds = waited.as_secs_f64();
        let (reason, message) = match self.0.load(Ordering::Relaxed) {
            peer if peer == Peer::Secret as u8 => (
                Reason::SecretUnreadable,
                format!("the API server has not returned the Secret for {seconds} s"),
            ),
            peer if peer == Peer::Resource as u8 => {
                (Reason::ApiServerUnavailable, format!("the API server has not answered for {seconds} s"))
            }
            peer if peer == Peer::LargeSpecs as u8 => (
                Reason::ApiServerUnavailable,
                format!(
                    "other large resources are being read and published; this one has waited for {seconds} s"
                ),
            ),
            _ => (Reason::RedisTimedOut, format!("Redis has not replied for {seconds} s")),
        };
        Failure { reason, message, is_store: false, is_epoch_lost: false }
    }
}

/// Waits for the answer to a request to this peer, after which the reconcile waits for Redis again.
pub async fn request<T>(peer: Peer, answer: impl Future<Output = T>) -> T {
    // Outside of a reconcile there is no scope.
    let set = |peer: Peer| {
        let _ = CURRENT.try_with(|current| current.0.store(peer as u8, Ordering::Relaxed));
    };
    set(peer);
    let answer = answer.await;
    set(Peer::Redis);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_slow_reconcile_says_what_it_waits_for() {
        let waiting = WaitingFor::default();
        let reason = || waiting.failure(Duration::from_secs(1)).reason;
        waiting
            .scope(async {
                assert_eq!(reason(), Reason::RedisTimedOut);
                request(Peer::Secret, async { assert_eq!(reason(), Reason::SecretUnreadable) }).await;
                request(Peer::Resource, async { assert_eq!(reason(), Reason::ApiServerUnavailable) }).await;
                request(Peer::LargeSpecs, async { assert_ne!(reason(), Reason::RedisTimedOut) }).await;
                assert_eq!(reason(), Reason::RedisTimedOut);
            })
            .await;
    }
}
