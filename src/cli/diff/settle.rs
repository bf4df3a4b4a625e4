//! The operator's decisions about a set of resources: its own claims and plans, until nothing changes any more. Pure.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::api::DeletionPolicy;
use crate::contract::{Did, TenantId};
use crate::domain::assessment::{Assessment, Holder, NotPublished, SecretFault};
use crate::domain::claims::{Claim, Claims, Published};
use crate::domain::compile::{self, Claimed};
use crate::domain::plan::{Outcome, Plan, PlanInput, Rejections, Snapshot};
use crate::domain::{ResourceName, Uid};

/// Rounds after which a state that still changes is taken as it is. Each round publishes everything that it can.
const ROUNDS: usize = 50;

/// A `RuntimeTenant` as it is, or as it will be.
#[derive(Clone, Debug)]
pub struct Object {
    /// `<namespace>/<name>`.
    pub name: ResourceName,
    /// Its uid; one of our own for a resource that will be created.
    pub uid: Uid,
    /// `metadata.creationTimestamp`, seconds since 1970.
    pub created: i64,
    /// `metadata.generation`.
    pub generation: i64,
    /// The spec's JSON.
    pub spec: String,
    /// The numbers that are published for it.
    pub published: Vec<Did>,
    /// True while it is being deleted.
    pub deleting: bool,
    /// True if it may take what an older publisher holds.
    pub takes_over: bool,
    /// The fault of its Secret, as far as is known.
    pub secret: Option<SecretFault>,
    /// True for a resource that does not exist yet.
    pub is_new: bool,
}

/// The keys in Redis beside those of resources, as far as they were read.
#[derive(Clone, Debug, Default)]
pub struct Unmanaged {
    /// The tenant id to which numbers are mapped that no resource has published.
    pub mappings: BTreeMap<Did, String>,
    /// The numbers that the config of an older publisher lists, by tenant id.
    pub configs: BTreeMap<String, Vec<Did>>,
    /// The tenant ids that another cluster's resources own: the cluster, and the resource.
    pub elsewhere: BTreeMap<String, (String, String)>,
}

/// The fate of the resources.
#[derive(Debug)]
pub struct State {
    /// The assessment of each resource that stays.
    pub assessments: BTreeMap<ResourceName, Assessment>,
    /// The tenant id to which each number is mapped in the end.
    pub mappings: BTreeMap<Did, String>,
    /// The resource that has each number, where one has it.
    pub holders: BTreeMap<Did, ResourceName>,
    /// The numbers that two new resources claim and none has: chance decides.
    pub by_chance: HashSet<Did>,
}

struct World<'a> {
    objects: &'a [Object],
    claimed: Vec<Claimed>,
    claims: Claims,
    unmanaged: &'a Unmanaged,
}

/// Determines what becomes of these resources. Those of `gone` have been deleted.
#[must_use]
pub fn settle(objects: &[Object], gone: &[Object], unmanaged: &Unmanaged) -> State {
    let claimed = objects.iter().map(|object| compile::claimed(&object.spec)).collect();
    let mut world = World { objects, claimed, claims: Claims::default(), unmanaged };
    world.enter();
    for _ in 0..ROUNDS {
        if !world.round() {
            break;
        }
    }
    world.state(gone)
}

impl World<'_> {
    fn enter(&mut self) {
        for (object, claimed) in self.objects.iter().zip(&self.claimed) {
            let published = published(object, claimed.tenant.as_ref());
            let _ = self.claims.set_published(&object.uid, published);
        }
        for (object, claimed) in self.objects.iter().zip(&self.claimed) {
            let Some(tenant) = claimed.tenant.clone().filter(|_| !object.deleting) else { continue };
            let _ = self.claims.upsert(Claim {
                uid: object.uid.clone(),
                name: object.name.clone(),
                created: object.created,
                tenant,
                dids: claimed.dids.clone(),
                eligibility: claimed.eligibility,
                status_dids: object.published.clone(),
                refused_outside: false,
            });
        }
    }

    /// Publishes what can be published; false if nothing changed.
    fn round(&mut self) -> bool {
        let mut changed = false;
        for object in self.objects.iter().filter(|object| !object.deleting) {
            let next = match self.plan(object) {
                Plan::Publish(desired) if object.secret.is_none() => Some(Published {
                    tenant: desired.config.tenant_id().clone(),
                    dids: desired.config.dids().to_vec(),
                }),
                Plan::Done(Outcome::Assessed(assessment)) => {
                    changed |= self.note_refusal(object, &assessment);
                    continue;
                }
                Plan::Publish(_) | Plan::Done(_) => continue,
                Plan::Remove(_) => None,
            };
            if self.claims.published(&object.uid) != next.as_ref() {
                let _ = self.claims.set_published(&object.uid, next);
                changed = true;
            }
        }
        changed
    }

    /// Notes that something outside keeps a resource from its tenant id, so that others come first; true if that is new.
    fn note_refusal(&mut self, object: &Object, assessment: &Assessment) -> bool {
        let (Some(refused), Some(claim)) = (assessment.is_refused_outside(), self.claims.get(&object.uid))
        else {
            return false;
        };
        if claim.refused_outside == refused {
            return false;
        }
        let claim = Claim { refused_outside: refused, ..Claim::clone(claim) };
        let _ = self.claims.upsert(claim);
        true
    }

    fn plan(&self, object: &Object) -> Plan {
        let snapshot = Snapshot::of(&self.claims, &object.uid, |_| None);
        let rejections = self.rejections(object, &snapshot);
        let input = PlanInput {
            spec: &object.spec,
            generation: object.generation,
            snapshot: &snapshot,
            rejections: &rejections,
        };
        match (input.plan(), &object.secret) {
            (Plan::Publish(desired), Some(fault)) => {
                Plan::Done(input.blocked(&desired, NotPublished::Secret(fault.clone())))
            }
            (plan, _) => plan,
        }
    }

    /// The conflicts that Redis would report, since an older publisher holds something.
    fn rejections(&self, object: &Object, snapshot: &Snapshot) -> Rejections {
        let mut rejections = Rejections { generation: object.generation, ..Rejections::default() };
        let (Some(holdings), false) = (&snapshot.holdings, object.takes_over) else { return rejections };
        let Some(claim) = self.claims.get(&object.uid) else { return rejections };
        if let Some((cluster, owner)) = self.unmanaged.elsewhere.get(claim.tenant.as_str()) {
            let holder = Holder::Elsewhere { cluster: cluster.clone(), owner: owner.clone() };
            rejections.add(holder, Vec::new());
            return rejections;
        }
        let is_published =
            |did: &Did| snapshot.published.as_ref().is_some_and(|published| published.dids.contains(did));
        for did in holdings.dids.iter().filter(|did| !is_published(did)) {
            if let Some(tenant) =
                self.unmanaged.mappings.get(did).filter(|tenant| **tenant != claim.tenant.as_str())
            {
                let holder = match self.unmanaged.elsewhere.get(tenant) {
                    Some((cluster, owner)) => {
                        Holder::Elsewhere { cluster: cluster.clone(), owner: owner.clone() }
                    }
                    None => Holder::Unmanaged(tenant.clone()),
                };
                rejections.add(holder, vec![did.clone()]);
            }
        }
        if snapshot.published.is_none() {
            let listed = self.unmanaged.configs.get(claim.tenant.as_str()).into_iter().flatten();
            let is_left = |did: &&Did| {
                let mapped = self.unmanaged.mappings.get(*did);
                mapped.is_some_and(|tenant| tenant == claim.tenant.as_str()) && !holdings.dids.contains(did)
            };
            let left: Vec<Did> = listed.filter(is_left).cloned().collect();
            if !left.is_empty() {
                rejections.not_published = Some(NotPublished::WouldUnmap(left));
            }
        }
        rejections
    }

    fn state(&self, gone: &[Object]) -> State {
        let (mut assessments, mut holders) = (BTreeMap::new(), BTreeMap::new());
        let mut mappings = self.unmanaged.mappings.clone();
        for object in gone {
            let claimed = compile::claimed(&object.spec);
            if let (Some(tenant), DeletionPolicy::Retain) = (claimed.tenant, claimed.deletion_policy) {
                mappings.extend(object.published.iter().map(|did| (did.clone(), tenant.to_string())));
            }
        }
        for object in self.objects {
            let Some(published) = self.claims.published(&object.uid) else { continue };
            if object.takes_over && object.published.is_empty() {
                let of_tenant = self.unmanaged.configs.get(published.tenant.as_str()).into_iter().flatten();
                of_tenant
                    .filter(|did| !published.dids.contains(did))
                    .for_each(|did| drop(mappings.remove(did)));
            }
            for did in &published.dids {
                mappings.insert(did.clone(), published.tenant.to_string());
                holders.insert(did.clone(), object.name.clone());
            }
        }
        for object in self.objects.iter().filter(|object| !object.deleting) {
            if let Some(assessment) = self.assess(object) {
                assessments.insert(object.name.clone(), assessment);
            }
        }
        State { assessments, mappings, holders, by_chance: self.by_chance() }
    }

    fn assess(&self, object: &Object) -> Option<Assessment> {
        match self.plan(object) {
            Plan::Done(Outcome::Assessed(assessment)) => Some(assessment),
            Plan::Remove(removal) => match removal.outcome {
                Some(Outcome::Assessed(assessment)) => Some(assessment),
                _ => None,
            },
            Plan::Done(Outcome::FinalizerRemovable) => None,
            Plan::Publish(desired) => {
                let snapshot = Snapshot::of(&self.claims, &object.uid, |_| None);
                let rejections = Rejections::default();
                let input = PlanInput {
                    spec: &object.spec,
                    generation: object.generation,
                    snapshot: &snapshot,
                    rejections: &rejections,
                };
                Some(input.assess_published(&desired))
            }
        }
    }

    /// The numbers that only new resources claim, two or more of them.
    fn by_chance(&self) -> HashSet<Did> {
        let mut claimants: HashMap<&Did, Vec<&Object>> = HashMap::new();
        for (object, claimed) in self.objects.iter().zip(&self.claimed).filter(|(object, _)| !object.deleting)
        {
            for did in &claimed.dids {
                claimants.entry(did).or_default().push(object);
            }
        }
        let is_open =
            |objects: &Vec<&Object>| objects.len() > 1 && objects.iter().all(|object| object.is_new);
        claimants.into_iter().filter(|(_, objects)| is_open(objects)).map(|(did, _)| did.clone()).collect()
    }
}

fn published(object: &Object, tenant: Option<&TenantId>) -> Option<Published> {
    let tenant = tenant.filter(|_| !object.published.is_empty())?;
    Some(Published { tenant: tenant.clone(), dids: object.published.clone() })
}
