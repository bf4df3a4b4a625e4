//! Opens one connection within the timeouts.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisError};

use super::push_buffer::PushBuffer;

/// The limit of a connect, with TLS and login.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// The limit of a reply.
pub(in crate::store) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);
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
