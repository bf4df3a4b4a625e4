//! The product's plans for a group of resources, made from snapshots of the index as in `controller::reconcile::prepare`,
//! in the model's integers.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use runtime_operator::domain::TakeOver;
use runtime_operator::domain::assessment::{Assessment, Holder, NotPublished, UnavailableDid};
use runtime_operator::domain::index::{AlreadyPublished, CachedTenant, TenantSnapshot};
use runtime_operator::domain::plan::{self, Plan, PlanInput, Rejections, RemovalPlan};

use crate::index::{Index, Record, Version};
use crate::objects::{self, Object, Status};
use crate::scenario::Bug;
use crate::shared::{Memo, Shared};
use crate::values::{self, Call, DidSet, Resource, ResourceSet, SLOTS};

/// The outcome of a reconcile, distinguished by its kind.
#[derive(Clone)]
pub struct Outcome {
    kind: OutcomeKind,
    product: Arc<plan::Outcome>,
}

/// The part of an outcome that makes a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OutcomeKind {
    Assessed(Status),
    FinalizerRemovable,
}

/// The conflicts that Redis reported in a reconcile so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rejected {
    pub generation: u8,
    pub yielding_owners: BTreeSet<Resource>,
    pub in_use: DidSet,
    pub elsewhere: DidSet,
    pub would_unmap: DidSet,
}

/// The needs of a resource.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Prepared {
    Done(Outcome),
    Write(PendingWrite),
}

/// An operation that a reconcile must send.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PendingWrite {
    pub resource: Resource,
    pub call: Call,
    pub after: Option<Record>,
    pub outcome: Option<Outcome>,
    /// Owners by record that it takes for gone: the watch does not show them.
    pub unwatched: ResourceSet,
    /// Another client changed its keys since, or all records were read since.
    pub invalidated: bool,
}

thread_local! {
    static PLANS: Memo<Question, Option<Vec<Prepared>>> = Memo::new();
}

/// The index, the members, the resources that were published already, the conflicts, and the planted bug.
type Question = (Shared<Index>, Vec<Resource>, ResourceSet, BTreeMap<Resource, Rejected>, Option<Bug>);

/// The product's plans for the members of a group. None if a resource that takes something from them must be published
/// first.
pub fn plan(
    index: &Shared<Index>,
    members: &[Resource],
    published: ResourceSet,
    rejected: &BTreeMap<Resource, Rejected>,
    bug: Option<Bug>,
) -> Option<Vec<Prepared>> {
    let question = (index.clone(), members.to_vec(), published, rejected.clone(), bug);
    PLANS.with(|memo| {
        memo.of(question, |(index, members, published, rejected, bug)| {
            let uids: Vec<_> = members.iter().map(|resource| values::uid(*resource).clone()).collect();
            let mut done = AlreadyPublished::default();
            done.add(index.product(), published.iter().map(values::uid));
            let snapshots = index.product().snapshot(&uids, &mut done)?;
            let none = Rejected::default();
            let prepare = |(snapshot, resource): (&TenantSnapshot, &Resource)| {
                Preparation { index, resource: *resource, snapshot, bug: *bug }
                    .prepare(rejected.get(resource).unwrap_or(&none))
            };
            Some(snapshots.iter().zip(members).map(prepare).collect())
        })
    })
}

/// A resource whose needs are determined.
struct Preparation<'a> {
    index: &'a Index,
    resource: Resource,
    snapshot: &'a TenantSnapshot,
    bug: Option<Bug>,
}

impl Preparation<'_> {
    fn prepare(&self, rejected: &Rejected) -> Prepared {
        let snapshot = self.snapshot;
        let Some(object) = &snapshot.object else {
            return self.removal_or_done(plan::plan_orphan(&snapshot.claims, snapshot.deletion_policy));
        };
        if object.is_deleting() {
            let (policy, status_dids) = (snapshot.deletion_policy, object.status_dids());
            let removal = plan::plan_deletion(object.spec(), status_dids, &snapshot.claims, policy);
            return self.removal_or_done(removal);
        }
        let secret = snapshot.secret.as_ref().unwrap().recorded(true);
        let unchanged = snapshot
            .hash
            .clone()
            .and_then(|hash| plan::unchanged(&snapshot.claims, object.generation(), hash, secret.clone()));
        if let Some(outcome) = unchanged {
            return Prepared::Done(Outcome::new(outcome));
        }
        let rejections = if i64::from(rejected.generation) == object.generation() {
            rejections(rejected)
        } else {
            Rejections::default()
        };
        let spec = if self.bug == Some(Bug::SuspendIgnored) {
            values::spec(values::slot(self.resource), Object::of(object).dids & !values::SUSPEND)
        } else {
            object.spec()
        };
        let input = PlanInput {
            spec,
            generation: object.generation(),
            snapshot: &snapshot.claims,
            rejections: &rejections,
        };
        match input.plan() {
            Plan::Done(outcome) => Prepared::Done(Outcome::new(outcome)),
            Plan::Remove(removal) => self.remove(removal),
            Plan::Publish(desired) => {
                let version = input.published_version(&desired, secret.clone());
                if snapshot.claims.verified && input.is_recorded(&desired, &version) {
                    return Prepared::Done(Outcome::assessed(input.assess_published(&desired)));
                }
                self.publish(object, &input, &desired, secret)
            }
        }
    }

    fn publish(
        &self,
        object: &CachedTenant,
        input: &PlanInput<'_>,
        desired: &plan::Desired,
        secret: String,
    ) -> Prepared {
        let draft =
            input.draft_publication(desired, secret, Some(&"whsec".into()), object.status_dids()).unwrap();
        let (resource, slot) = (self.resource, values::slot(self.resource));
        let dids = values::did_set(draft.config.dids());
        let generation = u8::try_from(draft.version.generation).unwrap();
        let yielding_owners = self.snapshot.claims.yielding_owners.keys().map(values::resource);
        Prepared::Write(PendingWrite {
            resource,
            call: Call::Publish {
                resource,
                generation,
                dids,
                previously_listed: values::did_set(&draft.previously_listed),
                yielding_owners: draft
                    .yielding_owners
                    .iter()
                    .map(|(uid, generation)| (values::resource(uid), small(*generation)))
                    .collect(),
                annotated: object.take_over().is_some(),
                take_over: match self.bug {
                    Some(Bug::TakesOverForever) => object.take_over().is_some(),
                    Some(Bug::AdoptsBlindly) => true,
                    _ => self.snapshot.take_over == TakeOver::Anything,
                },
            },
            after: Some((slot, dids, Version { generation, dids })),
            outcome: Some(Outcome::assessed(input.assess_published(desired))),
            unwatched: yielding_owners.filter(|owner| self.index.object(*owner).is_none()).collect(),
            invalidated: false,
        })
    }

    fn removal_or_done(&self, removal: Option<RemovalPlan>) -> Prepared {
        match removal {
            Some(removal) => self.remove(removal),
            None => Prepared::Done(Outcome::new(plan::Outcome::FinalizerRemovable)),
        }
    }

    fn remove(&self, removal: RemovalPlan) -> Prepared {
        let RemovalPlan { tenant, previously_listed, retain, outcome } = removal;
        let resource = self.resource;
        let call = Call::Remove {
            slot: values::slot_of(tenant.as_str()).unwrap(),
            resource,
            previously_listed: values::did_set(&previously_listed),
            retain,
        };
        let unwatched = self.snapshot.object.is_none().then_some(resource);
        Prepared::Write(PendingWrite {
            resource,
            call,
            after: None,
            outcome: outcome.map(Outcome::new),
            unwatched: unwatched.into_iter().collect(),
            invalidated: false,
        })
    }
}

impl PendingWrite {
    /// True where its Secret must be read, and is one of those that can't be.
    pub fn needs_secret(&self, broken: [bool; SLOTS]) -> bool {
        matches!(self.call, Call::Publish { .. }) && broken[values::slot(self.resource)]
    }
}

impl Prepared {
    /// What must be written.
    pub fn write(&self) -> Option<&PendingWrite> {
        match self {
            Self::Done(_) => None,
            Self::Write(write) => Some(write),
        }
    }

    pub fn write_mut(&mut self) -> Option<&mut PendingWrite> {
        match self {
            Self::Done(_) => None,
            Self::Write(write) => Some(write),
        }
    }
}

fn rejections(rejected: &Rejected) -> Rejections {
    let in_use = |did| UnavailableDid { did, holder: Holder::Unmanaged(values::EXTERNAL_TENANT.to_owned()) };
    let holder = Holder::Elsewhere {
        cluster: values::neighbour_cluster().to_string(),
        owner: "voice/theirs".to_owned(),
    };
    let elsewhere = |did| UnavailableDid { did, holder: holder.clone() };
    let unavailable = values::did_list(rejected.in_use).into_iter().map(in_use);
    Rejections {
        generation: i64::from(rejected.generation),
        not_published: (rejected.would_unmap != 0)
            .then(|| NotPublished::WouldUnmap(values::did_list(rejected.would_unmap))),
        unavailable: unavailable
            .chain(values::did_list(rejected.elsewhere).into_iter().map(elsewhere))
            .collect(),
        yielding_owners: rejected
            .yielding_owners
            .iter()
            .map(|resource| values::uid(*resource).clone())
            .collect(),
    }
}

fn small(generation: Option<i64>) -> Option<u8> {
    generation.map(|generation| u8::try_from(generation).unwrap())
}

/// True if DIDs move between these resources.
pub fn is_exclusive(order: &[Vec<Resource>]) -> bool {
    order.len() > 1 || order.iter().any(|group| group.len() > 1)
}

impl Outcome {
    fn new(product: plan::Outcome) -> Self {
        Self { kind: OutcomeKind::of(&product), product: Arc::new(product) }
    }

    fn assessed(assessment: Assessment) -> Self {
        Self::new(plan::Outcome::Assessed(assessment))
    }

    pub fn product(&self) -> plan::Outcome {
        plan::Outcome::clone(&self.product)
    }
}

impl OutcomeKind {
    pub fn of(outcome: &plan::Outcome) -> Self {
        match outcome {
            plan::Outcome::FinalizerRemovable => Self::FinalizerRemovable,
            plan::Outcome::Assessed(assessment) => Self::Assessed(Status {
                generation: u8::try_from(assessment.generation).unwrap(),
                published: assessment
                    .published
                    .as_ref()
                    .map_or(0, |published| values::did_set(&published.dids)),
                took_over: false,
                elsewhere: objects::elsewhere(&assessment.held_elsewhere()),
                ready: assessment.not_published.is_none() && assessment.unavailable.is_empty(),
            }),
        }
    }
}

impl Hash for Outcome {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.kind.hash(state);
    }
}

impl PartialEq for Outcome {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

impl Eq for Outcome {}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}
