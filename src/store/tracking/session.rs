//! One connection that tracks the contract's keys, and the probe that checks it.

use std::sync::Arc;
use std::time::Duration;

use redis::Value;
use redis::aio::MultiplexedConnection;
use tokio::time::{Instant, sleep_until, timeout};

use super::info::field;
use super::report::Memory;
use crate::contract::{CONFIG_PREFIX, DID_PREFIX};
use crate::domain::Epoch;
use crate::domain::rate_limit::{Bucket, Decision, RateLimiter};
use crate::store::connection::{
    Endpoint, PushBuffer, RESPONSE_TIMEOUT, StoreError, connect, info_text, is_primary,
};
use crate::store::keys::{EPOCH_KEY, EPOCHS_KEY};
use crate::store::seen_epochs::SeenEpoch;

/// The limit of the probe's reply, after which the connection is replaced. It is the limit of every other reply: a Redis
/// that is slow, but replies, is one to write to.
const PROBE_TIMEOUT: Duration = RESPONSE_TIMEOUT;
/// The limit of drift checks, each of which covers all pushes since the one before: an external client that writes
/// without end must not cause checks without end.
const DRIFT_CHECKS: RateLimiter = RateLimiter::new(256, Duration::from_millis(5));

/// The server's identity; it changes with a restart or a failover.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct ServerIdentity {
    run_id: Option<String>,
    replication_id: Option<String>,
}

/// A connection that tracks.
pub(super) struct Session {
    pub(super) connection: MultiplexedConnection,
    pub(super) address: Arc<str>,
    pub(super) pushes: PushBuffer,
    pub(super) server: ServerIdentity,
    /// The epoch in Redis at the last probe, and the one that this process had acquired by then.
    pub(super) epoch: (Option<u64>, u64),
    drift_checks: Bucket,
}

impl Session {
    /// Connects and begins to track; then reads what the probe compares.
    pub(super) async fn open(endpoint: &Endpoint, seen: &SeenEpoch) -> Result<Self, StoreError> {
        let pushes = PushBuffer::default();
        let (mut connection, address) = connect(endpoint, Some(&pushes)).await?;
        let mut tracking = redis::cmd("CLIENT");
        tracking.arg("TRACKING").arg("ON").arg("BCAST");
        tracking.arg("PREFIX").arg(DID_PREFIX).arg("PREFIX").arg(CONFIG_PREFIX);
        let tracked: Result<(), _> = tracking.query_async(&mut connection).await;
        tracked.map_err(|error| StoreError::from_redis(&error, &address))?;
        let (server, epoch) = probe(&mut connection, &address, endpoint, seen).await?;
        let epoch = (epoch, seen.acquired());
        Ok(Self { connection, address, pushes, server, epoch, drift_checks: Bucket::default() })
    }

    /// Reads the server's identity and the epoch.
    pub(super) async fn probe(
        &mut self,
        endpoint: &Endpoint,
        seen: &SeenEpoch,
    ) -> Result<(ServerIdentity, Option<u64>), StoreError> {
        probe(&mut self.connection, &self.address, endpoint, seen).await
    }

    /// Reads the memory of Redis.
    pub(super) async fn memory(&mut self) -> Result<Memory, StoreError> {
        let mut pipe = redis::pipe();
        pipe.cmd("INFO").arg("memory").cmd("INFO").arg("stats");
        let named = |error: redis::RedisError| StoreError::from_redis(&error, &self.address);
        let replies: Vec<Value> = pipe.query_async(&mut self.connection).await.map_err(named)?;
        let infos: Result<Vec<String>, _> = replies.into_iter().map(info_text).collect();
        Ok(Memory::decode(&infos.map_err(named)?.concat()))
    }

    /// Returns `true` if a flush concerned the operator's database: the message does not name one. The keys of epochs are
    /// gone then, or hold what other processes wrote since. If this process has acquired an epoch since, a resync follows
    /// anyway.
    pub(super) async fn is_flushed(
        &mut self,
        (writer, process_id): (&str, &str),
        seen: &SeenEpoch,
    ) -> Result<bool, StoreError> {
        let mut pipe = redis::pipe();
        pipe.cmd("GET").arg(EPOCH_KEY).cmd("HGET").arg(EPOCHS_KEY).arg(writer);
        let named = |error: redis::RedisError| StoreError::from_redis(&error, &self.address);
        let replies: Vec<Value> =
            pipe.ignore_errors().query_async(&mut self.connection).await.map_err(named)?;
        // A key of another type, which only another client can have written, is read as absent.
        let [epoch, acquired] =
            <[Value; 2]>::try_from(replies).map_err(|_| StoreError::unexpected_reply())?;
        let epoch: Option<u64> = redis::from_redis_value(epoch).unwrap_or_default();
        let acquired: Option<String> = redis::from_redis_value(acquired).unwrap_or_default();
        if seen.acquired() > 0 {
            let own = acquired.and_then(|acquired| Some(acquired.split_once('/')?.1 == process_id));
            return Ok(epoch.is_none() || own != Some(true));
        }
        Ok(epoch.is_none() || epoch != self.epoch.0)
    }

    /// Waits until the rate limit allows a drift check.
    pub(super) async fn rate_limit(&mut self) {
        while let Decision::Defer { until } =
            DRIFT_CHECKS.check(&mut self.drift_checks, Instant::now().into_std())
        {
            sleep_until(Instant::from_std(until)).await;
        }
    }

    /// The error of a connection that the server closed.
    pub(super) fn closed(&self) -> StoreError {
        let cause = "the connection was closed".to_owned();
        StoreError::Unreachable { address: self.address.to_string(), cause }
    }
}

async fn probe(
    connection: &mut MultiplexedConnection,
    address: &str,
    endpoint: &Endpoint,
    seen: &SeenEpoch,
) -> Result<(ServerIdentity, Option<u64>), StoreError> {
    let mut pipe = redis::pipe();
    pipe.cmd("GET").arg(EPOCH_KEY).cmd("INFO").arg("server").cmd("INFO").arg("replication");
    pipe.cmd("CLIENT").arg("TRACKINGINFO").ignore_errors();
    // Both keys of epochs are read, so that a policy that evicts what was not used lately spares them.
    pipe.cmd("HVALS").arg(EPOCHS_KEY).ignore();
    let replies = timeout(PROBE_TIMEOUT, pipe.query_async::<Vec<Value>>(connection)).await;
    let replies = replies.map_err(|_| StoreError::TimedOut)?;
    let named = |error: redis::RedisError| StoreError::from_redis(&error, address);
    let replies: [Value; 4] =
        replies.map_err(named)?.try_into().map_err(|_| StoreError::unexpected_reply())?;
    let [epoch, server, replication, tracking] = replies;
    let epoch = match epoch.extract_error() {
        // A key of another type is lost, and the leader's to replace.
        Err(error) if error.code() == Some("WRONGTYPE") => None,
        epoch => redis::from_redis_value::<Option<u64>>(epoch.map_err(named)?).unwrap_or_default(),
    };
    if let Some(epoch) = epoch {
        seen.note(Epoch(epoch));
    }
    let (server, replication) = (info_text(server).map_err(named)?, info_text(replication).map_err(named)?);
    if endpoint.sentinel_service().is_some() && !is_primary(&replication) {
        return Err(StoreError::ReadOnly);
    }
    if !is_tracking(tracking) {
        return Err(StoreError::Unexpected("the connection no longer tracks keys".to_owned()));
    }
    let run_id = field(&server, "run_id");
    Ok((ServerIdentity { run_id, replication_id: field(&replication, "master_replid") }, epoch))
}

/// Returns `true` if a reply to `CLIENT TRACKINGINFO` says that the connection tracks, or if the reply is an error: a
/// Redis before 6.2 does not know the command.
fn is_tracking(reply: Value) -> bool {
    let Value::Map(fields) = reply else { return true };
    fields.into_iter().any(|(name, value)| {
        let name: Result<String, _> = redis::from_redis_value(name);
        let flags: Result<Vec<String>, _> = redis::from_redis_value(value);
        name.is_ok_and(|name| name == "flags")
            && flags.is_ok_and(|flags| flags.iter().any(|flag| flag == "bcast"))
    })
}
