//! Keys of the same tenant id without an ownership record.

use serde_json::json;
use test_support::{World, tenant};

use super::{ONE, THREE, TWO, published_before, take_over};

/// All bytes of the config of `tenant("acme")` with two DIDs.
const ACME: &str = concat!(
    r#"{"contractVersion":"v1","tenantId":"acme","dids":["+15550000001","+15550000002"],"#,
    r#""webhookSecretRef":"secret://acme-webhook/webhookSecret","webhookSecret":"whsec-of-acme","#,
    r#""caps":{"maxConcurrentCallsTenant":10,"maxCallsPerMinuteTenant":60},"#,
    r#""stt":{"mode":"disabled","chunkMs":500},"#,
    r#""tts":{"mode":"kokoro_http","kokoroUrl":"https://tts.example.com/tts"},"audio":{}}"#,
);

#[tokio::test]
async fn adoption_replaces_the_config_with_the_spec_and_moves_no_did() {
    let world = World::new().await;
    published_before(&world, "acme", &[ONE]).await;
    world.operator().start().await;
    let mut journal = world.journal().await;

    world.apply(&tenant("acme").dids([ONE, TWO])).await;

    world.wait_ready("acme").await;
    let note = world.wait_event("acme", "Adopted").await;
    let changed = "changed: caps.maxCallsPerMinuteTenant, caps.maxConcurrentCallsTenant, dids, stt.chunkMs, tts.kokoroUrl, \
                   webhookSecretRef";
    assert!(note.ends_with(changed), "{note}");
    assert_eq!(world.config_text("acme").await.unwrap(), ACME);
    assert_eq!(world.live(TWO).await.as_deref(), Some("acme"));
    let writes = journal.writes().await;
    assert!(!writes.iter().any(|(key, _)| *key == format!("tenantmap:did:{ONE}")), "{writes:?}");
    world.finish().await;
}

#[tokio::test]
async fn a_new_tenant_gets_the_same_bytes_and_adopts_nothing() {
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
async fn adoption_that_would_unmap_a_did_is_delayed_and_names_it() {
    let world = World::new().await;
    let old = published_before(&world, "acme", &[ONE, TWO, THREE]).await;
    world.operator().start().await;
    let mut journal = world.journal().await;

    world.apply(&tenant("acme").dids([ONE])).await;

    let message = world.wait_condition("acme", "Ready", "False", "AdoptionWouldUnmap").await;
    assert!(message.contains(TWO) && message.contains(THREE) && !message.contains(ONE), "{message}");
    world.wait_event("acme", "AdoptionWouldUnmap").await;
    world.wait_condition("acme", "Published", "False", "AdoptionWouldUnmap").await;
    assert_eq!(journal.writes().await, [], "the mappings are unchanged");
    assert_eq!(world.config_text("acme").await.unwrap(), old);

    // The spec forgot one of the DIDs, and drops the other on purpose.
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
async fn unmapped_dids_of_the_old_config_delay_no_adoption() {
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
async fn a_config_too_large_to_be_decoded_is_not_adopted_and_named() {
    let world = World::new().await;
    let old = published_before(&world, "acme", &[ONE]).await;
    let large = format!("{},\"x\":\"{}\"}}", old.strip_suffix('}').unwrap(), "x".repeat(1 << 20));
    world.set_key("tenantcfg:acme", &large).await;
    world.operator().start().await;
    let mut journal = world.journal().await;

    world.apply(&tenant("acme").dids([ONE])).await;

    let message = world.wait_condition("acme", "Ready", "False", "AdoptionTooLarge").await;
    assert!(message.contains("tenantcfg:acme"), "{message}");
    world.wait_event("acme", "AdoptionTooLarge").await;
    take_over(&world, world.namespace(), "acme").await;
    world.wait_condition("acme", "Stalled", "True", "AdoptionTooLarge").await;
    assert_eq!(journal.writes().await, []);

    world.set_key("tenantcfg:acme", &old).await;

    world.wait_ready("acme").await;
    world.finish().await;
}

#[tokio::test]
async fn a_tenant_is_adopted_once_the_old_publisher_unmaps_its_did() {
    let world = World::new().await;
    published_before(&world, "acme", &[ONE, TWO]).await;
    world.operator().start().await;
    world.apply(&tenant("acme").dids([ONE])).await;
    world.wait_condition("acme", "Ready", "False", "AdoptionWouldUnmap").await;

    world.delete_key(&format!("tenantmap:did:{TWO}")).await;

    world.wait_ready("acme").await;
    world.finish().await;
}
