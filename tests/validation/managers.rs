//! Two managers apply parts of one resource with server-side apply.

use kube::api::{Api, Patch, PatchParams, PostParams};
use runtime_operator::api::RuntimeTenant;
use serde_json::{Value, json};
use test_support::specs::with;

use crate::cluster::{client, namespace, object, tenants};

async fn apply(api: &Api<RuntimeTenant>, manager: &str, spec: &Value) -> Result<RuntimeTenant, String> {
    let params = PatchParams::apply(manager);
    let applied = api.patch("a", &params, &Patch::Apply(object("a", spec))).await;
    applied.map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_second_manager_of_the_numbers_is_a_conflict() {
    let client = client().await;
    namespace(&client, "managers").await;
    let api = tenants(&client, "managers");

    apply(&api, "platform", &with(&json!({ "dids": ["+12"] }))).await.unwrap();
    let refusal = apply(&api, "sales", &json!({ "dids": ["+13", "+14"] })).await.unwrap_err();
    assert!(refusal.contains("conflict") && refusal.contains(".spec.dids"), "{refusal}");
}

#[tokio::test]
async fn numbers_that_a_manager_takes_out_are_gone_from_the_object() {
    let client = client().await;
    namespace(&client, "atomic").await;
    let api = tenants(&client, "atomic");

    let made = object("a", &with(&json!({ "dids": ["+12", "+1 3"] })));
    api.create(&PostParams::default(), &serde_json::from_value(made).unwrap()).await.unwrap();
    let params = PatchParams::apply("gitops").force();
    for dids in [json!(["+13"]), json!(["+14", "+12"])] {
        let spec = with(&json!({ "dids": dids }));
        let applied = api.patch("a", &params, &Patch::Apply(object("a", &spec))).await.unwrap();
        assert_eq!(json!(applied.spec.dids), dids);
    }
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
    assert_eq!(serde_json::to_value(&both.spec.extensions).unwrap(), json!({ "a": 1, "b": 2 }));
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
