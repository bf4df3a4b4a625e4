//! Who holds which tenant id and which number.
//!
//! Live calls come first: whoever a number is live for keeps it for as long as it claims it; a number that is
//! live for no claimant goes to the oldest. The same holds for tenant ids, and who lost its tenant id waits for
//! no number. The index is kept by increments: an event costs what it touches, never the number of tenants, and
//! every question is answered from what the resources and the ownership records say, so that each replica and
//! each restart decides the same.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;

use petgraph::algo::tarjan_scc;
use petgraph::graph::DiGraph;

use super::contest::{Contest, Rank, Right, enter, leave};
use super::{ResourceName, Uid};
use crate::contract::{Did, TenantId};

/// What one resource asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The resource.
    pub uid: Uid,
    /// What a person calls it.
    pub name: ResourceName,
    /// `metadata.creationTimestamp`, seconds since the epoch.
    pub created: i64,
    /// The tenant id that it claims.
    pub tenant: TenantId,
    /// The numbers that it claims, normalised, in the order of its spec.
    pub dids: Vec<Did>,
    /// What it may have.
    pub standing: Standing,
    /// The numbers that its status says are live: what is believed while it has no ownership record.
    pub told: Vec<Did>,
}

/// What a resource's claims are worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Takes what is free and waits for the rest.
    Active,
    /// Takes and waits like an active one, and keeps what is live even if its spec no longer lists it: hands off.
    Suspended,
    /// Not valid: keeps what is live and listed, waits for nothing.
    Invalid,
    /// Its spec can't be read: keeps what is live, waits for nothing.
    Unreadable,
}

/// An ownership record as Redis holds it: what is live for a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// The tenant id under which it is published.
    pub tenant: TenantId,
    /// The numbers that are mapped to it.
    pub dids: Vec<Did>,
}

/// What a resource has of what it claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holdings {
    /// Who holds the tenant id instead, if it does not.
    pub tenant_lost_to: Option<Uid>,
    /// The numbers that it holds, in the order of its spec.
    pub dids: Vec<Did>,
    /// The numbers that it waits for, in the order of its spec, with the holder.
    pub lost: Vec<(Did, Uid)>,
}

/// The resources that an event concerns: whose holdings, or the holder that they wait for, may be others now.
pub type Touched = BTreeSet<Uid>;

/// Who held the numbers that a change concerns, before it.
type Holders = HashMap<Did, Option<Uid>>;

/// The index of all claims.
#[derive(Debug, Default)]
pub struct Claims {
    known: HashMap<Uid, Arc<Claim>>,
    live: HashMap<Uid, Live>,
    live_dids: HashMap<Did, Uid>,
    live_tenants: HashMap<TenantId, Uid>,
    tenants: HashMap<TenantId, Contest>,
    dids: HashMap<Did, Contest>,
}

impl Claims {
    /// What is claimed by `uid`, if it is known.
    #[must_use]
    pub fn get(&self, uid: &Uid) -> Option<&Arc<Claim>> {
        self.known.get(uid)
    }

    /// What is live for `uid` by its ownership record.
    #[must_use]
    pub fn live(&self, uid: &Uid) -> Option<&Live> {
        self.live.get(uid)
    }

    /// Every resource of which an ownership record is known but no claim, with what is live for it.
    pub fn orphans(&self) -> impl Iterator<Item = (&Uid, &Live)> {
        self.live.iter().filter(|(uid, _)| !self.known.contains_key(*uid))
    }

    /// How many ownership records there are.
    #[must_use]
    pub fn records(&self) -> usize {
        self.live.len()
    }

    /// A resource was seen, new or changed.
    pub fn upsert(&mut self, mut claim: Claim) -> Touched {
        if self.get(&claim.uid).is_some_and(|known| **known == claim) {
            return Touched::new();
        }
        claim.dids.shrink_to_fit();
        claim.told.shrink_to_fit();
        let uid = claim.uid.clone();
        self.alter(&uid, |claims| {
            claims.known.insert(claim.uid.clone(), Arc::new(claim));
        })
    }

    /// A resource lets everything go: it is being deleted, or is gone.
    pub fn remove(&mut self, uid: &Uid) -> Touched {
        if !self.known.contains_key(uid) {
            return Touched::new();
        }
        let mut touched = self.alter(uid, |claims| {
            claims.known.remove(uid);
        });
        touched.remove(uid);
        touched
    }

    /// An ownership record was written, read or found gone. Numbers that it lists are no other record's.
    pub fn set_live(&mut self, uid: &Uid, live: Option<Live>) -> Touched {
        if self.live.get(uid) == live.as_ref() {
            return Touched::new();
        }
        let mut touched = Touched::new();
        let before = self.live.get(uid).cloned();
        let listed: HashSet<&Did> = live.iter().flat_map(|live| &live.dids).collect();
        let dropped: Vec<Did> =
            before.iter().flat_map(|live| &live.dids).filter(|did| !listed.contains(did)).cloned().collect();
        let robbed: BTreeSet<Uid> = live
            .iter()
            .flat_map(|live| {
                live.dids
                    .iter()
                    .filter_map(|did| self.live_dids.get(did))
                    .chain(self.live_tenants.get(&live.tenant))
            })
            .filter(|other| *other != uid)
            .cloned()
            .collect();
        for other in robbed {
            let rest = self.live.get(&other).cloned().and_then(|mut theirs| {
                let same_tenant = live.as_ref().is_some_and(|live| live.tenant == theirs.tenant);
                theirs.dids.retain(|did| !listed.contains(did));
                (!same_tenant).then_some(theirs)
            });
            touched.extend(self.alter(&other, |claims| claims.put_live(&other, rest)));
        }
        touched.extend(self.alter(uid, |claims| claims.put_live(uid, live)));
        // Whoever now holds a number that was let go has one owner less to take it from.
        touched.extend(dropped.iter().filter_map(|did| self.holder(did)).cloned());
        touched
    }

    /// Who holds a number: the one for whom it is live, else the oldest who claims it.
    #[must_use]
    pub fn holder(&self, did: &Did) -> Option<&Uid> {
        self.dids.get(did).and_then(|contest| contest.ranks().first()).map(|rank| &rank.uid)
    }

    /// Who holds a tenant id.
    #[must_use]
    pub fn tenant_holder(&self, tenant: &TenantId) -> Option<&Uid> {
        self.tenants.get(tenant).and_then(|contest| contest.ranks().first()).map(|rank| &rank.uid)
    }

    /// What `uid` has of what it claims. None for one that is not known.
    #[must_use]
    pub fn holdings(&self, uid: &Uid) -> Option<Holdings> {
        let claim = self.known.get(uid)?;
        let contest = self.tenants.get(&claim.tenant).map_or(&[][..], Contest::ranks);
        // Who waits for nothing has lost nothing.
        let competes = contest.iter().any(|rank| rank.uid == *uid);
        let tenant_lost_to =
            contest.first().map(|rank| &rank.uid).filter(|holder| competes && *holder != uid).cloned();
        let mut holdings = Holdings { tenant_lost_to, dids: Vec::new(), lost: Vec::new() };
        for did in self.wanted(claim) {
            let contest = self.dids.get(&did).map_or(&[][..], Contest::ranks);
            match contest.first() {
                Some(first) if first.uid == *uid => holdings.dids.push(did),
                Some(first) if contest.iter().any(|rank| rank.uid == *uid) => {
                    holdings.lost.push((did, first.uid.clone()));
                }
                _ => {}
            }
        }
        Some(holdings)
    }

    /// The owners, by record, of what `uid` holds by now: those who yield to it.
    #[must_use]
    pub fn predecessors(&self, uid: &Uid) -> BTreeSet<Uid> {
        let Some(claim) = self.known.get(uid) else { return BTreeSet::new() };
        let tenant =
            self.live_tenants.get(&claim.tenant).filter(|_| self.tenant_holder(&claim.tenant) == Some(uid));
        let dids = claim.dids.iter().filter(|did| self.holder(did) == Some(uid));
        dids.filter_map(|did| self.live_dids.get(did))
            .chain(tenant)
            .filter(|owner| *owner != uid)
            .cloned()
            .collect()
    }

    /// Those who by now hold what is live for `uid` by its record.
    #[must_use]
    pub fn successors(&self, uid: &Uid) -> BTreeSet<Uid> {
        let Some(live) = self.live.get(uid) else { return BTreeSet::new() };
        let tenant = self.tenant_holder(&live.tenant);
        let dids = live.dids.iter().filter_map(|did| self.holder(did));
        dids.chain(tenant).filter(|holder| *holder != uid).cloned().collect()
    }

    /// The order in which `uid`, and all who take something from it, are to be published so that no number has a
    /// gap: who takes comes before who lets go, and those between whom numbers move both ways are one step.
    /// The last step holds `uid`; alone in nearly every case.
    #[must_use]
    pub fn handover(&self, uid: &Uid) -> Vec<Vec<Uid>> {
        let mut graph = DiGraph::<Uid, ()>::new();
        let mut nodes = HashMap::new();
        let mut open = vec![uid.clone()];
        nodes.insert(uid.clone(), graph.add_node(uid.clone()));
        while let Some(giver) = open.pop() {
            for taker in self.successors(&giver) {
                let node = *nodes.entry(taker.clone()).or_insert_with(|| {
                    open.push(taker.clone());
                    graph.add_node(taker)
                });
                graph.add_edge(nodes[&giver], node, ());
            }
        }
        // Tarjan's algorithm yields a component after all those that it leads to: takers first.
        tarjan_scc(&graph)
            .into_iter()
            .map(|step| step.into_iter().map(|node| graph[node].clone()).collect())
            .collect()
    }

    /// The numbers that a claim competes for, in the order of the spec; a suspended one's live numbers after them.
    fn wanted(&self, claim: &Claim) -> Vec<Did> {
        let mut wanted = claim.dids.clone();
        if matches!(claim.standing, Standing::Suspended | Standing::Unreadable) {
            let live = self.live_dids_of(claim);
            wanted.extend(live.iter().filter(|did| !claim.dids.contains(did)).cloned());
        }
        wanted
    }

    fn live_dids_of<'a>(&'a self, claim: &'a Claim) -> &'a [Did] {
        self.live.get(&claim.uid).map_or(&claim.told, |live| &live.dids)
    }

    /// Changes what is known of `uid` and settles the contests that this concerns.
    fn alter(&mut self, uid: &Uid, change: impl FnOnce(&mut Self)) -> Touched {
        let mut touched = Touched::new();
        let mut before = Holders::new();
        self.leave_dids(uid, &mut before);
        let left = self.leave_tenant(uid);
        change(self);
        let entered = self.enter_tenant(uid);
        // A tenant id that changes hands takes the waiting for numbers with it.
        for tenant in left.iter().chain(&entered).map(|(tenant, _)| tenant).collect::<BTreeSet<_>>() {
            let was = left.as_ref().filter(|(t, _)| t == tenant).map(|(_, holder)| holder.clone());
            let was = was.unwrap_or_else(|| self.runner_up(tenant, uid));
            let is = self.tenant_holder(tenant).cloned();
            if was != is {
                for other in was.iter().chain(&is).filter(|other| *other != uid) {
                    self.leave_dids(other, &mut before);
                    self.enter_dids(other, &mut before);
                }
                let claimants = self.tenants.get(tenant).into_iter().flat_map(Contest::ranks);
                touched.extend(claimants.map(|rank| rank.uid.clone()).chain(was));
            }
        }
        self.enter_dids(uid, &mut before);
        for (did, was) in before {
            if self.holder(&did) != was.as_ref() {
                touched.extend(was);
                touched.extend(
                    self.dids.get(&did).into_iter().flat_map(Contest::ranks).map(|rank| rank.uid.clone()),
                );
            }
        }
        touched
    }

    /// Who would hold the tenant id without `uid`.
    fn runner_up(&self, tenant: &TenantId, uid: &Uid) -> Option<Uid> {
        self.tenants.get(tenant)?.ranks().iter().map(|rank| &rank.uid).find(|other| *other != uid).cloned()
    }

    /// Takes `uid` out of its tenant id's contest; says which, and who held it until now.
    fn leave_tenant(&mut self, uid: &Uid) -> Option<(TenantId, Option<Uid>)> {
        let tenant = self.known.get(uid)?.tenant.clone();
        let holder = self.tenant_holder(&tenant).cloned();
        leave(&mut self.tenants, &tenant, uid);
        Some((tenant, holder))
    }

    fn enter_tenant(&mut self, uid: &Uid) -> Option<(TenantId, Option<Uid>)> {
        let claim = self.known.get(uid)?;
        let right = match self.live.get(uid) {
            Some(live) if live.tenant == claim.tenant => Right::LiveByRecord,
            None if !claim.told.is_empty() => Right::LiveByStatus,
            _ => Right::Waiting,
        };
        if right != Right::Waiting || claim.standing.waits() {
            enter(&mut self.tenants, claim.tenant.clone(), claim.rank(right));
        }
        Some((claim.tenant.clone(), self.tenant_holder(&claim.tenant).cloned()))
    }

    fn leave_dids(&mut self, uid: &Uid, before: &mut Holders) {
        let Some(claim) = self.known.get(uid) else { return };
        for did in self.wanted(claim) {
            before.entry(did.clone()).or_insert_with(|| self.holder(&did).cloned());
            leave(&mut self.dids, &did, uid);
        }
    }

    fn enter_dids(&mut self, uid: &Uid, before: &mut Holders) {
        let Some(claim) = self.known.get(uid).cloned() else { return };
        if self.tenant_holder(&claim.tenant) != Some(uid) {
            return;
        }
        let recorded = self.live.contains_key(uid);
        let live: HashSet<Did> = self.live_dids_of(&claim).iter().cloned().collect();
        for did in self.wanted(&claim) {
            let right = match (live.contains(&did), recorded) {
                (true, true) => Right::LiveByRecord,
                (true, false) => Right::LiveByStatus,
                (false, _) => Right::Waiting,
            };
            if right != Right::Waiting || claim.standing.waits() {
                before.entry(did.clone()).or_insert_with(|| self.holder(&did).cloned());
                enter(&mut self.dids, did, claim.rank(right));
            }
        }
    }

    fn put_live(&mut self, uid: &Uid, live: Option<Live>) {
        if let Some(before) = self.live.remove(uid) {
            for did in &before.dids {
                remove_if(&mut self.live_dids, did, uid);
            }
            remove_if(&mut self.live_tenants, &before.tenant, uid);
        }
        if let Some(mut live) = live {
            live.dids.shrink_to_fit();
            // What was read of Redis has texts of its own, which are the claim's nearly always.
            let mut uid = uid.clone();
            if let Some(claim) = self.known.get(&uid) {
                if claim.tenant == live.tenant {
                    live.tenant = claim.tenant.clone();
                }
                uid = claim.uid.clone();
            }
            self.live_dids.extend(live.dids.iter().map(|did| (did.clone(), uid.clone())));
            self.live_tenants.insert(live.tenant.clone(), uid.clone());
            self.live.insert(uid, live);
        }
    }
}

impl Standing {
    const fn waits(self) -> bool {
        matches!(self, Self::Active | Self::Suspended)
    }
}

impl Claim {
    fn rank(&self, right: Right) -> Rank {
        Rank { right, created: self.created, uid: self.uid.clone() }
    }
}

fn remove_if<K: Eq + Hash>(map: &mut HashMap<K, Uid>, key: &K, uid: &Uid) {
    if map.get(key) == Some(uid) {
        map.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uid(name: &str) -> Uid {
        Uid::from(name)
    }

    fn did(n: u32) -> Did {
        Did::parse(&format!("+1555000{n:04}")).unwrap()
    }

    fn claim(name: &str, created: i64, tenant: &str, dids: &[u32]) -> Claim {
        Claim {
            uid: uid(name),
            name: ResourceName::new("ns", name),
            created,
            tenant: TenantId::parse(tenant).unwrap(),
            dids: dids.iter().copied().map(did).collect(),
            standing: Standing::Active,
            told: Vec::new(),
        }
    }

    fn live(tenant: &str, dids: &[u32]) -> Live {
        Live { tenant: TenantId::parse(tenant).unwrap(), dids: dids.iter().copied().map(did).collect() }
    }

    fn published(claims: &mut Claims, name: &str) {
        let holdings = claims.holdings(&uid(name)).unwrap();
        let tenant = claims.get(&uid(name)).unwrap().tenant.clone();
        claims.set_live(&uid(name), Some(Live { tenant, dids: holdings.dids }));
    }

    fn held(claims: &Claims, name: &str) -> Vec<Did> {
        claims.holdings(&uid(name)).unwrap().dids
    }

    #[test]
    fn a_number_that_is_live_for_nobody_goes_to_the_oldest() {
        let mut claims = Claims::default();
        claims.upsert(claim("young", 20, "b", &[1]));
        assert_eq!(held(&claims, "young"), [did(1)]);
        let touched = claims.upsert(claim("old", 10, "a", &[1]));
        assert_eq!(held(&claims, "old"), [did(1)]);
        assert!(touched.contains(&uid("young")));
        assert_eq!(claims.holdings(&uid("young")).unwrap().lost, [(did(1), uid("old"))]);
    }

    #[test]
    fn a_live_number_stays_where_it_is_whoever_is_older() {
        let mut claims = Claims::default();
        claims.upsert(claim("young", 20, "b", &[1]));
        published(&mut claims, "young");
        claims.upsert(claim("old", 10, "a", &[1]));
        assert_eq!(held(&claims, "young"), [did(1)]);
        assert_eq!(held(&claims, "old"), []);
    }

    #[test]
    fn a_status_stands_for_a_lost_record() {
        let mut claims = Claims::default();
        claims.upsert(claim("old", 10, "a", &[1]));
        claims.upsert(Claim { told: vec![did(1)], ..claim("young", 20, "b", &[1]) });
        assert_eq!(held(&claims, "young"), [did(1)]);
        claims.set_live(&uid("old"), Some(live("a", &[1])));
        assert_eq!(held(&claims, "old"), [did(1)], "a record outranks a status");
    }

    #[test]
    fn the_next_claimant_is_promoted_when_the_holder_lets_go() {
        let mut claims = Claims::default();
        claims.upsert(claim("a", 1, "a", &[1, 2]));
        published(&mut claims, "a");
        claims.upsert(claim("b", 2, "b", &[1]));
        let touched = claims.upsert(claim("a", 1, "a", &[2]));
        assert!(touched.contains(&uid("b")));
        assert_eq!(held(&claims, "b"), [did(1)]);
        assert_eq!(claims.predecessors(&uid("b")), BTreeSet::from([uid("a")]));
        assert_eq!(claims.handover(&uid("a")), [vec![uid("b")], vec![uid("a")]]);
        assert_eq!(claims.handover(&uid("b")), [vec![uid("b")]]);
    }

    #[test]
    fn numbers_that_move_both_ways_are_one_step() {
        let mut claims = Claims::default();
        claims.upsert(claim("a", 1, "a", &[1]));
        claims.upsert(claim("b", 2, "b", &[2]));
        published(&mut claims, "a");
        published(&mut claims, "b");
        claims.upsert(claim("a", 1, "a", &[2]));
        claims.upsert(claim("b", 2, "b", &[1]));
        let steps = claims.handover(&uid("a"));
        assert_eq!(steps.len(), 1);
        assert_eq!(steps[0].iter().cloned().collect::<BTreeSet<_>>(), BTreeSet::from([uid("a"), uid("b")]));
    }

    #[test]
    fn who_lost_its_tenant_id_waits_for_no_number() {
        let mut claims = Claims::default();
        claims.upsert(claim("first", 1, "same", &[1]));
        claims.upsert(claim("second", 2, "same", &[2]));
        claims.upsert(claim("third", 3, "other", &[2]));
        assert_eq!(claims.holdings(&uid("second")).unwrap().tenant_lost_to, Some(uid("first")));
        assert_eq!(held(&claims, "third"), [did(2)]);
        let touched = claims.remove(&uid("first"));
        assert!(touched.contains(&uid("second")) && touched.contains(&uid("third")), "{touched:?}");
        assert_eq!(claims.holdings(&uid("second")).unwrap().tenant_lost_to, None);
        assert_eq!(
            held(&claims, "second"),
            [did(2)],
            "the older of the two, as the number is live for neither"
        );
    }

    #[test]
    fn who_is_not_valid_keeps_what_is_live_and_waits_for_nothing() {
        let mut claims = Claims::default();
        claims.upsert(claim("a", 1, "a", &[1]));
        published(&mut claims, "a");
        claims.upsert(Claim { standing: Standing::Invalid, ..claim("a", 1, "a", &[1, 2]) });
        claims.upsert(claim("b", 2, "b", &[1, 2]));
        assert_eq!(held(&claims, "a"), [did(1)]);
        assert_eq!(held(&claims, "b"), [did(2)]);
    }

    #[test]
    fn who_is_suspended_keeps_what_is_live_even_unlisted() {
        let mut claims = Claims::default();
        claims.upsert(claim("a", 1, "a", &[1, 2]));
        published(&mut claims, "a");
        claims.upsert(Claim { standing: Standing::Suspended, ..claim("a", 1, "a", &[2]) });
        claims.upsert(claim("b", 2, "b", &[1]));
        assert_eq!(held(&claims, "a"), [did(2), did(1)]);
        assert_eq!(held(&claims, "b"), []);
    }

    #[test]
    fn a_record_without_a_resource_yields_to_any_claimant() {
        let mut claims = Claims::default();
        claims.set_live(&uid("gone"), Some(live("a", &[1])));
        assert_eq!(claims.orphans().count(), 1);
        claims.upsert(claim("b", 2, "b", &[1]));
        assert_eq!(claims.predecessors(&uid("b")), BTreeSet::from([uid("gone")]));
    }

    #[test]
    fn a_record_that_lists_a_number_takes_it_out_of_all_others() {
        let mut claims = Claims::default();
        claims.set_live(&uid("a"), Some(live("a", &[1, 2])));
        claims.set_live(&uid("b"), Some(live("b", &[1])));
        assert_eq!(claims.live(&uid("a")), Some(&live("a", &[2])));
    }
}
