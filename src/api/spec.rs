//! What a user asks for: the contract's own field names and shapes, and what the operator needs beside them.

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::calls::{CallForwarding, QuickReply, TransferProfile};
use super::llm::LlmContext;
use super::rules;
use super::status::RuntimeTenantStatus;
use super::stt::Stt;
use super::tts::Tts;

/// A tenant of the voice platform: which phone numbers it owns and how its calls are handled. The field names
/// and shapes are those of the JSON that the voice runtime reads.
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
    doc = "A tenant of the voice platform: which phone numbers it owns and how its calls are handled. The operator keeps what the voice runtime reads from Redis equal to it, and says in the status what it did.",
    selectable = ".spec.tenantId",
    printcolumn(
        name = "Tenant",
        type_ = "string",
        json_path = ".spec.tenantId",
        description = "The tenant id."
    ),
    printcolumn(
        name = "DIDs",
        type_ = "integer",
        json_path = ".status.publishedDidCount",
        description = "How many numbers are live."
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#,
        description = "Whether everything that the spec asks for is live."
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#,
        description = "Why it is ready or not."
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#,
        description = "Why it is ready or not, in words.",
        priority = 1
    ),
    printcolumn(
        name = "Last Published",
        type_ = "date",
        json_path = ".status.lastPublishedTime",
        description = "How long ago Redis was last written for this tenant.",
        priority = 1
    ),
    printcolumn(
        name = "Hash",
        type_ = "string",
        json_path = ".status.publishedHash",
        description = "The hash of the published JSON, less the webhook secret.",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
pub struct RuntimeTenantSpec {
    /// The tenant's id, as the voice platform knows it: 1 to 253 characters, no control characters, no white
    /// space at its ends. Can't be changed.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(
        validation = rules::TENANT_ID_ENDS,
        validation = rules::TENANT_ID_CONTROL,
        validation = rules::TENANT_ID_IMMUTABLE
    )]
    pub tenant_id: String,

    /// The phone numbers (DIDs) that ring at this tenant, in E.164, as in "+15551234567"; 1 to 500, each once.
    /// White space in a number is removed when it is published.
    #[schemars(length(min = 1, max = 500), schema_with = "dids")]
    #[x_kube(merge_strategy = ListMerge::Set, validation = rules::unique_dids())]
    pub dids: Vec<String>,

    /// The Secret that holds the tenant's webhook secret. The value itself never stands in this resource.
    pub webhook_secret_ref: WebhookSecretRef,

    /// How many calls the tenant may have.
    pub caps: Caps,

    /// Speech to text: how the caller is understood.
    pub stt: Stt,

    /// Text to speech: the voice that answers. Which members it may have depends on its mode.
    pub tts: Tts,

    /// Where the audio of calls is kept and served from. Left out means {}.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio: Option<Audio>,

    /// What the language model is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub llm_context: Option<LlmContext>,

    /// Hands every call over to another number or SIP address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_forwarding: Option<CallForwarding>,

    /// To whom the assistant may transfer a call; at most 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub transfer_profiles: Option<Vec<TransferProfile>>,

    /// What the assistant knows about the tenant: a map of section name to text, as in "hours": "Weekdays nine to
    /// five."; at most 100 sections, names of at most 253 characters, texts of 1 to 65536.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(
        extend("maxProperties" = 100),
        extend("additionalProperties" = {"type": "string", "minLength": 1, "maxLength": 65536})
    )]
    #[x_kube(validation = rules::SECTION_NAMES)]
    pub assistant_context: Option<BTreeMap<String, String>>,

    /// Answers given without the language model; at most 200. Their order matters: the first match wins.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub quick_replies: Option<Vec<QuickReply>>,

    /// Fields of newer contracts: a free object whose members are added to the top level of the published JSON; at
    /// most 64. A field that the contract has already must be left out.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schemars(schema_with = "rules::extensions")]
    pub extensions: Map<String, Value>,

    /// What happens to the keys in Redis when this resource is deleted: "Delete" removes them, "Retain" leaves
    /// them as they are. Defaults to "Delete".
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,

    /// True: hands off. Nothing of this tenant is written to Redis; its claims and what is live stay, deletion
    /// works. Defaults to false.
    #[serde(default)]
    pub suspend: bool,
}

/// Which key of which Secret, in the same namespace, holds the tenant's webhook secret.
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

fn webhook_secret_key() -> String {
    "webhookSecret".to_owned()
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

/// How many calls the tenant may have.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Caps {
    /// Calls of this tenant that may be up at the same time; at least 1.
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub max_concurrent_calls_tenant: u32,

    /// Calls of this tenant that may begin within a minute; at least 1.
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub max_calls_per_minute_tenant: u32,

    /// Calls of all tenants together that may be up at the same time for another one of this tenant to be taken;
    /// at least 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub max_concurrent_calls_global: Option<u32>,
}

/// Where the audio of calls is kept and served from.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Audio {
    /// The public address under which the audio is served; a text, usually a URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub public_base_url: Option<String>,

    /// The folder, on the runtime's machine, where the audio is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub storage_dir: Option<String>,

    /// Whether the runtime cleans that folder up by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime_managed: Option<bool>,
}

/// What happens to a tenant's keys in Redis when its resource is deleted.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeletionPolicy {
    /// They are removed.
    #[default]
    Delete,
    /// They stay as they are.
    Retain,
}
