//! A scenario to explore: its resources, its budget of faults, the planted bug; and the properties that must hold.

use stateright::{Model, Property};

use crate::redis::Redis;
use crate::replica::Replica;
use crate::shared::Shared;
use crate::truth;
use crate::values::{self, DID_COUNT, DidSet, SLOTS};
use crate::world::{Action, Neighbour, Observed, World, new_object};

/// The first DID alone.
pub const X: DidSet = 0b01;
/// The second DID alone.
pub const Y: DidSet = 0b10;
/// Both DIDs.
pub const BOTH: DidSet = X | Y;

/// The number of times that each thing may happen in a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Budget {
    /// A user changes a spec.
    pub edits: u8,
    /// A user deletes a resource.
    pub deletions: u8,
    /// A user creates a deleted resource again.
    pub creations: u8,
    /// A process dies, and another one starts immediately.
    pub crashes: u8,
    /// A replica acquires the Lease of a holder that was frozen until it expired.
    pub expired_leases: u8,
    /// A replica that has lost the Lease writes to Kubernetes before it notices. Without a budget, two replicas would
    /// overwrite each other for ever.
    pub overstays: u8,
    /// A script's reply never comes. If the script had not run yet, it runs late.
    pub timeouts: u8,
    /// An epoch is acquired by a process that never uses it.
    pub stray_epochs: u8,
    /// Another client deletes a mapping or a config.
    pub losses: u8,
    /// Another client maps a DID to a tenant id that no resource has.
    pub reroutes: u8,
    /// Another client flushes Redis.
    pub flushes: u8,
    /// A watch loses an event, and lists again.
    pub relists: u8,
    /// Signals about writes of other clients are lost: the next audit finds the differences.
    pub dropped_signals: u8,
    /// The other cluster's tenant is deleted.
    pub neighbour_deletions: u8,
    /// The other cluster's tenant takes back what was taken over from it.
    pub take_backs: u8,
    /// A Secret can't be read, until it can.
    pub broken_secrets: u8,
}

/// A planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bug {
    /// Scripts don't check the epoch.
    NoFence,
    /// Mappings are written before configs, by two scripts.
    MappingFirst,
    /// Resources that are affected by a change of another one are not reconciled.
    NoPromotion,
    /// The Lease is not read again after the epoch was acquired.
    LeaseNotConfirmed,
    /// Two processes that acquired the same epoch can't be distinguished.
    NoProcessIds,
    /// An owner yields even if it was published again since.
    YieldsForever,
    /// The reply to a write that ran before Redis was read is taken for the newer state.
    LateRepliesTrusted,
    /// The epoch is kept although a write that carries it may run late.
    EpochKept,
    /// After a loss, what statuses say that others hold is free for all.
    HoldersNotFirst,
    /// A tenant that can't be published holds up the one from which it takes a DID.
    TakersHoldUp,
    /// The annotation `take-over` works again after it has worked.
    TakesOverForever,
    /// An older publisher's config is adopted even where that unmaps DIDs.
    AdoptsBlindly,
    /// A suspended resource is published.
    SuspendIgnored,
}

/// A scenario to explore.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub replicas: u8,
    /// The sets of DIDs that each slot's resource may claim; the first one at the start. Empty: the resource does not
    /// exist at the start.
    pub claims: [&'static [DidSet]; SLOTS],
    /// True if everything is published, reported and at rest at the start, with the first replica as leader.
    pub starts_at_rest: bool,
    /// Another cluster shares Redis, and holds the first DID.
    pub shares_redis: bool,
    /// At the start, an older publisher has published both DIDs for the first resource's tenant id.
    pub is_adopted: bool,
    pub budget: Budget,
    /// The things that must happen in some run, so that no property holds only because nothing was tried.
    pub must_happen: &'static [MustHappen],
    pub bug: Option<Bug>,
}

impl Scenario {
    /// One replica, with everything at rest at the start, on a Redis of its own.
    pub fn one(claims: [&'static [DidSet]; SLOTS], budget: Budget) -> Self {
        Self {
            replicas: 1,
            claims,
            starts_at_rest: true,
            shares_redis: false,
            is_adopted: false,
            budget,
            must_happen: &[],
            bug: None,
        }
    }
}

/// Something that happens in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MustHappen {
    /// A script is rejected for its epoch.
    Fence,
    /// A DID is transferred from one resource to another by one script.
    Transfer,
    /// Two resources are published by one script.
    Together,
}

impl Scenario {
    pub fn start(&self) -> World {
        let mut made = [0; SLOTS];
        let mut api = [const { None }; SLOTS];
        for (slot, object) in api.iter_mut().enumerate() {
            let first = self.claims[slot].first();
            *object = first.map(|dids| new_object(slot, &mut made, *dids));
        }
        let replicas =
            (0..self.replicas).map(|at| Shared::new(Replica::new(self.process_id(at), &api))).collect();
        let mut world = World {
            since: [[1; DID_COUNT]; SLOTS],
            api: Shared::new(api),
            made,
            lease: None,
            processes: self.replicas,
            terms: 0,
            confirmed: 0,
            redis: Shared::new(Redis::default()),
            neighbour: self.shares_redis.then_some(Neighbour::Exists),
            broken: [false; SLOTS],
            older: 0,
            replicas,
            late: Vec::new(),
            excused: 0,
            left: Budget::default(),
            superseded: false,
            rerouted: false,
            late_write: false,
            observed: Observed::default(),
        };
        if self.is_adopted {
            world.older = BOTH;
            world.redis.alter(|redis| redis.publish_as_an_older_publisher(values::tenant(0), BOTH));
        }
        if self.starts_at_rest {
            if self.shares_redis {
                world = self.apply(&world, &Action::PublishNeighbour);
            }
            loop {
                let mut actions = Vec::new();
                world.progress(&mut actions);
                let Some(action) = actions.into_iter().next() else { break };
                world = self.apply(&world, &action);
            }
            // The other replicas start later, with the state of then.
            for at in 1..self.replicas {
                world.replicas[usize::from(at)] = Shared::new(Replica::new(self.process_id(at), &world.api));
            }
        }
        World { left: self.budget, ..world }
    }

    fn process_id(&self, process: u8) -> u8 {
        if self.bug == Some(Bug::NoProcessIds) { 0 } else { process }
    }

    pub fn apply(&self, before: &World, action: &Action) -> World {
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
        world.progress(actions);
        world.faults(self, actions);
    }

    fn next_state(&self, before: &World, action: Action) -> Option<World> {
        Some(self.apply(before, &action))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always(truth::SERVED, |_, world: &World| {
                (0..DID_COUNT).all(|nth| world.is_served(nth) || world.excused & 1 << nth != 0)
            }),
            Property::always(truth::ONE_WRITER, |_, world: &World| !world.superseded),
            Property::always(truth::LIVE_CALLS_FIRST, |_, world: &World| !world.rerouted),
            Property::always(truth::OTHERS_KEEP, |_, world: &World| world.neighbour != Some(Neighbour::Lost)),
            Property::always(truth::SUSPENDED, |_, world: &World| !truth::publishes_suspended(world)),
            Property::always(truth::NOTHING_LATE, |_, world: &World| !world.late_write),
            Property::always(truth::IN_THE_END, |_, world: &World| {
                !world.is_at_rest() || truth::is_consistent(world)
            }),
        ];
        properties.extend(self.must_happen.iter().map(|must_happen| match must_happen {
            MustHappen::Fence => {
                Property::sometimes("a script is rejected for its epoch", |_, world: &World| {
                    world.observed.fenced
                })
            }
            MustHappen::Transfer => {
                Property::sometimes("a DID is transferred by one script", |_, world: &World| {
                    world.observed.transferred
                })
            }
            MustHappen::Together => {
                Property::sometimes("two resources are published by one script", |_, world: &World| {
                    world.observed.together
                })
            }
        }));
        properties
    }
}
