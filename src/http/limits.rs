//! The limits on connections that both servers share. Each server adds its own number of connections.

use std::time::Duration;

/// The time for a request's head, then 408; and for an idle connection, which is then closed.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// The time for a TLS handshake.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// The bytes of a request's head; the response to a longer one is 431.
pub const MAX_HEAD_BYTES: usize = 32 * 1024;
/// The headers of a request; the response to one with more is 431.
pub const MAX_HEADERS: usize = 100;
/// The time for which a client may read nothing of its response; then the connection is closed.
pub const ANSWER_PAUSE: Duration = Duration::from_secs(30);
/// The time in which a client must have read the whole response; then the connection is closed.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// The bytes of a response that the operating system holds for a client that does not read.
pub const SEND_BUFFER_BYTES: usize = 128 * 1024;
/// The connections that the operating system holds until they are accepted.
pub const ACCEPT_BACKLOG: i32 = 1024;
/// The time for requests in flight when the process stops.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// The time for the rest of a request's head when the process stops.
pub const STOP_HEAD_TIMEOUT: Duration = Duration::from_secs(1);

/// The limits of one server's connections.
#[derive(Clone, Debug)]
pub struct ConnectionLimits {
    /// Concurrent connections of all peers. Beyond it the connection that has waited longest for a head goes first.
    pub connections: usize,
    /// Concurrent connections of one peer, with the same order.
    pub connections_per_peer: usize,
    /// [`MAX_HEAD_BYTES`], or less.
    pub head_bytes: usize,
    /// [`HANDSHAKE_TIMEOUT`].
    pub handshake: Duration,
    /// [`HEAD_TIMEOUT`].
    pub head: Duration,
    /// [`ANSWER_PAUSE`].
    pub answer_pause: Duration,
    /// [`ANSWER_TIMEOUT`].
    pub answer: Duration,
    /// [`STOP_TIMEOUT`].
    pub stop: Duration,
    /// [`STOP_HEAD_TIMEOUT`].
    pub stop_head: Duration,
}

impl ConnectionLimits {
    /// The limits of a server with this number of connections, in all and for each peer.
    #[must_use]
    pub const fn new(connections: usize, connections_per_peer: usize) -> Self {
        Self {
            connections,
            connections_per_peer,
            head_bytes: MAX_HEAD_BYTES,
            handshake: HANDSHAKE_TIMEOUT,
            head: HEAD_TIMEOUT,
            answer_pause: ANSWER_PAUSE,
            answer: ANSWER_TIMEOUT,
            stop: STOP_TIMEOUT,
            stop_head: STOP_HEAD_TIMEOUT,
        }
    }
}
