//! What must be true, by the resources and by Redis alone.

use crate::cast::{self, NUMBERS, Numbers, SLOTS, STRANGER};
use crate::index::{Object, Told};
use crate::redis::Redis;
use crate::world::World;

pub const SERVED: &str = "no number maps to a tenant whose config is missing or does not list it";
pub const ONE_WRITER: &str = "nothing is accepted from a leader that was superseded";
pub const LIVE_CALLS_FIRST: &str = "a live number stays with whoever claims it";
pub const NOTHING_LATE: &str = "what comes late changes nothing that a leader has read";
pub const IN_THE_END: &str = "at rest Redis and every status are what the resources say";

/// Whether Redis is what the resources say, and the statuses are what Redis is.
pub fn is_told(world: &World) -> bool {
    (0..NUMBERS).all(|number| is_held_rightly(world, number))
        && (0..SLOTS).all(|slot| is_published_rightly(world, slot))
}

/// A number is one of its claimants', and nobody's if nobody claims it.
fn is_held_rightly(world: &World, number: usize) -> bool {
    let did = cast::did(number);
    let claims =
        |slot: usize| world.api[slot].as_ref().is_some_and(|object| object.numbers & 1 << number != 0);
    let recorded = world.redis.owners.contains_key(did);
    match world.redis.maps(did) {
        None => !recorded && !(0..SLOTS).any(claims),
        // From outside, when it was nobody's: never silently rerouted.
        Some(STRANGER) => !recorded,
        Some(tenant) => cast::slot_of(tenant).is_some_and(claims),
    }
}

/// A resource's config and record are those of the numbers that map to it, and its status says so.
fn is_published_rightly(world: &World, slot: usize) -> bool {
    let (redis, tenant) = (&world.redis, cast::tenant(slot).as_str());
    let holds: Numbers = (0..NUMBERS)
        .filter(|number| redis.maps(cast::did(*number)) == Some(tenant))
        .fold(0, |set, number| set | 1 << number);
    let (config, record) = (redis.configs.get(tenant), redis.records.get(tenant));
    let Some(object) = &world.api[slot] else { return config.is_none() && record.is_none() && holds == 0 };
    let published = match (config, record) {
        (None, None) => holds == 0,
        (Some(config), Some(record)) => {
            holds != 0
                && config.dids == cast::dids(holds)
                && record.dids == cast::dids(holds)
                && record.generation == i64::from(object.generation)
                && cast::who(&record.uid.as_str().into()) == object.who
                && redis.is_intact(tenant)
        }
        _ => false,
    };
    let told = Told { generation: object.generation, live: holds, ready: holds == object.numbers };
    published && !object.deleting && object.finalizer && object.status == Some(told)
}

/// Whether a number went from the record of a resource that claims it, and has claimed it since, to another's.
pub fn reroutes(
    before: &Redis,
    after: &Redis,
    api: &[Option<Object>; SLOTS],
    since: [[u8; NUMBERS]; SLOTS],
) -> bool {
    moved(before, after).any(|(number, slot)| {
        let record = &before.records[cast::tenant(slot).as_str()];
        api[slot].as_ref().is_some_and(|object| {
            object.who == cast::who(&record.uid.as_str().into())
                && !object.deleting
                && object.numbers & 1 << number != 0
                && i64::from(since[slot][number]) <= record.generation
        })
    })
}

/// Whether a number went from one tenant to another in one step.
pub fn hands_over(before: &Redis, after: &Redis) -> bool {
    moved(before, after).next().is_some()
}

/// The numbers that go from one record to another's, with whom they leave.
fn moved<'a>(before: &'a Redis, after: &'a Redis) -> impl Iterator<Item = (usize, usize)> + 'a {
    let holder = |redis: &Redis, number: usize| {
        let lists = |slot: &usize| {
            let record = redis.records.get(cast::tenant(*slot).as_str());
            record.is_some_and(|record| record.dids.contains(cast::did(number)))
        };
        (0..SLOTS).find(lists)
    };
    (0..NUMBERS).filter_map(move |number| {
        let (from, to) = (holder(before, number)?, holder(after, number)?);
        (from != to).then_some((number, from))
    })
}
