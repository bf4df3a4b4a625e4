//! One writer: a Lease says who leads, and a number in Redis fences whoever led before.
//!
//! The Lease alone does not stop a leader that was paused and superseded. So after winning it a replica takes the next
//! number of the epoch, *then* reads the Lease again, and only if it still holds it begins to write; every write
//! carries the number, and Redis refuses any but the latest.

mod rights;

use std::time::Duration;

use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, watch_object};
use kube::{Api, Client};
use kube_lease_manager::{LeaseManager, LeaseManagerBuilder, LeaseManagerError};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, info, warn};

use crate::domain::Epoch;
use crate::store::{Store, StoreError};

/// The Lease's name, in the operator's own namespace.
pub const LEASE: &str = "runtime-operator";
/// For how long a Lease counts that is not renewed.
const DURATION: Duration = Duration::from_secs(15);
/// How long a leader tries to renew it before it stops leading.
const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// How often it is renewed.
const RENEW_EVERY: Duration = Duration::from_secs(2);
/// How long taking a free Lease may take.
const ATTEMPT: Duration = Duration::from_secs(5);
/// How often it is tried again where something outside fails.
const RETRY: Duration = Duration::from_secs(1);
/// How often a replica that lacks a right asks whether somebody has given it.
const ASK_AGAIN: Duration = Duration::from_secs(3);

/// Whether this replica leads, and with which number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leadership {
    /// Another does, or none yet.
    Following,
    /// This one never can: what it may not do.
    Barred(String),
    /// This one would, but Redis gives it no number: why.
    Waiting(StoreError),
    /// This one does.
    Leading(Epoch),
}

/// Where leadership is read from, and where a refused write is reported.
#[derive(Clone, Debug)]
pub struct Leader {
    /// Who leads.
    pub state: watch::Receiver<Leadership>,
    /// The highest number that was refused. A report that comes late, for a number that was replaced meanwhile, must
    /// not have another one taken: its writes would be refused too, and so on for ever.
    refused: watch::Sender<Epoch>,
}

/// Leadership was lost; the process must end, and start again as a follower.
#[derive(Debug, thiserror::Error)]
pub enum LeaderError {
    /// Another replica holds the Lease.
    #[error("lost the Lease {LEASE}")]
    Lost,
}

impl Leader {
    /// Reports that Redis refuses, or will refuse, writes that carry this number.
    pub fn fenced(&self, epoch: Epoch) {
        self.refused.send_if_modified(|refused| {
            let newer = *refused < epoch;
            *refused = epoch.max(*refused);
            newer
        });
    }

    /// Waits until this number is refused.
    async fn refused(&self, epoch: Epoch) {
        // The sender is this leader's own, so that the channel stays open.
        let _ = self.refused.subscribe().wait_for(|refused| *refused >= epoch).await;
    }
}

/// A leader to be, and the channel through which it is told.
#[must_use]
pub fn channel() -> (watch::Sender<Leadership>, Leader) {
    let (sender, state) = watch::channel(Leadership::Following);
    (sender, Leader { state, refused: watch::Sender::new(Epoch(0)) })
}

/// Leads without asking anyone, until dropped. A number is taken all the same.
pub async fn alone(store: &Store, sender: &watch::Sender<Leadership>, leader: &Leader) {
    loop {
        let epoch = take_number(store, sender).await;
        leader.refused(epoch).await;
        warn!(epoch = epoch.0, "a write was refused, or may come late: takes another number");
    }
}

/// Leads whenever it holds the Lease. Ends with an error when another took the Lease away, and without one when `stop`
/// is done: then the Lease is released.
pub async fn elected(
    client: Client,
    identity: &str,
    store: &Store,
    sender: &watch::Sender<Leadership>,
    leader: &Leader,
    stop: impl Future<Output = ()>,
) -> Result<(), LeaderError> {
    let lease = OwnLease { leases: Api::default_namespaced(client.clone()), client, identity };
    tokio::pin!(stop);
    loop {
        let manager = tokio::select! {
            manager = lease.win(sender) => manager,
            () = &mut stop => return Ok(()),
        };
        info!(identity, "holds the Lease");
        let end = tokio::select! {
            end = lease.keep(&manager) => end,
            () = lease.lead(store, sender, leader) => End::Superseded,
            () = &mut stop => End::Stopped,
        };
        sender.send_replace(Leadership::Following);
        match end {
            End::Superseded => return Err(LeaderError::Lost),
            End::Stopped => {
                lease.give_back(&manager).await;
                return Ok(());
            }
            End::Expired => warn!("the Lease could not be renewed in time: follows until it is won again"),
        }
    }
}

/// Why a replica stops leading.
enum End {
    /// It stops altogether.
    Stopped,
    /// Nobody answered when the Lease was to be renewed.
    Expired,
    /// Another has the Lease.
    Superseded,
}

/// The Lease, as one replica sees it.
struct OwnLease<'a> {
    client: Client,
    leases: Api<Lease>,
    identity: &'a str,
}

impl OwnLease<'_> {
    /// Waits until the Lease is this replica's. However long that takes.
    async fn win(&self, sender: &watch::Sender<Leadership>) -> LeaseManager {
        loop {
            self.wait_until_allowed(sender).await;
            self.wait_until_free().await;
            match timeout(ATTEMPT, self.try_to_win()).await {
                Ok(Ok(Some(manager))) => return manager,
                // Another was faster.
                Ok(Ok(None)) | Err(_) => debug!("the Lease went to another"),
                Ok(Err(error)) => warn!(%error, "the Lease can't be taken"),
            }
            sleep(RETRY.mul_f64(rand::random_range(0.2..0.6))).await;
        }
    }

    /// Waits until it may do what an election takes, and says what it may not. An API server that does not answer is no
    /// refusal.
    async fn wait_until_allowed(&self, sender: &watch::Sender<Leadership>) {
        loop {
            let lacking = timeout(ATTEMPT, rights::lacking(&self.client)).await;
            let Ok(Ok(Some(why))) = lacking else { break };
            let now = Leadership::Barred(why);
            sender.send_if_modified(|before| {
                if *before == now {
                    return false;
                }
                if let Leadership::Barred(why) = &now {
                    warn!(why, "takes no part in the election");
                }
                *before = now;
                true
            });
            sleep(ASK_AGAIN.mul_f64(rand::random_range(0.5..1.5))).await;
        }
        sender.send_if_modified(|before| {
            let barred = matches!(before, Leadership::Barred(_));
            if barred {
                *before = Leadership::Following;
            }
            barred
        });
    }

    async fn try_to_win(&self) -> Result<Option<LeaseManager>, LeaseManagerError> {
        // Each replica has a field manager of its own: of two that apply at once, one gets a conflict.
        let suffix = self.identity.len().saturating_sub(100);
        let manager = LeaseManagerBuilder::new(self.client.clone(), LEASE)
            .with_namespace(self.client.default_namespace())
            .with_identity(self.identity)
            .with_field_manager(format!(
                "runtime-operator-{}",
                self.identity.get(suffix..).unwrap_or_default()
            ))
            .with_duration(DURATION.as_secs())
            .with_grace(DURATION.as_secs() - RENEW_EVERY.as_secs())
            .build()
            .await?;
        Ok(manager.changed().await?.then_some(manager))
    }

    /// Waits until nobody holds the Lease, or whoever does has not renewed it for its duration, by this replica's own
    /// clock. A Lease that is released is seen at once. Ends too where the Lease may not be watched: it is asked why.
    async fn wait_until_free(&self) {
        let mut events = watch_object(self.leases.clone(), LEASE).default_backoff().boxed();
        let mut held: Option<LeaseSpec> = None;
        loop {
            match timeout(DURATION, events.next()).await {
                Ok(Some(Ok(lease))) => {
                    held = lease.and_then(|lease| lease.spec);
                    if held.as_ref().and_then(|spec| spec.holder_identity.as_ref()).is_none() {
                        return;
                    }
                }
                Ok(Some(Err(error))) => {
                    debug!(%error, "the Lease can't be watched");
                    if is_forbidden(&error) {
                        return;
                    }
                }
                // Not renewed for so long; unless it was never seen, for the API server does not answer.
                Ok(None) | Err(_) if held.is_some() => return,
                Ok(None) | Err(_) => {}
            }
        }
    }

    /// Renews the Lease for as long as that works.
    async fn keep(&self, manager: &LeaseManager) -> End {
        let mut failing: Option<Instant> = None;
        loop {
            let since = failing.unwrap_or_else(Instant::now);
            // A renewal that hangs is a failed one.
            match timeout(RENEW_DEADLINE.saturating_sub(since.elapsed()), manager.changed()).await {
                Ok(Ok(true)) => failing = None,
                Ok(Ok(false)) => return End::Superseded,
                Ok(Err(error)) => {
                    debug!(%error, "the Lease is not renewed yet");
                    failing.get_or_insert_with(Instant::now);
                    sleep(RENEW_EVERY).await;
                }
                // It answers only when something has changed: silence is good while the Lease says so.
                Err(_) => match timeout(RENEW_EVERY, self.leases.get_opt(LEASE)).await {
                    Ok(Ok(lease)) if self.is_holder(lease.as_ref()) => {
                        // Nobody has taken it yet, but anybody may: it is not renewed, as where the right was taken away.
                        if !is_renewed(lease.as_ref()) {
                            return End::Expired;
                        }
                        failing = None;
                    }
                    Ok(Ok(_)) => return End::Superseded,
                    Ok(Err(_)) | Err(_) => return End::Expired,
                },
            }
        }
    }

    fn is_holder(&self, lease: Option<&Lease>) -> bool {
        let spec = lease.and_then(|lease| lease.spec.as_ref());
        spec.and_then(|spec| spec.holder_identity.as_deref()) == Some(self.identity)
    }

    async fn give_back(&self, manager: &LeaseManager) {
        if !matches!(timeout(RENEW_EVERY, manager.release()).await, Ok(Ok(()))) {
            warn!("the Lease was not released: a follower waits until it expires");
        }
    }

    /// Leads with one number after the other. Ends when the Lease is another's.
    async fn lead(&self, store: &Store, sender: &watch::Sender<Leadership>, leader: &Leader) {
        loop {
            let epoch = next_epoch(store, sender).await;
            // Only now: whoever won the Lease before the number was taken has a lower one.
            if !self.holds().await {
                return;
            }
            info!(epoch = epoch.0, "leads");
            sender.send_replace(Leadership::Leading(epoch));
            leader.refused(epoch).await;
            warn!(epoch = epoch.0, "a write was refused, or may come late: takes another number");
            if !self.holds().await {
                return;
            }
        }
    }

    /// Whether the Lease is this replica's. Asked until the API server answers: no answer is no leave to write.
    async fn holds(&self) -> bool {
        loop {
            match self.leases.get_opt(LEASE).await {
                Ok(lease) => return self.is_holder(lease.as_ref()),
                Err(error) => {
                    warn!(%error, "the Lease can't be read");
                    sleep(RETRY).await;
                }
            }
        }
    }
}

/// Whether its holder has renewed it within the deadline, by the clock with which that one wrote it: asked of one's own.
fn is_renewed(lease: Option<&Lease>) -> bool {
    let renewed = lease.and_then(|lease| lease.spec.as_ref()?.renew_time.as_ref());
    renewed.is_some_and(|time| Timestamp::now().duration_since(time.0).unsigned_abs() < RENEW_DEADLINE)
}

fn is_forbidden(error: &watcher::Error) -> bool {
    let (watcher::Error::InitialListFailed(cause)
    | watcher::Error::WatchStartFailed(cause)
    | watcher::Error::WatchFailed(cause)) = error
    else {
        return matches!(error, watcher::Error::WatchError(status) if status.code == 403);
    };
    matches!(cause, kube::Error::Api(status) if status.code == 403)
}

async fn take_number(store: &Store, sender: &watch::Sender<Leadership>) -> Epoch {
    let epoch = next_epoch(store, sender).await;
    info!(epoch = epoch.0, "leads, without an election");
    sender.send_replace(Leadership::Leading(epoch));
    epoch
}

async fn next_epoch(store: &Store, sender: &watch::Sender<Leadership>) -> Epoch {
    let mut told = None;
    loop {
        match store.acquire_epoch().await {
            Ok(epoch) => return epoch,
            Err(error) => {
                if told.as_ref() != Some(&error) {
                    warn!(%error, "no number can be taken in Redis, so nothing is written yet");
                    told = Some(error.clone());
                }
                sender.send_replace(Leadership::Waiting(error));
                sleep(RETRY).await;
            }
        }
    }
}
