//! The spec: the contract's own field names and shapes, and the operator's own fields beside them.

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::calls::{CallForwarding, QuickReply, TransferProfile};
use super::extensions::Extensions;
use super::llm::LlmContext;
use super::playbook::{IntakeProfile, ShopPlaybook};
use super::rules;
use super::status::RuntimeTenantStatus;
use super::stt::Stt;
use super::table;
use super::tts::Tts;
use super::usage::{CallQuality, LlmRouting, UsageLimits};

/// A tenant of the voice platform: its phone numbers, and the handling of its calls. The field names and shapes are those
/// of the JSON that the voice runtime reads.
#[allow(clippy::duplicated_attributes, reason = "printer columns have much in common")]
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "runtime.veralux.io",
    version = "v1",
    kind = "RuntimeTenant",
    plural = "runtimetenants",
    shortname = "rtenant",
    category = "veralux",
    namespaced,
    status = "RuntimeTenantStatus",
    derive = "PartialEq",
    doc = "A tenant of the voice platform: its phone numbers, and the handling of its calls. The operator keeps the keys that the voice runtime reads from Redis equal to the spec, and reports the result in the status.",
    selectable = ".spec.tenantId",
    printcolumn(
        name = "Tenant",
        type_ = "string",
        json_path = ".spec.tenantId",
        description = "The tenant id."
    ),
    printcolumn(
        name = "DIDs",
        type_ = "string",
        json_path = ".status.dids",
        description = "The live phone numbers of the spec and all of them, as in 1/2."
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#,
        description = "True when Redis matches the spec, or when the spec is suspended."
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#,
        description = "The reason for the status of Ready."
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Last Published",
        type_ = "date",
        json_path = ".status.lastPublishedTime",
        description = "The time since the last write to Redis for this tenant.",
        priority = 1
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#,
        description = "The reason for the status of Ready, in a sentence, and what is live.",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
pub struct RuntimeTenantSpec {
    /// The tenant's id in the voice platform: 1 to 253 characters, no control characters, no white space at either end.
    /// Can't be changed.
    #[x_kube(
        validation = rules::TENANT_ID_ENDS,
        validation = rules::TENANT_ID_CONTROL,
        validation = rules::TENANT_ID_IMMUTABLE
    )]
    pub tenant_id: String,

    /// The phone numbers (DIDs) whose calls this tenant receives, in E.164, for example "+15551234567"; 1 to 500, each once.
    /// White space in a number is removed when it is published. The list has one manager: it is replaced as a whole.
    #[schemars(length(max = 500), schema_with = "dids")]
    #[x_kube(merge_strategy = ListMerge::Atomic, validation = rules::unique_dids())]
    pub dids: Vec<String>,

    /// The reference to the Secret that holds the tenant's webhook secret. This resource never holds the value itself.
    pub webhook_secret_ref: WebhookSecretRef,

    /// The public key with which Telnyx signs the tenant's webhooks: PEM, or hex or base64 of the 32 raw bytes or of the
    /// SPKI; 16 to 4096 characters. The newest runtimes read it, and refuse every webhook of the tenant if it is none of
    /// these; older ones ignore it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub telnyx_public_key: Option<String>,

    /// The limits on the tenant's calls.
    pub caps: Caps,

    /// Speech to text: the service that turns the caller's speech into text.
    pub stt: Stt,

    /// Text to speech: the service that turns the assistant's text into speech. The mode decides which other members are
    /// allowed.
    pub tts: Tts,

    /// The storage of call audio. If it is left out, it is published as {}. No known runtime reads it: its own settings
    /// decide.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio: Option<Audio>,

    /// The context that the language model receives with every call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub llm_context: Option<LlmContext>,

    /// Forwards every call to another phone number or SIP address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_forwarding: Option<CallForwarding>,

    /// The people and desks to which the assistant may transfer a call; at most 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100))]
    pub transfer_profiles: Option<Vec<TransferProfile>>,

    /// The shop's own rules for its calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shop_playbook: Option<ShopPlaybook>,

    /// The intake of calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intake_profile: Option<IntakeProfile>,

    /// The assistant's knowledge about the tenant: a map of section name to text, for example "hours": "Weekdays nine to
    /// five."; at most 100 sections, names of at most 253 characters, texts of 1 to 65536.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(
        extend("maxProperties" = 100),
        extend("additionalProperties" = {"type": "string", "maxLength": 65536})
    )]
    #[x_kube(validation = rules::SECTION_NAMES)]
    pub assistant_context: Option<BTreeMap<String, String>>,

    /// Fixed replies that are given without the language model; at most 200. Their order matters: the first match wins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quick_replies: Option<Vec<QuickReply>>,

    /// The tenant's plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage_limits: Option<UsageLimits>,

    /// The records of calls, and the people who see them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_quality: Option<CallQuality>,

    /// The language model that calls use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub llm_routing: Option<LlmRouting>,

    /// Fields of newer contracts: a free object that is merged into the published JSON. Members are added at the top level, at
    /// most 64, and below any object that the spec has, at any depth of objects, for example llmContext: {newer: 1}; tts and
    /// stt know the members of their own mode. A field that the spec has must be set there instead, and items of lists can't
    /// be extended. lastRuntimePublishedAt alone is a member of the contract that stands here.
    #[serde(default, skip_serializing_if = "Extensions::is_empty")]
    #[schemars(schema_with = "table::extensions")]
    pub extensions: Extensions,

    /// The fate of the keys in Redis when this resource is deleted: "Delete" removes them, "Retain" keeps them. Defaults to
    /// "Delete".
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,

    /// True: publishing is suspended. The operator writes nothing to Redis for this tenant; its claims and its published
    /// keys stay, and deletion works as usual. Defaults to false.
    #[serde(default)]
    pub suspend: bool,
}

/// The key of a Secret in the same namespace that holds the tenant's webhook secret.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct WebhookSecretRef {
    /// The name of a Secret in the same namespace.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
    )]
    pub name: String,

    /// The key in the Secret's data: letters, digits, "-", "_" and "."; at most 253. Defaults to "webhookSecret".
    #[serde(default = "webhook_secret_key")]
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[-._a-zA-Z0-9]+$"))]
    pub key: String,
}

/// The key of a Secret to which a reference without a key refers.
pub const DEFAULT_SECRET_KEY: &str = "webhookSecret";

fn webhook_secret_key() -> String {
    DEFAULT_SECRET_KEY.to_owned()
}

fn dids(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    let (rule, message) = rules::DID;
    schemars::json_schema!({
        "type": "array",
        "items": {
            "type": "string",
            "minLength": 1,
            "maxLength": 64,
            "x-kubernetes-validations": [{ "rule": rule, "message": message }],
        },
    })
}

/// The limits on the tenant's calls.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Caps {
    /// The maximal number of concurrent calls of this tenant; at least 1.
    pub max_concurrent_calls_tenant: u32,

    /// The maximal number of calls of this tenant that begin within a minute; at least 1.
    pub max_calls_per_minute_tenant: u32,

    /// The maximal number of concurrent calls of all tenants together; at least 1. A call of this tenant that would exceed it
    /// is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_concurrent_calls_global: Option<u32>,
}

/// The storage of call audio.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Audio {
    /// The public address of the audio: a text, usually a URL; at most 2048 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub public_base_url: Option<String>,

    /// The folder of the audio on the runtime's machine; at most 4096 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub storage_dir: Option<String>,

    /// True: the runtime removes old files from the folder itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime_managed: Option<bool>,
}

/// The fate of a tenant's keys in Redis when its resource is deleted.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeletionPolicy {
    /// The keys are removed.
    #[default]
    Delete,
    /// The keys stay.
    Retain,
}
