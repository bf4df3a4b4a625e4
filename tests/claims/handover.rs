//! The holder releases a DID: the next claimant gets it immediately, and no call in between is lost.

use serde_json::json;
use test_support::{World, tenant};

use super::{FOUR, ONE, THREE, TWO, listed, moved, status_dids, wait_conflict};

/// A holder of two numbers, and one that waits for the first of them.
async fn holder_and_waiting(holder: test_support::Tenant) -> World {
    let world = World::new().await;
    world.operator().start().await;
    world.apply(&holder.dids([ONE, TWO])).await;
    world.wait_ready("holder").await;
    world.apply(&tenant("next").dids([THREE, ONE])).await;
    wait_conflict(&world, "next", ONE, "holder").await;
    world
}

async fn promoted(world: &World) {
    world.wait_ready("next").await;
    assert_eq!(world.live(ONE).await.as_deref(), Some("next"));
    assert_eq!(status_dids(world, "next").await, json!([THREE, ONE]));
    let note = world.wait_event("next", "Promoted").await;
    assert!(note.contains(ONE), "{note}");
}

#[tokio::test]
async fn a_did_removed_by_its_holder_is_transferred_without_a_gap() {
    let world = holder_and_waiting(tenant("holder")).await;
    let mut journal = world.journal().await;

    world.set_dids("holder", [TWO]).await;

    promoted(&world).await;
    world.wait_ready("holder").await;
    assert_eq!(listed(&world, "holder").await, json!([TWO]));
    let writes = journal.writes().await;
    moved(&writes, ONE, 1);
    moved(&writes, TWO, 0);
    moved(&writes, THREE, 0);
    world.finish().await;
}

#[tokio::test]
async fn a_did_of_a_deleted_holder_is_transferred_without_a_gap() {
    let world = holder_and_waiting(tenant("holder")).await;
    let mut journal = world.journal().await;

    world.delete("holder").await;

    promoted(&world).await;
    world.wait_deleted("holder").await;
    assert_eq!(world.live(TWO).await, None);
    assert_eq!(world.config_text("holder").await, None);
    moved(&journal.writes().await, ONE, 1);
    world.finish().await;
}

#[tokio::test]
async fn a_did_of_a_retained_holder_is_transferred_and_nothing_else_changes() {
    let world = holder_and_waiting(tenant("holder").retained()).await;
    let mut journal = world.journal().await;

    world.delete("holder").await;

    promoted(&world).await;
    world.wait_deleted("holder").await;
    assert_eq!(world.live(TWO).await.as_deref(), Some("holder"));
    assert!(world.config_text("holder").await.is_some(), "it is retained");
    let writes = journal.writes().await;
    moved(&writes, ONE, 1);
    moved(&writes, TWO, 0);
    world.finish().await;
}

#[tokio::test]
async fn the_oldest_waiting_tenant_is_promoted_first() {
    let world = World::new().await;
    world.operator().start().await;
    world.apply(&tenant("first").dids([ONE])).await;
    world.wait_ready("first").await;
    world.apply(&tenant("zoe").dids([ONE, TWO])).await;
    world.wait_until_younger_than("zoe").await;
    world.apply(&tenant("amy").dids([ONE, THREE])).await;
    wait_conflict(&world, "zoe", ONE, "first").await;
    wait_conflict(&world, "amy", ONE, "first").await;
    let mut journal = world.journal().await;

    world.delete("first").await;

    world.wait_ready("zoe").await;
    wait_conflict(&world, "amy", ONE, "zoe").await;
    assert_eq!(world.live(ONE).await.as_deref(), Some("zoe"));

    world.set_dids("zoe", [TWO]).await;

    world.wait_ready("amy").await;
    assert_eq!(world.live(ONE).await.as_deref(), Some("amy"));
    moved(&journal.writes().await, ONE, 2);
    world.finish().await;
}

#[tokio::test]
async fn a_tenant_without_dids_is_unpublished() {
    let world = World::new().await;
    world.operator().start().await;
    world.apply(&tenant("holder").dids([ONE])).await;
    world.apply(&tenant("other").dids([TWO])).await;
    world.wait_ready("holder").await;
    world.wait_ready("other").await;
    world.set_dids("other", [TWO, ONE]).await;
    wait_conflict(&world, "other", ONE, "holder").await;
    let mut journal = world.journal().await;

    world.set_dids("holder", [TWO]).await;

    world.wait_ready("other").await;
    wait_conflict(&world, "holder", TWO, "other").await;
    assert_eq!(world.config_text("holder").await, None);
    assert_eq!(status_dids(&world, "holder").await, json!([]));

    // And what it waits for comes to it just the same.
    world.set_dids("other", [ONE, FOUR]).await;

    world.wait_ready("holder").await;
    world.wait_ready("other").await;
    assert_eq!(world.live(ONE).await.as_deref(), Some("other"));
    assert_eq!(world.live(TWO).await.as_deref(), Some("holder"));
    let writes = journal.writes().await;
    moved(&writes, ONE, 1);
    moved(&writes, TWO, 1);
    world.finish().await;
}
