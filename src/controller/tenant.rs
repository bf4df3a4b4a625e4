//! A `RuntimeTenant` as a watch shows it, and as it is kept: what decisions need of it, the spec as it came.

use std::borrow::{Borrow, Cow};
use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, PoisonError, RwLock};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::Resource;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::kept::{KeptStatus, Pools};
use crate::api::{self, RuntimeTenant, RuntimeTenantStatus};
use crate::domain::{ResourceName, Uid};

/// A `RuntimeTenant` as the API server shows it, of which only metadata are decoded: the next page of a list is asked for
/// when this one is.
///
/// The rest stays text until it is needed: what can't be read stops no watch.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Shown {
    #[serde(deserialize_with = "what_is_needed")]
    metadata: ObjectMeta,
    #[serde(default)]
    spec: Option<Box<RawValue>>,
    #[serde(default)]
    status: Option<Box<RawValue>>,
}

/// Metadata without `managedFields`, which are larger than all the rest: nothing of them is decoded.
fn what_is_needed<'de, D: Deserializer<'de>>(json: D) -> Result<ObjectMeta, D::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Needed {
        annotations: Option<BTreeMap<String, String>>,
        creation_timestamp: Option<Time>,
        deletion_timestamp: Option<Time>,
        finalizers: Option<Vec<String>>,
        generation: Option<i64>,
        labels: Option<BTreeMap<String, String>>,
        name: Option<String>,
        namespace: Option<String>,
        resource_version: Option<String>,
        uid: Option<String>,
    }
    let needed = Needed::deserialize(json)?;
    Ok(ObjectMeta {
        annotations: needed.annotations,
        creation_timestamp: needed.creation_timestamp,
        deletion_timestamp: needed.deletion_timestamp,
        finalizers: needed.finalizers,
        generation: needed.generation,
        labels: needed.labels,
        name: needed.name,
        namespace: needed.namespace,
        resource_version: needed.resource_version,
        uid: needed.uid,
        ..ObjectMeta::default()
    })
}

/// A status that can't be read is written anew, as if there were none.
fn read(status: &RawValue) -> Option<RuntimeTenantStatus> {
    serde_json::from_str(status.get()).ok()
}

impl Shown {
    /// The uid; empty only for an object that no API server sent.
    #[must_use]
    pub fn uid(&self) -> Uid {
        Uid::from(self.metadata.uid.as_deref().unwrap_or_default())
    }

    /// `<namespace>/<name>`.
    #[must_use]
    pub fn name(&self) -> ResourceName {
        let (namespace, name) = (self.metadata.namespace.as_deref(), self.metadata.name.as_deref());
        ResourceName::new(namespace.unwrap_or_default(), name.unwrap_or_default())
    }
}

/// A `RuntimeTenant` as it is kept: there are many.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Debug)]
pub struct Tenant {
    uid: Uid,
    name: ResourceName,
    version: Box<str>,
    generation: i64,
    created: i64,
    /// A hash of all that a person adds to the spec: labels, and annotations of ours.
    added: u64,
    /// All but ours.
    finalizers: Box<[Box<str>]>,
    spec: Option<Box<RawValue>>,
    status: Option<Box<KeptStatus>>,
    round: u32,
    has_finalizer: bool,
    is_deleting: bool,
    takes_over: bool,
    is_forced: bool,
}

impl Tenant {
    /// Keeps what was shown in or after the list of this round. `before` is the resource of this name as it is known.
    #[must_use]
    pub fn new(shown: Shown, round: u32, before: Option<&Self>, pools: &mut Pools) -> Self {
        let (mut uid, mut name, meta) = (shown.uid(), shown.name(), shown.metadata);
        // The same text for as long as it is there.
        if let Some(before) = before.filter(|before| before.uid == uid) {
            (uid, name) = (before.uid(), before.name());
        }
        name.namespace = pools.namespaces.share(name.namespace);
        let mut annotations = meta.annotations.unwrap_or_default();
        // kubectl keeps a copy of the whole resource in one of its own.
        annotations.retain(|name, _| name.starts_with(api::GROUP));
        let mut added = DefaultHasher::new();
        (&annotations, &meta.labels).hash(&mut added);
        let says = |annotation: &str| annotations.get(annotation).is_some_and(|value| value == "true");
        let mut finalizers = meta.finalizers.unwrap_or_default();
        let all = finalizers.len();
        finalizers.retain(|finalizer| finalizer != api::FINALIZER);
        Self {
            uid,
            name,
            version: meta.resource_version.unwrap_or_default().into(),
            generation: meta.generation.unwrap_or_default(),
            created: meta.creation_timestamp.map_or(0, |time| time.0.as_second()),
            added: added.finish(),
            has_finalizer: finalizers.len() < all,
            finalizers: finalizers.into_iter().map(String::into_boxed_str).collect(),
            spec: shown.spec,
            status: shown
                .status
                .as_deref()
                .and_then(read)
                .map(|status| Box::new(KeptStatus::new(status, &mut pools.phrases))),
            round,
            is_deleting: meta.deletion_timestamp.is_some(),
            takes_over: says(api::TAKE_OVER),
            is_forced: says(api::FORCE_DELETE),
        }
    }

    /// The spec's JSON; `null` where there is none.
    #[must_use]
    pub fn spec(&self) -> &str {
        self.spec.as_deref().map_or("null", RawValue::get)
    }

    /// The status as last seen.
    #[must_use]
    pub fn status(&self) -> Option<&KeptStatus> {
        self.status.as_deref()
    }

    /// The uid.
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

    /// `metadata.creationTimestamp`, seconds since the epoch.
    #[must_use]
    pub fn created(&self) -> i64 {
        self.created
    }

    /// `metadata.resourceVersion`, as it has to be given back.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// `metadata.resourceVersion`, which orders the versions of one object (Kubernetes 1.35; a number in every
    /// release before).
    #[must_use]
    pub fn resource_version(&self) -> Option<u64> {
        self.version.parse().ok()
    }

    /// Whether somebody deleted it and finalizers hold it.
    #[must_use]
    pub fn is_deleting(&self) -> bool {
        self.is_deleting
    }

    /// Whether nothing differs by which a look at it could come to something else: neither the spec nor what a person
    /// adds to it, but finalizers and status. For the finalizers alone nobody looks; what is told may have to be told
    /// again.
    #[must_use]
    pub fn asks_for_the_same(&self, other: &Self) -> bool {
        let asks = |it: &Self| (it.generation, it.is_deleting, it.takes_over, it.is_forced, it.added);
        self.uid == other.uid && asks(self) == asks(other) && self.spec() == other.spec()
    }

    /// The round of lists in or after which it was seen last.
    #[must_use]
    pub fn round(&self) -> u32 {
        self.round
    }

    /// Whether our finalizer is on it.
    #[must_use]
    pub fn has_finalizer(&self) -> bool {
        self.has_finalizer
    }

    /// The finalizers of others, in their order.
    pub fn others_finalizers(&self) -> impl Iterator<Item = &str> {
        self.finalizers.iter().map(|finalizer| &**finalizer)
    }

    /// Whether it takes what another cluster or an older publisher holds.
    #[must_use]
    pub fn takes_over(&self) -> bool {
        self.takes_over
    }

    /// Whether its deletion does not wait for Redis.
    #[must_use]
    pub fn is_forced(&self) -> bool {
        self.is_forced
    }
}

/// The resources as the watches show them, by name.
#[derive(Debug, Default)]
pub struct Tenants(RwLock<HashSet<ByName>>);

#[derive(Debug)]
struct ByName(Arc<Tenant>);

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

impl Tenants {
    /// The one of this name.
    pub fn get(&self, name: &ResourceName) -> Option<Arc<Tenant>> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.get(name).map(|known| Arc::clone(&known.0))
    }

    /// Puts this one in the place of the one that had its name.
    pub fn put(&self, tenant: Tenant) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).replace(ByName(Arc::new(tenant)));
    }

    /// Drops the one of this name, if it has this uid.
    pub fn drop(&self, name: &ResourceName, uid: &Uid) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.get(name).is_some_and(|known| known.0.uid == *uid) {
            known.remove(name);
        }
    }

    /// All of them.
    pub fn all(&self) -> Vec<Arc<Tenant>> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.iter().map(|known| Arc::clone(&known.0)).collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.read().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl Resource for Shown {
    type DynamicType = ();
    type Scope = <RuntimeTenant as Resource>::Scope;

    fn kind((): &()) -> Cow<'_, str> {
        RuntimeTenant::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        RuntimeTenant::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        RuntimeTenant::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        RuntimeTenant::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn tenant(metadata: &Value, status: &Value) -> Tenant {
        let tenant = json!({ "metadata": metadata, "spec": { "tenantId": "acme" }, "status": status });
        Tenant::new(serde_json::from_str(&tenant.to_string()).unwrap(), 0, None, &mut Pools::default())
    }

    #[test]
    fn its_finalizer_and_status_coming_back_ask_for_nothing_else() {
        let metadata = |more: Value| {
            let mut metadata = json!({ "name": "acme", "uid": "u", "generation": 1, "resourceVersion": "1" });
            metadata.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            metadata
        };
        let before = tenant(&metadata(json!({})), &json!(null));
        let told = json!({ "finalizers": [api::FINALIZER], "resourceVersion": "2", "managedFields": [{}] });
        assert!(before.asks_for_the_same(&tenant(&metadata(told), &json!({ "observedGeneration": 1 }))));
        for more in [
            json!({ "generation": 2 }),
            json!({ "uid": "other" }),
            json!({ "labels": { "a": "b" } }),
            json!({ "annotations": { api::TAKE_OVER: "true" } }),
            json!({ "deletionTimestamp": "2026-01-01T00:00:00Z" }),
        ] {
            assert!(!before.asks_for_the_same(&tenant(&metadata(more.clone()), &json!(null))), "{more}");
        }
    }
}
