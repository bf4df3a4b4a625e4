//! The operator's reads in Redis.

use crate::index::{FoundRecord, Record, Version};
use crate::redis::Redis;
use crate::values::{self, Resource, SLOTS, Slot};

/// The owner of a slot's tenant id by its record, and what the record says.
pub fn recorded(redis: &Redis, slot: Slot) -> Option<(Resource, Record)> {
    let tenant = values::tenant(slot).as_str();
    // Only a record that is in the index of records is found.
    let record = redis.records.get(tenant)?;
    redis.members.get(&(record.cluster.clone(), tenant.to_owned()))?;
    let dids = values::dids_of_hash(slot, &record.hash);
    let version = Version { generation: u8::try_from(record.generation).unwrap(), dids };
    Some((values::resource(&record.uid.as_str().into()), (slot, values::did_set(&record.dids), version)))
}

/// `drifted.lua`, for a DID.
pub fn did_as_recorded(redis: &Redis, nth: usize) -> bool {
    let did = values::did(nth);
    redis.owners.get(did).is_some_and(|owner| {
        redis.maps(did) == Some(owner)
            && redis.records.get(owner).is_some_and(|record| {
                record.cluster == values::cluster().as_str() && record.dids.contains(did)
            })
    })
}

/// `drifted.lua`, for a config.
pub fn config_as_recorded(redis: &Redis, tenant: &str) -> bool {
    let record = redis.records.get(tenant);
    redis.configs.get(tenant).is_some_and(|config| record.is_some_and(|record| record.sha1 == config.sha1))
}

/// True if Redis knows the other cluster's operator.
pub fn is_neighbour_present(redis: &Redis) -> bool {
    redis.epochs.contains_key(values::NEIGHBOUR_WRITER) || is_neighbour_live(redis)
}

/// True if the other cluster's tenant is published.
pub fn is_neighbour_live(redis: &Redis) -> bool {
    let record = redis.records.get(values::NEIGHBOUR_TENANT);
    record.is_some_and(|record| record.dids == values::did_list(values::NEIGHBOUR_DIDS))
}

/// All records, each with its owner and with whether Redis holds exactly what it says.
pub fn records(redis: &Redis) -> Vec<FoundRecord> {
    let record = |slot| {
        let (owner, record) = recorded(redis, slot)?;
        Some((owner, record, redis.is_intact(values::tenant(slot).as_str())))
    };
    (0..SLOTS).filter_map(record).collect()
}
