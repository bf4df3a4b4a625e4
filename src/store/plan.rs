//! What one call of the store is asked to do, and what it answers: plain values, no Redis types.

use std::collections::BTreeMap;
use std::fmt;

use secrecy::SecretString;

use crate::contract::{Did, TenantId};
use crate::domain::{ClusterId, Owner, OwnershipRecord, Uid};

/// One thing to do to one tenant.
#[derive(Clone, Debug)]
pub enum Operation {
    /// Make the tenant live.
    Publish(Publication),
    /// Take the tenant away.
    Remove(Removal),
}

impl Operation {
    /// The tenant that the operation is about.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        match self {
            Self::Publish(publication) => &publication.tenant,
            Self::Remove(removal) => &removal.tenant,
        }
    }
}

/// A tenant as it is to be.
#[derive(Clone, Debug)]
pub struct Publication {
    /// The tenant.
    pub tenant: TenantId,
    /// The resource that says so.
    pub owner: Owner,
    /// Its `metadata.generation`.
    pub generation: i64,
    /// Which secret the config carries: `<secret uid>/<resourceVersion>`, or `reference`.
    pub secret: String,
    /// The hash of the config without its secret.
    pub hash: String,
    /// The numbers to map to the tenant; the config lists the same.
    pub dids: Vec<Did>,
    /// The numbers that the resource's status lists as live: ours even when the record is lost.
    pub previously_listed: Vec<Did>,
    /// Owners of this cluster that yield the tenant id or numbers to this one, each as long as its record carries this
    /// generation: with another it has been published since, and may hold them again. None: whatever it carries. The
    /// resource itself is among them where it was set back to an earlier generation.
    pub yielding_owners: BTreeMap<Uid, Option<i64>>,
    /// Take what another cluster or an older publisher holds.
    pub take_over: bool,
    /// The exact JSON to store.
    pub config: SecretString,
}

/// A tenant that is to be no more.
#[derive(Clone, Debug)]
pub struct Removal {
    /// The tenant.
    pub tenant: TenantId,
    /// The resource that owned it.
    pub uid: Uid,
    /// The numbers that the resource's status lists as live: removed even when the record is lost.
    pub previously_listed: Vec<Did>,
    /// Leave config and mappings, and give up only the ownership record.
    pub retain: bool,
}

/// What came of one operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    /// Redis holds this already: nothing was written.
    Unchanged,
    /// The record alone was written: what the runtime reads is this already.
    Recorded,
    /// Redis now holds the publication.
    Published {
        /// The tenant's config was there already, from a publisher that keeps no records.
        adopted: bool,
        /// What was taken because the publication says `take_over`.
        taken_over: Vec<TakenOver>,
        /// The numbers that this tenant held and that now map to no tenant.
        removed: Vec<Did>,
    },
    /// The tenant's record is gone.
    Removed {
        /// Whether a mapping or the config was removed too.
        keys: bool,
    },
    /// The tenant to remove belongs to another resource or cluster: nothing was written for it.
    NotOwned,
    /// The operation can't be done, so that nothing of the call was written.
    Rejected(Conflict),
    /// The operation could be done, but another of the same call was refused: nothing was written.
    Aborted,
}

impl Applied {
    /// Every name that [`Self::as_str`] gives.
    pub const RESULTS: [&str; 7] =
        ["unchanged", "recorded", "published", "removed", "not_owned", "rejected", "aborted"];

    /// Its name, as a label has it.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Unchanged => "unchanged",
            Self::Recorded => "recorded",
            Self::Published { .. } => "published",
            Self::Removed { .. } => "removed",
            Self::NotOwned => "not_owned",
            Self::Rejected(_) => "rejected",
            Self::Aborted => "aborted",
        }
    }
}

/// Something taken from its holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenOver {
    /// The number; `None` for the tenant id itself.
    pub did: Option<Did>,
    /// From whom, for a person to read: `voice/acme of cluster 4f0c…` or `tenant old-acme`.
    pub from: String,
}

impl fmt::Display for TakenOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.did {
            Some(did) => write!(f, "{did} from {}", self.from),
            None => write!(f, "the tenant id from {}", self.from),
        }
    }
}

/// Why a publication was refused. Where several reasons hold, the first in this order is given; it names every
/// number that it concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// The tenant's record carries a later generation of the same resource, which does not yield to itself.
    Stale {
        /// The recorded generation.
        generation: i64,
    },
    /// Recorded as owned by a resource of another cluster.
    OwnedElsewhere {
        /// That cluster.
        cluster: ClusterId,
        /// `namespace/name` there; several are separated by a comma.
        owner: String,
        /// The numbers; empty when it is the tenant id itself.
        dids: Vec<Did>,
    },
    /// Recorded as owned by another resource of this cluster, which does not yield it.
    HeldBy {
        /// The uid of that resource.
        uid: Uid,
        /// Its `namespace/name`.
        owner: String,
        /// The numbers of that holder; empty when it is the tenant id itself.
        dids: Vec<Did>,
    },
    /// Mapped to a tenant id that no resource owns.
    DidsInUse(Vec<(Did, String)>),
    /// The config of an older publisher lists these live numbers, and the publication does not.
    WouldUnmap(Vec<Did>),
}

/// A tenant's record as it was found, and whether Redis still holds what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// The record, if there is one.
    pub record: Option<OwnershipRecord>,
    /// The stored config's SHA-1 is the record's, each of its numbers maps to the tenant, and the indexes of
    /// records and numbers agree. Always `false` without a record.
    pub intact: bool,
}
