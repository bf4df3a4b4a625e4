//! Redis: the keys that the voice runtime reads, and the operator's own keys. Every write of a tenant's
//! keys goes through a script that compares first, and changes them together with the record of their owner. The only module that imports
//! `redis`.
//!
//! | module | subject |
//! | --- | --- |
//! | `client` | [`Store`]: writer identity, fencing epoch, lookups |
//! | `apply` | publishes and removes tenants in one atomic script call |
//! | `inspect` | reads the ownership records and compares the keys with them |
//! | `facts` | answers what Redis holds for some DIDs and tenants, without secrets |
//! | `key_reader` | reads what others wrote, with few rights |
//! | `direct` | the admin routes' writes to keys that no resource owns |
//! | `tracking` | reports the keys that other clients change |
//! | `connection` | the shared connection: settings, TLS, Sentinel, errors |
//! | `optional_commands` | the optional commands that Redis' ACL denies |
//! | `rehearsal` | runs every command that a publish needs, without an effect |
//! | `repair` | restores mappings and removes expiries by the records alone |
//! | `writers` | the writers' notes about themselves |
//! | `script`, `keys`, `epoch` | calls of a script by its SHA-1; the operator's own key names; the epochs seen |
//!
//! The methods of [`Store`] are spread over the others, each beside its types.
//!
//! | own key | type and content |
//! | --- | --- |
//! | `runtime-operator:epoch` | string: the latest epoch of any writer |
//! | `runtime-operator:epochs` | hash: each writer's latest epoch, with the id of the process that acquired it; each cluster has its own writer |
//! | `runtime-operator:writers` | hash: each writer's note about itself (cluster, Lease, watched namespaces) |
//! | `runtime-operator:tenant:<tenantId>` | hash: the ownership record |
//! | `runtime-operator:tenants:<clusterId>` | set: the cluster's tenant ids, the index of its records |
//! | `runtime-operator:dids` | hash: each DID's owning tenant id, kept even when the DID's mapping is lost |
//!
//! [`PERMISSIONS`] lists the rights that the user in Redis' ACL needs.

mod apply;
mod client;
mod connection;
mod direct;
mod facts;
mod inspect;
mod key_reader;
mod keys;
mod optional_commands;
mod rehearsal;
mod repair;
mod script;
mod seen_epochs;
mod tracking;
mod writers;

pub use apply::{Adoption, Applied, Conflict, Operation, Publication, Removal, TakenOver};
pub use client::{Store, StoredConfig};
pub use connection::{
    Observer, PERMISSIONS, Purpose, RedisSettings, SettingsError, StoreError, parse_redis_url, parse_sentinel,
};
pub use direct::WriteError;
pub use facts::{
    ConfigFacts, DidFacts, Facts, FactsQuery, Fault, MAX_QUESTIONS, RecordFacts, RehearsalFacts, ServerFacts,
    TenantFacts, WriterFacts,
};
pub use inspect::Inspection;
pub use key_reader::{KeyReader, OpenError};
pub use keys::RECORD_PREFIX;
pub use optional_commands::OPTIONAL_COMMANDS;
pub use tracking::{ChangedKey, DriftSignal, Memory, RedisReport, ResyncCause, Tracking};
pub use writers::WriterNote;
