//! One replica of the operator: its state, and what it does around the product's decisions, as `controller` does. All
//! decisions are the product's: `domain::claims` decides about holders and affected resources, `domain::plan` makes the
//! plan of a reconcile.

mod replies;

use std::collections::{BTreeMap, BTreeSet};

use crate::flight::{Flight, Script};
use crate::index::{Change, Index, Object, Status, Version};
use crate::plans::{self, Outcome, PendingWrite, Planned, Rejected};
use crate::reading;
use crate::redis::Redis;
use crate::role::Role;
use crate::scenario::Bug;
use crate::shared::Shared;
use crate::values::{self, DidSet, Resource, ResourceSet, SLOTS, Slot};

/// The result of preparing a reconcile.
#[derive(Clone, Debug)]
enum Prepared {
    Done(Outcome),
    Write(PendingWrite),
}

/// A write to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResourceWrite {
    /// Adds the finalizer.
    Finalizer,
    /// Removes the finalizer of a resource that is being deleted.
    Release,
    Status(Status),
}

/// Signals of Redis about writes of other clients, not handled yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Signals {
    pub dids: DidSet,
    pub configs: u8,
    pub flushed: bool,
}

/// One replica.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Replica {
    pub role: Role,
    /// Different in each process.
    pub process_id: u8,
    pub term: u8,
    /// The highest epoch that it has seen.
    pub highest: u64,
    pub index: Shared<Index>,
    recorded: BTreeMap<Resource, Version>,
    verified: ResourceSet,
    outcomes: BTreeMap<Resource, Outcome>,
    gone: ResourceSet,
    pub queue: ResourceSet,
    /// Resources with a newer record in Redis: reconciled again once the watch has caught up.
    pub backoff: ResourceSet,
    pub flights: BTreeMap<Resource, Flight>,
    /// Resources that were reconciled and whose status was not written since.
    status_queue: ResourceSet,
    pub reading: Option<Shared<Redis>>,
    pub signals: Signals,
    /// Signals were lost: only an audit finds what they were about.
    pub missed_signals: bool,
}

impl Replica {
    /// Makes a process that has just started and listed everything.
    pub fn new(process_id: u8, api: &[Option<Object>; SLOTS]) -> Self {
        Self {
            role: Role::Following,
            process_id,
            term: 0,
            highest: 0,
            index: Shared::new(Index { seen: api.clone(), published: BTreeMap::new() }),
            recorded: BTreeMap::new(),
            verified: ResourceSet::default(),
            outcomes: BTreeMap::new(),
            gone: ResourceSet::default(),
            queue: ResourceSet::default(),
            backoff: ResourceSet::default(),
            flights: BTreeMap::new(),
            status_queue: ResourceSet::default(),
            reading: None,
            signals: Signals::default(),
            missed_signals: false,
        }
    }

    pub fn is_writing(&self) -> bool {
        matches!(self.role, Role::Writing(_))
    }

    /// True if signals of Redis matter to the replica. Before it starts to write, it reads everything.
    pub fn listens(&self) -> bool {
        self.is_writing() || self.reading.is_some()
    }

    fn knows(&self, resource: Resource) -> bool {
        self.index.object(resource).is_some() || self.gone.contains(resource)
    }

    fn enqueue(&mut self, all: impl IntoIterator<Item = Resource>) {
        // A replica that does not write yet reconciles everything when it starts to.
        if self.is_writing() {
            for resource in all {
                if self.knows(resource) {
                    self.queue.insert(resource);
                }
            }
        }
    }

    /// Applies what the watch shows of one slot. `listed`: a new list shows it, which does not report deletions.
    pub fn watch(&mut self, slot: Slot, now: Option<&Object>, listed: bool, bug: Option<Bug>) {
        let was = self.index.seen[slot].clone();
        let mut seen = (*self.index).clone();
        if let Some(was) = was.filter(|was| now.is_none_or(|now| now.resource != was.resource)) {
            seen.seen[slot] = None;
            if self.index.published.contains_key(&was.resource) {
                self.gone.insert(was.resource);
            } else {
                self.forget(was.resource);
            }
            let affected = Index::alter(&mut self.index, &seen, Change::Remove(was.resource));
            if bug != Some(Bug::NoPromotion) {
                self.enqueue(affected.iter());
            }
            if !listed && self.is_writing() {
                self.queue.insert(was.resource);
            }
        }
        if let Some(now) = now {
            seen.seen[slot] = Some(now.clone());
            let affected = Index::alter(&mut self.index, &seen, Change::Upsert(now.resource));
            if bug != Some(Bug::NoPromotion) {
                self.enqueue(affected.iter());
            }
            self.enqueue([now.resource]);
        }
    }

    fn forget(&mut self, resource: Resource) {
        self.status_queue.remove(resource);
        self.recorded.remove(&resource);
        self.verified.remove(resource);
        self.outcomes.remove(&resource);
        self.gone.remove(resource);
    }

    /// Sets what a resource's ownership record says, as the controller's index does.
    fn record(
        &mut self,
        resource: Resource,
        record: Option<(Slot, DidSet, Version)>,
        intact: bool,
    ) -> ResourceSet {
        if self.knows(resource) {
            match record {
                Some((_, _, version)) => drop(self.recorded.insert(resource, version)),
                None => drop(self.recorded.remove(&resource)),
            }
            self.verified.remove(resource);
            if intact {
                self.verified.insert(resource);
            }
            if self.gone.contains(resource) && record.is_none() {
                self.forget(resource);
            }
        }
        let published = record.map(|(slot, dids, _)| (slot, dids));
        let seen = self.index.clone();
        Index::alter(&mut self.index, &seen, Change::SetPublished(resource, published))
    }

    /// Loads what Redis held when it was read, and reconciles everything.
    pub fn load(&mut self, redis: &Redis, bug: Option<Bug>) {
        if bug != Some(Bug::LateRepliesTrusted) {
            self.invalidate_all(|_| true);
        }
        let known = self.index.seen.iter().flatten().map(|object| object.resource);
        let known: BTreeSet<Resource> =
            known.chain(self.gone.iter()).chain(self.index.published.keys().copied()).collect();
        let records: Vec<_> =
            (0..SLOTS).filter_map(|slot| Some((slot, reading::recorded(redis, slot)?))).collect();
        for resource in known {
            if !records.iter().any(|(_, (theirs, _))| *theirs == resource) {
                self.record(resource, None, false);
            }
        }
        for (slot, (resource, record)) in records {
            self.record(resource, Some(record), redis.is_intact(values::tenant(slot).as_str()));
        }
        let everyone: Vec<Resource> =
            self.index.seen.iter().flatten().map(|object| object.resource).collect();
        let gone = self.gone;
        self.enqueue(everyone.into_iter().chain(gone.iter()));
    }

    /// True if a reconcile of `resource` may start now.
    pub fn may_reconcile(&self, resource: Resource) -> bool {
        // One reconcile of a resource at a time, and none beside one that publishes several resources as a group.
        !self.flights.contains_key(&resource)
            && !self.flights.values().any(|flight| flight.exclusive)
            && (self.flights.is_empty() || !plans::is_exclusive(&Index::order(&self.index, resource)))
    }

    /// Reconciles `resource`, and publishes it with all resources that take DIDs from it.
    pub fn reconcile(&mut self, resource: Resource, redis: &Redis, bug: Option<Bug>) {
        self.queue.remove(resource);
        self.backoff.remove(resource);
        let mut order = Index::order(&self.index, resource);
        if bug == Some(Bug::NoPromotion) {
            order = vec![vec![resource]];
        }
        let flight = Flight {
            exclusive: plans::is_exclusive(&order),
            order,
            passed: ResourceSet::default(),
            rejections: BTreeMap::new(),
            attempts: 0,
            writes: Vec::new(),
            done: Vec::new(),
            script: Script {
                term: self.term,
                epoch: 0,
                process_id: self.process_id,
                calls: Vec::new(),
                half: false,
            },
            reply: None,
        };
        self.proceed(resource, flight, redis, bug);
    }

    /// Continues a reconcile until it needs Redis.
    fn proceed(&mut self, root: Resource, mut flight: Flight, redis: &Redis, bug: Option<Bug>) {
        let Role::Writing(epoch) = self.role else {
            // It does not lead any more. When it leads again, it reconciles everything.
            return;
        };
        while let Some(members) = flight.order.first().cloned() {
            (flight.writes, flight.done) = (Vec::new(), Vec::new());
            if bug != Some(Bug::NoPromotion) && !Index::is_in_order(&self.index, &members, flight.passed) {
                // Other resources take the DIDs now: start again.
                self.enqueue([root]);
                return;
            }
            flight.passed.extend(members.iter().copied());
            for resource in &members {
                match self.prepare(*resource, redis, flight.rejections.get(resource)) {
                    Prepared::Done(outcome) => flight.done.push((*resource, outcome)),
                    Prepared::Write(write) => flight.writes.push(write),
                }
            }
            if !flight.writes.is_empty() {
                let calls = flight.writes.iter().map(|write| write.call.clone()).collect();
                flight.script =
                    Script { term: self.term, epoch, process_id: self.process_id, calls, half: false };
                flight.reply = None;
                self.flights.insert(root, flight);
                return;
            }
            self.conclude(&mut flight, bug);
        }
    }

    fn conclude(&mut self, flight: &mut Flight, bug: Option<Bug>) {
        let members = flight.order.remove(0);
        for (resource, outcome) in std::mem::take(&mut flight.done) {
            if self.knows(resource) {
                self.outcomes.insert(resource, outcome);
                self.status_queue.insert(resource);
            }
        }
        for write in std::mem::take(&mut flight.writes) {
            if self.knows(write.resource) {
                self.status_queue.insert(write.resource);
                match write.outcome {
                    Some(outcome) => drop(self.outcomes.insert(write.resource, outcome)),
                    None => drop(self.outcomes.remove(&write.resource)),
                }
            }
            let affected = self.record(write.resource, write.after, !write.invalidated);
            if bug != Some(Bug::NoPromotion) {
                self.enqueue(affected.iter().filter(|resource| !members.contains(resource)));
            }
        }
        flight.rejections.clear();
        flight.attempts = 0;
    }

    fn prepare(&mut self, resource: Resource, redis: &Redis, rejected: Option<&Rejected>) -> Prepared {
        let generation = self.index.object(resource).map_or(0, |object| object.generation);
        let rejected =
            rejected.filter(|rejected| rejected.generation == generation).cloned().unwrap_or_default();
        match plans::plan(&self.index, resource, &self.recorded, rejected) {
            Planned::Done(outcome) => Prepared::Done(outcome),
            Planned::Write(write) => Prepared::Write(write),
            Planned::Recorded(outcome, write) => {
                if !self.verified.contains(resource) && !reading::holds(redis, &write) {
                    return Prepared::Write(write);
                }
                self.verified.insert(resource);
                Prepared::Done(outcome)
            }
        }
    }

    /// Other clients wrote to Redis: reconciles the owners of the keys that differ from their record.
    pub fn handle_signals(&mut self, redis: &Redis) {
        let signals = std::mem::take(&mut self.signals);
        if signals.flushed
            && let Role::Writing(epoch) | Role::Leading(epoch) = self.role
        {
            self.lose_epoch(epoch);
            return;
        }
        let claims = self.index.claims();
        let dids = values::each(signals.dids).filter(|nth| !reading::did_as_recorded(redis, *nth));
        let by_did = dids.filter_map(|nth| claims.holder(values::did(nth)));
        let tenants = (0..SLOTS).filter(|slot| signals.configs & 1 << slot != 0).map(values::tenant);
        let tenants = tenants.filter(|tenant| !reading::config_as_recorded(redis, tenant.as_str()));
        let by_tenant = tenants.filter_map(|tenant| claims.tenant_holder(tenant));
        let changed: ResourceSet = by_did.chain(by_tenant).map(values::resource).collect();
        for resource in changed.iter() {
            self.verified.remove(resource);
        }
        self.invalidate_all(|resource| changed.contains(resource));
        self.enqueue(changed.iter());
    }

    /// Marks pending writes of these resources: they may be undone by the time that Redis replies.
    fn invalidate_all(&mut self, changed: impl Fn(Resource) -> bool) {
        for write in self.flights.values_mut().flat_map(|flight| &mut flight.writes) {
            write.invalidated |= changed(write.resource);
        }
    }

    /// The resources that are gone and have a record, and that are not being reconciled.
    pub fn orphans(&self) -> impl Iterator<Item = Resource> {
        Index::orphans(&self.index).iter().filter(|resource| {
            self.index.object(*resource).is_none()
                && !self.queue.contains(*resource)
                && !self.backoff.contains(*resource)
                && !self.flights.contains_key(resource)
        })
    }

    /// The status of this slot's resource was written.
    pub fn status_written(&mut self, slot: Slot) {
        if let Some(object) = &self.index.seen[slot] {
            self.status_queue.remove(object.resource);
        }
    }

    /// The next write to this slot's resource, if there is one.
    pub fn next_write(&self, slot: Slot) -> Option<ResourceWrite> {
        let object =
            self.index.seen[slot].as_ref().filter(|object| self.status_queue.contains(object.resource))?;
        match self.outcomes.get(&object.resource)? {
            Outcome::FinalizerRemovable => object.finalizer.then_some(ResourceWrite::Release),
            Outcome::Assessed(status) if object.status != Some(*status) => {
                Some(ResourceWrite::Status(*status))
            }
            Outcome::Assessed(_) => {
                (!object.deleting && !object.finalizer).then_some(ResourceWrite::Finalizer)
            }
        }
    }
}
