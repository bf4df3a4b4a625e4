//! Ownership records in the index. The tenant id and the DIDs of a record are held with the claims, its version with
//! the tenant.

use std::collections::HashSet;

use super::tenant::{Confidence, Derived, Lifecycle};
use super::{Effects, Index, TenantState};
use crate::contract::{Did, TenantId};
use crate::domain::assessment::{Assessment, PublishedConfig};
use crate::domain::claims::{Affected, Claim, Eligibility, Published};
use crate::domain::plan::{Outcome, PublishedVersion};
use crate::domain::{OwnershipRecord, Uid};

/// The content of an ownership record: what is published, and in which version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The tenant id and its DIDs.
    pub published: Published,
    /// The generation, the Secret's version and the config's hash.
    pub version: PublishedVersion,
}

impl From<OwnershipRecord> for Recorded {
    fn from(record: OwnershipRecord) -> Self {
        let OwnershipRecord { tenant, generation, secret, dids, hash, .. } = record;
        Self { published: Published { tenant, dids }, version: PublishedVersion { generation, secret, hash } }
    }
}

impl Index {
    /// Records all ownership records of this cluster, each with its owner and with whether Redis holds exactly what it
    /// says. Every tenant is reconciled, some of them once their Secrets were listed.
    pub fn resync(&mut self, records: Vec<(Uid, Recorded, bool)>) -> Effects {
        self.redis_read = true;
        // A check that was sent to Redis before may be answered after: it proves nothing any more.
        for tenant in self.tenants.values_mut() {
            tenant.observed.invalidations += 1;
        }
        let present: HashSet<&Uid> = records.iter().map(|(owner, ..)| owner).collect();
        let known = self.tenants.keys().chain(self.claims.published_without_claim().map(|(uid, _)| uid));
        let lost: Vec<Uid> = known.filter(|uid| !present.contains(*uid)).cloned().collect();
        for uid in lost {
            let _ = self.record(&uid, None, false);
        }
        for (owner, recorded, intact) in records {
            let _ = self.record(&owner, Some(recorded), intact);
        }
        let effects = self.partition();
        self.finish(effects)
    }

    /// Sets what the ownership record of `uid` says; `intact`: Redis holds exactly that. Returns whose holdings changed.
    pub(super) fn record(&mut self, uid: &Uid, recorded: Option<Recorded>, intact: bool) -> Affected {
        let same_version = self.tenants.get(uid).is_some_and(|tenant| tenant.is_recorded(recorded.as_ref()));
        let published = recorded.as_ref().map(|recorded| &recorded.published);
        if !same_version || self.claims.published(uid) != published {
            self.materialise(uid);
        }
        let (published, version) =
            recorded.map_or((None, None), |recorded| (Some(recorded.published), Some(recorded.version)));
        if let Some(tenant) = self.tenants.get_mut(uid) {
            tenant.observed.version = version;
            tenant.observed.confidence = if intact { Confidence::Verified } else { Confidence::Suspect };
            tenant.compact_hash();
            if tenant.lifecycle == Lifecycle::Gone && published.is_none() {
                self.tenants.remove(uid);
            }
        }
        self.claims.set_published(uid, published)
    }

    /// Sets what the ownership record of `uid` says, after a reconcile found that the index was behind. `except` is not
    /// reconciled: that is the tenant whose reconcile this is.
    pub fn correct_record(&mut self, uid: &Uid, recorded: Option<Recorded>, except: Option<&Uid>) -> Effects {
        let mut affected = self.record(uid, recorded, false);
        if let Some(except) = except {
            affected.remove(except);
        }
        self.finish(Effects::reconcile(affected))
    }

    /// Returns the outcome that a tenant's status must report; none before the first successful reconcile.
    #[must_use]
    pub fn outcome(&self, uid: &Uid) -> Option<Outcome> {
        match &self.tenants.get(uid)?.status.outcome {
            Derived::None => None,
            Derived::FromRecord => self.recorded_outcome(uid),
            Derived::Explicit(outcome) => Some(Outcome::clone(outcome)),
        }
    }

    /// Sets the outcome of a tenant, which its status must report. Returns whose holdings changed: a tenant that something
    /// outside keeps from its tenant id holds nothing that another could use.
    pub(super) fn set_outcome(&mut self, uid: &Uid, outcome: Option<Outcome>) -> Affected {
        let refused = match &outcome {
            Some(Outcome::Assessed(assessment)) => assessment.is_refused_outside(),
            _ => None,
        };
        let from_record = outcome.is_some() && self.recorded_outcome(uid) == outcome;
        if let Some(tenant) = self.tenants.get_mut(uid) {
            if let Some(Outcome::Assessed(assessment)) = &outcome {
                tenant.take_over.assessed(tenant.object.take_over(), assessment);
            }
            tenant.status.outcome = match outcome {
                None => Derived::None,
                Some(_) if from_record => Derived::FromRecord,
                Some(outcome) => Derived::Explicit(Box::new(outcome)),
            };
        }
        let claim =
            self.claims.get(uid).zip(refused).filter(|(claim, refused)| claim.refused_outside != *refused);
        let Some((claim, refused_outside)) = claim else { return Affected::new() };
        let claim = Claim { refused_outside, ..Claim::clone(claim) };
        self.claims.upsert(claim)
    }

    /// The outcome of a tenant that is published as its record says, while nothing is wrong.
    fn recorded_outcome(&self, uid: &Uid) -> Option<Outcome> {
        let version = self.tenants.get(uid)?.observed.version.as_ref()?;
        let dids = self.claims.published(uid)?.dids.clone();
        let config = PublishedConfig { dids, hash: version.hash.clone() };
        Some(Outcome::Assessed(Assessment::published(version.generation, config)))
    }

    /// Makes the values of `uid` explicit that are [`Derived::FromRecord`], before the record changes.
    fn materialise(&mut self, uid: &Uid) {
        let outcome = self.outcome(uid);
        if let Some(tenant) = self.tenants.get_mut(uid) {
            tenant.desired.hash = tenant.hash().map(String::into_boxed_str).into();
            tenant.status.outcome = outcome.map(Box::new).into();
        }
    }

    /// Ownership records of which no resource is left, and the number of all records. A resource that is being deleted
    /// claims nothing any more, but is no orphan.
    #[must_use]
    pub fn orphans(&self) -> (HashSet<Uid>, usize) {
        let gone = |uid: &Uid| self.tenants.get(uid).is_none_or(|tenant| tenant.is_gone());
        let orphans = self
            .claims
            .published_without_claim()
            .map(|(uid, _)| uid)
            .filter(|uid| gone(uid))
            .cloned()
            .collect();
        (orphans, self.claims.record_count())
    }

    /// The records by which mappings may be repaired, of one tenant or of all: those of tenants that were last seen active.
    #[must_use]
    pub fn repairable(&self, only: Option<&Uid>) -> Vec<(Uid, Recorded)> {
        let recorded = |uid: &Uid, tenant: &TenantState| {
            let active = tenant.lifecycle == Lifecycle::Live
                && self.claims.get(uid).is_some_and(|claim| claim.eligibility == Eligibility::Active);
            let version = tenant.observed.version.clone().filter(|_| active)?;
            Some((uid.clone(), Recorded { published: self.claims.published(uid)?.clone(), version }))
        };
        match only {
            Some(uid) => self.tenant(uid).and_then(|tenant| recorded(uid, tenant)).into_iter().collect(),
            None => self.tenants.iter().filter_map(|(uid, tenant)| recorded(uid, tenant)).collect(),
        }
    }

    /// The owner of a DID by the claims: the tenant that a change of its mapping concerns.
    #[must_use]
    pub fn holder_of_did(&self, did: &Did) -> Option<Uid> {
        self.claims.holder(did).cloned()
    }

    /// The owner of a tenant id by the claims: the tenant that a change of its config concerns.
    #[must_use]
    pub fn holder_of_tenant(&self, tenant: &TenantId) -> Option<Uid> {
        self.claims.tenant_holder(tenant).cloned()
    }
}
