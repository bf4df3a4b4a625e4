//! Redis tells of every write to the contract's keys: a connection of its own in RESP3 with `CLIENT TRACKING` in
//! broadcast mode (<https://redis.io/docs/latest/develop/reference/client-side-caching/>).
//!
//! What sends no message is noticed by a probe on the same connection: SWAPDB, connections that are open on one side
//! only, another server behind the same address.

use std::collections::BTreeSet;
use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use rand::Rng;
use redis::aio::MultiplexedConnection;
use redis::{Cmd, PushInfo, Value};
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout};

use super::connection::{Connections, Pushes, RESPONSE_TIMEOUT, connect, info_field, info_text};
use super::pushed::{ChangedKey, Invalidated, changed_key, invalidated};
use super::{DIDS_KEY, EPOCH_KEY, Purpose, SeenEpoch, Store, StoreError, script, sentinel};
use crate::contract::{CONFIG_PREFIX, DID_PREFIX};
use crate::domain::{ClusterId, Epoch};

/// How often the probe asks.
const PROBE_EVERY: Duration = Duration::from_secs(1);
/// How long the probe waits: a connection that is silent for longer is given up. As long as for any other answer: a Redis
/// that is slow, and whose answers come all the same, is one to write to.
const PROBE_TIMEOUT: Duration = RESPONSE_TIMEOUT;
/// The wait before connecting again, doubled with each failure; the half of it is left to chance.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(500));
/// How often the Sentinels are asked whether the primary is still this one.
const SENTINELS_EVERY: Duration = Duration::from_secs(3);
/// How many signals may wait for whoever listens.
const SIGNALS: usize = 1024;
/// How many keys one look at Redis compares.
const KEYS_A_LOOK: usize = 512;
/// So many looks may follow each other at once, and then one in this time, for all that is pushed until then: somebody
/// who writes without end must not have Redis asked without end.
const LOOKS_AT_ONCE: u32 = 256;
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How many of them one script call does, so that calls of the voice runtime get in between.
const KEYS_A_CALL: usize = 64;

/// What happened in Redis that this operator's records don't account for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DriftSignal {
    /// The key is not, or no longer, as a record of this cluster has it.
    Changed(ChangedKey),
    /// Anything may have happened; from now on, everything is told again.
    Resync(ResyncCause),
}

/// Why everything is to be checked: a closed set, for logs and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResyncCause {
    /// The first connection.
    Connected,
    /// A connection after one that broke.
    Reconnected,
    /// FLUSHALL or FLUSHDB.
    Flushed,
    /// The epoch is another, and this process did not take it: SWAPDB, a restore, another writer.
    EpochChanged,
    /// Another server, or the same one after a restart or a change of its role.
    ServerChanged,
    /// More was written at once than could be told one by one.
    Overflow,
}

impl ResyncCause {
    /// Every cause that there is.
    pub const ALL: [Self; 6] = [
        Self::Connected,
        Self::Reconnected,
        Self::Flushed,
        Self::EpochChanged,
        Self::ServerChanged,
        Self::Overflow,
    ];

    /// The cause's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connected => "Connected",
            Self::Reconnected => "Reconnected",
            Self::Flushed => "Flushed",
            Self::EpochChanged => "EpochChanged",
            Self::ServerChanged => "ServerChanged",
            Self::Overflow => "Overflow",
        }
    }
}

/// Receives the signals; dropped, it ends the connection.
#[derive(Debug)]
pub struct Tracking {
    signals: mpsc::Receiver<DriftSignal>,
    health: watch::Receiver<Option<StoreError>>,
    task: AbortHandle,
}

impl Tracking {
    /// The next signal; waits for as long as it takes, through any outage. Cancel-safe.
    ///
    /// `None` only when the runtime shuts down.
    pub async fn next(&mut self) -> Option<DriftSignal> {
        self.signals.recv().await
    }

    /// Whether no signal waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.signals.is_empty()
    }

    /// Why Redis can't be followed at present; `None` while it can. `TimedOut` until the first connection stands.
    #[must_use]
    pub fn health(&self) -> watch::Receiver<Option<StoreError>> {
        self.health.clone()
    }
}

impl Drop for Tracking {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Store {
    /// Follows what happens to the contract's keys, on a connection of its own that is made again when it breaks.
    ///
    /// Every connection first tracks, then asks to check everything. Must be called within a tokio runtime.
    #[must_use]
    pub fn track(&self, cluster: &ClusterId) -> Tracking {
        let (sender, signals) = mpsc::channel(SIGNALS);
        let (health, healthy) = watch::channel(Some(StoreError::TimedOut));
        let follower = Follower {
            connections: Arc::clone(&self.connections),
            seen: Arc::clone(&self.seen),
            cluster: cluster.clone(),
            signals: sender,
            health,
        };
        let task = tokio::spawn(follower.run()).abort_handle();
        Tracking { signals, health: healthy, task }
    }
}

struct Follower {
    connections: Arc<Connections>,
    seen: Arc<SeenEpoch>,
    cluster: ClusterId,
    signals: mpsc::Sender<DriftSignal>,
    health: watch::Sender<Option<StoreError>>,
}

/// Why a connection was given up.
enum End {
    Broken(StoreError),
    ServerChanged,
    NobodyListens,
}

impl From<StoreError> for End {
    fn from(error: StoreError) -> Self {
        Self::Broken(error)
    }
}

/// What the probe compares.
#[derive(Clone, PartialEq, Eq)]
struct Server {
    run_id: Option<String>,
    replication_id: Option<String>,
}

struct Session {
    connection: MultiplexedConnection,
    address: Arc<str>,
    pushes: Pushes,
    server: Server,
    /// The epoch as Redis had it when it was last asked, and the one that this process had taken by then.
    epoch: (Option<u64>, u64),
    /// When all looks so far would be paid off at one in [`LOOK_EVERY`].
    paid: Instant,
}

impl Session {
    /// Waits where too many looks followed each other.
    async fn take_breath(&mut self) {
        let now = Instant::now();
        if let Some(earliest) = self.paid.checked_sub(LOOK_EVERY * LOOKS_AT_ONCE) {
            sleep_until(earliest).await;
        }
        self.paid = self.paid.max(now) + LOOK_EVERY;
    }
}

impl Follower {
    async fn run(self) {
        let mut cause = ResyncCause::Connected;
        let mut wait = RETRY.0;
        loop {
            let opened = self.open().await;
            self.connections.report_connect(Purpose::Tracking, opened.is_ok());
            let end = match opened {
                Ok(session) => {
                    wait = RETRY.0;
                    self.health.send_replace(None);
                    let end = self.follow(session, cause).await;
                    cause = ResyncCause::Reconnected;
                    end
                }
                Err(error) => End::Broken(error),
            };
            match end {
                End::NobodyListens => return,
                End::ServerChanged => cause = ResyncCause::ServerChanged,
                End::Broken(error) => {
                    self.health.send_if_modified(|health| {
                        let differs = health.as_ref() != Some(&error);
                        *health = Some(error);
                        differs
                    });
                    let share = rand::rng().random_range(0.5..1.0);
                    sleep(wait.mul_f64(share)).await;
                    wait = (wait * 2).min(RETRY.1);
                }
            }
        }
    }

    /// Connects and tracks; what the probe compares is read after that.
    async fn open(&self) -> Result<Session, StoreError> {
        let pushes = Pushes::default();
        let (mut connection, address) = connect(self.connections.endpoint(), Some(&pushes)).await?;
        let mut tracking = redis::cmd("CLIENT");
        tracking.arg("TRACKING").arg("ON").arg("BCAST");
        tracking.arg("PREFIX").arg(DID_PREFIX).arg("PREFIX").arg(CONFIG_PREFIX);
        let tracked: Result<(), _> = tracking.query_async(&mut connection).await;
        tracked.map_err(|error| StoreError::from_redis(&error, &address))?;
        let (server, epoch) = self.probe(&mut connection, &address).await?;
        self.connections.primary_is_at(&address);
        let epoch = (epoch, self.seen.taken());
        Ok(Session { connection, address, pushes, server, epoch, paid: Instant::now() })
    }

    /// Tells what happens until the connection is of no more use.
    async fn follow(&self, mut session: Session, cause: ResyncCause) -> End {
        if let Err(end) = self.tell(DriftSignal::Resync(cause)).await {
            return end;
        }
        let mut probe = interval(PROBE_EVERY);
        probe.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut moved = pin!(self.primary_moved(Arc::clone(&session.address)));
        loop {
            let ended = tokio::select! {
                push = session.pushes.next() => self.take_pushes(&mut session, push).await.map(drop),
                _ = probe.tick() => self.compare(&mut session).await,
                () = &mut moved => Err(End::ServerChanged),
            };
            if let Err(end) = ended {
                return end;
            }
        }
    }

    /// Waits until the Sentinels name another primary; for ever where there are none.
    ///
    /// One that is cut off from them answers as before, and is not told that it is none any more: what is written to it
    /// then is read by nobody who asks them, and lost.
    async fn primary_moved(&self, address: Arc<str>) {
        let endpoint = self.connections.endpoint();
        let Some(service) = endpoint.sentinel_service() else { return pending().await };
        loop {
            sleep(SENTINELS_EVERY).await;
            // Sentinels that don't answer are no reason to leave a primary that does.
            if let Ok((host, port)) = sentinel::primary(endpoint, service).await
                && *address != *format!("{host}:{port}")
            {
                return;
            }
        }
    }

    async fn tell(&self, signal: DriftSignal) -> Result<(), End> {
        self.signals.send(signal).await.map_err(|_| End::NobodyListens)
    }

    /// Takes what has been pushed until now, in one look; says whether it asked to check everything.
    async fn take_pushes(&self, session: &mut Session, first: Option<PushInfo>) -> Result<bool, End> {
        if first.is_some() {
            session.take_breath().await;
        }
        let mut keys = BTreeSet::new();
        let mut everything = None;
        let mut next = first;
        while let Some(push) = next {
            match invalidated(push) {
                Invalidated::Keys(some) => keys.extend(some),
                Invalidated::Everything => {
                    keys.clear();
                    everything = Some(ResyncCause::Flushed);
                    // The counter went too: that the probe misses it is no further news.
                    session.epoch = (None, self.seen.taken());
                }
                Invalidated::Disconnected => return Err(closed(session).into()),
                Invalidated::Nothing => {}
            }
            next = if keys.len() < KEYS_A_LOOK { session.pushes.try_next() } else { None };
        }
        if session.pushes.overflowed() {
            keys.clear();
            everything = Some(ResyncCause::Overflow);
        }
        if let Some(cause) = everything {
            self.tell(DriftSignal::Resync(cause)).await?;
        }
        for key in self.not_as_recorded(session, keys).await? {
            self.tell(DriftSignal::Changed(key)).await?;
        }
        Ok(everything.is_some())
    }

    /// Those of the keys that the records of this cluster don't account for.
    async fn not_as_recorded(
        &self,
        session: &mut Session,
        keys: BTreeSet<Vec<u8>>,
    ) -> Result<Vec<ChangedKey>, StoreError> {
        let touched: Vec<(Vec<u8>, ChangedKey)> =
            keys.into_iter().filter_map(|key| changed_key(&key).map(|touched| (key, touched))).collect();
        let calls: Vec<Cmd> = touched.chunks(KEYS_A_CALL).map(|keys| self.touched_call(keys)).collect();
        if calls.is_empty() {
            return Ok(Vec::new());
        }
        let answers = script::run(&mut session.connection, &script::DRIFTED, &calls).await;
        let answers = answers.map_err(|error| StoreError::from_redis(&error, &session.address))?;
        let mut look = Vec::with_capacity(touched.len());
        for answer in answers {
            look.extend(redis::from_redis_value::<Vec<u8>>(answer).map_err(|_| super::unexpected_reply())?);
        }
        Ok(touched.into_iter().zip(look).filter(|(_, look)| *look == 1).map(|((_, key), _)| key).collect())
    }

    fn touched_call(&self, keys: &[(Vec<u8>, ChangedKey)]) -> Cmd {
        let mut call = script::call(&script::DRIFTED);
        call.arg(1).arg(DIDS_KEY).arg(self.cluster.as_str());
        for (key, _) in keys {
            call.arg(key);
        }
        call
    }

    /// Asks whether this is still the same server with the same data.
    async fn compare(&self, session: &mut Session) -> Result<(), End> {
        let (server, epoch) = self.probe(&mut session.connection, &session.address).await?;
        if server != session.server {
            return Err(End::ServerChanged);
        }
        // What was pushed before the probe's answer says more.
        let pushed = session.pushes.try_next();
        let told = self.take_pushes(session, pushed).await?;
        // A number that is being taken may be there before its answer is: the next probe compares it.
        if self.seen.is_taking() {
            return Ok(());
        }
        let taken = self.seen.taken();
        let before = std::mem::replace(&mut session.epoch, (epoch, taken));
        if before != session.epoch && epoch != Some(taken) && !told {
            self.tell(DriftSignal::Resync(ResyncCause::EpochChanged)).await?;
        }
        Ok(())
    }

    async fn probe(
        &self,
        connection: &mut MultiplexedConnection,
        address: &str,
    ) -> Result<(Server, Option<u64>), StoreError> {
        let mut pipe = redis::pipe();
        pipe.cmd("GET").arg(EPOCH_KEY).cmd("INFO").arg("server").cmd("INFO").arg("replication");
        pipe.cmd("CLIENT").arg("TRACKINGINFO").ignore_errors();
        let answers = timeout(PROBE_TIMEOUT, pipe.query_async::<Vec<Value>>(connection)).await;
        let answers = answers.map_err(|_| StoreError::TimedOut)?;
        let named = |error: redis::RedisError| StoreError::from_redis(&error, address);
        let answers: [Value; 4] =
            answers.map_err(named)?.try_into().map_err(|_| super::unexpected_reply())?;
        let [epoch, server, replication, tracking] = answers;
        let epoch = epoch.extract_error().map_err(named)?;
        let epoch = redis::from_redis_value::<Option<u64>>(epoch).unwrap_or_default();
        if let Some(epoch) = epoch {
            self.seen.note(Epoch(epoch));
        }
        let (server, replication) =
            (info_text(server).map_err(named)?, info_text(replication).map_err(named)?);
        if self.connections.endpoint().sentinel_service().is_some()
            && info_field(&replication, "role") != Some("master")
        {
            return Err(StoreError::ReadOnly);
        }
        if !tracks(tracking) {
            return Err(StoreError::Unexpected("the connection does not track any more".to_owned()));
        }
        let field = |info: &str, name| info_field(info, name).map(str::to_owned);
        let run_id = field(&server, "run_id");
        Ok((Server { run_id, replication_id: field(&replication, "master_replid") }, epoch))
    }
}

/// What an answer to `CLIENT TRACKINGINFO` says; a Redis before 6.2 does not know the question.
fn tracks(answer: Value) -> bool {
    let Value::Map(fields) = answer else { return true };
    fields.into_iter().any(|(name, value)| {
        let name: Result<String, _> = redis::from_redis_value(name);
        let flags: Result<Vec<String>, _> = redis::from_redis_value(value);
        name.is_ok_and(|name| name == "flags")
            && flags.is_ok_and(|flags| flags.iter().any(|flag| flag == "bcast"))
    })
}

fn closed(session: &Session) -> StoreError {
    let cause = "the connection was closed".to_owned();
    StoreError::Unreachable { address: session.address.to_string(), cause }
}
