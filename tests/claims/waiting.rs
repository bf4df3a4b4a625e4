//! Tenants that wait for a DID, and tenants that can't.

use serde_json::json;
use test_support::{Tenant, World, tenant};

use super::{ONE, THREE, TWO, listed, moved, status_dids, wait_conflict};

/// A text that the API server accepts, which counts characters, and the runtime does not, which counts UTF-16 units.
fn with_too_long_a_reply(tenant: Tenant) -> Tenant {
    tenant.set("/quickReplies", json!([{ "match": ["hello"], "reply": "😀".repeat(2001) }]))
}

#[tokio::test]
async fn an_invalid_tenant_claims_no_did() {
    let world = World::new().await;
    world.operator().start().await;
    world.apply(&tenant("holder").dids([ONE, THREE])).await;
    world.wait_ready("holder").await;
    world.apply(&with_too_long_a_reply(tenant("invalid").dids([ONE, TWO]))).await;
    let message = world.wait_condition("invalid", "Ready", "False", "InvalidSpec").await;
    assert!(message.contains("quickReplies[0].reply"), "{message}");
    world.wait_until_younger_than("invalid").await;

    world.apply(&tenant("valid").dids([TWO, ONE])).await;

    wait_conflict(&world, "valid", ONE, "holder").await;
    assert_eq!(world.live(TWO).await.as_deref(), Some("valid"), "the older one does not count");

    world.set_dids("holder", [THREE]).await;

    world.wait_ready("valid").await;
    assert_eq!(world.live(ONE).await.as_deref(), Some("valid"));
    assert_eq!(world.config_text("invalid").await, None);
    world.finish().await;
}

#[tokio::test]
async fn an_invalid_edit_keeps_what_is_published_and_claims_no_more() {
    let world = World::new().await;
    world.operator().start().await;
    world.apply(&tenant("acme").dids([ONE])).await;
    world.wait_ready("acme").await;
    let config = world.config_text("acme").await;

    world.apply(&with_too_long_a_reply(tenant("acme").dids([ONE, TWO]))).await;
    world.wait_condition("acme", "Ready", "False", "InvalidSpec").await;
    world.apply(&tenant("other").dids([TWO, ONE])).await;

    wait_conflict(&world, "other", ONE, "acme").await;
    assert_eq!(world.live(TWO).await.as_deref(), Some("other"));
    assert_eq!(world.config_text("acme").await, config);
    assert_eq!(status_dids(&world, "acme").await, json!([ONE]));
    world.finish().await;
}

#[tokio::test]
async fn a_did_released_for_a_tenant_without_its_secret_stays_unmapped() {
    let world = World::new().await;
    world.operator().start().await;
    world.apply(&tenant("holder").dids([ONE, THREE])).await;
    world.wait_ready("holder").await;
    world.apply(&tenant("poor").dids([ONE]).without_secret()).await;
    world.wait_until_younger_than("poor").await;
    world.apply(&tenant("young").dids([ONE, TWO])).await;
    wait_conflict(&world, "young", ONE, "holder").await;

    world.set_dids("holder", [THREE]).await;

    wait_conflict(&world, "young", ONE, "poor").await;
    world.wait_condition("poor", "Ready", "False", "SecretNotFound").await;
    world.wait_live(ONE, None).await;
    assert_eq!(listed(&world, "holder").await, json!([THREE]));

    world.apply_secret("poor-webhook", "whsec").await;

    world.wait_ready("poor").await;
    assert_eq!(world.live(ONE).await.as_deref(), Some("poor"));
    world.finish().await;
}

#[tokio::test]
async fn a_suspended_tenant_keeps_what_is_published() {
    let world = World::new().await;
    world.operator().start().await;
    world.apply(&tenant("acme").dids([ONE, TWO])).await;
    world.wait_ready("acme").await;
    world.apply(&tenant("next").dids([THREE, ONE])).await;
    wait_conflict(&world, "next", ONE, "acme").await;
    let mut journal = world.journal().await;

    world.apply(&tenant("acme").dids([TWO]).suspended()).await;

    world.wait_condition("acme", "Ready", "True", "Suspended").await;
    wait_conflict(&world, "next", ONE, "acme").await;
    assert_eq!(status_dids(&world, "acme").await, json!([ONE, TWO]));
    assert_eq!(journal.writes().await, []);

    world.patch("acme", json!({ "spec": { "suspend": false } })).await;

    world.wait_ready("next").await;
    world.wait_ready("acme").await;
    assert_eq!(world.live(ONE).await.as_deref(), Some("next"));
    moved(&journal.writes().await, ONE, 1);
    world.finish().await;
}

#[tokio::test]
async fn a_suspended_tenant_claims_free_dids_and_publishes_them_when_resumed() {
    let world = World::new().await;
    world.operator().start().await;
    world.apply(&tenant("acme").dids([ONE]).suspended()).await;
    world.wait_condition("acme", "Ready", "True", "Suspended").await;
    world.wait_until_younger_than("acme").await;

    world.apply(&tenant("young").dids([ONE, TWO])).await;

    wait_conflict(&world, "young", ONE, "acme").await;
    assert_eq!(world.live(ONE).await, None);

    world.patch("acme", json!({ "spec": { "suspend": false } })).await;

    world.wait_ready("acme").await;
    assert_eq!(world.live(ONE).await.as_deref(), Some("acme"));
    world.finish().await;
}
