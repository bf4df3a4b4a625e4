//! One replica of the operator: its role, its index, its queues, and the reconciles in flight. All decisions are the
//! product's: `domain::index` decides what each event leads to, `domain::plan` makes the plan of a reconcile. What is here
//! is what `controller` and `leader` do around their I/O.

mod replies;

use std::collections::BTreeMap;

use crate::flight::{Flight, Script};
use crate::index::{self, Consequences, Event, Expected, FoundRecord, Index, OperationDone};
use crate::objects::{Object, Status};
use crate::plans::{self, OutcomeKind, Prepared};
use crate::reading;
use crate::redis::Redis;
use crate::role::Role;
use crate::scenario::Bug;
use crate::shared::Shared;
use crate::values::{self, DidSet, Resource, ResourceSet, SLOTS, Slot};

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

/// An audit in progress: what it expected of each slot's tenant id, and the records that it found.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Audit {
    expected: [Option<Expected>; SLOTS],
    found: Vec<FoundRecord>,
}

/// The things that a reconcile reads.
#[derive(Clone, Copy)]
pub struct Reads<'a> {
    pub api: &'a [Option<Object>; SLOTS],
    pub redis: &'a Redis,
    /// The Secrets that can't be read.
    pub broken: [bool; SLOTS],
    pub bug: Option<Bug>,
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
    pub queue: ResourceSet,
    /// Resources that are requeued with a delay: reconciled again once the watch has caught up.
    pub backoff: ResourceSet,
    /// Resources whose reconcile failed since their Secret can't be read.
    pub without_secret: ResourceSet,
    pub flights: BTreeMap<Resource, Flight>,
    /// Resources whose status must be written. One of which nothing must be written leaves the queue immediately.
    status_queue: ResourceSet,
    pub reading: Option<Shared<Redis>>,
    /// The audit in progress.
    pub audit: Option<Audit>,
    pub signals: Signals,
    /// Signals were lost: only an audit finds what they were about.
    pub missed_signals: bool,
    /// It has found a loss in Redis, and has not read Redis since.
    pub loss_found: bool,
}

impl Reads<'_> {
    /// True where a resource exists although the watch does not show it, and its record says that it owns its tenant id.
    fn is_unseen(&self, resource: Resource) -> bool {
        let slot = values::slot(resource);
        self.exists(resource)
            && reading::recorded(self.redis, slot).is_some_and(|(owner, _)| owner == resource)
    }

    fn exists(&self, resource: Resource) -> bool {
        self.api[values::slot(resource)].as_ref().is_some_and(|object| object.resource == resource)
    }
}

impl Replica {
    /// Makes a process that has just started and listed everything.
    pub fn new(process_id: u8, api: &[Option<Object>; SLOTS]) -> Self {
        Self {
            role: Role::Following,
            process_id,
            term: 0,
            highest: 0,
            index: Index::new(api),
            queue: ResourceSet::default(),
            backoff: ResourceSet::default(),
            without_secret: ResourceSet::default(),
            flights: BTreeMap::new(),
            status_queue: ResourceSet::default(),
            reading: None,
            audit: None,
            signals: Signals::default(),
            missed_signals: false,
            loss_found: false,
        }
    }

    pub fn is_writing(&self) -> bool {
        matches!(self.role, Role::Writing(_))
    }

    /// True if signals of Redis matter to the replica. Before it starts to write, it reads everything.
    pub fn listens(&self) -> bool {
        self.is_writing() || self.reading.is_some()
    }

    /// Applies an event to the index, and runs all of its effects but the reconciles, which it returns.
    fn apply(&mut self, event: Event) -> Consequences {
        let consequences = Index::apply(&mut self.index, event);
        self.status_queue.extend(consequences.status.iter());
        self.status_queue =
            self.status_queue.iter().filter(|resource| self.status_write(*resource).is_some()).collect();
        consequences
    }

    /// Applies an event to the index, and runs its effects.
    fn update(&mut self, event: Event) {
        let consequences = self.apply(event);
        self.invalidate(consequences.invalidated);
        self.enqueue(consequences.reconcile.iter());
    }

    /// The same for an event of one resource that may affect others.
    fn update_one(&mut self, resource: Option<Resource>, event: Event, bug: Option<Bug>) {
        if bug == Some(Bug::NoPromotion) {
            let only: ResourceSet = resource.into_iter().collect();
            let affected = self.apply(event).reconcile;
            self.enqueue(affected.and(only).iter());
        } else {
            self.update(event);
        }
    }

    /// Notes in pending writes and in the audit that these resources were invalidated since.
    fn invalidate(&mut self, resources: ResourceSet) {
        let prepared = self.flights.values_mut().flat_map(|flight| &mut flight.prepared);
        for write in prepared.filter_map(Prepared::write_mut) {
            write.invalidated |= resources.contains(write.resource);
        }
        let expected = self.audit.iter_mut().flat_map(|audit| &mut audit.expected);
        expected.flatten().for_each(|expected| expected.invalidate(resources));
    }

    fn enqueue(&mut self, resources: impl IntoIterator<Item = Resource>) {
        // What is queued where the replica does not write is dropped. It reconciles everything when it starts to.
        if self.is_writing() {
            for resource in resources {
                self.queue.insert(resource);
                self.backoff.remove(resource);
                self.without_secret.remove(resource);
            }
        }
    }

    /// A Secret can be read again: those that wait for it are retried.
    pub fn secret_healed(&mut self) {
        self.enqueue(self.without_secret.iter());
    }

    /// Enqueues a resource in the orphan sweep.
    pub fn sweep(&mut self, resource: Resource) {
        self.enqueue([resource]);
    }

    /// Applies what the watch shows of one slot.
    pub fn watch(&mut self, slot: Slot, now: Option<&Object>, bug: Option<Bug>) {
        let was = self.index.facts.seen[slot].as_ref().map(|was| was.resource);
        if let Some(was) = was.filter(|was| now.is_none_or(|now| now.resource != *was)) {
            self.update_one(Some(was), Event::Deleted(was), bug);
        }
        if let Some(now) = now {
            self.update_one(Some(now.resource), Event::Applied(now.clone()), bug);
        }
    }

    /// The watch lists everything again, which does not report deletions.
    pub fn list(&mut self, api: &[Option<Object>; SLOTS]) {
        self.update(Event::Listed(api.clone()));
    }

    /// Loads what Redis held when it was read, and reconciles everything. `shares_redis`: another cluster uses the same Redis.
    pub fn load(&mut self, redis: &Redis, shares_redis: bool, bug: Option<Bug>) {
        let found = std::mem::take(&mut self.loss_found);
        if shares_redis && bug != Some(Bug::HoldersNotFirst) {
            let (present, records) = (reading::is_neighbour_present(redis), reading::records(redis));
            self.update(Event::LossChecked { found, present, records });
        }
        let event = Event::Resynced(reading::records(redis));
        if bug == Some(Bug::LateRepliesTrusted) {
            let affected = self.apply(event).reconcile;
            self.enqueue(affected.iter());
        } else {
            self.update(event);
        }
    }

    /// The operator of the other cluster, which was waited for, is there.
    pub fn neighbour_returned(&mut self) {
        self.update(Event::Returned);
    }

    /// The wait after a loss ends.
    pub fn end_wait(&mut self) {
        self.update(Event::WaitEnded(self.index.facts.awaits));
    }

    /// Begins an audit.
    pub fn start_audit(&mut self, redis: &Redis) {
        self.missed_signals = false;
        self.audit = Some(Audit { expected: self.index.expected(), found: reading::records(redis) });
    }

    /// True if an audit can end: records that are not known are adopted while nothing is published.
    pub fn may_finish_audit(&self) -> bool {
        let is_unknown = |found: &FoundRecord| {
            self.audit.as_ref().is_some_and(|audit| audit.expected[found.1.0].is_none())
        };
        let unknown = self.audit.iter().flat_map(|audit| &audit.found).any(is_unknown);
        self.audit.is_some() && (self.flights.is_empty() || !unknown)
    }

    /// Repairs what an audit found to differ, and adopts unknown records.
    pub fn finish_audit(&mut self, redis: &Redis) {
        let Audit { expected, found } = self.audit.take().unwrap();
        let compared = self.index.compare(&expected, &found);
        // The next audit compares what has changed since this one began.
        self.missed_signals |= compared.iter().any(|compared| !compared.is_same);
        self.update(Event::Audited { compared, unknown: reading::records(redis) });
    }

    /// True if a reconcile of `resource` may start now.
    pub fn may_reconcile(&self, resource: Resource) -> bool {
        // One reconcile of a resource at a time, and none beside one that publishes several resources as a group.
        !self.flights.contains_key(&resource)
            && !self.flights.values().any(|flight| flight.exclusive)
            && (self.flights.is_empty() || !plans::is_exclusive(&Index::order(&self.index, resource)))
    }

    /// Reconciles `resource`, and publishes it with all resources that take DIDs from it.
    pub fn reconcile(&mut self, resource: Resource, reads: Reads<'_>) {
        self.queue.remove(resource);
        self.backoff.remove(resource);
        let mut order = Index::order(&self.index, resource);
        if reads.bug == Some(Bug::NoPromotion) {
            order = vec![vec![resource]];
        }
        let flight = Flight {
            exclusive: plans::is_exclusive(&order),
            order,
            published: BTreeMap::new(),
            rejections: BTreeMap::new(),
            attempts: 0,
            prepared: Vec::new(),
            script: Script {
                term: self.term,
                epoch: 0,
                process_id: self.process_id,
                calls: Vec::new(),
                half: false,
            },
            reply: None,
        };
        self.proceed(resource, flight, reads);
    }

    /// Continues a reconcile until it needs Redis.
    fn proceed(&mut self, root: Resource, mut flight: Flight, reads: Reads<'_>) {
        while let Some(members) = flight.order.first().cloned() {
            let Role::Writing(epoch) = self.role else {
                // It does not lead any more. When it leads again, it reconciles everything.
                return;
            };
            let claim = |resource: Resource| self.index.object(resource).and_then(Object::claim);
            let is_same =
                |(resource, claimed): (&Resource, &_)| (claim(*resource) == *claimed).then_some(*resource);
            let mut published: ResourceSet = flight.published.iter().filter_map(is_same).collect();
            if reads.bug == Some(Bug::NoPromotion) {
                published = values::resources().collect();
            }
            let Some(prepared) = plans::plan(&self.index, &members, published, &flight.rejections, reads.bug)
            else {
                // Other resources take the DIDs now: start again.
                self.enqueue([root]);
                return;
            };
            flight.published.extend(members.iter().map(|resource| (*resource, claim(*resource))));
            flight.prepared = prepared;
            if flight.writes().any(|write| write.unwatched.iter().any(|owner| reads.is_unseen(owner))) {
                self.back_off(root);
                return;
            }
            let broken: ResourceSet = flight
                .writes()
                .filter(|write| write.needs_secret(reads.broken))
                .map(|write| write.resource)
                .collect();
            if broken.contains(root) || (!broken.is_empty() && reads.bug == Some(Bug::TakersHoldUp)) {
                self.update(Event::Failed(root));
                if self.is_writing() && !self.queue.contains(root) {
                    self.without_secret.insert(root);
                }
                return;
            }
            if !broken.is_empty() {
                // They fail in their own reconciles. Nothing waits for them.
                self.enqueue(
                    broken
                        .iter()
                        .filter(|resource| !self.without_secret.contains(*resource))
                        .collect::<Vec<_>>(),
                );
                flight.order[0].retain(|resource| !broken.contains(*resource));
                if flight.order[0].is_empty() {
                    flight.order.remove(0);
                }
                continue;
            }
            let calls: Vec<_> = flight.writes().map(|write| write.call.clone()).collect();
            if !calls.is_empty() {
                flight.script =
                    Script { term: self.term, epoch, process_id: self.process_id, calls, half: false };
                flight.reply = None;
                self.flights.insert(root, flight);
                return;
            }
            self.conclude(&mut flight, reads.bug);
        }
        self.update(Event::Reconciled(root));
    }

    /// Records the results of a group.
    fn conclude(&mut self, flight: &mut Flight, bug: Option<Bug>) {
        let members = flight.order.remove(0);
        let result = |(resource, prepared): (Resource, Prepared)| match prepared {
            Prepared::Done(outcome) => OperationDone { resource, outcome: Some(outcome), change: None },
            Prepared::Write(write) => OperationDone {
                resource,
                outcome: write.outcome,
                change: Some((write.after, write.invalidated)),
            },
        };
        let results = members.into_iter().zip(std::mem::take(&mut flight.prepared)).map(result).collect();
        self.update_one(None, Event::Results(results), bug);
        flight.rejections.clear();
        flight.attempts = 0;
    }

    /// A reconcile failed: it is retried with a delay.
    fn back_off(&mut self, resource: Resource) {
        self.update(Event::Failed(resource));
        if self.is_writing() && !self.queue.contains(resource) {
            self.backoff.insert(resource);
        }
    }

    /// Other clients wrote to Redis: reconciles the owners of the keys that differ from their record.
    pub fn handle_signals(&mut self, redis: &Redis) {
        let signals = std::mem::take(&mut self.signals);
        self.loss_found |= signals.flushed;
        if signals.flushed
            && let Role::Writing(epoch) | Role::Leading(epoch) = self.role
        {
            self.lose_epoch(epoch);
            return;
        }
        let dids = values::each(signals.dids).filter(|nth| !reading::did_as_recorded(redis, *nth));
        let is_broken = |slot: &Slot| {
            signals.configs & 1 << slot != 0
                && !reading::config_as_recorded(redis, values::tenant(*slot).as_str())
        };
        let dids = dids.fold(0, |set, nth| set | 1 << nth);
        let configs = (0..SLOTS).filter(is_broken).fold(0, |set, slot| set | 1 << slot);
        for owner in index::owners_of(&self.index, dids, configs).iter() {
            self.update(Event::Drifted(owner));
        }
    }

    /// The resources that are gone and have a record, and that are not being reconciled.
    pub fn orphans(&self) -> impl Iterator<Item = Resource> {
        Index::orphans(&self.index).iter().filter(|resource| {
            !self.queue.contains(*resource)
                && !self.backoff.contains(*resource)
                && !self.flights.contains_key(resource)
        })
    }

    /// This slot's resource was written, and has this version now.
    pub fn written(&mut self, slot: Slot, version: u8) {
        if let Some(object) = &self.index.facts.seen[slot] {
            let resource = object.resource;
            self.status_queue.remove(resource);
            self.update(Event::Written(resource, version));
        }
    }

    /// The next write to this slot's resource, if there is one.
    pub fn next_write(&self, slot: Slot) -> Option<ResourceWrite> {
        let object = self.index.facts.seen[slot].as_ref()?;
        self.status_queue.contains(object.resource).then(|| self.status_write(object.resource)).flatten()
    }

    /// The write that the status of a resource needs, as in `controller::status`.
    fn status_write(&self, resource: Resource) -> Option<ResourceWrite> {
        let object = self.index.object(resource)?;
        match self.index.pending_status(resource)? {
            (Some(OutcomeKind::FinalizerRemovable), _) => object.finalizer.then_some(ResourceWrite::Release),
            (Some(OutcomeKind::Assessed(status)), _) if object.status != Some(status) => {
                Some(ResourceWrite::Status(status))
            }
            (Some(OutcomeKind::Assessed(_)), _) => {
                (!object.deleting && !object.finalizer).then_some(ResourceWrite::Finalizer)
            }
            (None, true) if object.status.is_none() && !object.deleting => {
                Some(ResourceWrite::Status(Status {
                    generation: object.generation,
                    published: 0,
                    elsewhere: 0,
                    took_over: false,
                    ready: false,
                }))
            }
            (None, _) => None,
        }
    }
}
