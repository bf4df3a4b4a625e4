//! The effects of each action.

use runtime_operator::store::Operation;

use crate::flight::{OpResult, Reply, Script, results};
use crate::redis::Redis;
use crate::replica::{Reads, Replica, ResourceWrite, Signals};
use crate::role::Role;
use crate::scenario::{Bug, Scenario};
use crate::shared::{Memo, Shared};
use crate::truth;
use crate::values::{self, Call, DID_COUNT, EXTERNAL_TENANT, Resource, TAKE_OVER, WRITER};
use crate::world::{Action, Neighbour, World, new_object};

type Applied = (Shared<Redis>, Vec<OpResult>);

thread_local! {
    static APPLIED: Memo<(Shared<Redis>, Script), Applied> = Memo::new();
}

impl World {
    pub fn act(&mut self, scenario: &Scenario, action: &Action) {
        let bug = scenario.bug;
        let (api, redis) = (self.api.clone(), self.redis.clone());
        let reads = Reads { api: &api, redis: &redis, broken: self.broken, bug };
        let shares_redis = self.neighbour.is_some();
        match *action {
            Action::Edit(..) | Action::Delete(_) | Action::Create(..) => self.user(action),
            Action::LoseMapping(_) | Action::LoseConfig(_) | Action::Reroute(_) | Action::Flush => {
                self.external_write(action);
            }
            Action::Crash(..)
            | Action::TakeExpiredLease(_)
            | Action::TimeOut(..)
            | Action::StrayEpoch
            | Action::Relist(_)
            | Action::DropSignals(_) => self.fault(bug, action),
            Action::PublishNeighbour | Action::DeleteNeighbour | Action::TakeBack => self.neighbour(action),
            Action::BreakSecret(slot) => {
                self.left.broken_secrets -= 1;
                self.broken[slot] = true;
            }
            Action::HealSecret(slot) => {
                self.broken[slot] = false;
                self.replicas.iter_mut().for_each(|replica| replica.alter(Replica::secret_healed));
            }
            Action::NoticeNeighbour(at) => self.replicas[at].alter(Replica::neighbour_returned),
            Action::EndWait(at) => self.replicas[at].alter(Replica::end_wait),
            Action::Watch(at, slot) => {
                self.replicas[at].alter(|replica| replica.watch(slot, api[slot].as_ref(), bug));
            }
            Action::AcquireLease(at) => self.acquire_lease(at),
            Action::AcquireEpoch(at) => self.acquire_epoch(bug, at),
            Action::ReadLease(at) if self.lease == Some(at) => self.confirm(at),
            // The process ends and starts again; a script that it has sent may still run.
            Action::ReadLease(at) | Action::NoticeLostLease(at) => self.restart(bug, at, true),
            Action::ReadRedis(at) => {
                self.replicas[at].alter(|replica| replica.reading = Some(redis.clone()));
            }
            Action::StartWriting(at) => self.replicas[at].alter(|replica| {
                if let Role::Leading(epoch) = replica.role {
                    replica.role = Role::Writing(epoch);
                }
                replica.missed_signals = false;
                let read = replica.reading.take().unwrap();
                replica.load(&read, shares_redis, bug);
            }),
            Action::Reconcile(at, resource) => {
                self.replicas[at].alter(|replica| replica.reconcile(resource, reads));
            }
            Action::Execute(at, resource) => self.execute(scenario, at, resource),
            Action::ReceiveReply(at, resource) => {
                self.replicas[at].alter(|replica| replica.receive_reply(resource, reads));
            }
            Action::ExecuteLate(which) => {
                let script = self.late.remove(which);
                let before = self.redis.clone();
                self.run(scenario, &script);
                // A late script must run before the next leader reads Redis, or have no effect.
                let knows = |replica: &Shared<Replica>| replica.listens() && self.is_current(replica);
                self.late_write |= self.redis != before && self.replicas.iter().any(knows);
            }
            Action::WriteStatus(at, slot) => {
                let write = self.replicas[at].next_write(slot).unwrap();
                let version = api[slot].as_ref().unwrap().version + 1;
                self.replicas[at].alter(|replica| replica.written(slot, version));
                self.left.overstays -= u8::from(self.lease != Some(at));
                self.api.alter(|api| {
                    let object = api[slot].as_mut().unwrap();
                    object.version += 1;
                    match write {
                        ResourceWrite::Finalizer => object.finalizer = true,
                        ResourceWrite::Release => api[slot] = None,
                        ResourceWrite::Status(status) => object.status = Some(status),
                    }
                });
            }
            Action::HandleSignals(at) => self.replicas[at].alter(|replica| replica.handle_signals(&redis)),
            Action::StartAudit(at) => self.replicas[at].alter(|replica| replica.start_audit(&redis)),
            Action::FinishAudit(at) => self.replicas[at].alter(|replica| replica.finish_audit(&redis)),
            Action::Sweep(at, resource) => self.replicas[at].alter(|replica| replica.sweep(resource)),
        }
    }

    fn fault(&mut self, bug: Option<Bug>, action: &Action) {
        match *action {
            Action::Crash(at, through) => {
                self.left.crashes -= 1;
                self.restart(bug, at, through);
                if self.lease == Some(at) {
                    self.lease = None;
                }
            }
            Action::TakeExpiredLease(at) => {
                self.left.expired_leases -= 1;
                self.acquire_lease(at);
            }
            Action::TimeOut(at, resource) => {
                self.left.timeouts -= 1;
                let flight = self.replicas[at].alter(|replica| replica.time_out(resource, bug));
                if flight.reply.is_none() {
                    self.be_late(flight.script);
                }
            }
            Action::StrayEpoch => {
                self.left.stray_epochs -= 1;
                self.redis.alter(|redis| redis.acquire_epoch(0, WRITER, u8::MAX));
            }
            Action::Relist(at) => {
                self.left.relists -= 1;
                let api = self.api.clone();
                self.replicas[at].alter(|replica| replica.list(&api));
            }
            Action::DropSignals(at) => {
                self.left.dropped_signals -= 1;
                self.replicas[at].alter(|replica| {
                    replica.signals = Signals::default();
                    replica.missed_signals = true;
                });
            }
            _ => unreachable!("no fault"),
        }
    }

    /// The other cluster's operator publishes or removes its tenant, and Redis signals it.
    fn neighbour(&mut self, action: &Action) {
        let cluster = values::neighbour_cluster();
        let removes = *action == Action::DeleteNeighbour;
        let takes_back = *action == Action::TakeBack;
        self.redis.alter(|redis| {
            if !redis.epochs.contains_key(values::NEIGHBOUR_WRITER) {
                redis.acquire_epoch(0, values::NEIGHBOUR_WRITER, 0);
            }
            if removes {
                redis.apply(cluster, &[Operation::Remove(values::neighbour_removal())]);
            } else {
                redis.apply(cluster, &[Operation::Publish(values::neighbour_publication(takes_back))]);
            }
        });
        if removes {
            self.left.neighbour_deletions -= 1;
            self.neighbour = Some(Neighbour::Deleted);
        }
        if takes_back {
            self.left.take_backs -= 1;
            self.neighbour = Some(Neighbour::Exists);
        }
        for replica in &mut self.replicas {
            if replica.listens() {
                replica.alter(|replica| replica.signals.dids |= values::NEIGHBOUR_DIDS);
            }
        }
    }

    fn acquire_epoch(&mut self, bug: Option<Bug>, at: usize) {
        let is_known = self.redis.epochs.contains_key(WRITER);
        let shares_redis = self.neighbour.is_some();
        let (seen, process_id) = (self.replicas[at].highest, self.replicas[at].process_id);
        let epoch = self.redis.alter(|redis| redis.acquire_epoch(seen, WRITER, process_id));
        let unasked = bug == Some(Bug::LeaseNotConfirmed);
        self.replicas[at].alter(|replica| {
            replica.highest = epoch;
            replica.loss_found |= shares_redis && !is_known;
            replica.role = if unasked { Role::Leading(epoch) } else { Role::AcquiredEpoch(epoch) };
        });
        if unasked {
            self.confirmed = self.confirmed.max(self.replicas[at].term);
        }
    }

    /// The replica finds that it still holds the Lease.
    fn confirm(&mut self, at: usize) {
        let term = self.replicas[at].term;
        let role = self.replicas[at].role;
        self.replicas[at].alter(|replica| {
            replica.role =
                if let Role::AcquiredEpoch(epoch) = role { Role::Leading(epoch) } else { Role::HoldsLease };
        });
        if matches!(role, Role::AcquiredEpoch(_)) {
            self.confirmed = self.confirmed.max(term);
        }
    }

    fn user(&mut self, action: &Action) {
        let (made, since, left) = (&mut self.made, &mut self.since, &mut self.left);
        let neighbour = &mut self.neighbour;
        self.api.alter(|api| match *action {
            Action::Edit(slot, dids) => {
                left.edits -= 1;
                let object = api[slot].as_mut().unwrap();
                object.version += 1;
                object.generation += 1;
                let annotated = dids & TAKE_OVER != 0;
                if annotated && !object.annotated && *neighbour == Some(Neighbour::Exists) {
                    *neighbour = Some(Neighbour::Permits);
                }
                object.annotated = annotated;
                let dids = dids & !TAKE_OVER;
                for nth in values::each(dids & !object.dids) {
                    since[slot][nth] = object.generation;
                }
                object.dids = dids;
            }
            Action::Delete(slot) => {
                left.deletions -= 1;
                match &mut api[slot] {
                    Some(object) if object.finalizer => {
                        object.version += 1;
                        object.deleting = true;
                    }
                    object => *object = None,
                }
            }
            Action::Create(slot, dids) => {
                left.creations -= 1;
                api[slot] = Some(new_object(slot, made, dids));
                since[slot] = [1; DID_COUNT];
            }
            _ => unreachable!("no action of a user"),
        });
    }

    /// Another client writes to Redis, which signals it to every replica that tracks the keys.
    fn external_write(&mut self, action: &Action) {
        let left = &mut self.left;
        let mut signals = Signals::default();
        self.redis.alter(|redis| match *action {
            Action::LoseMapping(nth) => {
                left.losses -= 1;
                signals.dids |= 1 << nth;
                redis.mappings.remove(values::did(nth));
            }
            Action::LoseConfig(slot) => {
                left.losses -= 1;
                signals.configs |= 1 << slot;
                redis.configs.remove(values::tenant(slot).as_str());
            }
            Action::Reroute(nth) => {
                left.reroutes -= 1;
                signals.dids |= 1 << nth;
                redis.mappings.insert(values::did(nth).clone(), EXTERNAL_TENANT.to_owned());
            }
            Action::Flush => {
                left.flushes -= 1;
                signals.flushed = true;
                *redis = Redis::default();
            }
            _ => unreachable!("no external write"),
        });
        self.excused = (0..DID_COUNT).filter(|nth| !self.is_served(*nth)).fold(0, |set, nth| set | 1 << nth);
        for replica in &mut self.replicas {
            if replica.listens() {
                replica.alter(|replica| {
                    replica.signals.dids |= signals.dids;
                    replica.signals.configs |= signals.configs;
                    replica.signals.flushed |= signals.flushed;
                });
            }
        }
    }

    fn acquire_lease(&mut self, at: usize) {
        self.lease = Some(at);
        self.terms += 1;
        let term = self.terms;
        self.replicas[at].alter(|replica| {
            replica.role = Role::HoldsLease;
            replica.term = term;
        });
    }

    /// The process ends and another one starts. A script that it had sent runs late (`through`), or never.
    fn restart(&mut self, bug: Option<Bug>, at: usize, through: bool) {
        let process_id = if bug == Some(Bug::NoProcessIds) { 0 } else { self.processes };
        let new = Shared::new(Replica::new(process_id, &self.api));
        self.processes += 1;
        let old = std::mem::replace(&mut self.replicas[at], new);
        if through {
            let sent = old.flights.values().filter(|flight| flight.reply.is_none());
            sent.for_each(|flight| self.be_late(flight.script.clone()));
        }
    }

    fn be_late(&mut self, script: Script) {
        // A script that is sent twice makes no difference.
        if !self.late.contains(&script) {
            self.late.push(script);
            self.late.sort();
        }
    }

    fn execute(&mut self, scenario: &Scenario, at: usize, resource: Resource) {
        let mut script = self.replicas[at].flights[&resource].script.clone();
        if scenario.bug == Some(Bug::MappingFirst) && !script.half {
            script.half = true;
            self.run_first_half(&script);
            self.replicas[at].alter(|replica| replica.flights.get_mut(&resource).unwrap().script.half = true);
            return;
        }
        let reply = self.run(scenario, &script);
        self.replicas[at].alter(|replica| replica.flights.get_mut(&resource).unwrap().reply = Some(reply));
    }

    /// The planted bug: writes the new mappings and leaves the old configs.
    fn run_first_half(&mut self, script: &Script) {
        if self.redis.is_current(WRITER, script.epoch, script.process_id) {
            let (after, _) = applied(&self.redis, script);
            self.redis.alter(|redis| redis.mappings.clone_from(&after.mappings));
            self.update_excused();
        }
    }

    /// Redis runs a script.
    fn run(&mut self, scenario: &Scenario, script: &Script) -> Reply {
        if scenario.bug != Some(Bug::NoFence)
            && !self.redis.is_current(WRITER, script.epoch, script.process_id)
        {
            self.observed.fenced = true;
            return Reply::Fenced { current: self.redis.epoch };
        }
        let (after, results) = if scenario.bug == Some(Bug::YieldsForever) {
            applied(&self.redis, &yields_forever(script))
        } else {
            applied(&self.redis, script)
        };
        if after != self.redis {
            let is_theirs = |nth: &usize| values::NEIGHBOUR_DIDS & 1 << nth != 0;
            let taken =
                |nth| after.maps(values::did(nth)).is_some_and(|tenant| values::slot_of(tenant).is_some());
            if (0..DID_COUNT).filter(is_theirs).any(taken) {
                self.neighbour = match self.neighbour {
                    Some(Neighbour::Exists) => Some(Neighbour::Lost),
                    Some(Neighbour::Permits) => Some(Neighbour::Taken),
                    other => other,
                };
            }
            if self.older != 0 && after.records.contains_key(values::tenant(0).as_str()) {
                if truth::unmaps(&after, self.older) {
                    self.neighbour = Some(Neighbour::Lost);
                }
                self.older = 0;
            }
            self.superseded |= script.term < self.confirmed;
            self.rerouted |= truth::reroutes(&self.redis, &after, &self.api, self.since);
            self.observed.transferred |= truth::transfers(&self.redis, &after);
            self.observed.together |= script.calls.len() > 1;
        }
        self.redis = after;
        self.update_excused();
        Reply::Results(results)
    }

    /// True if a caller who dials the DID reaches a tenant, or the announcement that there is none.
    pub fn is_served(&self, nth: usize) -> bool {
        let did = values::did(nth);
        self.redis.maps(did).is_none_or(|tenant| {
            self.redis.configs.get(tenant).is_some_and(|config| config.dids.contains(did))
        })
    }

    /// True if Redis accepts the replica's writes.
    fn is_current(&self, replica: &Replica) -> bool {
        let (Role::Leading(epoch) | Role::Writing(epoch)) = replica.role else { return false };
        self.redis.is_current(WRITER, epoch, replica.process_id)
    }

    fn update_excused(&mut self) {
        for nth in 0..DID_COUNT {
            if self.is_served(nth) {
                self.excused &= !(1 << nth);
            }
        }
    }
}

/// The planted bug: owners yield whatever was published for them since.
fn yields_forever(script: &Script) -> Script {
    let mut script = script.clone();
    for call in &mut script.calls {
        if let Call::Publish { yielding_owners, .. } = call {
            for (_, generation) in yielding_owners {
                *generation = None;
            }
        }
    }
    script
}

fn applied(redis: &Shared<Redis>, script: &Script) -> Applied {
    let plan = Script { term: 0, epoch: 0, process_id: 0, half: false, calls: script.calls.clone() };
    APPLIED.with(|memo| {
        memo.of((redis.clone(), plan), |(redis, script)| {
            let mut after = redis.clone();
            let steps: Vec<_> = script.calls.iter().map(values::Call::operation).collect();
            let applied = after.alter(|redis| redis.apply(values::cluster(), &steps));
            (after, results(&applied))
        })
    })
}
