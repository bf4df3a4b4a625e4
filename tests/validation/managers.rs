//! Two managers apply parts of one resource with server-side apply.

use kube::api::{Api, Patch, PatchParams};
use runtime_operator::api::RuntimeTenant;
use serde_json::{Value, json};
use test_support::specs::with;

use crate::cluster::{client, namespace, object, tenants};

async fn apply(api: &Api<RuntimeTenant>, manager: &str, spec: &Value) -> Result<RuntimeTenant, String> {
    let params = PatchParams::apply(manager);
    let applied = api.patch("a", &params, &Patch::Apply(object("a", spec))).await;
    applied.map_err(|error| error.to_string())
}

fn sorted(tenant: &RuntimeTenant) -> Vec<&str> {
    let mut dids: Vec<_> = tenant.spec.dids.iter().map(String::as_str).collect();
    dids.sort_unstable();
    dids
}

#[tokio::test]
async fn two_managers_apply_numbers_of_one_tenant() {
    let client = client().await;
    namespace(&client, "managers").await;
    let api = tenants(&client, "managers");

    apply(&api, "platform", &with(&json!({ "dids": ["+12"] }))).await.unwrap();
    let both = apply(&api, "sales", &json!({ "dids": ["+13", "+14"] })).await.unwrap();
    assert_eq!(sorted(&both), ["+12", "+13", "+14"]);

    let fewer = apply(&api, "sales", &json!({ "dids": ["+14"] })).await.unwrap();
    assert_eq!(sorted(&fewer), ["+12", "+14"]);

    let refusal = apply(&api, "sales", &json!({ "dids": ["+1 2"] })).await.unwrap_err();
    assert!(refusal.contains("numbers must be unique once their white space is removed"), "{refusal}");
}

#[tokio::test]
async fn two_managers_apply_sections_and_extensions() {
    let client = client().await;
    namespace(&client, "sections").await;
    let api = tenants(&client, "sections");

    let hours = json!({ "assistantContext": { "hours": "Nine to five." }, "extensions": { "a": 1 } });
    apply(&api, "platform", &with(&hours)).await.unwrap();
    let parking = json!({ "assistantContext": { "parking": "In the yard." }, "extensions": { "b": 2 } });
    let both = apply(&api, "sales", &parking).await.unwrap();
    let sections: Vec<_> =
        both.spec.assistant_context.iter().flatten().map(|(name, _)| name.as_str()).collect();
    assert_eq!(sections, ["hours", "parking"]);
    assert_eq!(Value::Object(both.spec.extensions), json!({ "a": 1, "b": 2 }));
}

#[tokio::test]
async fn a_manager_does_not_overwrite_the_caps_of_another() {
    let client = client().await;
    namespace(&client, "conflict").await;
    let api = tenants(&client, "conflict");

    apply(&api, "platform", &with(&json!({}))).await.unwrap();
    let refusal =
        apply(&api, "sales", &json!({ "caps": { "maxConcurrentCallsTenant": 99 } })).await.unwrap_err();
    assert!(
        refusal.contains("conflict") && refusal.contains(".spec.caps.maxConcurrentCallsTenant"),
        "{refusal}"
    );
}
