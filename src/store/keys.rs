//! The names of the operator's own keys. The names of the keys that the voice runtime reads are the contract's.

use crate::domain::ClusterId;

pub(super) const EPOCH_KEY: &str = "runtime-operator:epoch";
pub(super) const EPOCHS_KEY: &str = "runtime-operator:epochs";
pub(super) const DIDS_KEY: &str = "runtime-operator:dids";

pub(super) fn record_key(tenant: &str) -> String {
    format!("runtime-operator:tenant:{tenant}")
}

pub(super) fn tenants_key(cluster: &ClusterId) -> String {
    format!("runtime-operator:tenants:{cluster}")
}
