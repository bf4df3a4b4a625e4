//! The status that the operator writes for a tenant.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// The state of the tenant in Redis, as the operator reports it. It holds no secret and no hash of one. Each member may be
/// missing, since another version of the operator may have written fewer.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct RuntimeTenantStatus {
    /// The generation of the spec that this status describes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,

    /// The live phone numbers of the spec and all of them, as in "1/2".
    #[schemars(length(max = 16))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dids: Option<String>,

    /// The conditions: "Ready" (Redis matches the spec), "SecretResolved", "DidsClaimed" and "Published"; "Reconciling",
    /// "Stalled", "Suspended" and "Warnings" only while they are true.
    #[schemars(schema_with = "conditions")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,

    /// The published phone numbers, normalised.
    #[schemars(length(max = 500), inner(length(max = 16)), extend("x-kubernetes-list-type" = "atomic"))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub published_dids: Vec<String>,

    /// The number of published phone numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 500))]
    pub published_did_count: Option<u32>,

    /// The hash of the published JSON without the webhook secret: equal hashes mean equal configs.
    #[schemars(length(max = 128))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published_hash: Option<String>,

    /// The work that the annotation "runtime.veralux.io/take-over" has done. It works once: to take something again, remove the
    /// annotation and set it again, or set it to "<cluster>/<namespace>/<name>", the holder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub take_over: Option<TakeOverStatus>,

    /// The holders outside of this operator's resources for which this resource waits. After a loss in Redis they come first.
    #[schemars(length(max = 100), extend("x-kubernetes-list-type" = "atomic"))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held_elsewhere: Vec<HeldElsewhere>,

    /// The time of the last write to Redis for this tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_published_time: Option<Time>,
}

/// A holder outside of this operator's resources, and what it holds of the resource.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct HeldElsewhere {
    /// The id of its cluster. None: it is of this cluster, or no resource.
    #[schemars(length(max = 1024))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,

    /// Its namespace and name, as in "voice/acme". None: it is no resource.
    #[schemars(length(max = 1024))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,

    /// The tenant id to which an older publisher has mapped the phone numbers.
    #[schemars(length(max = 1024))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,

    /// The phone numbers, normalised. None: it holds the tenant id.
    #[schemars(length(max = 500), inner(length(max = 16)), extend("x-kubernetes-list-type" = "atomic"))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dids: Vec<String>,
}

/// The work that the annotation "runtime.veralux.io/take-over" has done.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct TakeOverStatus {
    /// The value of the annotation with which the tenant was published.
    #[schemars(length(max = 1024))]
    #[serde(default)]
    pub used: String,

    /// The resources of other clusters from which a number or the tenant id was taken, the latest first.
    #[schemars(length(max = 10), extend("x-kubernetes-list-type" = "atomic"))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<TakenFrom>,
}

/// A resource of another cluster from which something was taken.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct TakenFrom {
    /// The id of its cluster.
    #[schemars(length(max = 1024))]
    #[serde(default)]
    pub cluster: String,

    /// Its uid.
    #[schemars(length(max = 128))]
    #[serde(default)]
    pub uid: String,
}

/// The schema of the conditions by the API conventions: <https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md>
fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 16,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["lastTransitionTime", "message", "reason", "status", "type"],
            "properties": {
                "type": {
                    "type": "string",
                    "maxLength": 316,
                    "description": "The condition's type, for example \"Ready\".",
                },
                "status": {
                    "type": "string",
                    "enum": ["True", "False", "Unknown"],
                    "description": "The condition's status: \"True\", \"False\" or \"Unknown\".",
                },
                "observedGeneration": {
                    "type": "integer",
                    "format": "int64",
                    "minimum": 0,
                    "description": "The generation of the spec that the condition describes.",
                },
                "lastTransitionTime": {
                    "type": "string",
                    "format": "date-time",
                    "description": "The time of the last change of status.",
                },
                "reason": {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 1024,
                    "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
                    "description": "The reason for the status, as one word of a closed set.",
                },
                "message": {
                    "type": "string",
                    "maxLength": 32768,
                    "description": "The reason for the status, in a sentence; may be empty.",
                },
            },
        },
    })
}
