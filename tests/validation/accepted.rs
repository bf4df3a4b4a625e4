//! Unusual valid specs: each line of the table is a change to a valid spec, which is stored and read back unchanged.

use kube::api::{Patch, PatchParams};
use runtime_operator::api::RuntimeTenantSpec;
use runtime_operator::domain::compile;
use serde_json::{Value, json};
use test_support::specs::accepted::table;
use test_support::specs::{merge, with};

use crate::cluster::{client, create, namespace, object, tenants};

/// Adds the defaults that the API server fills in.
fn with_defaults(spec: &Value) -> Value {
    let mut full = json!({ "webhookSecretRef": { "key": "webhookSecret" }, "deletionPolicy": "Delete", "suspend": false });
    merge(&mut full, spec);
    full
}

#[tokio::test]
async fn an_unusual_valid_spec_is_stored_unchanged() {
    let client = client().await;
    namespace(&client, "accepted").await;
    let mut wrong = Vec::new();
    for (number, (name, patch)) in table().into_iter().enumerate() {
        let spec = with_defaults(&with(&patch));
        let created = create(&client, "accepted", &object(&format!("t{number}"), &with(&patch)), false).await;
        match created {
            Ok(created) if created["spec"] == spec => {}
            Ok(created) => wrong.push(format!("{name}: stored as {}", created["spec"])),
            Err(refusal) => wrong.push(format!("{name}: {refusal}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(table().len() >= 30);
}

#[tokio::test]
async fn an_accepted_spec_has_no_violations_for_the_operator() {
    for (name, patch) in table() {
        let spec = with_defaults(&with(&patch));
        let read: RuntimeTenantSpec = serde_json::from_value(spec.clone()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), spec, "{name}");
        assert_eq!(compile::check(&read), Vec::<String>::new(), "{name}");
    }
}

#[tokio::test]
async fn the_tenant_id_is_immutable_and_the_rest_can_be_changed() {
    let client = client().await;
    namespace(&client, "immutable").await;
    create(&client, "immutable", &object("a", &with(&json!({}))), false).await.unwrap();
    let api = tenants(&client, "immutable");
    let patch = async |spec: Value| {
        api.patch("a", &PatchParams::default(), &Patch::Merge(json!({ "spec": spec }))).await
    };

    patch(json!({ "dids": ["+15550009999"], "suspend": true })).await.unwrap();
    let refusal = patch(json!({ "tenantId": "other" })).await.unwrap_err().to_string();
    assert!(refusal.contains("tenantId is immutable: it is "), "{refusal}");
    let refusal = patch(json!({ "tenantId": null })).await.unwrap_err().to_string();
    assert!(refusal.contains("spec.tenantId: Required value"), "{refusal}");
    let stored = api.get("a").await.unwrap();
    assert_eq!((stored.spec.tenant_id.as_str(), stored.spec.suspend), ("acme", true));
}
