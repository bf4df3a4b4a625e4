//! Loads the ownership records when this replica gets an epoch and after an outage of Redis, and enqueues the tenants whose
//! keys another client has changed. It runs on every replica; a follower only reports whether it can use Redis.

use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};
use tokio::time::sleep_until;
use tracing::{debug, info, warn};

use super::context::Context;
use crate::domain::index::{Index, Recorded};
use crate::domain::{Epoch, OwnershipRecord, Uid};
use crate::leader::WriterState;
use crate::store::{ChangedKey, DriftSignal, RedisReport, ResyncCause, StoreError, Tracking};
use crate::telemetry::Drift;

/// The pause before a failed resync is retried.
const RETRY: Duration = Duration::from_secs(1);

/// The interval at which other clusters are looked for that Redis has forgotten.
const CLUSTER_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// The time after which all statuses are judged again by a new leader: the one before it has lost the Lease by then.
const JUDGE_AFTER: Duration = Duration::from_secs(15);

/// Loads what Redis holds whenever this replica gets an epoch, begins to write then, and repairs what other clients change.
pub struct ResyncLoop<'a> {
    ctx: &'a Context,
    tracking: Tracking,
    /// The error because of which Redis can't be tracked; none while it can. Not known before the first attempt has
    /// ended.
    redis: watch::Receiver<Option<StoreError>>,
    /// Notes for a person of a Redis that works.
    report: watch::Receiver<RedisReport>,
    /// True once the first attempt to track Redis has ended.
    redis_known: bool,
    /// The last state that was handled.
    handled: Option<WriterState>,
    /// The time at which a failed resync is retried. A deadline, not a delay: signals must not postpone it.
    resync_at: Option<Instant>,
    /// The time at which all statuses are judged again: until then the leader before this one may still have written some.
    judge_at: Option<Instant>,
    /// The time at which a signal showed that Redis has lost data, until that is taken in.
    lost_at: Option<Instant>,
    /// The time at which other clusters are looked for that Redis has forgotten.
    check_clusters_at: Option<Instant>,
}

impl<'a> ResyncLoop<'a> {
    /// Begins to track Redis.
    pub fn new(ctx: &'a Context) -> Self {
        let tracking = ctx.store.track(&ctx.cluster);
        let (redis, report) = (tracking.health(), tracking.report());
        Self {
            ctx,
            tracking,
            redis,
            report,
            redis_known: false,
            handled: None,
            resync_at: None,
            judge_at: None,
            lost_at: None,
            check_clusters_at: None,
        }
    }

    /// Waits until the caches have `synced`, and meanwhile loads the records where this replica leads. They count if Redis
    /// has signalled nothing since. False: the caches will never sync.
    pub async fn load_ahead(&mut self, mut synced: oneshot::Receiver<()>) -> bool {
        let epoch = tokio::select! {
            synced = &mut synced => return synced.is_ok(),
            epoch = self.wait_until_leading_and_tracking() => epoch,
        };
        let records = load(self.ctx).await;
        if synced.await.is_err() {
            return false;
        }
        if let (Some(epoch), Ok(records)) = (epoch, records)
            && self.tracking.is_empty()
            && self.redis.borrow().is_none()
            && self.ctx.writer.state() == WriterState::Resyncing(epoch)
        {
            self.begin_writing(epoch, records).await;
        }
        true
    }

    /// Waits until this replica leads, and then until Redis is tracked, which its first signal says. Returns the epoch.
    async fn wait_until_leading_and_tracking(&mut self) -> Option<Epoch> {
        let leads = |state: &WriterState| matches!(state, WriterState::Resyncing(_));
        let epoch = self.ctx.writer.subscribe().wait_for(leads).await.ok()?.epoch();
        if let DriftSignal::Resync(cause) = self.tracking.next().await? {
            self.ctx.metrics.count_resync(cause.as_str());
            self.note_loss(cause);
        }
        epoch
    }

    /// Runs until the process ends.
    pub async fn run(mut self) {
        let mut state = self.ctx.writer.subscribe();
        state.mark_changed();
        loop {
            let (repair, release) = self.ctx.read(|index| (index.next_repair(), index.next_release()));
            tokio::select! {
                changed = state.changed() => match changed {
                    Ok(()) => {
                        let now = state.borrow_and_update().clone();
                        self.on_state(now).await;
                    }
                    Err(_) => return,
                },
                signal = self.tracking.next() => match signal {
                    Some(signal) => self.on_signal(signal).await,
                    None => return,
                },
                // The end of an outage arrives as a signal, too.
                Ok(()) = self.redis.changed() => self.on_redis_health(),
                Ok(()) = self.report.changed() => self.on_redis_report(),
                () = until(repair), if repair.is_some() => self.repair().await,
                () = until(release), if release.is_some() => {
                    self.ctx.update(|index| index.release_held_back(Instant::now()));
                }
                () = until(self.check_clusters_at), if self.check_clusters_at.is_some() => self.check_clusters().await,
                () = until(self.resync_at), if self.resync_at.is_some() => self.resync().await,
                () = until(self.judge_at), if self.judge_at.is_some() => {
                    self.judge_at = None;
                    self.ctx.update(Index::enqueue_statuses);
                }
            }
        }
    }

    /// Handles a change of the writer state, by the election or by this loop.
    async fn on_state(&mut self, state: WriterState) {
        let epoch = if let WriterState::Writing(epoch) = state { epoch.0 } else { 0 };
        let led = self.ctx.metrics.leading.set(i64::from(epoch > 0)) > 0;
        match (led, epoch > 0) {
            (false, true) => {
                self.ctx.metrics.leading_since_timestamp_seconds.set(jiff::Timestamp::now().as_second())
            }
            (true, false) => self.ctx.metrics.leading_since_timestamp_seconds.set(0),
            _ => 0,
        };
        self.ctx.metrics.epoch.set(i64::try_from(epoch).unwrap_or(i64::MAX));
        let before = self.handled.replace(state.clone());
        let led = before.as_ref().is_some_and(WriterState::leads);
        if led != state.leads() {
            self.judge_at = state.leads().then(|| Instant::now() + JUDGE_AFTER);
        }
        let news = before.as_ref() != Some(&state);
        match state {
            WriterState::Resyncing(_) => self.resync().await,
            WriterState::RedisUnavailable { error, .. } if news => {
                warn!(%error, "Redis unavailable; writes paused");
                self.ctx.health.set_started();
                // Tenants that wait for a change report that they do.
                self.ctx.update(Index::enqueue_all);
            }
            WriterState::CutOff { why, .. } if news => {
                warn!(why, "API server away; repairing only what the records prove");
                self.ctx.health.set_started();
                self.resync().await;
            }
            // Followers report no tenant as waiting for Redis; only the leader does.
            WriterState::Follower { .. } => {
                self.ctx.note(Index::forget_redis);
                self.ctx.writer.redis_health(self.redis.borrow().clone());
                self.ctx.health.set_started();
            }
            _ => self.ctx.health.set_started(),
        }
    }

    fn on_redis_health(&mut self) {
        let error = self.redis.borrow_and_update().clone();
        self.redis_known = true;
        self.ctx.metrics.redis_up.set(i64::from(error.is_none()));
        self.ctx.writer.redis_health(error);
    }

    /// Reports what a person should know of a Redis that works.
    fn on_redis_report(&mut self) {
        let report = self.report.borrow_and_update().clone();
        let state = &self.ctx.metrics.redis_state;
        let bytes = |bytes| i64::try_from(bytes).unwrap_or(i64::MAX);
        state.memory_used.set(bytes(report.memory.used));
        state.memory_limit.set(bytes(report.memory.limit));
        state.evicted_keys.set(bytes(report.memory.evicted));
        state.evicts.set(i64::from(report.memory.evicts()));
        state.sentinels_disagree.set(i64::from(report.sentinels.is_some()));
        for warning in self.ctx.health.set_warnings(report.warnings()) {
            warn!("{warning}");
        }
    }

    async fn on_signal(&mut self, signal: DriftSignal) {
        match signal {
            DriftSignal::Changed(key) => self.on_drift(&key).await,
            DriftSignal::Resync(cause) => {
                info!(cause = cause.as_str(), "checking all ownership records in Redis");
                self.ctx.metrics.count_resync(cause.as_str());
                self.note_loss(cause);
                match self.ctx.writer.state() {
                    // After a flush the epoch is lost as well. Report the epoch that writes use (a fenced write may already
                    // have replaced it); acquiring the next one leads to the resync.
                    WriterState::Writing(epoch) if cause == ResyncCause::Flushed => {
                        self.ctx.writer.epoch_lost(epoch);
                    }
                    _ => self.resync().await,
                }
            }
        }
    }

    /// Notes when Redis has lost data, or may have.
    fn note_loss(&mut self, cause: ResyncCause) {
        if matches!(cause, ResyncCause::Flushed | ResyncCause::ServerChanged) {
            self.lost_at = Some(Instant::now());
        }
    }

    /// Handles a key that another client wrote, and that differs from its record or belongs to none.
    async fn on_drift(&mut self, key: &ChangedKey) {
        let state = self.ctx.writer.state();
        // The leader repairs it, and counts it. Who becomes the leader resyncs first.
        if !state.leads() && !matches!(state, WriterState::CutOff { .. }) {
            return;
        }
        debug!(?key, "key changed by another client");
        let (kind, owner) = self.ctx.read(|index| match key {
            ChangedKey::Did(did) => (Drift::Did, index.holder_of_did(did)),
            ChangedKey::Config(tenant) => (Drift::Config, index.holder_of_tenant(tenant)),
        });
        let Some(uid) = owner else { return };
        self.ctx.metrics.count_drift(kind, 1);
        if !self.ctx.update_with(|index| index.drifted(&uid, Instant::now())) {
            self.ctx.metrics.drift_repairs_deferred.inc();
        } else if let WriterState::CutOff { epoch, .. } = state {
            self.repair_by_record(epoch, Some(&uid)).await;
        }
    }

    /// Repairs tenants whose deferred repair is due.
    async fn repair(&mut self) {
        for (name, event) in self.ctx.update_with(|index| index.due_repairs(Instant::now())) {
            warn!(
                resource = %name,
                why = event.message,
                "repairs throttled: keys keep being changed by another client"
            );
        }
        if let WriterState::CutOff { epoch, .. } = self.ctx.writer.state() {
            self.repair_by_record(epoch, None).await;
        }
    }

    /// Loads what Redis holds, and reconciles every tenant.
    async fn resync(&mut self) {
        self.resync_at = None;
        if let WriterState::CutOff { epoch, .. } = self.ctx.writer.state() {
            return self.repair_by_record(epoch, None).await;
        }
        let Some(epoch) = self.ctx.writer.state().epoch() else { return };
        // While Redis can't be tracked, it changes unseen. A signal arrives when it can.
        let unavailable = self.redis.borrow().clone();
        if unavailable.is_some() {
            if self.redis_known {
                self.ctx.writer.redis_health(unavailable);
            }
            return;
        }
        match load(self.ctx).await {
            Ok(records) => self.begin_writing(epoch, records).await,
            Err(error) => self.resync_failed(error),
        }
    }

    fn resync_failed(&mut self, error: StoreError) {
        self.resync_at = Some(Instant::now() + RETRY);
        self.ctx.writer.redis_health(Some(error));
    }

    /// Repairs, of one tenant or of all, what the records prove: no replica leads while the API server is away. The first
    /// write that Redis refuses ends it, since another replica has an epoch by then.
    async fn repair_by_record(&mut self, epoch: Epoch, only: Option<&Uid>) {
        let known = self.ctx.read(|index| index.repairable(only));
        match self.ctx.store.repair_by_record(epoch, &self.ctx.cluster, &known).await {
            Ok(0) => {}
            Ok(keys) => {
                info!(keys, "repaired keys by their records while the API server is away");
                self.ctx.metrics.drift_repaired.inc();
            }
            Err(error @ StoreError::Fenced { .. }) => {
                warn!(%error, "no longer repairing: another replica has an epoch");
                self.ctx.metrics.fenced_writes.inc();
                self.ctx.writer.end_cut_off();
            }
            Err(error) => {
                debug!(%error, "repair by the records failed, retrying");
                self.resync_at = Some(Instant::now() + RETRY);
            }
        }
    }

    async fn begin_writing(&mut self, epoch: Epoch, records: Vec<(Uid, Recorded, bool)>) {
        let named = self.ctx.read(Index::named_clusters);
        let present = match self.ctx.store.present_clusters(&named).await {
            Ok(present) => present,
            Err(error) => return self.resync_failed(error),
        };
        let (now, lost_at) = (Instant::now(), self.lost_at.take());
        let epochs_lost = self.ctx.store.epochs_were_lost();
        let held_back = self.ctx.update_with(|index| {
            // Before the effects, and with the same lock: nothing is decided in between.
            let records_lost = index.has_lost(&records);
            if lost_at.is_some() || records_lost || epochs_lost {
                index.loss_found(lost_at.unwrap_or(now), lost_at.is_some() || records_lost);
            }
            index.clusters_seen(&named, &present, now);
            let effects = index.resync(records);
            // Before the effects: what is reconciled may be written.
            self.ctx.writer.resynced(epoch);
            (effects, index.held_back_count())
        });
        if held_back > 0 {
            info!(
                held_back,
                "Redis has lost data; what statuses say others hold is left to them for a while"
            );
        }
        self.schedule_cluster_check(now);
        self.ctx.health.set_started();
    }

    /// Schedules the next check for the clusters that are waited for, if there are any.
    fn schedule_cluster_check(&mut self, now: Instant) {
        let is_waiting = !self.ctx.read(Index::awaited_clusters).is_empty();
        self.check_clusters_at = is_waiting.then_some(now + CLUSTER_CHECK_INTERVAL);
    }

    /// Looks for other clusters whose operators were unknown to Redis.
    async fn check_clusters(&mut self) {
        let awaited = self.ctx.read(Index::awaited_clusters);
        let found = self.ctx.store.present_clusters(&awaited).await;
        let now = Instant::now();
        match found {
            Ok(present) => self.ctx.note(|index| index.clusters_seen(&awaited, &present, now)),
            Err(error) => debug!(%error, "other clusters could not be looked for"),
        }
        self.schedule_cluster_check(now);
    }
}

/// Waits until a deadline; not at all without one.
async fn until(deadline: Option<Instant>) {
    if let Some(deadline) = deadline {
        sleep_until(deadline.into()).await;
    }
}

/// Every ownership record of this cluster, with its owner and with whether Redis holds exactly what it says. A resync must
/// follow.
async fn load(ctx: &Context) -> Result<Vec<(Uid, Recorded, bool)>, StoreError> {
    // Another operator of this cluster, which watches other namespaces, has records of its own.
    let keep = |record: OwnershipRecord, intact| {
        let watched = ctx.is_watched_namespace(&record.owner.namespace);
        watched.then(|| (record.owner.uid.clone(), Recorded::from(record), intact))
    };
    let records = ctx.store.filter_records(&ctx.cluster, keep).await?;
    let broken = records.iter().filter(|(.., intact)| !intact).count();
    ctx.metrics.count_drift(Drift::Record, broken);
    info!(records = records.len(), broken, "loaded ownership records");
    Ok(records)
}
