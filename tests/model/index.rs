//! The claims and the published state that a replica knows: the product's own index, stored as its input.

use std::collections::BTreeMap;

use runtime_operator::domain::claims::{Claim, Claims, Published};

use crate::shared::{Memo, Shared};
use crate::values::{self, DidSet, RESOURCES, Resource, ResourceSet, SLOTS, Slot};

/// A resource in the API server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Object {
    pub resource: Resource,
    /// The number of writes to it.
    pub version: u8,
    pub generation: u8,
    pub dids: DidSet,
    pub deleting: bool,
    pub finalizer: bool,
    pub status: Option<Status>,
}

/// The content of a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Status {
    pub generation: u8,
    pub published: DidSet,
    pub ready: bool,
}

/// The input of the product's index.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Index {
    pub seen: [Option<Object>; SLOTS],
    /// The tenant id and the DIDs of each ownership record.
    pub published: BTreeMap<Resource, (Slot, DidSet)>,
}

/// The version that an ownership record states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Version {
    pub generation: u8,
    pub dids: DidSet,
}

thread_local! {
    static CHANGES: Memo<(Shared<Index>, Change), (Shared<Index>, ResourceSet)> = Memo::new();
    static ORPHANS: Memo<Shared<Index>, ResourceSet> = Memo::new();
    static ORDERS: Memo<(Shared<Index>, Resource), Vec<Vec<Resource>>> = Memo::new();
}

/// A change of the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// The watch shows this resource, as it is in `seen`.
    Upsert(Resource),
    Remove(Resource),
    SetPublished(Resource, Option<(Slot, DidSet)>),
}

impl Index {
    /// The resource as the watch shows it.
    pub fn object(&self, resource: Resource) -> Option<&Object> {
        self.seen[values::slot(resource)].as_ref().filter(|object| object.resource == resource)
    }

    /// The product's own index.
    pub fn claims(&self) -> Claims {
        let mut claims = Claims::default();
        for (resource, (slot, dids)) in &self.published {
            claims.set_published(values::uid(*resource), Some(published(*slot, *dids)));
        }
        for object in self.seen.iter().flatten().filter(|object| !object.deleting) {
            claims.upsert(object.claim());
        }
        claims
    }

    /// Applies a change; `seen` is what the watch shows now. Returns the affected resources.
    pub fn alter(this: &mut Shared<Self>, seen: &Self, change: Change) -> ResourceSet {
        let (after, affected) = if matches!(change, Change::SetPublished(..)) {
            let question = (this.clone(), change);
            CHANGES.with(|memo| memo.of(question, |(before, change)| Self::changed(before, before, *change)))
        } else {
            Self::changed(this, seen, change)
        };
        *this = after;
        affected
    }

    /// The resources that have a record and no claim.
    pub fn orphans(this: &Shared<Self>) -> ResourceSet {
        ORPHANS.with(|memo| {
            memo.of(this.clone(), |index| {
                index.claims().orphans().map(|(uid, _)| values::resource(uid)).collect()
            })
        })
    }

    /// The order in which to publish `resource` and all resources that take something from it.
    pub fn order(this: &Shared<Self>, resource: Resource) -> Vec<Vec<Resource>> {
        ORDERS.with(|memo| {
            memo.of((this.clone(), resource), |(index, resource)| {
                let order = index.claims().publish_order(values::uid(*resource));
                let group = |group: Vec<_>| {
                    let mut group: Vec<Resource> = group.iter().map(values::resource).collect();
                    group.sort_unstable();
                    group
                };
                order.into_iter().map(group).collect()
            })
        })
    }

    /// True if all resources that take something from the members are members, or were published already.
    pub fn is_in_order(this: &Shared<Self>, members: &[Resource], passed: ResourceSet) -> bool {
        let mut takers = members.iter().flat_map(|resource| Self::order(this, *resource)).flatten();
        takers.all(|taker| members.contains(&taker) || passed.contains(taker))
    }

    fn changed(before: &Self, seen: &Self, change: Change) -> (Shared<Self>, ResourceSet) {
        let mut claims = before.claims();
        let affected = match change {
            Change::Upsert(resource) => match seen.object(resource).filter(|object| !object.deleting) {
                Some(object) => claims.upsert(object.claim()),
                None => claims.remove(values::uid(resource)),
            },
            Change::Remove(resource) => claims.remove(values::uid(resource)),
            Change::SetPublished(resource, to) => {
                claims.set_published(values::uid(resource), to.map(|(slot, dids)| published(slot, dids)))
            }
        };
        let everyone = 0..u8::try_from(RESOURCES).unwrap();
        let published =
            everyone.filter_map(|resource| Some((resource, claims.published(values::uid(resource))?)));
        let published = published.map(|(resource, published)| {
            (
                resource,
                (values::slot_of(published.tenant.as_str()).unwrap(), values::did_set(&published.dids)),
            )
        });
        let after = Self { seen: seen.seen.clone(), published: published.collect() };
        (Shared::new(after), affected.iter().map(values::resource).collect())
    }
}

fn published(slot: Slot, dids: DidSet) -> Published {
    Published { tenant: values::tenant(slot).clone(), dids: values::did_list(dids) }
}

impl Object {
    fn claim(&self) -> Claim {
        values::claim(self.resource, self.dids, self.status_dids())
    }

    /// The DIDs that its status lists.
    pub fn status_dids(&self) -> DidSet {
        self.status.map_or(0, |status| status.published)
    }
}
