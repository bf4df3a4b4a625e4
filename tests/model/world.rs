//! The state of the model: the API server with its Lease, Redis, the replicas, late scripts, and the faults that may
//! still happen. And the actions that can happen next.

use crate::flight::Script;
use crate::objects::Object;
use crate::reading;
use crate::redis::Redis;
use crate::replica::{Replica, Signals};
use crate::role::Role;
use crate::scenario::{Budget, Scenario};
use crate::shared::Shared;
use crate::values::{self, DID_COUNT, DidSet, EXTERNAL_TENANT, RESOURCES, Resource, SLOTS, Slot, TAKE_OVER};

/// The state of the model.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    pub api: Shared<[Option<Object>; SLOTS]>,
    /// The number of resources that were created in each slot.
    pub made: [u8; SLOTS],
    /// The generation since which each DID is claimed without a break.
    pub since: [[u8; DID_COUNT]; SLOTS],
    pub lease: Option<usize>,
    /// The number of processes so far.
    pub processes: u8,
    /// The number of times that the Lease was acquired.
    pub terms: u8,
    /// The latest term that was confirmed after its epoch was acquired: replicas of earlier terms are superseded.
    pub confirmed: u8,
    pub redis: Shared<Redis>,
    pub replicas: Vec<Shared<Replica>>,
    /// Scripts for whose reply no replica waits any more.
    pub late: Vec<Script>,
    /// DIDs that another client broke and that have not been repaired since.
    pub excused: DidSet,
    /// The other cluster's tenant; none: there is no other cluster.
    pub neighbour: Option<Neighbour>,
    /// The Secrets that can't be read.
    pub broken: [bool; SLOTS],
    /// The DIDs that an older publisher has published for the first slot's tenant id, until they are adopted.
    pub older: DidSet,
    pub left: Budget,
    /// Redis accepted a superseded leader's write.
    pub superseded: bool,
    /// A published DID was taken from a resource that claimed it all the time.
    pub rerouted: bool,
    /// A late script changed what a leader had already read.
    pub late_write: bool,
    pub observed: Observed,
}

/// The things that have happened in a run, so that no property holds only because nothing was tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Observed {
    pub fenced: bool,
    pub transferred: bool,
    pub together: bool,
}

/// The tenant of another cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Neighbour {
    Exists,
    /// It exists, and an annotation permits one take-over.
    Permits,
    /// What it claims was taken over.
    Taken,
    Deleted,
    /// A DID that it claims was taken from it.
    Lost,
}

/// Something that can happen next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    Edit(Slot, DidSet),
    Delete(Slot),
    Create(Slot, DidSet),
    /// Its scripts run all the same (true), or never.
    Crash(usize, bool),
    TakeExpiredLease(usize),
    TimeOut(usize, Resource),
    StrayEpoch,
    LoseMapping(usize),
    LoseConfig(Slot),
    Reroute(usize),
    Flush,
    Relist(usize),
    DropSignals(usize),
    DeleteNeighbour,
    TakeBack,
    BreakSecret(Slot),

    HealSecret(Slot),
    /// The other cluster's operator publishes its tenant.
    PublishNeighbour,
    /// The other cluster is there again.
    NoticeNeighbour(usize),
    EndWait(usize),
    Watch(usize, Slot),
    AcquireLease(usize),
    AcquireEpoch(usize),
    ReadLease(usize),
    NoticeLostLease(usize),
    ReadRedis(usize),
    StartWriting(usize),
    Reconcile(usize, Resource),
    Execute(usize, Resource),
    ReceiveReply(usize, Resource),
    ExecuteLate(usize),
    WriteStatus(usize, Slot),
    HandleSignals(usize),
    Sweep(usize, Resource),
    StartAudit(usize),
    FinishAudit(usize),
}

/// Creates a resource as a user does.
pub fn new_object(slot: Slot, made: &mut [u8; SLOTS], dids: DidSet) -> Object {
    let resource = u8::try_from(slot + SLOTS * usize::from(made[slot])).unwrap();
    made[slot] += 1;
    let (dids, annotated) = (dids & !TAKE_OVER, dids & TAKE_OVER != 0);
    Object {
        resource,
        version: 1,
        generation: 1,
        dids,
        annotated,
        deleting: false,
        finalizer: false,
        status: None,
    }
}

impl World {
    /// Adds what users do, and the faults that may happen.
    pub fn faults(&self, scenario: &Scenario, actions: &mut Vec<Action>) {
        let left = &self.left;
        for slot in 0..SLOTS {
            let wishes = || scenario.claims[slot].iter().copied();
            match &self.api[slot] {
                Some(object) if !object.deleting => {
                    if left.edits > 0 {
                        let wish = object.dids | if object.annotated { TAKE_OVER } else { 0 };
                        let others = wishes().filter(|other| *other != wish);
                        actions.extend(others.map(|dids| Action::Edit(slot, dids)));
                    }
                    if left.deletions > 0 {
                        actions.push(Action::Delete(slot));
                    }
                }
                None if left.creations > 0 && usize::from(self.made[slot]) * SLOTS + slot < RESOURCES => {
                    actions.extend(wishes().map(|dids| Action::Create(slot, dids)));
                }
                _ => {}
            }
            if left.losses > 0 && self.redis.configs.contains_key(values::tenant(slot).as_str()) {
                actions.push(Action::LoseConfig(slot));
            }
        }
        for nth in 0..DID_COUNT {
            let mapped = self.redis.maps(values::did(nth));
            if left.losses > 0 && mapped.is_some() {
                actions.push(Action::LoseMapping(nth));
            }
            if left.reroutes > 0 && mapped != Some(EXTERNAL_TENANT) {
                actions.push(Action::Reroute(nth));
            }
        }
        if left.flushes > 0 && *self.redis != Redis::default() {
            actions.push(Action::Flush);
        }
        if left.neighbour_deletions > 0
            && self.neighbour == Some(Neighbour::Exists)
            && reading::is_neighbour_live(&self.redis)
        {
            actions.push(Action::DeleteNeighbour);
        }
        if left.take_backs > 0 && self.neighbour == Some(Neighbour::Taken) {
            actions.push(Action::TakeBack);
        }
        if left.broken_secrets > 0 {
            let whole = (0..SLOTS).filter(|slot| !self.broken[*slot] && !scenario.claims[*slot].is_empty());
            actions.extend(whole.map(Action::BreakSecret));
        }
        actions.extend((0..SLOTS).filter(|slot| self.broken[*slot]).map(Action::HealSecret));
        if left.stray_epochs > 0 && self.redis.epoch.is_some() {
            actions.push(Action::StrayEpoch);
        }
        for (at, replica) in self.replicas.iter().enumerate() {
            if left.crashes > 0 && replica.role != Role::Following {
                actions.push(Action::Crash(at, false));
                if replica.flights.values().any(|flight| flight.reply.is_none()) {
                    actions.push(Action::Crash(at, true));
                }
            }
            if left.expired_leases > 0
                && replica.role == Role::Following
                && self.lease.is_some_and(|holder| holder != at)
            {
                actions.push(Action::TakeExpiredLease(at));
            }
            if left.dropped_signals > 0 && replica.signals != Signals::default() {
                actions.push(Action::DropSignals(at));
            }
            if left.timeouts > 0 {
                actions.extend(replica.flights.keys().map(|resource| Action::TimeOut(at, *resource)));
            }
            // Only a list that does not show a resource any more differs from what a watch shows.
            let is_gone = |slot: usize| {
                let was = replica.index.facts.seen[slot].as_ref().map(|was| was.resource);
                was.is_some() && was != self.api[slot].as_ref().map(|now| now.resource)
            };
            if left.relists > 0 && replica.role != Role::Following && (0..SLOTS).any(is_gone) {
                actions.push(Action::Relist(at));
            }
        }
    }

    /// Adds what the product does, without users and faults.
    pub fn progress(&self, actions: &mut Vec<Action>) {
        let first = values::did(0);
        let is_live = reading::is_neighbour_live(&self.redis);
        let claims = matches!(self.neighbour, Some(Neighbour::Exists | Neighbour::Permits));
        if claims && !is_live && !self.redis.owners.contains_key(first) {
            actions.push(Action::PublishNeighbour);
        }
        for (at, replica) in self.replicas.iter().enumerate() {
            self.elections(at, replica, actions);
            let watched = |slot: Slot| replica.index.facts.seen[slot] == self.api[slot];
            // A follower's watch makes no difference until it leads.
            let behind = (0..SLOTS).filter(|slot| replica.role != Role::Following && !watched(*slot));
            actions.extend(behind.map(|slot| Action::Watch(at, slot)));
            let up_to_date = (0..SLOTS).all(watched);
            match replica.role {
                Role::Leading(_) if replica.reading.is_some() => {
                    actions.push(Action::StartWriting(at));
                }
                Role::Leading(_) => actions.push(Action::ReadRedis(at)),
                Role::Writing(_) if replica.audit.is_some() => {
                    actions.extend(replica.may_finish_audit().then_some(Action::FinishAudit(at)));
                }
                // The audit, if it finds something.
                Role::Writing(_) if replica.missed_signals => actions.push(Action::StartAudit(at)),
                _ => {}
            }
            if replica.is_writing() {
                let due = replica.queue.iter().chain(replica.backoff.iter().filter(|_| up_to_date));
                actions.extend(
                    due.filter(|resource| replica.may_reconcile(*resource))
                        .map(|resource| Action::Reconcile(at, resource)),
                );
                if up_to_date {
                    actions.extend(replica.orphans().map(|resource| Action::Sweep(at, resource)));
                }
            }
            for (resource, flight) in &replica.flights {
                actions.push(match flight.reply {
                    None => Action::Execute(at, *resource),
                    Some(_) => Action::ReceiveReply(at, *resource),
                });
            }
            let facts = &replica.index.facts;
            if replica.is_writing() && facts.awaits && reading::is_neighbour_present(&self.redis) {
                actions.push(Action::NoticeNeighbour(at));
            }
            // The time is as long as a holder needs, if it is there at all.
            let had_time = is_live || !claims;
            if replica.is_writing() && facts.waits && had_time && !(facts.awaits && is_live) {
                actions.push(Action::EndWait(at));
            }
            if replica.signals != Signals::default() && replica.reading.is_none() {
                actions.push(Action::HandleSignals(at));
            }
            if self.lease == Some(at) || self.left.overstays > 0 {
                // The API server rejects a write that is based on an older version.
                let written = (0..SLOTS).filter(|slot| watched(*slot) && replica.next_write(*slot).is_some());
                actions.extend(written.map(|slot| Action::WriteStatus(at, slot)));
            }
        }
        actions.extend((0..self.late.len()).map(Action::ExecuteLate));
    }

    fn elections(&self, at: usize, replica: &Replica, actions: &mut Vec<Action>) {
        let holds = self.lease == Some(at);
        match replica.role {
            Role::Following if self.lease.is_none() => actions.push(Action::AcquireLease(at)),
            Role::HoldsLease => actions.push(Action::AcquireEpoch(at)),
            Role::AcquiredEpoch(_) | Role::EpochLost(_) => actions.push(Action::ReadLease(at)),
            Role::Following | Role::Leading(_) | Role::Writing(_) => {}
        }
        if !holds && matches!(replica.role, Role::HoldsLease | Role::Leading(_) | Role::Writing(_)) {
            actions.push(Action::NoticeLostLease(at));
        }
    }

    pub fn is_at_rest(&self) -> bool {
        let mut actions = Vec::new();
        self.progress(&mut actions);
        actions.is_empty()
    }
}
