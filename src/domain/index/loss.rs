//! A loss in Redis: what holders elsewhere had before it is held back for a while, so that they come first.
//!
//! Only the time of the loss is in memory. Who held what is read from the statuses.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use super::cached::CachedStatus;
use super::records::Recorded;
use super::{Effects, Index};
use crate::contract::{Did, TenantId};
use crate::domain::assessment::{Holder, UnavailableDid};
use crate::domain::plan::HeldBack;
use crate::domain::{ClusterId, TakeOver, Uid};

/// The time for which holders come first: after a loss, and after the operator of a cluster has come back.
const HOLDERS_FIRST: Duration = Duration::from_secs(10);
/// The longest that the operator of another cluster is waited for.
const LONGEST: Duration = Duration::from_secs(600);

/// The things that are held back after a loss, and until when.
#[derive(Clone, Debug, Default)]
pub struct LossWait {
    /// The end of the wait for all holders.
    until: Option<Instant>,
    /// The end of the time in which records may be older than the statuses.
    records_lost_until: Option<Instant>,
    dids: HashMap<Did, Holder>,
    tenants: HashMap<TenantId, Holder>,
    /// The clusters that Redis did not know.
    absent: HashMap<ClusterId, Absence>,
}

/// The absence of another cluster's operator from Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Absence {
    /// It has not come back. It is waited for until then.
    Awaited(Instant),
    /// It has come back, and its resources come first until then.
    Returned(Instant),
    /// It did not come back.
    GivenUp,
}

impl Absence {
    const fn until(self) -> Option<Instant> {
        match self {
            Self::Awaited(until) | Self::Returned(until) => Some(until),
            Self::GivenUp => None,
        }
    }
}

impl LossWait {
    /// Notes that the holders of all things come first from `found` on.
    fn begin(&mut self, found: Instant) {
        self.until = self.until.max(Some(found + HOLDERS_FIRST));
    }

    /// Notes which of the `named` clusters Redis knows at a time.
    fn see(&mut self, named: &BTreeSet<ClusterId>, present: &[ClusterId], now: Instant) {
        for cluster in named.iter().filter(|cluster| !present.contains(cluster)) {
            let absence = self.absent.entry(cluster.clone()).or_insert(Absence::Awaited(now + LONGEST));
            // It was lost again.
            if matches!(absence, Absence::Returned(_)) {
                *absence = Absence::Awaited(now + LONGEST);
            }
        }
        for cluster in present {
            match self.absent.get_mut(cluster) {
                Some(absence @ Absence::Awaited(_)) => *absence = Absence::Returned(now + HOLDERS_FIRST),
                Some(Absence::GivenUp) => drop(self.absent.remove(cluster)),
                Some(Absence::Returned(_)) | None => {}
            }
        }
    }

    /// True while what this holder had is held back.
    fn holds_back(&self, holder: &Holder) -> bool {
        let is_absent = |cluster: &str| {
            let absence = self.absent.get(&ClusterId::new(cluster));
            absence.is_some_and(|absence| absence.until().is_some())
        };
        match holder {
            Holder::Elsewhere { cluster, .. } => self.until.is_some() || is_absent(cluster),
            _ => self.until.is_some(),
        }
    }

    /// Holds back what a status says that others hold: not what it says that the resource holds itself.
    fn hold_back(&mut self, tenant: &TenantId, status: &CachedStatus) {
        let own = status.published_dids();
        for held in status.held_elsewhere() {
            let Some(holder) = Holder::from_status(held).filter(|holder| self.holds_back(holder)) else {
                continue;
            };
            if held.dids.is_empty() && own.is_empty() {
                self.tenants.insert(tenant.clone(), holder.clone());
            }
            let dids = held.dids.iter().filter_map(|did| Did::parse(did).ok());
            self.dids.extend(dids.filter(|did| !own.contains(did)).map(|did| (did, holder.clone())));
        }
    }

    /// Ends what is over at a time. Returns the DIDs and the tenant ids that are no longer held back.
    fn end(&mut self, now: Instant) -> (Vec<Did>, Vec<TenantId>) {
        let is_over = |until: &Instant| *until <= now;
        self.until = self.until.filter(|until| !is_over(until));
        self.records_lost_until = self.records_lost_until.filter(|until| !is_over(until));
        self.absent.retain(|_, absence| {
            if matches!(absence, Absence::Awaited(until) if is_over(until)) {
                *absence = Absence::GivenUp;
            }
            !matches!(absence, Absence::Returned(until) if is_over(until))
        });
        let dids: Vec<Did> = self
            .dids
            .iter()
            .filter(|(_, holder)| !self.holds_back(holder))
            .map(|(did, _)| did.clone())
            .collect();
        let tenants = self.tenants.iter().filter(|(_, holder)| !self.holds_back(holder));
        let tenants: Vec<TenantId> = tenants.map(|(tenant, _)| tenant.clone()).collect();
        self.dids.retain(|did, _| !dids.contains(did));
        self.tenants.retain(|tenant, _| !tenants.contains(tenant));
        (dids, tenants)
    }

    /// The time at which the next wait ends.
    fn next(&self) -> Option<Instant> {
        let absent = self.absent.values().filter_map(|absence| absence.until());
        absent.chain(self.until).chain(self.records_lost_until).min()
    }
}

impl Index {
    /// True where these records of this cluster are fewer than the statuses that list published DIDs: Redis has lost some.
    #[must_use]
    pub fn has_lost(&self, records: &[(Uid, Recorded, bool)]) -> bool {
        let present = self.tenants.values().filter(|tenant| !tenant.is_gone());
        let statuses = present.filter_map(|tenant| tenant.object.status());
        statuses.filter(|status| status.lists_published_dids()).count() > records.len()
    }

    /// Takes in that Redis has lost data, by what this process has found at a time. `records`: records of this cluster are
    /// among it, or may be older than the statuses.
    pub fn loss_found(&mut self, found: Instant, records: bool) {
        self.loss.begin(found);
        if records {
            self.loss.records_lost_until = self.loss.until;
        }
        self.hold_back();
    }

    /// The other clusters that statuses name as holders.
    #[must_use]
    pub fn named_clusters(&self) -> BTreeSet<ClusterId> {
        let statuses = self.tenants.values().filter_map(|tenant| tenant.object.status());
        let named = statuses.flat_map(CachedStatus::held_elsewhere).filter_map(|held| held.cluster.as_ref());
        named.map(ClusterId::new).collect()
    }

    /// The clusters that are waited for.
    #[must_use]
    pub fn awaited_clusters(&self) -> BTreeSet<ClusterId> {
        let awaited = self.loss.absent.iter().filter(|(_, absence)| matches!(absence, Absence::Awaited(_)));
        awaited.map(|(cluster, _)| cluster.clone()).collect()
    }

    /// Takes in which of the `named` clusters have an operator that Redis knows, at a time. One that it does not know has lost
    /// what it held, and is waited for.
    pub fn clusters_seen(&mut self, named: &BTreeSet<ClusterId>, present: &[ClusterId], now: Instant) {
        self.loss.see(named, present, now);
        self.hold_back();
    }

    /// The time at which something is no longer held back.
    #[must_use]
    pub fn next_release(&self) -> Option<Instant> {
        self.loss.next()
    }

    /// The number of tenant ids and DIDs that are held back.
    #[must_use]
    pub fn held_back_count(&self) -> usize {
        self.loss.dids.len() + self.loss.tenants.len()
    }

    /// Ends the waits that are over: reconciles the tenants that waited.
    pub fn release_held_back(&mut self, now: Instant) -> Effects {
        let (dids, tenants) = self.loss.end(now);
        let holders = dids.iter().filter_map(|did| self.claims.holder(did));
        let holders = holders.chain(tenants.iter().filter_map(|tenant| self.claims.tenant_holder(tenant)));
        let holders = holders.cloned().collect();
        self.finish(Effects::reconcile(holders))
    }

    fn hold_back(&mut self) {
        for (uid, tenant) in &self.tenants {
            if let (Some(status), Some(claim)) = (tenant.object.status(), self.claims.get(uid))
                && !status.held_elsewhere().is_empty()
            {
                self.loss.hold_back(&claim.tenant, status);
            }
        }
    }

    /// The things that a tenant may not take yet. Never what its own status or record lists, nor what it may take over.
    pub(super) fn held_back_from(&self, uid: &Uid, take_over: &TakeOver) -> HeldBack {
        let mut held_back =
            HeldBack { after_loss: self.loss.records_lost_until.is_some(), ..HeldBack::default() };
        if self.held_back_count() == 0 || *take_over != TakeOver::Nothing {
            return held_back;
        }
        let (Some(tenant), Some(claim)) = (self.tenants.get(uid), self.claims.get(uid)) else {
            return held_back;
        };
        let recorded = self.claims.published(uid);
        let listed = tenant.object.status_dids();
        if listed.is_empty() && recorded.is_none() {
            held_back.tenant = self.loss.tenants.get(&claim.tenant).cloned();
        }
        let is_own =
            |did: &Did| listed.contains(did) || recorded.is_some_and(|recorded| recorded.dids.contains(did));
        held_back.dids = claim
            .dids
            .iter()
            .filter(|did| !is_own(did))
            .filter_map(|did| {
                Some(UnavailableDid { did: did.clone(), holder: self.loss.dids.get(did)?.clone() })
            })
            .collect();
        held_back
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elsewhere(cluster: &str) -> Holder {
        Holder::Elsewhere { cluster: cluster.to_owned(), owner: "voice/acme".to_owned() }
    }

    fn clusters(names: &[&str]) -> Vec<ClusterId> {
        names.iter().map(|name| ClusterId::new(*name)).collect()
    }

    fn named(names: &[&str]) -> BTreeSet<ClusterId> {
        clusters(names).into_iter().collect()
    }

    fn after(begin: Instant, seconds: u64) -> Instant {
        begin + Duration::from_secs(seconds)
    }

    #[test]
    fn every_holder_comes_first_for_ten_seconds_after_a_loss() {
        let (mut loss, begin) = (LossWait::default(), Instant::now());
        assert!(!loss.holds_back(&elsewhere("there")));
        loss.begin(begin);
        let older = Holder::Unmanaged("legacy".to_owned());
        assert!(loss.holds_back(&elsewhere("there")) && loss.holds_back(&older));
        assert_eq!(loss.next(), Some(after(begin, 10)));
        loss.end(after(begin, 9));
        assert!(loss.holds_back(&elsewhere("there")));
        // Another loss begins it again.
        loss.begin(after(begin, 5));
        loss.end(after(begin, 14));
        assert!(loss.holds_back(&elsewhere("there")));
        loss.end(after(begin, 15));
        assert!(!loss.holds_back(&elsewhere("there")) && !loss.holds_back(&older));
        assert_eq!(loss.next(), None);
    }

    #[test]
    fn another_cluster_comes_first_until_ten_seconds_after_its_return() {
        let (mut loss, begin) = (LossWait::default(), Instant::now());
        loss.begin(begin);
        loss.see(&named(&["east", "west"]), &clusters(&["west"]), begin);
        loss.end(after(begin, 10));
        assert!(loss.holds_back(&elsewhere("east")) && !loss.holds_back(&elsewhere("west")));
        loss.see(&named(&["east"]), &[], after(begin, 300));
        loss.see(&named(&["east"]), &clusters(&["east"]), after(begin, 400));
        loss.see(&named(&["east"]), &clusters(&["east"]), after(begin, 405));
        loss.end(after(begin, 409));
        assert!(loss.holds_back(&elsewhere("east")));
        loss.end(after(begin, 410));
        assert!(!loss.holds_back(&elsewhere("east")));
    }

    #[test]
    fn a_cluster_that_does_not_come_back_is_waited_for_ten_minutes_once() {
        let (mut loss, begin) = (LossWait::default(), Instant::now());
        loss.see(&named(&["east"]), &[], begin);
        loss.end(after(begin, 599));
        assert!(loss.holds_back(&elsewhere("east")));
        loss.end(after(begin, 600));
        assert!(!loss.holds_back(&elsewhere("east")));
        loss.see(&named(&["east"]), &[], after(begin, 700));
        assert!(!loss.holds_back(&elsewhere("east")), "the next check finds no news");
        loss.see(&named(&["east"]), &clusters(&["east"]), after(begin, 800));
        loss.see(&named(&["east"]), &[], after(begin, 900));
        assert!(loss.holds_back(&elsewhere("east")), "it was there meanwhile");
    }
}
