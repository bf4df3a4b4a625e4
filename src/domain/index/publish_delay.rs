//! [`PublishDelay`]: why a change can't be published yet, for the status that says so meanwhile.

use std::time::{Duration, Instant};

use super::results::Failure;
use super::tenant::{Confidence, RetryState, TenantState};
use super::{CachedStatus, CachedTenant, Effects, Index, TenantSnapshot};
use crate::domain::Uid;
use crate::domain::assessment::{Assessment, NotPublished, PublishedConfig, SecretFaultKind};
use crate::domain::event::{EventDraft, EventReason};
use crate::domain::plan::{Outcome, Plan, PlanInput, Rejections};
use crate::domain::reason::Reason;
use crate::domain::secret::SecretKey;

/// The time for which a failure must have another reason than the status names, before the status names it.
const CONFIRM_AFTER: Duration = Duration::from_secs(1);

/// Everything from which the status of a tenant follows that waits for a change to be published.
#[derive(Clone, Debug)]
pub struct PublishDelay {
    /// Why the last reconcile failed, or takes so long.
    pub failure: Failure,
    /// True if the leader has read what Redis holds.
    pub redis_read: bool,
    /// True if the resource or its Secret has changed; false if Redis has only lost what it held.
    pub is_change: bool,
    snapshot: TenantSnapshot,
}

impl PublishDelay {
    /// Assesses the resource by what is known without Redis. A fault of the resource itself comes before the failure, since
    /// no end of an outage corrects it.
    #[must_use]
    pub fn assess(&self, object: &CachedTenant) -> Option<Assessment> {
        let rejections = Rejections::default();
        let input = PlanInput {
            spec: object.spec(),
            generation: object.generation(),
            snapshot: &self.snapshot.claims,
            rejections: &rejections,
        };
        let Failure { reason, message, .. } = &self.failure;
        let failed = NotPublished::Failed { reason: *reason, message: message.clone() };
        let outcome = match input.plan() {
            Plan::Done(outcome) => outcome,
            Plan::Publish(desired) if self.snapshot.secret.is_none() => {
                let key = SecretKey::of(&object.name(), &desired.spec);
                input.blocked(&desired, NotPublished::Secret(key.fault(SecretFaultKind::NotFound)))
            }
            Plan::Publish(desired) => input.blocked(&desired, failed),
            Plan::Remove(removal) => {
                let mut outcome = removal.outcome?;
                if let Outcome::Assessed(assessment) = &mut outcome {
                    assessment.not_published = Some(failed);
                    assessment.published = input.published_config();
                }
                outcome
            }
        };
        let Outcome::Assessed(mut assessment) = outcome else { return None };
        if !self.redis_read {
            assessment.published = object.status().and_then(published_by_status);
            assessment.current = false;
            (assessment.wanted, assessment.live) = input.count(assessment.published.as_ref());
        }
        Some(assessment)
    }
}

fn published_by_status(status: &CachedStatus) -> Option<PublishedConfig> {
    let dids = status.published_dids();
    let hash = status.published_hash().unwrap_or_default().to_owned();
    (!dids.is_empty()).then_some(PublishedConfig { dids, hash })
}

impl Index {
    /// Records that a reconcile takes long, and why, while it goes on. The status says so where it publishes a change; a
    /// loss is reported when its repair fails.
    pub fn delayed(&mut self, uid: &Uid, failure: Failure) -> Effects {
        let mut effects = Effects::default();
        let is_change = self.publishes_change(uid);
        if let Some(tenant) = self.tenants.get_mut(uid) {
            self.last_delay = Some(failure.clone());
            if is_change {
                tenant.retry.failure = Some(Box::new(failure));
                effects.status.push(uid.clone());
            }
        }
        self.finish(effects)
    }

    /// Records that queued tenants wait for the end of reconciles that take long: each has the failure that was last
    /// reported of one of those.
    pub fn delay_queued(&mut self, queued: &[Uid]) -> Effects {
        let Some(failure) = self.last_delay.clone() else { return Effects::default() };
        let mut effects = Effects::default();
        for uid in queued {
            if !self.publishes_change(uid) {
                continue;
            }
            if let Some(tenant) = self.tenants.get_mut(uid).filter(|tenant| tenant.retry.failure.is_none()) {
                tenant.retry.failure = Some(Box::new(failure.clone()));
                effects.status.push(uid.clone());
            }
        }
        self.finish(effects)
    }

    /// Notes that this replica no longer knows what Redis holds, since it does not lead.
    pub fn forget_redis(&mut self) {
        self.redis_read = false;
    }

    /// The delay of a tenant that waits for a change to be published; none for one that waits for nothing.
    pub(super) fn delay(&self, uid: &Uid) -> Option<PublishDelay> {
        let tenant = self.tenants.get(uid)?;
        let failure = tenant.retry.failure.as_deref().filter(|failure| !failure.is_epoch_lost)?;
        if tenant.object.is_deleting() {
            return None;
        }
        let is_change = self.pending_change(uid, tenant)?;
        let snapshot = self.snapshot_of(uid);
        Some(PublishDelay { failure: failure.clone(), redis_read: self.redis_read, is_change, snapshot })
    }

    /// True if the tenant waits for a change to be published, and not only for what Redis has lost.
    fn publishes_change(&self, uid: &Uid) -> bool {
        self.tenants.get(uid).is_some_and(|tenant| self.pending_change(uid, tenant) == Some(true))
    }

    /// Returns `true` if Redis does not hold what this version of the tenant asks for, `false` if it has lost that, and none if
    /// the tenant waits for nothing: as far as Redis could be read, else as far as the status says.
    fn pending_change(&self, uid: &Uid, tenant: &TenantState) -> Option<bool> {
        let object = &tenant.object;
        let is_reported = object.reported_failure().is_some();
        let is_behind = object.observed_generation() != object.generation();
        // As one whose Secret was missing, and can't be read now that it is there.
        let is_new = object.status().is_none_or(|status| status.published_hash().is_none());
        let waits = is_behind || is_reported || is_new;
        let (is_change, is_lost) = match &tenant.observed.version {
            Some(version) if self.redis_read => {
                let secret = self.secrets.version_for(uid).map(|version| self.recorded_secret(version));
                let is_rotated = secret.is_some_and(|secret| secret != version.secret);
                let is_edited = version.generation != object.generation();
                (is_edited || is_rotated, tenant.observed.confidence == Confidence::Suspect)
            }
            None if self.redis_read => (waits, !object.status_dids().is_empty()),
            _ => (waits, false),
        };
        (is_change || is_lost).then_some(is_change)
    }

    /// Notes that the status reports a delay. Returns the event about it, once until the next success.
    pub fn report_delay(&mut self, uid: &Uid, failure: &Failure) -> Option<EventDraft> {
        let tenant = self.tenants.get_mut(uid)?;
        if tenant.retry.waiting_reason.replace(EventReason::PublishDelayed).is_some() {
            return None;
        }
        let Failure { reason, message, .. } = failure;
        let message = format!("not published yet ({reason}), retrying: {message}");
        Some(EventDraft::new(EventReason::PublishDelayed, message))
    }

    /// Decides when the status, which names another reason or none, may name this one: once it is given for [`CONFIRM_AFTER`],
    /// so that a connection that breaks in several ways, or a loss that is repaired, is not worth a write. Returns how long
    /// that is from now; zero: it is.
    pub fn confirm_reason(&mut self, uid: &Uid, reason: Reason, now: Instant) -> Duration {
        let Some(tenant) = self.tenants.get_mut(uid) else { return CONFIRM_AFTER };
        tenant.retry.confirm(reason, now)
    }

    /// Notes that what the status names is what fails: another one is confirmed from scratch.
    pub fn keep_reason(&mut self, uid: &Uid) {
        if let Some(tenant) = self.tenants.get_mut(uid) {
            tenant.retry.unconfirmed = None;
        }
    }
}

impl RetryState {
    fn confirm(&mut self, reason: Reason, now: Instant) -> Duration {
        let since = match self.unconfirmed.as_deref() {
            Some((unconfirmed, since)) if *unconfirmed == reason => *since,
            _ => {
                self.unconfirmed = Some(Box::new((reason, now)));
                now
            }
        };
        CONFIRM_AFTER.saturating_sub(now.saturating_duration_since(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_reason_is_confirmed_by_the_time_for_which_it_is_given() {
        let (mut retry, begin) = (RetryState::default(), Instant::now());
        let mut wait =
            |reason, millis| retry.confirm(reason, begin + Duration::from_millis(millis)).as_millis();
        assert_eq!(wait(Reason::RedisLoading, 0), 1000);
        assert_eq!(wait(Reason::RedisLoading, 40), 960, "two reconciles that fail together are no proof");
        assert_eq!(wait(Reason::RedisReadOnly, 900), 1000);
        assert_eq!(wait(Reason::RedisLoading, 1000), 1000);
        assert_eq!(wait(Reason::RedisLoading, 2000), 0);
    }
}
