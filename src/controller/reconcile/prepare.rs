//! Prepares the operation that a tenant needs, from a snapshot and from what was fetched for it: its Secret where it must be
//! published, and whether an owner of its keys that no watch shows is gone. Waits for nothing and writes nothing; what has
//! not been fetched yet is its answer.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;

use super::super::context::Context;
use super::fetch::{Fetched, FetchedFacts, Missing};
use crate::domain::assessment::{NotPublished, SecretFault, SecretFaultKind};
use crate::domain::index::{CachedStatus, CachedTenant, Recorded, TenantSnapshot};
use crate::domain::plan::{
    self, Desired, Outcome, Plan, PlanInput, PublicationDraft, PublishedVersion, Rejections, RemovalPlan,
};
use crate::domain::secret::{SecretKey, SecretVersion};
use crate::domain::{Owner, ResourceName, Uid, claims::Published};
use crate::store::{Operation, Publication, Removal};

use super::super::secrets::ResolvedSecret;

/// The result of a preparation.
pub enum Prepared {
    /// Nothing must be written to Redis; this is the outcome.
    Done(Outcome),
    /// This operation must be sent to Redis.
    Write(Box<PendingWrite>),
}

/// An operation that must be sent to Redis.
pub struct PendingWrite {
    /// The operation.
    pub operation: Operation,
    /// The outcome once it is done, for the status; none for a resource that is gone.
    pub outcome: Option<Outcome>,
    /// The number of invalidations when the snapshot was taken.
    pub invalidations: u64,
    /// Why it is written.
    pub cause: Cause,
    /// The resource, where there still is one.
    pub resource: Option<ResourceName>,
    /// The warnings about the webhook secret that is published; none where none is.
    pub secret_warnings: Option<Vec<String>>,
    /// The permit that its config takes while it is in flight.
    pub permit: Option<OwnedSemaphorePermit>,
}

/// Why a tenant is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The resource or what it holds has changed.
    Edit,
    /// The Secret has a new version, and nothing else has changed.
    Rotation,
    /// Nothing has changed: Redis has lost what it held.
    Repair,
}

impl Prepared {
    /// The operation to send, if there is one.
    #[must_use]
    pub fn write(&self) -> Option<&PendingWrite> {
        match self {
            Self::Done(_) => None,
            Self::Write(write) => Some(write),
        }
    }
}

impl PendingWrite {
    /// The content of the ownership record once it is done; none: there is no record.
    #[must_use]
    pub fn recorded(&self) -> Option<Recorded> {
        let Operation::Publish(publication) = &self.operation else { return None };
        let Publication { tenant, dids, generation, secret, hash, .. } = publication;
        Some(Recorded {
            published: Published { tenant: tenant.clone(), dids: dids.clone() },
            version: PublishedVersion { generation: *generation, secret: secret.clone(), hash: hash.clone() },
        })
    }
}

/// Determines what the tenant of this snapshot needs; or what must be fetched before that is known.
pub fn prepare(
    ctx: &Context,
    snapshot: &TenantSnapshot,
    rejections: &Rejections,
    fetched: &mut Fetched,
) -> Result<Prepared, Missing> {
    let Fetched { facts: fetched, specs } = fetched;
    let Some(object) = snapshot.object.clone() else {
        let removal = plan::plan_orphan(&snapshot.claims, snapshot.deletion_policy);
        if let Some(removal) = removal.as_ref().filter(|_| !fetched.is_checked(&snapshot.uid)) {
            return Err(Missing::Owner { uid: snapshot.uid.clone(), tenant: removal.tenant.clone() });
        }
        return Ok(removal_or_done(removal, snapshot));
    };
    if object.is_deleting() {
        let (policy, status_dids) = (snapshot.deletion_policy, object.status_dids());
        let removal = plan::plan_deletion(object.spec(), status_dids, &snapshot.claims, policy);
        return Ok(removal_or_done(removal, snapshot));
    }
    // After a start, nearly every tenant is published as its spec says.
    if let Some(outcome) = unchanged(ctx, snapshot, &object) {
        return Ok(Prepared::Done(outcome));
    }
    let none = Rejections::default();
    let rejections = if rejections.generation == object.generation() { rejections } else { &none };
    let mut input = PlanInput {
        spec: object.spec(),
        generation: object.generation(),
        snapshot: &snapshot.claims,
        rejections,
    };
    let bytes = object.cached_spec().bytes();
    let plan = if bytes > ctx.max_tenant_bytes {
        input.too_large(bytes, ctx.max_tenant_bytes)
    } else {
        if object.cached_spec().is_unheld() {
            let Some(spec) = specs.get(&object) else {
                return Err(before_spec(ctx, snapshot, fetched).unwrap_or(Missing::Spec { object }));
            };
            input.spec = spec;
        }
        input.plan()
    };
    match plan {
        Plan::Done(outcome) => Ok(Prepared::Done(outcome)),
        Plan::Remove(removal) => Ok(pending_removal(removal, snapshot)),
        Plan::Publish(desired) => {
            let publishable = Publishable { ctx, object: &object, snapshot, input, desired: &desired };
            publishable.prepare(fetched)
        }
    }
}

/// Returns a fact that must be fetched before a spec that is not in memory, so that nothing large is held meanwhile: one that
/// its publication will need, as far as that is known without it.
fn before_spec(ctx: &Context, snapshot: &TenantSnapshot, fetched: &mut FetchedFacts) -> Option<Missing> {
    if let Some(unchecked) = unchecked_owner(ctx, snapshot, fetched) {
        return Some(unchecked);
    }
    let (key, version) = (snapshot.secret_key.as_ref()?, snapshot.secret.as_ref()?);
    secret(ctx, &snapshot.uid, key, version, fetched).err()
}

/// The Secret of a tenant, where it was fetched or is held for it.
fn secret<'a>(
    ctx: &Context,
    uid: &Uid,
    key: &SecretKey,
    version: &SecretVersion,
    fetched: &'a mut FetchedFacts,
) -> Result<&'a Result<ResolvedSecret, SecretFault>, Missing> {
    if let Some(held) = ctx.secrets.take(uid, key, version) {
        fetched.insert(uid.clone(), key.clone(), version.clone(), held);
    }
    let missing = || Missing::Secret { uid: uid.clone(), key: key.clone(), version: version.clone() };
    fetched.secret(uid, key, version).ok_or_else(missing)
}

/// An owner by record that yields to the tenant, that the watches do not show, and that is not known to be gone.
fn unchecked_owner(ctx: &Context, snapshot: &TenantSnapshot, fetched: &FetchedFacts) -> Option<Missing> {
    let unchecked = snapshot.claims.yielding_owners.keys().filter(|uid| !fetched.is_checked(uid)).cloned();
    let unchecked: Vec<_> = unchecked.collect();
    if unchecked.is_empty() {
        return None;
    }
    ctx.read(|index| {
        unchecked.into_iter().filter(|uid| index.object(uid).is_none()).find_map(|uid| {
            let tenant = index.claims().published(&uid)?.tenant.clone();
            Some(Missing::Owner { uid, tenant })
        })
    })
}

fn unchanged(ctx: &Context, snapshot: &TenantSnapshot, object: &CachedTenant) -> Option<Outcome> {
    let (hash, secret) = (snapshot.hash.clone()?, snapshot.secret.as_ref()?);
    plan::unchanged(&snapshot.claims, object.generation(), hash, secret.recorded(ctx.publish_secret))
}

/// Without a removal nothing is left: the finalizer can be removed.
fn removal_or_done(removal: Option<RemovalPlan>, snapshot: &TenantSnapshot) -> Prepared {
    removal.map_or(Prepared::Done(Outcome::FinalizerRemovable), |removal| pending_removal(removal, snapshot))
}

fn pending_removal(removal: RemovalPlan, snapshot: &TenantSnapshot) -> Prepared {
    let RemovalPlan { tenant, previously_listed, retain, outcome } = removal;
    let operation =
        Operation::Remove(Removal { tenant, uid: snapshot.uid.clone(), previously_listed, retain });
    let invalidations = snapshot.invalidations;
    Prepared::Write(Box::new(PendingWrite {
        operation,
        outcome,
        invalidations,
        cause: Cause::Edit,
        resource: snapshot.object.as_ref().map(|object| object.name()),
        secret_warnings: None,
        permit: None,
    }))
}

/// A tenant that can be published, and must be unless Redis holds this version already.
struct Publishable<'a> {
    ctx: &'a Context,
    object: &'a Arc<CachedTenant>,
    snapshot: &'a TenantSnapshot,
    input: PlanInput<'a>,
    desired: &'a Desired,
}

impl Publishable<'_> {
    fn prepare(self, fetched: &mut FetchedFacts) -> Result<Prepared, Missing> {
        let uid = &self.snapshot.uid;
        let key = SecretKey::of(&self.object.name(), &self.desired.spec);
        // A watch that has not listed shows no Secret: a read shows if there is one.
        let unknown = SecretVersion::new(None, None);
        let unlisted = !self.ctx.has_listed("secrets", &key.secret.namespace);
        let Some(version) = self.snapshot.secret.as_ref().or(unlisted.then_some(&unknown)) else {
            return Ok(self.blocked(NotPublished::Secret(key.fault(SecretFaultKind::NotFound))));
        };
        let desired_version =
            self.input.published_version(self.desired, version.recorded(self.ctx.publish_secret));
        if self.snapshot.claims.verified && self.input.is_recorded(self.desired, &desired_version) {
            return Ok(Prepared::Done(Outcome::Assessed(self.input.assess_published(self.desired))));
        }
        if let Some(unchecked) = unchecked_owner(self.ctx, self.snapshot, fetched) {
            return Err(unchecked);
        }
        match secret(self.ctx, uid, &key, version, fetched)? {
            Ok(secret) => Ok(self.pending_publication(secret)),
            Err(fault) => Ok(self.blocked(NotPublished::Secret(fault.clone()))),
        }
    }

    fn blocked(&self, reason: NotPublished) -> Prepared {
        Prepared::Done(self.input.blocked(self.desired, reason))
    }

    fn pending_publication(&self, secret: &ResolvedSecret) -> Prepared {
        let value = self.ctx.publish_secret.then_some(&secret.value);
        let recorded = secret.version.recorded(self.ctx.publish_secret);
        let draft = self.input.draft_publication(self.desired, recorded, value, self.object.status_dids());
        let PublicationDraft { config, version, previously_listed, yielding_owners, rotation } = match draft {
            Ok(draft) => draft,
            Err(reason) => return self.blocked(reason),
        };
        let cause = if self.was_published(&version) {
            Cause::Repair
        } else if rotation {
            Cause::Rotation
        } else {
            Cause::Edit
        };
        let name = self.object.name();
        let publication = Publication {
            tenant: config.tenant_id().clone(),
            owner: Owner {
                namespace: name.namespace.to_string(),
                name: name.name.to_string(),
                uid: self.snapshot.uid.clone(),
            },
            generation: version.generation,
            secret: version.secret,
            hash: version.hash,
            dids: config.dids().to_vec(),
            previously_listed,
            yielding_owners,
            after_loss: self.snapshot.claims.held_back.after_loss,
            annotated: self.object.take_over().is_some(),
            take_over: self.snapshot.take_over.clone(),
            config: config.to_json(),
        };
        Prepared::Write(Box::new(PendingWrite {
            operation: Operation::Publish(publication),
            outcome: Some(Outcome::Assessed(self.input.assess_published(self.desired))),
            invalidations: self.snapshot.invalidations,
            cause,
            resource: Some(name),
            secret_warnings: Some(secret.warnings.clone()),
            permit: None,
        }))
    }

    /// True when this version was published already, as far as the record or, where that is lost too, the status says.
    fn was_published(&self, version: &PublishedVersion) -> bool {
        match &self.snapshot.claims.record {
            Some(record) => record == version,
            None => self.object.status().and_then(CachedStatus::published_hash) == Some(&*version.hash),
        }
    }
}
