//! The operations of a call: plain values, without types of the client library.

use std::collections::BTreeMap;

use secrecy::SecretString;

use crate::contract::{Did, TenantId};
use crate::domain::{Owner, TakeOver, Uid};

/// One change of one tenant.
#[derive(Clone, Debug)]
pub enum Operation {
    /// Writes the tenant's config, mappings and record.
    Publish(Publication),
    /// Removes the tenant's record, and its keys unless they are retained.
    Remove(Removal),
}

impl Operation {
    /// Returns the tenant that the operation changes.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        match self {
            Self::Publish(publication) => &publication.tenant,
            Self::Remove(removal) => &removal.tenant,
        }
    }
}

/// The desired state of a tenant.
#[derive(Clone, Debug)]
pub struct Publication {
    /// The tenant.
    pub tenant: TenantId,
    /// The resource that desires it.
    pub owner: Owner,
    /// The resource's `metadata.generation`.
    pub generation: i64,
    /// The secret in the config: `<secret uid>/<resourceVersion>`, or `reference:<uid>/<resourceVersion>`.
    pub secret: String,
    /// The hash of the config without its secret.
    pub hash: String,
    /// The DIDs to map to the tenant; the config lists the same.
    pub dids: Vec<Did>,
    /// The DIDs that the resource's status lists as published: they are the tenant's when the record is lost.
    pub previously_listed: Vec<Did>,
    /// The owners of this cluster that yield the tenant id or DIDs to this one, each while its record carries this
    /// generation: with another one it has been published since, and may hold them again. `None` means any generation.
    /// The resource itself is among them if it was set back to an earlier generation.
    pub yielding_owners: BTreeMap<Uid, Option<i64>>,
    /// Redis has lost data: the DIDs of `previously_listed` are the tenant's even where its record does not list them.
    pub after_loss: bool,
    /// True while the resource has the annotation `take-over`: the record keeps what it has taken.
    pub annotated: bool,
    /// What may be taken of what another cluster or an older publisher holds.
    pub take_over: TakeOver,
    /// The exact JSON to store.
    pub config: SecretString,
}

/// The removal of a tenant.
#[derive(Clone, Debug)]
pub struct Removal {
    /// The tenant.
    pub tenant: TenantId,
    /// The uid of the resource that owned it.
    pub uid: Uid,
    /// The DIDs that the resource's status lists as published: removed even when the record is lost.
    pub previously_listed: Vec<Did>,
    /// Keeps config and mappings, and removes the ownership record only.
    pub retain: bool,
}
