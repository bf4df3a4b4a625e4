//! Facts: what Redis holds for some DIDs and tenants, without a secret. They are the answer of `runtime-operator inspect`, of the
//! admin route of the same name, and of a question that the command line asks Redis itself. Only commands that read are sent, so
//! that a user who can't write, and a replica, suffice; the rehearsal, which is asked for by itself, is the exception.

mod config;
mod server;

use std::time::Instant;

use redis::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::client::{Store, StoredConfig};
use super::connection::StoreError;
use super::inspect::{RECORD_FIELDS, decode_record};
use super::keys::{EPOCH_KEY, EPOCHS_KEY, record_key};
use crate::contract::{Did, TenantId, config_key, did_key};
use crate::domain::OwnershipRecord;

pub use config::{ConfigFacts, Fault};
pub use server::{RehearsalFacts, ServerFacts};

/// The most DIDs and tenants of one question.
pub const MAX_QUESTIONS: usize = 100;
/// The most bytes of a config that are read. Of a larger one only the length is known.
const MAX_CONFIG: usize = 2_200_000;
/// The most bytes of a tenant id.
const MAX_TENANT: usize = 1024;

/// A question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FactsQuery {
    /// DIDs; the tenants to which they are mapped are part of the answer.
    pub dids: Vec<Did>,
    /// Tenants.
    pub tenants: Vec<TenantId>,
    /// True: with the configs, in which `***` stands for secrets.
    pub documents: bool,
    /// True: with the state of the server.
    pub server: bool,
    /// True: with a rehearsal of a publish, which needs the operator's permissions and changes nothing.
    pub rehearse: bool,
}

/// The answer. It holds no secret.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
    /// The version of the program that answers.
    pub version: String,
    /// Host and port of Redis, as the program reaches it.
    pub address: String,
    /// The DIDs, in the order of the question.
    pub dids: Vec<DidFacts>,
    /// The tenants of the question, then those to which the DIDs are mapped.
    pub tenants: Vec<TenantFacts>,
    /// The latest epoch of any writer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<String>,
    /// The writers that have left a note about themselves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub writers: Vec<WriterFacts>,
    /// The state of the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerFacts>,
    /// The rehearsal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rehearsal: Option<RehearsalFacts>,
}

/// A DID.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DidFacts {
    /// The DID.
    pub did: String,
    /// The key that the voice runtime reads.
    pub key: String,
    /// The tenant id to which it is mapped.
    pub tenant_id: Option<String>,
}

/// A tenant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TenantFacts {
    /// The tenant id.
    pub tenant_id: String,
    /// Its config, if there is one.
    pub config: Option<ConfigFacts>,
    /// The ownership record, if there is one.
    pub record: Option<RecordFacts>,
}

/// An ownership record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecordFacts {
    /// The id of the cluster of the owner.
    pub cluster: String,
    /// The owner, as `namespace/name`.
    pub owner: String,
    /// The owner's uid.
    pub uid: String,
    /// The owner's generation that was published.
    pub generation: i64,
    /// The version of its Secret that was published, `uid/resourceVersion`; after `reference:` where the value was not.
    pub secret_version: String,
    /// The DIDs that are mapped to the tenant.
    pub dids: Vec<String>,
    /// The hash of the config without the secret.
    pub hash: String,
    /// The SHA-1 of the published config.
    pub sha1: String,
    /// The SHA-1 of a config that is as good: it differs in the time stamp alone that a control plane writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stamped_sha1: Option<String>,
}

/// A writer: the replicas of one Lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WriterFacts {
    /// The scope of its epochs.
    pub scope: String,
    /// Its Lease, as `namespace/name`.
    pub lease: String,
    /// The namespaces that it watches; empty: all.
    pub namespaces: Vec<String>,
    /// Its latest epoch.
    pub epoch: Option<u64>,
}

impl From<OwnershipRecord> for RecordFacts {
    fn from(record: OwnershipRecord) -> Self {
        Self {
            cluster: record.cluster.to_string(),
            owner: record.owner.to_string(),
            uid: record.owner.uid.to_string(),
            generation: record.generation,
            secret_version: record.secret,
            dids: record.dids.iter().map(ToString::to_string).collect(),
            hash: record.hash,
            sha1: record.sha1,
            stamped_sha1: None,
        }
    }
}

impl Facts {
    /// The facts of a tenant, if it was asked for.
    #[must_use]
    pub fn tenant(&self, id: &str) -> Option<&TenantFacts> {
        self.tenants.iter().find(|tenant| tenant.tenant_id == id)
    }
}

impl Store {
    /// Answers a question.
    pub async fn facts(&self, query: &FactsQuery) -> Result<Facts, StoreError> {
        let mut facts = Facts {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            address: self.connection.address(),
            ..Facts::default()
        };
        let mut tenants = query.tenants.clone();
        for did in &query.dids {
            // For the runtime an empty text is no mapping.
            let mapped = self.lookup_exact(did).await?.filter(|tenant| !tenant.is_empty());
            let tenant = mapped.as_deref().filter(|tenant| tenant.len() <= MAX_TENANT);
            let tenant = tenant.and_then(|tenant| TenantId::parse(tenant).ok());
            tenants.extend(tenant.filter(|tenant| !tenants.contains(tenant)));
            let tenant_id = mapped.map(|text| text.chars().take(MAX_TENANT).collect());
            facts.dids.push(DidFacts { did: did.to_string(), key: did_key(did), tenant_id });
        }
        for tenant in &tenants {
            facts.tenants.push(self.tenant_facts(tenant, query.documents).await?);
        }
        if query.server {
            facts.server = Some(self.server_facts().await?);
            (facts.epoch, facts.writers) = self.epoch_facts().await?;
        }
        if query.rehearse {
            facts.rehearsal = Some(self.rehearsal_facts().await);
        }
        Ok(facts)
    }

    /// The mapping of a DID; none too where the key is no text: that is how the runtime fails on it.
    async fn lookup_exact(&self, did: &Did) -> Result<Option<String>, StoreError> {
        match self.lookup(did).await {
            Err(StoreError::WrongType { .. }) => Ok(None),
            mapped => mapped,
        }
    }

    async fn tenant_facts(&self, tenant: &TenantId, document: bool) -> Result<TenantFacts, StoreError> {
        let config = match self.stored_config(tenant).await {
            Ok(StoredConfig::Absent) | Err(StoreError::WrongType { .. }) => None,
            Ok(StoredConfig::Bytes(bytes)) => Some(ConfigFacts::of(tenant, &bytes, document)),
            Ok(StoredConfig::Larger(bytes)) => Some(ConfigFacts::unread(tenant, bytes)),
            Err(error) => return Err(error),
        };
        let record = self.record(tenant).await?;
        Ok(TenantFacts { tenant_id: tenant.to_string(), config, record })
    }

    /// Reads a config with commands that every user may run who reads keys.
    async fn stored_config(&self, tenant: &TenantId) -> Result<StoredConfig, StoreError> {
        let key = config_key(tenant);
        match self.query::<usize>(redis::cmd("STRLEN").arg(&key)).await {
            Ok(bytes) if bytes > MAX_CONFIG => return Ok(StoredConfig::Larger(bytes)),
            Ok(_) | Err(StoreError::NoPermission { .. }) => {}
            Err(error) => return Err(error.naming(&key)),
        }
        let bytes = self.get(&key).await?;
        Ok(bytes.map_or(StoredConfig::Absent, |bytes| StoredConfig::Bytes(bytes.into())))
    }

    /// Returns a tenant's ownership record; none too where it is one that no script can have written, or where the user may read
    /// none.
    async fn record(&self, tenant: &TenantId) -> Result<Option<RecordFacts>, StoreError> {
        let key = record_key(tenant.as_str());
        let fields: Result<Vec<Value>, _> =
            self.query(redis::cmd("HMGET").arg(key).arg(&RECORD_FIELDS[..])).await;
        let fields = match fields {
            Ok(fields) => fields,
            Err(StoreError::WrongType { .. } | StoreError::NoPermission { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let text =
            |field| redis::from_redis_value::<Option<String>>(field).ok().flatten().unwrap_or_default();
        let fields: Vec<String> = fields.into_iter().map(text).collect();
        let Ok(fields) = <[String; RECORD_FIELDS.len()]>::try_from(fields) else { return Ok(None) };
        let stamped = fields[8].clone();
        Ok(decode_record(tenant, fields).map(RecordFacts::from).map(|record| {
            let stamped_sha1 = stamped.split_once(' ').filter(|(sha1, _)| *sha1 == record.sha1);
            RecordFacts { stamped_sha1: stamped_sha1.map(|(_, other)| other.to_owned()), ..record }
        }))
    }

    /// The latest epoch, and the writers. What the user may not read is left out.
    async fn epoch_facts(&self) -> Result<(Option<String>, Vec<WriterFacts>), StoreError> {
        let readable = |error| match error {
            StoreError::NoPermission { .. } | StoreError::WrongType { .. } => Ok(()),
            error => Err(error),
        };
        let epoch = match self.get(EPOCH_KEY).await {
            Ok(epoch) => epoch.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) => {
                readable(error)?;
                None
            }
        };
        let notes = match self.noted_writers().await {
            Ok(notes) => notes,
            Err(error) => {
                readable(error)?;
                Vec::new()
            }
        };
        let mut writers = Vec::new();
        for note in notes {
            let acquired =
                self.query::<Option<String>>(redis::cmd("HGET").arg(EPOCHS_KEY).arg(&note.scope)).await;
            let acquired = acquired.ok().flatten();
            let epoch = acquired.and_then(|text| text.split('/').next()?.parse().ok());
            writers.push(WriterFacts {
                scope: note.scope,
                lease: note.lease,
                namespaces: note.namespaces,
                epoch,
            });
        }
        Ok((epoch, writers))
    }

    async fn server_facts(&self) -> Result<ServerFacts, StoreError> {
        let sent = Instant::now();
        self.ping().await?;
        let latency = sent.elapsed();
        let info: String = self.query(&redis::cmd("INFO")).await?;
        Ok(ServerFacts::of(&info, latency))
    }

    async fn rehearsal_facts(&self) -> RehearsalFacts {
        let error = self.rehearse().await.err();
        RehearsalFacts {
            succeeds: error.is_none(),
            reason: error.as_ref().map(|error| error.reason().to_string()),
            message: error.as_ref().map(ToString::to_string),
            denied: self.denied_commands(),
        }
    }
}
