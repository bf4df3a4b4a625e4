//! The names of the operator's own keys. The names of the keys that the voice runtime reads are the contract's.

use crate::domain::ClusterId;

/// The latest epoch of any writer, a string.
pub(super) const EPOCH_KEY: &str = "runtime-operator:epoch";
/// The latest epoch of each writer, a hash.
pub(super) const EPOCHS_KEY: &str = "runtime-operator:epochs";
/// The note of each writer, a hash.
pub(super) const WRITERS_KEY: &str = "runtime-operator:writers";
/// A key that exists only within a rehearsal.
pub(super) const REHEARSAL_KEY: &str = "runtime-operator:rehearsal";
/// The owning tenant id of each DID, a hash.
pub(super) const DIDS_KEY: &str = "runtime-operator:dids";

/// The prefix of ownership records; the rest is the tenant id.
pub const RECORD_PREFIX: &str = "runtime-operator:tenant:";

/// The key of a tenant's ownership record, a hash.
pub(super) fn record_key(tenant: &str) -> String {
    format!("{RECORD_PREFIX}{tenant}")
}

/// The key of a cluster's tenant ids, a set: the index of its records.
pub(super) fn tenants_key(cluster: &ClusterId) -> String {
    format!("runtime-operator:tenants:{cluster}")
}
