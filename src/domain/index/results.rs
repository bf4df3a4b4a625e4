//! The results of reconciles and status writes, which change the index.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::cached::CachedTenant;
use super::records::Recorded;
use super::tenant::{Confidence, Lifecycle, PendingStatus};
use super::{Effects, Index, TenantState};
use crate::domain::assessment::NotPublished;
use crate::domain::event::{EventDraft, EventReason};
use crate::domain::plan::Outcome;
use crate::domain::reason::Reason;
use crate::domain::{ClusterId, ResourceName, Uid};

/// The result of one publish or removal, or of finding that none is needed.
#[derive(Debug)]
pub struct OperationResult {
    /// The tenant.
    pub uid: Uid,
    /// The outcome, for the status; none for a resource that is gone.
    pub outcome: Option<Outcome>,
    /// The effect of the operation in Redis; none where no operation was needed.
    pub change: Option<RedisChange>,
}

/// The effect of one operation in Redis, on the record and on the keys.
#[derive(Debug)]
pub struct RedisChange {
    /// The content of the ownership record from now on; none: there is no record.
    pub recorded: Option<Recorded>,
    /// The number of invalidations when the snapshot was taken.
    pub invalidations: u64,
    /// True when something was written, so that Redis takes writes.
    pub written: bool,
    /// True when the config or the mappings were written.
    pub published: bool,
    /// The holders in other clusters from which something was taken.
    pub taken_from: Vec<(ClusterId, Uid)>,
    /// The events that report it.
    pub events: Vec<EventDraft>,
    /// The warnings about the webhook secret that was published; none where none was read.
    pub secret_warnings: Option<Vec<String>>,
}

/// The failure of a reconcile, as readiness, events, and the status of a tenant that has none yet report it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The condition's reason.
    pub reason: Reason,
    /// The cause, for a person to read.
    pub message: String,
    /// True when Redis rejected or did not answer a request: readiness reports it.
    pub is_store: bool,
    /// True for a lost epoch: another one is acquired immediately, so that nothing is worth reporting.
    pub is_epoch_lost: bool,
}

/// A resource whose reconcile failed, and the numbers from which the delay of its retry follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// The resource, for the log.
    pub name: Option<ResourceName>,
    /// The failures in a row before this one.
    pub failures: u32,
    /// The tenants that are retried, this one included.
    pub retrying: usize,
}

impl Index {
    /// Records the results of one script call for the tenants of a group, and reconciles the others that they affect.
    pub fn record_results(&mut self, results: Vec<OperationResult>) -> Effects {
        let members: Vec<Uid> = results.iter().map(|result| result.uid.clone()).collect();
        let mut effects = Effects::default();
        let mut vanished = Vec::new();
        for OperationResult { uid, outcome, change } in results {
            let Some(change) = change else {
                effects.reconcile.extend(self.set_outcome(&uid, outcome));
                continue;
            };
            if change.written {
                self.store_error = None;
            }
            let mut intact = false;
            if let Some(tenant) = self.tenants.get_mut(&uid) {
                intact = tenant.observed.invalidations == change.invalidations;
                tenant.take_over.took(change.taken_from);
                tenant.status.pending_events.extend(change.events);
                tenant.status.published_since_status |= change.published;
                if let Some(warnings) = change.secret_warnings {
                    let warnings = warnings.into_iter().map(String::into_boxed_str).collect();
                    tenant.status.secret_warnings = Some(warnings);
                }
                effects.status.push(uid.clone());
            }
            effects.reconcile.extend(self.record(&uid, change.recorded, intact));
            effects.reconcile.extend(self.set_outcome(&uid, outcome));
            let is_gone = self.tenants.get(&uid).is_none_or(|tenant| tenant.is_gone());
            if is_gone && self.claims.published(&uid).is_some() {
                vanished.push(uid);
            }
        }
        effects.reconcile.retain(|uid| !members.contains(uid));
        let mut effects = self.finish(effects);
        // Its deletion was handled while the publish was under way, maybe as part of another tenant's reconcile: the keys must
        // go again.
        effects.reconcile.extend(vanished);
        effects
    }

    /// Records that a reconcile succeeded. Tenants whose reconciles failed are retried, since the cause may be over
    /// for them too. Returns true when the tenant waits for something that no watch of Kubernetes will announce.
    pub fn reconciled(&mut self, uid: &Uid) -> (Effects, bool) {
        let mut effects = Effects::default();
        if self.retrying.remove(uid) {
            effects.reconcile = std::mem::take(&mut self.retrying);
        }
        let waits = self.tenants.get_mut(uid).is_some_and(|tenant| {
            tenant.retry = super::tenant::RetryState::default();
            waits_for_outside(tenant)
        });
        match self.tenants.get(uid) {
            // Another resource took over its record, so that no removal will be recorded for it.
            Some(tenant) if tenant.is_gone() && self.claims.published(uid).is_none() => {
                self.tenants.remove(uid);
            }
            Some(_) => effects.status.push(uid.clone()),
            None => {}
        }
        (self.finish(effects), waits)
    }

    /// Records that a reconcile failed. A tenant that waits for its deletion reports that once; one that waits for a change to
    /// be published does with its status.
    pub fn failed(&mut self, uid: &Uid, failure: Failure) -> (Effects, Retry) {
        self.retrying.insert(uid.clone());
        let retrying = self.retrying.len();
        if failure.is_store && !failure.is_epoch_lost {
            self.store_error = Some(format!("{}: {}", failure.reason, failure.message));
        }
        let mut effects = Effects::default();
        let (mut failures, mut name) = (0, None);
        if let Some(tenant) = self.tenants.get_mut(uid) {
            failures = tenant.retry.failures;
            name = Some(tenant.name());
            tenant.retry.failures = failures.saturating_add(1);
            let delayed = EventReason::DeletionDelayed;
            if tenant.object.is_deleting()
                && !failure.is_epoch_lost
                && tenant.retry.waiting_reason.replace(delayed) != Some(delayed)
            {
                let Failure { reason, message, .. } = &failure;
                let message = format!("keys not removed yet ({reason}), retrying: {message}");
                tenant.status.pending_events.push(EventDraft::new(delayed, message));
            }
            // A lost epoch says nothing about what the tenant has waited for so far.
            if !failure.is_epoch_lost || tenant.retry.failure.is_none() {
                tenant.retry.failure = Some(Box::new(failure));
            }
            effects.status.push(uid.clone());
        }
        (self.finish(effects), Retry { name, failures, retrying })
    }

    /// Records that the finalizer must be removed without cleaning up Redis; the event says `why`.
    pub fn force_release(&mut self, uid: &Uid, why: &str) {
        drop(self.set_outcome(uid, Some(Outcome::FinalizerRemovable)));
        if let Some(tenant) = self.tenants.get_mut(uid) {
            let message = format!("finalizer removed without cleaning up Redis: {why}");
            tenant.status.pending_events.push(EventDraft::new(EventReason::ForceDeleted, message));
        }
    }

    /// Takes what must be written of a tenant's status; none where nothing is known, or where the watch has not shown the
    /// operator's own last write yet: that event will lead here again.
    pub fn take_pending_status(&mut self, uid: &Uid) -> Option<PendingStatus> {
        let (outcome, delay) = (self.outcome(uid), self.delay(uid));
        let tenant = self.tenants.get_mut(uid).filter(|tenant| !tenant.is_gone())?;
        if tenant.is_awaiting_own_write() {
            return None;
        }
        Some(PendingStatus {
            object: tenant.object(),
            outcome,
            events: std::mem::take(&mut tenant.status.pending_events),
            published: tenant.status.published_since_status,
            delay,
            warnings: tenant.desired.warnings.clone(),
            secret_warnings: tenant.status.secret_warnings.clone(),
            take_over: tenant.take_over.status(tenant.object.take_over()),
        })
    }

    /// Records that the status reports the last publish: the next status keeps its time of publishing.
    pub fn status_written(&mut self, uid: &Uid) {
        if let Some(tenant) = self.tenants.get_mut(uid) {
            tenant.status.published_since_status = false;
        }
    }

    /// Records the version of a resource that the operator has written. The watch may show it before the response
    /// does.
    pub fn own_write(&mut self, uid: &Uid, version: Option<u64>) {
        if let Some(tenant) = self.tenants.get_mut(uid) {
            tenant.status.last_written_version = version.unwrap_or_default();
            tenant.status.failed_writes = 0;
        }
    }

    /// Records that a write of the status or the finalizers failed. Returns how many in a row had failed before this one.
    pub fn write_failed(&mut self, uid: &Uid) -> u32 {
        let Some(tenant) = self.tenants.get_mut(uid) else { return 0 };
        let before = tenant.status.failed_writes;
        tenant.status.failed_writes = before.saturating_add(1);
        before.into()
    }

    /// The published resources without the finalizer that guards their keys.
    #[must_use]
    pub fn without_finalizer(&self) -> Vec<Arc<CachedTenant>> {
        let lacks_finalizer = |uid: &Uid, tenant: &TenantState| {
            tenant.lifecycle == Lifecycle::Live
                && !tenant.object.has_finalizer()
                && self.claims.published(uid).is_some()
        };
        let unprotected = self.tenants.iter().filter(|(uid, tenant)| lacks_finalizer(uid, tenant));
        unprotected.map(|(_, tenant)| tenant.object()).collect()
    }

    /// The newest known resourceVersion of a resource: what the watch shows, or what the operator wrote after it.
    #[must_use]
    pub fn newest_version(&self, uid: &Uid) -> Option<String> {
        let tenant = self.tenants.get(uid)?;
        let shown = tenant.object.resource_version();
        let own = tenant.is_awaiting_own_write().then(|| tenant.status.last_written_version.to_string());
        Some(own.unwrap_or_else(|| shown.to_owned()))
    }

    /// Notes why a spec can't be decoded. Returns true when that is news.
    pub fn report_unreadable(&mut self, uid: &Uid, why: &str) -> bool {
        self.tenants.get_mut(uid).is_some_and(|tenant| {
            tenant.status.unreadable.replace(why.into()).is_none_or(|before| *before != *why)
        })
    }

    /// The tenants that are retried after a failure.
    #[must_use]
    pub fn retrying(&self) -> &BTreeSet<Uid> {
        &self.retrying
    }
}

/// True where the tenant waits for a change outside of the watched resources: it must be polled for.
fn waits_for_outside(tenant: &TenantState) -> bool {
    let Some(assessment) = tenant.assessment() else { return false };
    assessment.unavailable.iter().any(|did| did.holder.is_outside())
        || match &assessment.not_published {
            Some(NotPublished::Tenant(holder)) => holder.is_outside(),
            Some(
                NotPublished::WouldUnmap(_) | NotPublished::WouldChangeSecret | NotPublished::TooLarge(_),
            ) => true,
            Some(NotPublished::Secret(fault)) => !fault.clears_with_secret(),
            _ => false,
        }
}

impl TenantState {
    /// True when Redis was seen to hold exactly what the record says.
    #[must_use]
    pub fn is_verified(&self) -> bool {
        self.observed.confidence == Confidence::Verified
    }
}
