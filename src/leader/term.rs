//! One term: from the write that takes the Lease to its loss. Renews the Lease and marks it while this replica can't work.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tracing::{debug, info, warn};

use super::clock::Moment;
use super::lease::{LeaseError, LeaseView, OwnLease, RENEW_EVERY};
use super::writer_state::{RENEW_DEADLINE, Writer};
use crate::telemetry::with_causes;

/// The time for which a holder can't work before it marks the Lease.
const MARK_AFTER: Duration = Duration::from_secs(30);
/// The pause before a failed read of the Lease is repeated.
const RETRY: Duration = Duration::from_secs(1);

/// Why a replica stops leading.
#[derive(Debug)]
pub(super) enum TermEnd {
    /// The process stops.
    Stopped,
    /// The Lease could not be renewed in time; `outage` is the error of an API server that is away.
    Expired { outage: Option<String> },
    /// Another replica holds the Lease.
    Superseded,
}

/// The epoch of a term.
enum TermEpoch {
    /// Redis was not asked yet.
    Pending,
    /// Redis gives none, for this reason.
    Missing(String),
    /// It has had one.
    Given,
}

/// A term of this replica as the holder of the Lease.
pub(super) struct Term<'a> {
    lease: &'a OwnLease,
    writer: &'a Writer,
    state: Mutex<TermState>,
    /// True while the Lease is marked.
    marked: watch::Sender<bool>,
    /// Asks for a renewal without delay.
    renew_now: Notify,
}

struct TermState {
    held: LeaseView,
    epoch: TermEpoch,
    renewed: Moment,
    /// Since when this replica can't work, and why.
    unable: Option<(Moment, String)>,
}

impl<'a> Term<'a> {
    /// A term that begins with the Lease as this replica has just written it.
    pub(super) fn new(lease: &'a OwnLease, writer: &'a Writer, held: LeaseView) -> Self {
        let renewed = Moment::now();
        writer.renewed(renewed);
        let marked = watch::Sender::new(held.mark.is_some());
        let state = TermState { held, epoch: TermEpoch::Pending, renewed, unable: None };
        Self { lease, writer, state: Mutex::new(state), marked, renew_now: Notify::new() }
    }

    /// True where the Lease said, when it was last renewed, that this replica can't work.
    pub(super) fn is_marked(&self) -> bool {
        *self.marked.borrow()
    }

    /// Marks the Lease, since Redis gives no epoch; returns once it is marked. One that had an epoch in this term is
    /// marked only after it could not work for a while.
    pub(super) async fn epoch_missing(&self, why: String) {
        {
            let mut state = self.state();
            if matches!(state.epoch, TermEpoch::Given) {
                return;
            }
            state.epoch = TermEpoch::Missing(why);
        }
        self.renew_now.notify_one();
        let _ = self.marked.subscribe().wait_for(|marked| *marked).await;
    }

    /// Notes that Redis has given an epoch.
    pub(super) fn epoch_given(&self) {
        self.state().epoch = TermEpoch::Given;
        if self.is_marked() {
            self.renew_now.notify_one();
        }
    }

    /// Returns true when the Lease is this replica's. Retries until the API server answers: no answer is no permission to
    /// write.
    pub(super) async fn holds(&self) -> bool {
        loop {
            match self.lease.read().await {
                Ok(Some(lease)) => return self.lease.is_mine(&lease),
                // Deleted: the renewal creates it again, or another replica does.
                Ok(None) => sleep(RETRY).await,
                Err(error) => {
                    warn!(error = with_causes(&error), "failed to read lease");
                    sleep(RETRY).await;
                }
            }
        }
    }

    /// Renews the Lease for as long as that works.
    pub(super) async fn renew(&self) -> TermEnd {
        let mut ticks = interval(RENEW_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = self.renew_now.notified() => {}
            }
            match self.renew_once().await {
                Ok(true) => {}
                Ok(false) => return TermEnd::Superseded,
                Err(error) => {
                    debug!(error = with_causes(&error), "lease renewal failed, retrying");
                    if Moment::now().since(self.state().renewed) >= RENEW_DEADLINE {
                        let outage = error.is_outage().then(|| with_causes(&error));
                        return TermEnd::Expired { outage };
                    }
                }
            }
        }
    }

    /// Renews the Lease. False: another replica holds it.
    async fn renew_once(&self) -> Result<bool, LeaseError> {
        let (held, mark) = self.next();
        let sent = Moment::now();
        let renewed = match self.lease.renew(&held, mark.as_deref()).await {
            Err(LeaseError::Changed) => match self.lease.read().await? {
                Some(lease) if lease.holder.is_some() && !self.lease.is_mine(&lease) => return Ok(false),
                // Another client has edited it, or cleared its holder.
                Some(lease) => self.lease.renew(&lease, mark.as_deref()).await?,
                None => {
                    info!("lease was deleted; creating it again");
                    self.lease.take(None, mark.as_deref()).await?
                }
            },
            other => other?,
        };
        match (&held.mark, &renewed.mark) {
            (None, Some(why)) => warn!(why, "can't work: marked the lease for another replica to take over"),
            (Some(_), None) => info!("can work again: unmarked the lease"),
            _ => {}
        }
        self.writer.renewed(sent);
        self.marked.send_replace(renewed.mark.is_some());
        let mut state = self.state();
        state.renewed = sent;
        state.held = renewed;
        Ok(true)
    }

    /// The Lease to renew, and the mark that it must have.
    fn next(&self) -> (LeaseView, Option<String>) {
        let (now, why_not) = (Moment::now(), self.writer.ability().why_not());
        let mut state = self.state();
        let since = state.unable.as_ref().map_or(now, |(since, _)| *since);
        state.unable = why_not.map(|why| (since, why));
        let long = state.unable.as_ref().filter(|(since, _)| now.since(*since) >= MARK_AFTER);
        let long = long.map(|(_, why)| why.clone());
        let mark = match &state.epoch {
            TermEpoch::Pending => state.held.mark.clone(),
            TermEpoch::Missing(why) => Some(why.clone()),
            TermEpoch::Given => long,
        };
        (state.held.clone(), mark)
    }

    /// Releases the Lease, so that the next leader need not wait.
    pub(super) async fn release(&self) {
        let held = self.state().held.clone();
        let released = match self.lease.release(&held).await {
            Err(LeaseError::Changed) => match self.lease.read().await {
                Ok(Some(lease)) if self.lease.is_mine(&lease) => self.lease.release(&lease).await.map(drop),
                // It is another's, or gone.
                other => other.map(drop),
            },
            other => other.map(drop),
        };
        if let Err(error) = released {
            warn!(
                error = with_causes(&error),
                "failed to release lease; the next leader waits for it to expire"
            );
        }
    }

    fn state(&self) -> MutexGuard<'_, TermState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
