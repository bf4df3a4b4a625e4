//! The client of Redis: its writer identity, the fencing epoch, and lookups.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::Cmd;
use secrecy::SecretSlice;

use super::connection::{
    Endpoint, Observer, RedisSettings, Repeat, RequestError, SettingsError, SharedConnection, StoreError,
};
use super::keys::{EPOCH_KEY, EPOCHS_KEY};
use super::optional_commands::DeniedCommands;
use super::script;
use super::seen_epochs::SeenEpoch;
use crate::contract::{Did, TenantId, config_key, did_key};
use crate::domain::Epoch;

/// A client of Redis, which connects with its first request. Cheap to clone; clones share one connection.
#[derive(Clone)]
pub struct Store {
    pub(super) connection: Arc<SharedConnection>,
    pub(super) seen: Arc<SeenEpoch>,
    pub(super) writer: Arc<str>,
    pub(super) process_id: Arc<str>,
    pub(super) denied: Arc<DeniedCommands>,
}

/// The document that is stored as a tenant's config.
#[derive(Debug)]
pub enum StoredConfig {
    /// Nothing.
    Absent,
    /// These bytes, which may hold the webhook secret.
    Bytes(SecretSlice<u8>),
    /// More bytes than the caller reads: this number of them.
    Larger(usize),
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

impl Store {
    /// Checks the settings and the files that they name; does not connect.
    pub fn new(settings: RedisSettings) -> Result<Self, SettingsError> {
        // Without a default, rustls panics where the crates of a build enable more than one provider. If another
        // caller has installed one before, that one serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let endpoint = Arc::new(Endpoint::check(settings)?);
        let connection = Arc::new(SharedConnection::new(endpoint));
        Ok(Self {
            connection,
            seen: Arc::default(),
            writer: "".into(),
            process_id: "".into(),
            denied: Arc::default(),
        })
    }

    /// Sets the writer identity. Replicas that must not write concurrently share `writer`. `process_id` is unique: it
    /// distinguishes two leaders that acquired the same epoch because the counter was lost in between.
    #[must_use]
    pub fn with_writer(mut self, writer: &str, process_id: &str) -> Self {
        self.writer = writer.into();
        self.process_id = process_id.into();
        self
    }

    /// Registers an observer for all clones of this store. Only the first registration counts.
    #[must_use]
    pub fn with_observer(self, observer: Arc<dyn Observer>) -> Self {
        self.connection.set_observer(observer);
        self
    }

    /// Acquires the next epoch: from now on, Redis rejects this writer's writes that carry an earlier one.
    ///
    /// The new epoch is above every epoch that this process has seen, even when the counter was lost in between.
    pub async fn acquire_epoch(&self) -> Result<Epoch, StoreError> {
        let seen = self.seen.highest();
        let mut call = script::call(&script::ACQUIRE_EPOCH);
        call.arg(2).arg(EPOCH_KEY).arg(EPOCHS_KEY).arg(seen).arg(&*self.writer).arg(&*self.process_id);
        let _acquiring = self.seen.begin_acquire();
        let replies = self.run(&script::ACQUIRE_EPOCH, &[call]).await?;
        let reply = replies.into_iter().next().and_then(|reply| redis::from_redis_value(reply).ok());
        let (acquired, denied, known): (u64, String, u8) = reply.ok_or_else(StoreError::unexpected_reply)?;
        if known == 0 {
            self.seen.note_lost();
        }
        self.note_denied(&denied, true);
        let epoch = Epoch(acquired);
        self.seen.note_acquired(epoch, seen);
        Ok(epoch)
    }

    /// Sends a `PING` and returns the time until the reply, with the connect if there is no connection.
    pub async fn ping(&self) -> Result<Duration, StoreError> {
        let sent = Instant::now();
        self.query::<String>(&redis::cmd("PING")).await?;
        Ok(sent.elapsed())
    }

    /// Reads the bytes stored as a tenant's config, unless they are more than `most`.
    pub async fn config(&self, tenant: &TenantId, most: usize) -> Result<StoredConfig, StoreError> {
        let mut call = script::call(&script::READ);
        call.arg(1).arg(config_key(tenant)).arg(most);
        let key = config_key(tenant);
        let replies = self.run(&script::READ, &[call]).await.map_err(|error| error.naming(&key))?;
        let reply = replies.into_iter().next();
        let Some(redis::Value::Array(reply)) = reply else { return Err(StoreError::unexpected_reply()) };
        let mut reply = reply.into_iter();
        match (reply.next(), reply.next()) {
            (None, _) => Ok(StoredConfig::Absent),
            (Some(_), Some(redis::Value::BulkString(bytes))) => Ok(StoredConfig::Bytes(bytes.into())),
            (Some(redis::Value::Int(size)), None) => {
                Ok(StoredConfig::Larger(usize::try_from(size).unwrap_or(usize::MAX)))
            }
            _ => Err(StoreError::unexpected_reply()),
        }
    }

    /// Returns the tenant id to which a DID maps, as it is stored.
    pub async fn lookup(&self, did: &Did) -> Result<Option<String>, StoreError> {
        Ok(self.get(&did_key(did)).await?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// Says which optional commands Redis denies this user, and what is left out for that; none if it denies nothing.
    #[must_use]
    pub fn denied_commands(&self) -> Option<String> {
        self.denied.describe()
    }

    /// Records the optional commands that a script was denied. `complete`: it has tried all of them.
    pub(super) fn note_denied(&self, names: &str, complete: bool) {
        if let Some(denied) = self.denied.note(names, complete) {
            self.connection.observe(|observer| observer.on_denied(&denied));
        }
    }

    /// Returns the bytes of a string. The error names a key of another type.
    pub(super) async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.query(redis::cmd("GET").arg(key)).await.map_err(|error| error.naming(key))
    }

    /// Sends a command that may be repeated: it reads, or writes a note that is the same each time.
    pub(super) async fn query<T: redis::FromRedisValue>(&self, cmd: &Cmd) -> Result<T, StoreError> {
        self.connection
            .run(Repeat::Once, |mut connection| async move { Ok(cmd.query_async(&mut connection).await?) })
            .await
    }

    /// Calls a script that must not be repeated after a timeout, since it may write.
    pub(super) async fn run(
        &self,
        script: &redis::Script,
        calls: &[Cmd],
    ) -> Result<Vec<redis::Value>, StoreError> {
        self.call(Repeat::Never, script, calls).await
    }

    /// Calls a script.
    pub(super) async fn call(
        &self,
        repeat: Repeat,
        script: &redis::Script,
        calls: &[Cmd],
    ) -> Result<Vec<redis::Value>, StoreError> {
        self.connection
            .run(repeat, |mut connection| async move {
                script::run(&mut connection, script, calls).await.map_err(RequestError::from)
            })
            .await
    }
}
