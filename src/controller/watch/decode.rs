//! Objects as a watch decodes them: only what is needed, so that the next page of a list is requested soon.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::Resource;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::api::{GROUP, RuntimeTenant};
use crate::domain::compile::{self, Claimed};
use crate::domain::index::{CachedSpec, CachedTenant, Interners, MAX_HELD_SPEC, name_of, uid_of};
use crate::domain::{ResourceName, Uid};

/// A `RuntimeTenant` as the API server stores it: of its metadata what is needed, spec and status as JSON.
#[derive(Clone, Debug, Deserialize)]
pub struct StoredTenant {
    #[serde(deserialize_with = "lean_metadata")]
    metadata: ObjectMeta,
    /// The spec.
    #[serde(default)]
    pub spec: Option<Box<RawValue>>,
    #[serde(default)]
    status: Option<Box<RawValue>>,
}

/// A `RuntimeTenant` as a watch shows it. A spec that can't be decoded stops no watch, and one that is too long to be held is
/// decoded and dropped before the next object is: a page of a list may have hundreds.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "StoredTenant")]
pub struct WatchedTenant {
    metadata: ObjectMeta,
    spec: CachedSpec,
    /// The claim of a spec that is not held.
    claimed: Option<Box<Claimed>>,
    status: Option<Box<RawValue>>,
}

/// A `RuntimeTenant` that was written: only the metadata of the response are decoded.
#[derive(Clone, Debug, Deserialize)]
pub struct WrittenTenant {
    #[serde(deserialize_with = "lean_metadata")]
    metadata: ObjectMeta,
}

/// The longest status that is decoded; the operator's own are much shorter. One that is longer is written again.
pub const MAX_STATUS: usize = 256 << 10;
/// The longest labels, and the longest value of one of our annotations, that are kept: of longer ones a hash is enough.
const MAX_METADATA: usize = 1 << 10;

impl From<StoredTenant> for WatchedTenant {
    fn from(StoredTenant { metadata, spec, status }: StoredTenant) -> Self {
        let mut spec = CachedSpec::from(spec);
        let mut claimed = None;
        if spec.bytes() > MAX_HELD_SPEC {
            let claim = compile::claimed(spec.text());
            spec.release(claim.tenant.as_ref());
            claimed = Some(Box::new(claim));
        }
        let status = status.filter(|status| status.get().len() <= MAX_STATUS);
        Self { metadata, spec, claimed, status }
    }
}

/// Decodes metadata without `managedFields`, which are larger than all the rest, and without the annotations of others.
fn lean_metadata<'de, D: Deserializer<'de>>(json: D) -> Result<ObjectMeta, D::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Lean {
        annotations: Option<OwnAnnotations>,
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
        annotations: lean.annotations.map(|OwnAnnotations(annotations)| annotations),
        creation_timestamp: lean.creation_timestamp,
        deletion_timestamp: lean.deletion_timestamp,
        finalizers: lean.finalizers,
        generation: lean.generation,
        labels: lean.labels.map(shortened),
        name: lean.name,
        namespace: lean.namespace,
        resource_version: lean.resource_version,
        uid: lean.uid,
        ..ObjectMeta::default()
    })
}

/// Labels, or a hash in their place: only their changes count.
fn shortened(labels: BTreeMap<String, String>) -> BTreeMap<String, String> {
    if labels.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() <= MAX_METADATA {
        return labels;
    }
    BTreeMap::from([("hash".to_owned(), hash(&labels))])
}

fn hash(value: &impl Hash) -> String {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    format!("{:x}", hasher.finish())
}

/// The annotations of this operator. Those of others may have 256 KiB: kubectl keeps a copy of the whole resource in one.
struct OwnAnnotations(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for OwnAnnotations {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_map(AnnotationVisitor)
    }
}

struct AnnotationVisitor;

impl<'de> Visitor<'de> for AnnotationVisitor {
    type Value = OwnAnnotations;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("annotations")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut annotations: A) -> Result<OwnAnnotations, A::Error> {
        let mut own = BTreeMap::new();
        while let Some(name) = annotations.next_key::<String>()? {
            if name.starts_with(GROUP) {
                let value: String = annotations.next_value()?;
                own.insert(name, if value.len() > MAX_METADATA { hash(&value) } else { value });
            } else {
                annotations.next_value::<IgnoredAny>()?;
            }
        }
        Ok(OwnAnnotations(own))
    }
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

    /// Takes the claims of its spec, where that had to be found out already.
    pub fn take_claimed(&mut self) -> Option<Claimed> {
        self.claimed.take().map(|claimed| *claimed)
    }

    /// The form in which the index caches it. `list` is the number of the list in or after which it was shown.
    #[must_use]
    pub fn cache(self, list: u32, before: Option<&CachedTenant>, interners: &mut Interners) -> CachedTenant {
        CachedTenant::new(self.metadata, self.spec, self.status.as_deref(), list, before, interners)
    }
}

/// Makes a type a part of the resource `$kind`.
macro_rules! part_of {
    ($kind:ty, $part:ty, metadata_only: $metadata_only:expr) => {
        impl Resource for $part {
            type DynamicType = ();
            type Scope = <$kind as Resource>::Scope;

            fn metadata_api() -> bool {
                $metadata_only
            }

            fn kind((): &()) -> Cow<'_, str> {
                <$kind>::kind(&())
            }

            fn group((): &()) -> Cow<'_, str> {
                <$kind>::group(&())
            }

            fn version((): &()) -> Cow<'_, str> {
                <$kind>::version(&())
            }

            fn plural((): &()) -> Cow<'_, str> {
                <$kind>::plural(&())
            }

            fn meta(&self) -> &ObjectMeta {
                &self.metadata
            }

            fn meta_mut(&mut self) -> &mut ObjectMeta {
                &mut self.metadata
            }
        }
    };
}

part_of!(RuntimeTenant, StoredTenant, metadata_only: false);
part_of!(RuntimeTenant, WatchedTenant, metadata_only: false);
part_of!(RuntimeTenant, WrittenTenant, metadata_only: false);
part_of!(Secret, SecretMeta, metadata_only: true);

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
