//! Reads the keys that other programs have written, with few rights: SCAN, GET, MGET and TYPE. Writes nothing, and needs no
//! primary.

use std::sync::Arc;
use std::time::Duration;

use redis::FromRedisValue;
use redis::aio::MultiplexedConnection;
use tokio::time::{MissedTickBehavior, interval};

use super::connection::{Endpoint, RedisSettings, SettingsError, StoreError};

/// The number of keys that one SCAN visits.
const SCAN_COUNT: usize = 500;

/// A connection that only reads.
#[derive(Clone)]
pub struct KeyReader {
    connection: MultiplexedConnection,
    address: Arc<str>,
}

/// The reason for which no connection could be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The settings are wrong.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Redis can't be reached, or refuses.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl KeyReader {
    /// Opens a connection to the server of the URL, or to the primary that Sentinels name.
    pub async fn open(settings: RedisSettings) -> Result<Self, OpenError> {
        // See `Store::new`.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let endpoint = Endpoint::check(settings)?;
        let (connection, address) = super::connection::open_unchecked(&endpoint).await?;
        Ok(Self { connection, address })
    }

    /// Returns all keys that begin with a prefix, each once and in order. At most one SCAN is sent in each `pause`.
    pub async fn keys(&self, prefix: &str, pause: Duration) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut pauses = interval(pause);
        pauses.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut cursor, mut keys) = ("0".to_owned(), Vec::new());
        let pattern = format!("{prefix}*");
        loop {
            pauses.tick().await;
            let mut scan = redis::cmd("SCAN");
            scan.arg(&cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(SCAN_COUNT);
            let (next, found): (String, Vec<Vec<u8>>) = self.query(&scan).await?;
            keys.extend(found);
            if next == "0" {
                break;
            }
            cursor = next;
        }
        keys.sort_unstable();
        keys.dedup();
        Ok(keys)
    }

    /// Returns the values of keys; none for a key that is gone or no string.
    pub async fn values(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        self.query(redis::cmd("MGET").arg(keys)).await
    }

    /// Returns the type of a key; `none` for one that is gone.
    pub async fn kind(&self, key: &[u8]) -> Result<String, StoreError> {
        self.query(redis::cmd("TYPE").arg(key)).await
    }

    async fn query<T: FromRedisValue>(&self, command: &redis::Cmd) -> Result<T, StoreError> {
        let reply = command.query_async(&mut self.connection.clone()).await;
        reply.map_err(|error| StoreError::from_redis(&error, &self.address))
    }
}
