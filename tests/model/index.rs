//! The index of a replica: the product's own. States are distinguished by the facts in it that make a difference to what it
//! does.

mod events;

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};

use runtime_operator::domain::ResourceName;
use runtime_operator::domain::index::{self as product, TenantState};
use runtime_operator::domain::secret::SecretVersion;

pub use events::{Comparison, Event, OperationDone};
use events::{change, show};

use crate::objects::{Object, Status};
use crate::plans::OutcomeKind;
use crate::shared::{Memo, Shared};
use crate::values::{self, DidSet, Resource, ResourceSet, SLOTS, Slot};

/// The version that an ownership record states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Version {
    pub generation: u8,
    pub dids: DidSet,
}

/// An ownership record: the tenant id, the DIDs that it lists, and the version.
pub type Record = (Slot, DidSet, Version);

/// A record, its owner, and whether Redis holds exactly what it says.
pub type FoundRecord = (Resource, Record, bool);

/// The facts about the owner of a tenant id when an audit began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Expected {
    owner: Resource,
    is_known: bool,
    version: Option<Version>,
    invalidated: bool,
}

/// The effects of an event, and the resources that it invalidated.
#[derive(Clone, Copy, Debug, Default)]
pub struct Consequences {
    pub reconcile: ResourceSet,
    pub status: ResourceSet,
    pub invalidated: ResourceSet,
}

/// The facts in an index from which all that it does follows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Facts {
    /// The resources that the watch shows.
    pub seen: [Option<Object>; SLOTS],
    tenants: BTreeMap<Resource, TenantFacts>,
    /// The tenant id and the DIDs of each ownership record.
    published: BTreeMap<Resource, (Slot, DidSet)>,
    /// The resources that are retried after a failure.
    retrying: ResourceSet,
    /// The number of DIDs that are held back after a loss.
    held_back: usize,
    /// A wait after a loss has not ended.
    pub waits: bool,
    /// The other cluster is waited for.
    pub awaits: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct TenantFacts {
    version: Option<Version>,
    verified: bool,
    outcome: Option<OutcomeKind>,
    /// It failed, and has no outcome.
    failed: bool,
    awaits_own_write: bool,
}

/// The product's index, distinguished by its facts.
pub struct Index {
    pub facts: Facts,
    product: product::Index,
}

thread_local! {
    static NEW: Memo<[Option<Object>; SLOTS], Shared<Index>> = Memo::new();
    static EVENTS: Memo<(Shared<Index>, Event), (Shared<Index>, Consequences)> = Memo::new();
    static ORPHANS: Memo<Shared<Index>, ResourceSet> = Memo::new();
    static ORDERS: Memo<(Shared<Index>, Resource), Vec<Vec<Resource>>> = Memo::new();
}

impl Index {
    /// The index of a process that has just started and listed everything.
    pub fn new(api: &[Option<Object>; SLOTS]) -> Shared<Self> {
        NEW.with(|memo| {
            memo.of(api.clone(), |api| {
                let mut index = product::Index::new(true);
                let hook = ResourceName { name: values::SECRET_NAME.into(), ..values::name(0).clone() };
                let (uid, version) = values::SECRET.split_once('/').unwrap();
                drop(index.apply_secret(&hook, Some((SecretVersion::new(Some(uid), Some(version)), 1))));
                for object in api.iter().flatten() {
                    drop(show(&mut index, object, 1, true));
                }
                index.mark_synced();
                Shared::new(Self::of(index))
            })
        })
    }

    fn of(product: product::Index) -> Self {
        Self { facts: Facts::of(&product), product }
    }

    /// The product's index.
    pub fn product(&self) -> &product::Index {
        &self.product
    }

    /// Applies an event.
    pub fn apply(this: &mut Shared<Self>, event: Event) -> Consequences {
        let (after, consequences) = EVENTS.with(|memo| {
            memo.of((this.clone(), event), |(before, event)| {
                let mut index = before.product.clone();
                let mut consequences = Consequences::default();
                change(&mut index, event, &mut |effects| {
                    consequences.reconcile.extend(effects.reconcile.iter().map(values::resource));
                    consequences.status.extend(effects.status.iter().map(values::resource));
                });
                consequences.invalidated = values::resources()
                    .filter(|resource| {
                        let of = |index: &product::Index| {
                            index.tenant(values::uid(*resource)).map(TenantState::invalidations)
                        };
                        of(&before.product) != of(&index)
                    })
                    .collect();
                (Shared::new(Self::of(index)), consequences)
            })
        });
        *this = after;
        consequences
    }

    /// The resource as the watch shows it.
    pub fn object(&self, resource: Resource) -> Option<&Object> {
        self.facts.seen[values::slot(resource)].as_ref().filter(|object| object.resource == resource)
    }

    /// What the status must say, and whether the last reconcile failed before there was any outcome; none while the watch
    /// has not shown the operator's own last write.
    pub fn pending_status(&self, resource: Resource) -> Option<(Option<OutcomeKind>, bool)> {
        let tenant = self.facts.tenants.get(&resource)?;
        (!tenant.awaits_own_write).then_some((tenant.outcome, tenant.failed))
    }

    /// The facts that an audit expects of each slot's tenant id. None: it is not published, by all that is known.
    pub fn expected(&self) -> [Option<Expected>; SLOTS] {
        let owners = self.product.published_owners();
        std::array::from_fn(|slot| {
            let owner = values::resource(owners.get(values::tenant(slot))?);
            let tenant = self.facts.tenants.get(&owner);
            let version = tenant.and_then(|tenant| tenant.version);
            Some(Expected { owner, is_known: tenant.is_some(), version, invalidated: false })
        })
    }

    /// Compares what was expected with the records that were found.
    pub fn compare(&self, expected: &[Option<Expected>; SLOTS], records: &[FoundRecord]) -> Vec<Comparison> {
        let now = self.expected();
        let compare = |slot: Slot| {
            let found = records.iter().find(|(_, record, _)| record.0 == slot).copied();
            let is_same = |expected: Expected| {
                let tenant = self.facts.tenants.get(&expected.owner);
                !expected.invalidated
                    && expected.is_known == tenant.is_some()
                    && expected.version == tenant.and_then(|tenant| tenant.version)
            };
            let owner = expected[slot].map(|expected| expected.owner);
            let is_same = expected[slot].map_or(now[slot].is_none(), is_same);
            (owner.is_some() || found.is_some()).then_some(Comparison { slot, owner, is_same, found })
        };
        (0..SLOTS).filter_map(compare).collect()
    }

    /// The resources that have a record and are gone.
    pub fn orphans(this: &Shared<Self>) -> ResourceSet {
        ORPHANS.with(|memo| {
            memo.of(this.clone(), |index| index.product.orphans().0.iter().map(values::resource).collect())
        })
    }

    /// The order in which to publish `resource` and all resources that take something from it.
    pub fn order(this: &Shared<Self>, resource: Resource) -> Vec<Vec<Resource>> {
        ORDERS.with(|memo| {
            memo.of((this.clone(), resource), |(index, resource)| {
                let uid = values::uid(*resource);
                match index.product.start(uid) {
                    product::Start::Alone(_) => vec![vec![*resource]],
                    product::Start::Group => {
                        let group = |group: Vec<_>| {
                            let mut group: Vec<Resource> = group.iter().map(values::resource).collect();
                            group.sort_unstable();
                            group
                        };
                        index.product.publish_order(uid).into_iter().map(group).collect()
                    }
                }
            })
        })
    }
}

impl Facts {
    fn of(index: &product::Index) -> Self {
        let mut seen = [const { None }; SLOTS];
        for object in index.objects() {
            let object = Object::of(&object);
            let slot = values::slot(object.resource);
            seen[slot] = Some(object);
        }
        let published = values::resources().filter_map(|resource| {
            let published = index.claims().published(values::uid(resource))?;
            let slot = values::slot_of(published.tenant.as_str()).unwrap();
            Some((resource, (slot, values::did_set(&published.dids))))
        });
        let tenants =
            values::resources().filter_map(|resource| Some((resource, TenantFacts::of(index, resource)?)));
        Self {
            seen,
            published: published.collect(),
            tenants: tenants.collect(),
            retrying: index.retrying().iter().map(values::resource).collect(),
            held_back: index.held_back_count(),
            waits: index.next_release().is_some(),
            awaits: !index.awaited_clusters().is_empty(),
        }
    }
}

impl TenantFacts {
    fn of(index: &product::Index, resource: Resource) -> Option<Self> {
        let uid = values::uid(resource);
        let tenant = index.tenant(uid)?;
        let version = tenant.recorded_version().map(|version| Version {
            generation: u8::try_from(version.generation).unwrap(),
            dids: values::dids_of_hash(values::slot(resource), &version.hash),
        });
        // Of a resource that is gone, no status is written.
        let outcome = index.outcome(uid).filter(|_| !tenant.is_gone());
        let outcome = outcome.as_ref().map(OutcomeKind::of).map(|kind| match kind {
            OutcomeKind::Assessed(status) if tenant.object().take_over().is_some() => {
                let pending = index.clone().take_pending_status(uid);
                let took_over = pending.is_some_and(|pending| pending.take_over.is_some());
                OutcomeKind::Assessed(Status { took_over, ..status })
            }
            kind => kind,
        });
        Some(Self {
            verified: version.is_some() && tenant.is_verified(),
            version,
            failed: outcome.is_none() && !tenant.is_gone() && tenant.failure().is_some(),
            outcome,
            awaits_own_write: tenant.is_awaiting_own_write() && !tenant.is_gone(),
        })
    }
}

/// The owners, by the claims, of keys that another client changed.
pub fn owners_of(index: &Index, dids: DidSet, configs: u8) -> ResourceSet {
    let by_did = values::each(dids).filter_map(|nth| index.product.holder_of_did(values::did(nth)));
    let tenants = (0..SLOTS).filter(|slot| configs & 1 << slot != 0).map(values::tenant);
    let by_tenant = tenants.filter_map(|tenant| index.product.holder_of_tenant(tenant));
    by_did.chain(by_tenant).map(|uid| values::resource(&uid)).collect()
}

impl Expected {
    /// Notes that these resources were invalidated.
    pub fn invalidate(&mut self, resources: ResourceSet) {
        self.invalidated |= resources.contains(self.owner);
    }
}

impl Hash for Index {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.facts.hash(state);
    }
}

impl PartialEq for Index {
    fn eq(&self, other: &Self) -> bool {
        self.facts == other.facts
    }
}

impl Eq for Index {}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.facts.fmt(f)
    }
}
