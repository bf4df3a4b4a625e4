//! What the operator says about a tenant.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// What the operator says about a tenant. Holds no secret and no hash of one.
///
/// Everything may be missing: another version of the operator may have written less.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct RuntimeTenantStatus {
    /// The generation of the spec that this status is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,

    /// What holds and what does not: "Ready" (everything that the spec asks for is live), "SecretResolved",
    /// "DidsClaimed", "Published"; "Reconciling" and "Stalled" only while they are true.
    #[schemars(schema_with = "conditions")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,

    /// The numbers that are live, normalised.
    #[schemars(length(max = 500), inner(length(max = 16)), extend("x-kubernetes-list-type" = "atomic"))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub published_dids: Vec<String>,

    /// How many numbers are live.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 500))]
    pub published_did_count: Option<u32>,

    /// A hash of the published JSON, less the webhook secret: equal hashes, equal configs.
    #[schemars(length(max = 128))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published_hash: Option<String>,

    /// When Redis was last written for this tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_published_time: Option<Time>,
}

/// As the API conventions have them: <https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md>
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
                    "description": "What the condition is about, as in \"Ready\".",
                },
                "status": {
                    "type": "string",
                    "enum": ["True", "False", "Unknown"],
                    "description": "Whether it holds: \"True\", \"False\" or \"Unknown\".",
                },
                "observedGeneration": {
                    "type": "integer",
                    "format": "int64",
                    "minimum": 0,
                    "description": "The generation of the spec that the condition is about.",
                },
                "lastTransitionTime": {
                    "type": "string",
                    "format": "date-time",
                    "description": "When status last changed.",
                },
                "reason": {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 1024,
                    "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
                    "description": "Why, as one word of a closed set.",
                },
                "message": {
                    "type": "string",
                    "maxLength": 32768,
                    "description": "Why, in words; may be empty.",
                },
            },
        },
    })
}
