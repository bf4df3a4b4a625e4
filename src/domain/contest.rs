//! Those who claim one thing, and who of them comes first.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;

use super::Uid;

/// Order of precedence among claimants: first those for which it is live by record, then by status, then by age.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    /// What comes before age.
    pub right: Right,
    /// `metadata.creationTimestamp`, seconds since the epoch.
    pub created: i64,
    /// The claimant.
    pub uid: Uid,
}

/// Why somebody claims something, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// It is live for it by its ownership record.
    LiveByRecord,
    /// It is live for it by its status, and it has no record.
    LiveByStatus,
    /// It is not live for it.
    Waiting,
}

/// The claimants of one thing, best first. Nearly always one, which has its place here; never none.
#[derive(Debug)]
pub enum Contest {
    /// Nobody else claims it.
    One(Rank),
    /// These do.
    Many(Vec<Rank>),
}

impl Contest {
    /// All of them, best first.
    pub fn ranks(&self) -> &[Rank] {
        match self {
            Self::One(rank) => std::slice::from_ref(rank),
            Self::Many(ranks) => ranks,
        }
    }

    fn enter(&mut self, rank: Rank) {
        if let Self::One(one) = self {
            *self = Self::Many(vec![one.clone()]);
        }
        if let Self::Many(ranks) = self {
            ranks.insert(ranks.partition_point(|other| *other < rank), rank);
        }
    }

    /// Whether somebody is left.
    fn leave(&mut self, uid: &Uid) -> bool {
        match self {
            Self::One(rank) => rank.uid != *uid,
            Self::Many(ranks) => {
                ranks.retain(|rank| rank.uid != *uid);
                if let [one] = &ranks[..] {
                    *self = Self::One(one.clone());
                }
                true
            }
        }
    }
}

/// Puts a claimant into the contest for `key`.
pub fn enter<K: Eq + Hash>(contests: &mut HashMap<K, Contest>, key: K, rank: Rank) {
    match contests.entry(key) {
        Entry::Occupied(contest) => contest.into_mut().enter(rank),
        Entry::Vacant(nobody) => drop(nobody.insert(Contest::One(rank))),
    }
}

/// Takes `uid` out of the contest for `key`.
pub fn leave<K: Eq + Hash>(contests: &mut HashMap<K, Contest>, key: &K, uid: &Uid) {
    if contests.get_mut(key).is_some_and(|contest| !contest.leave(uid)) {
        contests.remove(key);
    }
}
