//! Two tenants claim one DID.

use serde_json::json;
use test_support::{World, tenant};

use super::{FOUR, ONE, THREE, TWO, listed, status_dids, wait_conflict};

#[tokio::test]
async fn a_free_did_goes_to_the_oldest_claimant() {
    let world = World::new().await;
    world.apply(&tenant("zoe").dids([ONE])).await;
    world.wait_until_younger_than("zoe").await;
    world.apply(&tenant("amy").dids([TWO, ONE, THREE])).await;

    world.operator().start().await;

    world.wait_ready("zoe").await;
    wait_conflict(&world, "amy", ONE, "zoe").await;
    assert_eq!(world.live(ONE).await.as_deref(), Some("zoe"));
    assert_eq!(world.live(TWO).await.as_deref(), Some("amy"));
    assert_eq!(world.live(THREE).await.as_deref(), Some("amy"));
    assert_eq!(listed(&world, "amy").await, json!([TWO, THREE]));
    let status = world.status("amy").await;
    assert_eq!(status["publishedDids"], json!([TWO, THREE]));
    assert_eq!(status["publishedDidCount"], 2);
    world.wait_condition("amy", "Published", "True", "Published").await;
    world.wait_condition("amy", "Stalled", "True", "DidConflict").await;
    world.wait_event("amy", "DidConflict").await;
    world.finish().await;
}

#[tokio::test]
async fn a_tenant_without_any_did_left_is_not_published() {
    let world = World::new().await;
    world.operator().start().await;
    world.apply(&tenant("first").dids([ONE, TWO])).await;
    world.wait_ready("first").await;

    world.apply(&tenant("second").dids([ONE, TWO])).await;

    wait_conflict(&world, "second", ONE, "first").await;
    wait_conflict(&world, "second", TWO, "first").await;
    assert_eq!(world.config_text("second").await, None);
    assert_eq!(status_dids(&world, "second").await, json!([]));
    world.wait_condition("second", "Published", "False", "DidConflict").await;
    world.finish().await;
}

#[tokio::test]
async fn a_published_did_stays_with_its_holder_against_an_older_resource() {
    let world = World::new().await;
    world.operator().start().await;
    world.apply(&tenant("older").dids([ONE])).await;
    world.wait_until_younger_than("older").await;
    world.apply(&tenant("younger").dids([TWO])).await;
    world.wait_ready("older").await;
    world.wait_ready("younger").await;
    let holder = world.get("younger").await.unwrap();

    // The same DID, written differently.
    world.set_dids("older", [ONE, " +1555 000 0002 "]).await;

    wait_conflict(&world, "older", TWO, "younger").await;
    assert_eq!(world.live(TWO).await.as_deref(), Some("younger"));
    assert_eq!(listed(&world, "older").await, json!([ONE]));
    let untouched = world.get("younger").await.unwrap();
    assert_eq!(untouched.metadata.resource_version, holder.metadata.resource_version);

    world.set_dids("older", [ONE, THREE]).await;

    world.wait_ready("older").await;
    assert_eq!(status_dids(&world, "older").await, json!([ONE, THREE]));
    world.finish().await;
}

#[tokio::test]
async fn an_edit_to_dids_of_other_tenants_reroutes_none() {
    let world = World::new().await;
    world.operator().start().await;
    for (name, did) in [("acme", ONE), ("beta", TWO), ("cora", THREE)] {
        world.apply(&tenant(name).dids([did])).await;
        world.wait_ready(name).await;
    }
    let mut journal = world.journal().await;

    world.set_dids("acme", [TWO, THREE]).await;

    wait_conflict(&world, "acme", TWO, "beta").await;
    wait_conflict(&world, "acme", THREE, "cora").await;
    assert_eq!(world.live(ONE).await, None, "acme itself released it");
    assert_eq!(world.config_text("acme").await, None);
    let writes = journal.writes().await;
    let elsewhere = |key: &str| key.ends_with(TWO) || key.ends_with(THREE) || key == "tenantcfg:beta";
    assert!(!writes.iter().any(|(key, _)| elsewhere(key)), "{writes:?}");

    world.set_dids("acme", [ONE, FOUR]).await;

    world.wait_ready("acme").await;
    assert_eq!(world.live(ONE).await.as_deref(), Some("acme"));
    world.finish().await;
}
