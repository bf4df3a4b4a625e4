//! The JSON of a trace.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::cli::common::{Document, Mark, Outcome};
use crate::store::Fault;

/// The answer of `trace`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Trace {
    /// The question, as it was read.
    pub query: String,
    /// The number, in E.164, where one was asked for.
    pub number: Option<String>,
    /// The mapping of that number; none where Redis was not read.
    pub mapping: Option<Mapping>,
    /// The mappings of all numbers of the tenant, where a tenant or a resource was asked for.
    pub numbers: Vec<Mapping>,
    /// The tenant's config; none where there is none.
    pub config: Option<TraceConfig>,
    /// The resource that holds the number or the tenant id, else one that claims it.
    pub owner: Option<Owner>,
    /// The Secret to which that resource refers.
    pub secret: Option<SecretState>,
    /// Every resource that claims the number or the tenant id, the owner too.
    pub claimants: Vec<Claimant>,
    /// The ownership record in Redis.
    pub record: Option<Record>,
    /// The tenant that answers a call to the number, or of which every number is answered.
    pub answered_by: Option<String>,
    /// True if a call is answered as the resources say; none where that is not known.
    pub as_resources_say: Option<bool>,
    /// Each step, with its mark.
    pub steps: Vec<Step>,
    /// The parts that were not read, and why.
    pub not_read: Vec<String>,
    /// The things that a person can do.
    pub advice: Vec<String>,
}

impl Document for Trace {
    const KIND: &'static str = "Trace";
}

/// A step of a trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Step {
    /// `ok`, `fault`, `note` or `unknown`.
    pub mark: String,
    /// The subject, as in `mapping`.
    pub subject: String,
    /// The fact.
    pub text: String,
    #[serde(skip)]
    pub(super) sign: Mark,
}

impl Step {
    pub(super) fn new(mark: Mark, subject: &str, text: impl Into<String>) -> Self {
        Self { mark: mark.word().to_owned(), subject: subject.to_owned(), text: text.into(), sign: mark }
    }
}

/// The mapping of a number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Mapping {
    /// The number.
    pub number: String,
    /// The key that the voice runtime reads.
    pub key: String,
    /// The tenant id to which it is mapped, if it is.
    pub tenant_id: Option<String>,
}

/// A config.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TraceConfig {
    /// The key that the voice runtime reads.
    pub key: String,
    /// Its length.
    pub bytes: usize,
    /// The SHA-1 of its bytes.
    pub sha1: Option<String>,
    /// True if the voice runtime accepts it; none where it is too large to be read.
    pub valid: Option<bool>,
    /// The faults for which the runtime refuses it.
    pub faults: Vec<Fault>,
    /// True if it lists the number that was asked for.
    pub lists_number: Option<bool>,
    /// Its JSON, with `***` for secrets, with `--config`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document: Option<Value>,
}

/// A resource.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Owner {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// Its generation.
    pub generation: i64,
    /// The generation that its status describes.
    pub observed_generation: Option<i64>,
    /// Its conditions.
    pub conditions: Vec<TraceCondition>,
}

/// A condition.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TraceCondition {
    /// Its type.
    pub r#type: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// The reason.
    pub reason: String,
    /// The reason in words.
    pub message: String,
    /// Since when it has this status.
    #[schemars(with = "String")]
    pub since: Timestamp,
}

/// The Secret of a resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretState {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The key in it.
    pub key: String,
    /// True if it exists and its key has a value that can be used; none where it was not read.
    pub present: Option<bool>,
    /// The version that was published, by the ownership record.
    pub published_version: Option<String>,
    /// The version that it has.
    pub current_version: Option<String>,
}

/// A resource that claims the number or the tenant id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Claimant {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Since when it has its state.
    #[schemars(with = "String")]
    pub since: Timestamp,
    /// True for the one that holds it.
    pub holds: bool,
}

/// An ownership record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Record {
    /// The id of the owner's cluster.
    pub cluster: String,
    /// The owner, as `namespace/name`.
    pub owner: String,
    /// The owner's uid.
    pub uid: String,
    /// The owner's generation that was published.
    pub generation: i64,
    /// The numbers that are mapped to the tenant.
    pub dids: Vec<String>,
    /// The SHA-1 of the published config.
    pub sha1: String,
}

impl Trace {
    /// The exit code.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self.as_resources_say {
            Some(true) => Outcome::Clean,
            Some(false) => Outcome::Found,
            None => Outcome::Unknown,
        }
    }
}
