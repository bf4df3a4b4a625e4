//! Publishes and removes tenants: all operations of one call in one atomic script, or none.

mod applied;
mod operation;
mod wire;

use std::borrow::Borrow;

use redis::Cmd;
use secrecy::ExposeSecret;

use super::client::Store;
use super::connection::StoreError;
use super::keys::{DIDS_KEY, EPOCH_KEY, EPOCHS_KEY, record_key, tenants_key};
use super::script;
use crate::contract::{Did, config_key, did_key};
use crate::domain::{ClusterId, Epoch};

pub use applied::{Adoption, Applied, Conflict, TakenOver};
pub use operation::{Operation, Publication, Removal};

impl Store {
    /// Applies all operations in one atomic script call, or none if one is rejected; returns one result per operation.
    ///
    /// Later operations see the effects of earlier ones, so two tenants can exchange DIDs. Safe to repeat. The error is
    /// [`StoreError::Fenced`] when `epoch` is not the current one: then nothing was written, nor will be.
    pub async fn apply(
        &self,
        epoch: Epoch,
        cluster: &ClusterId,
        operations: &[impl Borrow<Operation>],
    ) -> Result<Vec<Applied>, StoreError> {
        if operations.is_empty() {
            return Ok(Vec::new());
        }
        let call = self.apply_call(epoch, cluster, operations)?;
        let replies = self.run(&script::APPLY, &[call]).await?;
        let reply = replies.into_iter().next().ok_or_else(StoreError::unexpected_reply)?;
        let reply: Vec<u8> = redis::from_redis_value(reply).map_err(|_| StoreError::unexpected_reply())?;
        let reply = wire::decode_reply(&reply, operations.len());
        if let Err(StoreError::Fenced { current: Some(current) }) = reply {
            self.seen.note(current);
        }
        let wire::Reply { applied, denied, replaced } = reply?;
        self.note_denied(&denied, false);
        if !replaced.is_empty() {
            self.connection.observe(|observer| observer.on_replaced(&replaced));
        }
        Ok(applied)
    }

    fn apply_call(
        &self,
        epoch: Epoch,
        cluster: &ClusterId,
        operations: &[impl Borrow<Operation>],
    ) -> Result<Cmd, StoreError> {
        let mut keys =
            vec![EPOCH_KEY.to_owned(), EPOCHS_KEY.to_owned(), DIDS_KEY.to_owned(), tenants_key(cluster)];
        let operations = || operations.iter().map(Borrow::borrow);
        for operation in operations() {
            keys.push(record_key(operation.tenant().as_str()));
            keys.push(config_key(operation.tenant()));
            let (dids, previously_listed): (&[Did], &[Did]) = match operation {
                Operation::Publish(publication) => (&publication.dids, &publication.previously_listed),
                Operation::Remove(removal) => (&[], &removal.previously_listed),
            };
            keys.extend(dids.iter().chain(previously_listed).map(did_key));
        }
        let mut call = script::call(&script::APPLY);
        call.arg(keys.len()).arg(&keys);
        call.arg(format!("{epoch}/{}", self.process_id));
        call.arg(wire::encode_plan(&self.writer, cluster, operations())?);
        for operation in operations() {
            match operation {
                Operation::Publish(publication) => call.arg(publication.config.expose_secret()),
                Operation::Remove(_) => call.arg(""),
            };
        }
        Ok(call)
    }
}
