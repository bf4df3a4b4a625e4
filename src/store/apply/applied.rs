//! The results of a call's operations: plain values, without types of the client library.

use std::fmt;

use crate::contract::Did;
use crate::domain::{ClusterId, Uid};

/// The result of one operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    /// Redis held the desired state already: nothing was written.
    Unchanged,
    /// Only the record was written: the keys that the runtime reads were up to date.
    Recorded,
    /// Redis now holds the publication.
    Published {
        /// The tenant's config was there already, from a publisher that keeps no records.
        adopted: bool,
        /// The tenant id and the DIDs that were taken from another holder because the publication says `take_over`.
        taken_over: Vec<TakenOver>,
        /// The DIDs that this tenant held and that now map to no tenant.
        removed: Vec<Did>,
    },
    /// The tenant's record was removed.
    Removed {
        /// A mapping or the config was removed too.
        keys: bool,
    },
    /// The tenant to remove belongs to another resource or cluster: nothing was written for it.
    NotOwned,
    /// The operation conflicts with what Redis holds: nothing of the call was written.
    Rejected(Conflict),
    /// The operation was possible, but another one of the same call was rejected: nothing was written.
    Aborted,
}

impl Applied {
    /// All values of [`as_str`](Self::as_str).
    pub const RESULTS: [&str; 7] =
        ["unchanged", "recorded", "published", "removed", "not_owned", "rejected", "aborted"];

    /// Returns the result as a label value.
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

/// A tenant id or DID that was taken from another holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenOver {
    /// The DID; `None` for the tenant id itself.
    pub did: Option<Did>,
    /// The former holder, for people: `voice/acme of cluster 4f0c…` or `tenant old-acme`.
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

/// The conflict for which a publication was rejected. If there are several, it is the first in this order, and it lists
/// every DID concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// The tenant's record carries a later generation of the same resource, which does not yield to itself.
    Stale {
        /// The recorded generation.
        generation: i64,
    },
    /// A resource of another cluster is recorded as the owner.
    OwnedElsewhere {
        /// That cluster.
        cluster: ClusterId,
        /// The resource's `namespace/name`; several are separated by a comma.
        owner: String,
        /// The DIDs; empty for the tenant id itself.
        dids: Vec<Did>,
    },
    /// Another resource of this cluster is recorded as the owner, and does not yield.
    HeldBy {
        /// The resource's uid.
        uid: Uid,
        /// The resource's `namespace/name`.
        owner: String,
        /// The DIDs that it holds; empty for the tenant id itself.
        dids: Vec<Did>,
    },
    /// The DIDs map to tenant ids that no resource owns.
    DidsInUse(Vec<(Did, String)>),
    /// An older publisher's config lists these mapped DIDs, and the publication does not.
    WouldUnmap(Vec<Did>),
}
