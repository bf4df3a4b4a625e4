//! Everything that there is: the API server with its Lease, Redis, the replicas, scripts that are late, and what may
//! still go wrong. And everything that can happen next.

use crate::cast::{self, CAST, NUMBERS, Numbers, SLOTS, STRANGER, Slot, Who};
use crate::flight::Script;
use crate::index::Object;
use crate::kept::Kept;
use crate::redis::Redis;
use crate::replica::{Replica, Signals};
use crate::role::Role;
use crate::scenario::{Budget, Scenario};

/// Everything that there is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    pub api: Kept<[Option<Object>; SLOTS]>,
    /// How often a resource was made in each slot.
    pub made: [u8; SLOTS],
    /// The generation since which each number is claimed without a break.
    pub since: [[u8; NUMBERS]; SLOTS],
    pub lease: Option<usize>,
    /// How many processes there were.
    pub processes: u8,
    /// How often the Lease was won.
    pub terms: u8,
    /// The latest winning that was confirmed after the number was taken: who won before is superseded.
    pub confirmed: u8,
    pub redis: Kept<Redis>,
    pub replicas: Vec<Kept<Replica>>,
    /// Scripts whose senders don't wait for them any more.
    pub late: Vec<Script>,
    /// Numbers that were broken from outside and have not been mended since.
    pub excused: Numbers,
    pub left: Budget,
    /// A superseded leader's write was accepted.
    pub superseded: bool,
    /// A live number was taken from who claimed it all the time.
    pub rerouted: bool,
    /// A script that nobody waited for changed what a leader had read already.
    pub unheard: bool,
    pub seen: Seen,
}

/// What has happened, so that no property holds for want of trying.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Seen {
    pub fenced: bool,
    pub handed_over: bool,
    pub together: bool,
}

/// What can happen next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    Edit(Slot, Numbers),
    Delete(Slot),
    Create(Slot, Numbers),
    /// With or without its scripts coming through.
    Crash(usize, bool),
    Steal(usize),
    TimeOut(usize, Who),
    StrayNumber,
    LoseMapping(usize),
    LoseConfig(Slot),
    Reroute(usize),
    Flush,
    Relist(usize, Slot),
    Deafen(usize),

    Watch(usize, Slot),
    Win(usize),
    TakeNumber(usize),
    ReadLease(usize),
    NoticeLoss(usize),
    ReadRedis(usize),
    Begin(usize),
    Look(usize, Who),
    Execute(usize, Who),
    Answer(usize, Who),
    ExecuteLate(usize),
    Tell(usize, Slot),
    Hear(usize),
    Sweep(usize, Who),
}

/// A resource as a user makes it.
pub fn new_object(slot: Slot, made: &mut [u8; SLOTS], numbers: Numbers) -> Object {
    let who = u8::try_from(slot + SLOTS * usize::from(made[slot])).unwrap();
    made[slot] += 1;
    Object { who, version: 1, generation: 1, numbers, deleting: false, finalizer: false, status: None }
}

impl World {
    /// What users and mishaps may do next.
    pub fn mishaps(&self, scenario: &Scenario, actions: &mut Vec<Action>) {
        let left = &self.left;
        for slot in 0..SLOTS {
            let wishes = || scenario.claims[slot].iter().copied();
            match &self.api[slot] {
                Some(object) if !object.deleting => {
                    if left.edits > 0 {
                        let others = wishes().filter(|numbers| *numbers != object.numbers);
                        actions.extend(others.map(|numbers| Action::Edit(slot, numbers)));
                    }
                    if left.deletions > 0 {
                        actions.push(Action::Delete(slot));
                    }
                }
                None if left.creations > 0 && usize::from(self.made[slot]) * SLOTS + slot < CAST => {
                    actions.extend(wishes().map(|numbers| Action::Create(slot, numbers)));
                }
                _ => {}
            }
            if left.losses > 0 && self.redis.configs.contains_key(cast::tenant(slot).as_str()) {
                actions.push(Action::LoseConfig(slot));
            }
        }
        for number in 0..NUMBERS {
            let mapped = self.redis.maps(cast::did(number));
            if left.losses > 0 && mapped.is_some() {
                actions.push(Action::LoseMapping(number));
            }
            if left.reroutes > 0 && mapped != Some(STRANGER) {
                actions.push(Action::Reroute(number));
            }
        }
        if left.flushes > 0 && *self.redis != Redis::default() {
            actions.push(Action::Flush);
        }
        if left.strays > 0 && self.redis.epoch.is_some() {
            actions.push(Action::StrayNumber);
        }
        for (at, replica) in self.replicas.iter().enumerate() {
            if left.crashes > 0 && replica.role != Role::Following {
                actions.push(Action::Crash(at, false));
                if replica.flights.values().any(|flight| flight.answer.is_none()) {
                    actions.push(Action::Crash(at, true));
                }
            }
            if left.steals > 0
                && replica.role == Role::Following
                && self.lease.is_some_and(|holder| holder != at)
            {
                actions.push(Action::Steal(at));
            }
            if left.deaf > 0 && replica.signals != Signals::default() {
                actions.push(Action::Deafen(at));
            }
            if left.timeouts > 0 {
                actions.extend(replica.flights.keys().map(|who| Action::TimeOut(at, *who)));
            }
            for slot in 0..SLOTS {
                let was = self.replicas[at].index.seen[slot].as_ref();
                let is_other =
                    was.is_some_and(|was| self.api[slot].as_ref().is_none_or(|now| now.who != was.who));
                if left.relists > 0 && is_other && replica.role != Role::Following {
                    actions.push(Action::Relist(at, slot));
                }
            }
        }
    }

    /// What happens by itself.
    pub fn steps(&self, actions: &mut Vec<Action>) {
        for (at, replica) in self.replicas.iter().enumerate() {
            self.elections(at, replica, actions);
            let watched = |slot: Slot| replica.index.seen[slot] == self.api[slot];
            // What a follower sees makes no difference until it leads.
            let behind = (0..SLOTS).filter(|slot| replica.role != Role::Following && !watched(*slot));
            actions.extend(behind.map(|slot| Action::Watch(at, slot)));
            let up_to_date = (0..SLOTS).all(watched);
            match replica.role {
                Role::Leading(_) | Role::Begun(_) if replica.reading.is_some() => {
                    actions.push(Action::Begin(at));
                }
                Role::Leading(_) => actions.push(Action::ReadRedis(at)),
                // The audit, as far as it finds something.
                Role::Begun(_) if replica.unheard => actions.push(Action::ReadRedis(at)),
                _ => {}
            }
            if replica.is_begun() {
                let due = replica.queue.iter().chain(replica.backoff.iter().filter(|_| up_to_date));
                actions.extend(due.filter(|who| replica.may_look(*who)).map(|who| Action::Look(at, who)));
                if up_to_date {
                    actions.extend(replica.orphans().map(|who| Action::Sweep(at, who)));
                }
            }
            for (who, flight) in &replica.flights {
                actions.push(match flight.answer {
                    None => Action::Execute(at, *who),
                    Some(_) => Action::Answer(at, *who),
                });
            }
            if replica.signals != Signals::default() && replica.reading.is_none() {
                actions.push(Action::Hear(at));
            }
            if self.lease == Some(at) || self.left.overstays > 0 {
                // The API server refuses what was made of an older version.
                let told = (0..SLOTS).filter(|slot| watched(*slot) && replica.tells(*slot).is_some());
                actions.extend(told.map(|slot| Action::Tell(at, slot)));
            }
        }
        actions.extend((0..self.late.len()).map(Action::ExecuteLate));
    }

    fn elections(&self, at: usize, replica: &Replica, actions: &mut Vec<Action>) {
        let holds = self.lease == Some(at);
        match replica.role {
            Role::Following if self.lease.is_none() => actions.push(Action::Win(at)),
            Role::Won => actions.push(Action::TakeNumber(at)),
            Role::Took(_) | Role::Refused(_) => actions.push(Action::ReadLease(at)),
            Role::Following | Role::Leading(_) | Role::Begun(_) => {}
        }
        if !holds && matches!(replica.role, Role::Won | Role::Leading(_) | Role::Begun(_)) {
            actions.push(Action::NoticeLoss(at));
        }
    }

    pub fn is_at_rest(&self) -> bool {
        let mut actions = Vec::new();
        self.steps(&mut actions);
        actions.is_empty()
    }
}
