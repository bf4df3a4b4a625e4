//! Builds resources: `tenant("acme").dids(["+15551234567"]).secret("whsec")`.

use serde_json::{Value, json};

/// The Secret to which a tenant refers.
#[derive(Clone, Debug)]
pub(super) enum Secret {
    /// It is applied together with the tenant.
    Value(String),
    /// It is not applied, and may exist or not.
    Untouched,
}

/// A `RuntimeTenant` and its Secret, for [`super::World::apply`].
#[derive(Clone, Debug)]
pub struct Tenant {
    pub(super) name: String,
    pub(super) namespace: Option<String>,
    pub(super) annotations: Value,
    pub(super) spec: Value,
    pub(super) secret: Secret,
}

/// Returns a small valid tenant without DIDs, named like its id, with a Secret `<name>-webhook` that is applied with it.
pub fn tenant(id: &str) -> Tenant {
    let spec = json!({
        "tenantId": id,
        "dids": [],
        "webhookSecretRef": { "name": format!("{id}-webhook") },
        "caps": { "maxConcurrentCallsTenant": 10, "maxCallsPerMinuteTenant": 60 },
        "stt": { "mode": "disabled", "chunkMs": 500 },
        "tts": { "mode": "kokoro_http", "kokoroUrl": "https://tts.example.com/tts" },
    });
    let secret = Secret::Value(format!("whsec-of-{id}"));
    Tenant { name: id.into(), namespace: None, annotations: json!({}), spec, secret }
}

impl Tenant {
    /// Sets a name other than the tenant id. The Secret is named after it.
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self.set("/webhookSecretRef/name", format!("{name}-webhook"))
    }

    /// Sets another namespace of the same world.
    pub fn in_namespace(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// Sets all of its DIDs.
    pub fn dids<'a>(self, dids: impl IntoIterator<Item = &'a str>) -> Self {
        let dids: Vec<_> = dids.into_iter().collect();
        self.set("/dids", dids)
    }

    /// Sets the value of its Secret, which is applied with it.
    pub fn secret(mut self, value: &str) -> Self {
        self.secret = Secret::Value(value.into());
        self
    }

    /// Leaves out its Secret: the reference stays, and no Secret is applied.
    pub fn without_secret(mut self) -> Self {
        self.secret = Secret::Untouched;
        self
    }

    /// Adds an annotation with the group's prefix: `annotation("take-over", "true")`.
    pub fn annotation(mut self, name: &str, value: &str) -> Self {
        self.annotations[format!("runtime.veralux.io/{name}")] = json!(value);
        self
    }

    /// Sets `spec.suspend`.
    pub fn suspended(self) -> Self {
        self.set("/suspend", true)
    }

    /// Sets the deletion policy `Retain`: its keys stay when it is deleted.
    pub fn retained(self) -> Self {
        self.set("/deletionPolicy", "Retain")
    }

    /// Sets the whole spec.
    pub fn spec(mut self, spec: Value) -> Self {
        self.spec = spec;
        self
    }

    /// Sets any part of the spec, by a JSON pointer (RFC 6901) whose parent exists: `set("/stt/chunkMs", 100)`.
    pub fn set(mut self, pointer: &str, value: impl Into<Value>) -> Self {
        let (parent, member) = pointer.rsplit_once('/').expect("a JSON pointer begins with a slash");
        self.spec.pointer_mut(parent).expect("the parent exists")[member] = value.into();
        self
    }

    /// Removes a part of the spec.
    pub fn unset(mut self, pointer: &str) -> Self {
        let (parent, member) = pointer.rsplit_once('/').expect("a JSON pointer begins with a slash");
        let parent = self.spec.pointer_mut(parent).and_then(Value::as_object_mut);
        parent.expect("the parent exists").remove(member);
        self
    }

    /// Returns the resource's JSON, without a namespace.
    pub fn resource(&self) -> Value {
        json!({
            "apiVersion": "runtime.veralux.io/v1",
            "kind": "RuntimeTenant",
            "metadata": { "name": self.name, "annotations": self.annotations },
            "spec": self.spec,
        })
    }
}
