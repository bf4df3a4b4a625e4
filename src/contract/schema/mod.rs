//! The schema of `RuntimeTenantConfig`: one table of all members, from which the checks of documents and specs, the JSON
//! Schema, and the bounds and CEL rules of the CRD are made.

mod check;
mod formats;
mod json_schema;
mod modes;
mod resource;
mod rule;
mod submitted;
mod tables;

pub(super) use check::Check;
pub use check::mode_of;
pub use formats::{DATE_TIME, EMAIL, LONG_DID, REDACTED, ZIP};
pub use json_schema::{config_members_schema, config_schema, did_schema};
pub use modes::{Modes, SttMode, TtsMode};
pub use resource::resource_violations;
pub use rule::{MODE, Member, Presence, Rule, UNLIMITED, mode_names};
pub use submitted::submitted_violations;
pub(super) use tables::SECRET;
pub use tables::{
    CONFIG, CONTRACT_VERSION, LAST_PUBLISHED_AT, WEBHOOK_SECRET, WEBHOOK_SECRET_REF, config_member,
};
