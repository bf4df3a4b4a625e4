//! Everything that there is: the API server with its Lease, Redis, the replicas, scripts that are late, and what may
//! still go wrong. And everything that can happen next.

use stateright::{Model, Property};

use crate::cast::{self, CAST, NUMBERS, Numbers, SLOTS, STRANGER, Slot, WRITER, Who};
use crate::kept::{Kept, Memo};
use crate::redis::Redis;
use crate::replica::{Answer, Object, Replica, Role, Script, Took, took};
use crate::truth;

/// How often each thing may happen in a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Budget {
    /// A user changes a spec.
    pub edits: u8,
    /// A user deletes a resource.
    pub deletions: u8,
    /// A user makes one again that is gone.
    pub creations: u8,
    /// A process dies; another starts at once.
    pub crashes: u8,
    /// A replica wins a Lease whose holder was frozen for too long.
    pub steals: u8,
    /// A script's answer never comes; the script itself comes late if it had not come.
    pub timeouts: u8,
    /// A number is taken of which nobody learns.
    pub strays: u8,
    /// Somebody else deletes a mapping or a config.
    pub losses: u8,
    /// Somebody else maps a number to a tenant that no resource has.
    pub reroutes: u8,
    /// Somebody flushes Redis.
    pub flushes: u8,
    /// A watch loses an event, and lists anew.
    pub relists: u8,
}

/// A bug of the model's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// Scripts don't look at the number.
    NoFence,
    /// Mappings are written before configs, in two steps.
    MappingFirst,
    /// Who is concerned by another's change is not looked at.
    PromotionForgotten,
    /// The Lease is not read again after taking the number.
    LeaseNotReadAgain,
}

/// What is explored.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub replicas: usize,
    /// What each slot's resource may claim, the first at the start; none: it is not there at the start.
    pub claims: [&'static [Numbers]; SLOTS],
    /// Whether everything is published, told and at rest at the start, the first replica leading.
    pub settled: bool,
    pub budget: Budget,
    pub bug: Option<Bug>,
}

/// Everything that there is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    pub api: Kept<[Option<Object>; SLOTS]>,
    /// How often a resource was made in each slot.
    made: [u8; SLOTS],
    /// The generation since which each number is claimed without a break.
    since: [[u8; NUMBERS]; SLOTS],
    lease: Option<usize>,
    /// How often the Lease was won.
    terms: u8,
    /// The latest winning that was confirmed after the number was taken: who won before is superseded.
    confirmed: u8,
    pub redis: Kept<Redis>,
    pub replicas: Vec<Kept<Replica>>,
    /// Scripts whose senders don't wait for them any more.
    late: Vec<Script>,
    /// Numbers that were broken from outside and have not been mended since.
    pub excused: Numbers,
    left: Budget,
    /// A superseded leader's write was accepted.
    pub superseded: bool,
    /// A live number was taken from who claimed it all the time.
    pub rerouted: bool,
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

type Applied = (Kept<Redis>, Vec<Took>);

thread_local! {
    static APPLIED: Memo<(Kept<Redis>, Script), Applied> = Memo::new();
}

impl Scenario {
    pub fn start(&self) -> World {
        let mut made = [0; SLOTS];
        let mut api = [const { None }; SLOTS];
        for slot in 0..SLOTS {
            if let Some(numbers) = self.claims[slot].first() {
                api[slot] = Some(new_object(slot, &mut made, *numbers));
            }
        }
        let replicas = (0..self.replicas).map(|_| Kept::new(Replica::new(&api))).collect();
        let mut world = World {
            since: [[1; NUMBERS]; SLOTS],
            api: Kept::new(api),
            made,
            lease: None,
            terms: 0,
            confirmed: 0,
            redis: Kept::new(Redis::default()),
            replicas,
            late: Vec::new(),
            excused: 0,
            left: Budget::default(),
            superseded: false,
            rerouted: false,
            seen: Seen::default(),
        };
        if self.settled {
            loop {
                let mut actions = Vec::new();
                world.steps(&mut actions);
                let Some(action) = actions.into_iter().next() else { break };
                world = self.step(&world, &action);
            }
            // The others come later, with what is there by then.
            for replica in 1..self.replicas {
                world.replicas[replica] = Kept::new(Replica::new(&world.api));
            }
        }
        World { left: self.budget, ..world }
    }

    fn step(&self, before: &World, action: &Action) -> World {
        let mut world = before.clone();
        world.act(self, action);
        world
    }
}

fn new_object(slot: Slot, made: &mut [u8; SLOTS], numbers: Numbers) -> Object {
    let who = u8::try_from(slot + SLOTS * usize::from(made[slot])).unwrap();
    made[slot] += 1;
    Object { who, generation: 1, numbers, deleting: false, finalizer: false, status: None }
}

impl World {
    /// What users and mishaps may do next.
    fn mishaps(&self, scenario: &Scenario, actions: &mut Vec<Action>) {
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
                Some(_) => {}
                None if left.creations > 0 && usize::from(self.made[slot]) * SLOTS + slot < CAST => {
                    actions.extend(wishes().map(|numbers| Action::Create(slot, numbers)));
                }
                None => {}
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
            if left.timeouts > 0 {
                actions.extend(replica.flights.keys().map(|who| Action::TimeOut(at, *who)));
            }
            for slot in 0..SLOTS {
                let was = self.replicas[at].index.seen[slot].as_ref();
                let is_other =
                    was.is_some_and(|was| self.api[slot].as_ref().is_none_or(|now| now.who != was.who));
                if left.relists > 0 && is_other {
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
            actions.extend((0..SLOTS).filter(|slot| !watched(*slot)).map(|slot| Action::Watch(at, slot)));
            let up_to_date = (0..SLOTS).all(watched);
            match replica.role {
                Role::Leading(_) | Role::Begun(_) if replica.reading.is_some() => {
                    actions.push(Action::Begin(at))
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
            if replica.signals != Default::default() {
                actions.push(Action::Hear(at));
            }
            for slot in 0..SLOTS {
                // The API server refuses what was made of an older version.
                if watched(slot) && replica.tells(slot).is_some() {
                    actions.push(Action::Tell(at, slot));
                }
            }
        }
        actions.extend((0..self.late.len()).map(Action::ExecuteLate));
    }

    fn elections(&self, at: usize, replica: &Replica, actions: &mut Vec<Action>) {
        let holds = self.lease == Some(at);
        match replica.role {
            Role::Following if self.lease.is_none() => actions.push(Action::Win(at)),
            Role::Following => {}
            Role::Won => actions.push(Action::TakeNumber(at)),
            Role::Took(_) | Role::Refused(_) => actions.push(Action::ReadLease(at)),
            Role::Leading(_) | Role::Begun(_) => {}
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

    fn act(&mut self, scenario: &Scenario, action: &Action) {
        let promotes = scenario.bug != Some(Bug::PromotionForgotten);
        let redis = self.redis.clone();
        match *action {
            Action::Edit(..) | Action::Delete(_) | Action::Create(..) => self.user(action),
            Action::LoseMapping(_) | Action::LoseConfig(_) | Action::Reroute(_) | Action::Flush => {
                self.stranger(action);
            }
            Action::Crash(at, through) => {
                self.left.crashes -= 1;
                self.restart(at, through);
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
                let flight = self.replicas[at].alter(|replica| {
                    replica.queue.insert(who);
                    replica.flights.remove(&who).unwrap()
                });
                if flight.answer.is_none() {
                    self.be_late(flight.script);
                }
            }
            Action::StrayNumber => {
                self.left.strays -= 1;
                self.redis.alter(|redis| redis.next_epoch(0, WRITER));
            }
            Action::Relist(at, slot) => {
                self.left.relists -= 1;
                let now = self.api[slot].clone();
                self.replicas[at].alter(|replica| replica.see(slot, now.as_ref(), true, promotes));
            }
            Action::Watch(at, slot) => {
                let now = self.api[slot].clone();
                self.replicas[at].alter(|replica| replica.see(slot, now.as_ref(), false, promotes));
            }
            Action::Win(at) => self.win(at),
            Action::TakeNumber(at) => {
                let seen = self.replicas[at].highest;
                let number = self.redis.alter(|redis| redis.next_epoch(seen, WRITER));
                let unasked = scenario.bug == Some(Bug::LeaseNotReadAgain);
                self.replicas[at].alter(|replica| {
                    replica.highest = number;
                    replica.role = if unasked { Role::Leading(number) } else { Role::Took(number) };
                });
                if unasked {
                    self.confirmed = self.confirmed.max(self.replicas[at].term);
                }
            }
            Action::ReadLease(at) if self.lease == Some(at) => {
                let term = self.replicas[at].term;
                let role = self.replicas[at].role;
                self.replicas[at].alter(|replica| {
                    replica.role =
                        if let Role::Took(number) = role { Role::Leading(number) } else { Role::Won };
                });
                if matches!(role, Role::Took(_)) {
                    self.confirmed = self.confirmed.max(term);
                }
            }
            // The process ends and starts again; what it has sent may come through.
            Action::ReadLease(at) | Action::NoticeLoss(at) => self.restart(at, true),
            Action::ReadRedis(at) => self.replicas[at].alter(|replica| replica.reading = Some(redis)),
            Action::Begin(at) => self.replicas[at].alter(|replica| {
                if let Role::Leading(number) | Role::Begun(number) = replica.role {
                    replica.role = Role::Begun(number);
                }
                replica.unheard = false;
                let read = replica.reading.take().unwrap();
                replica.load(&read);
            }),
            Action::Look(at, who) => self.replicas[at].alter(|replica| replica.look(who, &redis, promotes)),
            Action::Execute(at, who) => self.execute(scenario, at, who),
            Action::Answer(at, who) => {
                self.replicas[at].alter(|replica| replica.hear_answer(who, &redis, promotes));
            }
            Action::ExecuteLate(which) => {
                let script = self.late.remove(which);
                let before = self.redis.clone();
                self.run(scenario, &script);
                if self.redis != before {
                    for replica in &mut self.replicas {
                        if replica.listens() {
                            replica.alter(|replica| replica.unheard = true);
                        }
                    }
                }
            }
            Action::Tell(at, slot) => {
                let next = self.replicas[at].tells(slot).unwrap();
                self.api.alter(|api| api[slot] = next);
            }
            Action::Hear(at) => self.replicas[at].alter(|replica| replica.hear(&redis)),
            Action::Sweep(at, who) => self.replicas[at].alter(|replica| replica.queue.insert(who)),
        }
    }

    fn user(&mut self, action: &Action) {
        let (made, since, left) = (&mut self.made, &mut self.since, &mut self.left);
        self.api.alter(|api| match *action {
            Action::Edit(slot, numbers) => {
                left.edits -= 1;
                let object = api[slot].as_mut().unwrap();
                object.generation += 1;
                for number in cast::each(numbers & !object.numbers) {
                    since[slot][number] = object.generation;
                }
                object.numbers = numbers;
            }
            Action::Delete(slot) => {
                left.deletions -= 1;
                if api[slot].as_ref().unwrap().finalizer {
                    api[slot].as_mut().unwrap().deleting = true;
                } else {
                    api[slot] = None;
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
        let mut signals = crate::replica::Signals::default();
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
    fn restart(&mut self, at: usize, through: bool) {
        let old = std::mem::replace(&mut self.replicas[at], Kept::new(Replica::new(&self.api)));
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
        if self.redis.is_current(WRITER, script.epoch) {
            let (after, _) = applied(&self.redis, script);
            self.redis.alter(|redis| redis.mappings.clone_from(&after.mappings));
            self.look_after_numbers();
        }
    }

    /// Redis runs a script.
    fn run(&mut self, scenario: &Scenario, script: &Script) -> Answer {
        if scenario.bug != Some(Bug::NoFence) && !self.redis.is_current(WRITER, script.epoch) {
            self.seen.fenced = true;
            return Answer::Fenced { current: self.redis.epoch };
        }
        let (after, took) = applied(&self.redis, script);
        if after != self.redis {
            self.superseded |= script.term < self.confirmed;
            self.rerouted |= truth::reroutes(&self.redis, &after, &self.api, &self.since);
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

    fn look_after_numbers(&mut self) {
        for number in 0..NUMBERS {
            if self.is_served(number) {
                self.excused &= !(1 << number);
            }
        }
    }
}

fn applied(redis: &Kept<Redis>, script: &Script) -> Applied {
    let plan = Script { term: 0, epoch: 0, half: false, calls: script.calls.clone() };
    APPLIED.with(|memo| {
        memo.of((redis.clone(), plan), |(redis, script)| {
            let mut after = redis.clone();
            let steps: Vec<_> = script.calls.iter().map(cast::Move::step).collect();
            let applied = after.alter(|redis| redis.apply_unfenced(cast::cluster(), &steps));
            (after, took(&applied))
        })
    })
}

impl Model for Scenario {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![self.start()]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        world.steps(actions);
        world.mishaps(self, actions);
    }

    fn next_state(&self, before: &World, action: Action) -> Option<World> {
        Some(self.step(before, &action))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(truth::SERVED, |_, world: &World| {
                (0..NUMBERS).all(|number| world.is_served(number) || world.excused & 1 << number != 0)
            }),
            Property::always(truth::ONE_WRITER, |_, world: &World| !world.superseded),
            Property::always(truth::LIVE_CALLS_FIRST, |_, world: &World| !world.rerouted),
            Property::always(truth::IN_THE_END, |_, world: &World| {
                !world.is_at_rest() || truth::is_told(world)
            }),
        ]
    }
}
