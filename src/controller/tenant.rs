//! A `RuntimeTenant` as the watch keeps it: metadata and status decoded, the spec as it came.

use std::borrow::Cow;
use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::Resource;
use kube::runtime::reflector::ObjectRef;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::api::{self, RuntimeTenant, RuntimeTenantStatus};
use crate::domain::{ResourceName, Uid};

/// A `RuntimeTenant` of which only metadata and status are decoded.
///
/// The spec stays text until it is needed: it takes a third of the memory, and one that can't be read stops no watch.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Tenant {
    #[serde(deserialize_with = "what_is_needed")]
    metadata: ObjectMeta,
    #[serde(default)]
    spec: Option<Box<RawValue>>,
    #[serde(default, deserialize_with = "readable_or_none")]
    status: Option<RuntimeTenantStatus>,
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
fn readable_or_none<'de, D: Deserializer<'de>>(json: D) -> Result<Option<RuntimeTenantStatus>, D::Error> {
    let raw = Option::<Box<RawValue>>::deserialize(json)?;
    Ok(raw.and_then(|raw| serde_json::from_str(raw.get()).ok()))
}

impl Tenant {
    /// The spec's JSON; `null` where there is none.
    #[must_use]
    pub fn spec(&self) -> &str {
        self.spec.as_deref().map_or("null", RawValue::get)
    }

    /// The status as last seen.
    #[must_use]
    pub fn status(&self) -> Option<&RuntimeTenantStatus> {
        self.status.as_ref()
    }

    /// The uid; empty only for an object that no API server sent.
    #[must_use]
    pub fn uid(&self) -> Uid {
        Uid::from(self.metadata.uid.as_deref().unwrap_or_default())
    }

    /// `<namespace>/<name>`.
    #[must_use]
    pub fn name(&self) -> ResourceName {
        let meta = &self.metadata;
        ResourceName::new(
            meta.namespace.as_deref().unwrap_or_default(),
            meta.name.as_deref().unwrap_or_default(),
        )
    }

    /// `metadata.generation`.
    #[must_use]
    pub fn generation(&self) -> i64 {
        self.metadata.generation.unwrap_or_default()
    }

    /// `metadata.creationTimestamp`, seconds since the epoch.
    #[must_use]
    pub fn created(&self) -> i64 {
        self.metadata.creation_timestamp.as_ref().map_or(0, |time| time.0.as_second())
    }

    /// `metadata.resourceVersion`, which orders the versions of one object (Kubernetes 1.35; a number in every
    /// release before).
    #[must_use]
    pub fn resource_version(&self) -> Option<u64> {
        self.metadata.resource_version.as_deref().and_then(|version| version.parse().ok())
    }

    /// Whether somebody deleted it and finalizers hold it.
    #[must_use]
    pub fn is_deleting(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }

    /// Whether nothing differs by which a look at it could come to something else: neither the spec nor what a person
    /// adds to it, but finalizers and status. For the finalizers alone nobody looks; what is told may have to be told
    /// again.
    #[must_use]
    pub fn asks_for_the_same(&self, other: &Self) -> bool {
        let (ours, others) = (&self.metadata, &other.metadata);
        ours.uid == others.uid
            && ours.generation == others.generation
            && ours.deletion_timestamp == others.deletion_timestamp
            && ours.annotations == others.annotations
            && ours.labels == others.labels
            && self.spec() == other.spec()
    }

    /// Whether our finalizer is on it.
    #[must_use]
    pub fn has_finalizer(&self) -> bool {
        self.metadata.finalizers.iter().flatten().any(|finalizer| finalizer == api::FINALIZER)
    }

    /// Whether an annotation of ours is exactly `true`.
    #[must_use]
    pub fn is_annotated(&self, annotation: &str) -> bool {
        let annotations = self.metadata.annotations.as_ref();
        annotations.and_then(|all| all.get(annotation)).is_some_and(|value| value == "true")
    }

    /// Drops the annotations of others: kubectl keeps a copy of the whole resource in one.
    pub fn slim(&mut self) {
        if let Some(annotations) = &mut self.metadata.annotations {
            annotations.retain(|name, _| name.starts_with(api::GROUP));
        }
    }
}

/// How the watch's store knows a resource of this name.
#[must_use]
pub fn reference(name: &ResourceName) -> ObjectRef<Tenant> {
    ObjectRef::new(&name.name).within(&name.namespace)
}

impl Resource for Tenant {
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
        serde_json::from_str(&tenant.to_string()).unwrap()
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
