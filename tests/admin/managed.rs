//! Keys that a resource owns are read-only on every replica; other keys can be written beside them.

use serde_json::json;
use test_support::{World, tenant};

use crate::client::{Admin, Response, config, open};

const HELD: &str = "+15551234567";
const FREE: &str = "+15557654321";

#[track_caller]
fn held(response: &Response, code: &str, owner: &str) {
    assert_eq!(response.rejected(409, code)["owner"], owner);
}

#[tokio::test]
async fn writes_to_owned_keys_are_rejected_by_leader_and_follower() {
    let world = World::new().await;
    let leader = open(&world).leader_elect().start().await;
    world.apply(&tenant("acme").named("dental").dids([HELD])).await;
    world.wait_ready("dental").await;
    let follower = open(&world).leader_elect().start().await;
    let owner = format!("{}/dental", world.namespace());
    let before = world.config_text("acme").await;

    for admin in [Admin::of(&leader), Admin::of(&follower)] {
        held(&admin.publish(&config("acme", &[FREE])).await, "tenant_managed", &owner);
        held(&admin.map(HELD, "other").await, "did_managed", &owner);
        held(&admin.map(HELD, "acme").await, "did_managed", &owner);
        held(&admin.map(FREE, "acme").await, "tenant_managed", &owner);
        held(&admin.unmap(HELD).await, "did_managed", &owner);
        // An invalid config is rejected as such, and reads are served.
        admin.post("/tenants/acme/config", json!({})).await.rejected(400, "invalid_runtime_config");
        assert_eq!(admin.get(&format!("/dids/{HELD}")).await.ok()["tenantId"], "acme");
        assert_eq!(admin.get("/tenants/acme/config").await.ok()["config"]["dids"], json!([HELD]));
    }

    assert_eq!(world.config_text("acme").await, before);
    assert_eq!(world.keys("tenantmap:did:*").await, [format!("tenantmap:did:{HELD}")]);
    world.finish().await;
}

#[tokio::test]
async fn unowned_tenants_and_dids_can_be_written_beside_owned_ones() {
    let world = World::new().await;
    let admin = Admin::of(&open(&world).start().await);
    world.apply(&tenant("acme").dids([HELD])).await;
    world.wait_ready("acme").await;

    admin.publish(&config("beta", &[FREE])).await.ok();
    admin.map(FREE, "beta").await.ok();
    assert_eq!(admin.unmap(FREE).await.ok()["tenantId"], "beta");
    admin.map(FREE, "beta").await.ok();

    assert_eq!(world.live(HELD).await.as_deref(), Some("acme"));
    assert_eq!(world.live(FREE).await.as_deref(), Some("beta"));
    world.finish().await;
}

#[tokio::test]
async fn a_tenant_moves_to_a_resource_and_back() {
    let world = World::new().await;
    let admin = Admin::of(&open(&world).start().await);
    admin.publish(&config("acme", &[HELD])).await.ok();
    admin.map(HELD, "acme").await.ok();

    world.apply(&tenant("acme").dids([HELD])).await;
    world.wait_ready("acme").await;
    admin.unmap(HELD).await.rejected(409, "did_managed");

    world.patch("acme", json!({ "spec": { "deletionPolicy": "Retain" } })).await;
    world.delete("acme").await;
    world.wait_deleted("acme").await;
    assert_eq!(world.live(HELD).await.as_deref(), Some("acme"));
    assert_eq!(admin.unmap(HELD).await.ok()["tenantId"], "acme");
    admin.publish(&config("acme", &[FREE])).await.ok();
    world.finish().await;
}

#[tokio::test]
async fn a_did_with_a_lost_mapping_stays_owned() {
    let world = World::new().await;
    // While the tenant is suspended the lost mapping is not repaired.
    let admin = Admin::of(&open(&world).start().await);
    world.apply(&tenant("acme").dids([HELD])).await;
    world.wait_ready("acme").await;
    world.patch("acme", json!({ "spec": { "suspend": true } })).await;
    world.wait_condition("acme", "Ready", "True", "Suspended").await;
    world.delete_key(&format!("tenantmap:did:{HELD}")).await;

    admin.map(HELD, "other").await.rejected(409, "did_managed");
    admin.unmap(HELD).await.rejected(404, "did_unmapped");

    assert_eq!(world.live(HELD).await, None);
    world.finish().await;
}
