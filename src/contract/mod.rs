//! The runtime contract (v1): what the voice runtime reads from Redis.
//! Pure: nothing here does I/O or knows Kubernetes.

mod config;
mod e164;
mod json;
mod json_schema;
mod keys;
mod report;
pub mod routes;
mod rule;
mod schema;
mod violation;

pub use config::{ParseConfigError, RuntimeTenantConfig};
pub use e164::{Did, DidError, is_white_space, trim};
pub use json::{MAX_DEPTH, NotJson, read as read_json};
pub use json_schema::{config_members_schema, config_schema, did_schema};
pub use keys::{CONFIG_PREFIX, DID_PREFIX, TenantId, TenantIdError, config_key, did_key};
pub use report::report;
pub use schema::{
    CONTRACT_VERSION, KNOWN_MEMBERS, SttMode, TtsMode, WEBHOOK_SECRET, WEBHOOK_SECRET_REF, stt_members,
    tts_members,
};
pub use violation::{InvalidConfig, MAX_VIOLATIONS, Violation};
