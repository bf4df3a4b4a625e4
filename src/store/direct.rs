//! The admin routes' single writes, in the form of an older publisher, to keys that no resource owns.

use std::time::{Duration, Instant};

use redis::{Cmd, Value};
use secrecy::{ExposeSecret, SecretSlice};
use sha1::{Digest, Sha1};

use super::client::Store;
use super::connection::StoreError;
use super::keys::{DIDS_KEY, EPOCH_KEY, record_key};
use super::script;
use crate::contract::{Did, TenantId, config_key, did_key};

/// The reason why a single write was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// A resource owns the tenant id.
    #[error("the tenant id is held by the RuntimeTenant {owner}")]
    TenantManaged {
        /// The resource, as `namespace/name`.
        owner: String,
    },
    /// A resource owns the DID.
    #[error("the number is held by the RuntimeTenant {owner}")]
    DidManaged {
        /// The resource, as `namespace/name`.
        owner: String,
    },
    /// The request to Redis failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Each write checks the owner in the same script call, so it needs no epoch: any replica may do it.
impl Store {
    /// Stores the bytes as the tenant's config, and nothing else. The caller must have checked that they are a config.
    pub async fn put_config(&self, tenant: &TenantId, config: &SecretSlice<u8>) -> Result<(), WriteError> {
        let mut call = call(&[record_key(tenant.as_str()), config_key(tenant)]);
        call.arg("put").arg(tenant.as_str()).arg(config.expose_secret());
        self.write(call).await.map(drop)
    }

    /// Replaces the tenant's config if it is still `expected`; returns false if it is not.
    pub async fn replace_config(
        &self,
        tenant: &TenantId,
        expected: &SecretSlice<u8>,
        config: &SecretSlice<u8>,
    ) -> Result<bool, WriteError> {
        let hash = format!("{:x}", Sha1::digest(expected.expose_secret()));
        let mut call = call(&[record_key(tenant.as_str()), config_key(tenant)]);
        call.arg("replace").arg(tenant.as_str()).arg(config.expose_secret()).arg(hash);
        match self.write(call).await?.as_slice() {
            [Value::Int(replaced)] => Ok(*replaced == 1),
            _ => Err(StoreError::unexpected_reply().into()),
        }
    }

    /// Maps a DID to a tenant, and returns `true` if the tenant has a config. Where both are owned, the error is the
    /// DID's.
    pub async fn map(&self, did: &Did, tenant: &TenantId) -> Result<bool, WriteError> {
        let mut call = call(&[did_key(did), record_key(tenant.as_str()), config_key(tenant)]);
        call.arg("map").arg(did.as_str()).arg(tenant.as_str());
        match self.write(call).await?.as_slice() {
            [Value::Int(has_config)] => Ok(*has_config == 1),
            _ => Err(StoreError::unexpected_reply().into()),
        }
    }

    /// Removes a DID's mapping, and returns the tenant id to which the DID was mapped; `None` if it was not mapped.
    ///
    /// If the connection breaks before the reply, the call is repeated, and the result is the second call's.
    pub async fn unmap(&self, did: &Did) -> Result<Option<String>, WriteError> {
        let mut call = call(&[did_key(did)]);
        call.arg("unmap").arg(did.as_str());
        match self.write(call).await?.as_slice() {
            [] => Ok(None),
            [Value::BulkString(tenant)] => Ok(Some(String::from_utf8_lossy(tenant).into_owned())),
            _ => Err(StoreError::unexpected_reply().into()),
        }
    }

    /// Returns the time that Redis takes to reply to a `PING` and a `GET`.
    pub async fn health(&self) -> Result<Duration, StoreError> {
        let sent = Instant::now();
        self.ping().await?;
        match self.get(EPOCH_KEY).await {
            // A key of another type is the leader's to replace, and no failure of Redis.
            Err(StoreError::WrongType { .. }) => {}
            epoch => drop(epoch?),
        }
        Ok(sent.elapsed())
    }

    /// Calls the script, and returns what follows 'done' in its reply; nothing for 'unmapped'.
    async fn write(&self, call: Cmd) -> Result<Vec<Value>, WriteError> {
        let reply = self.run(&script::DIRECT, &[call]).await?.into_iter().next();
        let Some(Value::Array(mut reply)) = reply else { return Err(StoreError::unexpected_reply().into()) };
        if reply.is_empty() {
            return Err(StoreError::unexpected_reply().into());
        }
        let first = reply.remove(0);
        let owner = || match reply.first() {
            Some(Value::BulkString(owner)) => String::from_utf8_lossy(owner).into_owned(),
            _ => String::new(),
        };
        match first {
            Value::BulkString(word) => match word.as_slice() {
                b"done" | b"unmapped" => Ok(reply),
                b"tenantManaged" => Err(WriteError::TenantManaged { owner: owner() }),
                b"didManaged" => Err(WriteError::DidManaged { owner: owner() }),
                _ => Err(StoreError::unexpected_reply().into()),
            },
            _ => Err(StoreError::unexpected_reply().into()),
        }
    }
}

/// Begins a call. It names the keys, so that Redis' ACL denies the call before anything is written.
fn call(keys: &[String]) -> Cmd {
    let mut call = script::call(&script::DIRECT);
    call.arg(keys.len() + 1).arg(DIDS_KEY).arg(keys);
    call
}
