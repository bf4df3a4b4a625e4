//! A resource as the API server stores it, and in the form in which the product's index caches it.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use runtime_operator::api::{self, HeldElsewhere};
use runtime_operator::contract::Did;
use runtime_operator::domain::index::{CachedStatus, CachedTenant, Interners};
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};

use crate::values::{self, DidSet, Resource, SPECS};

/// A resource in the API server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Object {
    pub resource: Resource,
    /// The number of writes to it.
    pub version: u8,
    pub generation: u8,
    pub dids: DidSet,
    /// It has the annotation `take-over`.
    pub annotated: bool,
    pub deleting: bool,
    pub finalizer: bool,
    pub status: Option<Status>,
}

/// The content of a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Status {
    pub generation: u8,
    pub published: DidSet,
    /// The DIDs that it says another cluster holds.
    pub elsewhere: DidSet,
    /// It says that the annotation `take-over` has done its work.
    pub took_over: bool,
    pub ready: bool,
}

impl Object {
    /// The resource as a watch decodes it, in or after the list number `list`.
    pub fn cached(&self, list: u32) -> CachedTenant {
        let time = |second: Resource| Time(Timestamp::from_second(second.into()).unwrap());
        let name = values::name(values::slot(self.resource));
        let meta = ObjectMeta {
            uid: Some(values::uid(self.resource).to_string()),
            namespace: Some(name.namespace.to_string()),
            name: Some(name.name.to_string()),
            resource_version: Some(self.version.to_string()),
            generation: Some(self.generation.into()),
            creation_timestamp: Some(time(self.resource)),
            deletion_timestamp: self.deleting.then(|| time(self.resource + 1)),
            annotations: self.annotated.then(|| [(api::TAKE_OVER.to_owned(), "true".to_owned())].into()),
            finalizers: self.finalizer.then(|| vec![api::FINALIZER.to_owned()]),
            ..ObjectMeta::default()
        };
        let spec = values::spec(values::slot(self.resource), self.dids);
        let spec = RawValue::from_string(spec.to_owned()).unwrap();
        let status = self.status.map(Status::json);
        CachedTenant::new(meta, Some(spec), status.as_deref(), list, None, &mut Interners::default())
    }

    /// The resource that is cached.
    pub fn of(cached: &CachedTenant) -> Self {
        let resource = values::resource(&cached.uid());
        let is_spec = |dids: &DidSet| values::spec(values::slot(resource), *dids) == cached.spec();
        Self {
            resource,
            version: u8::try_from(cached.version()).unwrap(),
            generation: u8::try_from(cached.generation()).unwrap(),
            dids: (0..SPECS).find(is_spec).unwrap(),
            annotated: cached.take_over().is_some(),
            deleting: cached.is_deleting(),
            finalizer: cached.has_finalizer(),
            status: cached.status().map(Status::of),
        }
    }

    /// The DIDs that it claims, and those that its status lists; none while it is being deleted.
    pub fn claim(&self) -> Option<(DidSet, DidSet)> {
        let status_dids = self.status.map_or(0, |status| status.published);
        (!self.deleting).then_some((self.dids, status_dids))
    }
}

impl Status {
    fn json(self) -> Box<RawValue> {
        let ready = if self.ready { "True" } else { "False" };
        let held = json!([{ "cluster": "there", "owner": "voice/theirs", "dids": values::did_list(self.elsewhere) }]);
        let status = json!({
            "observedGeneration": self.generation,
            "takeOver": if self.took_over { json!({ "used": "true" }) } else { json!(null) },
            "heldElsewhere": if self.elsewhere == 0 { json!([]) } else { held },
            "publishedDids": values::did_list(self.published),
            "conditions": [{
                "type": "Ready", "status": ready, "reason": "Model", "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            }],
        });
        to_raw_value(&status).unwrap()
    }

    fn of(cached: &CachedStatus) -> Self {
        Self {
            generation: u8::try_from(cached.observed_generation().unwrap()).unwrap(),
            published: values::did_set(&cached.published_dids()),
            elsewhere: elsewhere(cached.held_elsewhere()),
            took_over: cached.take_over().is_some(),
            ready: cached.conditions().any(|condition| &*condition.status == "True"),
        }
    }
}

/// The DIDs that another cluster holds.
pub fn elsewhere(held: &[HeldElsewhere]) -> DidSet {
    let dids = held.iter().filter(|held| held.cluster.is_some()).flat_map(|held| &held.dids);
    values::did_set(&dids.map(|did| Did::parse_exact(did).unwrap()).collect::<Vec<_>>())
}
