//! Redis: the keys that the voice runtime reads, written by scripts that compare first, each operation together with its
//! record of who owns it. The only room that imports `redis`.
//!
//! | key of our own | what |
//! | --- | --- |
//! | `runtime-operator:epoch` | the last number that a writer took |
//! | `runtime-operator:epochs` | a hash, writer to the number that it took, and the mark of the process: each cluster has its own |
//! | `runtime-operator:tenant:<tenantId>` | the ownership record, a hash |
//! | `runtime-operator:tenants:<clusterId>` | the set of a cluster's tenant ids: the index of its records |
//! | `runtime-operator:dids` | a hash, number to the tenant id that owns it: known even when its mapping is lost |
//!
//! What a user in Redis' ACL needs is [`PERMISSIONS`].

mod connection;
mod direct;
mod error;
mod inspect;
mod observe;
mod plan;
mod pushed;
mod script;
mod sentinel;
mod settings;
mod tracking;
mod wire;

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use redis::Cmd;
use secrecy::{ExposeSecret, SecretSlice};

use crate::contract::{Did, TenantId, config_key, did_key};
use crate::domain::{ClusterId, Epoch};
use connection::{Connections, Fault};
use settings::Endpoint;

pub use direct::WriteError;
pub use error::{PERMISSIONS, StoreError};
pub use observe::{Observer, Purpose};
pub use plan::{Applied, Conflict, Inspection, Operation, Publication, Removal, TakenOver};
pub use pushed::ChangedKey;
pub use settings::{RedisSettings, SettingsError};
pub use tracking::{DriftSignal, ResyncCause, Tracking};

const EPOCH_KEY: &str = "runtime-operator:epoch";
const EPOCHS_KEY: &str = "runtime-operator:epochs";
const DIDS_KEY: &str = "runtime-operator:dids";

fn record_key(tenant: &str) -> String {
    format!("runtime-operator:tenant:{tenant}")
}

fn tenants_key(cluster: &ClusterId) -> String {
    format!("runtime-operator:tenants:{cluster}")
}

/// Redis, reached when it is first asked for something. Cheap to clone; clones share one connection.
#[derive(Clone)]
pub struct Store {
    connections: Arc<Connections>,
    seen: Arc<SeenEpoch>,
    writer: Arc<str>,
    process_id: Arc<str>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

impl Store {
    /// Checks the settings and the files that they name; connects to nothing.
    pub fn new(settings: RedisSettings) -> Result<Self, SettingsError> {
        // Without a default, rustls panics where the crates of a build enable more than one provider. Whoever was
        // first wins, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let endpoint = Arc::new(Endpoint::check(settings)?);
        let connections = Arc::new(Connections::new(endpoint));
        Ok(Self { connections, seen: Arc::default(), writer: "".into(), process_id: "".into() })
    }

    /// The same store for a writer of this name: all who must not write side by side have one, others have another.
    /// `process` is this one's alone: of two that took the same number, since the counter was lost in between, the
    /// first is told from the second by it.
    #[must_use]
    pub fn with_writer(mut self, writer: &str, process: &str) -> Self {
        self.writer = writer.into();
        self.process_id = process.into();
        self
    }

    /// Has this one told how Redis is reached, by all clones; whoever comes second is told nothing.
    #[must_use]
    pub fn with_observer(self, observer: Arc<dyn Observer>) -> Self {
        self.connections.with_observer(observer);
        self
    }

    /// How long Redis takes to answer. Connects when there is no connection, which counts.
    pub async fn ping(&self) -> Result<Duration, StoreError> {
        let asked = Instant::now();
        self.query::<String>(&redis::cmd("PING")).await?;
        Ok(asked.elapsed())
    }

    /// Takes the next number of the epoch: from now on, writes that carry an earlier one are refused.
    ///
    /// It is above every number that this process has seen, even when the counter was lost in between.
    pub async fn acquire_epoch(&self) -> Result<Epoch, StoreError> {
        let mut call = script::call(&script::ACQUIRE_EPOCH);
        call.arg(2)
            .arg(EPOCH_KEY)
            .arg(EPOCHS_KEY)
            .arg(self.seen.highest())
            .arg(&*self.writer)
            .arg(&*self.process_id);
        let _taking = self.seen.taking();
        let answers = self.run(&script::ACQUIRE_EPOCH, &[call]).await?;
        let number =
            answers.into_iter().next().and_then(|answer| redis::from_redis_value::<u64>(answer).ok());
        let epoch = Epoch(number.ok_or_else(unexpected_reply)?);
        self.seen.note_taken(epoch);
        Ok(epoch)
    }

    /// Takes all operations, or none when one is refused, in one atomic script; answers one for each operation.
    ///
    /// Later operations see what earlier ones did: two tenants can swap numbers. May be repeated at will.
    /// `Fenced` when `epoch` is not the current one: then nothing was written, nor will be.
    pub async fn apply(
        &self,
        epoch: Epoch,
        cluster: &ClusterId,
        operations: &[impl Borrow<Operation>],
    ) -> Result<Vec<Applied>, StoreError> {
        if operations.is_empty() {
            return Ok(Vec::new());
        }
        let call = self.apply_call(epoch, cluster, operations)?;
        let answers = self.run(&script::APPLY, &[call]).await?;
        let answer = answers.into_iter().next().ok_or_else(unexpected_reply)?;
        let answer: Vec<u8> = redis::from_redis_value(answer).map_err(|_| unexpected_reply())?;
        let applied = wire::decode_answer(&answer, operations.len());
        if let Err(StoreError::Fenced { current: Some(current) }) = applied {
            self.seen.note(current);
        }
        applied
    }

    /// The bytes stored as a tenant's config, which may hold its webhook secret.
    pub async fn config(&self, tenant: &TenantId) -> Result<Option<SecretSlice<u8>>, StoreError> {
        let bytes: Option<Vec<u8>> = self.query(redis::cmd("GET").arg(config_key(tenant))).await?;
        Ok(bytes.map(SecretSlice::from))
    }

    /// The tenant id that a number maps to, as it is stored.
    pub async fn lookup(&self, did: &Did) -> Result<Option<String>, StoreError> {
        let bytes: Option<Vec<u8>> = self.query(redis::cmd("GET").arg(did_key(did))).await?;
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    fn apply_call(
        &self,
        epoch: Epoch,
        cluster: &ClusterId,
        operations: &[impl Borrow<Operation>],
    ) -> Result<Cmd, StoreError> {
        let mut keys =
            vec![EPOCH_KEY.to_owned(), EPOCHS_KEY.to_owned(), DIDS_KEY.to_owned(), tenants_key(cluster)];
        let operations = || operations.iter().map(Borrow::borrow);
        for operation in operations() {
            keys.push(record_key(operation.tenant().as_str()));
            keys.push(config_key(operation.tenant()));
            let (dids, previously_listed): (&[Did], &[Did]) = match operation {
                Operation::Publish(publication) => (&publication.dids, &publication.previously_listed),
                Operation::Remove(removal) => (&[], &removal.previously_listed),
            };
            keys.extend(dids.iter().chain(previously_listed).map(did_key));
        }
        let mut call = script::call(&script::APPLY);
        call.arg(keys.len()).arg(&keys).arg(format!("{epoch}/{}", self.process_id)).arg(wire::encode_plan(
            &self.writer,
            cluster,
            operations(),
        )?);
        for operation in operations() {
            match operation {
                Operation::Publish(publication) => call.arg(publication.config.expose_secret()),
                Operation::Remove(_) => call.arg(""),
            };
        }
        Ok(call)
    }

    async fn query<T: redis::FromRedisValue>(&self, cmd: &Cmd) -> Result<T, StoreError> {
        self.connections
            .run(|mut connection| async move { Ok(cmd.query_async(&mut connection).await?) })
            .await
    }

    async fn run(&self, script: &redis::Script, calls: &[Cmd]) -> Result<Vec<redis::Value>, StoreError> {
        self.connections
            .run(|mut connection| async move {
                script::run(&mut connection, script, calls).await.map_err(Fault::from)
            })
            .await
    }
}

fn unexpected_reply() -> StoreError {
    StoreError::Unexpected("a script's answer has another shape".to_owned())
}

/// The epochs that this process knows of; 0 is none.
#[derive(Default)]
struct SeenEpoch {
    highest: AtomicU64,
    taken: AtomicU64,
    /// How many numbers are being taken.
    taking: AtomicU64,
}

/// A number is being taken for as long as this lives.
struct Taking<'a>(&'a AtomicU64);

impl Drop for Taking<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Release);
    }
}

impl SeenEpoch {
    fn taking(&self) -> Taking<'_> {
        self.taking.fetch_add(1, Ordering::Relaxed);
        Taking(&self.taking)
    }

    /// Whether Redis may hold a number of this process' of which it does not know yet.
    fn is_taking(&self) -> bool {
        self.taking.load(Ordering::Acquire) > 0
    }

    /// The highest, its own or another's.
    fn highest(&self) -> u64 {
        self.highest.load(Ordering::Relaxed)
    }

    /// The last that it took itself.
    fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    fn note(&self, epoch: Epoch) {
        self.highest.fetch_max(epoch.0, Ordering::Relaxed);
    }

    fn note_taken(&self, epoch: Epoch) {
        self.note(epoch);
        self.taken.store(epoch.0, Ordering::Relaxed);
    }
}
