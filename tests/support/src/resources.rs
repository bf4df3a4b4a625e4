//! Reads and changes resources as kubectl does.

use k8s_openapi::api::core::v1::{ConfigMap, Event, Secret as KubeSecret};
use kube::ResourceExt;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};

use super::World;
use super::tenant::{Secret, Tenant};

/// The field manager of applied resources.
const MANAGER: &str = "test";

impl World {
    /// `RuntimeTenants` of a namespace. They are dynamic objects, so that a test sees the API server's response and not the
    /// operator's types.
    pub fn tenants_in(&self, namespace: &str) -> Api<DynamicObject> {
        let gvk = GroupVersionKind::gvk("runtime.veralux.io", "v1", "RuntimeTenant");
        let resource = ApiResource::from_gvk_with_plural(&gvk, "runtimetenants");
        Api::namespaced_with(self.client(), namespace, &resource)
    }

    /// `RuntimeTenants` of the world's first namespace.
    pub fn tenants(&self) -> Api<DynamicObject> {
        self.tenants_in(self.namespace())
    }

    /// Applies a tenant and its Secret (server-side, forced).
    pub async fn apply(&self, tenant: &Tenant) -> DynamicObject {
        self.try_apply(tenant).await.unwrap()
    }

    /// Applies a tenant and its Secret, and returns the API server's error if it rejects them.
    pub async fn try_apply(&self, tenant: &Tenant) -> Result<DynamicObject, kube::Error> {
        let namespace = tenant.namespace.as_deref().unwrap_or(self.namespace());
        if let (Secret::Value(value), Some(name)) =
            (&tenant.secret, tenant.spec["webhookSecretRef"]["name"].as_str())
        {
            let key = tenant.spec["webhookSecretRef"]["key"].as_str().unwrap_or("webhookSecret");
            self.apply_secret_in(namespace, name, &json!({ key: value })).await;
        }
        self.read_dids_of(&tenant.spec);
        let params = PatchParams::apply(MANAGER).force();
        self.tenants_in(namespace).patch(&tenant.name, &params, &Patch::Apply(tenant.resource())).await
    }

    /// Applies a merge patch: `world.patch("acme", json!({ "spec": { "suspend": true } }))`.
    pub async fn patch(&self, name: &str, patch: Value) -> DynamicObject {
        self.read_dids_of(&patch["spec"]);
        self.tenants().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap()
    }

    /// Edits the list of DIDs.
    pub async fn set_dids<'a>(&self, name: &str, dids: impl IntoIterator<Item = &'a str>) {
        let dids: Vec<_> = dids.into_iter().collect();
        self.patch(name, json!({ "spec": { "dids": dids } })).await;
    }

    /// Requests the deletion, and waits for nothing.
    pub async fn delete(&self, name: &str) {
        self.tenants().delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// Returns the resource, if it exists.
    pub async fn get(&self, name: &str) -> Option<DynamicObject> {
        self.tenants().get_opt(name).await.unwrap()
    }

    /// Returns its status, or null.
    pub async fn status(&self, name: &str) -> Value {
        self.get(name).await.map(|tenant| tenant.data["status"].clone()).unwrap_or_default()
    }

    /// Returns one of its conditions.
    pub async fn condition(&self, name: &str, kind: &str) -> Option<Value> {
        condition(&self.status(name).await, kind)
    }

    /// Applies a Secret with one value under the default key.
    pub async fn apply_secret(&self, name: &str, value: &str) {
        self.apply_secret_in(self.namespace(), name, &json!({ "webhookSecret": value })).await;
    }

    /// Applies a Secret with text values under any keys.
    pub async fn apply_secret_in(&self, namespace: &str, name: &str, values: &Value) {
        let secret = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name }, "stringData": values });
        let secrets: Api<KubeSecret> = Api::namespaced(self.client(), namespace);
        let params = PatchParams::apply(MANAGER).force();
        secrets.patch(name, &params, &Patch::Apply(secret)).await.unwrap();
    }

    /// Deletes a Secret.
    pub async fn delete_secret(&self, name: &str) {
        let secrets: Api<KubeSecret> = Api::namespaced(self.client(), self.namespace());
        secrets.delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// Returns the events about a resource, reason and message, in no order.
    pub async fn events(&self, name: &str) -> Vec<(String, String)> {
        let events: Api<Event> = Api::namespaced(self.client(), self.namespace());
        let about = format!("involvedObject.kind=RuntimeTenant,involvedObject.name={name}");
        let events = events.list(&ListParams::default().fields(&about)).await.unwrap();
        let texts = |event: Event| (event.reason.unwrap_or_default(), event.message.unwrap_or_default());
        events.items.into_iter().map(texts).collect()
    }

    /// Waits until its status reports its current generation as Ready.
    pub async fn wait_ready(&self, name: &str) {
        self.wait(&format!("{name} is Ready"), || async move {
            let tenant = self.get(name).await.ok_or("it does not exist")?;
            let status = &tenant.data["status"];
            let observed = status["observedGeneration"].as_i64();
            let ready = condition(status, "Ready").is_some_and(|ready| ready["status"] == "True");
            let current = observed.is_some() && observed == tenant.metadata.generation;
            if !ready || !current {
                return Err(described(&tenant));
            }
            // The finalizer is added after the status.
            let protected = tenant.finalizers().iter().any(|name| name.starts_with("runtime.veralux.io/"));
            if protected { Ok(()) } else { Err(format!("finalizers {:?}", tenant.finalizers())) }
        })
        .await;
    }

    /// Waits until a condition has a status and a reason for the current generation; returns its message.
    pub async fn wait_condition(&self, name: &str, kind: &str, status: &str, reason: &str) -> String {
        self.wait_condition_in(self.namespace(), name, kind, status, reason).await
    }

    /// Waits in another namespace; see [`World::wait_condition`].
    pub async fn wait_condition_in(
        &self,
        namespace: &str,
        name: &str,
        kind: &str,
        status: &str,
        reason: &str,
    ) -> String {
        self.wait(&format!("{namespace}/{name} has {kind}={status}, {reason}"), || async move {
            let tenant =
                self.tenants_in(namespace).get_opt(name).await.unwrap().ok_or("it does not exist")?;
            let found = condition(&tenant.data["status"], kind).unwrap_or_default();
            let current = found["observedGeneration"].as_i64() == tenant.metadata.generation;
            if current && found["status"] == status && found["reason"] == reason {
                return Ok(found["message"].as_str().unwrap_or_default().to_owned());
            }
            Err(described(&tenant))
        })
        .await
    }

    /// Waits until a resource has an event with a reason; returns its message.
    pub async fn wait_event(&self, name: &str, reason: &str) -> String {
        self.wait(&format!("{name} has an event {reason}"), || async move {
            let events = self.events(name).await;
            let found = events.iter().find(|event| event.0 == reason).map(|event| event.1.clone());
            found.ok_or_else(|| format!("its events are {events:?}"))
        })
        .await
    }

    /// Waits until a resource no longer exists.
    pub async fn wait_deleted(&self, name: &str) {
        self.wait(&format!("{name} is deleted"), || async move {
            match self.get(name).await {
                Some(tenant) => Err(format!("finalizers {:?}, {}", tenant.finalizers(), described(&tenant))),
                None => Ok(()),
            }
        })
        .await;
    }

    /// Waits until a new resource would be younger than this one: creation times have whole seconds.
    pub async fn wait_until_younger_than(&self, name: &str) {
        let created = self.get(name).await.unwrap().metadata.creation_timestamp.unwrap();
        let maps: Api<ConfigMap> = Api::namespaced(self.client(), self.namespace());
        let dry = PostParams { dry_run: true, ..PostParams::default() };
        self.wait("the API server's clock advances", || async {
            let map = serde_json::from_value(json!({ "metadata": { "generateName": "clock-" } })).unwrap();
            let now = maps.create(&dry, &map).await.unwrap().metadata.creation_timestamp.unwrap();
            if now > created { Ok(()) } else { Err(String::from("the same second")) }
        })
        .await;
    }

    fn read_dids_of(&self, spec: &Value) {
        let dids = spec["dids"].as_array().into_iter().flatten().filter_map(Value::as_str);
        self.watched().know(dids.map(|did| did.split_whitespace().collect()));
    }
}

fn condition(status: &Value, kind: &str) -> Option<Value> {
    let mut conditions = status["conditions"].as_array()?.iter();
    conditions.find(|condition| condition["type"] == kind).cloned()
}

fn described(tenant: &DynamicObject) -> String {
    format!("generation {:?}, status {:#}", tenant.metadata.generation, tenant.data["status"])
}
