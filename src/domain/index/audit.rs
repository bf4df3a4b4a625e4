//! The audit's part of the index: what is expected in Redis, and what a comparison shows.

use std::collections::HashMap;

use super::records::Recorded;
use super::{Effects, Index};
use crate::contract::TenantId;
use crate::domain::plan::PublishedVersion;
use crate::domain::{ClusterId, OwnershipRecord, Uid};

/// The state in which the index expected a tenant id before Redis was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The tenant.
    pub tenant: TenantId,
    /// The owner; none: no record of it is known.
    pub owner: Option<Uid>,
    /// The owner's invalidations and recorded version then.
    state: Option<(u64, Option<PublishedVersion>)>,
}

/// The result of a comparison.
#[derive(Debug, Default)]
pub struct AuditResult {
    /// The number of tenants of which Redis holds something else than is known.
    pub drifted: usize,
    /// Tenant ids whose record is not known.
    pub unknown: Vec<TenantId>,
}

impl Index {
    /// The owner of each published tenant id.
    #[must_use]
    pub fn published_owners(&self) -> HashMap<TenantId, Uid> {
        let published = self.tenants.keys().filter_map(|uid| Some((uid, self.claims.published(uid)?)));
        let all = published.chain(self.claims.published_without_claim());
        all.map(|(uid, published)| (published.tenant.clone(), uid.clone())).collect()
    }

    /// Reconciles the tenants of which nothing is published.
    pub fn enqueue_unpublished(&mut self) -> Effects {
        let waiting =
            self.tenants.keys().filter(|uid| self.claims.published(uid).is_none()).cloned().collect();
        self.finish(Effects::reconcile(waiting))
    }

    /// Returns the expected state of these tenant ids. `owners` is the result of [`Self::published_owners`].
    #[must_use]
    pub fn expect(&self, tenants: &[TenantId], owners: &HashMap<TenantId, Uid>) -> Vec<Expected> {
        let expected = |tenant: &TenantId| {
            let owner = owners.get(tenant).cloned();
            let state = owner.as_ref().and_then(|uid| self.state(uid));
            Expected { tenant: tenant.clone(), owner, state }
        };
        tenants.iter().map(expected).collect()
    }

    fn state(&self, uid: &Uid) -> Option<(u64, Option<PublishedVersion>)> {
        let observed = &self.tenants.get(uid)?.observed;
        Some((observed.invalidations, observed.version.clone()))
    }

    /// Compares what Redis holds (each tenant's record, and whether it is intact) with what was expected. Tenants that
    /// differ are invalidated; all of them are reconciled, which costs nothing where nothing differs.
    pub fn audit(
        &mut self,
        cluster: &ClusterId,
        expected: &[Expected],
        found: &[(Option<OwnershipRecord>, bool)],
    ) -> (Effects, AuditResult) {
        let mut effects = Effects::default();
        let mut result = AuditResult::default();
        for (expected, (record, intact)) in expected.iter().zip(found) {
            let Some(uid) = &expected.owner else {
                result.unknown.push(expected.tenant.clone());
                continue;
            };
            let record = record.as_ref().filter(|record| *intact && record.cluster == *cluster);
            // A tenant that was written meanwhile differs from what was compared, and has not drifted.
            if expected.state == self.state(uid) && !self.is_as_known(uid, record) {
                if let Some(tenant) = self.tenants.get_mut(uid) {
                    tenant.invalidate();
                }
                result.drifted += 1;
            }
            effects.reconcile.insert(uid.clone());
        }
        (self.finish(effects), result)
    }

    fn is_as_known(&self, uid: &Uid, record: Option<&OwnershipRecord>) -> bool {
        let Some(record) = record.filter(|record| record.owner.uid == *uid) else { return false };
        let recorded = Recorded::from(record.clone());
        self.tenants.get(uid).is_none_or(|tenant| tenant.is_recorded(Some(&recorded)))
            && self.claims.published(uid) == Some(&recorded.published)
    }

    /// Adopts a record of this cluster that was not known. Returns none where it is known by now.
    pub fn adopt_record(&mut self, record: OwnershipRecord, intact: bool) -> Option<Effects> {
        let uid = record.owner.uid.clone();
        if self.claims.published(&uid).is_some() {
            return None;
        }
        let affected = self.record(&uid, Some(record.into()), intact);
        Some(self.finish(Effects::reconcile(affected)))
    }
}
