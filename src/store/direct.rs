//! What the admin routes ask for: single writes, as the old publisher made them, of what no resource holds.

use std::time::{Duration, Instant};

use redis::{Cmd, Value};
use secrecy::{ExposeSecret, SecretSlice};

use super::{DIDS_KEY, EPOCH_KEY, Store, StoreError, record_key, script, unexpected_reply};
use crate::contract::{Did, TenantId, config_key, did_key};

/// Why a single write was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// A resource holds the tenant id.
    #[error("the tenant id is held by the RuntimeTenant {owner}")]
    TenantManaged {
        /// The resource, as `namespace/name`.
        owner: String,
    },
    /// A resource holds the number.
    #[error("the number is held by the RuntimeTenant {owner}")]
    DidManaged {
        /// The resource, as `namespace/name`.
        owner: String,
    },
    /// Redis did not do its part.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Each is one atomic operation with the question who holds it, and needs no epoch: any replica may make it.
impl Store {
    /// Stores the bytes as the tenant's config, and nothing else. That they are a config is the caller's to know.
    pub async fn put_config(&self, tenant: &TenantId, config: &SecretSlice<u8>) -> Result<(), WriteError> {
        let mut call = call(&[record_key(tenant.as_str()), config_key(tenant)]);
        call.arg("put").arg(tenant.as_str()).arg(config.expose_secret());
        self.write(call).await.map(drop)
    }

    /// Maps a number to a tenant, and says whether the tenant has a config. The number's holder is asked for first.
    pub async fn map(&self, did: &Did, tenant: &TenantId) -> Result<bool, WriteError> {
        let mut call = call(&[did_key(did), record_key(tenant.as_str()), config_key(tenant)]);
        call.arg("map").arg(did.as_str()).arg(tenant.as_str());
        match self.write(call).await?.as_slice() {
            [Value::Int(has_config)] => Ok(*has_config == 1),
            _ => Err(unexpected_reply().into()),
        }
    }

    /// Removes a number's mapping, and says to which tenant it was mapped; none: to nobody.
    ///
    /// Where the connection broke before the answer came and the call was made again, the answer is that of the second.
    pub async fn unmap(&self, did: &Did) -> Result<Option<String>, WriteError> {
        let mut call = call(&[did_key(did)]);
        call.arg("unmap").arg(did.as_str());
        match self.write(call).await?.as_slice() {
            [] => Ok(None),
            [Value::BulkString(tenant)] => Ok(Some(String::from_utf8_lossy(tenant).into_owned())),
            _ => Err(unexpected_reply().into()),
        }
    }

    /// How long Redis takes to answer a `PING` and a `GET`.
    pub async fn health(&self) -> Result<Duration, StoreError> {
        let asked = Instant::now();
        self.ping().await?;
        let _: Option<Vec<u8>> = self.query(redis::cmd("GET").arg(EPOCH_KEY)).await?;
        Ok(asked.elapsed())
    }

    /// What a script answers after 'done'; nothing after 'unmapped'.
    async fn write(&self, call: Cmd) -> Result<Vec<Value>, WriteError> {
        let answer = self.run(&script::DIRECT, &[call]).await?.into_iter().next();
        let Some(Value::Array(mut answer)) = answer else { return Err(unexpected_reply().into()) };
        if answer.is_empty() {
            return Err(unexpected_reply().into());
        }
        let first = answer.remove(0);
        let owner = || match answer.first() {
            Some(Value::BulkString(owner)) => String::from_utf8_lossy(owner).into_owned(),
            _ => String::new(),
        };
        match first {
            Value::BulkString(word) => match word.as_slice() {
                b"done" | b"unmapped" => Ok(answer),
                b"tenantManaged" => Err(WriteError::TenantManaged { owner: owner() }),
                b"didManaged" => Err(WriteError::DidManaged { owner: owner() }),
                _ => Err(unexpected_reply().into()),
            },
            _ => Err(unexpected_reply().into()),
        }
    }
}

/// The keys are given so that an ACL that lacks one is noticed before anything is written.
fn call(keys: &[String]) -> Cmd {
    let mut call = script::call(&script::DIRECT);
    call.arg(keys.len() + 1).arg(DIDS_KEY).arg(keys);
    call
}
