//! Decides which resource holds which tenant id and which DID.
//!
//! No phone number that is in service changes its tenant: a resource keeps a DID that is published for it for as long
//! as it claims it. A DID that is published for none of its claimants goes to the oldest one. The same holds for tenant
//! ids; a resource that does not hold its tenant id does not compete for any DID.
//!
//! The index is incremental: an event costs what it affects, never the number of tenants. Every decision follows from
//! the resources and the ownership records alone, so each replica, and each restart, decides the same.

mod contenders;
mod publish_order;
mod published;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;

use super::{ResourceName, Uid};
use crate::contract::{Did, TenantId};
pub use contenders::NOTIFIED;
use contenders::{ContendersByKey, Entitlement, Former, Priority};
pub use published::Published;
use published::PublishedIndex;

/// The tenant id and the DIDs that one resource asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The resource.
    pub uid: Uid,
    /// Its namespace and name, for messages.
    pub name: ResourceName,
    /// `metadata.creationTimestamp`, seconds since 1970.
    pub created: i64,
    /// The tenant id that it claims.
    pub tenant: TenantId,
    /// The DIDs that it claims, normalised, in the order of its spec.
    pub dids: Vec<Did>,
    /// The part of its claim that it may take and keep.
    pub eligibility: Eligibility,
    /// The DIDs that its status lists as published. They count only while it has no ownership record.
    pub status_dids: Vec<Did>,
    /// True while something outside of this operator's resources keeps it from its tenant id: a DID that is published for none
    /// of its claimants goes to one that can be published.
    pub refused_outside: bool,
}

/// The part of its claim that a resource may take and keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eligibility {
    /// Takes what is free and waits for the rest.
    Active,
    /// Takes and waits like an active one, and keeps what is published even if its spec no longer lists it, since
    /// nothing is written for a suspended resource.
    Suspended,
    /// The spec is not valid: keeps what is published and listed, waits for nothing.
    Invalid,
    /// The spec can't be decoded: keeps what is published, waits for nothing.
    Unreadable,
}

/// The tenant id and the DIDs that a resource has, of those that it claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holdings {
    /// The resource that holds the tenant id, if it is another one.
    pub tenant_held_by: Option<HeldBy>,
    /// The DIDs that the resource holds, in the order of its spec.
    pub dids: Vec<Did>,
    /// The DIDs that it waits for, in the order of its spec, each with its holder.
    pub contested: Vec<(Did, HeldBy)>,
}

/// The holder of what a resource waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeldBy {
    /// This resource.
    Resource(Uid),
    /// Another resource, and at least [`NOTIFIED`] are before this one: a change of the holder does not concern it.
    Unnamed,
}

impl HeldBy {
    /// The holder, where the status names it.
    #[must_use]
    pub fn uid(&self) -> Option<&Uid> {
        match self {
            Self::Resource(uid) => Some(uid),
            Self::Unnamed => None,
        }
    }
}

/// The resources that an event affects: their holdings may have changed, or the holder for which they wait.
pub type Affected = BTreeSet<Uid>;

/// The contenders that DIDs had before a change.
type FormerHolders = HashMap<Did, Former>;

/// The index of all claims.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    by_uid: HashMap<Uid, Arc<Claim>>,
    published: PublishedIndex,
    tenants: ContendersByKey<TenantId>,
    dids: ContendersByKey<Did>,
}

impl Claims {
    /// The claim of `uid`, if it has one.
    #[must_use]
    pub fn get(&self, uid: &Uid) -> Option<&Arc<Claim>> {
        self.by_uid.get(uid)
    }

    /// The published state of `uid`, by its ownership record.
    #[must_use]
    pub fn published(&self, uid: &Uid) -> Option<&Published> {
        self.published.get(uid)
    }

    /// Every resource that has an ownership record and no claim, with what is published for it.
    pub fn published_without_claim(&self) -> impl Iterator<Item = (&Uid, &Published)> {
        self.published.iter().filter(|(uid, _)| !self.by_uid.contains_key(*uid))
    }

    /// The number of ownership records.
    #[must_use]
    pub fn record_count(&self) -> usize {
        self.published.len()
    }

    /// Adds a resource's claim, or replaces it.
    pub fn upsert(&mut self, mut claim: Claim) -> Affected {
        if self.get(&claim.uid).is_some_and(|known| **known == claim) {
            return Affected::new();
        }
        claim.dids.shrink_to_fit();
        claim.status_dids.shrink_to_fit();
        let uid = claim.uid.clone();
        self.change(&uid, |claims| {
            claims.by_uid.insert(claim.uid.clone(), Arc::new(claim));
        })
    }

    /// Removes a resource's claim: the resource is being deleted, or is gone.
    pub fn remove(&mut self, uid: &Uid) -> Affected {
        if !self.by_uid.contains_key(uid) {
            return Affected::new();
        }
        let mut affected = self.change(uid, |claims| {
            claims.by_uid.remove(uid);
        });
        affected.remove(uid);
        affected
    }

    /// Sets what is published for `uid`: its ownership record was written, read or found missing. A DID that the record
    /// lists is removed from all other records, as the script does in Redis.
    pub fn set_published(&mut self, uid: &Uid, published: Option<Published>) -> Affected {
        if self.published.get(uid) == published.as_ref() {
            return Affected::new();
        }
        let mut affected = Affected::new();
        let listed: HashSet<&Did> = published.iter().flat_map(|published| &published.dids).collect();
        let before = self.published.get(uid).map_or(&[][..], |before| &before.dids);
        let released: Vec<Did> = before.iter().filter(|did| !listed.contains(did)).cloned().collect();
        let yielding = published.as_ref().map(|published| self.published.other_owners(uid, published));
        for other in yielding.unwrap_or_default() {
            let rest = self.published.get(&other).cloned().and_then(|mut theirs| {
                let same_tenant = published.as_ref().is_some_and(|ours| ours.tenant == theirs.tenant);
                theirs.dids.retain(|did| !listed.contains(did));
                (!same_tenant).then_some(theirs)
            });
            affected.extend(self.change(&other, |claims| claims.put_published(&other, rest)));
        }
        affected.extend(self.change(uid, |claims| claims.put_published(uid, published)));
        // The holder of a released DID has one owner less that yields to it.
        affected.extend(released.iter().filter_map(|did| self.holder(did)).cloned());
        affected
    }

    /// The resource that holds a DID: the one for which it is published, else its oldest claimant.
    #[must_use]
    pub fn holder(&self, did: &Did) -> Option<&Uid> {
        self.dids.holder(did)
    }

    /// The resource that holds a tenant id.
    #[must_use]
    pub fn tenant_holder(&self, tenant: &TenantId) -> Option<&Uid> {
        self.tenants.holder(tenant)
    }

    /// Returns what `uid` has of the things that it claims; `None` if it has no claim.
    #[must_use]
    pub fn holdings(&self, uid: &Uid) -> Option<Holdings> {
        let claim = self.by_uid.get(uid)?;
        // A resource that does not compete for the tenant id has not lost it.
        let tenant_held_by = match standing(&self.tenants, &claim.tenant, claim) {
            Some(Standing::Waits(held_by)) => Some(held_by),
            _ => None,
        };
        let mut holdings = Holdings { tenant_held_by, dids: Vec::new(), contested: Vec::new() };
        for did in self.wanted(claim) {
            match standing(&self.dids, &did, claim) {
                Some(Standing::Holds) => holdings.dids.push(did),
                Some(Standing::Waits(held_by)) => holdings.contested.push((did, held_by)),
                None => {}
            }
        }
        Some(holdings)
    }

    /// Returns what `uid` would have if nothing outside refused it: what it has, and what it would take from a younger tenant for
    /// which nothing is published. It asks Redis for that, to find out whether it is still refused.
    #[must_use]
    pub fn possible_holdings(&self, uid: &Uid) -> Option<Holdings> {
        let mut holdings = self.holdings(uid)?;
        let Some(claim) = self.by_uid.get(uid).filter(|claim| claim.refused_outside) else {
            return Some(holdings);
        };
        let waiting = claim.priority(Entitlement::Waiting);
        let is_possible = |did: &Did| {
            self.published.owner_of_did(did).is_none()
                && self.dids.first(did).is_some_and(|first| waiting < *first)
        };
        let contested = holdings.contested.extract_if(.., |(did, _)| is_possible(did));
        let possible: HashSet<Did> = contested.map(|(did, _)| did).chain(holdings.dids).collect();
        holdings.dids = self.wanted(claim).into_iter().filter(|did| possible.contains(did)).collect();
        Some(holdings)
    }

    /// The DIDs for which a claim competes, in the order of the spec; after them the DIDs that are published for a
    /// resource whose spec does not decide about them.
    fn wanted(&self, claim: &Claim) -> Vec<Did> {
        let mut wanted = claim.dids.clone();
        if matches!(claim.eligibility, Eligibility::Suspended | Eligibility::Unreadable) {
            let published = self.published_dids(claim);
            wanted.extend(published.iter().filter(|did| !claim.dids.contains(did)).cloned());
        }
        wanted
    }

    /// The DIDs that are published for a resource: by its ownership record, else by its status.
    fn published_dids<'a>(&'a self, claim: &'a Claim) -> &'a [Did] {
        self.published.get(&claim.uid).map_or(&claim.status_dids, |published| &published.dids)
    }

    /// Changes what is known of `uid`, and updates the contenders of everything that it claimed before or claims now.
    fn change(&mut self, uid: &Uid, change: impl FnOnce(&mut Self)) -> Affected {
        let mut affected = Affected::new();
        let mut former = FormerHolders::new();
        self.leave_dids(uid, &mut former);
        // The tenant ids that the resource claims before and after, and their contenders before the change.
        let mut tenants = BTreeMap::new();
        let note = |claims: &Self, tenants: &mut BTreeMap<TenantId, Former>| {
            if let Some(claim) = claims.get(uid) {
                let state = || claims.tenants.state(&claim.tenant);
                tenants.entry(claim.tenant.clone()).or_insert_with(state);
            }
        };
        note(self, &mut tenants);
        self.leave_tenant(uid);
        change(self);
        note(self, &mut tenants);
        self.enter_tenant(uid);
        // When a tenant id changes its holder, the contenders for the DIDs of both holders change too.
        for (tenant, state) in &tenants {
            let after = self.tenant_holder(tenant).cloned();
            if state.holder != after {
                for other in state.holder.iter().chain(&after).filter(|other| *other != uid) {
                    self.leave_dids(other, &mut former);
                    self.enter_dids(other, &mut former);
                }
            }
            affected.extend(self.tenants.notified(tenant, state));
        }
        self.enter_dids(uid, &mut former);
        for (did, before) in &former {
            affected.extend(self.dids.notified(did, before));
        }
        affected
    }

    /// Removes `uid` from the contenders of its tenant id.
    fn leave_tenant(&mut self, uid: &Uid) {
        if let Some(claim) = self.by_uid.get(uid) {
            self.tenants.remove(&claim.tenant, claim.created, uid);
        }
    }

    /// Adds `uid` to the contenders of its tenant id.
    fn enter_tenant(&mut self, uid: &Uid) {
        let Some(claim) = self.by_uid.get(uid) else { return };
        let entitlement = match self.published.get(uid) {
            Some(published) if published.tenant == claim.tenant => Entitlement::PublishedByRecord,
            None if !claim.status_dids.is_empty() => Entitlement::PublishedByStatus,
            _ => Entitlement::Waiting,
        };
        if claim.competes(entitlement) {
            self.tenants.add(claim.tenant.clone(), claim.priority(entitlement));
        }
    }

    fn leave_dids(&mut self, uid: &Uid, former: &mut FormerHolders) {
        let Some(claim) = self.by_uid.get(uid) else { return };
        for did in self.wanted(claim) {
            former.entry(did.clone()).or_insert_with(|| self.dids.state(&did));
            self.dids.remove(&did, claim.created, uid);
        }
    }

    fn enter_dids(&mut self, uid: &Uid, former: &mut FormerHolders) {
        let Some(claim) = self.by_uid.get(uid).cloned() else { return };
        if self.tenant_holder(&claim.tenant) != Some(uid) {
            return;
        }
        let recorded = self.published.get(uid).is_some();
        let published: HashSet<Did> = self.published_dids(&claim).iter().cloned().collect();
        for did in self.wanted(&claim) {
            let entitlement = match (published.contains(&did), recorded) {
                (true, true) => Entitlement::PublishedByRecord,
                (true, false) => Entitlement::PublishedByStatus,
                (false, _) if claim.refused_outside => Entitlement::RefusedOutside,
                (false, _) => Entitlement::Waiting,
            };
            if claim.competes(entitlement) {
                former.entry(did.clone()).or_insert_with(|| self.dids.state(&did));
                self.dids.add(did, claim.priority(entitlement));
            }
        }
    }

    /// Stores what is published for `uid`, sharing the texts of its claim: those that were read from Redis are nearly
    /// always the same.
    fn put_published(&mut self, uid: &Uid, mut published: Option<Published>) {
        let claim = self.by_uid.get(uid);
        if let (Some(claim), Some(published)) = (claim, &mut published)
            && claim.tenant == published.tenant
        {
            published.tenant = claim.tenant.clone();
        }
        self.published.set(claim.map_or(uid, |claim| &claim.uid), published);
    }
}

impl Claim {
    /// True if the resource contends for a thing to which it has this entitlement.
    fn competes(&self, entitlement: Entitlement) -> bool {
        matches!(entitlement, Entitlement::PublishedByRecord | Entitlement::PublishedByStatus)
            || matches!(self.eligibility, Eligibility::Active | Eligibility::Suspended)
    }

    fn priority(&self, entitlement: Entitlement) -> Priority {
        Priority { entitlement, created: self.created, uid: self.uid.clone() }
    }
}

/// What a claim has of one thing for which it contends.
enum Standing {
    Holds,
    Waits(HeldBy),
}

/// What a claim has of this thing; none: it does not contend for it.
fn standing<K: Eq + Hash>(contenders: &ContendersByKey<K>, key: &K, claim: &Claim) -> Option<Standing> {
    let (contends, is_notified) = contenders.contends(key, claim.created, &claim.uid);
    let holder = contenders.holder(key).filter(|_| contends)?;
    Some(match holder {
        holder if *holder == claim.uid => Standing::Holds,
        holder if is_notified => Standing::Waits(HeldBy::Resource(holder.clone())),
        _ => Standing::Waits(HeldBy::Unnamed),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn uid(name: &str) -> Uid {
        Uid::from(name)
    }

    pub(super) fn did(n: u32) -> Did {
        Did::parse(&format!("+1555000{n:04}")).unwrap()
    }

    pub(super) fn claim(name: &str, created: i64, tenant: &str, dids: &[u32]) -> Claim {
        Claim {
            uid: uid(name),
            name: ResourceName::new("ns", name),
            created,
            tenant: TenantId::parse(tenant).unwrap(),
            dids: dids.iter().copied().map(did).collect(),
            eligibility: Eligibility::Active,
            status_dids: Vec::new(),
            refused_outside: false,
        }
    }

    pub(super) fn published(tenant: &str, dids: &[u32]) -> Published {
        Published { tenant: TenantId::parse(tenant).unwrap(), dids: dids.iter().copied().map(did).collect() }
    }

    /// Publishes a resource with all that it holds.
    pub(super) fn publish(claims: &mut Claims, name: &str) {
        let holdings = claims.holdings(&uid(name)).unwrap();
        let tenant = claims.get(&uid(name)).unwrap().tenant.clone();
        claims.set_published(&uid(name), Some(Published { tenant, dids: holdings.dids }));
    }

    pub(super) fn held(claims: &Claims, name: &str) -> Vec<Did> {
        claims.holdings(&uid(name)).unwrap().dids
    }

    #[test]
    fn an_unpublished_did_goes_to_the_oldest_claimant() {
        let mut claims = Claims::default();
        claims.upsert(claim("young", 20, "b", &[1]));
        assert_eq!(held(&claims, "young"), [did(1)]);
        let affected = claims.upsert(claim("old", 10, "a", &[1]));
        assert_eq!(held(&claims, "old"), [did(1)]);
        assert!(affected.contains(&uid("young")));
        assert_eq!(
            claims.holdings(&uid("young")).unwrap().contested,
            [(did(1), HeldBy::Resource(uid("old")))]
        );
    }

    #[test]
    fn a_published_did_stays_with_its_owner_despite_an_older_claimant() {
        let mut claims = Claims::default();
        claims.upsert(claim("young", 20, "b", &[1]));
        publish(&mut claims, "young");
        claims.upsert(claim("old", 10, "a", &[1]));
        assert_eq!(held(&claims, "young"), [did(1)]);
        assert_eq!(held(&claims, "old"), []);
    }

    #[test]
    fn a_status_counts_while_the_record_is_lost() {
        let mut claims = Claims::default();
        claims.upsert(claim("old", 10, "a", &[1]));
        claims.upsert(Claim { status_dids: vec![did(1)], ..claim("young", 20, "b", &[1]) });
        assert_eq!(held(&claims, "young"), [did(1)]);
        claims.set_published(&uid("old"), Some(published("a", &[1])));
        assert_eq!(held(&claims, "old"), [did(1)], "a record outranks a status");
    }

    #[test]
    fn a_tenant_without_its_id_claims_no_dids() {
        let mut claims = Claims::default();
        claims.upsert(claim("first", 1, "same", &[1]));
        claims.upsert(claim("second", 2, "same", &[2]));
        claims.upsert(claim("third", 3, "other", &[2]));
        assert_eq!(
            claims.holdings(&uid("second")).unwrap().tenant_held_by,
            Some(HeldBy::Resource(uid("first")))
        );
        assert_eq!(held(&claims, "third"), [did(2)]);
        let affected = claims.remove(&uid("first"));
        assert!(affected.contains(&uid("second")) && affected.contains(&uid("third")), "{affected:?}");
        assert_eq!(claims.holdings(&uid("second")).unwrap().tenant_held_by, None);
        assert_eq!(
            held(&claims, "second"),
            [did(2)],
            "the older one, since the DID is published for neither"
        );
    }

    #[test]
    fn a_tenant_that_is_refused_outside_holds_nothing_that_another_claims() {
        let mut claims = Claims::default();
        let blocked = |refused_outside| Claim { refused_outside, ..claim("blocked", 1, "theirs", &[1, 2]) };
        claims.upsert(blocked(false));
        claims.upsert(claim("honest", 2, "honest", &[1]));
        assert_eq!(held(&claims, "honest"), []);

        assert!(claims.upsert(blocked(true)).contains(&uid("honest")));

        assert_eq!((held(&claims, "honest"), held(&claims, "blocked")), (vec![did(1)], vec![did(2)]));
        // It asks for both as long as nothing is published for the other one.
        assert_eq!(claims.possible_holdings(&uid("blocked")).unwrap().dids, [did(1), did(2)]);
        publish(&mut claims, "honest");
        let possible = claims.possible_holdings(&uid("blocked")).unwrap();
        assert_eq!(possible.dids, [did(2)]);
        assert_eq!(possible.contested, [(did(1), HeldBy::Resource(uid("honest")))]);
        // Once it is no longer refused, what is published stays, and what is not goes to the oldest.
        claims.upsert(blocked(false));
        assert_eq!(held(&claims, "honest"), [did(1)]);
        claims.set_published(&uid("honest"), None);
        assert_eq!(held(&claims, "blocked"), [did(1), did(2)]);
    }

    #[test]
    fn of_tenants_that_are_all_refused_outside_the_oldest_one_holds() {
        let mut claims = Claims::default();
        let refused = |name, created| Claim { refused_outside: true, ..claim(name, created, name, &[1]) };
        claims.upsert(refused("young", 2));
        claims.upsert(refused("old", 1));
        assert_eq!((held(&claims, "old"), held(&claims, "young")), (vec![did(1)], vec![]));
        assert_eq!(claims.possible_holdings(&uid("young")).unwrap().dids, [did(1)]);
    }

    #[test]
    fn a_refusal_takes_nothing_that_is_published() {
        let mut claims = Claims::default();
        claims.upsert(claim("a", 1, "a", &[1]));
        publish(&mut claims, "a");
        claims.upsert(Claim { refused_outside: true, ..claim("a", 1, "a", &[1]) });
        claims.upsert(claim("b", 2, "b", &[1]));
        assert_eq!((held(&claims, "a"), held(&claims, "b")), (vec![did(1)], vec![]));
    }

    #[test]
    fn an_invalid_spec_keeps_what_is_published_and_waits_for_nothing() {
        let mut claims = Claims::default();
        claims.upsert(claim("a", 1, "a", &[1]));
        publish(&mut claims, "a");
        claims.upsert(Claim { eligibility: Eligibility::Invalid, ..claim("a", 1, "a", &[1, 2]) });
        claims.upsert(claim("b", 2, "b", &[1, 2]));
        assert_eq!(held(&claims, "a"), [did(1)]);
        assert_eq!(held(&claims, "b"), [did(2)]);
    }

    #[test]
    fn a_suspended_tenant_keeps_published_dids_that_its_spec_omits() {
        let mut claims = Claims::default();
        claims.upsert(claim("a", 1, "a", &[1, 2]));
        publish(&mut claims, "a");
        claims.upsert(Claim { eligibility: Eligibility::Suspended, ..claim("a", 1, "a", &[2]) });
        claims.upsert(claim("b", 2, "b", &[1]));
        assert_eq!(held(&claims, "a"), [did(2), did(1)]);
        assert_eq!(held(&claims, "b"), []);
    }

    #[test]
    fn a_record_removes_its_dids_from_all_other_records() {
        let mut claims = Claims::default();
        claims.set_published(&uid("a"), Some(published("a", &[1, 2])));
        claims.set_published(&uid("b"), Some(published("b", &[1])));
        assert_eq!(claims.published(&uid("a")), Some(&published("a", &[2])));
    }

    #[test]
    fn a_change_of_a_number_that_many_claim_affects_a_bounded_number_of_them() {
        let (mut claims, tenants) = (Claims::default(), 200);
        let name = |tenant: u32| format!("t{tenant:03}");
        let of = |tenant: u32, dids: &[u32]| claim(&name(tenant), i64::from(tenant), &name(tenant), dids);
        let numbers: Vec<u32> = (0..20).collect();
        for tenant in 0..tenants {
            claims.upsert(of(tenant, &numbers));
        }
        publish(&mut claims, "t000");
        let holdings = |claims: &Claims| -> Vec<Option<Holdings>> {
            (0..tenants).map(|tenant| claims.holdings(&uid(&name(tenant)))).collect()
        };
        let changes: [&dyn Fn(&mut Claims) -> Affected; 5] = [
            &|claims| claims.upsert(of(0, &[])),
            &|claims| claims.upsert(of(150, &[])),
            &|claims| claims.upsert(of(20, &[])),
            &|claims| claims.upsert(of(20, &numbers)),
            &|claims| claims.remove(&uid("t001")),
        ];
        for (place, change) in changes.iter().enumerate() {
            let before = holdings(&claims);
            let affected = change(&mut claims);
            assert!(affected.len() <= NOTIFIED + 3, "change {place} affects {}", affected.len());
            let after = holdings(&claims);
            for (tenant, (before, after)) in (0..tenants).zip(before.iter().zip(&after)) {
                let own = [uid("t000"), uid("t150"), uid("t020"), uid("t001")].contains(&uid(&name(tenant)));
                assert!(
                    own || before == after || affected.contains(&uid(&name(tenant))),
                    "{place}: {tenant}"
                );
            }
        }
        let last = claims.holdings(&uid("t199")).unwrap();
        assert_eq!(last.contested[0], (did(0), HeldBy::Unnamed));
    }

    #[test]
    fn a_change_of_a_tenant_id_that_many_claim_affects_a_bounded_number_of_them() {
        let mut claims = Claims::default();
        for tenant in 0..200 {
            claims.upsert(claim(&format!("t{tenant:03}"), tenant, "same", &[1]));
        }
        let affected = claims.remove(&uid("t000"));
        assert!(affected.contains(&uid("t001")) && affected.len() <= NOTIFIED + 3, "{}", affected.len());
        assert_eq!(claims.holdings(&uid("t199")).unwrap().tenant_held_by, Some(HeldBy::Unnamed));
        assert_eq!(held(&claims, "t001"), [did(1)]);
    }
}
