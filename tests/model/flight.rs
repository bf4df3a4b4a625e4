//! A look that waits for Redis, and what Redis answers.

use std::collections::BTreeMap;

use runtime_operator::store::{Applied, Conflict};

use crate::cast::{self, Crowd, Move, Numbers, Who};
use crate::plans::{Found, Outcome, Todo};

/// What came of one step, as far as it matters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Took {
    Done,
    Stale,
    HeldBy(Who),
    InUse(Numbers),
    WouldUnmap(Numbers),
    Aborted,
}

/// What a script answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    Fenced { current: Option<u64> },
    Steps(Vec<Took>),
}

/// A script under way.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Script {
    /// With which holding of the Lease its sender came to lead.
    pub term: u8,
    pub epoch: u64,
    pub mark: u8,
    pub calls: Vec<Move>,
    /// Written in two steps, of which the first is done: a planted bug.
    pub half: bool,
}

/// A look that waits for Redis.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Flight {
    /// Those that are still to be published, each group in one step.
    pub order: Vec<Vec<Who>>,
    pub exclusive: bool,
    /// Those whose turn has come already.
    pub passed: Crowd,
    pub rejections: BTreeMap<Who, Found>,
    pub attempts: u8,
    pub todos: Vec<Todo>,
    pub settled: Vec<(Who, Outcome)>,
    pub script: Script,
    pub answer: Option<Answer>,
}

/// What came of a call, as far as it matters.
pub fn took(applied: &[Applied]) -> Vec<Took> {
    let took = |applied: &Applied| match applied {
        Applied::Rejected(Conflict::Stale { .. }) => Took::Stale,
        Applied::Rejected(Conflict::HeldBy { uid, .. }) => Took::HeldBy(cast::who(uid)),
        Applied::Rejected(Conflict::DidsInUse(numbers)) => {
            Took::InUse(cast::numbers(numbers.iter().map(|(did, _)| did)))
        }
        Applied::Rejected(Conflict::WouldUnmap(dids)) => Took::WouldUnmap(cast::numbers(dids)),
        Applied::Rejected(Conflict::OwnedElsewhere { .. }) => unreachable!("there is one cluster"),
        Applied::Aborted => Took::Aborted,
        Applied::Unchanged
        | Applied::Recorded
        | Applied::Published { .. }
        | Applied::Removed { .. }
        | Applied::NotOwned => Took::Done,
    };
    applied.iter().map(took).collect()
}
