//! The index of claims, driven by random events: kept by increments it always says what one built anew would say, and
//! it names everyone whom an event concerns.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a test may fail")]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::sample::subsequence;
use runtime_operator::contract::{Did, TenantId};
use runtime_operator::domain::claims::{Claim, Claims, Eligibility, Holdings, Published};
use runtime_operator::domain::{ResourceName, Uid};

/// One event.
#[derive(Clone, Debug)]
enum Event {
    /// A resource is seen, as it is now.
    See(Claim),
    /// A resource is deleted or gone.
    Go(usize),
    /// A resource is published with all that it holds.
    Publish(usize),
    /// A resource's record is lost.
    Lose(usize),
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

fn numbers() -> impl Strategy<Value = Vec<Did>> {
    subsequence((0..6).map(did).collect::<Vec<_>>(), 0..=4)
}

fn claim() -> impl Strategy<Value = Claim> {
    let eligibility = prop_oneof![
        6 => Just(Eligibility::Active),
        1 => Just(Eligibility::Suspended),
        1 => Just(Eligibility::Invalid),
        1 => Just(Eligibility::Unreadable),
    ];
    (0..RESOURCES, numbers(), eligibility, prop_oneof![3 => Just(Vec::new()), 1 => numbers()]).prop_map(
        |(which, dids, eligibility, status_dids)| Claim {
            uid: uid(which),
            name: ResourceName::new("ns", &format!("r{which}")),
            // Two are of one age: the uid decides.
            created: i64::try_from(which / 2).unwrap(),
            // A resource keeps its tenant id for life; two share one, twice.
            tenant: tenant(which % 3),
            dids,
            eligibility,
            status_dids,
        },
    )
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => claim().prop_map(Event::See),
        1 => (0..RESOURCES).prop_map(Event::Go),
        3 => (0..RESOURCES).prop_map(Event::Publish),
        1 => (0..RESOURCES).prop_map(Event::Lose),
    ]
}

/// The index with what it was told, so that another can be built from the same.
#[derive(Default)]
struct World {
    claims: Claims,
    seen: BTreeMap<Uid, Claim>,
}

impl World {
    fn take(&mut self, event: &Event) -> BTreeSet<Uid> {
        match event {
            Event::See(claim) => {
                self.seen.insert(claim.uid.clone(), claim.clone());
                let mut affected = self.claims.upsert(claim.clone());
                affected.insert(claim.uid.clone());
                affected
            }
            Event::Go(which) => {
                self.seen.remove(&uid(*which));
                let mut affected = self.claims.remove(&uid(*which));
                affected.insert(uid(*which));
                affected
            }
            Event::Publish(which) => {
                let Some(claim) = self.seen.get(&uid(*which)) else { return BTreeSet::new() };
                if self.claims.tenant_holder(&claim.tenant) != Some(&claim.uid) {
                    return BTreeSet::new();
                }
                let dids = self.claims.holdings(&claim.uid).unwrap().dids;
                let live = Published { tenant: claim.tenant.clone(), dids };
                let mut affected = self.claims.set_published(&uid(*which), Some(live));
                affected.insert(uid(*which));
                affected
            }
            Event::Lose(which) => {
                let mut affected = self.claims.set_published(&uid(*which), None);
                affected.insert(uid(*which));
                affected
            }
        }
    }

    fn built_anew(&self) -> Claims {
        let mut claims = Claims::default();
        for claim in self.seen.values().rev() {
            claims.upsert(claim.clone());
        }
        for which in 0..RESOURCES {
            claims.set_published(&uid(which), self.claims.published(&uid(which)).cloned());
        }
        claims
    }
}

/// Everything that decisions are made of.
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
    fn increments_say_what_an_index_built_anew_says(events in prop::collection::vec(event(), 1..40)) {
        let mut world = World::default();
        for event in &events {
            world.take(event);
            prop_assert_eq!(facts(&world.claims), facts(&world.built_anew()), "after {:?}", event);
        }
    }

    #[test]
    fn an_event_names_everyone_whose_holdings_are_others_now(events in prop::collection::vec(event(), 1..40)) {
        let mut world = World::default();
        for event in &events {
            let before = facts(&world.claims);
            let affected = world.take(event);
            let after = facts(&world.claims);
            for which in 0..RESOURCES {
                let (was, is) = (&before[which].0, &after[which].0);
                prop_assert!(was == is || affected.contains(&uid(which)), "{event:?}: {which} was {was:?} and is {is:?}");
            }
        }
    }

    #[test]
    fn a_live_number_stays_for_as_long_as_it_is_claimed(events in prop::collection::vec(event(), 1..40)) {
        let mut world = World::default();
        for event in &events {
            let live: Vec<(Uid, Published)> =
                (0..RESOURCES).filter_map(|which| Some((uid(which), world.claims.published(&uid(which))?.clone()))).collect();
            let held: Vec<(Uid, Did)> = live
                .iter()
                .flat_map(|(uid, live)| live.dids.iter().map(|did| (uid.clone(), did.clone())))
                .filter(|(uid, did)| world.claims.holder(did) == Some(uid))
                .collect();
            world.take(event);
            let concerns = match event {
                Event::See(claim) => claim.uid.clone(),
                Event::Go(which) | Event::Lose(which) | Event::Publish(which) => uid(*which),
            };
            for (owner, did) in held.iter().filter(|(owner, _)| *owner != concerns) {
                prop_assert_eq!(world.claims.holder(did), Some(owner), "{:?} rerouted {}", event, did);
            }
        }
    }

    #[test]
    fn the_order_of_a_handover_has_takers_first_and_ends_with_who_lets_go(
        events in prop::collection::vec(event(), 1..40), which in 0..RESOURCES,
    ) {
        let mut world = World::default();
        for event in &events {
            world.take(event);
        }
        let order = world.claims.publish_order(&uid(which));
        prop_assert!(order.last().unwrap().contains(&uid(which)));
        let place = |uid: &Uid| order.iter().position(|step| step.contains(uid)).unwrap();
        for giver in order.iter().flatten() {
            for taker in world.claims.taking_owners(giver) {
                prop_assert!(place(&taker) <= place(giver), "{giver} is before {taker}");
            }
        }
    }
}
