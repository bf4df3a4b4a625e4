//! Redis with the rules of the scripts `apply.lua`, `acquire_epoch.lua` and `inspect.lua`. `agree.rs` compares it with the
//! real scripts.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use runtime_operator::contract::{Did, TenantId};
use runtime_operator::domain::{ClusterId, TakeOver, Uid};
use runtime_operator::store::{Adoption, Applied, Conflict, Operation, Publication, Removal, TakenOver};
use secrecy::ExposeSecret;
use sha1::{Digest, Sha1};

use crate::values::{self, DidSet};

/// The keys in Redis.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Redis {
    pub epoch: Option<u64>,
    /// The epoch that each writer acquired last, with the id of its process.
    pub epochs: BTreeMap<String, (u64, u8)>,
    pub configs: BTreeMap<String, Config>,
    pub mappings: BTreeMap<Did, String>,
    /// The index of DIDs, `runtime-operator:dids`.
    pub owners: BTreeMap<Did, String>,
    pub records: BTreeMap<String, Record>,
    /// The index of records, `runtime-operator:tenants:<cluster>`.
    pub members: BTreeSet<(String, String)>,
}

/// A stored config.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Config {
    pub sha1: String,
    /// The DIDs that it lists.
    pub dids: Vec<Did>,
}

/// An ownership record.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Record {
    pub cluster: String,
    pub owner: String,
    pub uid: String,
    pub generation: i64,
    pub secret: String,
    pub hash: String,
    pub sha1: String,
    pub dids: Vec<Did>,
}

impl Config {
    pub fn of(json: &str) -> Self {
        let document: serde_json::Value = serde_json::from_str(json).unwrap_or_default();
        let dids = document["dids"].as_array().into_iter().flatten();
        let dids = dids.filter_map(|did| Did::parse_exact(did.as_str()?).ok()).collect();
        let sha1 = Sha1::digest(json).iter().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").unwrap();
            hex
        });
        Self { sha1, dids }
    }
}

impl Redis {
    /// `acquire_epoch.lua`.
    pub fn acquire_epoch(&mut self, seen: u64, writer: &str, process_id: u8) -> u64 {
        let least = self.highest().max(seen);
        let epoch = (self.epoch.unwrap_or(0) + 1).max(least + 1);
        self.epoch = Some(epoch);
        self.epochs.insert(writer.to_owned(), (epoch, process_id));
        epoch
    }

    fn highest(&self) -> u64 {
        self.epochs.values().map(|(epoch, _)| *epoch).max().unwrap_or(0)
    }

    /// True if a writer may write with this epoch.
    pub fn is_current(&self, writer: &str, epoch: u64, process_id: u8) -> bool {
        self.epochs.get(writer) == Some(&(epoch, process_id)) && self.epoch == Some(self.highest())
    }

    /// `apply.lua` after the fence: all operations, or none if one is rejected.
    pub fn apply(&mut self, cluster: &ClusterId, operations: &[Operation]) -> Vec<Applied> {
        let mut call = Call { now: self.clone(), cluster: cluster.as_str() };
        let mut replies: Vec<Applied> = operations.iter().map(|operation| call.run(operation)).collect();
        if !replies.iter().any(|reply| matches!(reply, Applied::Rejected(_))) {
            *self = call.now;
            for reply in &mut replies {
                if let Applied::Published { removed, .. } = reply {
                    // A DID that another operation of the call mapped was not removed.
                    removed.retain(|did| !self.mappings.contains_key(did));
                }
            }
            return replies;
        }
        for reply in &mut replies {
            if matches!(reply, Applied::Published { .. } | Applied::Recorded | Applied::Removed { .. }) {
                *reply = Applied::Aborted;
            }
        }
        replies
    }

    /// Stores a config of an older publisher, which keeps no records, and its mappings.
    pub fn publish_as_an_older_publisher(&mut self, tenant: &TenantId, dids: DidSet) {
        let config = serde_json::json!({ "tenantId": tenant, "dids": values::did_list(dids) });
        self.configs.insert(tenant.to_string(), Config::of(&config.to_string()));
        self.mappings.extend(values::did_list(dids).into_iter().map(|did| (did, tenant.to_string())));
    }

    /// `inspect.lua`: whether Redis holds what a tenant's record says.
    pub fn is_intact(&self, tenant: &str) -> bool {
        let Some(record) = self.records.get(tenant) else { return false };
        self.configs.get(tenant).is_some_and(|config| config.sha1 == record.sha1)
            && self.members.contains(&(record.cluster.clone(), tenant.to_owned()))
            && record.dids.iter().all(|did| self.maps(did) == Some(tenant) && self.owns(did) == Some(tenant))
    }

    pub fn maps(&self, did: &Did) -> Option<&str> {
        self.mappings.get(did).map(String::as_str)
    }

    fn owns(&self, did: &Did) -> Option<&str> {
        self.owners.get(did).map(String::as_str)
    }

    /// The tenant whose record lists the DID.
    fn holder(&self, did: &Did) -> Option<String> {
        let lists = |tenant: &&str| self.records.get(*tenant).is_some_and(|record| record.dids.contains(did));
        self.owns(did).into_iter().chain(self.maps(did)).find(lists).map(str::to_owned)
    }
}

/// One call of `apply.lua` in progress.
struct Call<'a> {
    now: Redis,
    cluster: &'a str,
}

impl Call<'_> {
    fn run(&mut self, operation: &Operation) -> Applied {
        let before = self.now.clone();
        let reply = match operation {
            Operation::Publish(publication) => self.publish(publication),
            Operation::Remove(removal) => self.remove(removal),
        };
        let visibly = (&self.now.configs, &self.now.mappings) != (&before.configs, &before.mappings);
        match reply {
            Applied::Published { .. } | Applied::Removed { .. } if self.now == before => Applied::Unchanged,
            Applied::Published { adopted: None, taken_over, .. } if !visibly && taken_over.is_empty() => {
                Applied::Recorded
            }
            reply => reply,
        }
    }

    fn publish(&mut self, operation: &Publication) -> Applied {
        let tenant = operation.tenant.as_str();
        let mine = self.now.records.get(tenant).cloned();
        let mut taken = Vec::new();
        if let Some(conflict) = self.tenant_conflict(operation, mine.as_ref(), &mut taken) {
            return Applied::Rejected(conflict);
        }
        let mut from = BTreeMap::new();
        if let Some(conflict) = self.did_conflict(operation, &mut from, &mut taken) {
            return Applied::Rejected(conflict);
        }
        let held = match self.held_before(operation, mine.as_ref()) {
            Ok(held) => held,
            Err(conflict) => return Applied::Rejected(conflict),
        };
        let adopted =
            mine.is_none() && operation.previously_listed.is_empty() && self.now.configs.contains_key(tenant);
        let mut removed = Vec::new();
        for did in held {
            if !operation.dids.contains(&did) && self.release(&did, tenant, false) {
                removed.push(did);
            }
        }
        let config = Config::of(operation.config.expose_secret());
        let sha1 = config.sha1.clone();
        self.now.configs.insert(tenant.to_owned(), config);
        for did in &operation.dids {
            if let Some(other) = from.get(did).and_then(|other| self.now.records.get_mut(other)) {
                other.dids.retain(|theirs| theirs != did);
            }
            self.now.mappings.insert(did.clone(), tenant.to_owned());
            self.now.owners.insert(did.clone(), tenant.to_owned());
        }
        if let Some(before) = mine.filter(|before| before.cluster != self.cluster) {
            self.now.members.remove(&(before.cluster, tenant.to_owned()));
        }
        self.now.members.insert((self.cluster.to_owned(), tenant.to_owned()));
        let record = Record {
            cluster: self.cluster.to_owned(),
            owner: operation.owner.to_string(),
            uid: operation.owner.uid.as_str().to_owned(),
            generation: operation.generation,
            secret: operation.secret.clone(),
            hash: operation.hash.clone(),
            sha1,
            dids: operation.dids.clone(),
        };
        self.now.records.insert(tenant.to_owned(), record);
        let adopted = adopted.then(Adoption::default);
        Applied::Published { adopted, taken_over: taken, removed }
    }

    fn tenant_conflict(
        &self,
        operation: &Publication,
        mine: Option<&Record>,
        taken: &mut Vec<TakenOver>,
    ) -> Option<Conflict> {
        let mine = mine?;
        if mine.cluster != self.cluster {
            if operation.take_over != TakeOver::Anything {
                let (cluster, owner) = (ClusterId::new(&mine.cluster), mine.owner.clone());
                return Some(Conflict::OwnedElsewhere { cluster, owner, dids: Vec::new() });
            }
            taken.push(taken_from(mine, None));
        } else if mine.uid != operation.owner.uid.as_str() {
            if !yields(operation, mine) {
                let (uid, owner) = (Uid::new(&*mine.uid), mine.owner.clone());
                return Some(Conflict::HeldBy { uid, owner, dids: Vec::new() });
            }
        } else if mine.generation > operation.generation && !yields(operation, mine) {
            return Some(Conflict::Stale { generation: mine.generation });
        }
        None
    }

    fn did_conflict(
        &self,
        operation: &Publication,
        from: &mut BTreeMap<Did, String>,
        taken: &mut Vec<TakenOver>,
    ) -> Option<Conflict> {
        let tenant = operation.tenant.as_str();
        let (mut elsewhere, mut held, mut in_use) = (Vec::new(), Vec::new(), Vec::new());
        for did in &operation.dids {
            match self.now.holder(did) {
                Some(other) if other != tenant => {
                    let record = &self.now.records[&other];
                    from.insert(did.clone(), other.clone());
                    if record.cluster != self.cluster {
                        if operation.take_over == TakeOver::Anything {
                            taken.push(taken_from(record, Some(did.clone())));
                        } else {
                            elsewhere.push((did.clone(), record));
                        }
                    } else if record.uid != operation.owner.uid.as_str() && !yields(operation, record) {
                        held.push((did.clone(), record));
                    }
                }
                Some(_) => {}
                None => {
                    let mapped = self.now.maps(did).filter(|mapped| *mapped != tenant);
                    let unmanaged = mapped.filter(|mapped| !self.now.records.contains_key(*mapped));
                    // With a record of its own, a tenant's status alone makes no DID its own.
                    let known = match self.now.records.get(tenant).filter(|mine| self.is_own(mine, operation))
                    {
                        Some(mine) => &mine.dids,
                        None => &operation.previously_listed,
                    };
                    let Some(mapped) = unmanaged.filter(|_| !known.contains(did)) else { continue };
                    if operation.take_over == TakeOver::Anything {
                        let from = format!("tenant {mapped}");
                        taken.push(TakenOver { did: Some(did.clone()), from, holder: None });
                    } else {
                        in_use.push((did.clone(), mapped.to_owned()));
                    }
                }
            }
        }
        if let Some((_, first)) = elsewhere.first() {
            let (owner, dids) = of_one(&elsewhere, |record| record.cluster == first.cluster);
            return Some(Conflict::OwnedElsewhere { cluster: ClusterId::new(&first.cluster), owner, dids });
        }
        if let Some((_, first)) = held.first() {
            let (owner, dids) = of_one(&held, |record| record.uid == first.uid);
            return Some(Conflict::HeldBy { uid: Uid::new(&*first.uid), owner, dids });
        }
        (!in_use.is_empty()).then_some(Conflict::DidsInUse(in_use))
    }

    fn is_own(&self, record: &Record, operation: &Publication) -> bool {
        record.cluster == self.cluster && record.uid == operation.owner.uid.as_str()
    }

    /// The DIDs that the tenant has held until now.
    fn held_before(&self, operation: &Publication, mine: Option<&Record>) -> Result<Vec<Did>, Conflict> {
        if let Some(mine) = mine {
            return Ok(mine.dids.clone());
        }
        let tenant = operation.tenant.as_str();
        let listed = self.now.configs.get(tenant).map(|config| config.dids.clone()).unwrap_or_default();
        let orphaned: Vec<Did> = listed
            .into_iter()
            .filter(|did| {
                !operation.dids.contains(did)
                    && !operation.previously_listed.contains(did)
                    && self.now.maps(did) == Some(tenant)
                    && self.now.holder(did).is_none()
            })
            .collect();
        if !orphaned.is_empty() && operation.take_over != TakeOver::Anything {
            return Err(Conflict::WouldUnmap(orphaned));
        }
        Ok(operation.previously_listed.iter().cloned().chain(orphaned).collect())
    }

    /// Releases a DID unless another tenant holds it; returns whether its mapping was removed.
    fn release(&mut self, did: &Did, tenant: &str, keep_mapping: bool) -> bool {
        if self.now.holder(did).is_some_and(|held| held != tenant) {
            return false;
        }
        if self.now.owns(did) == Some(tenant) {
            self.now.owners.remove(did);
        }
        if keep_mapping || self.now.maps(did) != Some(tenant) {
            return false;
        }
        self.now.mappings.remove(did);
        true
    }

    fn remove(&mut self, operation: &Removal) -> Applied {
        let tenant = operation.tenant.as_str();
        let mine = self.now.records.get(tenant).cloned();
        if mine
            .as_ref()
            .is_some_and(|mine| mine.cluster != self.cluster || mine.uid != operation.uid.as_str())
        {
            return Applied::NotOwned;
        }
        let mut keys = false;
        for did in mine.as_ref().map_or(&operation.previously_listed, |mine| &mine.dids) {
            keys |= self.release(did, tenant, operation.retain);
        }
        self.now.records.remove(tenant);
        self.now.members.remove(&(self.cluster.to_owned(), tenant.to_owned()));
        let config = self.now.configs.get(tenant);
        let still_live = |config: &Config| config.dids.iter().any(|did| self.now.maps(did) == Some(tenant));
        let ours = !operation.retain && (mine.is_some() || !operation.previously_listed.is_empty());
        if ours && config.is_some_and(|config| !still_live(config)) {
            self.now.configs.remove(tenant);
            keys = true;
        }
        Applied::Removed { keys }
    }
}

fn taken_from(record: &Record, did: Option<Did>) -> TakenOver {
    let holder = Some((ClusterId::new(&record.cluster), Uid::new(&*record.uid)));
    TakenOver { did, from: format!("{} of cluster {}", record.owner, record.cluster), holder }
}

fn yields(operation: &Publication, record: &Record) -> bool {
    let generation = operation.yielding_owners.get(&Uid::new(&*record.uid));
    generation.is_some_and(|generation| generation.is_none_or(|generation| generation == record.generation))
}

/// The first of several holders, with all the DIDs that it holds.
fn of_one(holders: &[(Did, &Record)], is_first: impl Fn(&Record) -> bool) -> (String, Vec<Did>) {
    let (mut owners, mut dids): (Vec<&str>, _) = (Vec::new(), Vec::new());
    for (did, record) in holders.iter().filter(|(_, record)| is_first(record)) {
        if !owners.contains(&record.owner.as_str()) {
            owners.push(&record.owner);
        }
        dids.push(did.clone());
    }
    (owners.join(", "), dids)
}
