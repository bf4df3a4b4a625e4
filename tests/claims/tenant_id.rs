//! Two resources claim one tenant id.

use serde_json::json;
use test_support::{World, tenant};

use super::{FOUR, ONE, THREE, TWO, listed, moved, status_dids, wait_conflict};

async fn wait_lost(world: &World, loser: &str, holder: &str) {
    let message = world.wait_condition(loser, "Ready", "False", "TenantIdConflict").await;
    let holder = format!("{}/{holder}", world.namespace());
    assert!(message.contains("tenant id") && message.contains(&holder), "{message}");
    world.wait_condition(loser, "Published", "False", "TenantIdConflict").await;
}

#[tokio::test]
async fn a_second_claimant_of_a_tenant_id_is_not_published() {
    let world = World::new().await;
    world.operator().start().await;
    world.apply(&tenant("acme").named("first").dids([ONE])).await;
    world.wait_ready("first").await;
    let config = world.config_text("acme").await;

    world.apply(&tenant("acme").named("second").dids([TWO])).await;

    wait_lost(&world, "second", "first").await;
    assert_eq!(world.live(TWO).await, None);
    assert_eq!(world.config_text("acme").await, config);
    assert_eq!(status_dids(&world, "second").await, json!([]));
    world.wait_event("second", "TenantIdConflict").await;
    world.finish().await;
}

#[tokio::test]
async fn the_tenant_id_of_a_deleted_holder_is_transferred_without_a_gap() {
    let world = World::new().await;
    world.operator().start().await;
    world.apply(&tenant("acme").named("first").dids([ONE, TWO])).await;
    world.wait_ready("first").await;
    world.apply(&tenant("acme").named("second").dids([THREE, ONE]).secret("of-the-second")).await;
    wait_lost(&world, "second", "first").await;
    let mut journal = world.journal().await;

    world.delete("first").await;

    world.wait_ready("second").await;
    world.wait_deleted("first").await;
    let note = world.wait_event("second", "Promoted").await;
    assert!(note.contains(ONE), "{note}");
    assert_eq!(listed(&world, "acme").await, json!([THREE, ONE]));
    assert_eq!(world.config("acme").await.unwrap()["webhookSecret"], "of-the-second");
    assert_eq!(world.live(TWO).await, None);
    let writes = journal.writes().await;
    moved(&writes, ONE, 0);
    moved(&writes, THREE, 1);
    assert!(!writes.contains(&("tenantcfg:acme".into(), "del".into())), "{writes:?}");
    world.finish().await;
}

#[tokio::test]
async fn a_retained_holder_also_releases_its_tenant_id() {
    let world = World::new().await;
    world.operator().start().await;
    world.apply(&tenant("acme").named("first").dids([ONE]).retained()).await;
    world.wait_ready("first").await;
    world.apply(&tenant("acme").named("second").dids([ONE, TWO])).await;
    wait_lost(&world, "second", "first").await;
    let mut journal = world.journal().await;

    world.delete("first").await;

    world.wait_ready("second").await;
    world.wait_deleted("first").await;
    assert_eq!(listed(&world, "acme").await, json!([ONE, TWO]));
    moved(&journal.writes().await, ONE, 0);
    world.finish().await;
}

#[tokio::test]
async fn a_tenant_without_its_id_claims_no_dids() {
    let world = World::new().await;
    world.operator().start().await;
    world.apply(&tenant("acme").named("first").dids([ONE])).await;
    world.wait_ready("first").await;
    world.apply(&tenant("acme").named("second").dids([TWO, FOUR])).await;
    wait_lost(&world, "second", "first").await;

    world.apply(&tenant("young").dids([TWO, THREE])).await;

    world.wait_ready("young").await;
    assert_eq!(world.live(TWO).await.as_deref(), Some("young"));

    // Once it has its tenant id, it waits for DIDs that others have published by then.
    world.delete("first").await;

    wait_conflict(&world, "second", TWO, "young").await;
    assert_eq!(listed(&world, "acme").await, json!([FOUR]));
    world.finish().await;
}
