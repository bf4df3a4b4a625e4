//! Whatever has happened to it, an index knows the same as one that is fed once with what there is in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use proptest::prelude::*;
use proptest::sample::subsequence;
use runtime_operator::domain::Uid;
use runtime_operator::domain::claims::Published;
use runtime_operator::domain::index::{
    AlreadyPublished, Index, OperationResult, Recorded, TenantSnapshot, TenantState,
};
use runtime_operator::domain::plan::PublishedVersion;
use serde_json::json;

use crate::fixture::{self, DID, Fixture, OTHER_DID};

const THIRD_DID: &str = "+15550000003";
const NAMES: [&str; 3] = ["acme", "beta", "gamma"];
/// A resource that is created again has another uid.
const UIDS: [[&str; 3]; 3] =
    [["acme", "acme-2", "acme-3"], ["beta", "beta-2", "beta-3"], ["gamma", "gamma-2", "gamma-3"]];

/// An event for the index; a number is that of a name.
#[derive(Clone, Debug)]
enum Event {
    /// A resource is created or edited.
    Edit(usize, Vec<&'static str>),
    /// The operator's own status comes back.
    ShowStatus(usize),
    /// A resource is deleted, and held by its finalizer.
    MarkDeleted(usize),
    /// The watch shows that a resource is gone.
    Remove(usize),
    /// A resource is gone, and the watch lists everything again.
    List(usize),
    /// A reconcile begins; another one of the same uid is forgotten.
    Begin(usize, usize),
    /// Its result arrives.
    Finish,
    LoseRecord(usize, usize),
    Drift(usize),
    /// Every record is read again; of one resource, Redis holds something else.
    Resync(usize),
    Fail(usize),
}

fn dids() -> impl Strategy<Value = Vec<&'static str>> {
    subsequence(vec![DID, OTHER_DID, THIRD_DID], 1..=3)
}

fn event() -> impl Strategy<Value = Event> {
    let name = || 0..NAMES.len();
    let nth = || prop_oneof![3 => Just(0_usize), 1 => Just(1), 1 => Just(2)];
    prop_oneof![
        4 => (name(), dids()).prop_map(|(name, dids)| Event::Edit(name, dids)),
        2 => name().prop_map(Event::ShowStatus),
        1 => name().prop_map(Event::MarkDeleted),
        1 => name().prop_map(Event::Remove),
        1 => name().prop_map(Event::List),
        5 => (name(), nth()).prop_map(|(name, nth)| Event::Begin(name, nth)),
        5 => Just(Event::Finish),
        1 => (name(), nth()).prop_map(|(name, nth)| Event::LoseRecord(name, nth)),
        2 => name().prop_map(Event::Drift),
        1 => name().prop_map(Event::Resync),
        1 => name().prop_map(Event::Fail),
    ]
}

/// The index, and its last input.
struct World {
    index: Index,
    /// The resources that the watch shows.
    present: BTreeMap<usize, Fixture>,
    /// Resources that are gone, as they last were.
    gone: Vec<Fixture>,
    /// The result of a reconcile in flight.
    in_flight: Option<OperationResult>,
    list: u32,
}

fn all_uids() -> impl Iterator<Item = Uid> {
    UIDS.into_iter().flatten().map(Uid::from)
}

/// Snapshots of all tenants.
fn snapshots(index: &Index) -> Vec<TenantSnapshot> {
    let uids: Vec<Uid> = all_uids().collect();
    index
        .snapshot(&uids, &mut AlreadyPublished::default())
        .expect("every tenant that takes something is among them")
}

impl World {
    fn new() -> Self {
        let (present, gone) = (BTreeMap::new(), Vec::new());
        Self { index: fixture::synced(), present, gone, in_flight: None, list: 1 }
    }

    fn apply(&mut self, event: &Event) {
        match event {
            Event::Edit(name, dids) => self.edit(*name, dids),
            Event::ShowStatus(name) => {
                let Some(fixture) = self.present.get_mut(name) else { return };
                let published = self.index.claims().published(&fixture::uid(fixture.uid));
                let dids = published.map(|published| published.dids.clone()).unwrap_or_default();
                fixture.version += 1;
                fixture.status = json!({ "observedGeneration": fixture.generation, "publishedDids": dids });
                drop(fixture.apply_again(&mut self.index));
            }
            Event::MarkDeleted(name) => {
                let Some(fixture) = self.present.get_mut(name) else { return };
                fixture.version += 1;
                fixture.deleted = true;
                drop(fixture.apply(&mut self.index));
            }
            Event::Remove(name) => {
                let Some(fixture) = self.present.remove(name) else { return };
                drop(self.index.delete(&fixture::uid(fixture.uid)));
                self.gone.push(fixture);
            }
            Event::List(name) => {
                self.gone.extend(self.present.remove(name));
                self.list += 1;
                for fixture in self.present.values() {
                    drop(fixture.list(&mut self.index, self.list));
                }
                drop(self.index.remove_unlisted(self.list, |_| true));
            }
            Event::Begin(name, nth) => {
                let uid = Uid::from(UIDS[*name][*nth]);
                let snapshots = snapshots(&self.index);
                let snapshot = snapshots.iter().find(|snapshot| snapshot.uid == uid).unwrap();
                self.in_flight = Some(fixture::reconcile(snapshot));
            }
            Event::Finish => {
                let Some(result) = self.in_flight.take() else { return };
                let uid = result.uid.clone();
                drop(self.index.record_results(vec![result]));
                drop(self.index.reconciled(&uid));
            }
            Event::LoseRecord(name, nth) => {
                drop(self.index.correct_record(&Uid::from(UIDS[*name][*nth]), None, None));
            }
            Event::Drift(name) => {
                let Some(fixture) = self.present.get(name) else { return };
                drop(self.index.drifted(&fixture::uid(fixture.uid), Instant::now()));
            }
            Event::Resync(name) => {
                let broken = self.present.get(name).map(|fixture| fixture::uid(fixture.uid));
                let mut records = self.records();
                for (uid, _, intact) in &mut records {
                    *intact = Some(&*uid) != broken.as_ref();
                }
                drop(self.index.resync(records));
            }
            Event::Fail(name) => {
                let Some(fixture) = self.present.get(name) else { return };
                drop(self.index.failed(&fixture::uid(fixture.uid), crate::failure("out of memory")));
            }
        }
    }

    fn edit(&mut self, name: usize, dids: &[&'static str]) {
        let created = self.gone.iter().filter(|gone| gone.name == NAMES[name]).count();
        let fixture = match self.present.entry(name) {
            std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::btree_map::Entry::Vacant(free) => {
                let Some(uid) = UIDS[name].get(created) else { return };
                free.insert(Fixture { uid, generation: 0, version: 0, ..fixture::tenant(NAMES[name]) })
            }
        };
        if fixture.deleted {
            return;
        }
        fixture.generation += 1;
        fixture.version += 1;
        fixture.dids = dids.to_vec();
        drop(fixture.apply(&mut self.index));
    }

    /// The records that the index knows, as they may be read in Redis.
    fn records(&self) -> Vec<(Uid, Recorded, bool)> {
        let record = |uid: Uid| {
            let published = self.index.claims().published(&uid)?.clone();
            let tenant = self.index.tenant(&uid);
            let version = tenant.and_then(TenantState::recorded_version).cloned();
            let unknown =
                || PublishedVersion { generation: 1, secret: "s/1".to_owned(), hash: "h".to_owned() };
            let recorded = Recorded { published, version: version.unwrap_or_else(unknown) };
            Some((uid, recorded, tenant.is_some_and(TenantState::is_verified)))
        };
        all_uids().filter_map(record).collect()
    }

    /// An index that is fed once with each resource and record: first with what is gone, then with what there is.
    fn built_from_scratch(&self) -> Index {
        let mut index = fixture::synced();
        let is_known = |fixture: &&Fixture| {
            let uid = fixture::uid(fixture.uid);
            self.index.tenant(&uid).is_some() && self.index.claims().published(&uid).is_some()
        };
        let gone: BTreeMap<&str, &Fixture> =
            self.gone.iter().filter(is_known).map(|gone| (gone.uid, gone)).collect();
        for fixture in gone.values() {
            drop(fixture.apply(&mut index));
        }
        drop(index.resync(self.records()));
        for uid in gone.keys() {
            drop(index.delete(&fixture::uid(uid)));
        }
        for fixture in self.present.values() {
            drop(fixture.apply(&mut index));
        }
        drop(index.resync(self.records()));
        index
    }

    /// The tenants that are present or have a record.
    fn known(&self) -> BTreeSet<Uid> {
        let published = all_uids().filter(|uid| self.index.claims().published(uid).is_some());
        self.present.values().map(|fixture| fixture::uid(fixture.uid)).chain(published).collect()
    }
}

/// All that a reconcile takes from a snapshot, as text; but for the number of invalidations, which has no meaning alone.
fn facts(snapshot: &TenantSnapshot) -> String {
    let TenantSnapshot {
        uid,
        object,
        claims,
        hash,
        secret,
        secret_key,
        deletion_policy,
        take_over,
        invalidations: _,
    } = snapshot;
    let object = object.as_ref().map(|object| {
        let status = object.status().map(|status| (status.observed_generation(), status.published_dids()));
        (object.version(), object.generation(), object.spec().to_owned(), object.is_deleting(), status)
    });
    let names: BTreeMap<_, _> = claims.names.iter().collect();
    let holdings = (&claims.holdings, names, &claims.yielding_owners);
    // Without a record, nothing can be verified.
    let verified = claims.record.is_some() && claims.verified;
    let record: (&Option<Published>, _, _) = (&claims.published, &claims.record, verified);
    format!(
        "{uid}: {object:#?} {holdings:#?} {record:#?} {hash:?} {secret:?} {secret_key:?} {deletion_policy:?} {take_over:?}"
    )
}

fn known_facts(index: &Index, known: &BTreeSet<Uid>) -> Vec<String> {
    snapshots(index).iter().filter(|snapshot| known.contains(&snapshot.uid)).map(facts).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_index_equals_one_that_is_fed_with_the_final_state(events in prop::collection::vec(event(), 1..40)) {
        let mut world = World::new();
        for event in &events {
            world.apply(event);
        }
        let known = world.known();
        let (index, scratch) = (&world.index, world.built_from_scratch());
        for (incremental, scratch) in known_facts(index, &known).into_iter().zip(known_facts(&scratch, &known)) {
            prop_assert_eq!(incremental, scratch);
        }
        prop_assert_eq!(index.orphans(), scratch.orphans());
        prop_assert_eq!(index.published_owners(), scratch.published_owners());
    }
}
