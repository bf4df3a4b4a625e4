//! The first commands on a new connection: its name, and a check that the server is one to write to.

use redis::aio::MultiplexedConnection;
use redis::{RedisError, Value};

use super::error::{RequestError, StoreError};

/// Names the connection (`CLIENT LIST` shows the name), and rejects a server in cluster mode. With `require_primary`,
/// it rejects a replica too: Sentinels may lag behind a failover. Without Sentinels, the first write reports a replica.
pub(super) async fn handshake(
    connection: &mut MultiplexedConnection,
    require_primary: bool,
) -> Result<(), RequestError> {
    let mut pipe = redis::pipe();
    pipe.cmd("CLIENT").arg("SETNAME").arg("runtime-operator").ignore();
    pipe.cmd("INFO").arg("cluster");
    pipe.cmd("INFO").arg("replication");
    let replies: Vec<Value> = pipe.ignore_errors().query_async(connection).await?;
    let mut infos = replies.into_iter().map(info_text);
    let (Some(cluster), Some(replication)) = (infos.next(), infos.next()) else {
        return Err(StoreError::Unexpected("the handshake got too few replies".to_owned()).into());
    };
    if info_field(&cluster?, "cluster_enabled") == Some("1") {
        return Err(StoreError::ClusterMode.into());
    }
    if require_primary && !is_primary(&replication?) {
        return Err(StoreError::ReadOnly.into());
    }
    Ok(())
}

/// Returns the text of a reply to `INFO`.
pub(in crate::store) fn info_text(reply: Value) -> Result<String, RedisError> {
    let reply = match reply {
        Value::ServerError(error) => return Err(error.into()),
        other => other,
    };
    Ok(redis::from_redis_value(reply)?)
}

/// Returns one field of a reply to `INFO`.
pub(in crate::store) fn info_field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines()
        .find_map(|line| line.split_once(':').filter(|(field, _)| *field == name).map(|(_, value)| value))
}

/// Returns `true` if a reply to `INFO replication` is a primary's.
pub(in crate::store) fn is_primary(replication: &str) -> bool {
    info_field(replication, "role") == Some("master")
}
