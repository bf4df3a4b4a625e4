//! One replica of the operator: what it remembers, and what it does with it. Whatever is decided is asked of the
//! product: `domain::claims` who holds what and who is concerned, `domain::plan` what a resource calls for.

use std::collections::{BTreeMap, BTreeSet};

use runtime_operator::domain::claims::{Claims, Live};
use runtime_operator::domain::plan::{self, Farewell, Findings, Fingerprint, Look, Plan, View};
use runtime_operator::domain::verdict::{Blocker, Holder, Lacking, Verdict};
use runtime_operator::store::{Applied, Refusal};

use crate::cast::{self, CAST, Move, Numbers, SLOTS, Slot, Who};
use crate::kept::{Kept, Memo};
use crate::redis::Redis;

/// A resource as the API server has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Object {
    pub who: Who,
    pub generation: u8,
    pub numbers: Numbers,
    pub deleting: bool,
    pub finalizer: bool,
    pub status: Option<Told>,
}

/// What a status says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Told {
    pub generation: u8,
    pub live: Numbers,
    pub ready: bool,
}

/// What is to be told of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    Seen(Told),
    Released,
}

/// What the claims are made of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Index {
    pub seen: [Option<Object>; SLOTS],
    /// What is live by record: under which tenant id, and which numbers.
    pub live: BTreeMap<Who, (Slot, Numbers)>,
}

/// What an ownership record says beside what is live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Print {
    pub generation: u8,
    pub numbers: Numbers,
}

/// How far a replica is in leading, and with which number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    Following,
    /// Has won the Lease.
    Won,
    /// Has taken a number, and reads the Lease again.
    Took(u64),
    /// Leads; Redis is to be read before it writes.
    Leading(u64),
    /// Writes.
    Begun(u64),
    /// A write was refused for its number: reads the Lease.
    Refused(u64),
}

/// What Redis refused in a look so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Found {
    generation: u8,
    predecessors: BTreeSet<Who>,
    in_use: Numbers,
    would_unmap: Numbers,
}

/// A step that a look calls for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Todo {
    who: Who,
    call: Move,
    after: Option<(Slot, Numbers, Print)>,
    outcome: Option<Outcome>,
    /// Somebody touched its keys since.
    doubted: bool,
}

/// What a look comes to.
#[derive(Clone, Debug)]
enum Prepared {
    Settled(Outcome),
    Todo(Todo),
}

/// What came of one step, as far as it matters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Took {
    Done,
    Stale,
    HeldBy(Who),
    InUse(Numbers),
    WouldUnmap(Numbers),
    Withheld,
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
    pub calls: Vec<Move>,
    /// Written in two steps, of which the first is done: a planted bug.
    pub half: bool,
}

/// A look that waits for Redis.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Flight {
    /// Those that are still to be published, each group in one step.
    order: Vec<Vec<Who>>,
    exclusive: bool,
    findings: BTreeMap<Who, Found>,
    attempts: u8,
    todos: Vec<Todo>,
    settled: Vec<(Who, Outcome)>,
    pub script: Script,
    pub answer: Option<Answer>,
}

/// Keys that somebody else wrote, not heard of yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Signals {
    pub numbers: Numbers,
    pub configs: u8,
    pub flushed: bool,
}

/// A set of resources.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Some_(u8);

/// How often a look starts again after a refusal; `controller::reconcile` says the same.
const ATTEMPTS: u8 = 5;

/// One replica.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Replica {
    pub role: Role,
    pub term: u8,
    /// The highest number that it has seen.
    pub highest: u64,
    pub index: Kept<Index>,
    recorded: BTreeMap<Who, Print>,
    verified: Some_,
    outcomes: BTreeMap<Who, Outcome>,
    gone: Some_,
    pub queue: Some_,
    /// What Redis was ahead of: looked at again when the watch has caught up.
    pub backoff: Some_,
    pub flights: BTreeMap<Who, Flight>,
    pub reading: Option<Kept<Redis>>,
    pub signals: Signals,
    /// Redis was written to in a way that sends no message: only an audit finds out.
    pub unheard: bool,
}

thread_local! {
    static CHANGES: Memo<(Kept<Index>, Change), (Kept<Index>, Some_)> = Memo::new();
    static ORDERS: Memo<(Kept<Index>, Who), Vec<Vec<Who>>> = Memo::new();
    static PLANS: Memo<(Kept<Index>, Who, Option<Print>, Found), Planned> = Memo::new();
}

/// A change of the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Change {
    /// What the watch shows of this one by now.
    Upsert(Who),
    Remove(Who),
    SetLive(Who, Option<(Slot, Numbers)>),
}

/// What the product plans, before Redis is asked whether it holds what the record says.
#[derive(Clone, Debug)]
enum Planned {
    Settled(Outcome),
    Todo(Todo),
    /// Recorded already: this outcome if Redis still holds it, else this step.
    Recorded(Outcome, Todo),
}

impl Some_ {
    pub fn insert(&mut self, who: Who) {
        self.0 |= 1 << who;
    }

    pub fn remove(&mut self, who: Who) {
        self.0 &= !(1 << who);
    }

    pub fn contains(self, who: Who) -> bool {
        self.0 & 1 << who != 0
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn iter(self) -> impl Iterator<Item = Who> {
        (0..u8::try_from(CAST).unwrap()).filter(move |who| self.contains(*who))
    }
}

impl FromIterator<Who> for Some_ {
    fn from_iter<T: IntoIterator<Item = Who>>(all: T) -> Self {
        let mut set = Self::default();
        all.into_iter().for_each(|who| set.insert(who));
        set
    }
}

impl std::fmt::Debug for Some_ {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl Index {
    /// The resource as the watch shows it.
    fn object(&self, who: Who) -> Option<&Object> {
        self.seen[cast::slot(who)].as_ref().filter(|object| object.who == who)
    }

    /// The product's own index.
    fn claims(&self) -> Claims {
        let mut claims = Claims::default();
        for (who, (slot, numbers)) in &self.live {
            claims.set_live(cast::uid(*who), Some(live(*slot, *numbers)));
        }
        for object in self.seen.iter().flatten().filter(|object| !object.deleting) {
            claims.upsert(object.claim());
        }
        claims
    }

    fn changed(before: &Self, seen: &Self, change: Change) -> (Kept<Self>, Some_) {
        let mut claims = before.claims();
        let touched = match change {
            Change::Upsert(who) => match seen.object(who).filter(|object| !object.deleting) {
                Some(object) => claims.upsert(object.claim()),
                None => claims.remove(cast::uid(who)),
            },
            Change::Remove(who) => claims.remove(cast::uid(who)),
            Change::SetLive(who, to) => {
                claims.set_live(cast::uid(who), to.map(|(slot, numbers)| live(slot, numbers)))
            }
        };
        let everyone = 0..u8::try_from(CAST).unwrap();
        let live = everyone.filter_map(|who| Some((who, claims.live(cast::uid(who))?)));
        let live = live.map(|(who, live)| {
            (who, (cast::slot_of(live.tenant.as_str()).unwrap(), cast::numbers(&live.dids)))
        });
        let after = Self { seen: seen.seen.clone(), live: live.collect() };
        (Kept::new(after), touched.iter().map(cast::who).collect())
    }
}

fn live(slot: Slot, numbers: Numbers) -> Live {
    Live { tenant: cast::tenant(slot).clone(), dids: cast::dids(numbers) }
}

impl Object {
    fn claim(&self) -> runtime_operator::domain::claims::Claim {
        cast::claim(self.who, self.numbers, self.told())
    }

    fn told(&self) -> Numbers {
        self.status.map_or(0, |status| status.live)
    }
}

impl Replica {
    /// A process that has just started and listed everything.
    pub fn new(api: &[Option<Object>; SLOTS]) -> Self {
        Self {
            role: Role::Following,
            term: 0,
            highest: 0,
            index: Kept::new(Index { seen: api.clone(), live: BTreeMap::new() }),
            recorded: BTreeMap::new(),
            verified: Some_::default(),
            outcomes: BTreeMap::new(),
            gone: Some_::default(),
            queue: Some_::default(),
            backoff: Some_::default(),
            flights: BTreeMap::new(),
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

    fn alter(&mut self, seen: &Index, change: Change) -> Some_ {
        let before = self.index.clone();
        let (after, touched) = if matches!(change, Change::SetLive(..)) {
            CHANGES.with(|memo| {
                memo.of((before, change), |(before, change)| Index::changed(before, before, *change))
            })
        } else {
            Index::changed(&before, seen, change)
        };
        self.index = after;
        touched
    }

    /// The watch shows what the API server has in one slot. `listed`: by a new list, which says nothing of what is
    /// gone. `promotes`: those who are concerned are looked at.
    pub fn see(&mut self, slot: Slot, now: Option<&Object>, listed: bool, promotes: bool) {
        let was = self.index.seen[slot].clone();
        let mut seen = (*self.index).clone();
        if let Some(was) = was.filter(|was| now.is_none_or(|now| now.who != was.who)) {
            seen.seen[slot] = None;
            if self.index.live.contains_key(&was.who) {
                self.gone.insert(was.who);
            } else {
                self.forget(was.who);
            }
            let touched = self.alter(&seen, Change::Remove(was.who));
            if promotes {
                self.look_at(touched.iter());
            }
            if !listed && self.is_begun() {
                self.queue.insert(was.who);
            }
        }
        if let Some(now) = now {
            seen.seen[slot] = Some(now.clone());
            let touched = self.alter(&seen, Change::Upsert(now.who));
            if promotes {
                self.look_at(touched.iter());
            }
            self.look_at([now.who]);
        }
    }

    fn forget(&mut self, who: Who) {
        self.recorded.remove(&who);
        self.verified.remove(who);
        self.outcomes.remove(&who);
        self.gone.remove(who);
    }

    /// As `controller::state` does: a record is this from now on.
    fn record(&mut self, who: Who, record: Option<(Slot, Numbers, Print)>, intact: bool) -> Some_ {
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
        self.alter(&seen, Change::SetLive(who, live))
    }

    /// Takes in what Redis held when it was read, and looks at everything.
    pub fn load(&mut self, redis: &Redis) {
        let known = self.index.seen.iter().flatten().map(|object| object.who);
        let known: BTreeSet<Who> =
            known.chain(self.gone.iter()).chain(self.index.live.keys().copied()).collect();
        let records: Vec<_> = (0..SLOTS).filter_map(|slot| Some((slot, recorded(redis, slot)?))).collect();
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
            && (self.flights.is_empty() || !is_exclusive(&self.order(who)))
    }

    fn order(&self, who: Who) -> Vec<Vec<Who>> {
        let question = (self.index.clone(), who);
        ORDERS.with(|memo| {
            memo.of(question, |(index, who)| {
                let order = index.claims().handover(cast::uid(*who));
                let group = |group: Vec<_>| {
                    let mut group: Vec<Who> = group.iter().map(cast::who).collect();
                    group.sort_unstable();
                    group
                };
                order.into_iter().map(group).collect()
            })
        })
    }

    /// Looks at `who`, and publishes it with all those that take numbers from it.
    pub fn look(&mut self, who: Who, redis: &Redis, promotes: bool) {
        self.queue.remove(who);
        self.backoff.remove(who);
        let order = self.order(who);
        let flight = Flight {
            exclusive: is_exclusive(&order),
            order,
            findings: BTreeMap::new(),
            attempts: 0,
            todos: Vec::new(),
            settled: Vec::new(),
            script: Script { term: self.term, epoch: 0, calls: Vec::new(), half: false },
            answer: None,
        };
        self.go_on(who, flight, redis, promotes);
    }

    /// Goes on with a look until it needs Redis.
    fn go_on(&mut self, root: Who, mut flight: Flight, redis: &Redis, promotes: bool) {
        let Role::Begun(epoch) = self.role else {
            // Not leading any more: what is left is looked at when it leads again.
            return;
        };
        while let Some(members) = flight.order.first().cloned() {
            (flight.todos, flight.settled) = (Vec::new(), Vec::new());
            for who in &members {
                match self.prepare(*who, redis, flight.findings.get(who)) {
                    Prepared::Settled(outcome) => flight.settled.push((*who, outcome)),
                    Prepared::Todo(todo) => flight.todos.push(todo),
                }
            }
            if !flight.todos.is_empty() {
                let calls = flight.todos.iter().map(|todo| todo.call.clone()).collect();
                flight.script = Script { term: self.term, epoch, calls, half: false };
                flight.answer = None;
                self.flights.insert(root, flight);
                return;
            }
            self.conclude(&mut flight, promotes);
        }
    }

    fn conclude(&mut self, flight: &mut Flight, promotes: bool) {
        let members = flight.order.remove(0);
        for (who, outcome) in std::mem::take(&mut flight.settled) {
            if self.knows(who) {
                self.outcomes.insert(who, outcome);
            }
        }
        for todo in std::mem::take(&mut flight.todos) {
            if self.knows(todo.who) {
                match todo.outcome {
                    Some(outcome) => drop(self.outcomes.insert(todo.who, outcome)),
                    None => drop(self.outcomes.remove(&todo.who)),
                }
            }
            let touched = self.record(todo.who, todo.after, !todo.doubted);
            if promotes {
                self.look_at(touched.iter().filter(|who| !members.contains(who)));
            }
        }
        flight.findings.clear();
        flight.attempts = 0;
    }

    /// Redis answered.
    pub fn hear_answer(&mut self, root: Who, redis: &Redis, promotes: bool) {
        let mut flight = self.flights.remove(&root).unwrap();
        match flight.answer.take().unwrap() {
            Answer::Fenced { current } => {
                self.highest = self.highest.max(current.unwrap_or(0));
                self.refused(flight.script.epoch);
                self.look_at([root]);
            }
            Answer::Steps(took) if took.contains(&Took::Stale) => self.back_off(root),
            Answer::Steps(took) if took.iter().all(|took| *took == Took::Done) => {
                self.conclude(&mut flight, promotes);
                self.go_on(root, flight, redis, promotes);
            }
            Answer::Steps(took) => {
                for (todo, took) in std::mem::take(&mut flight.todos).iter().zip(took) {
                    self.learn(todo, &took, flight.findings.entry(todo.who).or_default(), redis, promotes);
                }
                flight.attempts += 1;
                if flight.attempts == ATTEMPTS {
                    self.back_off(root);
                } else {
                    self.go_on(root, flight, redis, promotes);
                }
            }
        }
    }

    fn back_off(&mut self, who: Who) {
        if self.is_begun() {
            self.backoff.insert(who);
        }
    }

    /// A number was refused.
    pub fn refused(&mut self, epoch: u64) {
        if matches!(self.role, Role::Begun(ours) | Role::Leading(ours) if ours == epoch) {
            self.role = Role::Refused(epoch);
            (self.queue, self.backoff) = (Some_::default(), Some_::default());
            self.reading = None;
        }
    }

    /// What Redis knew better.
    fn learn(&mut self, todo: &Todo, took: &Took, found: &mut Found, redis: &Redis, promotes: bool) {
        if let Move::Publish { generation, .. } = todo.call
            && found.generation != generation
        {
            *found = Found { generation, ..Found::default() };
        }
        match took {
            Took::HeldBy(holder) => match self.index.object(*holder).filter(|object| !object.deleting) {
                Some(_) => {
                    let record = recorded(redis, cast::slot(*holder)).filter(|(who, _)| who == holder);
                    let touched = self.record(*holder, record.map(|(_, record)| record), false);
                    if promotes {
                        self.look_at(touched.iter());
                    }
                }
                None => drop(found.predecessors.insert(*holder)),
            },
            Took::InUse(numbers) => found.in_use |= numbers,
            Took::WouldUnmap(numbers) => found.would_unmap |= numbers,
            Took::Done | Took::Stale | Took::Withheld => {}
        }
    }

    fn prepare(&mut self, who: Who, redis: &Redis, found: Option<&Found>) -> Prepared {
        let generation = self.index.object(who).map_or(0, |object| object.generation);
        let found = found.filter(|found| found.generation == generation).cloned().unwrap_or_default();
        let question = (self.index.clone(), who, self.recorded.get(&who).copied(), found);
        match PLANS
            .with(|memo| memo.of(question, |(index, who, print, found)| plan(index, *who, *print, found)))
        {
            Planned::Settled(outcome) => Prepared::Settled(outcome),
            Planned::Todo(todo) => Prepared::Todo(todo),
            Planned::Recorded(outcome, todo) => {
                if !self.verified.contains(who) && !holds(redis, &todo) {
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
        let numbers = cast::each(signals.numbers).filter(|number| !number_as_recorded(redis, *number));
        let by_number = numbers.filter_map(|number| claims.holder(cast::did(number)));
        let tenants = (0..SLOTS).filter(|slot| signals.configs & 1 << slot != 0).map(cast::tenant);
        let tenants = tenants.filter(|tenant| !config_as_recorded(redis, tenant.as_str()));
        let by_tenant = tenants.filter_map(|tenant| claims.tenant_holder(tenant));
        let concerned: Some_ = by_number.chain(by_tenant).map(cast::who).collect();
        for who in concerned.iter() {
            self.verified.remove(who);
            for todo in self.flights.values_mut().flat_map(|flight| &mut flight.todos) {
                todo.doubted |= todo.who == who;
            }
        }
        self.look_at(concerned.iter());
    }

    /// Records whose resource is gone, and which nothing is being done about.
    pub fn orphans(&self) -> impl Iterator<Item = Who> {
        let claims = self.index.claims();
        let orphans: Vec<Who> = claims.orphans().map(|(uid, _)| cast::who(uid)).collect();
        orphans.into_iter().filter(|who| {
            self.index.object(*who).is_none()
                && !self.queue.contains(*who)
                && !self.backoff.contains(*who)
                && !self.flights.contains_key(who)
        })
    }

    /// What is to be written to the resource in this slot, as it would be then; the outer none: nothing, the inner:
    /// it is gone.
    pub fn tells(&self, slot: Slot) -> Option<Option<Object>> {
        let object = self.index.seen[slot].as_ref()?;
        let mut next = object.clone();
        match self.outcomes.get(&object.who)? {
            Outcome::Released if object.finalizer => return Some(None),
            Outcome::Released => return None,
            Outcome::Seen(_) if !object.deleting && !object.finalizer => next.finalizer = true,
            Outcome::Seen(told) if object.status != Some(*told) => next.status = Some(*told),
            Outcome::Seen(_) => return None,
        }
        Some(Some(next))
    }
}

fn is_exclusive(order: &[Vec<Who>]) -> bool {
    order.len() > 1 || order.iter().any(|group| group.len() > 1)
}

/// What the product plans for one resource.
fn plan(index: &Index, who: Who, print: Option<Print>, found: &Found) -> Planned {
    let slot = cast::slot(who);
    let view = View {
        record: print.map(|print| fingerprint(slot, print)),
        ..View::of(&index.claims(), cast::uid(who))
    };
    let Some(object) = index.object(who) else { return part(who, plan::vanished(&view)) };
    let (spec, told) = (cast::spec(slot, object.numbers), cast::dids(object.told()));
    if object.deleting {
        return part(who, plan::deleted(spec, told, &view));
    }
    let findings = findings(found);
    let look = Look { spec, generation: i64::from(object.generation), view: &view, findings: &findings };
    let wanted = match look.plan() {
        Plan::Settled(plan::Outcome::Seen(verdict)) => {
            return Planned::Settled(Outcome::Seen(tell(&verdict)));
        }
        Plan::Settled(plan::Outcome::Released) => return Planned::Settled(Outcome::Released),
        Plan::Remove(farewell) => return part(who, Some(farewell)),
        Plan::Publish(wanted) => wanted,
    };
    let ready = look.ready(&wanted, cast::SECRET.to_owned(), Some(&"whsec".into()), told).unwrap();
    let numbers = cast::numbers(ready.config.dids());
    let is_recorded = look.is_recorded(&wanted, &ready.fingerprint);
    let outcome = Outcome::Seen(tell(&look.published(&wanted)));
    let generation = object.generation;
    let todo = Todo {
        who,
        call: Move::Publish {
            who,
            generation,
            numbers,
            known: cast::numbers(&ready.known),
            predecessors: ready.predecessors.iter().map(cast::who).collect(),
        },
        after: Some((slot, numbers, Print { generation, numbers })),
        outcome: Some(outcome),
        doubted: false,
    };
    if is_recorded { Planned::Recorded(outcome, todo) } else { Planned::Todo(todo) }
}

fn part(who: Who, farewell: Option<Farewell>) -> Planned {
    let Some(Farewell { tenant, known, retain, outcome }) = farewell else {
        return Planned::Settled(Outcome::Released);
    };
    let slot = cast::slot_of(tenant.as_str()).unwrap();
    let outcome = outcome.map(|outcome| match outcome {
        plan::Outcome::Seen(verdict) => Outcome::Seen(tell(&verdict)),
        plan::Outcome::Released => Outcome::Released,
    });
    let call = Move::Remove { slot, who, known: cast::numbers(&known), retain };
    Planned::Todo(Todo { who, call, after: None, outcome, doubted: false })
}

fn findings(found: &Found) -> Findings {
    let in_use = |did| Lacking { did, holder: Holder::Unmanaged(cast::STRANGER.to_owned()) };
    Findings {
        generation: i64::from(found.generation),
        blocker: (found.would_unmap != 0).then(|| Blocker::WouldUnmap(cast::dids(found.would_unmap))),
        lacking: cast::dids(found.in_use).into_iter().map(in_use).collect(),
        predecessors: found.predecessors.iter().map(|who| cast::uid(*who).clone()).collect(),
    }
}

fn tell(verdict: &Verdict) -> Told {
    Told {
        generation: u8::try_from(verdict.generation).unwrap(),
        live: verdict.live.as_ref().map_or(0, |live| cast::numbers(&live.dids)),
        ready: verdict.blocker.is_none() && verdict.lacking.is_empty(),
    }
}

fn fingerprint(slot: Slot, print: Print) -> Fingerprint {
    Fingerprint {
        generation: i64::from(print.generation),
        secret: cast::SECRET.to_owned(),
        hash: cast::hash(slot, print.numbers).to_owned(),
    }
}

/// The owner by record, and what its record says.
fn recorded(redis: &Redis, slot: Slot) -> Option<(Who, (Slot, Numbers, Print))> {
    let tenant = cast::tenant(slot).as_str();
    // Found by the index of records.
    let record = redis.records.get(tenant)?;
    redis.members.get(&(record.cluster.clone(), tenant.to_owned()))?;
    let numbers = (0..1 << cast::NUMBERS).find(|set| cast::hash(slot, *set) == record.hash).unwrap();
    let print = Print { generation: u8::try_from(record.generation).unwrap(), numbers };
    Some((cast::who(&record.uid.as_str().into()), (slot, cast::numbers(&record.dids), print)))
}

/// As `verify` in `controller::prepare`: Redis holds exactly what is wanted.
fn holds(redis: &Redis, wanted: &Todo) -> bool {
    let slot = wanted.call.slot();
    recorded(redis, slot).is_some_and(|(who, record)| who == wanted.who && Some(record) == wanted.after)
        && redis.is_intact(cast::tenant(slot).as_str())
}

/// `touched.lua`, for a number.
fn number_as_recorded(redis: &Redis, number: usize) -> bool {
    let did = cast::did(number);
    redis.owners.get(did).is_some_and(|owner| {
        redis.maps(did) == Some(owner)
            && redis.records.get(owner).is_some_and(|record| record.dids.contains(did))
    })
}

/// `touched.lua`, for a config.
fn config_as_recorded(redis: &Redis, tenant: &str) -> bool {
    let record = redis.records.get(tenant);
    redis.configs.get(tenant).is_some_and(|config| record.is_some_and(|record| record.sha1 == config.sha1))
}

/// What came of a call, as far as it matters.
pub fn took(applied: &[Applied]) -> Vec<Took> {
    let took = |applied: &Applied| match applied {
        Applied::Refused(Refusal::Stale { .. }) => Took::Stale,
        Applied::Refused(Refusal::HeldBy { uid, .. }) => Took::HeldBy(cast::who(uid)),
        Applied::Refused(Refusal::NumbersInUse(numbers)) => {
            Took::InUse(cast::numbers(numbers.iter().map(|(did, _)| did)))
        }
        Applied::Refused(Refusal::WouldUnmap(dids)) => Took::WouldUnmap(cast::numbers(dids)),
        Applied::Refused(Refusal::OwnedElsewhere { .. }) => unreachable!("there is one cluster"),
        Applied::Withheld => Took::Withheld,
        Applied::Unchanged
        | Applied::Recorded
        | Applied::Published { .. }
        | Applied::Removed { .. }
        | Applied::NotOwned => Took::Done,
    };
    applied.iter().map(took).collect()
}
