//! The product's plan for one resource, in the model's integers.

use std::collections::{BTreeMap, BTreeSet};

use runtime_operator::api::DeletionPolicy;
use runtime_operator::domain::Uid;
use runtime_operator::domain::assessment::{Assessment, Holder, NotPublished, UnavailableDid};
use runtime_operator::domain::plan::{
    self, Plan, PlanInput, PublishedVersion, Rejections, RemovalPlan, Snapshot,
};

use crate::index::{Index, Status, Version};
use crate::shared::{Memo, Shared};
use crate::values::{self, Call, DidSet, Resource, Slot};

/// The outcome of a reconcile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    Assessed(Status),
    FinalizerRemovable,
}

/// The conflicts that Redis reported in a reconcile so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rejected {
    pub generation: u8,
    pub yielding_owners: BTreeSet<Resource>,
    pub in_use: DidSet,
    pub would_unmap: DidSet,
}

/// An operation that a reconcile must send.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PendingWrite {
    pub resource: Resource,
    pub call: Call,
    pub after: Option<(Slot, DidSet, Version)>,
    pub outcome: Option<Outcome>,
    /// Another client changed its keys since.
    pub invalidated: bool,
}

/// The product's plan, before it is checked whether Redis holds what the record says.
#[derive(Clone, Debug)]
pub enum Planned {
    Done(Outcome),
    Write(PendingWrite),
    /// Recorded already: this outcome if Redis still holds it, else this operation.
    Recorded(Outcome, PendingWrite),
}

thread_local! {
    static PLANS: Memo<Question, Planned> = Memo::new();
}

/// The index, the resource, the versions of the records, and the conflicts.
type Question = (Shared<Index>, Resource, BTreeMap<Resource, Version>, Rejected);

/// The product's plan for one resource.
pub fn plan(
    index: &Shared<Index>,
    resource: Resource,
    recorded: &BTreeMap<Resource, Version>,
    rejected: Rejected,
) -> Planned {
    let question = (index.clone(), resource, recorded.clone(), rejected);
    PLANS.with(|memo| {
        memo.of(question, |(index, resource, recorded, rejected)| {
            make_plan(index, *resource, recorded, rejected)
        })
    })
}

fn make_plan(
    index: &Index,
    resource: Resource,
    recorded: &BTreeMap<Resource, Version>,
    rejected: &Rejected,
) -> Planned {
    let slot = values::slot(resource);
    let generation = |owner: &Uid| Some(i64::from(recorded.get(&values::resource(owner))?.generation));
    let snapshot = Snapshot {
        record: recorded.get(&resource).map(|version| published_version(slot, *version)),
        ..Snapshot::of(&index.claims(), values::uid(resource), generation)
    };
    let Some(object) = index.object(resource) else {
        return removal(resource, plan::plan_orphan(&snapshot, DeletionPolicy::Delete));
    };
    let (spec, status_dids) = (values::spec(slot, object.dids), values::did_list(object.status_dids()));
    if object.deleting {
        return removal(resource, plan::plan_deletion(spec, status_dids, &snapshot, DeletionPolicy::Delete));
    }
    let rejections = rejections(rejected);
    let input = PlanInput {
        spec,
        generation: i64::from(object.generation),
        snapshot: &snapshot,
        rejections: &rejections,
    };
    let desired = match input.plan() {
        Plan::Done(plan::Outcome::Assessed(assessment)) => {
            return Planned::Done(Outcome::Assessed(status_of(&assessment)));
        }
        Plan::Done(plan::Outcome::FinalizerRemovable) => {
            return Planned::Done(Outcome::FinalizerRemovable);
        }
        Plan::Remove(plan) => return removal(resource, Some(plan)),
        Plan::Publish(desired) => desired,
    };
    let draft = input
        .draft_publication(&desired, values::SECRET.to_owned(), Some(&"whsec".into()), status_dids)
        .unwrap();
    let dids = values::did_set(draft.config.dids());
    let is_recorded = input.is_recorded(&desired, &draft.version);
    let outcome = Outcome::Assessed(status_of(&input.assess_published(&desired)));
    let generation = object.generation;
    let write = PendingWrite {
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
        },
        after: Some((slot, dids, Version { generation, dids })),
        outcome: Some(outcome),
        invalidated: false,
    };
    if is_recorded { Planned::Recorded(outcome, write) } else { Planned::Write(write) }
}

fn removal(resource: Resource, removal: Option<RemovalPlan>) -> Planned {
    let Some(RemovalPlan { tenant, previously_listed, retain, outcome }) = removal else {
        return Planned::Done(Outcome::FinalizerRemovable);
    };
    let slot = values::slot_of(tenant.as_str()).unwrap();
    let outcome = outcome.map(|outcome| match outcome {
        plan::Outcome::Assessed(assessment) => Outcome::Assessed(status_of(&assessment)),
        plan::Outcome::FinalizerRemovable => Outcome::FinalizerRemovable,
    });
    let call =
        Call::Remove { slot, resource, previously_listed: values::did_set(&previously_listed), retain };
    Planned::Write(PendingWrite { resource, call, after: None, outcome, invalidated: false })
}

fn rejections(rejected: &Rejected) -> Rejections {
    let in_use = |did| UnavailableDid { did, holder: Holder::Unmanaged(values::EXTERNAL_TENANT.to_owned()) };
    Rejections {
        generation: i64::from(rejected.generation),
        not_published: (rejected.would_unmap != 0)
            .then(|| NotPublished::WouldUnmap(values::did_list(rejected.would_unmap))),
        unavailable: values::did_list(rejected.in_use).into_iter().map(in_use).collect(),
        yielding_owners: rejected
            .yielding_owners
            .iter()
            .map(|resource| values::uid(*resource).clone())
            .collect(),
    }
}

fn status_of(assessment: &Assessment) -> Status {
    Status {
        generation: u8::try_from(assessment.generation).unwrap(),
        published: assessment.published.as_ref().map_or(0, |published| values::did_set(&published.dids)),
        ready: assessment.not_published.is_none() && assessment.unavailable.is_empty(),
    }
}

fn small(generation: Option<i64>) -> Option<u8> {
    generation.map(|generation| u8::try_from(generation).unwrap())
}

fn published_version(slot: Slot, version: Version) -> PublishedVersion {
    PublishedVersion {
        generation: i64::from(version.generation),
        secret: values::SECRET.to_owned(),
        hash: values::hash(slot, version.dids).to_owned(),
    }
}

/// True if DIDs move between these resources.
pub fn is_exclusive(order: &[Vec<Resource>]) -> bool {
    order.len() > 1 || order.iter().any(|group| group.len() > 1)
}
