//! What an operator reads in Redis.

use crate::cast::{self, Numbers, Slot, Who};
use crate::index::Print;
use crate::plans::Todo;
use crate::redis::Redis;

/// The owner by record, and what its record says.
pub fn recorded(redis: &Redis, slot: Slot) -> Option<(Who, (Slot, Numbers, Print))> {
    let tenant = cast::tenant(slot).as_str();
    // Found by the index of records.
    let record = redis.records.get(tenant)?;
    redis.members.get(&(record.cluster.clone(), tenant.to_owned()))?;
    let numbers = (0..1 << cast::NUMBERS).find(|set| cast::hash(slot, *set) == record.hash).unwrap();
    let print = Print { generation: u8::try_from(record.generation).unwrap(), numbers };
    Some((cast::who(&record.uid.as_str().into()), (slot, cast::numbers(&record.dids), print)))
}

/// As `verify` in `controller::prepare`: Redis holds exactly what is wanted.
pub fn holds(redis: &Redis, wanted: &Todo) -> bool {
    let slot = wanted.call.slot();
    recorded(redis, slot).is_some_and(|(who, record)| who == wanted.who && Some(record) == wanted.after)
        && redis.is_intact(cast::tenant(slot).as_str())
}

/// `drifted.lua`, for a number.
pub fn number_as_recorded(redis: &Redis, number: usize) -> bool {
    let did = cast::did(number);
    redis.owners.get(did).is_some_and(|owner| {
        redis.maps(did) == Some(owner)
            && redis.records.get(owner).is_some_and(|record| record.dids.contains(did))
    })
}

/// `drifted.lua`, for a config.
pub fn config_as_recorded(redis: &Redis, tenant: &str) -> bool {
    let record = redis.records.get(tenant);
    redis.configs.get(tenant).is_some_and(|config| record.is_some_and(|record| record.sha1 == config.sha1))
}
