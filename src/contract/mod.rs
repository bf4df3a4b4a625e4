//! The runtime contract (v1): the data that the voice runtime reads from Redis.
//! Pure: nothing here does I/O or knows Kubernetes.

mod additions;
mod config;
mod e164;
mod json;
mod keys;
mod report;
pub mod routes;
mod schema;
mod violation;

pub use additions::Addition;
pub use config::{ParseConfigError, QUICK_REPLIES, RuntimeTenantConfig, check_quick_replies};
pub use e164::{Did, DidError, is_white_space, trim};
pub use json::{MAX_DEPTH, NotJson, read as read_json};
pub use keys::{CONFIG_PREFIX, DID_PREFIX, TenantId, TenantIdError, config_key, did_key};
pub use report::report;
pub use schema::{
    CONFIG, CONTRACT_VERSION, DATE_TIME, EMAIL, LAST_PUBLISHED_AT, LONG_DID, MODE, Member, Modes, Presence,
    REDACTED, Rule, SttMode, TtsMode, UNLIMITED, WEBHOOK_SECRET, WEBHOOK_SECRET_REF, ZIP, config_member,
    config_members_schema, config_schema, did_schema, mode_names, mode_of, resource_violations,
    submitted_violations,
};
pub use violation::{DocumentPath, InvalidConfig, MAX_VIOLATIONS, PathSegment, Violation, ViolationCode};
