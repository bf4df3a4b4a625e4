//! Drift of a tenant's keys, and the rate limit of its repairs: immediately for a burst, then at a bounded rate, so that a
//! client that changes keys in a loop costs a bounded amount of work and delays no other tenant.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use super::{Effects, Index};
use crate::domain::event::{EventDraft, EventReason};
use crate::domain::rate_limit::{Bucket, Decision, RateLimiter};
use crate::domain::{ResourceName, Uid};

/// The interval of repairs after a burst, which is also the longest that a broken key waits once its writer stops.
const REPAIR_INTERVAL: Duration = Duration::from_millis(500);
/// Repairs of one tenant that follow each other without a delay.
const REPAIR_BURST: u32 = 50;
const LIMIT: RateLimiter = RateLimiter::new(REPAIR_BURST, REPAIR_INTERVAL);
/// Deferred repairs in a row before an event reports them: a single pass over a tenant's DIDs is no contest.
const REPORT_AFTER: u32 = 3;
/// The interval between two events of one tenant while the contest goes on.
const REPORT_INTERVAL: Duration = Duration::from_secs(300);
/// The number of tenants from which idle ones are removed.
const MIN_COLLECTION: usize = 64;

/// Limits the repairs of each tenant, and holds those that are deferred.
#[derive(Clone, Debug, Default)]
pub struct RepairLimiter {
    tenants: HashMap<Uid, Repairs>,
    due: BTreeSet<(Instant, Uid)>,
    /// The number of tenants at which idle ones are removed.
    collect_at: usize,
}

#[derive(Clone, Debug, Default)]
struct Repairs {
    bucket: Bucket,
    /// True while a repair is deferred.
    deferred: bool,
    /// Deferred repairs in a row.
    deferrals: u32,
    /// Changes that were seen since the tenant was last idle.
    changes: u64,
    reported: Option<Instant>,
}

impl RepairLimiter {
    /// Counts that another client changed a key of this tenant. Returns true when it may be repaired immediately.
    fn allow(&mut self, uid: &Uid, now: Instant) -> bool {
        self.remove_idle(now);
        let repairs = self.tenants.entry(uid.clone()).or_default();
        repairs.changes += 1;
        if repairs.deferred {
            return false;
        }
        repairs.calm_down(now);
        match LIMIT.check(&mut repairs.bucket, now) {
            Decision::Allow => true,
            Decision::Defer { until } => {
                repairs.deferred = true;
                self.due.insert((until, uid.clone()));
                false
            }
        }
    }

    /// Takes the tenants whose deferred repair is due, each with the event that reports the contest.
    fn take_due(&mut self, now: Instant) -> Vec<(Uid, Option<EventDraft>)> {
        let mut due = Vec::new();
        while self.due.first().is_some_and(|(when, _)| *when <= now) {
            let Some((_, uid)) = self.due.pop_first() else { break };
            let Some(repairs) = self.tenants.get_mut(&uid) else { continue };
            repairs.deferred = false;
            repairs.deferrals += 1;
            repairs.calm_down(now);
            LIMIT.consume(&mut repairs.bucket, now);
            let event = repairs.report(now);
            due.push((uid, event));
        }
        due
    }

    fn remove_idle(&mut self, now: Instant) {
        if self.tenants.len() >= self.collect_at.max(MIN_COLLECTION) {
            self.tenants.retain(|_, repairs| repairs.deferred || !LIMIT.is_idle(&repairs.bucket, now));
            self.collect_at = 2 * self.tenants.len();
        }
    }
}

impl Repairs {
    /// Ends a contest once half of the burst is available again.
    fn calm_down(&mut self, now: Instant) {
        if LIMIT.outstanding(&self.bucket, now) <= REPAIR_BURST / 2 {
            self.deferrals = 0;
        }
    }

    fn report(&mut self, now: Instant) -> Option<EventDraft> {
        let recently = self.reported.is_some_and(|reported| now.duration_since(reported) < REPORT_INTERVAL);
        if self.deferrals < REPORT_AFTER || recently {
            return None;
        }
        self.reported = Some(now);
        let message = format!(
            "another client keeps changing this tenant's keys ({} times so far); repairs are limited to one every {} ms. \
             Find the client (CLIENT LIST, MONITOR) and revoke its write access to tenantmap:did:* and tenantcfg:* (ACL)",
            self.changes,
            REPAIR_INTERVAL.as_millis()
        );
        Some(EventDraft::new(EventReason::KeysContested, message))
    }
}

impl Index {
    /// Records that another client changed a key of `uid`. It is repaired immediately, or later when its keys keep
    /// being changed; returns true in the first case. Until a deferred repair is due, the tenant is not invalidated: a
    /// reconcile for another reason would repair it and bypass the limit.
    pub fn drifted(&mut self, uid: &Uid, now: Instant) -> (Effects, bool) {
        if !self.repairs.allow(uid, now) {
            return (Effects::default(), false);
        }
        (self.invalidate(uid), true)
    }

    /// Repairs whose delay is over. Returns the contests to report.
    pub fn due_repairs(&mut self, now: Instant) -> (Effects, Vec<(ResourceName, EventDraft)>) {
        let mut effects = Effects::default();
        let mut contests = Vec::new();
        for (uid, event) in self.repairs.take_due(now) {
            effects.reconcile.extend(self.invalidate(&uid).reconcile);
            if let (Some(tenant), Some(event)) = (self.tenants.get_mut(&uid), event) {
                tenant.status.pending_events.push(event.clone());
                contests.push((tenant.name(), event));
            }
        }
        (self.finish(effects), contests)
    }

    /// The time of the next deferred repair.
    #[must_use]
    pub fn next_repair(&self) -> Option<Instant> {
        self.repairs.due.first().map(|(when, _)| *when)
    }

    fn invalidate(&mut self, uid: &Uid) -> Effects {
        let Some(tenant) = self.tenants.get_mut(uid) else { return Effects::default() };
        tenant.invalidate();
        self.finish(Effects::reconcile([uid.clone()].into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uid(name: &str) -> Uid {
        Uid::from(name)
    }

    /// Changes a key at an interval; returns the number of repairs and the events.
    fn contest(
        limiter: &mut RepairLimiter,
        from: Instant,
        every: Duration,
        times: u32,
    ) -> (u32, Vec<EventDraft>) {
        let (mut repairs, mut events) = (0, Vec::new());
        for n in 0..times {
            let now = from + every * n;
            for (_, event) in limiter.take_due(now) {
                repairs += 1;
                events.extend(event);
            }
            repairs += u32::from(limiter.allow(&uid("a"), now));
        }
        (repairs, events)
    }

    fn next(limiter: &RepairLimiter) -> Option<Instant> {
        limiter.due.first().map(|(when, _)| *when)
    }

    #[test]
    fn occasional_changes_are_repaired_immediately_for_ever() {
        let mut limiter = RepairLimiter::default();
        assert_eq!(contest(&mut limiter, Instant::now(), REPAIR_INTERVAL, 10_000), (10_000, Vec::new()));
    }

    #[test]
    fn contested_keys_are_rate_limited_and_reported_once() {
        let (mut limiter, begin) = (RepairLimiter::default(), Instant::now());
        let (repairs, events) = contest(&mut limiter, begin, Duration::from_millis(1), 10_000);
        assert!((REPAIR_BURST..=REPAIR_BURST + 20).contains(&repairs), "{repairs}");
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].reason, EventReason::KeysContested);

        let end = begin + Duration::from_secs(10);
        assert!(next(&limiter).unwrap() <= end + REPAIR_INTERVAL, "the last change is repaired soon");
        assert_eq!(limiter.take_due(end + REPAIR_INTERVAL).len(), 1);
        assert_eq!(next(&limiter), None);
        let later = end + REPAIR_INTERVAL * REPAIR_BURST * 2;
        assert!(limiter.take_due(later).is_empty());
        assert!(limiter.allow(&uid("a"), later));
    }

    #[test]
    fn one_pass_over_many_keys_is_no_contest() {
        let mut limiter = RepairLimiter::default();
        let begin = Instant::now();
        let (repairs, events) = contest(&mut limiter, begin, Duration::from_micros(100), 300);
        assert_eq!((repairs, events.len()), (REPAIR_BURST, 0));
        assert_eq!(limiter.take_due(begin + REPAIR_INTERVAL), [(uid("a"), None)]);
    }

    #[test]
    fn idle_tenants_are_removed() {
        let (mut limiter, begin) = (RepairLimiter::default(), Instant::now());
        for n in 0..10_000 {
            limiter.allow(&uid(&n.to_string()), begin + REPAIR_INTERVAL * n);
        }
        assert!(limiter.tenants.len() <= MIN_COLLECTION, "{}", limiter.tenants.len());
    }

    #[test]
    fn other_tenants_are_not_delayed() {
        let (mut limiter, begin) = (RepairLimiter::default(), Instant::now());
        contest(&mut limiter, begin, Duration::from_millis(1), 1000);
        assert!(limiter.allow(&uid("b"), begin + Duration::from_secs(1)));
    }
}
