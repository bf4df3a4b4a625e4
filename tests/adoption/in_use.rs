//! DIDs that are mapped to a tenant id without a resource.

use serde_json::json;
use test_support::{World, tenant};

use super::{ONE, THREE, TWO, published_before, take_over};

#[tokio::test]
async fn dids_of_another_publisher_are_never_rerouted_and_the_rest_is_published() {
    let world = World::new().await;
    let legacy = published_before(&world, "legacy", &[ONE, THREE]).await;
    world.operator().start().await;
    let mut journal = world.journal().await;

    world.apply(&tenant("acme").dids([ONE, TWO])).await;

    let message = world.wait_condition("acme", "Ready", "False", "NumberInUse").await;
    assert!(message.contains(ONE) && message.contains("legacy") && !message.contains(TWO), "{message}");
    world.wait_condition("acme", "DidsClaimed", "False", "NumberInUse").await;
    world.wait_condition("acme", "Published", "True", "Published").await;
    world.wait_event("acme", "NumberInUse").await;
    assert_eq!(world.config("acme").await.unwrap()["dids"], json!([TWO]));
    assert_eq!(world.live(ONE).await.as_deref(), Some("legacy"));
    let touched = |key: &str| key.ends_with(ONE) || key.ends_with(THREE) || key == "tenantcfg:legacy";
    assert!(!journal.writes().await.iter().any(|(key, _)| touched(key)));

    take_over(&world, world.namespace(), "acme").await;

    world.wait_ready("acme").await;
    let note = world.wait_event("acme", "TakenOver").await;
    assert!(note.contains(ONE) && note.contains("legacy"), "{note}");
    assert_eq!(world.live(ONE).await.as_deref(), Some("acme"));
    assert_eq!(world.config("acme").await.unwrap()["dids"], json!([ONE, TWO]));
    assert_eq!(world.live(THREE).await.as_deref(), Some("legacy"), "no tenant claims it");
    assert_eq!(world.config_text("legacy").await.unwrap(), legacy);
    world.finish().await;
}

#[tokio::test]
async fn a_did_unmapped_by_the_old_publisher_is_claimed_without_an_event() {
    let world = World::new().await;
    published_before(&world, "legacy", &[ONE]).await;
    world.operator().start().await;
    world.apply(&tenant("acme").dids([ONE])).await;
    world.wait_condition("acme", "Ready", "False", "NumberInUse").await;
    assert_eq!(world.config_text("acme").await, None, "no DID is left");

    world.delete_key(&format!("tenantmap:did:{ONE}")).await;

    world.wait_live(ONE, Some("acme")).await;
    world.wait_ready("acme").await;
    world.finish().await;
}

#[tokio::test]
async fn a_did_claimed_elsewhere_stays_mapped_until_its_tenant_is_adopted() {
    let world = World::new().await;
    published_before(&world, "legacy", &[ONE]).await;
    world.operator().start().await;
    world.apply(&tenant("typo").dids([ONE, TWO])).await;
    world.wait_condition("typo", "Ready", "False", "NumberInUse").await;
    world.wait_until_younger_than("typo").await;
    let mut journal = world.journal().await;

    world.apply(&tenant("legacy").dids([ONE, THREE])).await;

    let message = world.wait_condition("legacy", "Ready", "False", "AdoptionWouldUnmap").await;
    let holder = format!("{ONE} is held by {}/typo", world.namespace());
    assert!(message.contains(&holder), "{message}");
    assert_eq!(journal.writes().await, []);

    world.set_dids("typo", [TWO]).await;

    world.wait_ready("typo").await;
    world.wait_ready("legacy").await;
    world.wait_event("legacy", "Adopted").await;
    assert_eq!(world.live(ONE).await.as_deref(), Some("legacy"));
    assert_eq!(journal.writes_of(&format!("tenantmap:did:{ONE}")).await, Vec::<String>::new());
    world.finish().await;
}
