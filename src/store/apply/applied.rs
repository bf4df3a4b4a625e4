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
        /// What the adoption of the tenant's config changes, which was there already, from a publisher that keeps no
        /// records.
        adopted: Option<Adoption>,
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

/// What the adoption of an older publisher's config changes in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Adoption {
    /// The places that change, sorted, written as JavaScript would: `caps.maxConcurrentCallsTenant`, `dids[1]`; a whole
    /// list where its length changes. Never a value. Not all, if there are very many.
    pub changed: Vec<String>,
    /// The number of all places that change.
    pub total: usize,
    /// The old config was no JSON object, so that all of it changes.
    pub whole: bool,
}

/// A tenant id or DID that was taken from another holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenOver {
    /// The DID; `None` for the tenant id itself.
    pub did: Option<Did>,
    /// The former holder, for people: `voice/acme of cluster 4f0c…` or `tenant old-acme`.
    pub from: String,
    /// The former holder's cluster and uid; `None` if no resource held it.
    pub holder: Option<(ClusterId, Uid)>,
}

impl fmt::Display for Adoption {
    /// Writes what changes, for people: as many places as one reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 20;
        if self.whole {
            return f.write_str("all of it changes: it was no JSON object");
        }
        if self.total == 0 {
            return f.write_str("nothing of it changes");
        }
        let shown = &self.changed[..self.changed.len().min(SHOWN)];
        write!(f, "changed: {}", shown.join(", "))?;
        match self.total.saturating_sub(shown.len()) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
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
    /// The runtime would verify webhooks with another secret than the older publisher's config says, or perhaps would.
    WouldChangeSecret,
    /// The older publisher's config is above 1 MiB: it is not decoded, so it can't be adopted.
    TooLarge,
}
