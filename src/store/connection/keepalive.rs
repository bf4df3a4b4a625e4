//! Checks on an idle connection whether it still leads to Redis: load balancers, NAT and firewalls forget idle connections silently.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use tokio::time::timeout;

use super::RESPONSE_TIMEOUT;

/// The interval of the probe of an idle connection: well below the idle timeouts of clouds, the shortest of which are some
/// minutes.
pub(super) const PROBE_INTERVAL: Duration = Duration::from_secs(2);
/// After this long without a reply, a connection is probed before a request is sent on it. The probes of an idle connection
/// keep it below, as long as Redis replies to them.
const UNPROVEN_AFTER: Duration = Duration::from_secs(5);
/// The limit of the reply to that probe: the request waits for it.
const PROOF_TIMEOUT: Duration = Duration::from_secs(2);

/// The time of a connection's last reply, shared by its clones.
#[derive(Clone)]
pub(super) struct LastReply {
    opened: Instant,
    /// Milliseconds since `opened`.
    at: Arc<AtomicU64>,
}

impl LastReply {
    /// The last reply of a connection that was just opened.
    pub(super) fn now() -> Self {
        Self { opened: Instant::now(), at: Arc::default() }
    }

    pub(super) fn note(&self) {
        let elapsed = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.at.fetch_max(elapsed, Ordering::Relaxed);
    }

    fn age(&self) -> Duration {
        self.opened.elapsed().saturating_sub(Duration::from_millis(self.at.load(Ordering::Relaxed)))
    }

    /// Returns `true` if the connection was idle for the interval of the probe.
    pub(super) fn is_probe_due(&self) -> bool {
        self.age() >= PROBE_INTERVAL
    }

    /// Returns `true` if the connection replied lately, or replies to a probe now.
    pub(super) async fn is_proven(&self, connection: MultiplexedConnection) -> bool {
        self.age() < UNPROVEN_AFTER || self.answers(connection, PROOF_TIMEOUT).await
    }

    /// Sends a `PING`, and returns `true` if there is any reply in the time that every request has.
    pub(super) async fn probe(&self, connection: MultiplexedConnection) -> bool {
        self.answers(connection, RESPONSE_TIMEOUT).await
    }

    async fn answers(&self, mut connection: MultiplexedConnection, limit: Duration) -> bool {
        let reply = timeout(limit, redis::cmd("PING").exec_async(&mut connection)).await;
        // An error that Redis sends is a reply, too.
        let answered = match reply {
            Ok(Ok(())) => true,
            Ok(Err(error)) => !error.is_timeout() && !error.is_connection_dropped(),
            Err(_) => false,
        };
        if answered {
            self.note();
        }
        answered
    }
}
