//! What is explored: who is there, what may go wrong how often, which bug is planted; and what must hold.

use stateright::{Model, Property};

use crate::cast::{NUMBERS, Numbers, SLOTS};
use crate::kept::Kept;
use crate::redis::Redis;
use crate::replica::Replica;
use crate::truth;
use crate::world::{Action, Seen, World, new_object};

/// The first number alone.
pub const X: Numbers = 0b01;
/// The second number alone.
pub const Y: Numbers = 0b10;
/// Both.
pub const BOTH: Numbers = X | Y;

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
    /// A replica without the Lease writes to Kubernetes before it notices. Two that never did would write over each
    /// other for ever.
    pub overstays: u8,
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
    /// What Redis tells of others' writes is lost: the next audit finds out.
    pub deaf: u8,
}

/// A planted bug.
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
    /// Two processes that took the same number can't be told apart.
    NumbersUnmarked,
    /// An owner that yields does so even if it was published again since.
    YieldedForGood,
    /// A write that is answered after Redis was read counts as if it had come after.
    AnswersTrusted,
    /// The number is kept although a write that carries it may come late.
    NumberKept,
}

/// What is explored.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub replicas: u8,
    /// What each slot's resource may claim, the first at the start; none: it is not there at the start.
    pub claims: [&'static [Numbers]; SLOTS],
    /// Whether everything is published, told and at rest at the start, the first replica leading.
    pub settled: bool,
    pub budget: Budget,
    /// What must be seen to happen, so that nothing holds for want of trying.
    pub shows: &'static [Shows],
    pub bug: Option<Bug>,
}

/// Something that happens in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shows {
    /// A script is refused for its number.
    Fence,
    /// A number goes from one resource to another in one step.
    HandOver,
    /// Two resources are published in one step.
    Together,
}

impl Scenario {
    pub fn start(&self) -> World {
        let mut made = [0; SLOTS];
        let mut api = [const { None }; SLOTS];
        for (slot, object) in api.iter_mut().enumerate() {
            let first = self.claims[slot].first();
            *object = first.map(|numbers| new_object(slot, &mut made, *numbers));
        }
        let replicas = (0..self.replicas).map(|at| Kept::new(Replica::new(self.mark(at), &api))).collect();
        let mut world = World {
            since: [[1; NUMBERS]; SLOTS],
            api: Kept::new(api),
            made,
            lease: None,
            processes: self.replicas,
            terms: 0,
            confirmed: 0,
            redis: Kept::new(Redis::default()),
            replicas,
            late: Vec::new(),
            excused: 0,
            left: Budget::default(),
            superseded: false,
            rerouted: false,
            unheard: false,
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
            for at in 1..self.replicas {
                world.replicas[usize::from(at)] = Kept::new(Replica::new(self.mark(at), &world.api));
            }
        }
        World { left: self.budget, ..world }
    }

    fn mark(&self, process: u8) -> u8 {
        if self.bug == Some(Bug::NumbersUnmarked) { 0 } else { process }
    }

    pub fn step(&self, before: &World, action: &Action) -> World {
        let mut world = before.clone();
        world.act(self, action);
        world
    }
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
        let mut properties = vec![
            Property::always(truth::SERVED, |_, world: &World| {
                (0..NUMBERS).all(|number| world.is_served(number) || world.excused & 1 << number != 0)
            }),
            Property::always(truth::ONE_WRITER, |_, world: &World| !world.superseded),
            Property::always(truth::LIVE_CALLS_FIRST, |_, world: &World| !world.rerouted),
            Property::always(truth::NOTHING_LATE, |_, world: &World| !world.unheard),
            Property::always(truth::IN_THE_END, |_, world: &World| {
                !world.is_at_rest() || truth::is_told(world)
            }),
        ];
        properties.extend(self.shows.iter().map(|shows| match shows {
            Shows::Fence => Property::sometimes("a script is refused for its number", |_, world: &World| {
                world.seen.fenced
            }),
            Shows::HandOver => {
                Property::sometimes("a number is handed over in one step", |_, world: &World| {
                    world.seen.handed_over
                })
            }
            Shows::Together => {
                Property::sometimes("two resources are published in one step", |_, world: &World| {
                    world.seen.together
                })
            }
        }));
        properties
    }
}
