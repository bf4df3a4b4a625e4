//! DIDs are unique on the whole platform, not in a namespace.

use kube::api::DeleteParams;
use test_support::{World, tenant};

use super::{ONE, TWO, moved};

#[tokio::test]
async fn a_did_is_contested_and_transferred_across_namespaces() {
    let mut world = World::new().await;
    let other = world.add_namespace().await;
    world.operator().start().await;
    world.apply(&tenant("holder").in_namespace(&other).dids([ONE])).await;
    world.wait_condition_in(&other, "holder", "Ready", "True", "Published").await;

    world.apply(&tenant("next").dids([ONE, TWO])).await;

    let message = world.wait_condition("next", "Ready", "False", "DidConflict").await;
    assert!(message.contains(&format!("{ONE} is held by {other}/holder")), "{message}");
    let mut journal = world.journal().await;

    world.tenants_in(&other).delete("holder", &DeleteParams::default()).await.unwrap();

    world.wait_ready("next").await;
    world.wait_event("next", "Promoted").await;
    assert_eq!(world.live(ONE).await.as_deref(), Some("next"));
    moved(&journal.writes().await, ONE, 1);
    world.finish().await;
}

#[tokio::test]
async fn resources_with_one_name_in_two_namespaces_are_independent() {
    let mut world = World::new().await;
    let other = world.add_namespace().await;
    world.operator().start().await;
    world.apply(&tenant("acme").dids([ONE])).await;
    world.wait_ready("acme").await;

    world.apply(&tenant("acme").in_namespace(&other).dids([TWO])).await;

    let message = world.wait_condition_in(&other, "acme", "Ready", "False", "TenantIdConflict").await;
    assert!(message.contains(&format!("{}/acme", world.namespace())), "{message}");
    assert_eq!(world.live(TWO).await, None);
    world.finish().await;
}
