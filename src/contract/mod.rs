//! The runtime contract (v1): the data that the voice runtime reads from Redis.
//! Pure: nothing here does I/O or knows Kubernetes.

mod check;
mod config;
mod e164;
mod json;
mod json_schema;
mod keys;
mod modes;
mod report;
mod resource;
pub mod routes;
mod rule;
mod schema;
mod violation;

pub use config::{ParseConfigError, RuntimeTenantConfig};
pub use e164::{Did, DidError, is_white_space, trim};
pub use json::{MAX_DEPTH, NotJson, read as read_json};
pub use json_schema::{config_members_schema, config_schema, did_schema};
pub use keys::{CONFIG_PREFIX, DID_PREFIX, TenantId, TenantIdError, config_key, did_key};
pub use modes::{Modes, SttMode, TtsMode};
pub use report::report;
pub use resource::resource_violations;
pub use rule::{MODE, Member, Presence, Rule, mode_names};
pub use schema::{CONFIG, CONTRACT_VERSION, WEBHOOK_SECRET, WEBHOOK_SECRET_REF, config_member};
pub use violation::{InvalidConfig, MAX_VIOLATIONS, Violation};
