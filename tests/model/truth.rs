//! The properties that must hold, judged by the resources and by Redis alone.

use runtime_operator::contract::Did;

use crate::objects::{Object, Status};
use crate::reading;
use crate::redis::Redis;
use crate::values::{
    self, DID_COUNT, DidSet, EXTERNAL_TENANT, NEIGHBOUR_DIDS, NEIGHBOUR_TENANT, SLOTS, SUSPEND,
};
use crate::world::{Neighbour, World};

pub const SERVED: &str = "no DID maps to a tenant whose config is missing or does not list it";
pub const ONE_WRITER: &str = "no write of a superseded leader is accepted";
pub const LIVE_CALLS_FIRST: &str = "a published DID stays with the resource that claims it";
pub const OTHERS_KEEP: &str = "what another cluster or an older publisher holds stays with it";
pub const SUSPENDED: &str = "no suspended resource is published";
pub const NOTHING_LATE: &str = "a late script changes nothing that a leader has read";
pub const IN_THE_END: &str = "at rest, Redis and every status match the resources";

/// True if Redis matches the resources, and the statuses match Redis.
pub fn is_consistent(world: &World) -> bool {
    (0..DID_COUNT).all(|nth| is_held_rightly(world, nth))
        && (0..SLOTS).all(|slot| world.broken[slot] || is_published_rightly(world, slot))
}

/// True if a DID is mapped to one of its claimants, and to none if no resource claims it.
fn is_held_rightly(world: &World, nth: usize) -> bool {
    let did = values::did(nth);
    let is_suspended =
        |slot: usize| world.api[slot].as_ref().is_some_and(|object| object.dids & SUSPEND != 0);
    let claims = |slot: usize| world.api[slot].as_ref().is_some_and(|object| object.dids & 1 << nth != 0);
    let recorded = world.redis.owners.contains_key(did);
    match world.redis.maps(did) {
        // It is published once its Secret can be read.
        None => {
            !recorded && !(0..SLOTS).any(|slot| claims(slot) && !world.broken[slot] && !is_suspended(slot))
        }
        Some(NEIGHBOUR_TENANT) => {
            world.neighbour == Some(Neighbour::Exists) && NEIGHBOUR_DIDS & 1 << nth != 0
        }
        // Another client mapped it while no resource had it: the operator never reroutes it silently.
        Some(EXTERNAL_TENANT) => !recorded,
        // What was published stays while its Secret can't be read, while it is suspended, and until it is adopted.
        Some(tenant) => values::slot_of(tenant).is_some_and(|slot| {
            claims(slot)
                || world.broken[slot]
                || is_suspended(slot)
                || (slot == 0 && world.older & 1 << nth != 0)
        }),
    }
}

/// True if a resource's config and record list the DIDs that are mapped to it, and its status says so.
fn is_published_rightly(world: &World, slot: usize) -> bool {
    let (redis, tenant) = (&world.redis, values::tenant(slot).as_str());
    let holds: DidSet = (0..DID_COUNT)
        .filter(|nth| redis.maps(values::did(*nth)) == Some(tenant))
        .fold(0, |set, nth| set | 1 << nth);
    let (config, record) = (redis.configs.get(tenant), redis.records.get(tenant));
    let Some(object) = &world.api[slot] else { return config.is_none() && record.is_none() && holds == 0 };
    let suspended = object.dids & SUSPEND != 0;
    let adopts = slot == 0 && world.older != 0;
    // The config of a suspended resource may list what another one has taken since.
    let held = values::did_list(holds);
    let lists = |dids: &[Did]| dids == held || (suspended && held.iter().all(|did| dids.contains(did)));
    let published = match (config, record) {
        (Some(_), None) if adopts => holds == world.older && object.dids & holds != holds,
        (None, None) => holds == 0,
        (Some(config), Some(record)) => {
            holds != 0
                && lists(&config.dids)
                && record.dids == values::did_list(holds)
                && (record.generation == i64::from(object.generation)) != suspended
                && values::resource(&record.uid.as_str().into()) == object.resource
                && redis.is_intact(tenant)
        }
        _ => false,
    };
    let elsewhere = if reading::is_neighbour_live(redis) { object.dids & NEIGHBOUR_DIDS } else { 0 };
    let ready = holds == object.dids;
    let status = Status {
        generation: object.generation,
        published: if adopts { 0 } else { holds },
        elsewhere,
        took_over: object.annotated,
        ready,
    };
    published && !object.deleting && object.finalizer && object.status == Some(status)
}

/// True if a DID moved to another record from that of a resource that has claimed it all the time.
pub fn reroutes(
    before: &Redis,
    after: &Redis,
    api: &[Option<Object>; SLOTS],
    since: [[u8; DID_COUNT]; SLOTS],
) -> bool {
    moved(before, after).any(|(nth, slot)| {
        let record = &before.records[values::tenant(slot).as_str()];
        api[slot].as_ref().is_some_and(|object| {
            object.resource == values::resource(&record.uid.as_str().into())
                && !object.deleting
                && object.dids & 1 << nth != 0
                && i64::from(since[slot][nth]) <= record.generation
        })
    })
}

/// True if a DID moved from one tenant to another.
pub fn transfers(before: &Redis, after: &Redis) -> bool {
    moved(before, after).next().is_some()
}

/// The DIDs that move from one record to another, with the slot that they leave.
fn moved<'a>(before: &'a Redis, after: &'a Redis) -> impl Iterator<Item = (usize, usize)> + 'a {
    let holder = |redis: &Redis, nth: usize| {
        let lists = |slot: &usize| {
            let record = redis.records.get(values::tenant(*slot).as_str());
            record.is_some_and(|record| record.dids.contains(values::did(nth)))
        };
        (0..SLOTS).find(lists)
    };
    (0..DID_COUNT).filter_map(move |nth| {
        let (from, to) = (holder(before, nth)?, holder(after, nth)?);
        (from != to).then_some((nth, from))
    })
}

/// True if a record says that a version of a resource was published that is suspended.
pub fn publishes_suspended(world: &World) -> bool {
    (0..SLOTS).any(|slot| {
        let record = world.redis.records.get(values::tenant(slot).as_str());
        world.api[slot].as_ref().zip(record).is_some_and(|(object, record)| {
            object.dids & SUSPEND != 0
                && values::resource(&record.uid.as_str().into()) == object.resource
                && record.generation == i64::from(object.generation)
        })
    })
}

/// True if the adoption of an older publisher's config has unmapped one of these DIDs.
pub fn unmaps(after: &Redis, older: DidSet) -> bool {
    let tenant = values::tenant(0).as_str();
    values::each(older).any(|nth| after.maps(values::did(nth)) != Some(tenant))
}
