//! The limits of the admin server: sizes, times and concurrency.

use std::time::Duration;

use crate::http::ConnectionLimits;

/// Concurrent connections to the admin port. With the other sockets of the process they are below 1,024, the usual soft
/// limit of open files.
pub const ADMIN_CONNECTIONS: usize = 512;
/// Concurrent connections of one peer to the admin port.
pub const ADMIN_CONNECTIONS_PER_PEER: usize = 128;
/// Concurrent requests to the admin port; the response to further ones is 503 `overloaded`.
pub const MAX_REQUESTS: usize = 256;
/// The bytes of all request bodies in memory; the response to further ones is 503 `overloaded`.
pub const BODY_BYTES: usize = 32 * 1024 * 1024;
/// The bytes of one peer's request bodies in memory.
pub const BODY_BYTES_PER_PEER: usize = 24 * 1024 * 1024;
/// The bytes of all responses that are not sent yet; the response to further requests is 503 `overloaded`.
pub const ANSWER_BYTES: usize = 32 * 1024 * 1024;
/// The bytes of one peer's responses that are not sent yet.
pub const ANSWER_BYTES_PER_PEER: usize = 24 * 1024 * 1024;
/// The bytes of a body of `/dids/map` and `/dids/unmap`; the response to a larger one is 413.
pub const MAX_SMALL_BODY_BYTES: usize = 64 * 1024;
/// The bytes of a stored config that are read for a response; a larger one is 500 `runtime_config_read_failed`.
pub const MAX_STORED_BYTES: usize = 16 * 1024 * 1024;
/// The memory that a config may need while it is checked. Only one of many tiny values needs more; the response is 413.
pub const MAX_DOCUMENT_MEMORY: usize = 96 * 1024 * 1024;
/// Responses and documents up to this size don't count, and documents up to it don't wait for each other.
pub const SMALL_BYTES: usize = 64 * 1024;
/// The bytes of a log line's text about a stored config.
pub const MAX_LOGGED_BYTES: usize = 512;
/// The time between two parts of a body, then 408.
pub const BODY_PAUSE: Duration = Duration::from_secs(10);
/// The time for a whole body, then 408.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(60);
/// The bytes of a bearer token or key; the response to a longer one is 401, without a review.
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;
/// The bytes of a tenant id or number in a path, decoded; the response to a longer one is 400, without a review of access.
pub const MAX_ARGUMENT_BYTES: usize = 1024;
/// The time for which a probe of Redis by `/health` counts.
pub const HEALTH_PROBE_INTERVAL: Duration = Duration::from_secs(1);
/// The requests with a wrong key that a client may make in [`KEY_FAILURE_WINDOW`]; the response to further ones is 429.
pub const MAX_KEY_FAILURES: u32 = 20;
/// The time after which a client's requests with a wrong key are forgotten.
pub const KEY_FAILURE_WINDOW: Duration = Duration::from_secs(60);
/// The clients whose requests with a wrong key are counted.
pub const MAX_FAILING_CLIENTS: u64 = 10_000;
/// The bytes of a key that a client presents: fewer or more are refused without being hashed.
pub const KEY_BYTES: std::ops::RangeInclusive<usize> = 32..=512;
/// The bytes of a key file.
pub const MAX_KEY_FILE_BYTES: u64 = 1024 * 1024;
/// The time for a review by the API server; then the request is rejected.
pub const REVIEW_TIMEOUT: Duration = Duration::from_secs(5);
/// Concurrent reviews by the API server.
pub const MAX_REVIEWS: usize = 16;
/// The time for which a review counts.
pub const REVIEW_TTL: Duration = Duration::from_secs(10);
/// The bytes of all reviewed users that are cached, and of all reviewed permissions.
pub const REVIEW_CACHE_BYTES: u64 = 2 * 1024 * 1024;

/// The limits of the admin server. `run` uses the default.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The limits of its connections.
    pub connections: ConnectionLimits,
    /// [`MAX_REQUESTS`].
    pub requests: usize,
    /// [`BODY_BYTES`].
    pub body_bytes: usize,
    /// [`BODY_BYTES_PER_PEER`].
    pub body_bytes_per_peer: usize,
    /// [`ANSWER_BYTES`].
    pub answer_bytes: usize,
    /// [`ANSWER_BYTES_PER_PEER`].
    pub answer_bytes_per_peer: usize,
    /// [`BODY_PAUSE`].
    pub body_pause: Duration,
    /// [`BODY_TIMEOUT`].
    pub body: Duration,
    /// [`REVIEW_TIMEOUT`].
    pub review: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: ConnectionLimits::new(ADMIN_CONNECTIONS, ADMIN_CONNECTIONS_PER_PEER),
            requests: MAX_REQUESTS,
            body_bytes: BODY_BYTES,
            body_bytes_per_peer: BODY_BYTES_PER_PEER,
            answer_bytes: ANSWER_BYTES,
            answer_bytes_per_peer: ANSWER_BYTES_PER_PEER,
            body_pause: BODY_PAUSE,
            body: BODY_TIMEOUT,
            review: REVIEW_TIMEOUT,
        }
    }
}
