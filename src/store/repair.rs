//! Repairs by the records alone, while the API server is away.

use redis::Cmd;

use super::client::Store;
use super::connection::StoreError;
use super::keys::{DIDS_KEY, EPOCH_KEY, EPOCHS_KEY, record_key};
use super::script;
use crate::contract::{Did, config_key, did_key};
use crate::domain::index::Recorded;
use crate::domain::{ClusterId, Epoch, Uid};

/// The number of tenants in one round trip.
const TENANTS_PER_ROUND_TRIP: usize = 256;

impl Store {
    /// Repairs the mappings and the expiry of tenants whose record and config Redis holds as they are known here. Returns
    /// the number of keys that were repaired. The error is [`StoreError::Fenced`] when `epoch` is not the current one.
    pub async fn repair_by_record(
        &self,
        epoch: Epoch,
        cluster: &ClusterId,
        tenants: &[(Uid, Recorded)],
    ) -> Result<u64, StoreError> {
        let mut repaired = 0;
        for batch in tenants.chunks(TENANTS_PER_ROUND_TRIP) {
            let calls: Vec<Cmd> = batch.iter().map(|known| self.repair_call(epoch, cluster, known)).collect();
            for reply in self.run(&script::REPAIR, &calls).await? {
                let reply: Vec<redis::Value> =
                    redis::from_redis_value(reply).map_err(|_| StoreError::unexpected_reply())?;
                match &reply[..] {
                    [redis::Value::Int(count)] => repaired += u64::try_from(*count).unwrap_or_default(),
                    [_, current] => {
                        let current: Result<u64, _> = redis::from_redis_value(current.clone());
                        return Err(StoreError::Fenced { current: current.ok().map(Epoch) });
                    }
                    _ => return Err(StoreError::unexpected_reply()),
                }
            }
        }
        Ok(repaired)
    }

    fn repair_call(&self, epoch: Epoch, cluster: &ClusterId, (uid, known): &(Uid, Recorded)) -> Cmd {
        let Recorded { published, version } = known;
        let tenant = published.tenant.as_str();
        let mut keys = vec![EPOCH_KEY.to_owned(), EPOCHS_KEY.to_owned(), DIDS_KEY.to_owned()];
        keys.push(record_key(tenant));
        keys.push(config_key(&published.tenant));
        keys.extend(published.dids.iter().map(did_key));
        let dids: Vec<&str> = published.dids.iter().map(Did::as_str).collect();
        let mut call = script::call(&script::REPAIR);
        call.arg(keys.len()).arg(&keys);
        call.arg(format!("{epoch}/{}", self.process_id)).arg(&*self.writer).arg(tenant);
        call.arg(cluster.as_str()).arg(uid.as_str()).arg(version.generation);
        call.arg(&version.secret).arg(&version.hash).arg(dids.join(" "));
        call
    }
}
