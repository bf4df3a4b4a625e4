//! One writer: a Lease says who leads, and a number in Redis fences whoever led before.
//!
//! The Lease alone does not stop a leader that was paused and superseded. So after winning it a replica takes the next
//! number of the epoch, *then* reads the Lease again, and only if it still holds it begins to write; every write
//! carries the number, and Redis refuses any but the latest.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client};
use kube_lease_manager::LeaseManagerBuilder;
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{info, warn};

use crate::store::{Epoch, Store};

/// The Lease's name, in the operator's own namespace.
pub const LEASE: &str = "runtime-operator";
/// For how long a Lease counts that is not renewed, seconds.
const DURATION_SECS: u64 = 15;
/// How long before that it is renewed, seconds.
const GRACE_SECS: u64 = 5;
/// How often it is tried again where something outside fails.
const RETRY: Duration = Duration::from_secs(1);

/// Whether this replica leads, and with which number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leadership {
    /// Another does, or none yet.
    Following,
    /// This one would, but Redis gives it no number: why.
    Waiting(String),
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
    /// The Lease could not be set up.
    #[error("the Lease {LEASE}: {0}")]
    Lease(#[from] kube_lease_manager::LeaseManagerError),
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
        warn!("Redis has another epoch: the counter was lost, or another operator took a number");
    }
}

/// Leads while it holds the Lease. Ends with an error once it does not, and without one when `stop` is done: then the
/// Lease is released.
pub async fn elected(
    client: Client,
    identity: &str,
    store: &Store,
    sender: &watch::Sender<Leadership>,
    leader: &Leader,
    stop: impl Future<Output = ()>,
) -> Result<(), LeaderError> {
    let leases: Api<Lease> = Api::default_namespaced(client.clone());
    let namespace = client.default_namespace().to_owned();
    let manager = LeaseManagerBuilder::new(client, LEASE)
        .with_namespace(namespace)
        .with_identity(identity)
        .with_field_manager("runtime-operator")
        .with_duration(DURATION_SECS)
        .with_grace(GRACE_SECS)
        .build()
        .await?;
    let (mut held, task) = manager.watch().await;
    let outcome = tokio::select! {
        outcome = hold(&mut held, &leases, identity, store, sender, leader) => outcome,
        () = stop => Ok(()),
    };
    // The manager releases the Lease when nobody listens any more.
    drop(held);
    if let Ok(Err(error)) = task.await {
        warn!(%error, "the Lease was not released: a follower waits until it expires");
    }
    outcome
}

async fn hold(
    held: &mut watch::Receiver<bool>,
    leases: &Api<Lease>,
    identity: &str,
    store: &Store,
    sender: &watch::Sender<Leadership>,
    leader: &Leader,
) -> Result<(), LeaderError> {
    if held.wait_for(|held| *held).await.is_err() {
        return Err(LeaderError::Lost);
    }
    info!(identity, "holds the Lease");
    loop {
        let epoch = tokio::select! {
            epoch = lead(leases, identity, store, sender) => epoch,
            // A closed channel is a manager that gave up.
            _ = held.wait_for(|held| !*held) => return Err(LeaderError::Lost),
        };
        tokio::select! {
            () = leader.refused(epoch) => warn!("Redis refused a write: another epoch is current"),
            _ = held.wait_for(|held| !*held) => return Err(LeaderError::Lost),
        }
        if !holds(leases, identity).await {
            return Err(LeaderError::Lost);
        }
    }
}

/// Takes a number, and leads with it only if the Lease is still this replica's after that.
async fn lead(
    leases: &Api<Lease>,
    identity: &str,
    store: &Store,
    sender: &watch::Sender<Leadership>,
) -> Epoch {
    loop {
        let epoch = next_epoch(store, sender).await;
        if holds(leases, identity).await {
            info!(epoch = epoch.0, "leads");
            sender.send_replace(Leadership::Leading(epoch));
            return epoch;
        }
        sender.send_replace(Leadership::Following);
        sleep(RETRY).await;
    }
}

async fn take_number(store: &Store, sender: &watch::Sender<Leadership>) -> Epoch {
    let epoch = next_epoch(store, sender).await;
    info!(epoch = epoch.0, "leads, without an election");
    sender.send_replace(Leadership::Leading(epoch));
    epoch
}

async fn next_epoch(store: &Store, sender: &watch::Sender<Leadership>) -> Epoch {
    let mut told = String::new();
    loop {
        match store.next_epoch().await {
            Ok(epoch) => return epoch,
            Err(error) => {
                let why = error.to_string();
                if why != told {
                    warn!(%error, "no number can be taken in Redis, so nothing is written yet");
                    told.clone_from(&why);
                }
                sender.send_replace(Leadership::Waiting(why));
                sleep(RETRY).await;
            }
        }
    }
}

/// Whether the API server says that the Lease is this replica's. Asked until it answers: no answer is no leave to
/// write.
async fn holds(leases: &Api<Lease>, identity: &str) -> bool {
    loop {
        match leases.get(LEASE).await {
            Ok(lease) => {
                let holder = lease.spec.and_then(|spec| spec.holder_identity);
                return holder.as_deref() == Some(identity);
            }
            Err(kube::Error::Api(status)) if status.code == 404 => return false,
            Err(error) => {
                warn!(%error, "the Lease can't be read");
                sleep(RETRY).await;
            }
        }
    }
}
