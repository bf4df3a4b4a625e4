//! What every look at a resource shares.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use futures::channel::mpsc::UnboundedSender;
use kube::Client;
use tokio::sync::{RwLock, mpsc};
use tracing::Span;

use super::burst::{Hand, Wanted};
use super::error::Error;
use super::events::{Events, Told};
use super::health::Health;
use super::rush::Rush;
use super::secrets::Version;
use super::state::State;
use super::tenant::{Tenant, Tenants};
use crate::domain::claims::Affected;
use crate::domain::{ClusterId, Epoch, ResourceName, Uid};
use crate::leader::Leader;
use crate::store::{Store, StoreError};
use crate::telemetry::{Census, Metrics, Queue};

/// What every look at a resource shares.
pub struct Context {
    /// The API server.
    pub client: Client,
    /// Redis.
    pub store: Store,
    /// This cluster's name in ownership records.
    pub cluster: ClusterId,
    /// Whether the webhook secret's value is published.
    pub publish_secret: bool,
    /// The namespaces that are watched; empty: all.
    pub namespaces: Vec<String>,
    /// The number that writes carry, or why nothing may be written yet; and how it goes.
    pub health: Arc<Health>,
    /// The resources as the watch shows them.
    pub tenants: Tenants,
    /// Writes events.
    pub events: Events,
    /// Who gives way to whom.
    pub rush: Rush,
    /// What is counted.
    pub metrics: Metrics,
    /// Who leads: told when Redis refuses a write.
    pub leader: Leader,
    /// Held by all who publish one tenant, and alone by who publishes several in one step: none of those may be
    /// published from an older reading in between.
    pub steps: RwLock<()>,
    /// Resources to look at.
    pub looks: UnboundedSender<ResourceName>,
    /// Resources to write the status of, after and never before.
    pub tellings: UnboundedSender<ResourceName>,
    /// Secrets that were listed for looks which are about to begin.
    pub hand: Hand,
    /// Resources to look at once their Secrets are listed.
    pub bursts: UnboundedSender<Wanted>,
    /// Events to write, after what they tell of.
    pub told: mpsc::Sender<Told>,
    /// Resources that vanished, of which keys may be left.
    pub gone: UnboundedSender<Uid>,
    pub(super) state: Mutex<State>,
}

impl Context {
    /// The index. Never held over an await.
    pub fn state(&self) -> MutexGuard<'_, State> {
        // A panic in a plain method call leaves the index as it was or half-way; what follows finds and mends that.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number that a write must carry.
    pub fn epoch(&self) -> Result<Epoch, Error> {
        self.health.work().map_err(Error::from)
    }

    /// Reports a write, which carried this number, that failed.
    pub fn failed(&self, epoch: Epoch, error: &StoreError) {
        if matches!(error, StoreError::Fenced { .. }) {
            self.metrics.fenced.inc();
        }
        if error.invalidates_epoch() {
            self.leader.fenced(epoch);
        }
    }

    /// The resource as last seen, unless another has its name by now.
    pub fn tenant(&self, uid: &Uid, name: &ResourceName) -> Option<Arc<Tenant>> {
        self.tenants.get(name).filter(|tenant| tenant.uid() == *uid)
    }

    /// Whether resources of this namespace are watched.
    pub fn watches(&self, namespace: &str) -> bool {
        self.namespaces.is_empty() || self.namespaces.iter().any(|watched| watched == namespace)
    }

    /// Has these looked at.
    pub fn look_at<'a>(&self, uids: impl IntoIterator<Item = &'a Uid>) {
        let now = Instant::now();
        let mut state = self.state();
        for uid in uids {
            match state.entry_mut(uid) {
                Some(entry) if entry.gone => self.send_gone(uid),
                Some(entry) => {
                    self.health.pulse().asked(now);
                    entry.waits_since[Queue::Publish as usize].get_or_insert(now);
                    entry.begin_trace();
                    // The queue is closed only when the process is about to end.
                    drop(self.looks.unbounded_send(entry.name.clone()));
                }
                None => {}
            }
        }
    }

    /// Has those looked at whom a change of the index concerns, but for `but`.
    pub fn look_at_touched(&self, touched: &Affected, but: &[Uid]) {
        self.look_at(touched.iter().filter(|uid| !but.contains(uid)));
    }

    /// Has everything looked at.
    pub fn look_at_all(&self) {
        let uids: Vec<Uid> = self.state().entries().map(|(uid, _)| uid.clone()).collect();
        self.look_at(&uids);
    }

    /// Has the status of this one written, where it is not what it should be.
    pub fn tell(&self, uid: &Uid, name: &ResourceName) {
        if let Some(entry) = self.state().entry_mut(uid) {
            entry.waits_since[Queue::Status as usize].get_or_insert_with(Instant::now);
        }
        drop(self.tellings.unbounded_send(name.clone()));
    }

    /// Has readiness say what Redis refuses, for as long as somebody waits for it.
    pub fn feel_refusals(&self) {
        let state = self.state();
        let refusal = state.refusal.clone().filter(|_| !state.failing.is_empty());
        self.health.refused(refusal);
    }

    /// A Secret's version as it is recorded: with or without its value makes a difference.
    pub fn recorded(&self, version: Version) -> Version {
        if self.publish_secret { version } else { format!("reference:{version}") }
    }

    /// The turn of this one has come. Gives back the span of the change that called for it; the status is its last part.
    pub fn turn(&self, queue: Queue, uid: &Uid) -> Span {
        let mut state = self.state();
        let Some(entry) = state.entry_mut(uid) else { return Span::none() };
        let since = entry.waits_since[queue as usize].take();
        let span = match queue {
            Queue::Publish => entry.trace.clone(),
            Queue::Status => entry.trace.take(),
        };
        drop(state);
        if let Some(since) = since {
            self.metrics.waited(queue, since.elapsed());
        }
        span.map_or_else(Span::none, |span| *span)
    }

    /// Counts resources and what waits.
    pub fn census(&self) -> Census {
        let mut census = Census::default();
        let tenants = self.tenants.all();
        let state = self.state();
        for tenant in tenants {
            let unreadable = state.entry(&tenant.uid()).is_some_and(|entry| entry.unreadable.is_some());
            match tenant.status() {
                Some(status) => {
                    let says = status.phrases().map(|says| [&*says.type_, &*says.status, &*says.reason]);
                    census.see(says, status.published_did_count(), unreadable);
                }
                None => census.see([].into_iter(), 0, unreadable),
            }
        }
        for (_, entry) in state.entries() {
            for (queue, since) in Queue::ALL.into_iter().zip(entry.waits_since) {
                if let Some(since) = since {
                    census.waits(queue, since.elapsed());
                }
            }
        }
        census
    }

    fn send_gone(&self, uid: &Uid) {
        drop(self.gone.unbounded_send(uid.clone()));
    }
}
