//! Invalid specs: each line of the table is refused, with the message that says what must hold.

use serde_json::{Value, json};
use test_support::specs::refused::table;
use test_support::specs::with;

use crate::cluster::{client, create, namespace, object};

#[tokio::test]
async fn an_invalid_spec_is_refused_with_a_message_that_says_what_must_hold() {
    let client = client().await;
    namespace(&client, "refused").await;
    let mut wrong = Vec::new();
    for (name, patch, message) in table() {
        match create(&client, "refused", &object("a", &with(&patch)), true).await {
            Err(refusal) if refusal.contains(message) => {}
            Err(refusal) => wrong.push(format!("{name}: {refusal:?} instead of {message:?}")),
            Ok(_) => wrong.push(format!("{name}: accepted")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(table().len() >= 80);
}

#[tokio::test]
async fn a_resource_without_a_spec_is_refused() {
    let client = client().await;
    let mut object = object("a", &json!({}));
    object.as_object_mut().unwrap().remove("spec");
    let refusal = create(&client, "default", &object, true).await.unwrap_err();
    assert!(refusal.contains("spec: Required value"), "{refusal}");
}

#[tokio::test]
async fn null_counts_as_left_out() {
    let client = client().await;
    let mut spec = with(&json!({}));
    spec["audio"] = Value::Null;
    let created = create(&client, "default", &object("a", &spec), true).await.unwrap();
    assert_eq!(created["spec"].get("audio"), None);
    spec["caps"] = Value::Null;
    let refusal = create(&client, "default", &object("a", &spec), true).await.unwrap_err();
    assert!(refusal.contains("spec.caps: Required value"), "{refusal}");
}
