//! Keys of the same tenant id without an ownership record.

use serde_json::json;

use super::support::{World, tenant};
use super::{ONE, THREE, TWO, published_before, take_over};

/// All bytes of the config of `tenant("acme")` with two numbers.
const ACME: &str = concat!(
    r#"{"contractVersion":"v1","tenantId":"acme","dids":["+15550000001","+15550000002"],"#,
    r#""webhookSecretRef":"secret://acme-webhook/webhookSecret","webhookSecret":"whsec-of-acme","#,
    r#""caps":{"maxConcurrentCallsTenant":10,"maxCallsPerMinuteTenant":60},"#,
    r#""stt":{"mode":"disabled","chunkMs":500},"#,
    r#""tts":{"mode":"kokoro_http","kokoroUrl":"https://tts.example.com/tts"},"audio":{}}"#,
);

#[tokio::test]
async fn its_config_is_replaced_by_exactly_what_the_resource_says_and_no_number_moves() {
    let world = World::new().await;
    published_before(&world, "acme", &[ONE]).await;
    world.operator().start().await;
    let mut journal = world.journal().await;

    world.apply(&tenant("acme").dids([ONE, TWO])).await;

    world.wait_ready("acme").await;
    world.wait_event("acme", "Adopted").await;
    assert_eq!(world.config_text("acme").await.unwrap(), ACME);
    assert_eq!(world.live(TWO).await.as_deref(), Some("acme"));
    let writes = journal.writes().await;
    assert!(!writes.iter().any(|(key, _)| *key == format!("tenantmap:did:{ONE}")), "{writes:?}");
    world.finish().await;
}

#[tokio::test]
async fn what_a_fresh_tenant_gets_is_the_same_byte_for_byte_and_nothing_was_adopted() {
    let world = World::new().await;
    world.operator().start().await;

    world.apply(&tenant("acme").dids([ONE, TWO])).await;

    world.wait_ready("acme").await;
    assert_eq!(world.config_text("acme").await.unwrap(), ACME);
    world.wait_event("acme", "Published").await;
    assert!(!world.events("acme").await.iter().any(|(reason, _)| reason == "Adopted"));
    world.finish().await;
}

#[tokio::test]
async fn where_that_would_unmap_a_number_it_waits_and_names_it() {
    let world = World::new().await;
    let old = published_before(&world, "acme", &[ONE, TWO, THREE]).await;
    world.operator().start().await;
    let mut journal = world.journal().await;

    world.apply(&tenant("acme").dids([ONE])).await;

    let message = world.wait_condition("acme", "Ready", "False", "AdoptionWouldUnmap").await;
    assert!(message.contains(TWO) && message.contains(THREE) && !message.contains(ONE), "{message}");
    world.wait_event("acme", "AdoptionWouldUnmap").await;
    world.wait_condition("acme", "Published", "False", "AdoptionWouldUnmap").await;
    assert_eq!(journal.writes().await, [], "calls go on as before");
    assert_eq!(world.config_text("acme").await.unwrap(), old);

    // One of the numbers was forgotten, the other is to go.
    world.set_dids("acme", [ONE, TWO]).await;
    let message = world.wait_condition("acme", "Ready", "False", "AdoptionWouldUnmap").await;
    assert!(!message.contains(TWO), "{message}");
    take_over(&world, world.namespace(), "acme").await;

    world.wait_ready("acme").await;
    assert_eq!(world.config_text("acme").await.unwrap(), ACME);
    assert_eq!(world.live(THREE).await, None);
    world.finish().await;
}

#[tokio::test]
async fn numbers_that_its_config_lists_and_that_are_not_mapped_to_it_hold_nothing_up() {
    let world = World::new().await;
    published_before(&world, "acme", &[ONE, TWO]).await;
    world.delete_key(&format!("tenantmap:did:{TWO}")).await;
    world.operator().start().await;

    world.apply(&tenant("acme").dids([ONE])).await;

    world.wait_ready("acme").await;
    world.wait_event("acme", "Adopted").await;
    assert_eq!(world.status("acme").await["publishedDids"], json!([ONE]));
    world.finish().await;
}

#[tokio::test]
async fn once_the_old_publisher_unmaps_the_number_it_is_adopted_by_itself() {
    let world = World::new().await;
    published_before(&world, "acme", &[ONE, TWO]).await;
    world.operator().start().await;
    world.apply(&tenant("acme").dids([ONE])).await;
    world.wait_condition("acme", "Ready", "False", "AdoptionWouldUnmap").await;

    world.delete_key(&format!("tenantmap:did:{TWO}")).await;

    world.wait_ready("acme").await;
    world.finish().await;
}
