//! Objects as a watch decodes them: only what is needed, so that the next page of a list is requested soon.

use std::borrow::Cow;
use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::Resource;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::api::RuntimeTenant;
use crate::domain::index::{CachedTenant, Interners, name_of, uid_of};
use crate::domain::{ResourceName, Uid};

/// A `RuntimeTenant` of which only the metadata are decoded. A spec that can't be decoded stops no watch.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct WatchedTenant {
    #[serde(deserialize_with = "lean_metadata")]
    metadata: ObjectMeta,
    #[serde(default)]
    spec: Option<Box<RawValue>>,
    #[serde(default)]
    status: Option<Box<RawValue>>,
}

/// Decodes metadata without `managedFields`, which are larger than all the rest.
fn lean_metadata<'de, D: Deserializer<'de>>(json: D) -> Result<ObjectMeta, D::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Lean {
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
    let lean = Lean::deserialize(json)?;
    Ok(ObjectMeta {
        annotations: lean.annotations,
        creation_timestamp: lean.creation_timestamp,
        deletion_timestamp: lean.deletion_timestamp,
        finalizers: lean.finalizers,
        generation: lean.generation,
        labels: lean.labels,
        name: lean.name,
        namespace: lean.namespace,
        resource_version: lean.resource_version,
        uid: lean.uid,
        ..ObjectMeta::default()
    })
}

impl WatchedTenant {
    /// `metadata.uid`; empty only for an object that no API server sent.
    #[must_use]
    pub fn uid(&self) -> Uid {
        uid_of(&self.metadata)
    }

    /// `<namespace>/<name>`.
    #[must_use]
    pub fn name(&self) -> ResourceName {
        name_of(&self.metadata)
    }

    /// The form in which the index caches it. `list` is the number of the list in or after which it was shown.
    #[must_use]
    pub fn cache(self, list: u32, before: Option<&CachedTenant>, interners: &mut Interners) -> CachedTenant {
        CachedTenant::new(self.metadata, self.spec, self.status.as_deref(), list, before, interners)
    }
}

impl Resource for WatchedTenant {
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

/// The name and version of a Secret, requested without its values.
#[derive(Clone, Debug, Deserialize)]
pub struct SecretMeta {
    #[serde(deserialize_with = "name_and_version")]
    metadata: ObjectMeta,
}

fn name_and_version<'de, D: Deserializer<'de>>(json: D) -> Result<ObjectMeta, D::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Lean {
        name: Option<String>,
        namespace: Option<String>,
        uid: Option<String>,
        resource_version: Option<String>,
    }
    let Lean { name, namespace, uid, resource_version } = Lean::deserialize(json)?;
    Ok(ObjectMeta { name, namespace, uid, resource_version, ..ObjectMeta::default() })
}

impl Resource for SecretMeta {
    type DynamicType = ();
    type Scope = <Secret as Resource>::Scope;

    fn metadata_api() -> bool {
        true
    }

    fn kind((): &()) -> Cow<'_, str> {
        Secret::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        Secret::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        Secret::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        Secret::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
