//! A `RuntimeTenant` as it is cached: the parts that decisions need, the spec as undecoded JSON.

use std::borrow::Borrow;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::value::RawValue;

use super::intern::Interner;
use super::spec::CachedSpec;
use super::status::{CachedStatus, ConditionText};
use crate::api::{self, RuntimeTenantStatus};
use crate::contract::{Did, TenantId};
use crate::domain::reason::Reason;
use crate::domain::status::READY;
use crate::domain::{ResourceName, Uid};

/// The interned values of resources and Secrets.
#[derive(Debug, Default)]
pub struct Interners {
    /// Texts of conditions.
    pub conditions: Interner<ConditionText>,
    /// Names of namespaces.
    pub namespaces: Interner<str>,
}

/// A cached `RuntimeTenant`. There are many, so it holds nothing that no decision needs.
#[derive(Debug)]
pub struct CachedTenant {
    uid: Uid,
    name: ResourceName,
    resource_version: Box<str>,
    generation: i64,
    created: i64,
    /// A hash of the labels and of our annotations.
    metadata_hash: u64,
    /// The value of the annotation `take-over`.
    take_over: Option<Box<str>>,
    /// Finalizers other than ours.
    other_finalizers: Box<[Box<str>]>,
    spec: CachedSpec,
    status: Option<Box<CachedStatus>>,
    list: u32,
    flags: Flags,
}

/// The finalizer, the deletion and the annotations of a resource, one bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Flags(u8);

impl Flags {
    const FINALIZER: u8 = 1;
    const DELETING: u8 = 2;
    const FORCE_DELETE: u8 = 4;

    fn new(flags: [(u8, bool); 3]) -> Self {
        Self(flags.into_iter().filter(|(_, set)| *set).fold(0, |all, (flag, _)| all | flag))
    }

    const fn has(self, flag: u8) -> bool {
        self.0 & flag != 0
    }
}

/// Decodes a status. One that can't be decoded is written again, as if there were none.
fn decode(status: &RawValue) -> Option<RuntimeTenantStatus> {
    serde_json::from_str(status.get()).ok()
}

impl CachedTenant {
    /// Caches a resource that a watch showed in or after the list number `list`. `before` is the known resource of this
    /// name: texts that stay the same are shared with it.
    #[must_use]
    pub fn new(
        meta: ObjectMeta,
        spec: impl Into<CachedSpec>,
        status: Option<&RawValue>,
        list: u32,
        before: Option<&Self>,
        interners: &mut Interners,
    ) -> Self {
        let (mut uid, mut name) = (uid_of(&meta), name_of(&meta));
        if let Some(before) = before.filter(|before| before.uid == uid) {
            (uid, name) = (before.uid(), before.name());
        }
        name.namespace = interners.namespaces.intern(name.namespace);
        let mut annotations = meta.annotations.unwrap_or_default();
        // kubectl keeps a copy of the whole resource in an annotation of its own.
        annotations.retain(|name, _| name.starts_with(api::GROUP));
        let mut metadata_hash = DefaultHasher::new();
        (&annotations, &meta.labels).hash(&mut metadata_hash);
        let is_true = |annotation: &str| annotations.get(annotation).is_some_and(|value| value == "true");
        let mut finalizers = meta.finalizers.unwrap_or_default();
        let all = finalizers.len();
        finalizers.retain(|finalizer| finalizer != api::FINALIZER);
        Self {
            uid,
            name,
            resource_version: meta.resource_version.unwrap_or_default().into(),
            generation: meta.generation.unwrap_or_default(),
            created: meta.creation_timestamp.map_or(0, |time| time.0.as_second()),
            metadata_hash: metadata_hash.finish(),
            flags: Flags::new([
                (Flags::FINALIZER, finalizers.len() < all),
                (Flags::DELETING, meta.deletion_timestamp.is_some()),
                (Flags::FORCE_DELETE, is_true(api::FORCE_DELETE)),
            ]),
            take_over: annotations.remove(api::TAKE_OVER).map(String::into_boxed_str),
            other_finalizers: finalizers.into_iter().map(String::into_boxed_str).collect(),
            spec: spec.into(),
            status: status
                .and_then(decode)
                .map(|status| Box::new(CachedStatus::new(status, &mut interners.conditions))),
            list,
        }
    }

    /// The spec's JSON; of one that is not held, its tenant id alone; `null` where there is none.
    #[must_use]
    pub fn spec(&self) -> &str {
        self.spec.text()
    }

    /// The spec.
    #[must_use]
    pub fn cached_spec(&self) -> &CachedSpec {
        &self.spec
    }

    /// Drops the spec's JSON. `tenant` is the tenant id in it, if it is one.
    pub fn release_spec(&mut self, tenant: Option<&TenantId>) {
        self.spec.release(tenant);
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> Option<&CachedStatus> {
        self.status.as_deref()
    }

    /// The DIDs that the status lists.
    #[must_use]
    pub fn status_dids(&self) -> Vec<Did> {
        self.status().map(CachedStatus::published_dids).unwrap_or_default()
    }

    /// True where the status says that something outside of this operator's resources keeps it from its tenant id.
    #[must_use]
    pub fn is_refused_outside(&self) -> bool {
        let Some(status) = self.status() else { return false };
        let adoption = |condition: &ConditionText| {
            &*condition.type_ == READY
                && Reason::named(&condition.reason).is_some_and(Reason::is_refused_adoption)
        };
        status.held_elsewhere().iter().any(|held| held.dids.is_empty()) || status.conditions().any(adoption)
    }

    /// The generation that the status is about; 0 without a status.
    #[must_use]
    pub fn observed_generation(&self) -> i64 {
        self.status().and_then(CachedStatus::observed_generation).unwrap_or_default()
    }

    /// The reason for which the last reconcile of this generation failed, if the status says so.
    #[must_use]
    pub fn reported_failure(&self) -> Option<Reason> {
        if self.observed_generation() != self.generation {
            return None;
        }
        let ready = self.status()?.conditions().find(|condition| &*condition.type_ == READY)?;
        let reason = Reason::named(&ready.reason).filter(|_| &*ready.status == "Unknown")?;
        reason.is_failure().then_some(reason)
    }

    /// `metadata.uid`.
    #[must_use]
    pub fn uid(&self) -> Uid {
        self.uid.clone()
    }

    /// `<namespace>/<name>`.
    #[must_use]
    pub fn name(&self) -> ResourceName {
        self.name.clone()
    }

    /// `metadata.generation`.
    #[must_use]
    pub fn generation(&self) -> i64 {
        self.generation
    }

    /// `metadata.creationTimestamp`, seconds since 1970.
    #[must_use]
    pub fn created(&self) -> i64 {
        self.created
    }

    /// `metadata.resourceVersion`, as a patch must carry it.
    #[must_use]
    pub fn resource_version(&self) -> &str {
        &self.resource_version
    }

    /// `metadata.resourceVersion` as an integer, which orders the versions of one object (documented since Kubernetes
    /// 1.35; an integer in every earlier release too). 0 where it is none.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.resource_version.parse().unwrap_or_default()
    }

    /// The list in or after which a watch showed it last.
    #[must_use]
    pub fn list(&self) -> u32 {
        self.list
    }

    /// True from the deletion on, for as long as finalizers hold the resource.
    #[must_use]
    pub fn is_deleting(&self) -> bool {
        self.flags.has(Flags::DELETING)
    }

    /// True while our finalizer is on it.
    #[must_use]
    pub fn has_finalizer(&self) -> bool {
        self.flags.has(Flags::FINALIZER)
    }

    /// The finalizers of others, in their order.
    pub fn other_finalizers(&self) -> impl Iterator<Item = &str> {
        self.other_finalizers.iter().map(|finalizer| &**finalizer)
    }

    /// The value of the annotation `take-over`.
    #[must_use]
    pub fn take_over(&self) -> Option<&str> {
        self.take_over.as_deref()
    }

    /// The annotation `force-delete`: its deletion does not wait for Redis.
    #[must_use]
    pub fn force_delete(&self) -> bool {
        self.flags.has(Flags::FORCE_DELETE)
    }

    /// True when both versions ask for the same desired state: they may differ in status and finalizers, so that no
    /// reconcile is needed, only a check of the status.
    #[must_use]
    pub fn same_desired_state(&self, other: &Self) -> bool {
        let state = |it: &Self| (it.generation, Flags(it.flags.0 & !Flags::FINALIZER), it.metadata_hash);
        self.uid == other.uid && state(self) == state(other) && self.spec.is_same(&other.spec)
    }
}

/// `metadata.uid`; empty only for an object that no API server sent.
#[must_use]
pub fn uid_of(meta: &ObjectMeta) -> Uid {
    Uid::from(meta.uid.as_deref().unwrap_or_default())
}

/// `<namespace>/<name>`.
#[must_use]
pub fn name_of(meta: &ObjectMeta) -> ResourceName {
    ResourceName::new(meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default())
}

/// A cached resource in a set of names.
#[derive(Clone, Debug)]
pub struct ByName(pub Arc<CachedTenant>);

impl Borrow<ResourceName> for ByName {
    fn borrow(&self) -> &ResourceName {
        &self.0.name
    }
}

impl Hash for ByName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.name.hash(state);
    }
}

impl PartialEq for ByName {
    fn eq(&self, other: &Self) -> bool {
        self.0.name == other.0.name
    }
}

impl Eq for ByName {}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn tenant(meta: &Value, status: &Value) -> CachedTenant {
        let raw = |value: &Value| RawValue::from_string(value.to_string()).unwrap();
        let meta = serde_json::from_value(meta.clone()).unwrap();
        let spec = raw(&json!({ "tenantId": "acme" }));
        CachedTenant::new(meta, Some(spec), Some(&raw(status)), 0, None, &mut Interners::default())
    }

    #[test]
    fn its_own_finalizer_and_status_change_no_desired_state() {
        let metadata = |more: Value| {
            let mut metadata = json!({ "name": "acme", "uid": "u", "generation": 1, "resourceVersion": "1" });
            metadata.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            metadata
        };
        let before = tenant(&metadata(json!({})), &json!(null));
        let written = json!({ "finalizers": [api::FINALIZER], "resourceVersion": "2" });
        assert!(before.same_desired_state(&tenant(&metadata(written), &json!({ "observedGeneration": 1 }))));
        for more in [
            json!({ "generation": 2 }),
            json!({ "uid": "other" }),
            json!({ "labels": { "a": "b" } }),
            json!({ "annotations": { api::TAKE_OVER: "true" } }),
            json!({ "deletionTimestamp": "2026-01-01T00:00:00Z" }),
        ] {
            assert!(!before.same_desired_state(&tenant(&metadata(more.clone()), &json!(null))), "{more}");
        }
    }
}
