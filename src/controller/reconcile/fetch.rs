//! The reads of reconciles from the API server before they publish. It is read while nothing is locked: no tenant waits for
//! another one's Secret.

use std::collections::{HashMap, HashSet};

use super::super::context::Context;
use super::super::error::Error;
use super::super::secrets::ResolvedSecret;
use super::live_read;
use super::waiting::{Peer, request};
use crate::contract::TenantId;
use crate::domain::Uid;
use crate::domain::assessment::SecretFault;
use crate::domain::secret::{SecretKey, SecretVersion};

/// The Secret of one tenant, read at a version or newer.
pub struct FetchedSecret {
    key: SecretKey,
    wanted: SecretVersion,
    result: Result<ResolvedSecret, SecretFault>,
}

/// Everything fetched for the tenants of one reconcile. Lives no longer than it.
#[derive(Default)]
pub struct Fetched {
    secrets: HashMap<Uid, FetchedSecret>,
    /// Owners by record that the watches show or that are gone.
    checked: HashSet<Uid>,
}

/// The finding in place of a [`Missing`].
pub enum Found {
    /// The Secret of a tenant.
    Secret(Uid, FetchedSecret),
    /// An owner on which the watches are not behind.
    Owner(Uid),
}

/// A fact without which a tenant can't be prepared.
#[derive(Debug)]
pub enum Missing {
    /// Its Secret.
    Secret {
        /// The tenant.
        uid: Uid,
        /// The Secret and the key in it.
        key: SecretKey,
        /// The version that the watch shows.
        version: SecretVersion,
    },
    /// The fate of an owner by record, of which the watches show no resource.
    Owner {
        /// The owner.
        uid: Uid,
        /// The tenant id that it owns.
        tenant: TenantId,
    },
}

impl Fetched {
    /// The Secret of a tenant, if it was fetched for this version.
    #[must_use]
    pub fn secret(
        &self,
        uid: &Uid,
        key: &SecretKey,
        version: &SecretVersion,
    ) -> Option<&Result<ResolvedSecret, SecretFault>> {
        let fetched = self.secrets.get(uid)?;
        (fetched.key == *key && fetched.wanted == *version).then_some(&fetched.result)
    }

    /// Adds the Secret of a tenant.
    pub fn insert(
        &mut self,
        uid: Uid,
        key: SecretKey,
        wanted: SecretVersion,
        result: Result<ResolvedSecret, SecretFault>,
    ) {
        self.secrets.insert(uid, FetchedSecret { key, wanted, result });
    }

    /// True once it is known of an owner that the watches are not behind on it.
    #[must_use]
    pub fn is_checked(&self, uid: &Uid) -> bool {
        self.checked.contains(uid)
    }

    /// Adds what was fetched.
    pub fn add(&mut self, found: Found) {
        match found {
            Found::Secret(uid, secret) => drop(self.secrets.insert(uid, secret)),
            Found::Owner(uid) => drop(self.checked.insert(uid)),
        }
    }
}

impl Missing {
    /// Fetches it from the API server.
    pub async fn fetch(self, ctx: &Context) -> Result<Found, Error> {
        match self {
            Self::Secret { uid, key, version } => {
                let read = request(Peer::Secret, ctx.secrets.read(&key, &version)).await;
                let result =
                    read.map_err(|source| Error::ReadSecret { secret: key.secret.clone(), source })?;
                Ok(Found::Secret(uid, FetchedSecret { key, wanted: version, result }))
            }
            Self::Owner { uid, tenant } => {
                live_read::check_recorded_owner(ctx, &uid, &tenant).await?;
                Ok(Found::Owner(uid))
            }
        }
    }
}
