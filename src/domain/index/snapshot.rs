//! The snapshot from which a reconcile starts: one consistent reading of everything that is known.

use std::collections::HashMap;
use std::sync::Arc;

use super::Index;
use super::cached::CachedTenant;
use super::tenant::Confidence;
use crate::api::{DEFAULT_SECRET_KEY, DeletionPolicy};
use crate::domain::claims::Claim;
use crate::domain::plan::Snapshot;
use crate::domain::secret::{SecretKey, SecretVersion};
use crate::domain::{ResourceName, TakeOver, Uid};

/// A consistent reading of what is known of one tenant.
#[derive(Clone, Debug)]
pub struct TenantSnapshot {
    /// The tenant.
    pub uid: Uid,
    /// The resource; none when it is gone.
    pub object: Option<Arc<CachedTenant>>,
    /// Claims and what is published.
    pub claims: Snapshot,
    /// The hash of the config with all claimed DIDs; none while nothing may be published.
    pub hash: Option<String>,
    /// The version of the Secret that the spec refers to, if it exists.
    pub secret: Option<SecretVersion>,
    /// The Secret and the key in it to which the spec refers, whether it exists or not.
    pub secret_key: Option<SecretKey>,
    /// The policy that decides whether the keys outlive the resource.
    pub deletion_policy: DeletionPolicy,
    /// The permission that the annotation `take-over` gives.
    pub take_over: TakeOver,
    /// The number of invalidations so far: a result counts as verified only where it is the same afterwards.
    pub invalidations: u64,
}

/// The tenants of which this pass has taken a snapshot already, with the claims that they had then. While its claim is
/// the same, such a tenant counts as published, even if Redis did not let it take everything.
#[derive(Debug, Default)]
pub struct AlreadyPublished(HashMap<Uid, Option<Arc<Claim>>>);

/// The way in which the reconcile of a tenant begins: alone, or with others before it.
#[derive(Debug)]
pub enum Start {
    /// No other tenant takes anything from it.
    Alone(Box<TenantSnapshot>),
    /// Others take DIDs or the tenant id from it: see [`Index::publish_order`].
    Group,
}

impl AlreadyPublished {
    /// Adds tenants with what they claim now.
    pub fn add<'a>(&mut self, index: &Index, tenants: impl IntoIterator<Item = &'a Uid>) {
        let claim = |uid: &Uid| (uid.clone(), index.claims.get(uid).cloned());
        self.0.extend(tenants.into_iter().map(claim));
    }
}

impl Index {
    /// Begins the reconcile of a tenant.
    #[must_use]
    pub fn start(&self, uid: &Uid) -> Start {
        if self.claims.taking_owners(uid).is_empty() {
            Start::Alone(Box::new(self.snapshot_of(uid)))
        } else {
            Start::Group
        }
    }

    /// The order in which `uid`, and all that take something from it, must be published so that no DID is unmapped in
    /// between: new holders first. Tenants in one group are published in one script call.
    #[must_use]
    pub fn publish_order(&self, uid: &Uid) -> Vec<Vec<Uid>> {
        self.claims.publish_order(uid)
    }

    /// One consistent snapshot for `members`. `None` if a tenant that takes something from them is neither a member nor
    /// already published: it must be published first, or a DID would be unmapped in between.
    #[must_use]
    pub fn snapshot(&self, members: &[Uid], done: &mut AlreadyPublished) -> Option<Vec<TenantSnapshot>> {
        let in_order = |taker: &Uid| {
            members.contains(taker)
                || done.0.get(taker).is_some_and(|claim| claim.as_ref() == self.claims.get(taker))
        };
        if !members.iter().flat_map(|uid| self.claims.taking_owners(uid)).all(|taker| in_order(&taker)) {
            return None;
        }
        done.add(self, members);
        Some(members.iter().map(|uid| self.snapshot_of(uid)).collect())
    }

    pub(super) fn snapshot_of(&self, uid: &Uid) -> TenantSnapshot {
        let tenant = self.tenant(uid);
        let take_over =
            tenant.map_or(TakeOver::Nothing, |tenant| tenant.take_over.allowed(tenant.object.take_over()));
        let recorded_generation =
            |owner: &Uid| Some(self.tenant(owner)?.observed.version.as_ref()?.generation);
        TenantSnapshot {
            uid: uid.clone(),
            object: self.object(uid),
            claims: Snapshot {
                record: tenant.and_then(|tenant| tenant.observed.version.clone()),
                verified: tenant.is_some_and(|tenant| tenant.observed.confidence == Confidence::Verified),
                held_back: self.held_back_from(uid, &take_over),
                ..Snapshot::of(&self.claims, uid, recorded_generation)
            },
            hash: tenant.and_then(super::TenantState::hash),
            secret: self.secrets.version_for(uid).cloned(),
            secret_key: self.secret_key(uid),
            deletion_policy: tenant
                .map_or_else(DeletionPolicy::default, |tenant| tenant.desired.deletion_policy),
            take_over,
            invalidations: tenant.map_or(0, |tenant| tenant.observed.invalidations),
        }
    }

    /// The Secret and the key in it to which a resource refers, whether it exists or not.
    #[must_use]
    pub fn secret_key(&self, uid: &Uid) -> Option<SecretKey> {
        let key = self.tenant(uid).and_then(|tenant| tenant.desired.secret_key.as_deref());
        let secret = self.secrets.secret_of(uid)?.clone();
        Some(SecretKey { secret, key: key.unwrap_or(DEFAULT_SECRET_KEY).to_owned() })
    }

    /// The version of a Secret, if it exists.
    #[must_use]
    pub fn secret_version(&self, secret: &ResourceName) -> Option<&SecretVersion> {
        self.secrets.version(secret)
    }

    /// The version of a tenant's Secret as records carry it: a config without the value is another one.
    #[must_use]
    pub fn recorded_secret(&self, version: &SecretVersion) -> String {
        version.recorded(self.publishes_secrets)
    }
}
