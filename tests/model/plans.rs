//! What the product plans for one resource, in figures.

use std::collections::{BTreeMap, BTreeSet};

use runtime_operator::domain::Uid;
use runtime_operator::domain::plan::{self, Farewell, Findings, Fingerprint, Look, Plan, View};
use runtime_operator::domain::verdict::{Blocker, Holder, Lacking, Verdict};

use crate::cast::{self, Move, Numbers, Slot, Who};
use crate::index::{Index, Print, Told};
use crate::kept::{Kept, Memo};

/// What is to be told of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    Seen(Told),
    Released,
}

/// What Redis refused in a look so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Found {
    pub generation: u8,
    pub predecessors: BTreeSet<Who>,
    pub in_use: Numbers,
    pub would_unmap: Numbers,
}

/// A step that a look calls for.
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
    let view = View {
        record: recorded.get(&who).map(|print| fingerprint(slot, *print)),
        ..View::of(&index.claims(), cast::uid(who), generation)
    };
    let Some(object) = index.object(who) else { return part(who, plan::vanished(&view)) };
    let (spec, told) = (cast::spec(slot, object.numbers), cast::dids(object.told()));
    if object.deleting {
        return part(who, plan::deleted(spec, told, &view));
    }
    let findings = findings(found);
    let look = Look { spec, generation: i64::from(object.generation), view: &view, findings: &findings };
    let wanted = match look.plan() {
        Plan::Settled(plan::Outcome::Seen(verdict)) => {
            return Planned::Settled(Outcome::Seen(tell(&verdict)));
        }
        Plan::Settled(plan::Outcome::Released) => return Planned::Settled(Outcome::Released),
        Plan::Remove(farewell) => return part(who, Some(farewell)),
        Plan::Publish(wanted) => wanted,
    };
    let ready = look.ready(&wanted, cast::SECRET.to_owned(), Some(&"whsec".into()), told).unwrap();
    let numbers = cast::numbers(ready.config.dids());
    let is_recorded = look.is_recorded(&wanted, &ready.fingerprint);
    let outcome = Outcome::Seen(tell(&look.published(&wanted)));
    let generation = object.generation;
    let todo = Todo {
        who,
        call: Move::Publish {
            who,
            generation,
            numbers,
            known: cast::numbers(&ready.known),
            predecessors: ready
                .predecessors
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

fn part(who: Who, farewell: Option<Farewell>) -> Planned {
    let Some(Farewell { tenant, known, retain, outcome }) = farewell else {
        return Planned::Settled(Outcome::Released);
    };
    let slot = cast::slot_of(tenant.as_str()).unwrap();
    let outcome = outcome.map(|outcome| match outcome {
        plan::Outcome::Seen(verdict) => Outcome::Seen(tell(&verdict)),
        plan::Outcome::Released => Outcome::Released,
    });
    let call = Move::Remove { slot, who, known: cast::numbers(&known), retain };
    Planned::Todo(Todo { who, call, after: None, outcome, doubted: false })
}

fn findings(found: &Found) -> Findings {
    let in_use = |did| Lacking { did, holder: Holder::Unmanaged(cast::STRANGER.to_owned()) };
    Findings {
        generation: i64::from(found.generation),
        blocker: (found.would_unmap != 0).then(|| Blocker::WouldUnmap(cast::dids(found.would_unmap))),
        lacking: cast::dids(found.in_use).into_iter().map(in_use).collect(),
        predecessors: found.predecessors.iter().map(|who| cast::uid(*who).clone()).collect(),
    }
}

fn tell(verdict: &Verdict) -> Told {
    Told {
        generation: u8::try_from(verdict.generation).unwrap(),
        live: verdict.live.as_ref().map_or(0, |live| cast::numbers(&live.dids)),
        ready: verdict.blocker.is_none() && verdict.lacking.is_empty(),
    }
}

fn figure(generation: Option<i64>) -> Option<u8> {
    generation.map(|generation| u8::try_from(generation).unwrap())
}

fn fingerprint(slot: Slot, print: Print) -> Fingerprint {
    Fingerprint {
        generation: i64::from(print.generation),
        secret: cast::SECRET.to_owned(),
        hash: cast::hash(slot, print.numbers).to_owned(),
    }
}

/// Whether numbers move between these.
pub fn is_exclusive(order: &[Vec<Who>]) -> bool {
    order.len() > 1 || order.iter().any(|group| group.len() > 1)
}
