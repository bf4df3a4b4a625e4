//! Opens one connection within the timeouts.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::io::tcp::socket2::TcpKeepalive;
use redis::{AsyncConnectionConfig, Client, RedisError};

use super::push_buffer::PushBuffer;

/// The limit of a connect, with TLS and login.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// The limit of a reply.
pub(in crate::store) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);
/// The idle time after which the kernel probes a connection, and the interval of its probes. The idle timeouts of clouds
/// are 240 s (Azure), 350 s (AWS) and 600 s (Google Cloud).
const TCP_KEEPALIVE: (Duration, Duration) = (Duration::from_secs(15), Duration::from_secs(5));
/// The time for which the kernel waits for an acknowledgement, of data or of a probe, before it closes the connection.
#[cfg(target_os = "linux")]
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(20);
/// The number of commands that may wait to be sent before callers wait.
const PIPELINE_CAPACITY: usize = 1024;

/// Opens a connection. With a buffer, the connection's pushes go into it.
pub(super) async fn open(
    client: &Client,
    pushes: Option<&PushBuffer>,
) -> Result<MultiplexedConnection, RedisError> {
    let mut config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(RESPONSE_TIMEOUT))
        .set_pipeline_buffer_size(PIPELINE_CAPACITY);
    if let Some(pushes) = pushes {
        config = config.set_push_sender(pushes.sender());
    }
    client.get_multiplexed_async_connection_with_config(&config).await
}

/// The options of every connection to Redis and to Sentinels.
pub(super) fn tcp_settings() -> TcpSettings {
    let (time, interval) = TCP_KEEPALIVE;
    let keepalive = TcpKeepalive::new().with_time(time).with_interval(interval);
    let settings = TcpSettings::default().set_nodelay(true).set_keepalive(keepalive);
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(TCP_USER_TIMEOUT);
    settings
}
