//! The facts from which a trace follows. They are read first, all of them; then it is decided what they mean.

use jiff::Timestamp;

use crate::api::RuntimeTenantStatus;
use crate::contract::{Did, TenantId};
use crate::domain::assessment::SecretFaultKind;
use crate::domain::reason::Reason;
use crate::domain::secret::SecretKey;
use crate::domain::status::READY;
use crate::domain::{ResourceName, Uid};
use crate::store;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// The question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// A number.
    Number(Did),
    /// A tenant id.
    Tenant(TenantId),
    /// A resource.
    Resource(ResourceName),
}

/// All facts. An error is a clause that says why something was not read.
#[derive(Clone, Debug)]
pub struct TraceFacts {
    /// The question.
    pub query: Query,
    /// The tenant id whose keys were read, if one is known.
    pub tenant: Option<TenantId>,
    /// The facts of Redis.
    pub redis: Result<store::Facts, String>,
    /// The facts of the cluster.
    pub cluster: Result<ClusterFacts, String>,
    /// The time.
    pub now: Timestamp,
}

/// The facts of the cluster.
#[derive(Clone, Debug, Default)]
pub struct ClusterFacts {
    /// The resources that claim the number or the tenant id, the holder first.
    pub claimants: Vec<ClaimantFacts>,
    /// The parts that were not listed, and why. While this is not empty, there may be other claimants.
    pub missing: Vec<String>,
    /// The Secret of the first claimant; the error says why it was not read.
    pub secret: Option<Result<SecretFacts, String>>,
}

/// A resource that claims the number or the tenant id.
#[derive(Clone, Debug)]
pub struct ClaimantFacts {
    /// The resource.
    pub name: ResourceName,
    /// Its uid.
    pub uid: Uid,
    /// Its generation.
    pub generation: i64,
    /// When it was created.
    pub created: Timestamp,
    /// True while it is being deleted.
    pub deleting: bool,
    /// Its tenant id, if it is one.
    pub tenant: Option<TenantId>,
    /// The numbers of its spec.
    pub dids: Vec<Did>,
    /// The Secret and the key to which it refers.
    pub secret: Option<SecretKey>,
    /// Its status.
    pub status: RuntimeTenantStatus,
    /// The resource that holds what it waits for, by the controller's claims.
    pub waits_for: Option<ResourceName>,
    /// True where the controller's claims say that it holds the number, or the tenant id.
    pub holds: bool,
}

/// A Secret, without its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretFacts {
    /// Its version, `uid/resourceVersion`; none where it does not exist.
    pub version: Option<String>,
    /// Why its value can't be used; none where it can.
    pub fault: Option<SecretFaultKind>,
}

impl Query {
    /// The question as it was read.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Number(did) => did.to_string(),
            Self::Tenant(tenant) => tenant.to_string(),
            Self::Resource(name) => name.to_string(),
        }
    }

    /// The number, where one was asked for.
    #[must_use]
    pub fn number(&self) -> Option<&Did> {
        match self {
            Self::Number(did) => Some(did),
            Self::Tenant(_) | Self::Resource(_) => None,
        }
    }
}

impl ClaimantFacts {
    /// A condition.
    #[must_use]
    pub fn condition(&self, type_: &str) -> Option<&Condition> {
        self.status.conditions.iter().find(|condition| condition.type_ == type_)
    }

    /// True if its status is about its newest generation and says that it is Ready.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.condition(READY).is_some_and(|ready| ready.status == "True") && !self.is_behind()
    }

    /// True if its status is about an earlier generation.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.status.observed_generation.is_some_and(|observed| observed < self.generation)
    }

    /// The reason of `Ready`.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        Reason::named(&self.condition(READY)?.reason)
    }

    /// Since when `Ready` has its status; without one, since when the resource exists.
    #[must_use]
    pub fn since(&self) -> Timestamp {
        self.condition(READY).map_or(self.created, |ready| ready.last_transition_time.0)
    }
}
