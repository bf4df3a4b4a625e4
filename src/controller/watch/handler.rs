//! Applies the events of the watches to the index.

use std::time::{Duration, Instant};

use kube::Resource;
use kube::runtime::watcher::Event;
use tracing::{info, warn};

use super::super::context::Context;
use super::decode::{SecretMeta, WatchedTenant};
use super::state::WatchFailure;
use super::streams::WatchEvent;
use crate::domain::compile::{self, Claimed};
use crate::domain::index::{Interners, name_of};
use crate::domain::secret::SecretVersion;
use crate::domain::{ResourceName, Uid};

/// The time for which a watch that has not listed may bring nothing. Then what needs it waits for it, and nothing else.
const LIST_TIMEOUT: Duration = Duration::from_secs(10);

/// Applies the events of the watches to the index.
pub struct EventHandler<'a> {
    ctx: &'a Context,
    interners: Interners,
    tenants: Vec<ListProgress>,
    secrets: Vec<ListProgress>,
    synced: bool,
}

/// The progress of one watch. Objects that were last seen before the present list began are gone when it is complete.
#[derive(Clone, Copy)]
struct ListProgress {
    /// The number of lists that began.
    list: u32,
    /// True once a list was complete.
    complete: bool,
    /// The time of the last event; before the first, of the start.
    last_event: Instant,
}

impl<'a> EventHandler<'a> {
    /// A handler for the watches of [`streams`](super::streams).
    pub fn new(ctx: &'a Context) -> Self {
        let scopes = ctx.namespaces.len().max(1);
        let begins = ListProgress { list: 0, complete: false, last_event: Instant::now() };
        Self {
            ctx,
            interners: Interners::default(),
            tenants: vec![begins; scopes],
            secrets: vec![begins; scopes],
            synced: false,
        }
    }

    /// Applies one event. Returns true when the caches have synced by it; see [`Self::settle`].
    pub fn apply(&mut self, event: WatchEvent) -> bool {
        match event {
            WatchEvent::Tenant(scope, event) => {
                self.tenants[scope].last_event = Instant::now();
                self.apply_tenant(scope, *event);
            }
            WatchEvent::Secret(scope, event) => {
                self.secrets[scope].last_event = Instant::now();
                self.apply_secret(scope, *event);
            }
            // A failure from while the API server was away need not wait for the end of its backoff.
            WatchEvent::Restored => {
                self.ctx.reconciles.retry_now();
                self.ctx.statuses.retry_now();
            }
        }
        !self.synced && self.settle(Instant::now())
    }

    /// Returns true once the caches have synced: each watch has listed, was refused or has brought nothing for long, and one
    /// of resources has listed. A namespace without permissions, or one that does not answer, must not hold back the others.
    pub fn settle(&mut self, now: Instant) -> bool {
        if self.synced || !self.tenants.iter().any(|progress| progress.complete) {
            return false;
        }
        // In the order in which `streams` begins them: resources and Secrets of each scope.
        let progress =
            self.tenants.iter().zip(&self.secrets).flat_map(|(tenants, secrets)| [tenants, secrets]);
        let states = self.ctx.health.watches().all();
        let mut unserved = Vec::new();
        for (progress, state) in progress.zip(states).filter(|(progress, _)| !progress.complete) {
            let refused = state.failure.as_ref().is_some_and(WatchFailure::is_refusal);
            if !refused && now.saturating_duration_since(progress.last_event) < LIST_TIMEOUT {
                return false;
            }
            unserved.push(state);
        }
        self.synced = true;
        self.ctx.health.set_synced();
        let resources = self.ctx.note(|index| {
            index.mark_synced();
            index.len()
        });
        info!(resources, "caches synced");
        for watch in unserved {
            let why = watch.failure.as_ref().map_or("no answer", |failure| &*failure.message);
            warn!(%watch, why, "not waiting for a watch that has not listed; what needs it waits");
        }
        true
    }

    fn apply_tenant(&mut self, scope: usize, event: Event<WatchedTenant>) {
        match event {
            Event::Init => self.tenants[scope].list += 1,
            Event::InitApply(tenant) => self.apply_object(tenant, self.tenants[scope].list, true),
            Event::Apply(tenant) => self.apply_object(tenant, self.tenants[scope].list, false),
            Event::Delete(tenant) => {
                let uid: Uid = tenant.uid();
                self.ctx.update(|index| index.delete(&uid));
            }
            Event::InitDone => {
                let list = self.tenants[scope].list;
                self.tenants[scope].complete = true;
                self.ctx.update(|index| index.remove_unlisted(list, |name| self.is_in_scope(scope, name)));
            }
        }
    }

    fn apply_object(&mut self, tenant: WatchedTenant, list: u32, listed: bool) {
        apply(self.ctx, tenant, list, listed, &mut self.interners);
    }

    fn apply_secret(&mut self, scope: usize, event: Event<SecretMeta>) {
        match event {
            Event::Init => self.secrets[scope].list += 1,
            Event::InitApply(secret) | Event::Apply(secret) => {
                let meta = secret.meta();
                let version = SecretVersion::new(meta.uid.as_deref(), meta.resource_version.as_deref());
                let mut name = name_of(meta);
                name.namespace = self.interners.namespaces.intern(name.namespace);
                let list = self.secrets[scope].list;
                self.ctx.update(|index| index.apply_secret(&name, Some((version, list))));
            }
            Event::Delete(secret) => {
                self.ctx.update(|index| index.apply_secret(&name_of(secret.meta()), None));
            }
            Event::InitDone => {
                let list = self.secrets[scope].list;
                self.secrets[scope].complete = true;
                self.ctx.update(|index| {
                    index.remove_unlisted_secrets(list, |name| self.is_in_scope(scope, name))
                });
            }
        }
    }

    /// True for the objects that the watches of this scope show.
    fn is_in_scope(&self, scope: usize, name: &ResourceName) -> bool {
        self.ctx.namespaces.get(scope).is_none_or(|namespace| **namespace == *name.namespace)
    }
}

/// Applies a version of a resource that was shown in or after the list number `list`; `listed`: by the list itself.
pub fn apply(ctx: &Context, mut tenant: WatchedTenant, list: u32, listed: bool, interners: &mut Interners) {
    let (before, claims_known) = ctx.read(|index| index.known(&tenant.name(), &tenant.uid()));
    let claimed = tenant.take_claimed();
    let object = tenant.cache(list, before.as_deref(), interners);
    let spec = object.cached_spec();
    let same =
        before.is_some_and(|before| before.uid() == object.uid() && before.cached_spec().is_same(spec));
    // A spec is decoded and hashed outside of the lock.
    let needs_claims = !same || !claims_known || object.is_deleting();
    let claimed = needs_claims.then(|| claimed.unwrap_or_else(|| compile::claimed(object.spec())));
    let claimed =
        if spec.bytes() > ctx.max_tenant_bytes { claimed.map(Claimed::of_too_large) } else { claimed };
    ctx.update(|index| index.apply(object, claimed, listed));
}
