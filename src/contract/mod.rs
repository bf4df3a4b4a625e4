//! The runtime contract (v1): what the voice runtime reads from Redis.
//! Pure: nothing here does I/O or knows Kubernetes.

mod e164;
mod keys;

pub use e164::{Did, DidError, is_white_space, trim};
pub use keys::{CONFIG_PREFIX, DID_PREFIX, TenantId, TenantIdError, config_key, did_key};
