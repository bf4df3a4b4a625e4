//! The index: the state of all tenants in memory (resources, versions of Secrets, claims, ownership records). A restart
//! builds it again from Kubernetes and Redis.
//!
//! It is fed with what the watches, Redis and the reconciles report. A method after whose change tenants must be
//! reconciled or statuses written returns them as [`Effects`]; other methods only note something, such as a status that
//! was written. It never waits, reads no clock and knows no queue, so that tests and the model checker drive it as a
//! value.

mod audit;
mod cached;
mod effects;
mod loss;
mod prefetch;
mod publish_delay;
mod records;
mod repairs;
mod results;
mod secrets;
mod snapshot;
mod tenant;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

pub use audit::{AuditResult, Expected};
pub use cached::{
    CachedSpec, CachedStatus, CachedTenant, ConditionText, Interner, Interners, MAX_HELD_SPEC, name_of,
    uid_of,
};
pub use effects::{Effects, Readiness};
pub use prefetch::SecretUsers;
pub use publish_delay::PublishDelay;
pub use records::Recorded;
pub use repairs::RepairLimiter;
pub use results::{Failure, OperationResult, RedisChange, Retry};
pub use secrets::SecretIndex;
pub use snapshot::{AlreadyPublished, Start, TenantSnapshot};
pub use tenant::{PendingStatus, TenantState};

use super::claims::{Affected, Claim, Claims, Eligibility};
use super::compile::Claimed;
use super::secret::SecretVersion;
use super::{ResourceName, Uid};
use crate::contract::TenantId;
use cached::ByName;
use loss::LossWait;
use tenant::Lifecycle;

/// All that is known of resources, Secrets and ownership records.
#[derive(Clone, Debug)]
pub struct Index {
    /// True when configs carry the webhook secret's value; else they carry its reference alone.
    publishes_secrets: bool,
    /// True once every watch has listed. Changes have no effects before, since claims can't be decided earlier.
    synced: bool,
    /// True once what Redis holds was read, while this replica leads.
    redis_read: bool,
    tenants: HashMap<Uid, Box<TenantState>>,
    names: HashSet<ByName>,
    /// The length of all specs that are held, and the most that it may be.
    held_spec_bytes: usize,
    max_held_spec_bytes: usize,
    claims: Claims,
    secrets: SecretIndex,
    repairs: RepairLimiter,
    /// What is held back after a loss in Redis.
    loss: LossWait,
    /// Tenants whose last reconcile failed: when one of them succeeds, the others are retried.
    retrying: BTreeSet<Uid>,
    /// The last error of Redis in a reconcile, until a write succeeds.
    store_error: Option<String>,
    /// Why a reconcile last took long.
    last_delay: Option<Failure>,
    /// The last reported readiness.
    readiness: Readiness,
}

/// The maximum number of bytes of specs that are held together by default.
pub const MAX_HELD_SPECS: usize = 64 << 20;

impl Default for Index {
    fn default() -> Self {
        Self::new(false)
    }
}

impl Index {
    /// An empty index.
    #[must_use]
    pub fn new(publishes_secrets: bool) -> Self {
        Self {
            publishes_secrets,
            synced: false,
            redis_read: false,
            last_delay: None,
            tenants: HashMap::new(),
            names: HashSet::new(),
            held_spec_bytes: 0,
            max_held_spec_bytes: MAX_HELD_SPECS,
            claims: Claims::default(),
            secrets: SecretIndex::default(),
            repairs: RepairLimiter::default(),
            loss: LossWait::default(),
            retrying: BTreeSet::new(),
            store_error: None,
            readiness: Readiness::default(),
        }
    }

    /// The same index, which holds at most this many bytes of specs.
    #[must_use]
    pub fn with_held_spec_bytes(self, max_held_spec_bytes: usize) -> Self {
        Self { max_held_spec_bytes, ..self }
    }

    /// The resource of this name, as the watch last showed it.
    #[must_use]
    pub fn object_named(&self, name: &ResourceName) -> Option<Arc<CachedTenant>> {
        self.names.get(name).map(|known| Arc::clone(&known.0))
    }

    /// The resource with this uid, unless it is gone.
    #[must_use]
    pub fn object(&self, uid: &Uid) -> Option<Arc<CachedTenant>> {
        self.tenants
            .get(uid)
            .filter(|tenant| tenant.lifecycle != Lifecycle::Gone)
            .map(|tenant| tenant.object())
    }

    /// Every resource that the watches show.
    #[must_use]
    pub fn objects(&self) -> Vec<Arc<CachedTenant>> {
        self.names.iter().map(|known| Arc::clone(&known.0)).collect()
    }

    /// The number of resources that the watches show.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// True while no watch shows a resource.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The state of one tenant.
    #[must_use]
    pub fn tenant(&self, uid: &Uid) -> Option<&TenantState> {
        self.tenants.get(uid).map(|tenant| &**tenant)
    }

    /// The namespace of a resource; empty where none with this uid is known.
    #[must_use]
    pub fn namespace(&self, uid: &Uid) -> Arc<str> {
        self.tenants.get(uid).map(|tenant| tenant.name().namespace).unwrap_or_default()
    }

    /// The claims and what is published.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// Notes that every watch has listed: from now on changes have effects.
    pub fn mark_synced(&mut self) {
        self.synced = true;
    }

    /// Records a resource as a watch shows it. `claimed` is what its spec claims; it may be left out where
    /// [`Self::known`] says so. `listed`: a list shows it, not a change.
    pub fn apply(&mut self, mut object: CachedTenant, claimed: Option<Claimed>, listed: bool) -> Effects {
        let (uid, name) = (object.uid(), object.name());
        let before = self.object_named(&name);
        let mut affected = Affected::new();
        // A resource that was deleted and created again between two lists.
        if let Some(other) = before.as_ref().map(|before| before.uid()).filter(|other| *other != uid) {
            affected.extend(self.forget(&other));
        }
        // Most events of a resource show a finalizer or a status that the operator itself has written.
        let same = before.filter(|before| before.uid() == uid);
        let tenant = claimed.as_ref().and_then(|claimed| claimed.tenant.clone());
        let tenant = tenant.or_else(|| Some(self.claims.get(&uid)?.tenant.clone()));
        self.hold(same.as_deref(), &mut object, tenant.as_ref());
        let same = !listed && same.is_some_and(|before| before.same_desired_state(&object));
        let object = Arc::new(object);
        let reclaimed = claimed.is_some();
        affected.extend(match claimed {
            Some(claimed) => self.claim(&object, claimed),
            None => self.refresh_claim(&object),
        });
        self.names.replace(ByName(Arc::clone(&object)));
        if let Some(tenant) = self.tenants.get_mut(&uid) {
            tenant.set_object(object);
            if listed {
                // A list shows the present state. The operator's own last write may be undone by an etcd restore.
                tenant.status.last_written_version = 0;
            }
        }
        let only_status = same && !reclaimed && self.tenant(&uid).is_some_and(TenantState::has_outcome);
        let mut effects = Effects::reconcile(affected);
        if only_status && self.synced {
            effects.status.push(uid);
        } else {
            effects.reconcile.insert(uid);
        }
        self.finish(effects)
    }

    /// Counts the spec of a new version of a resource, and drops its JSON where more are held than may be. `tenant` is the
    /// tenant id in it, if it is one.
    fn hold(&mut self, before: Option<&CachedTenant>, object: &mut CachedTenant, tenant: Option<&TenantId>) {
        let others = self.held_spec_bytes - before.map_or(0, |before| before.cached_spec().held_bytes());
        let bytes = object.cached_spec().held_bytes();
        if bytes > MAX_HELD_SPEC || others + bytes > self.max_held_spec_bytes {
            object.release_spec(tenant);
        }
        self.held_spec_bytes = others + object.cached_spec().held_bytes();
    }

    /// The known resource of this name; and true if the claim of the resource with this uid is known, so that
    /// [`Self::apply`] needs no `claimed` as long as the spec is the same.
    #[must_use]
    pub fn known(&self, name: &ResourceName, uid: &Uid) -> (Option<Arc<CachedTenant>>, bool) {
        let claim = self.claims.get(uid);
        (self.object_named(name), claim.is_some_and(|claim| claim.eligibility != Eligibility::Unreadable))
    }

    /// Sets what a resource claims.
    fn claim(&mut self, object: &Arc<CachedTenant>, claimed: Claimed) -> Affected {
        let (uid, name) = (object.uid(), object.name());
        let secret = claimed.secret.map(|secret| ResourceName { name: secret.into(), ..name.clone() });
        self.secrets.set_reference(&uid, secret);
        let new = || Box::new(TenantState::new(Arc::clone(object)));
        let tenant = self.tenants.entry(uid.clone()).or_insert_with(new);
        tenant.desire(claimed.hash, claimed.deletion_policy, claimed.warnings, claimed.secret_key);
        if claimed.eligibility != Eligibility::Unreadable {
            tenant.status.unreadable = None;
        }
        tenant.lifecycle = if object.is_deleting() { Lifecycle::Deleting } else { Lifecycle::Live };
        // After a start, the status says whether something outside keeps it from its tenant id.
        let refused_outside =
            self.claims.get(&uid).map_or_else(|| object.is_refused_outside(), |claim| claim.refused_outside);
        // A spec that can't be read claims the tenant id under which it is published, if any.
        let published = self.claims.published(&uid).map(|published| published.tenant.clone());
        match claimed.tenant.or(published).filter(|_| !object.is_deleting()) {
            Some(tenant_id) => self.claims.upsert(Claim {
                uid,
                name,
                created: object.created(),
                tenant: tenant_id,
                dids: claimed.dids,
                eligibility: claimed.eligibility,
                status_dids: object.status_dids(),
                refused_outside,
            }),
            None => self.claims.remove(&uid),
        }
    }

    /// Updates the claim of a resource whose spec is the known one: only what its status says may have changed.
    fn refresh_claim(&mut self, object: &CachedTenant) -> Affected {
        let uid = object.uid();
        let Some(claim) = self.claims.get(&uid) else { return Affected::new() };
        let status_dids = object.status_dids();
        // An outcome of this process' own is newer than what the status says.
        let has_outcome = self.tenant(&uid).is_some_and(TenantState::has_outcome);
        let refused_outside = if has_outcome { claim.refused_outside } else { object.is_refused_outside() };
        if claim.status_dids == status_dids && claim.refused_outside == refused_outside {
            return Affected::new();
        }
        let claim = Claim { status_dids, refused_outside, ..Claim::clone(claim) };
        self.claims.upsert(claim)
    }

    /// Records that a watch reported a resource as deleted: what is left of it in Redis is removed now, and not when
    /// the sweep finds it.
    pub fn delete(&mut self, uid: &Uid) -> Effects {
        let affected = self.forget(uid);
        let mut effects = self.finish(Effects::reconcile(affected));
        if self.synced {
            // Even where nothing is known to be published: a publish may be in flight, and is followed by this reconcile.
            effects.reconcile.insert(uid.clone());
        }
        effects
    }

    /// Records that a list is complete: the resources in `scope` that it did not show are gone.
    pub fn remove_unlisted(&mut self, list: u32, scope: impl Fn(&ResourceName) -> bool) -> Effects {
        let unlisted = |known: &&ByName| known.0.list() != list && scope(&known.0.name());
        let unlisted: Vec<Uid> = self.names.iter().filter(unlisted).map(|known| known.0.uid()).collect();
        let affected = unlisted.iter().flat_map(|uid| self.forget(uid)).collect();
        self.finish(Effects::reconcile(affected))
    }

    /// Forgets a resource, but keeps its state until its keys are gone too. Returns whose holdings have changed.
    fn forget(&mut self, uid: &Uid) -> Affected {
        self.secrets.set_reference(uid, None);
        self.retrying.remove(uid);
        if let Some(tenant) = self.tenants.get_mut(uid) {
            let name = tenant.object.name();
            if self.names.get(&name).is_some_and(|known| known.0.uid() == *uid) {
                self.names.remove(&name);
                self.held_spec_bytes -= tenant.object.cached_spec().held_bytes();
            }
            tenant.lifecycle = Lifecycle::Gone;
            // What is left of it is removed without its spec.
            if let Some(object) = Arc::get_mut(&mut tenant.object) {
                object.release_spec(None);
            }
        }
        if self.claims.published(uid).is_none() {
            self.tenants.remove(uid);
        }
        self.claims.remove(uid)
    }

    /// Records a Secret's version and the list in or after which it was seen; `None`: it is gone. Tenants that refer to
    /// it are reconciled when the version is new.
    pub fn apply_secret(&mut self, secret: &ResourceName, seen: Option<(SecretVersion, u32)>) -> Effects {
        let users = self.secrets.apply(secret, seen);
        self.finish(Effects::reconcile(users.into_iter().collect()))
    }

    /// Records that a list of Secrets is complete: those in `scope` that it did not show are gone.
    pub fn remove_unlisted_secrets(&mut self, list: u32, scope: impl Fn(&ResourceName) -> bool) -> Effects {
        let unlisted = self.secrets.not_in_list(list).into_iter().filter(|name| scope(name));
        let users =
            unlisted.collect::<Vec<_>>().iter().flat_map(|name| self.secrets.apply(name, None)).collect();
        self.finish(Effects::reconcile(users))
    }

    /// Judges every status again, as one that another replica may have written meanwhile.
    pub fn enqueue_statuses(&mut self) -> Effects {
        let status = self.tenants.keys().cloned().collect();
        self.finish(Effects { status, ..Effects::default() })
    }

    /// Reconciles every tenant.
    pub fn enqueue_all(&mut self) -> Effects {
        let all = self.tenants.keys().cloned().collect();
        self.finish(Effects::reconcile(all))
    }

    /// Drops effects from before the caches have synced and those on tenants that are not known (an orphan is left to the
    /// sweep, which has a grace period), and adds a change of readiness.
    fn finish(&mut self, mut effects: Effects) -> Effects {
        if !self.synced {
            effects = Effects::default();
        }
        effects.reconcile.retain(|uid| self.tenants.contains_key(uid));
        let readiness = match &self.store_error {
            Some(error) if !self.retrying.is_empty() => Readiness::StoreError(error.clone()),
            _ => Readiness::Ready,
        };
        if readiness != self.readiness {
            self.readiness = readiness.clone();
            effects.readiness = Some(readiness);
        }
        effects
    }
}
