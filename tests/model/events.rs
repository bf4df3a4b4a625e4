//! What each action does.

use crate::cast::{self, Move, NUMBERS, STRANGER, WRITER, Who};
use crate::flight::{Answer, Script, Took, took};
use crate::kept::{Kept, Memo};
use crate::redis::Redis;
use crate::replica::{Replica, Signals, Write};
use crate::role::Role;
use crate::scenario::{Bug, Scenario};
use crate::truth;
use crate::world::{Action, World, new_object};

type Applied = (Kept<Redis>, Vec<Took>);

thread_local! {
    static APPLIED: Memo<(Kept<Redis>, Script), Applied> = Memo::new();
}

impl World {
    pub fn act(&mut self, scenario: &Scenario, action: &Action) {
        let bug = scenario.bug;
        let redis = self.redis.clone();
        match *action {
            Action::Edit(..) | Action::Delete(_) | Action::Create(..) => self.user(action),
            Action::LoseMapping(_) | Action::LoseConfig(_) | Action::Reroute(_) | Action::Flush => {
                self.stranger(action);
            }
            Action::Crash(..)
            | Action::Steal(_)
            | Action::TimeOut(..)
            | Action::StrayNumber
            | Action::Relist(..)
            | Action::Deafen(_) => self.mishap(bug, action),
            Action::Watch(at, slot) => {
                let now = self.api[slot].clone();
                self.replicas[at].alter(|replica| replica.see(slot, now.as_ref(), false, bug));
            }
            Action::Win(at) => self.win(at),
            Action::TakeNumber(at) => self.take_number(bug, at),
            Action::ReadLease(at) if self.lease == Some(at) => self.confirm(at),
            // The process ends and starts again; what it has sent may come through.
            Action::ReadLease(at) | Action::NoticeLoss(at) => self.restart(bug, at, true),
            Action::ReadRedis(at) => self.replicas[at].alter(|replica| replica.reading = Some(redis)),
            Action::Begin(at) => self.replicas[at].alter(|replica| {
                if let Role::Leading(number) | Role::Begun(number) = replica.role {
                    replica.role = Role::Begun(number);
                }
                replica.unheard = false;
                let read = replica.reading.take().unwrap();
                replica.load(&read, bug);
            }),
            Action::Look(at, who) => self.replicas[at].alter(|replica| replica.look(who, &redis, bug)),
            Action::Execute(at, who) => self.execute(scenario, at, who),
            Action::Answer(at, who) => {
                self.replicas[at].alter(|replica| replica.hear_answer(who, &redis, bug));
            }
            Action::ExecuteLate(which) => {
                let script = self.late.remove(which);
                let before = self.redis.clone();
                self.run(scenario, &script);
                // What comes late comes before whoever leads next reads Redis, or not at all.
                let knows = |replica: &Kept<Replica>| replica.listens() && self.is_current(replica);
                self.unheard |= self.redis != before && self.replicas.iter().any(knows);
            }
            Action::Tell(at, slot) => {
                let write = self.replicas[at].tells(slot).unwrap();
                self.replicas[at].alter(|replica| replica.told(slot));
                self.left.overstays -= u8::from(self.lease != Some(at));
                self.api.alter(|api| {
                    let object = api[slot].as_mut().unwrap();
                    object.version += 1;
                    match write {
                        Write::Finalizer => object.finalizer = true,
                        Write::Release => api[slot] = None,
                        Write::Status(told) => object.status = Some(told),
                    }
                });
            }
            Action::Hear(at) => self.replicas[at].alter(|replica| replica.hear(&redis)),
            Action::Sweep(at, who) => self.replicas[at].alter(|replica| replica.queue.insert(who)),
        }
    }

    fn mishap(&mut self, bug: Option<Bug>, action: &Action) {
        match *action {
            Action::Crash(at, through) => {
                self.left.crashes -= 1;
                self.restart(bug, at, through);
                if self.lease == Some(at) {
                    self.lease = None;
                }
            }
            Action::Steal(at) => {
                self.left.steals -= 1;
                self.win(at);
            }
            Action::TimeOut(at, who) => {
                self.left.timeouts -= 1;
                let flight = self.replicas[at].alter(|replica| replica.give_up(who, bug));
                if flight.answer.is_none() {
                    self.be_late(flight.script);
                }
            }
            Action::StrayNumber => {
                self.left.strays -= 1;
                self.redis.alter(|redis| redis.acquire_epoch(0, WRITER, u8::MAX));
            }
            Action::Relist(at, slot) => {
                self.left.relists -= 1;
                let now = self.api[slot].clone();
                self.replicas[at].alter(|replica| replica.see(slot, now.as_ref(), true, bug));
            }
            Action::Deafen(at) => {
                self.left.deaf -= 1;
                self.replicas[at].alter(|replica| {
                    replica.signals = Signals::default();
                    replica.unheard = true;
                });
            }
            _ => unreachable!("no mishap"),
        }
    }

    fn take_number(&mut self, bug: Option<Bug>, at: usize) {
        let (seen, mark) = (self.replicas[at].highest, self.replicas[at].mark);
        let number = self.redis.alter(|redis| redis.acquire_epoch(seen, WRITER, mark));
        let unasked = bug == Some(Bug::LeaseNotReadAgain);
        self.replicas[at].alter(|replica| {
            replica.highest = number;
            replica.role = if unasked { Role::Leading(number) } else { Role::Took(number) };
        });
        if unasked {
            self.confirmed = self.confirmed.max(self.replicas[at].term);
        }
    }

    /// The Lease is still its own.
    fn confirm(&mut self, at: usize) {
        let term = self.replicas[at].term;
        let role = self.replicas[at].role;
        self.replicas[at].alter(|replica| {
            replica.role = if let Role::Took(number) = role { Role::Leading(number) } else { Role::Won };
        });
        if matches!(role, Role::Took(_)) {
            self.confirmed = self.confirmed.max(term);
        }
    }

    fn user(&mut self, action: &Action) {
        let (made, since, left) = (&mut self.made, &mut self.since, &mut self.left);
        self.api.alter(|api| match *action {
            Action::Edit(slot, numbers) => {
                left.edits -= 1;
                let object = api[slot].as_mut().unwrap();
                object.version += 1;
                object.generation += 1;
                for number in cast::each(numbers & !object.numbers) {
                    since[slot][number] = object.generation;
                }
                object.numbers = numbers;
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
            Action::Create(slot, numbers) => {
                left.creations -= 1;
                api[slot] = Some(new_object(slot, made, numbers));
                since[slot] = [1; NUMBERS];
            }
            _ => unreachable!("not a user's"),
        });
    }

    /// Somebody else writes to Redis, who tells everyone that listens.
    fn stranger(&mut self, action: &Action) {
        let left = &mut self.left;
        let mut signals = Signals::default();
        self.redis.alter(|redis| match *action {
            Action::LoseMapping(number) => {
                left.losses -= 1;
                signals.numbers |= 1 << number;
                redis.mappings.remove(cast::did(number));
            }
            Action::LoseConfig(slot) => {
                left.losses -= 1;
                signals.configs |= 1 << slot;
                redis.configs.remove(cast::tenant(slot).as_str());
            }
            Action::Reroute(number) => {
                left.reroutes -= 1;
                signals.numbers |= 1 << number;
                redis.mappings.insert(cast::did(number).clone(), STRANGER.to_owned());
            }
            Action::Flush => {
                left.flushes -= 1;
                signals.flushed = true;
                *redis = Redis::default();
            }
            _ => unreachable!("not a stranger's"),
        });
        self.excused =
            (0..NUMBERS).filter(|number| !self.is_served(*number)).fold(0, |set, number| set | 1 << number);
        for replica in &mut self.replicas {
            if replica.listens() {
                replica.alter(|replica| {
                    replica.signals.numbers |= signals.numbers;
                    replica.signals.configs |= signals.configs;
                    replica.signals.flushed |= signals.flushed;
                });
            }
        }
    }

    fn win(&mut self, at: usize) {
        self.lease = Some(at);
        self.terms += 1;
        let term = self.terms;
        self.replicas[at].alter(|replica| {
            replica.role = Role::Won;
            replica.term = term;
        });
    }

    /// The process ends and another starts; what it had sent comes through late, or never.
    fn restart(&mut self, bug: Option<Bug>, at: usize, through: bool) {
        let mark = if bug == Some(Bug::NumbersUnmarked) { 0 } else { self.processes };
        let new = Kept::new(Replica::new(mark, &self.api));
        self.processes += 1;
        let old = std::mem::replace(&mut self.replicas[at], new);
        if through {
            let sent = old.flights.values().filter(|flight| flight.answer.is_none());
            sent.for_each(|flight| self.be_late(flight.script.clone()));
        }
    }

    fn be_late(&mut self, script: Script) {
        // One that will be refused whenever it comes, and one that was sent twice, makes no difference.
        if !self.late.contains(&script) {
            self.late.push(script);
            self.late.sort();
        }
    }

    fn execute(&mut self, scenario: &Scenario, at: usize, who: Who) {
        let mut script = self.replicas[at].flights[&who].script.clone();
        if scenario.bug == Some(Bug::MappingFirst) && !script.half {
            script.half = true;
            self.run_first_half(&script);
            self.replicas[at].alter(|replica| replica.flights.get_mut(&who).unwrap().script.half = true);
            return;
        }
        let answer = self.run(scenario, &script);
        self.replicas[at].alter(|replica| replica.flights.get_mut(&who).unwrap().answer = Some(answer));
    }

    /// The planted bug: mappings and records as they will be, configs as they were.
    fn run_first_half(&mut self, script: &Script) {
        if self.redis.is_current(WRITER, script.epoch, script.mark) {
            let (after, _) = applied(&self.redis, script);
            self.redis.alter(|redis| redis.mappings.clone_from(&after.mappings));
            self.look_after_numbers();
        }
    }

    /// Redis runs a script.
    fn run(&mut self, scenario: &Scenario, script: &Script) -> Answer {
        if scenario.bug != Some(Bug::NoFence) && !self.redis.is_current(WRITER, script.epoch, script.mark) {
            self.seen.fenced = true;
            return Answer::Fenced { current: self.redis.epoch };
        }
        let (after, took) = if scenario.bug == Some(Bug::YieldedForGood) {
            applied(&self.redis, &yielded_for_good(script))
        } else {
            applied(&self.redis, script)
        };
        if after != self.redis {
            self.superseded |= script.term < self.confirmed;
            self.rerouted |= truth::reroutes(&self.redis, &after, &self.api, self.since);
            self.seen.handed_over |= truth::hands_over(&self.redis, &after);
            self.seen.together |= script.calls.len() > 1;
        }
        self.redis = after;
        self.look_after_numbers();
        Answer::Steps(took)
    }

    /// Whether whoever dials the number reaches a tenant, or is told that there is none.
    pub fn is_served(&self, number: usize) -> bool {
        let did = cast::did(number);
        self.redis.maps(did).is_none_or(|tenant| {
            self.redis.configs.get(tenant).is_some_and(|config| config.dids.contains(did))
        })
    }

    /// Whether what the replica writes is accepted.
    fn is_current(&self, replica: &Replica) -> bool {
        let (Role::Leading(number) | Role::Begun(number)) = replica.role else { return false };
        self.redis.is_current(WRITER, number, replica.mark)
    }

    fn look_after_numbers(&mut self) {
        for number in 0..NUMBERS {
            if self.is_served(number) {
                self.excused &= !(1 << number);
            }
        }
    }
}

/// The planted bug: owners yield whatever has been published of them since.
fn yielded_for_good(script: &Script) -> Script {
    let mut script = script.clone();
    for call in &mut script.calls {
        if let Move::Publish { predecessors, .. } = call {
            for (_, generation) in predecessors {
                *generation = None;
            }
        }
    }
    script
}

fn applied(redis: &Kept<Redis>, script: &Script) -> Applied {
    let plan = Script { term: 0, epoch: 0, mark: 0, half: false, calls: script.calls.clone() };
    APPLIED.with(|memo| {
        memo.of((redis.clone(), plan), |(redis, script)| {
            let mut after = redis.clone();
            let steps: Vec<_> = script.calls.iter().map(cast::Move::step).collect();
            let applied = after.alter(|redis| redis.apply(cast::cluster(), &steps));
            (after, took(&applied))
        })
    })
}
