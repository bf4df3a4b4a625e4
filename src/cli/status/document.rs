//! The JSON of a status.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::common::{Document, Outcome};
use crate::store::ServerFacts;

/// The answer of `status`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The operator; none where it was not found.
    pub operator: Option<OperatorStatus>,
    /// The leader; none where there is none.
    pub leader: Option<LeaderStatus>,
    /// Redis; none where it was not read.
    pub redis: Option<RedisStatus>,
    /// The resources; none where they were not read.
    pub tenants: Option<TenantCounts>,
    /// The resource that is not Ready for the longest time.
    pub oldest: Option<NotReady>,
    /// The numbers for which a resource waits, with `--conflicts`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conflicts: Option<Vec<NumberConflict>>,
    /// The keys that Redis holds otherwise than the resources say, with `--drift`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift: Option<Vec<Drift>>,
    /// The parts that were not read, and why.
    pub not_read: Vec<String>,
}

impl Document for Status {
    const KIND: &'static str = "Status";
}

/// The operator.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OperatorStatus {
    /// Its namespace.
    pub namespace: String,
    /// Its Deployment.
    pub deployment: String,
    /// The tag of its image.
    pub image_tag: Option<String>,
    /// The replicas that it should have.
    pub replicas: i32,
    /// The replicas that are ready.
    pub ready: i32,
    /// True if the CRD is that of this program; none where it was not read.
    pub crd_is_current: Option<bool>,
}

/// The leader.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LeaderStatus {
    /// The holder of the Lease.
    pub pod: String,
    /// Its epoch in Redis.
    pub epoch: Option<u64>,
    /// When it renewed the Lease last, by its own clock.
    #[schemars(with = "Option<String>")]
    pub renewed: Option<Timestamp>,
    /// Why it can't work, where it says so.
    pub cannot_work: Option<String>,
}

/// Redis.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RedisStatus {
    /// Host, port and database, as the operator reaches it.
    pub address: String,
    /// The state of the server.
    #[serde(flatten)]
    pub server: ServerFacts,
}

/// The resources, counted.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TenantCounts {
    /// All.
    pub total: usize,
    /// The Ready ones, without the suspended ones.
    pub ready: usize,
    /// The ones that are not Ready.
    pub not_ready: usize,
    /// The suspended ones.
    pub suspended: usize,
    /// The numbers that are live.
    pub numbers_live: usize,
    /// The numbers of all specs.
    pub numbers_wanted: usize,
    /// The reasons of those that are not Ready.
    pub reasons: BTreeMap<String, usize>,
}

/// A resource that is not Ready.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct NotReady {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The reason.
    pub reason: String,
    /// The reason in words.
    pub message: String,
    /// Since when it is not Ready.
    #[schemars(with = "String")]
    pub since: Timestamp,
}

/// A number for which a resource waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct NumberConflict {
    /// The number.
    pub number: String,
    /// The resource that holds it, as `namespace/name`; none where many wait before this one.
    pub holder: Option<String>,
    /// The resource that waits.
    pub waiting: String,
    /// Since when it waits.
    #[schemars(with = "String")]
    pub since: Timestamp,
}

/// Something that Redis holds otherwise.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub struct Drift {
    /// The key.
    pub key: String,
    /// The resource, as `namespace/name`; none where no resource holds it.
    pub resource: Option<String>,
    /// The difference.
    pub what: String,
}

impl Status {
    /// The exit code: something is not Ready, in conflict or adrift; or something was not read.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let some = |list: Option<usize>| list.is_some_and(|count| count > 0);
        let found = self.tenants.as_ref().is_some_and(|tenants| tenants.not_ready > 0)
            || some(self.conflicts.as_ref().map(Vec::len))
            || some(self.drift.as_ref().map(Vec::len));
        match (found, self.not_read.is_empty()) {
            (true, _) => Outcome::Found,
            (false, true) => Outcome::Clean,
            (false, false) => Outcome::Unknown,
        }
    }
}
