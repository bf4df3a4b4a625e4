//! The `RuntimeTenant` resource: spec, status, and the rules that the API server checks. No logic.
//!
//! The doc comments of the fields are what `kubectl explain` shows.

#![allow(clippy::doc_markdown, reason = "kubectl explain shows plain text, not Markdown")]
#![allow(clippy::struct_field_names, reason = "the contract's own names; the derives repeat the structs")]

mod calls;
mod crd;
mod llm;
mod rules;
mod spec;
mod status;
mod stt;
mod tts;

pub use calls::{CallForwarding, QuickReply, TransferProfile};
pub use crd::{CrdYamlError, crd, crd_yaml};
pub use llm::{ForwardingProfile, LlmContext, Pricing, PricingItem, Prompts};
pub use spec::{Audio, Caps, DeletionPolicy, RuntimeTenant, RuntimeTenantSpec, WebhookSecretRef};
pub use status::RuntimeTenantStatus;
pub use stt::{Stt, SttConfig, SttMode};
pub use tts::{ChatterboxVariant, ClonedVoice, DefaultVoiceMode, Tts, TtsMode};

/// The API group; also the prefix of every label, annotation and finalizer of this operator.
pub const GROUP: &str = "runtime.veralux.io";
/// Held until the tenant's keys are gone from Redis (or are kept on purpose).
pub const FINALIZER: &str = "runtime.veralux.io/redis-keys";
/// `"true"`: take over keys that an older publisher, another tenant or another cluster left in Redis.
pub const TAKE_OVER: &str = "runtime.veralux.io/take-over";
/// `"true"`: let a deleted resource go though Redis can't be reached; its keys wait for the orphan sweep.
pub const FORCE_DELETE: &str = "runtime.veralux.io/force-delete";
