//! What the records say, and whether Redis still holds it.

use redis::{Cmd, Value};

use super::wire::decode_record;
use super::{DIDS_KEY, Inspection, Store, StoreError, record_key, script, tenants_key};
use crate::contract::TenantId;
use crate::domain::{ClusterId, OwnershipRecord};

/// How many tenants one script call looks at: enough to be fast, few enough that calls of the voice runtime get in
/// between.
const TENANTS_A_CALL: usize = 32;
/// How many records one round trip reads.
const RECORDS_A_TRIP: usize = 1000;

impl Store {
    /// Compares what is stored with the records, in one round trip; one answer for each tenant, in their order.
    /// Nothing of a config leaves Redis.
    pub async fn inspect(&self, tenants: &[TenantId]) -> Result<Vec<Inspection>, StoreError> {
        let calls: Vec<Cmd> = tenants.chunks(TENANTS_A_CALL).map(inspect_call).collect();
        if calls.is_empty() {
            return Ok(Vec::new());
        }
        let answers = self.run(&script::INSPECT, &calls).await?;
        let mut rows = Vec::with_capacity(tenants.len());
        for answer in answers {
            rows.extend(
                redis::from_redis_value::<Vec<Value>>(answer).map_err(|_| super::unexpected_reply())?,
            );
        }
        if rows.len() != tenants.len() {
            return Err(super::unexpected_reply());
        }
        Ok(tenants.iter().zip(rows).map(|(tenant, row)| decode_inspection(tenant, row)).collect())
    }

    /// The tenants of a cluster, by the index of its records; in no order.
    pub async fn tenants(&self, cluster: &ClusterId) -> Result<Vec<TenantId>, StoreError> {
        let tenants: Vec<Vec<u8>> = self.query(redis::cmd("SMEMBERS").arg(tenants_key(cluster))).await?;
        Ok(tenants.iter().filter_map(|id| TenantId::parse(std::str::from_utf8(id).ok()?).ok()).collect())
    }

    /// The records of a cluster's tenants, by their index, each with whether Redis holds exactly what it says; in no order.
    pub async fn records(&self, cluster: &ClusterId) -> Result<Vec<(OwnershipRecord, bool)>, StoreError> {
        self.filter_records(cluster, |record, intact| Some((record, intact))).await
    }

    /// What `keep` makes of each of the same records: nothing else is held of them.
    pub async fn filter_records<T>(
        &self,
        cluster: &ClusterId,
        mut keep: impl FnMut(OwnershipRecord, bool) -> Option<T>,
    ) -> Result<Vec<T>, StoreError> {
        let tenants = self.tenants(cluster).await?;
        let mut kept = Vec::with_capacity(tenants.len());
        for some in tenants.chunks(RECORDS_A_TRIP) {
            for found in self.inspect(some).await? {
                let record = found.record.filter(|record| record.cluster == *cluster);
                kept.extend(record.and_then(|record| keep(record, found.intact)));
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
