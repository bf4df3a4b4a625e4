//! A reconcile that waits for Redis, and the replies of Redis.

use std::collections::BTreeMap;

use runtime_operator::store::{Applied, Conflict};

use crate::plans::{PendingWrite, Prepared, Rejected};
use crate::values::{self, Call, DidSet, Resource};

/// The result of one operation, as far as it matters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum OpResult {
    Done,
    Stale,
    HeldBy(Resource),
    InUse(DidSet),
    Elsewhere(DidSet),
    WouldUnmap(DidSet),
    Aborted,
}

/// The reply to a script.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reply {
    Fenced { current: Option<u64> },
    Results(Vec<OpResult>),
}

/// A script that was sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Script {
    /// The term in which its sender leads.
    pub term: u8,
    pub epoch: u64,
    pub process_id: u8,
    pub calls: Vec<Call>,
    /// Its mappings are written and its configs are not: a planted bug.
    pub half: bool,
}

/// A reconcile that waits for Redis.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Flight {
    /// The resources that must still be published, each group by one script.
    pub order: Vec<Vec<Resource>>,
    pub exclusive: bool,
    /// The resources that were published already, with the DIDs of the spec and of the status that they claimed then.
    pub published: BTreeMap<Resource, Option<(DidSet, DidSet)>>,
    pub rejections: BTreeMap<Resource, Rejected>,
    pub attempts: u8,
    /// The needs of the members of the first group.
    pub prepared: Vec<Prepared>,
    pub script: Script,
    pub reply: Option<Reply>,
}

impl Flight {
    /// The operations of the script.
    pub fn writes(&self) -> impl Iterator<Item = &PendingWrite> {
        self.prepared.iter().filter_map(Prepared::write)
    }
}

/// The results of a script call, as far as they matter.
pub fn results(applied: &[Applied]) -> Vec<OpResult> {
    let result = |applied: &Applied| match applied {
        Applied::Rejected(Conflict::Stale { .. }) => OpResult::Stale,
        Applied::Rejected(Conflict::HeldBy { uid, .. }) => OpResult::HeldBy(values::resource(uid)),
        Applied::Rejected(Conflict::DidsInUse(dids)) => {
            OpResult::InUse(values::did_set(dids.iter().map(|(did, _)| did)))
        }
        Applied::Rejected(Conflict::WouldUnmap(dids)) => OpResult::WouldUnmap(values::did_set(dids)),
        Applied::Rejected(Conflict::OwnedElsewhere { dids, .. }) => {
            OpResult::Elsewhere(values::did_set(dids))
        }
        Applied::Rejected(Conflict::WouldChangeSecret | Conflict::TooLarge) => {
            unreachable!("older configs have no secret, and are small")
        }
        Applied::Aborted => OpResult::Aborted,
        Applied::Unchanged
        | Applied::Recorded
        | Applied::Published { .. }
        | Applied::Removed { .. }
        | Applied::NotOwned => OpResult::Done,
    };
    applied.iter().map(result).collect()
}
