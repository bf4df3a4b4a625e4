//! The task behind a [`Tracking`](super::Tracking): keeps a session open, and turns its pushes and probes into signals.

use std::collections::BTreeSet;
use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use rand::Rng;
use redis::{Cmd, PushInfo};
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::push::Invalidation;
use super::report::RedisReport;
use super::session::Session;
use super::signal::{ChangedKey, DriftSignal, ResyncCause};
use crate::domain::ClusterId;
use crate::store::connection::{Purpose, SharedConnection, StoreError, primary_address};
use crate::store::keys::DIDS_KEY;
use crate::store::script;
use crate::store::seen_epochs::SeenEpoch;

/// The interval of the probe.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);
/// The interval at which the Sentinels are asked for the primary.
const SENTINEL_INTERVAL: Duration = Duration::from_secs(3);
/// The interval at which the memory of Redis is read.
const MEMORY_INTERVAL: Duration = Duration::from_secs(5);
/// The delay before the first reconnect; it doubles with each failure. Half of it is random.
const MIN_RECONNECT_DELAY: Duration = Duration::from_millis(50);
const MAX_RECONNECT_DELAY: Duration = Duration::from_millis(500);
/// The number of keys that one drift check compares.
const KEYS_PER_CHECK: usize = 512;
/// The number of keys per script call, so that calls of the voice runtime get in between.
const KEYS_PER_CALL: usize = 64;

/// The task, with the channels into which it reports.
pub(super) struct TrackingTask {
    pub(super) shared: Arc<SharedConnection>,
    pub(super) seen: Arc<SeenEpoch>,
    pub(super) cluster: ClusterId,
    /// The identity under which this process acquires epochs.
    pub(super) writer: Arc<str>,
    pub(super) process_id: Arc<str>,
    pub(super) signals: mpsc::Sender<DriftSignal>,
    pub(super) health: watch::Sender<Option<StoreError>>,
    pub(super) report: watch::Sender<RedisReport>,
}

/// The reason for which a session ended.
enum SessionEnd {
    Failed(StoreError),
    ServerChanged,
    ReceiverDropped,
}

impl From<StoreError> for SessionEnd {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

impl TrackingTask {
    /// Runs one session after another until the receiver is dropped.
    pub(super) async fn run(self) {
        let mut cause = ResyncCause::Connected;
        let mut delay = MIN_RECONNECT_DELAY;
        let mut server = None;
        loop {
            let opened = Session::open(self.shared.endpoint(), &self.seen).await;
            self.shared.report_connect(Purpose::Tracking, opened.is_ok());
            let end = match opened {
                Ok(session) => {
                    self.shared.on_primary_found(&session.address);
                    delay = MIN_RECONNECT_DELAY;
                    self.health.send_replace(None);
                    // A restart breaks the connection before a probe can see it.
                    if server.replace(session.server.clone()).is_some_and(|before| before != session.server) {
                        cause = ResyncCause::ServerChanged;
                    }
                    let end = self.run_session(session, cause).await;
                    cause = ResyncCause::Reconnected;
                    end
                }
                Err(error) => SessionEnd::Failed(error),
            };
            match end {
                SessionEnd::ReceiverDropped => return,
                SessionEnd::ServerChanged => cause = ResyncCause::ServerChanged,
                SessionEnd::Failed(error) => {
                    self.health.send_if_modified(|health| {
                        let differs = health.as_ref() != Some(&error);
                        *health = Some(error);
                        differs
                    });
                    let jitter = rand::rng().random_range(0.5..1.0);
                    sleep(delay.mul_f64(jitter)).await;
                    delay = (delay * 2).min(MAX_RECONNECT_DELAY);
                }
            }
        }
    }

    /// Requests a resync, then sends signals until the session ends.
    async fn run_session(&self, mut session: Session, cause: ResyncCause) -> SessionEnd {
        if let Err(end) = self.send(DriftSignal::Resync(cause)).await {
            return end;
        }
        let mut probe = interval(PROBE_INTERVAL);
        probe.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut memory = interval(MEMORY_INTERVAL);
        memory.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut primary_changed = pin!(self.primary_changed(Arc::clone(&session.address)));
        loop {
            let handled = tokio::select! {
                push = session.pushes.next() => self.handle_pushes(&mut session, push).await.map(drop),
                _ = probe.tick() => self.check_server(&mut session).await,
                _ = memory.tick() => self.read_memory(&mut session).await,
                () = &mut primary_changed => Err(SessionEnd::ServerChanged),
            };
            if let Err(end) = handled {
                return end;
            }
        }
    }

    /// Waits until the Sentinels name another primary; for ever if there are no Sentinels.
    ///
    /// A primary that is partitioned from the Sentinels keeps replying after it was replaced; writes to it are lost.
    async fn primary_changed(&self, address: Arc<str>) {
        let endpoint = self.shared.endpoint();
        let Some(service) = endpoint.sentinel_service() else { return pending().await };
        loop {
            sleep(SENTINEL_INTERVAL).await;
            let named = primary_address(endpoint, service).await;
            // Sentinels that don't reply, or disagree, are no reason to leave a primary that replies.
            let warning = match named {
                Ok(named) if *address != *named.address() => return,
                Ok(named) => named.disagreement,
                Err(error) => Some(error.to_string()),
            };
            let warning = warning.map(|why| format!("{why}; the connection to {address} stays"));
            self.report(|report| report.sentinels = warning);
        }
    }

    /// Changes the report, and notifies its readers if that changes anything.
    fn report(&self, change: impl FnOnce(&mut RedisReport)) {
        self.report.send_if_modified(|report| {
            let before = report.clone();
            change(report);
            *report != before
        });
    }

    async fn read_memory(&self, session: &mut Session) -> Result<(), SessionEnd> {
        let memory = session.memory().await?;
        self.report(|report| report.memory = memory);
        Ok(())
    }

    async fn send(&self, signal: DriftSignal) -> Result<(), SessionEnd> {
        self.signals.send(signal).await.map_err(|_| SessionEnd::ReceiverDropped)
    }

    /// Handles all pushes until now with one drift check; returns `true` if it requested a resync.
    async fn handle_pushes(
        &self,
        session: &mut Session,
        first: Option<PushInfo>,
    ) -> Result<bool, SessionEnd> {
        if first.is_some() {
            session.rate_limit().await;
        }
        let mut keys = BTreeSet::new();
        let (mut resync, mut flushed) = (None, false);
        let mut next = first;
        while let Some(push) = next {
            match Invalidation::decode(push) {
                Invalidation::Keys(changed) => keys.extend(changed),
                Invalidation::Flushed => flushed = true,
                Invalidation::Disconnected => return Err(session.closed().into()),
                Invalidation::Other => {}
            }
            next = if keys.len() < KEYS_PER_CHECK { session.pushes.try_next() } else { None };
        }
        if flushed && session.is_flushed((&self.writer, &self.process_id), &self.seen).await? {
            keys.clear();
            resync = Some(ResyncCause::Flushed);
            // The counter is gone too, so that the probe must not report it once more.
            session.epoch = (None, self.seen.acquired());
        }
        if session.pushes.take_overflow() {
            keys.clear();
            resync = Some(ResyncCause::Overflow);
        }
        if let Some(cause) = resync {
            self.send(DriftSignal::Resync(cause)).await?;
        }
        for key in self.drifted(session, keys).await? {
            self.send(DriftSignal::Changed(key)).await?;
        }
        Ok(resync.is_some())
    }

    /// Returns the keys that don't match the records of this cluster.
    async fn drifted(
        &self,
        session: &mut Session,
        keys: BTreeSet<Vec<u8>>,
    ) -> Result<Vec<ChangedKey>, StoreError> {
        let changed: Vec<(Vec<u8>, ChangedKey)> =
            keys.into_iter().filter_map(|name| ChangedKey::parse(&name).map(|key| (name, key))).collect();
        let calls: Vec<Cmd> = changed.chunks(KEYS_PER_CALL).map(|keys| self.drifted_call(keys)).collect();
        if calls.is_empty() {
            return Ok(Vec::new());
        }
        let replies = script::run(&mut session.connection, &script::DRIFTED, &calls).await;
        let replies = replies.map_err(|error| StoreError::from_redis(&error, &session.address))?;
        let mut drifted = Vec::with_capacity(changed.len());
        for reply in replies {
            let reply = redis::from_redis_value::<Vec<u8>>(reply);
            drifted.extend(reply.map_err(|_| StoreError::unexpected_reply())?);
        }
        let results = changed.into_iter().zip(drifted);
        Ok(results.filter(|(_, drifted)| *drifted == 1).map(|((_, key), _)| key).collect())
    }

    fn drifted_call(&self, keys: &[(Vec<u8>, ChangedKey)]) -> Cmd {
        let mut call = script::call(&script::DRIFTED);
        call.arg(1).arg(DIDS_KEY).arg(self.cluster.as_str());
        for (name, _) in keys {
            call.arg(name);
        }
        call
    }

    /// Checks that the session still leads to the same server with the same data.
    async fn check_server(&self, session: &mut Session) -> Result<(), SessionEnd> {
        let (server, epoch) = session.probe(self.shared.endpoint(), &self.seen).await?;
        if server != session.server {
            return Err(SessionEnd::ServerChanged);
        }
        // The pushes before the probe's reply are more precise.
        let push = session.pushes.try_next();
        let resynced = self.handle_pushes(session, push).await?;
        // While an epoch is being acquired, Redis may hold it before the reply arrives: the next probe compares it.
        if self.seen.is_acquiring() {
            return Ok(());
        }
        let acquired = self.seen.acquired();
        let before = std::mem::replace(&mut session.epoch, (epoch, acquired));
        if before != session.epoch && epoch != Some(acquired) && !resynced {
            self.send(DriftSignal::Resync(ResyncCause::EpochChanged)).await?;
        }
        Ok(())
    }
}
