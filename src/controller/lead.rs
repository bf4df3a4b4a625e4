//! Begins to write when this replica leads, and has looked at whatever Redis says that somebody else did.

use std::time::Duration;

use tokio::sync::{oneshot, watch as channel};
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{debug, info, warn};

use super::burst;
use super::context::Context;
use super::error::Hold;
use super::repairs::{Repairs, Ruling};
use super::state::Found;
use crate::domain::{Epoch, OwnershipRecord};
use crate::leader::{Leader, Leadership};
use crate::store::{ChangedKey, DriftSignal, ResyncCause, StoreError, Tracking};
use crate::telemetry::Drift;

/// How often it is tried again where Redis fails.
const RETRY: Duration = Duration::from_secs(1);

/// Begins to write with each number that this replica leads with, once everything that Redis holds is known; and has
/// looked at whatever Redis says that somebody else did.
pub struct Lead<'a> {
    ctx: &'a Context,
    leader: Leader,
    tracking: Tracking,
    /// Why Redis can't be followed.
    health: channel::Receiver<Option<StoreError>>,
    /// Redis is to be read; it failed before.
    again: bool,
    /// Who was repaired how often.
    repairs: Repairs,
}

impl<'a> Lead<'a> {
    /// Follows Redis from here on. `leader` says whether this replica leads.
    pub fn new(ctx: &'a Context, leader: Leader) -> Self {
        let tracking = ctx.store.track(&ctx.cluster);
        let health = tracking.health();
        Self { ctx, leader, tracking, health, again: false, repairs: Repairs::default() }
    }

    /// Waits until everything is `listed`, and reads Redis meanwhile where this replica leads. What was read counts if
    /// Redis has told of nothing since. False: nothing will be listed any more.
    pub async fn read_ahead(&mut self, mut listed: oneshot::Receiver<()>) -> bool {
        let epoch = tokio::select! {
            listed = &mut listed => return listed.is_ok(),
            epoch = self.leads_and_follows() => epoch,
        };
        let records = read(self.ctx).await;
        if listed.await.is_err() {
            return false;
        }
        if let (Some(epoch), Ok(records)) = (epoch, records)
            && self.tracking.is_empty()
            && self.health.borrow().is_none()
            && *self.leader.state.borrow() == Leadership::Leading(epoch)
        {
            self.begin_from(epoch, records);
        }
        true
    }

    /// Waits until this replica leads and Redis tells what happens to it.
    async fn leads_and_follows(&mut self) -> Option<Epoch> {
        let leads = |leadership: &Leadership| matches!(leadership, Leadership::Leading(_));
        let leadership = self.leader.state.clone().wait_for(leads).await.ok()?.clone();
        if let DriftSignal::Resync(cause) = self.tracking.next().await? {
            self.ctx.metrics.checked(cause);
        }
        match leadership {
            Leadership::Leading(epoch) => Some(epoch),
            _ => None,
        }
    }

    /// Goes on until the process ends.
    pub async fn run(mut self) {
        let mut leadership = self.leader.state.clone();
        leadership.mark_changed();
        loop {
            let repair = self.repairs.next();
            tokio::select! {
                changed = leadership.changed() => match changed {
                    Ok(()) => {
                        let now = leadership.borrow_and_update().clone();
                        self.follow(now).await;
                    }
                    Err(_) => return,
                },
                signal = self.tracking.next() => match signal {
                    Some(signal) => self.hear(signal).await,
                    None => return,
                },
                // What Redis tells when it is back comes as a signal.
                Ok(()) = self.health.changed() => self.feel(),
                () = sleep_until(repair.unwrap_or_else(Instant::now)), if repair.is_some() => self.repair(),
                () = sleep(RETRY), if self.again => self.begin().await,
            }
        }
    }

    async fn follow(&mut self, leadership: Leadership) {
        match leadership {
            Leadership::Following => self.stand_by(),
            Leadership::Barred(why) => self.hold(Hold::Lease(why)),
            Leadership::Waiting(why) => self.hold(Hold::Redis(why)),
            Leadership::Leading(epoch) if self.ctx.health.work() == Ok(epoch) => {}
            Leadership::Leading(_) => self.begin().await,
        }
    }

    fn feel(&mut self) {
        let sick = self.health.borrow_and_update().clone();
        self.ctx.metrics.redis_up.set(i64::from(sick.is_none()));
        let leadership = self.leader.state.borrow().clone();
        match (leadership, sick) {
            (Leadership::Following, _) => self.stand_by(),
            (Leadership::Barred(_), _) | (_, None) => {}
            (_, Some(error)) => self.hold(Hold::Redis(error)),
        }
    }

    /// A follower waits for nothing that Redis would have to do, and so says nothing of the kind about any resource:
    /// that is the leader's.
    fn stand_by(&self) {
        let sick = self.health.borrow().clone();
        self.hold(sick.map_or(Hold::Following, Hold::FollowingBlindly));
    }

    async fn hear(&mut self, signal: DriftSignal) {
        match signal {
            DriftSignal::Changed(key) => self.doubt(&key),
            DriftSignal::Resync(cause) => {
                info!(cause = cause.as_str(), "everything in Redis is checked");
                self.ctx.metrics.checked(cause);
                match self.ctx.health.work() {
                    // The number is gone too, and with the next one everything is checked. It is that which writes
                    // carry: where a refused write has told already, there is a next one.
                    Ok(epoch) if cause == ResyncCause::Flushed => self.leader.fenced(epoch),
                    _ => self.begin().await,
                }
            }
        }
    }

    /// Somebody wrote a key that is not as its record has it, or is no record's.
    fn doubt(&mut self, key: &ChangedKey) {
        debug!(?key, "touched from outside");
        let mut state = self.ctx.state();
        let concerned = match key {
            ChangedKey::Did(did) => state.concerned_by_did(did),
            ChangedKey::Config(tenant) => state.concerned_by_tenant(tenant),
        };
        let Some(uid) = concerned else { return };
        let what = match key {
            ChangedKey::Did(_) => Drift::Number,
            ChangedKey::Config(_) => Drift::Config,
        };
        self.ctx.metrics.drifted(what, 1);
        match self.repairs.touched(&uid, Instant::now()) {
            Ruling::Now => {
                state.doubt(&uid);
                drop(state);
                self.ctx.look_at([&uid]);
            }
            // Until then it is as if nothing had been said, or a look for another reason would repair it all the same.
            Ruling::Later => drop(self.ctx.metrics.repairs_held_back.inc()),
        }
    }

    /// Has those looked at whose repair had to wait.
    fn repair(&mut self) {
        for (uid, note) in self.repairs.due(Instant::now()) {
            let mut state = self.ctx.state();
            state.doubt(&uid);
            if let (Some(entry), Some(note)) = (state.entry_mut(&uid), note) {
                warn!(resource = %entry.name, why = note.message, "not repaired at once any more");
                entry.notes.push(note);
            }
            drop(state);
            self.ctx.look_at([&uid]);
        }
    }

    /// Reads what Redis holds, and has everything looked at.
    async fn begin(&mut self) {
        let Leadership::Leading(epoch) = *self.leader.state.borrow() else { return };
        // While it can't be followed, what it holds changes unseen. A signal says when it can.
        if self.health.borrow().is_some() {
            return;
        }
        match read(self.ctx).await {
            Ok(records) => self.begin_from(epoch, records),
            Err(error) => {
                self.again = true;
                self.hold(Hold::Redis(error));
            }
        }
    }

    fn begin_from(&mut self, epoch: Epoch, records: Vec<Found>) {
        self.again = false;
        self.ctx.state().load(records);
        self.set(Ok(epoch));
        burst::look_at_all(self.ctx);
    }

    fn hold(&self, hold: Hold) {
        let error = if let Hold::Redis(error) = &hold { Some(error.clone()) } else { None };
        if self.set(Err(hold))
            && let Some(error) = error
        {
            warn!(%error, "Redis can't be used, so nothing is written");
            // Resources that wait for a change say that they do.
            self.ctx.look_at_all();
        }
    }

    fn set(&self, value: Result<Epoch, Hold>) -> bool {
        self.ctx.metrics.leading.set(i64::from(value.is_ok()));
        let epoch = value.as_ref().map_or(0, |epoch| epoch.0);
        self.ctx.metrics.epoch.set(i64::try_from(epoch).unwrap_or(i64::MAX));
        self.ctx.health.set(value)
    }
}

/// Every ownership record of this cluster, and whether Redis still holds what it says. Everything is to be looked at
/// afterwards.
async fn read(ctx: &Context) -> Result<Vec<Found>, StoreError> {
    // Another operator of this cluster, which watches other namespaces, has its own.
    let keep = |record: OwnershipRecord, intact| {
        ctx.watches(&record.owner.namespace).then(|| Found::new(record, intact))
    };
    let records = ctx.store.filter_records(&ctx.cluster, keep).await?;
    let broken = records.iter().filter(|found| !found.intact).count();
    ctx.metrics.drifted(Drift::Record, broken);
    info!(records = records.len(), broken, "Redis was read");
    Ok(records)
}
