//! The published state by the ownership records, found by resource, by DID and by tenant id.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

use crate::contract::{Did, TenantId};
use crate::domain::Uid;

/// The tenant id and the DIDs that an ownership record lists for a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The tenant id under which the resource is published.
    pub tenant: TenantId,
    /// The DIDs that are mapped to it.
    pub dids: Vec<Did>,
}

/// The published state of all resources. A DID, like a tenant id, has at most one owner.
#[derive(Clone, Debug, Default)]
pub struct PublishedIndex {
    by_uid: HashMap<Uid, Published>,
    owners_of_dids: HashMap<Did, Uid>,
    owners_of_tenants: HashMap<TenantId, Uid>,
}

impl PublishedIndex {
    /// The published state of `uid`.
    pub fn get(&self, uid: &Uid) -> Option<&Published> {
        self.by_uid.get(uid)
    }

    /// The resource whose ownership record lists the DID.
    pub fn owner_of_did(&self, did: &Did) -> Option<&Uid> {
        self.owners_of_dids.get(did)
    }

    /// The resource whose ownership record has the tenant id.
    pub fn owner_of_tenant(&self, tenant: &TenantId) -> Option<&Uid> {
        self.owners_of_tenants.get(tenant)
    }

    /// All resources that have an ownership record.
    pub fn iter(&self) -> impl Iterator<Item = (&Uid, &Published)> {
        self.by_uid.iter()
    }

    /// The number of ownership records.
    pub fn len(&self) -> usize {
        self.by_uid.len()
    }

    /// The other resources that own, until now, the tenant id or a DID of this state.
    pub fn other_owners(&self, uid: &Uid, published: &Published) -> BTreeSet<Uid> {
        let dids = published.dids.iter().filter_map(|did| self.owner_of_did(did));
        let owners = dids.chain(self.owner_of_tenant(&published.tenant));
        owners.filter(|owner| *owner != uid).cloned().collect()
    }

    /// Replaces the published state of `uid`.
    pub fn set(&mut self, uid: &Uid, published: Option<Published>) {
        if let Some(before) = self.by_uid.remove(uid) {
            for did in &before.dids {
                remove_if_owned(&mut self.owners_of_dids, did, uid);
            }
            remove_if_owned(&mut self.owners_of_tenants, &before.tenant, uid);
        }
        if let Some(mut published) = published {
            published.dids.shrink_to_fit();
            self.owners_of_dids.extend(published.dids.iter().map(|did| (did.clone(), uid.clone())));
            self.owners_of_tenants.insert(published.tenant.clone(), uid.clone());
            self.by_uid.insert(uid.clone(), published);
        }
    }
}

fn remove_if_owned<K: Eq + Hash>(owners: &mut HashMap<K, Uid>, key: &K, uid: &Uid) {
    if owners.get(key) == Some(uid) {
        owners.remove(key);
    }
}
