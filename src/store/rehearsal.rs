//! A rehearsal of a publish: every command that one needs, without an effect.

use super::client::Store;
use super::connection::StoreError;
use super::keys::{EPOCH_KEY, EPOCHS_KEY, REHEARSAL_KEY};
use super::script;
use crate::contract::{CONFIG_PREFIX, DID_PREFIX};

/// A name below a prefix of the contract's keys that neither a tenant id nor a DID can be.
const UNUSED: &str = "\nrehearsal";

impl Store {
    /// Runs every command that a publish needs, in a script as a publish does, and changes nothing. The error is the one
    /// that a publish would get.
    pub async fn rehearse(&self) -> Result<(), StoreError> {
        let mut call = script::call(&script::REHEARSAL);
        call.arg(5)
            .arg(EPOCH_KEY)
            .arg(EPOCHS_KEY)
            .arg(REHEARSAL_KEY)
            .arg(format!("{CONFIG_PREFIX}{UNUSED}"))
            .arg(format!("{DID_PREFIX}{UNUSED}"));
        self.run(&script::REHEARSAL, &[call]).await.map(drop)
    }
}
