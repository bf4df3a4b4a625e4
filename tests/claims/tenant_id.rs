//! Two want one tenant id.

use serde_json::json;

use super::support::{World, tenant};
use super::{FOUR, ONE, THREE, TWO, listed, moved, told, wait_conflict};

async fn wait_lost(world: &World, loser: &str, holder: &str) {
    let message = world.wait_condition(loser, "Ready", "False", "TenantIdConflict").await;
    let holder = format!("{}/{holder}", world.namespace());
    assert!(message.contains("tenant id") && message.contains(&holder), "{message}");
    world.wait_condition(loser, "Published", "False", "TenantIdConflict").await;
}

#[tokio::test]
async fn the_holder_stays_and_of_the_other_nothing_is_published() {
    let world = World::new().await;
    world.operator().start().await;
    world.apply(&tenant("acme").named("first").dids([ONE])).await;
    world.wait_ready("first").await;
    let config = world.config_text("acme").await;

    world.apply(&tenant("acme").named("second").dids([TWO])).await;

    wait_lost(&world, "second", "first").await;
    assert_eq!(world.live(TWO).await, None);
    assert_eq!(world.config_text("acme").await, config);
    assert_eq!(told(&world, "second").await, json!([]));
    world.wait_event("second", "TenantIdConflict").await;
    world.finish().await;
}

#[tokio::test]
async fn when_the_holder_is_deleted_the_next_has_the_tenant_id_at_once_and_shared_numbers_see_no_gap() {
    let world = World::new().await;
    world.operator().start().await;
    world.apply(&tenant("acme").named("first").dids([ONE, TWO])).await;
    world.wait_ready("first").await;
    world.apply(&tenant("acme").named("second").dids([THREE, ONE]).secret("of-the-second")).await;
    wait_lost(&world, "second", "first").await;
    let mut journal = world.journal().await;

    world.delete("first").await;

    world.wait_ready("second").await;
    world.wait_gone("first").await;
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
async fn when_the_holder_is_deleted_and_retained_the_next_has_the_tenant_id_all_the_same() {
    let world = World::new().await;
    world.operator().start().await;
    world.apply(&tenant("acme").named("first").dids([ONE]).retained()).await;
    world.wait_ready("first").await;
    world.apply(&tenant("acme").named("second").dids([ONE, TWO])).await;
    wait_lost(&world, "second", "first").await;
    let mut journal = world.journal().await;

    world.delete("first").await;

    world.wait_ready("second").await;
    world.wait_gone("first").await;
    assert_eq!(listed(&world, "acme").await, json!([ONE, TWO]));
    moved(&journal.writes().await, ONE, 0);
    world.finish().await;
}

#[tokio::test]
async fn who_lost_its_tenant_id_waits_for_no_number() {
    let world = World::new().await;
    world.operator().start().await;
    world.apply(&tenant("acme").named("first").dids([ONE])).await;
    world.wait_ready("first").await;
    world.apply(&tenant("acme").named("second").dids([TWO, FOUR])).await;
    wait_lost(&world, "second", "first").await;

    world.apply(&tenant("young").dids([TWO, THREE])).await;

    world.wait_ready("young").await;
    assert_eq!(world.live(TWO).await.as_deref(), Some("young"));

    // Once it has its tenant id, it waits for what is live elsewhere by then.
    world.delete("first").await;

    wait_conflict(&world, "second", TWO, "young").await;
    assert_eq!(listed(&world, "acme").await, json!([FOUR]));
    world.finish().await;
}
