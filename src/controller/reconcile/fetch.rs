//! Fetches what a tenant's preparation lacks from the API server: a Secret, a large spec, the owner that a record names. No
//! lock is held meanwhile, so no tenant waits for another one's Secret.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::value::RawValue;
use tokio::sync::OwnedSemaphorePermit;

use super::super::context::Context;
use super::super::error::Error;
use super::super::secrets::ResolvedSecret;
use super::uncached;
use super::waiting::{Peer, request};
use crate::contract::TenantId;
use crate::domain::Uid;
use crate::domain::assessment::SecretFault;
use crate::domain::index::CachedTenant;
use crate::domain::secret::{SecretKey, SecretVersion};

/// The Secret of one tenant, read at a version or newer.
pub struct FetchedSecret {
    key: SecretKey,
    wanted: SecretVersion,
    result: Result<ResolvedSecret, SecretFault>,
}

/// The spec of one tenant, which is not kept in memory, with the permit that it takes.
pub struct FetchedSpec {
    /// The version of the resource.
    object: Arc<CachedTenant>,
    text: Box<RawValue>,
    permit: Option<OwnedSemaphorePermit>,
}

/// Everything fetched for the tenants of one reconcile. Lives no longer than it.
#[derive(Default)]
pub struct Fetched {
    /// The Secrets and the owners.
    pub facts: FetchedFacts,
    /// The specs of the group that is published now.
    pub specs: FetchedSpecs,
}

/// The Secrets that were fetched, and the owners that were looked for.
#[derive(Default)]
pub struct FetchedFacts {
    secrets: HashMap<Uid, FetchedSecret>,
    /// Owners by record that the watches show or that are gone.
    checked: HashSet<Uid>,
}

/// The specs that were fetched.
#[derive(Default)]
pub struct FetchedSpecs(HashMap<Uid, FetchedSpec>);

/// The answer to a [`Missing`].
pub enum Found {
    /// The Secret of a tenant.
    Secret(Uid, FetchedSecret),
    /// An owner on which the watches are not behind.
    Owner(Uid),
    /// The spec of a tenant.
    Spec(Uid, FetchedSpec),
    /// Another version of a resource, which the index knows by now.
    Changed,
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
    /// Its spec, which is not held.
    Spec {
        /// The version of the resource on which the index has decided.
        object: Arc<CachedTenant>,
    },
}

impl Fetched {
    /// Adds what was fetched.
    pub fn add(&mut self, found: Found) {
        match found {
            Found::Secret(uid, secret) => drop(self.facts.secrets.insert(uid, secret)),
            Found::Owner(uid) => drop(self.facts.checked.insert(uid)),
            Found::Spec(uid, spec) => drop(self.specs.0.insert(uid, spec)),
            Found::Changed => {}
        }
    }
}

impl FetchedFacts {
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
}

impl FetchedSpecs {
    /// The spec of a tenant, if it was fetched for this version of the resource.
    #[must_use]
    pub fn get(&self, object: &CachedTenant) -> Option<&str> {
        let fetched = self.0.get(&object.uid())?;
        let is_same = fetched.object.generation() == object.generation()
            && fetched.object.cached_spec().is_same(object.cached_spec());
        is_same.then(|| fetched.text.get())
    }

    /// Drops the spec of a tenant, and returns its permit.
    pub fn take_permit(&mut self, uid: &Uid) -> Option<OwnedSemaphorePermit> {
        self.0.remove(uid)?.permit
    }

    /// Drops all of them, and their permits.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

impl Missing {
    /// Fetches it from the API server; a spec once it has a permit, if it `takes_permit`.
    pub async fn fetch(self, ctx: &Context, takes_permit: bool) -> Result<Found, Error> {
        match self {
            Self::Secret { uid, key, version } => {
                let read = request(Peer::Secret, ctx.secrets.read(&key, &version)).await;
                let result =
                    read.map_err(|source| Error::ReadSecret { secret: key.secret.clone(), source })?;
                Ok(Found::Secret(uid, FetchedSecret { key, wanted: version, result }))
            }
            Self::Owner { uid, tenant } => {
                uncached::check_recorded_owner(ctx, &uid, &tenant).await?;
                Ok(Found::Owner(uid))
            }
            Self::Spec { object } => {
                let bytes = object.cached_spec().bytes();
                let permit = request(Peer::LargeSpecs, ctx.large_specs.permit(bytes));
                let permit = if takes_permit { permit.await } else { None };
                let text = uncached::spec(ctx, &object).await?;
                Ok(text.map_or(Found::Changed, |text| {
                    Found::Spec(object.uid(), FetchedSpec { object, text, permit })
                }))
            }
        }
    }
}
