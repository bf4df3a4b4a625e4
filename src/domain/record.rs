//! The ownership record that Redis holds for each published tenant, and the identities in it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Uid;
use crate::contract::{Did, TenantId};

/// The Kubernetes cluster whose resources a record belongs to: the value of `--cluster-id`, by default the UID of
/// the namespace `kube-system`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClusterId(String);

impl ClusterId {
    /// Takes the text as it is.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The id's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The fencing token of a leader: each new leader acquires a higher epoch, and Redis rejects a write that carries any
/// but the current one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The resource that owns a tenant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Owner {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// `metadata.uid`.
    pub uid: Uid,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// The ownership record of a tenant, written in the same operation as its config and its DIDs' mappings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnershipRecord {
    /// The tenant.
    pub tenant: TenantId,
    /// The cluster of the owner.
    pub cluster: ClusterId,
    /// The resource.
    pub owner: Owner,
    /// The resource's `metadata.generation` that was published.
    pub generation: i64,
    /// The version of the Secret, `<uid>/<resourceVersion>`, after `reference:` if its value was not published. Never a value.
    pub secret: String,
    /// The DIDs that the tenant holds, in the order of its config.
    pub dids: Vec<Did>,
    /// The hash of the published config without its secret.
    pub hash: String,
    /// The SHA-1 of the published bytes, in lower-case hexadecimal.
    pub sha1: String,
}
