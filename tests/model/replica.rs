//! One replica of the operator: what it remembers, and what it does with it, as `controller` does. Whatever is decided
//! is asked of the product: `domain::claims` who holds what and who is concerned, `domain::plan` what a resource calls
//! for.

use std::collections::{BTreeMap, BTreeSet};

use runtime_operator::store::StoreError;

use crate::cast::{self, Crowd, Move, Numbers, SLOTS, Slot, Who};
use crate::flight::{Answer, Flight, Script, Took};
use crate::index::{Change, Index, Object, Print, Told};
use crate::kept::Kept;
use crate::plans::{self, Found, Outcome, Planned, Todo};
use crate::reading;
use crate::redis::Redis;
use crate::role::Role;
use crate::scenario::Bug;

/// What a look comes to.
#[derive(Clone, Debug)]
enum Prepared {
    Settled(Outcome),
    Todo(Todo),
}

/// What is written to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// The finalizer is put on it.
    Finalizer,
    /// The finalizer is taken off one that is being deleted.
    Release,
    Status(Told),
}

/// Keys that somebody else wrote, not heard of yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Signals {
    pub numbers: Numbers,
    pub configs: u8,
    pub flushed: bool,
}

/// How often a look starts again after a refusal; `controller::reconcile` says the same.
const ATTEMPTS: u8 = 5;

/// One replica.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Replica {
    pub role: Role,
    /// Of this process alone.
    pub mark: u8,
    pub term: u8,
    /// The highest number that it has seen.
    pub highest: u64,
    pub index: Kept<Index>,
    recorded: BTreeMap<Who, Print>,
    verified: Crowd,
    outcomes: BTreeMap<Who, Outcome>,
    gone: Crowd,
    pub queue: Crowd,
    /// What Redis was ahead of: looked at again when the watch has caught up.
    pub backoff: Crowd,
    pub flights: BTreeMap<Who, Flight>,
    /// Looked at, and not told since.
    tellings: Crowd,
    pub reading: Option<Kept<Redis>>,
    pub signals: Signals,
    /// Redis was written to in a way that sends no message: only an audit finds out.
    pub unheard: bool,
}

impl Replica {
    /// A process that has just started and listed everything.
    pub fn new(mark: u8, api: &[Option<Object>; SLOTS]) -> Self {
        Self {
            role: Role::Following,
            mark,
            term: 0,
            highest: 0,
            index: Kept::new(Index { seen: api.clone(), live: BTreeMap::new() }),
            recorded: BTreeMap::new(),
            verified: Crowd::default(),
            outcomes: BTreeMap::new(),
            gone: Crowd::default(),
            queue: Crowd::default(),
            backoff: Crowd::default(),
            flights: BTreeMap::new(),
            tellings: Crowd::default(),
            reading: None,
            signals: Signals::default(),
            unheard: false,
        }
    }

    pub fn is_begun(&self) -> bool {
        matches!(self.role, Role::Begun(_))
    }

    /// Whether Redis' messages mean anything to it: before it reads Redis, it will read all of it.
    pub fn listens(&self) -> bool {
        self.is_begun() || self.reading.is_some()
    }

    fn knows(&self, who: Who) -> bool {
        self.index.object(who).is_some() || self.gone.contains(who)
    }

    fn look_at(&mut self, all: impl IntoIterator<Item = Who>) {
        // Before it has read Redis and after it was refused, everything is looked at when it begins.
        if self.is_begun() {
            for who in all {
                if self.knows(who) {
                    self.queue.insert(who);
                }
            }
        }
    }

    /// The watch shows what the API server has in one slot. `listed`: by a new list, which says nothing of what is
    /// gone. `promotes`: those who are concerned are looked at.
    pub fn see(&mut self, slot: Slot, now: Option<&Object>, listed: bool, bug: Option<Bug>) {
        let was = self.index.seen[slot].clone();
        let mut seen = (*self.index).clone();
        if let Some(was) = was.filter(|was| now.is_none_or(|now| now.who != was.who)) {
            seen.seen[slot] = None;
            if self.index.live.contains_key(&was.who) {
                self.gone.insert(was.who);
            } else {
                self.forget(was.who);
            }
            let touched = Index::alter(&mut self.index, &seen, Change::Remove(was.who));
            if bug != Some(Bug::PromotionForgotten) {
                self.look_at(touched.iter());
            }
            if !listed && self.is_begun() {
                self.queue.insert(was.who);
            }
        }
        if let Some(now) = now {
            seen.seen[slot] = Some(now.clone());
            let touched = Index::alter(&mut self.index, &seen, Change::Upsert(now.who));
            if bug != Some(Bug::PromotionForgotten) {
                self.look_at(touched.iter());
            }
            self.look_at([now.who]);
        }
    }

    fn forget(&mut self, who: Who) {
        self.tellings.remove(who);
        self.recorded.remove(&who);
        self.verified.remove(who);
        self.outcomes.remove(&who);
        self.gone.remove(who);
    }

    /// As `controller::state` does: a record is this from now on.
    fn record(&mut self, who: Who, record: Option<(Slot, Numbers, Print)>, intact: bool) -> Crowd {
        if self.knows(who) {
            match record {
                Some((_, _, print)) => drop(self.recorded.insert(who, print)),
                None => drop(self.recorded.remove(&who)),
            }
            self.verified.remove(who);
            if intact {
                self.verified.insert(who);
            }
            if self.gone.contains(who) && record.is_none() {
                self.forget(who);
            }
        }
        let live = record.map(|(slot, numbers, _)| (slot, numbers));
        let seen = self.index.clone();
        Index::alter(&mut self.index, &seen, Change::SetLive(who, live))
    }

    /// Takes in what Redis held when it was read, and looks at everything.
    pub fn load(&mut self, redis: &Redis, bug: Option<Bug>) {
        if bug != Some(Bug::AnswersTrusted) {
            self.doubt_all(|_| true);
        }
        let known = self.index.seen.iter().flatten().map(|object| object.who);
        let known: BTreeSet<Who> =
            known.chain(self.gone.iter()).chain(self.index.live.keys().copied()).collect();
        let records: Vec<_> =
            (0..SLOTS).filter_map(|slot| Some((slot, reading::recorded(redis, slot)?))).collect();
        for who in known {
            if !records.iter().any(|(_, (theirs, _))| *theirs == who) {
                self.record(who, None, false);
            }
        }
        for (slot, (who, record)) in records {
            self.record(who, Some(record), redis.is_intact(cast::tenant(slot).as_str()));
        }
        let everyone: Vec<Who> = self.index.seen.iter().flatten().map(|object| object.who).collect();
        let gone = self.gone;
        self.look_at(everyone.into_iter().chain(gone.iter()));
    }

    /// Whether a look at `who` may start by now.
    pub fn may_look(&self, who: Who) -> bool {
        // One look at a resource at a time, and none beside one that publishes several in one step.
        !self.flights.contains_key(&who)
            && !self.flights.values().any(|flight| flight.exclusive)
            && (self.flights.is_empty() || !plans::is_exclusive(&Index::order(&self.index, who)))
    }

    /// Looks at `who`, and publishes it with all those that take numbers from it.
    pub fn look(&mut self, who: Who, redis: &Redis, bug: Option<Bug>) {
        self.queue.remove(who);
        self.backoff.remove(who);
        let mut order = Index::order(&self.index, who);
        if bug == Some(Bug::PromotionForgotten) {
            order = vec![vec![who]];
        }
        let flight = Flight {
            exclusive: plans::is_exclusive(&order),
            order,
            passed: Crowd::default(),
            rejections: BTreeMap::new(),
            attempts: 0,
            todos: Vec::new(),
            settled: Vec::new(),
            script: Script { term: self.term, epoch: 0, mark: self.mark, calls: Vec::new(), half: false },
            answer: None,
        };
        self.go_on(who, flight, redis, bug);
    }

    /// Goes on with a look until it needs Redis.
    fn go_on(&mut self, root: Who, mut flight: Flight, redis: &Redis, bug: Option<Bug>) {
        let Role::Begun(epoch) = self.role else {
            // Not leading any more: what is left is looked at when it leads again.
            return;
        };
        while let Some(members) = flight.order.first().cloned() {
            (flight.todos, flight.settled) = (Vec::new(), Vec::new());
            if bug != Some(Bug::PromotionForgotten)
                && !Index::is_in_order(&self.index, &members, flight.passed)
            {
                // By now numbers go to others: the look starts again.
                self.look_at([root]);
                return;
            }
            flight.passed.extend(members.iter().copied());
            for who in &members {
                match self.prepare(*who, redis, flight.rejections.get(who)) {
                    Prepared::Settled(outcome) => flight.settled.push((*who, outcome)),
                    Prepared::Todo(todo) => flight.todos.push(todo),
                }
            }
            if !flight.todos.is_empty() {
                let calls = flight.todos.iter().map(|todo| todo.call.clone()).collect();
                flight.script = Script { term: self.term, epoch, mark: self.mark, calls, half: false };
                flight.answer = None;
                self.flights.insert(root, flight);
                return;
            }
            self.conclude(&mut flight, bug);
        }
    }

    fn conclude(&mut self, flight: &mut Flight, bug: Option<Bug>) {
        let members = flight.order.remove(0);
        for (who, outcome) in std::mem::take(&mut flight.settled) {
            if self.knows(who) {
                self.outcomes.insert(who, outcome);
                self.tellings.insert(who);
            }
        }
        for todo in std::mem::take(&mut flight.todos) {
            if self.knows(todo.who) {
                self.tellings.insert(todo.who);
                match todo.outcome {
                    Some(outcome) => drop(self.outcomes.insert(todo.who, outcome)),
                    None => drop(self.outcomes.remove(&todo.who)),
                }
            }
            let touched = self.record(todo.who, todo.after, !todo.doubted);
            if bug != Some(Bug::PromotionForgotten) {
                self.look_at(touched.iter().filter(|who| !members.contains(who)));
            }
        }
        flight.rejections.clear();
        flight.attempts = 0;
    }

    /// Redis answered.
    pub fn hear_answer(&mut self, root: Who, redis: &Redis, bug: Option<Bug>) {
        let mut flight = self.flights.remove(&root).unwrap();
        match flight.answer.take().unwrap() {
            Answer::Fenced { current } => {
                self.highest = self.highest.max(current.unwrap_or(0));
                self.refused(flight.script.epoch);
                self.look_at([root]);
            }
            Answer::Steps(took) if took.contains(&Took::Stale) => self.back_off(root),
            Answer::Steps(took) if took.iter().all(|took| *took == Took::Done) => {
                self.conclude(&mut flight, bug);
                self.go_on(root, flight, redis, bug);
            }
            Answer::Steps(took) => {
                for (todo, took) in std::mem::take(&mut flight.todos).iter().zip(took) {
                    self.learn(todo, &took, flight.rejections.entry(todo.who).or_default(), redis, bug);
                }
                flight.attempts += 1;
                if flight.attempts == ATTEMPTS {
                    self.back_off(root);
                } else {
                    self.go_on(root, flight, redis, bug);
                }
            }
        }
    }

    fn back_off(&mut self, who: Who) {
        if self.is_begun() {
            self.backoff.insert(who);
        }
    }

    /// A script's answer does not come: lost, or the script is late. One that is late must find another number.
    pub fn give_up(&mut self, root: Who, bug: Option<Bug>) -> Flight {
        let flight = self.flights.remove(&root).unwrap();
        let invalidates_epoch = StoreError::TimedOut.invalidates_epoch() && bug != Some(Bug::NumberKept);
        if flight.answer.is_none() && invalidates_epoch {
            self.refused(flight.script.epoch);
        }
        self.look_at([root]);
        flight
    }

    /// A number was refused.
    pub fn refused(&mut self, epoch: u64) {
        if matches!(self.role, Role::Begun(ours) | Role::Leading(ours) if ours == epoch) {
            self.role = Role::Refused(epoch);
            (self.queue, self.backoff) = (Crowd::default(), Crowd::default());
            self.reading = None;
        }
    }

    /// What Redis knew better.
    fn learn(&mut self, todo: &Todo, took: &Took, found: &mut Found, redis: &Redis, bug: Option<Bug>) {
        if let Move::Publish { generation, .. } = todo.call
            && found.generation != generation
        {
            *found = Found { generation, ..Found::default() };
        }
        match took {
            Took::HeldBy(holder) => match self.index.object(*holder).filter(|object| !object.deleting) {
                Some(_) => {
                    let record =
                        reading::recorded(redis, cast::slot(*holder)).filter(|(who, _)| who == holder);
                    let touched = self.record(*holder, record.map(|(_, record)| record), false);
                    if bug != Some(Bug::PromotionForgotten) {
                        self.look_at(touched.iter());
                    }
                }
                None => drop(found.predecessors.insert(*holder)),
            },
            Took::InUse(numbers) => found.in_use |= numbers,
            Took::WouldUnmap(numbers) => found.would_unmap |= numbers,
            Took::Done | Took::Stale | Took::Aborted => {}
        }
    }

    fn prepare(&mut self, who: Who, redis: &Redis, found: Option<&Found>) -> Prepared {
        let generation = self.index.object(who).map_or(0, |object| object.generation);
        let found = found.filter(|found| found.generation == generation).cloned().unwrap_or_default();
        match plans::plan(&self.index, who, &self.recorded, found) {
            Planned::Settled(outcome) => Prepared::Settled(outcome),
            Planned::Todo(todo) => Prepared::Todo(todo),
            Planned::Recorded(outcome, todo) => {
                if !self.verified.contains(who) && !reading::holds(redis, &todo) {
                    return Prepared::Todo(todo);
                }
                self.verified.insert(who);
                Prepared::Settled(outcome)
            }
        }
    }

    /// Somebody wrote to Redis: what is not as its record has it is looked at.
    pub fn hear(&mut self, redis: &Redis) {
        let signals = std::mem::take(&mut self.signals);
        if signals.flushed
            && let Role::Begun(epoch) | Role::Leading(epoch) = self.role
        {
            self.refused(epoch);
            return;
        }
        let claims = self.index.claims();
        let numbers =
            cast::each(signals.numbers).filter(|number| !reading::number_as_recorded(redis, *number));
        let by_number = numbers.filter_map(|number| claims.holder(cast::did(number)));
        let tenants = (0..SLOTS).filter(|slot| signals.configs & 1 << slot != 0).map(cast::tenant);
        let tenants = tenants.filter(|tenant| !reading::config_as_recorded(redis, tenant.as_str()));
        let by_tenant = tenants.filter_map(|tenant| claims.tenant_holder(tenant));
        let concerned: Crowd = by_number.chain(by_tenant).map(cast::who).collect();
        for who in concerned.iter() {
            self.verified.remove(who);
        }
        self.doubt_all(|who| concerned.contains(who));
        self.look_at(concerned.iter());
    }

    /// What Redis is being told of these may be undone by the time that it answers.
    fn doubt_all(&mut self, concerned: impl Fn(Who) -> bool) {
        for todo in self.flights.values_mut().flat_map(|flight| &mut flight.todos) {
            todo.doubted |= concerned(todo.who);
        }
    }

    /// Records whose resource is gone, and which nothing is being done about.
    pub fn orphans(&self) -> impl Iterator<Item = Who> {
        Index::orphans(&self.index).iter().filter(|who| {
            self.index.object(*who).is_none()
                && !self.queue.contains(*who)
                && !self.backoff.contains(*who)
                && !self.flights.contains_key(who)
        })
    }

    /// What was to be told of it is told.
    pub fn told(&mut self, slot: Slot) {
        if let Some(object) = &self.index.seen[slot] {
            self.tellings.remove(object.who);
        }
    }

    /// What is to be written to the resource in this slot, if anything is.
    pub fn tells(&self, slot: Slot) -> Option<Write> {
        let object = self.index.seen[slot].as_ref().filter(|object| self.tellings.contains(object.who))?;
        match self.outcomes.get(&object.who)? {
            Outcome::FinalizerRemovable => object.finalizer.then_some(Write::Release),
            Outcome::Assessed(told) if object.status != Some(*told) => Some(Write::Status(*told)),
            Outcome::Assessed(_) => (!object.deleting && !object.finalizer).then_some(Write::Finalizer),
        }
    }
}
