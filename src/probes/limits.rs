//! The limits of the telemetry port. It answers immediately, so a kubelet and a Prometheus need few connections.

use std::time::Duration;

use crate::http::ConnectionLimits;

/// Concurrent connections to the telemetry port.
pub const TELEMETRY_CONNECTIONS: usize = 128;
/// Concurrent connections of one peer to the telemetry port.
pub const TELEMETRY_CONNECTIONS_PER_PEER: usize = 32;
/// The bytes of a request's head on the telemetry port.
pub const TELEMETRY_HEAD_BYTES: usize = 16 * 1024;
/// The time for a request's head on the telemetry port; and for an idle connection.
pub const TELEMETRY_HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// The time for which a client of the telemetry port may read nothing of its response.
pub const TELEMETRY_ANSWER_PAUSE: Duration = Duration::from_secs(10);
/// The time in which a client of the telemetry port must have read its response.
pub const TELEMETRY_ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// The time for requests in flight on the telemetry port when the process stops.
pub const TELEMETRY_STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// The limits of the telemetry port.
#[must_use]
pub fn limits() -> ConnectionLimits {
    ConnectionLimits {
        head_bytes: TELEMETRY_HEAD_BYTES,
        head: TELEMETRY_HEAD_TIMEOUT,
        answer_pause: TELEMETRY_ANSWER_PAUSE,
        answer: TELEMETRY_ANSWER_TIMEOUT,
        stop: TELEMETRY_STOP_TIMEOUT,
        ..ConnectionLimits::new(TELEMETRY_CONNECTIONS, TELEMETRY_CONNECTIONS_PER_PEER)
    }
}
