//! The index of claims, driven by random events: the incremental index always equals one that is built from scratch, and
//! each event returns every resource that it affects.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a test may fail")]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::sample::subsequence;
use runtime_operator::contract::{Did, TenantId};
use runtime_operator::domain::claims::{Claim, Claims, Eligibility, Holdings, Published};
use runtime_operator::domain::{ResourceName, Uid};

/// An event for the index.
#[derive(Clone, Debug)]
enum Event {
    /// A resource was created or changed.
    Upsert(Claim),
    /// A resource was deleted.
    Remove(usize),
    /// A resource was published with everything that it holds.
    Publish(usize),
    /// A resource's ownership record was lost.
    LoseRecord(usize),
}

const RESOURCES: usize = 5;

fn uid(which: usize) -> Uid {
    Uid::new(format!("uid-{which}"))
}

fn did(which: usize) -> Did {
    Did::parse(&format!("+1555000{which:04}")).unwrap()
}

fn tenant(which: usize) -> TenantId {
    TenantId::parse(&format!("tenant-{which}")).unwrap()
}

fn dids() -> impl Strategy<Value = Vec<Did>> {
    subsequence((0..6).map(did).collect::<Vec<_>>(), 0..=4)
}

fn claim() -> impl Strategy<Value = Claim> {
    let eligibility = prop_oneof![
        6 => Just(Eligibility::Active),
        1 => Just(Eligibility::Suspended),
        1 => Just(Eligibility::Invalid),
        1 => Just(Eligibility::Unreadable),
    ];
    let status_dids = prop_oneof![3 => Just(Vec::new()), 1 => dids()];
    let refused_outside = proptest::bool::weighted(0.2);
    (0..RESOURCES, dids(), eligibility, status_dids, refused_outside).prop_map(
        |(which, dids, eligibility, status_dids, refused_outside)| Claim {
            uid: uid(which),
            name: ResourceName::new("ns", &format!("r{which}")),
            // Pairs have the same age, so that the uid decides.
            created: i64::try_from(which / 2).unwrap(),
            // A resource keeps its tenant id for life. Two pairs of resources share one.
            tenant: tenant(which % 3),
            dids,
            eligibility,
            status_dids,
            refused_outside,
        },
    )
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => claim().prop_map(Event::Upsert),
        1 => (0..RESOURCES).prop_map(Event::Remove),
        3 => (0..RESOURCES).prop_map(Event::Publish),
        1 => (0..RESOURCES).prop_map(Event::LoseRecord),
    ]
}

/// The index, and the resources from which another one can be built.
#[derive(Default)]
struct World {
    claims: Claims,
    resources: BTreeMap<Uid, Claim>,
}

impl World {
    /// Applies an event; returns the resources that it affects.
    fn apply(&mut self, event: &Event) -> BTreeSet<Uid> {
        let (uid, mut affected) = match event {
            Event::Upsert(claim) => {
                self.resources.insert(claim.uid.clone(), claim.clone());
                (claim.uid.clone(), self.claims.upsert(claim.clone()))
            }
            Event::Remove(which) => {
                self.resources.remove(&uid(*which));
                (uid(*which), self.claims.remove(&uid(*which)))
            }
            Event::Publish(which) => {
                let Some(claim) = self.resources.get(&uid(*which)) else { return BTreeSet::new() };
                if self.claims.tenant_holder(&claim.tenant) != Some(&claim.uid) {
                    return BTreeSet::new();
                }
                let dids = self.claims.holdings(&claim.uid).unwrap().dids;
                let published = Published { tenant: claim.tenant.clone(), dids };
                (uid(*which), self.claims.set_published(&uid(*which), Some(published)))
            }
            Event::LoseRecord(which) => (uid(*which), self.claims.set_published(&uid(*which), None)),
        };
        affected.insert(uid);
        affected
    }

    fn built_from_scratch(&self) -> Claims {
        let mut claims = Claims::default();
        for claim in self.resources.values().rev() {
            claims.upsert(claim.clone());
        }
        for which in 0..RESOURCES {
            claims.set_published(&uid(which), self.claims.published(&uid(which)).cloned());
        }
        claims
    }
}

/// Everything on which decisions are based.
type Facts = Vec<(Option<Holdings>, BTreeSet<Uid>, BTreeSet<Uid>)>;

fn facts(claims: &Claims) -> Facts {
    (0..RESOURCES)
        .map(|which| {
            let uid = uid(which);
            (claims.holdings(&uid), claims.yielding_owners(&uid), claims.taking_owners(&uid))
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, ..ProptestConfig::default() })]

    #[test]
    fn the_incremental_index_equals_one_built_from_scratch(events in prop::collection::vec(event(), 1..40)) {
        let mut world = World::default();
        for event in &events {
            world.apply(event);
            prop_assert_eq!(facts(&world.claims), facts(&world.built_from_scratch()), "after {:?}", event);
        }
    }

    #[test]
    fn an_event_returns_every_resource_whose_holdings_change(events in prop::collection::vec(event(), 1..40)) {
        let mut world = World::default();
        for event in &events {
            let before = facts(&world.claims);
            let affected = world.apply(event);
            let after = facts(&world.claims);
            for which in 0..RESOURCES {
                let (was, is) = (&before[which].0, &after[which].0);
                prop_assert!(was == is || affected.contains(&uid(which)), "{event:?}: {which} was {was:?} and is {is:?}");
            }
        }
    }

    #[test]
    fn a_published_did_stays_while_its_owner_claims_it(events in prop::collection::vec(event(), 1..40)) {
        let mut world = World::default();
        for event in &events {
            let published = (0..RESOURCES).filter_map(|which| Some((uid(which), world.claims.published(&uid(which))?)));
            let held: Vec<(Uid, Did)> = published
                .flat_map(|(uid, published)| published.dids.iter().map(move |did| (uid.clone(), did.clone())))
                .filter(|(uid, did)| world.claims.holder(did) == Some(uid))
                .collect();
            world.apply(event);
            let changed = match event {
                Event::Upsert(claim) => claim.uid.clone(),
                Event::Remove(which) | Event::LoseRecord(which) | Event::Publish(which) => uid(*which),
            };
            for (owner, did) in held.iter().filter(|(owner, _)| *owner != changed) {
                prop_assert_eq!(world.claims.holder(did), Some(owner), "{:?} rerouted {}", event, did);
            }
        }
    }

    #[test]
    fn new_holders_are_published_before_the_releasing_tenant(
        events in prop::collection::vec(event(), 1..40), which in 0..RESOURCES,
    ) {
        let mut world = World::default();
        for event in &events {
            world.apply(event);
        }
        let order = world.claims.publish_order(&uid(which));
        prop_assert!(order.last().unwrap().contains(&uid(which)));
        let place = |uid: &Uid| order.iter().position(|group| group.contains(uid)).unwrap();
        for releasing in order.iter().flatten() {
            for taking in world.claims.taking_owners(releasing) {
                prop_assert!(place(&taking) <= place(releasing), "{releasing} is before {taking}");
            }
        }
    }
}
