//! The plan of an apply, as a document.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::super::common::Document;

/// The changes that an apply would bring.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The resources that change, and those of others that gain, lose or wait for something.
    pub resources: Vec<ResourceChange>,
    /// The numbers whose mapping changes.
    pub numbers: Vec<NumberChange>,
    /// The conflicts that arise.
    pub conflicts: Vec<Conflict>,
    /// The parts that were not read.
    pub unknown: Vec<String>,
}

impl Document for Plan {
    const KIND: &'static str = "Plan";
}

/// A resource.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceChange {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its change.
    pub action: Action,
    /// The members of its spec that change, without its numbers.
    pub config: Vec<MemberChange>,
    /// The operator's verdict on it; none of a deleted one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
}

/// The change of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It is new.
    Create,
    /// It changes.
    Update,
    /// `--prune` deletes it.
    Delete,
    /// It stays as it is, and gains or loses a number.
    Affected,
}

/// A member of a spec.
#[derive(Debug, Serialize, JsonSchema)]
pub struct MemberChange {
    /// Its path in the spec.
    pub path: String,
    /// Its value now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Value>,
    /// Its value then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Value>,
}

/// The operator's verdict on a resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Verdict {
    /// True if it will be Ready; none where that is not known.
    pub ready: Option<bool>,
    /// The reason, as in its status.
    pub reason: String,
    /// The message.
    pub message: String,
}

/// A number.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct NumberChange {
    /// The number.
    pub number: String,
    /// The tenant id to which it is mapped now.
    pub from: Option<String>,
    /// The tenant id to which it will be mapped.
    pub to: Option<String>,
    /// The resource that has it now, if one has it.
    #[serde(skip_serializing_if = "Option::is_none", rename = "fromResource")]
    pub from_resource: Option<String>,
    /// The resource that will have it.
    #[serde(skip_serializing_if = "Option::is_none", rename = "toResource")]
    pub to_resource: Option<String>,
}

/// A conflict.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Conflict {
    /// The namespace of the resource that waits.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The number; none where it is about the tenant id, or about adoption.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    /// The reason, as in its status.
    pub reason: String,
    /// The conflict, in a clause.
    pub message: String,
}
