//! Leader election by a Lease, and the epochs of the leader.

use std::time::Duration;

use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, watch_object};
use kube::{Api, Client};
use kube_lease_manager::{LeaseManager, LeaseManagerBuilder, LeaseManagerError};
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, info, warn};

use super::lease::LEASE;
use super::permissions;
use super::state::Writer;
use crate::domain::Epoch;
use crate::store::Store;
use crate::telemetry::with_causes;

/// The time after which a lease expires that is not renewed.
const DURATION: Duration = Duration::from_secs(15);
/// The time for which a leader tries to renew it before it steps down.
const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// The interval of renewals.
const RENEW_EVERY: Duration = Duration::from_secs(2);
/// The timeout of an attempt to acquire the lease.
const ATTEMPT: Duration = Duration::from_secs(5);
/// The pause before a retry after a failure of Redis or the API server.
const RETRY: Duration = Duration::from_secs(1);
/// The interval at which a replica that lacks a permission checks again.
const PERMISSION_CHECK_INTERVAL: Duration = Duration::from_secs(3);

/// Leadership was lost: the process must exit and start again as a follower.
#[derive(Debug, thiserror::Error)]
pub enum LeaderError {
    /// Another replica holds the lease.
    #[error("lost the lease {LEASE} to another replica")]
    Lost,
}

/// Leads without an election, until dropped. Epochs are acquired all the same.
pub async fn without_election(store: &Store, writer: &Writer) {
    loop {
        let epoch = acquire_epoch(store, writer).await;
        info!(epoch = epoch.0, "became leader (leader election disabled)");
        writer.elected(epoch);
        writer.wait_until_lost(epoch).await;
        log_epoch_lost(epoch);
    }
}

/// Leads whenever this replica holds the lease. Ends with an error when another replica took the lease away, and without
/// one when `stop` is done: then the lease is released.
pub async fn with_lease(
    client: Client,
    identity: &str,
    store: &Store,
    writer: &Writer,
    stop: impl Future<Output = ()>,
) -> Result<(), LeaderError> {
    let lease = OwnLease { leases: Api::default_namespaced(client.clone()), client, identity };
    tokio::pin!(stop);
    loop {
        let manager = tokio::select! {
            manager = lease.acquire(writer) => manager,
            () = &mut stop => return Ok(()),
        };
        info!(identity, "acquired lease");
        let end = tokio::select! {
            end = lease.renew(&manager) => end,
            () = lease.lead(store, writer) => TermEnd::Superseded,
            () = &mut stop => TermEnd::Stopped,
        };
        writer.follow();
        match end {
            TermEnd::Superseded => return Err(LeaderError::Lost),
            TermEnd::Stopped => {
                lease.release(&manager).await;
                return Ok(());
            }
            TermEnd::Expired => warn!("lease not renewed in time; stepping down"),
        }
    }
}

/// Why a replica stops leading.
enum TermEnd {
    /// The process stops.
    Stopped,
    /// The API server did not answer when the lease had to be renewed.
    Expired,
    /// Another replica holds the lease.
    Superseded,
}

/// The lease, as one replica sees it.
struct OwnLease<'a> {
    client: Client,
    leases: Api<Lease>,
    identity: &'a str,
}

impl OwnLease<'_> {
    /// Waits until this replica holds the lease, however long that takes.
    async fn acquire(&self, writer: &Writer) -> LeaseManager {
        loop {
            self.wait_until_permitted(writer).await;
            self.wait_until_free().await;
            match timeout(ATTEMPT, self.try_to_acquire()).await {
                Ok(Ok(Some(manager))) => return manager,
                // Another replica was faster.
                Ok(Ok(None)) | Err(_) => debug!("lease is held by another replica"),
                Ok(Err(error)) => warn!(error = with_causes(&error), "failed to acquire lease"),
            }
            sleep(RETRY.mul_f64(rand::random_range(0.2..0.6))).await;
        }
    }

    /// Waits until this replica has the permissions that an election needs, and reports those that are missing. An API
    /// server that does not answer denies nothing.
    async fn wait_until_permitted(&self, writer: &Writer) {
        loop {
            let missing = timeout(ATTEMPT, permissions::missing(&self.client)).await;
            let Ok(Ok(Some(why))) = missing else { break };
            if writer.not_permitted(why.clone()) {
                warn!(why, "not taking part in leader election");
            }
            sleep(PERMISSION_CHECK_INTERVAL.mul_f64(rand::random_range(0.5..1.5))).await;
        }
        writer.permitted();
    }

    async fn try_to_acquire(&self) -> Result<Option<LeaseManager>, LeaseManagerError> {
        // Each replica has a field manager of its own: of two that apply concurrently, one gets a conflict.
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

    /// Waits until no replica holds the lease, or its holder has not renewed it for its duration by this replica's own
    /// clock. A release is seen immediately. Ends too where the lease may not be watched: the permissions are checked then.
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
                    debug!(%error, "lease watch failed");
                    if is_forbidden(&error) {
                        return;
                    }
                }
                // The holder did not renew the lease for that long.
                Ok(None) | Err(_) if held.is_some() => return,
                // The API server has not shown a lease yet.
                Ok(None) | Err(_) => {}
            }
        }
    }

    /// Renews the lease for as long as that works.
    async fn renew(&self, manager: &LeaseManager) -> TermEnd {
        let mut failing: Option<Instant> = None;
        loop {
            let since = failing.unwrap_or_else(Instant::now);
            // A renewal that hangs is a failed one.
            match timeout(RENEW_DEADLINE.saturating_sub(since.elapsed()), manager.changed()).await {
                Ok(Ok(true)) => failing = None,
                Ok(Ok(false)) => return TermEnd::Superseded,
                Ok(Err(error)) => {
                    debug!(%error, "lease renewal failed, retrying");
                    failing.get_or_insert_with(Instant::now);
                    sleep(RENEW_EVERY).await;
                }
                // The manager returns only when something has changed: silence is good while the lease says so.
                Err(_) => match timeout(RENEW_EVERY, self.leases.get_opt(LEASE)).await {
                    Ok(Ok(lease)) if self.is_holder(lease.as_ref()) => {
                        // No other replica has acquired it yet, but any may: it is not renewed, for example because the
                        // permission was revoked.
                        if !is_renewed(lease.as_ref()) {
                            return TermEnd::Expired;
                        }
                        failing = None;
                    }
                    Ok(Ok(_)) => return TermEnd::Superseded,
                    Ok(Err(_)) | Err(_) => return TermEnd::Expired,
                },
            }
        }
    }

    fn is_holder(&self, lease: Option<&Lease>) -> bool {
        let spec = lease.and_then(|lease| lease.spec.as_ref());
        spec.and_then(|spec| spec.holder_identity.as_deref()) == Some(self.identity)
    }

    async fn release(&self, manager: &LeaseManager) {
        if !matches!(timeout(RENEW_EVERY, manager.release()).await, Ok(Ok(()))) {
            warn!("failed to release lease; the next leader waits for it to expire");
        }
    }

    /// Leads with one epoch after the other. Ends when another replica holds the lease.
    async fn lead(&self, store: &Store, writer: &Writer) {
        loop {
            let epoch = acquire_epoch(store, writer).await;
            // Only now: a replica that acquired the lease before this epoch was acquired has a lower one.
            if !self.holds().await {
                return;
            }
            info!(epoch = epoch.0, "became leader");
            writer.elected(epoch);
            writer.wait_until_lost(epoch).await;
            log_epoch_lost(epoch);
            if !self.holds().await {
                return;
            }
        }
    }

    /// Returns true when the lease is this replica's. Retries until the API server answers: no response is no permission
    /// to write.
    async fn holds(&self) -> bool {
        loop {
            match self.leases.get_opt(LEASE).await {
                Ok(lease) => return self.is_holder(lease.as_ref()),
                Err(error) => {
                    warn!(error = with_causes(&error), "failed to read lease");
                    sleep(RETRY).await;
                }
            }
        }
    }
}

/// Returns true when the holder has renewed the lease within the deadline, by the clock with which it was written: the
/// holder asks this of its own lease.
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

/// Acquires an epoch, however long that takes, and reports why Redis gives none.
async fn acquire_epoch(store: &Store, writer: &Writer) -> Epoch {
    let mut reported = None;
    loop {
        match store.acquire_epoch().await {
            Ok(epoch) => return epoch,
            Err(error) => {
                if reported.as_ref() != Some(&error) {
                    warn!(%error, "failed to acquire an epoch from Redis; not writing until it succeeds");
                    reported = Some(error.clone());
                }
                writer.no_epoch(error);
                sleep(RETRY).await;
            }
        }
    }
}

fn log_epoch_lost(epoch: Epoch) {
    warn!(epoch = epoch.0, "epoch no longer usable (write fenced or in doubt); acquiring a new epoch");
}
