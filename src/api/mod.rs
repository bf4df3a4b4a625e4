//! The `RuntimeTenant` resource: spec, status, and the rules that the API server checks. No logic.
//!
//! `kubectl explain` shows the doc comments of the fields. Their bounds come from the contract's table.

#![allow(clippy::doc_markdown, reason = "kubectl explain shows plain text, not Markdown")]
#![allow(clippy::struct_field_names, reason = "the contract's own names; the derives repeat the structs")]

mod calls;
mod crd;
mod extensions;
mod llm;
mod playbook;
mod rules;
mod spec;
mod status;
mod stt;
mod table;
mod tts;
mod usage;

pub use calls::{CallForwarding, QuickReply, TransferProfile};
pub use crd::{CrdYamlError, crd, crd_yaml, json_schema};
pub use extensions::Extensions;
pub use llm::{BusinessHours, Day, ForwardingProfile, LlmContext, Pricing, PricingItem, Prompts, Weekly};
pub use playbook::{Digest, IntakeProfile, ServiceArea, ShopPlaybook, StormMode};
pub use spec::{
    Audio, Caps, DEFAULT_SECRET_KEY, DeletionPolicy, RuntimeTenant, RuntimeTenantSpec, WebhookSecretRef,
};
pub use status::{HeldElsewhere, RuntimeTenantStatus, TakeOverStatus, TakenFrom};
pub use stt::{Stt, SttConfig};
pub use tts::{ClonedVoice, Tts};
pub use usage::{CallQuality, Features, LlmRouting, UsageLimits};

/// The API group; also the prefix of every label, annotation and finalizer of this operator.
pub const GROUP: &str = "runtime.veralux.io";
/// The finalizer of a tenant whose keys are in Redis. It is removed once the keys are removed, or are retained.
pub const FINALIZER: &str = "runtime.veralux.io/redis-keys";
/// The annotation that, as `"true"` or `"<cluster>/<namespace>/<name>"`, takes over once the keys that an older publisher, another tenant or another cluster left in
/// Redis.
pub const TAKE_OVER: &str = "runtime.veralux.io/take-over";
/// The annotation that, as `"true"`, removes the finalizer of a deleted resource although Redis can't be reached. The orphan
/// sweep removes its keys later.
pub const FORCE_DELETE: &str = "runtime.veralux.io/force-delete";
