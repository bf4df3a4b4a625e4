//! Reads the ownership records, and compares the keys in Redis with them.

use redis::{Cmd, Value};

use super::client::Store;
use super::connection::{Repeat, StoreError};
use super::keys::{DIDS_KEY, record_key, tenants_key};
use super::script;
use crate::contract::{Did, TenantId};
use crate::domain::{ClusterId, Owner, OwnershipRecord, Uid};

/// The number of tenants per script call: enough to be fast, and few enough that calls of the voice runtime get in
/// between.
const TENANTS_PER_CALL: usize = 32;
/// The number of records per round trip.
const RECORDS_PER_ROUND_TRIP: usize = 1000;

/// The fields of a record, in the scripts' order.
pub(super) const RECORD_FIELDS: [&str; 10] =
    ["cluster", "owner", "uid", "generation", "secret", "dids", "hash", "sha1", "stamped", "taken"];

/// A tenant's record, and whether the keys in Redis match it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// The record, if there is one.
    pub record: Option<OwnershipRecord>,
    /// The stored config's SHA-1 is the record's, each DID of the record maps to the tenant, and the indexes of records
    /// and DIDs agree. Always `false` without a record.
    pub intact: bool,
}

impl Store {
    /// Compares the tenants' keys with their records, in one round trip; returns one result per tenant, in their order.
    /// No config leaves Redis.
    pub async fn inspect(&self, tenants: &[TenantId]) -> Result<Vec<Inspection>, StoreError> {
        let calls: Vec<Cmd> = tenants.chunks(TENANTS_PER_CALL).map(inspect_call).collect();
        if calls.is_empty() {
            return Ok(Vec::new());
        }
        let replies = self.call(Repeat::Once, &script::INSPECT, &calls).await?;
        let mut rows = Vec::with_capacity(tenants.len());
        for reply in replies {
            let reply = redis::from_redis_value::<(String, Vec<Value>)>(reply);
            let (denied, more) = reply.map_err(|_| StoreError::unexpected_reply())?;
            self.note_denied(&denied, true);
            rows.extend(more);
        }
        if rows.len() != tenants.len() {
            return Err(StoreError::unexpected_reply());
        }
        Ok(tenants.iter().zip(rows).map(|(tenant, row)| decode_inspection(tenant, row)).collect())
    }

    /// Returns the tenants in the index of a cluster's records, in no order.
    pub async fn tenants(&self, cluster: &ClusterId) -> Result<Vec<TenantId>, StoreError> {
        let tenants = self.query(redis::cmd("SMEMBERS").arg(tenants_key(cluster))).await;
        let tenants: Vec<Vec<u8>> = match tenants {
            // An index of another type is empty. The next publication replaces it.
            Err(StoreError::WrongType { .. }) => Vec::new(),
            tenants => tenants?,
        };
        Ok(tenants.iter().filter_map(|id| TenantId::parse(std::str::from_utf8(id).ok()?).ok()).collect())
    }

    /// Returns the records in the index of a cluster, in no order, each with [`Inspection::intact`].
    pub async fn records(&self, cluster: &ClusterId) -> Result<Vec<(OwnershipRecord, bool)>, StoreError> {
        self.filter_records(cluster, |record, intact| Some((record, intact))).await
    }

    /// Like [`records`](Self::records), but maps and filters each record with `keep` while the others are being read,
    /// so that the records need not be in memory at the same time.
    pub async fn filter_records<T>(
        &self,
        cluster: &ClusterId,
        mut keep: impl FnMut(OwnershipRecord, bool) -> Option<T>,
    ) -> Result<Vec<T>, StoreError> {
        let tenants = self.tenants(cluster).await?;
        let mut kept = Vec::with_capacity(tenants.len());
        for batch in tenants.chunks(RECORDS_PER_ROUND_TRIP) {
            for inspection in self.inspect(batch).await? {
                let record = inspection.record.filter(|record| record.cluster == *cluster);
                kept.extend(record.and_then(|record| keep(record, inspection.intact)));
            }
        }
        Ok(kept)
    }
}

fn inspect_call(tenants: &[TenantId]) -> Cmd {
    let mut call = script::call(&script::INSPECT);
    call.arg(tenants.len() + 1).arg(DIDS_KEY);
    for tenant in tenants {
        call.arg(record_key(tenant.as_str()));
    }
    for tenant in tenants {
        call.arg(tenant.as_str());
    }
    call
}

fn decode_inspection(tenant: &TenantId, row: Value) -> Inspection {
    let Value::Array(mut row) = row else { return Inspection { record: None, intact: false } };
    let intact = !row.is_empty() && matches!(row.remove(0), Value::Int(1));
    let record = decode_row(tenant, Value::Array(row));
    Inspection { intact: intact && record.is_some(), record }
}

fn decode_row(tenant: &TenantId, row: Value) -> Option<OwnershipRecord> {
    let fields: Vec<String> = redis::from_redis_value(row).ok()?;
    decode_record(tenant, fields.try_into().ok()?)
}

/// Builds a record from its fields, in the scripts' order; `None` if no script can have written it.
pub(super) fn decode_record(tenant: &TenantId, fields: [String; 10]) -> Option<OwnershipRecord> {
    let [cluster, owner, uid, generation, secret, dids, hash, sha1, _stamped, _taken] = fields;
    let (namespace, name) = owner.split_once('/')?;
    Some(OwnershipRecord {
        tenant: tenant.clone(),
        cluster: ClusterId::new(cluster),
        owner: Owner { namespace: namespace.to_owned(), name: name.to_owned(), uid: Uid::new(uid) },
        generation: generation.parse().ok()?,
        secret,
        dids: dids.split_whitespace().map(Did::parse_exact).collect::<Result<_, _>>().ok()?,
        hash,
        sha1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_no_script_wrote_is_ignored() {
        let tenant = TenantId::parse("acme").unwrap();
        let fields =
            ["c", "ns/acme", "u", "1", "reference", "+1555 +1556", "h", "s", "", ""].map(str::to_owned);
        assert!(decode_record(&tenant, fields.clone()).is_some());
        for (i, wrong) in [(1, "acme"), (3, "one"), (5, "1555")] {
            let mut fields = fields.clone();
            fields[i] = wrong.to_owned();
            assert_eq!(decode_record(&tenant, fields), None);
        }
    }
}
