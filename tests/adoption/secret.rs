//! The webhook secret of an older publisher's config.

use serde_json::{Value, json};
use test_support::{World, tenant};

use super::{ONE, published_before, take_over};

/// Gives an older publisher's config these members.
async fn with(world: &World, members: Value) -> String {
    let mut config: Value = serde_json::from_str(&published_before(world, "acme", &[ONE]).await).unwrap();
    config.as_object_mut().unwrap().remove("webhookSecret");
    config.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    let config = config.to_string();
    world.set_key("tenantcfg:acme", &config).await;
    config
}

/// Everything that a person or another program is shown of the tenant.
async fn shown(world: &World, logs: &str) -> String {
    let object = world.tenants_in(world.namespace()).get("acme").await.unwrap();
    let events = world.events("acme").await;
    format!("{logs} {} {events:?}", serde_json::to_string(&object).unwrap())
}

#[tokio::test]
async fn adoption_that_would_replace_the_secret_waits_until_the_secret_is_the_old_one() {
    for old in [json!({ "webhookSecret": "old-canary" }), json!({ "webhookSecretRef": "old-canary" })] {
        let world = World::new().await;
        let before = with(&world, old).await;
        let operator = world.operator().start().await;
        let mut journal = world.journal().await;

        world.apply(&tenant("acme").dids([ONE]).secret("new-canary")).await;

        let message = world.wait_condition("acme", "Ready", "False", "AdoptionWouldChangeSecret").await;
        assert!(message.contains("webhook secret") && message.contains("take-over"), "{message}");
        world.wait_event("acme", "AdoptionWouldChangeSecret").await;
        world.wait_condition("acme", "Published", "False", "AdoptionWouldChangeSecret").await;
        assert_eq!(journal.writes().await, [], "nothing changes for callers");
        assert_eq!(world.config_text("acme").await.unwrap(), before);

        // The runtime trims it.
        world.apply_secret("acme-webhook", " old-canary ").await;

        world.wait_ready("acme").await;
        world.wait_event("acme", "Adopted").await;
        let shown = shown(&world, &operator.logs()).await;
        assert!(!shown.contains("old-canary") && !shown.contains("new-canary"), "{shown}");
        world.finish().await;
    }
}

#[tokio::test]
async fn a_secret_that_cant_be_compared_waits_for_the_annotation() {
    let world = World::new().await;
    with(&world, json!({ "webhookSecretRef": "env:TELNYX_WEBHOOK_SECRET" })).await;
    world.operator().start().await;

    world.apply(&tenant("acme").dids([ONE])).await;

    world.wait_condition("acme", "Ready", "False", "AdoptionWouldChangeSecret").await;
    take_over(&world, world.namespace(), "acme").await;
    world.wait_ready("acme").await;
    let note = world.wait_event("acme", "Adopted").await;
    assert!(note.contains("webhookSecret, webhookSecretRef"), "{note}");
    assert_eq!(world.config("acme").await.unwrap()["webhookSecret"], "whsec-of-acme");
    world.finish().await;
}
