//! What the product plans for one resource, in figures.

use std::collections::{BTreeMap, BTreeSet};

use runtime_operator::api::DeletionPolicy;
use runtime_operator::domain::Uid;
use runtime_operator::domain::assessment::{Assessment, Holder, NotPublished, UnavailableDid};
use runtime_operator::domain::plan::{
    self, Plan, PlanInput, PublishedVersion, Rejections, RemovalPlan, Snapshot,
};

use crate::cast::{self, Move, Numbers, Slot, Who};
use crate::index::{Index, Print, Told};
use crate::kept::{Kept, Memo};

/// What is to be told of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    Assessed(Told),
    FinalizerRemovable,
}

/// What Redis refused in a input so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Found {
    pub generation: u8,
    pub predecessors: BTreeSet<Who>,
    pub in_use: Numbers,
    pub would_unmap: Numbers,
}

/// A step that a input calls for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Todo {
    pub who: Who,
    pub call: Move,
    pub after: Option<(Slot, Numbers, Print)>,
    pub outcome: Option<Outcome>,
    /// Somebody touched its keys since.
    pub doubted: bool,
}

/// What the product plans, before Redis is asked whether it holds what the record says.
#[derive(Clone, Debug)]
pub enum Planned {
    Settled(Outcome),
    Todo(Todo),
    /// Recorded already: this outcome if Redis still holds it, else this step.
    Recorded(Outcome, Todo),
}

thread_local! {
    static PLANS: Memo<Question, Planned> = Memo::new();
}

/// The index, the resource, what records say, and what Redis knew better.
type Question = (Kept<Index>, Who, BTreeMap<Who, Print>, Found);

/// What the product plans for one resource.
pub fn plan(index: &Kept<Index>, who: Who, recorded: &BTreeMap<Who, Print>, found: Found) -> Planned {
    let question = (index.clone(), who, recorded.clone(), found);
    PLANS.with(|memo| {
        memo.of(question, |(index, who, recorded, found)| work_out(index, *who, recorded, found))
    })
}

fn work_out(index: &Index, who: Who, recorded: &BTreeMap<Who, Print>, found: &Found) -> Planned {
    let slot = cast::slot(who);
    let generation = |owner: &Uid| Some(i64::from(recorded.get(&cast::who(owner))?.generation));
    let snapshot = Snapshot {
        record: recorded.get(&who).map(|print| published_version(slot, *print)),
        ..Snapshot::of(&index.claims(), cast::uid(who), generation)
    };
    let Some(object) = index.object(who) else { return part(who, plan::plan_orphan(&snapshot, DeletionPolicy::Delete)) };
    let (spec, told) = (cast::spec(slot, object.numbers), cast::dids(object.told()));
    if object.deleting {
        return part(who, plan::plan_deletion(spec, told, &snapshot, DeletionPolicy::Delete));
    }
    let rejections = rejections(found);
    let input = PlanInput {
        spec,
        generation: i64::from(object.generation),
        snapshot: &snapshot,
        rejections: &rejections,
    };
    let wanted = match input.plan() {
        Plan::Done(plan::Outcome::Assessed(assessment)) => {
            return Planned::Settled(Outcome::Assessed(tell(&assessment)));
        }
        Plan::Done(plan::Outcome::FinalizerRemovable) => {
            return Planned::Settled(Outcome::FinalizerRemovable);
        }
        Plan::Remove(removal) => return part(who, Some(removal)),
        Plan::Publish(wanted) => wanted,
    };
    let ready =
        input.draft_publication(&wanted, cast::SECRET.to_owned(), Some(&"whsec".into()), told).unwrap();
    let numbers = cast::numbers(ready.config.dids());
    let is_recorded = input.is_recorded(&wanted, &ready.version);
    let outcome = Outcome::Assessed(tell(&input.assess_published(&wanted)));
    let generation = object.generation;
    let todo = Todo {
        who,
        call: Move::Publish {
            who,
            generation,
            numbers,
            known: cast::numbers(&ready.previously_listed),
            predecessors: ready
                .yielding_owners
                .iter()
                .map(|(uid, generation)| (cast::who(uid), figure(*generation)))
                .collect(),
        },
        after: Some((slot, numbers, Print { generation, numbers })),
        outcome: Some(outcome),
        doubted: false,
    };
    if is_recorded { Planned::Recorded(outcome, todo) } else { Planned::Todo(todo) }
}

fn part(who: Who, removal: Option<RemovalPlan>) -> Planned {
    let Some(RemovalPlan { tenant, previously_listed: known, retain, outcome }) = removal else {
        return Planned::Settled(Outcome::FinalizerRemovable);
    };
    let slot = cast::slot_of(tenant.as_str()).unwrap();
    let outcome = outcome.map(|outcome| match outcome {
        plan::Outcome::Assessed(assessment) => Outcome::Assessed(tell(&assessment)),
        plan::Outcome::FinalizerRemovable => Outcome::FinalizerRemovable,
    });
    let call = Move::Remove { slot, who, known: cast::numbers(&known), retain };
    Planned::Todo(Todo { who, call, after: None, outcome, doubted: false })
}

fn rejections(found: &Found) -> Rejections {
    let in_use = |did| UnavailableDid { did, holder: Holder::Unmanaged(cast::STRANGER.to_owned()) };
    Rejections {
        generation: i64::from(found.generation),
        not_published: (found.would_unmap != 0)
            .then(|| NotPublished::WouldUnmap(cast::dids(found.would_unmap))),
        unavailable: cast::dids(found.in_use).into_iter().map(in_use).collect(),
        yielding_owners: found.predecessors.iter().map(|who| cast::uid(*who).clone()).collect(),
    }
}

fn tell(assessment: &Assessment) -> Told {
    Told {
        generation: u8::try_from(assessment.generation).unwrap(),
        live: assessment.published.as_ref().map_or(0, |live| cast::numbers(&live.dids)),
        ready: assessment.not_published.is_none() && assessment.unavailable.is_empty(),
    }
}

fn figure(generation: Option<i64>) -> Option<u8> {
    generation.map(|generation| u8::try_from(generation).unwrap())
}

fn published_version(slot: Slot, print: Print) -> PublishedVersion {
    PublishedVersion {
        generation: i64::from(print.generation),
        secret: cast::SECRET.to_owned(),
        hash: cast::hash(slot, print.numbers).to_owned(),
    }
}

/// Whether numbers move between these.
pub fn is_exclusive(order: &[Vec<Who>]) -> bool {
    order.len() > 1 || order.iter().any(|group| group.len() > 1)
}
